//! Claims: one winner per issue, on one machine or many.
//!
//! Every claim goes through [`Claims`]. The record in the state directory always holds it; what differs is
//! what else must agree before it counts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::clock::Timestamp;
use crate::config::{Backend, Loaded};
use crate::environment::Environment;
use crate::error::{Error, Kind, Result};
use crate::record::files::Overlap;
use crate::record::{Claim, Record};
use crate::state::State;

mod local;
mod places;

pub use local::Local;
pub use places::{Full, Places, count};

/// What a claim is made on.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// How many issues may be in work at once on this machine.
    pub capacity: usize,
    /// How many pull requests may wait for a person, those on their way included; none where any number may.
    pub max_unreviewed: Option<usize>,
    /// Whether issues whose files overlap are kept apart.
    pub avoid_overlap: bool,
    /// What the branches of issues in work had changed when it was looked at last; only of interest with
    /// `avoid_overlap`.
    pub changed: BTreeMap<u64, BTreeSet<String>>,
    /// The folder of the workspaces: an instance whose folder exists is taken.
    pub workspaces: PathBuf,
    /// The base branch.
    pub base: String,
    /// Minutes until the claim may be doubted.
    pub lease_minutes: u32,
}

/// What became of a wish to claim an issue.
#[derive(Debug)]
pub enum Claimed {
    /// The caller holds it: newly, or still (the record came with this claim's token).
    Won(Box<Record>),
    /// Somebody holds it; who and where, for people.
    Held(String),
    /// It would get into the way of an issue in work.
    Waits(Overlap),
    /// No place is free.
    Full(Full),
}

/// A place where claims are kept.
pub trait Claims {
    /// What is to be said to a wish for an issue that is in flight here; none for one that is not. Asks no lock.
    fn held(&self, wish: &Record) -> Result<Option<Claimed>>;

    /// Takes an issue for this machine.
    fn claim(&self, record: Record, terms: &Terms) -> Result<Claimed>;

    /// Confirms a claim before an outside effect and lengthens its lease; [`lost`] if the token is not the
    /// holder's any more.
    fn renew(&self, number: u64, token: &str) -> Result<Record>;

    /// Queues a failed issue again; the branch stays. `change` may change more of the record, or refuse.
    fn again(
        &self,
        number: u64,
        terms: &Terms,
        why: &str,
        change: &mut dyn FnMut(&mut Record) -> Result<()>,
    ) -> Result<Record>;

    /// Queues a failed issue again, with all its attempts. `change` may change more of the record, or refuse.
    fn retry(
        &self,
        number: u64,
        terms: &Terms,
        change: &mut dyn FnMut(&mut Record) -> Result<()>,
    ) -> Result<Record> {
        self.again(number, terms, "queued again by the operator", &mut |record| {
            if let Some(claim) = &mut record.claim {
                claim.attempt = 1;
            }
            if let Some(rounds) = &mut record.rounds {
                rounds.attempts_before = 0;
            }
            change(record)
        })
    }

    /// Claims a completed issue once more, whose change was taken back: with a branch of its own, as if it had never been
    /// worked on. `change` may change more of the record, or refuse.
    fn anew(
        &self,
        number: u64,
        terms: &Terms,
        why: &str,
        change: &mut dyn FnMut(&mut Record) -> Result<()>,
    ) -> Result<Record>;

    /// Gives up the claim of an issue that nobody works on; the record goes to the archive.
    fn release(&self, number: u64) -> Result<Record>;
}

/// The place that the configuration chooses.
pub fn of(loaded: &Loaded, state: &State) -> Box<dyn Claims> {
    match loaded.config.claims.backend {
        Backend::Local => Box::new(Local::new(state.clone(), loaded.config.claims.lease_minutes)),
    }
}

/// The terms that the configuration sets.
pub fn terms(loaded: &Loaded, environment: &Environment) -> Result<Terms> {
    Ok(Terms {
        capacity: loaded.config.capacity(),
        max_unreviewed: loaded.config.queue.max_unreviewed.map(|most| most as usize),
        avoid_overlap: loaded.config.queue.avoid_overlap,
        changed: BTreeMap::new(),
        workspaces: loaded.workspaces(environment)?,
        base: loaded.config.git.base.clone(),
        lease_minutes: loaded.config.claims.lease_minutes,
    })
}

/// The error for a claim that is not the caller's any more.
pub fn lost(number: u64) -> Error {
    Error::new(Kind::NotPermitted, format!("lost-claim: issue #{number} is no longer held by this claim"))
        .hint("nothing was touched; cq-status shows who holds it")
}

/// Changes a record in the name of a claim; [`lost`] if the claim is not its holder any more.
pub fn update(
    state: &State,
    claim: &Claim,
    number: u64,
    change: impl FnOnce(&mut Record) -> Result<()>,
) -> Result<Record> {
    state.update(number, |record| {
        if record.claimed()?.token != claim.token {
            return Err(lost(number));
        }
        change(record)
    })
}

/// `claude/issue-<number>-<UTC yyyymmddhhmmss>`, as the design document has it.
pub fn branch_name(number: u64, at: Timestamp) -> String {
    format!("{}{}", branches_of(number), at.format("%Y%m%d%H%M%S"))
}

/// How the names of an issue's branches begin, whoever claimed it.
pub fn branches_of(number: u64) -> String {
    format!("claude/issue-{number}-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::record::{Issue, Rounds, Status};

    /// Not those of earlier rounds on top of them.
    #[test]
    fn a_retry_has_all_its_attempts_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::Fixed("2026-01-01T00:00:00Z".parse().unwrap());
        let local = Local::new(State::at(folder.path().join(".cq"), clock, "cq-claim"), 10);
        let terms = Terms { capacity: 1, workspaces: folder.path().join("w"), ..Terms::default() };
        local.claim(Record::new("o/r", 1, Issue::default()), &terms).unwrap();
        let state = State::at(folder.path().join(".cq"), clock, "cq-gate");
        let failed = |record: &mut Record| {
            record.status = Some(Status::Failed);
            record.rounds = Some(Rounds { review: 1, attempts_before: 4, ..Rounds::default() });
            Ok(())
        };
        state.update(1, failed).unwrap();
        let record = local.retry(1, &terms, &mut |_| Ok(())).unwrap();
        assert_eq!((record.claimed().unwrap().attempt, record.attempts_in_all(3)), (1, 3));
        assert_eq!(record.rounds.unwrap().review, 1, "rounds stay bounded");
    }

    #[test]
    fn branches_are_named_as_the_design_document_says() {
        assert_eq!(
            branch_name(123, "2025-08-01T14:30:22Z".parse().unwrap()),
            "claude/issue-123-20250801143022"
        );
    }
}
