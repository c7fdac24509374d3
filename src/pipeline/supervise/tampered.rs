//! What an agent changed in the repository around its worktree: found when its run has ended, put back, and said.

use crate::error::{Kind, Result};
use crate::pipeline::workspace::guard;
use crate::record::Record;
use crate::sanitize;
use crate::session::Session;
use crate::state::events::Event;

/// Of the changes to the repository, so many are named.
const MOST_CHANGES: usize = 6;

/// Looks whether the repository around the worktree is as it was, puts back what is not, and says what that was.
/// Where it cannot be compared or put back, nothing that came of the run is to be trusted either.
pub(super) fn tampered(session: &Session, record: &Record) -> Result<Option<String>> {
    let (why, kept) = match guard::end(session, record) {
        Ok(None) => return Ok(None),
        // Somebody holds the lock, or is writing: whoever looks at the record next tries again.
        Err(error) if matches!(error.kind, Kind::TryAgain) => return Err(error),
        Err(error) => (format!("the repository around the worktree cannot be compared: {error}"), None),
        Ok(Some(found)) => {
            let more = found.changes.len().saturating_sub(MOST_CHANGES);
            let named = found.changes[..found.changes.len() - more].join(", ");
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let then = if found.restored { "put back" } else { "not all of it could be put back" };
            (format!("changed in the repository: {named}{more} ({then})"), Some(found.kept))
        }
    };
    let why = sanitize::line(&why).into_owned();
    let event = Event::about(&session.state, "tampered", record.number)
        .with("instance", record.instance())
        .with("why", session.redactor().redact(&why).into_owned());
    session.state.log(&match kept {
        Some(kept) => event.with("kept", kept.display().to_string()),
        None => event,
    })?;
    Ok(Some(why))
}
