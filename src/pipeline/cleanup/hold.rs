//! Whether somebody is in the way of a removal: the issue's own command, or a person in the folder.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{Wish, is_left_alone};
use crate::error::{Error, Kind, Result};
use crate::process;
use crate::record::Record;
use crate::session::Session;
use crate::state::{lock, owner};

/// How long a supervisor may take to end its agent: its own grace, and some.
const PATIENCE: Duration = Duration::from_secs(20);

/// Without `--force` nothing is ended.
pub(super) fn refuse_active(wish: &Wish, record: &Record) -> Result<()> {
    if wish.force || is_left_alone(record) {
        return Ok(());
    }
    let status = record.standing();
    let message = format!("{} works on issue #{}, which is {status}", record.instance(), record.number);
    Err(Error::new(Kind::Failed, message).hint("--force ends it first"))
}

/// Somebody is in it: what they do there after it was rescued would be lost.
pub(super) fn refuse_used(dir: &Path) -> Result<()> {
    let users = process::using(dir);
    if users.is_empty() {
        return Ok(());
    }
    let who: Vec<String> =
        users.iter().map(|user| format!("{} (pid {}) {}", user.name, user.pid, user.how)).collect();
    let message = format!("'{}' is not removed: {}", dir.display(), who.join(", "));
    Err(Error::new(Kind::Failed, message)
        .hint("end it, or let it go elsewhere; --force removes it all the same"))
}

/// The instance's lock. With `--force` whoever holds it is told to end, and made to if it does not.
pub(super) fn hold(session: &Session, wish: &Wish, instance: &str) -> Result<lock::Guard> {
    let busy = match session.state.hold(instance) {
        Err(error) if error.kind == Kind::TryAgain && wish.force => error,
        result => return result,
    };
    for signal in [Signal::TERM, Signal::KILL] {
        let Some(holder) = session.state.holder(instance) else { break };
        // The holder's note may be old.
        if !owner::signal(&holder.owner, signal) {
            break;
        }
        session.note(&format!("ending {} (pid {})", holder.command, holder.owner.pid));
        let asked = Instant::now();
        while asked.elapsed() < PATIENCE {
            if let Some(guard) = session.state.try_hold(instance)? {
                return Ok(guard);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    session.state.try_hold(instance)?.ok_or(busy)
}
