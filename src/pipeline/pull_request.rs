//! `cq-pr`: push the branch, open the pull request, dress it, once.
//!
//! What may be delivered is decided here, what the pull request says in `proposal`; the steps, each of which can be
//! repeated, are in `delivery`. `sync` follows what people and CI say of it.

use self::delivery::Delivering;
use super::workspace;
use crate::error::{Error, Kind, Result, Tally};
use crate::git::PrivateGit;
use crate::record::{GateVerdict, Record, Status};
use crate::session::Session;

mod answers;
mod body;
mod delivery;
mod merge;
mod proposal;
mod revert;
mod sync;
mod told;

pub use merge::merge;
pub use revert::{Wish as Revert, revert};
pub use sync::sync;

/// Only branches below this are ever pushed.
const OURS: &str = "claude/";

/// Opens pull requests for what comes in.
pub fn run(session: &Session, dry_run: bool, records: impl Iterator<Item = Result<Record>>) -> Result<Tally> {
    session.state.refuse_when_stopped()?;
    let mut output = session.records();
    let tally = session.for_each(records, |wanted| {
        let Some((record, refused)) = one(session, dry_run, &wanted)? else { return Ok(()) };
        output.record(&record)?;
        refused.map_or(Ok(()), Err)
    })?;
    output.finish()?;
    Ok(tally)
}

/// The record as it goes on, and what was refused on the way without keeping it back.
type Delivered = (Record, Option<Error>);

fn one(session: &Session, dry_run: bool, wanted: &Record) -> Result<Option<Delivered>> {
    let (_lock, record) = super::hold(session, wanted)?;
    let number = record.number;
    match record.status {
        Some(Status::Testing) => {}
        Some(Status::PrReady | Status::Completed) => return Ok(Some((record, None))),
        status => {
            let status = status.map_or("unclaimed", Status::name);
            session.note(&format!("issue #{number} is {status}: no pull request is opened"));
            return Ok(None);
        }
    }
    let (repository, private) = session.git()?;
    let head = workspace::head_of(&repository, &record)?;
    refuse_unfit(session, &record, &private, &head)?;
    let proposal = body::sealed(proposal::of(session, &record, &private, &head)?);
    if dry_run {
        session.note(&format!("would push '{}' and open '{}'", proposal.head, proposal.title));
        return Ok(Some((record, None)));
    }
    session.needs_token("open a pull request")?;
    let client = session.github()?;
    Delivering { session, client, repository, private, proposal, head }.run(record).map(Some)
}

/// What may be pushed: our own branch, ahead of its base, its exact tree checked.
fn refuse_unfit(session: &Session, record: &Record, private: &PrivateGit, head: &str) -> Result<()> {
    let number = record.number;
    let claim = record.claimed()?;
    let refuse = |why: String| Err(Error::new(Kind::NotPermitted, format!("issue #{number}: {why}")));
    if !claim.branch.starts_with(OURS)
        || claim.branch == claim.base
        || claim.branch == session.loaded.config.git.base
    {
        return refuse(format!("'{}' is not a branch of cq", claim.branch));
    }
    let Some(gates) = &record.gates else {
        return refuse("its tree was not checked; run cq-gate first".to_owned());
    };
    match gates.verdict {
        GateVerdict::Passed => {}
        GateVerdict::Failed => return refuse("its checks failed".to_owned()),
        GateVerdict::Unevaluated => return refuse("its checks could not run; cq-gate says why".to_owned()),
    }
    if gates.tree != private.tree_of(head)? {
        return refuse("the branch has changed since it was checked; run cq-gate again".to_owned());
    }
    let base = claim.base_sha.as_deref().unwrap_or(&claim.base);
    if private.commits_ahead(base, head)? == 0 {
        return refuse("there is nothing to push".to_owned());
    }
    Ok(())
}
