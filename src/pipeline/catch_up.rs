//! The end of the base, for an agent that is to take it in. An agent cannot fetch: what it merges has to be there.

use crate::error::Result;
use crate::record::{Extra, Feedback, FeedbackSource, Record};
use crate::session::Session;

/// The end of a record's base, whose objects are then in the repository; `anew`, however recent the last fetch is.
pub(super) fn end_of_base(session: &Session, record: &Record, anew: bool) -> Result<String> {
    let (_, private) = session.git()?;
    if anew {
        private.forget_fetch()?;
    }
    let address = session.remote_address(&record.repo)?;
    let (base, depth) = (&record.claimed()?.base, session.loaded.config.workspace.clone);
    private.fetch_base(&address, || session.remote(&record.repo), base, depth, session.clock.now())
}

/// What the agent is to do with it.
pub(super) fn merge(sha: &str) -> String {
    format!(
        "Its end, {sha}, is in this repository: merge it into your branch (git merge {sha}), resolve the conflicts so \
         that both changes keep their sense, and commit. Do not rewrite what was pushed."
    )
}

/// What the agent of a record is told of a base that has moved on since its checks were red there; none where only its
/// change is to be judged, or the base is as red as it was.
pub(super) fn moved_on(session: &Session, record: &Record) -> Result<Option<Feedback>> {
    let gates = record.gates.as_ref().filter(|gates| record.is_unevaluated() && gates.is_red_on_base());
    let Some(gates) = gates else { return Ok(None) };
    let sha = end_of_base(session, record, true)?;
    let (number, base) = (record.number, &record.claimed()?.base);
    if gates.base.as_ref() == Some(&sha) {
        session.note(&format!("issue #{number}: '{base}' has not moved since its checks were red there"));
        return Ok(None);
    }
    let red = gates.unevaluated().filter(|check| check.base_exit.is_some());
    let red = red.map(|check| format!("'{}'", check.name)).collect::<Vec<_>>().join(", ");
    let text = format!(
        "Red on the base that this branch began at, and so not this change's fault: {red}. The base branch '{base}' has \
         moved on since. {}",
        merge(&sha)
    );
    let (from, at) = (FeedbackSource::Conflict, session.clock.now());
    Ok(Some(Feedback { from, text, at, extra: Extra::new() }))
}
