//! Whether a run left the repository around its worktree as it was.

use crate::error::{Kind, Result};
use crate::pipeline::workspace::guard;
use crate::record::Record;
use crate::sanitize;
use crate::session::Session;
use crate::state::events::Event;

/// Of the changes, so many are named.
const MOST_CHANGES: usize = 6;

/// Looks whether the repository around the worktree is as it was, puts back what is not, and says what that was.
/// Where it cannot be compared or put back, nothing that came of the run is to be trusted either.
pub(super) fn tampered(session: &Session, record: &Record) -> Result<Option<String>> {
    let (found, kept) = match guard::end(session, record) {
        Ok(None) => return Ok(None),
        // Somebody holds the lock, or is writing: whoever looks at the record next tries again.
        Err(error) if error.kind == Kind::TryAgain => return Err(error),
        Err(error) => (format!("it cannot be compared: {error}"), None),
        Ok(Some(found)) => {
            let more = found.changes.len().saturating_sub(MOST_CHANGES);
            let named = found.changes[..found.changes.len() - more].join(", ");
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let then = if found.restored { "put back" } else { "not all of it could be put back" };
            (format!("{named}{more} ({then})"), Some(found.kept))
        }
    };
    let found = sanitize::line(&found).into_owned();
    let event = Event::about(&session.state, "tampered", record.number)
        .with("instance", record.instance())
        .with("why", session.redactor().redact(&found).into_owned());
    session.state.log(&match kept {
        Some(kept) => event.with("kept", kept.display().to_string()),
        None => event,
    })?;
    Ok(Some(found))
}
