//! What is in the way of every agent: a stop, or a rest.

use std::time::Duration;

use crate::session::Session;

/// Why nothing is started.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// A stop, in its own words.
    Stop(String),
    /// A rest, in its own words.
    Rest(String),
}

/// What keeps agents from being started; for a rest, also how long it will last.
pub(super) fn find(session: &Session) -> (Option<Obstacle>, Option<Duration>) {
    if let Err(error) = session.state.refuse_when_stopped() {
        return (Some(Obstacle::Stop(format!("{error}; only what starts nothing is run"))), None);
    }
    match session.state.limit() {
        Ok(Some(limit)) => {
            let left = (limit.until - session.clock.now()).to_std().ok();
            (Some(Obstacle::Rest(limit.to_string())), left)
        }
        _ => (None, None),
    }
}
