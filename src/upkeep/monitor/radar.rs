//! The part of a tick that looks ahead: which branches in work would conflict.

use crate::error::Result;
use crate::session::Session;
use crate::state::durable;
use crate::view::conflicts;

/// Where the commits are noted that were looked at last.
const SEEN: &str = "conflicts";

/// A tick ends before the next is due: 40 branches are 780 merges, of a millisecond or some.
const MOST: usize = 40;

/// Says in a line which branches would conflict, once for every state of the branches. Trouble keeps no tick from its
/// work: `cq-status --conflicts` tells of it to whoever asks.
pub(super) fn look(session: &Session, dry_run: bool) {
    if let Err(error) = said(session, dry_run) {
        session.detail(&format!("the branches in work cannot be compared: {error}"));
    }
}

fn said(session: &Session, dry_run: bool) -> Result<()> {
    let (live, Some(private)) = conflicts::live(session, &session.state.in_flight(drop)?)? else {
        return Ok(());
    };
    if live.is_empty() {
        return Ok(());
    }
    if live.len() > MOST {
        session
            .detail("too many branches in work to compare all at every change: cq-status --conflicts does");
        return Ok(());
    }
    let commits = conflicts::commits(&private, &live)?;
    let seen = session.state.cache().map(|folder| folder.join(SEEN));
    if let Some(seen) = &seen
        && durable::read(seen)?.as_ref() == Some(&commits)
    {
        return Ok(());
    }
    let found = conflicts::look(&private, &live)?;
    let summary = conflicts::summary(&found);
    if found.meetings.is_empty() {
        session.detail(&summary);
    } else {
        session.note(&format!("{summary} (cq-status --conflicts says more)"));
    }
    match seen {
        Some(seen) if !dry_run => durable::replace_cheaply(&seen, commits.as_bytes()),
        _ => Ok(()),
    }
}
