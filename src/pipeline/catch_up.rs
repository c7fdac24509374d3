//! The end of the base, for an agent that is to take it in. An agent cannot fetch: what it merges has to be there.

use crate::error::Result;
use crate::record::Record;
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
