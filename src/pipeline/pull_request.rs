//! `cq-pr`: push the branch, open the pull request, dress it, once.
//!
//! What may be delivered is decided here and in `inspection`, which looks at everything that would be published (`guards`
//! decide, `leaks` looks for secrets); what the pull request says in `proposal`; the steps, each of which can be repeated,
//! are in `delivery`, and what it is dressed with in `dressing`. `reservation` sees to it that of several machines one opens
//! it. `sync` follows what people and CI say of it; `merge` and `revert` are what they are called.

use self::delivery::Delivering;
use super::workspace;
use crate::claims;
use crate::error::{Error, Kind, Result, Tally};
use crate::git::PrivateGit;
use crate::record::{GateVerdict, Gates, Outcome, Record, Status};
use crate::session::Session;

mod answers;
mod body;
mod delivery;
mod dressing;
mod guards;
mod inspection;
pub mod leaks;
mod merge;
mod paths;
mod proposal;
mod receipt;
pub(super) mod reservation;
mod revert;
mod sync;
mod told;

pub use merge::merge;
pub use revert::{Wish as Revert, revert};
pub use sync::sync;

/// Only branches below this are ever pushed.
pub(super) const OURS: &str = "claude/";

/// What is asked for.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "an option each")]
pub struct Wish {
    /// Only say it.
    pub dry_run: bool,
    /// Also what has no passing receipt; the pull request says so.
    pub unchecked: bool,
    /// A person says that what the change touches, and its size, are all right.
    pub allow_protected: bool,
    /// The issues were named by a person.
    pub named: bool,
}

/// Opens pull requests for what comes in.
pub fn run(session: &Session, wish: Wish, records: impl Iterator<Item = Result<Record>>) -> Result<Tally> {
    session.state.refuse_when_stopped()?;
    session.needs_configuration()?;
    let mut output = session.records();
    let tally = session.for_each(records, |wanted| {
        let Some((record, refused)) = one(session, wish, &wanted)? else { return Ok(()) };
        output.record(&record)?;
        refused.map_or(Ok(()), Err)
    })?;
    output.finish()?;
    Ok(tally)
}

/// The record as it goes on, and what was refused on the way without keeping it back.
type Delivered = (Record, Option<Error>);

fn one(session: &Session, wish: Wish, wanted: &Record) -> Result<Option<Delivered>> {
    let (_lock, record) = super::hold(session, wanted)?;
    let number = record.number;
    match record.status {
        Some(Status::Testing) => {}
        // A person looks at it once more, who may have mended it, or changed the rules.
        Some(Status::Failed) if record.is_kept_back() => {}
        Some(Status::PrReady) if wish.named && !wish.dry_run => {
            let refused = dressing::ask_again(session, &record)?;
            return Ok(Some((record, refused)));
        }
        Some(Status::PrReady | Status::Completed) => return Ok(Some((record, None))),
        status => {
            let status = status.map_or("unclaimed", Status::name);
            session.note(&format!("issue #{number} is {status}: no pull request is opened"));
            return Ok(None);
        }
    }
    let (repository, private) = session.git()?;
    let head = workspace::head_of(&repository, &record)?;
    refuse_unfit(session, &record, &private, &head, wish.unchecked)?;
    let guarded = inspection::look(session, &record, &private, &head, wish.allow_protected)?;
    for flagged in guarded.findings.iter().filter(|one| !one.refused) {
        session.note(&format!("issue #{number}: {}", inspection::line(flagged)));
    }
    if guarded.withheld {
        if wish.dry_run {
            let refused = guarded.findings.iter().filter(|one| one.refused).map(inspection::line);
            session
                .note(&format!("would not push issue #{number}: {}", refused.collect::<Vec<_>>().join("; ")));
            return Ok(Some((record, None)));
        }
        let (record, refused) = inspection::withhold(session, &record, guarded)?;
        return Ok(Some((record, Some(refused))));
    }
    let proposal = body::sealed(proposal::of(session, &record, &guarded, &private)?);
    if wish.dry_run {
        session.note(&format!("would push '{}' and open '{}'", proposal.head, proposal.title));
        return Ok(Some((record, None)));
    }
    session.needs_token("open a pull request")?;
    let client = session.github()?;
    let record = inspection::note(session, &record, guarded)?;
    Delivering { session, client, repository, private, proposal, head }.run(record).map(Some)
}

/// Before anything outside this machine changes; a lost claim touches nothing.
fn renew(session: &Session, record: &Record) -> Result<()> {
    session.claims().renew(record.number, &record.claimed()?.token).map(drop)
}

/// Nothing but a person's word helps from here on: the record fails, and takes no place meanwhile.
fn fail(session: &Session, record: &Record, outcome: Outcome, why: &str) -> Result<Record> {
    let (by, now) = (session.command, session.clock.now());
    claims::update(&session.state, record.claimed()?, record.number, |record| {
        record.outcome = Some(outcome);
        // What was kept back has failed already.
        if record.status == Some(Status::Failed) {
            record.remark(by, why, now);
            return Ok(());
        }
        record.transition(Status::Failed, by, why, now)
    })
}

/// What may be pushed: our own branch, ahead of its base, with a passing receipt for its exact tree.
fn refuse_unfit(
    session: &Session,
    record: &Record,
    private: &PrivateGit,
    head: &str,
    unchecked: bool,
) -> Result<()> {
    let number = record.number;
    let claim = record.claimed()?;
    let refuse = |why: &str| Error::new(Kind::NotPermitted, format!("issue #{number}: {why}"));
    if !claim.branch.starts_with(OURS)
        || claim.branch == claim.base
        || claim.branch == session.loaded.config.git.base
    {
        return Err(refuse(&format!("'{}' is not a branch of cq", claim.branch)));
    }
    if !unchecked && let Some(why) = unfit(record.gates.as_ref(), &private.tree_of(head)?) {
        return Err(
            refuse(why).hint("cq-pr --unchecked opens it all the same, and says so in the pull request")
        );
    }
    let base = claim.base_sha.as_deref().unwrap_or(&claim.base);
    if private.commits_ahead(base, head)? == 0 {
        return Err(refuse("there is nothing to push"));
    }
    Ok(())
}

/// Why a tree has no passing receipt.
fn unfit(gates: Option<&Gates>, tree: &str) -> Option<&'static str> {
    match gates {
        None => Some("its tree was not checked; run cq-gate first"),
        Some(gates) if gates.verdict == GateVerdict::Failed => Some("its checks failed"),
        Some(gates) if gates.verdict != GateVerdict::Passed => {
            Some("its checks could not be evaluated; cq-gate says why")
        }
        Some(gates) if gates.tree != tree => {
            Some("the branch has changed since it was checked; run cq-gate again")
        }
        Some(_) => None,
    }
}
