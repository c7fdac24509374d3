//! One pull request for each issue, however many machines work at it.
//!
//! A branch goes to GitHub together with `refs/cq/pulls/ISSUE`, both or neither, and only where that ref is still what was
//! seen there: so of two machines with the same issue one pushes. The ref points to a commit of nothing whose message is
//! the claim that it is held for, always the same for the same claim. It is let go when the pull request is over and its
//! workspace is cleaned up.
//!
//! That of another claim is taken over where nothing can come of it any more. As that is a guess, the other's branch goes in
//! the same push: without it GitHub opens no pull request, whenever a command that was slow, or slept, asks for one. What
//! the branch held is kept as `refs/cq/superseded/ISSUE/COMMIT`.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::delivery::Delivering;
use super::{OURS, fail};
use crate::claims::branches_of;
use crate::clock::Timestamp;
use crate::digest::sha256;
use crate::error::{Error, Kind, OrFail, Result};
use crate::git::{Identity, PrivateGit, Remote, There, branch_ref};
use crate::github::pulls::{self, Came};
use crate::record::{Claim, Outcome, Record};
use crate::state::events::Event;
use crate::state::{durable, make_private};

/// What the commit says.
#[derive(Debug, Serialize, Deserialize)]
struct Statement {
    cq: u32,
    issue: u64,
    branch: String,
    /// SHA-256 of the claim's token.
    claim: String,
}

/// The ref of an issue, as a claim would have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pipeline) struct Reservation {
    /// Its full name.
    pub(in crate::pipeline) name: String,
    /// The commit that speaks for the claim.
    pub(in crate::pipeline) oid: String,
}

impl Reservation {
    /// That of the record's claim. Nothing leaves this machine.
    pub(in crate::pipeline) fn of(private: &PrivateGit, record: &Record) -> Result<Self> {
        let claim = record.claimed()?;
        let statement = Statement {
            cq: 1,
            issue: record.number,
            branch: claim.branch.clone(),
            claim: sha256(claim.token.as_bytes()),
        };
        let text = serde_json::to_string(&statement).or_fail(Kind::Internal, || "cannot write a claim")?;
        // Not the name of the configuration: it may change, and the commit must not.
        let by = Identity { name: "cq".to_owned(), email: "cq@localhost".to_owned() };
        let oid = private.statement(&text, &by, claim.claimed_at)?;
        Ok(Self { name: format!("refs/cq/pulls/{}", record.number), oid })
    }
}

/// What to do about a ref that another claim holds.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// It is nobody's any more.
    Take,
    /// It is somebody's: look again later.
    Wait,
    /// Another machine has delivered.
    Lost,
}

/// Decides from what the holder's branch has come to, from whether the holder is an earlier claim of this very state, and
/// from how long the ref has been seen unchanged: by this machine's clock, because the other's may be wrong. Who claims an
/// issue after a pull request of it was merged wants another one.
fn decide(
    came: Option<&Came>,
    claimed_at: Timestamp,
    is_ours: bool,
    unchanged: TimeDelta,
    lease: TimeDelta,
) -> Next {
    match came {
        Some(came) if has_delivered(came, claimed_at) => Next::Lost,
        Some(_) => Next::Take,
        None if is_ours || unchanged >= lease => Next::Take,
        None => Next::Wait,
    }
}

/// Whether a pull request makes another one, for a claim of that moment, the second.
fn has_delivered(came: &Came, claimed_at: Timestamp) -> bool {
    match came.state.as_str() {
        "open" => true,
        "merged" => came.merged_at.is_none_or(|at| at >= claimed_at),
        _ => false,
    }
}

/// When the ref of an issue was first seen as it is.
#[derive(Debug, Serialize, Deserialize)]
struct Seen {
    oid: String,
    since: Timestamp,
}

/// What another claim had pushed.
#[derive(Debug)]
pub(super) struct Superseded {
    /// The full name of its branch.
    pub(super) branch: String,
    /// What the branch points to; none where it is gone.
    pub(super) head: Option<String>,
    /// The ref that keeps that, and what it points to by now.
    pub(super) kept: (String, Option<String>),
}

impl Delivering<'_> {
    /// Takes over the ref that `holder` stands for, if it may be: an error where it may not, and where another machine has
    /// delivered the record has failed.
    pub(super) fn supersede(
        &self,
        record: &Record,
        remote: &Remote,
        name: &str,
        holder: &str,
    ) -> Result<Superseded> {
        let (session, number) = (self.session, record.number);
        self.private.get_there(remote, name, holder)?;
        let stated = self.private.stated(holder)?;
        let known = stated.as_deref().and_then(|text| serde_json::from_str::<Statement>(text).ok());
        let Some(rival) = known.filter(|one| one.cq == 1 && one.issue == number && is_branch(&one.branch))
        else {
            let message = format!("{name} of {} is not one that cq understands", record.repo);
            let hint = format!("if nobody needs it: git push {} :{name}", remote.address);
            return Err(self.lose(record, &message)?.hint(hint));
        };
        let branch = &rival.branch;
        let came = pulls::came_of(&self.client, &record.repo, branch)?;
        let lease = TimeDelta::minutes(session.loaded.config.claims.lease_minutes.into());
        let unchanged = session.clock.now() - self.seen_since(number, holder)?;
        let claimed_at = record.claimed()?.claimed_at;
        match decide(came.as_ref(), claimed_at, self.was_ours(number, &rival)?, unchanged, lease) {
            Next::Take => {}
            Next::Wait => {
                let message = format!(
                    "issue #{number}: another machine is opening a pull request for it, from '{branch}'"
                );
                return Err(Error::new(Kind::TryAgain, message).hint(format!(
                    "run cq-pr again later; what has not come to a pull request after {} minutes is taken over",
                    lease.num_minutes()
                )));
            }
            Next::Lost => return Err(self.lose_to(record, came.as_ref())?),
        }
        session.note(&format!("issue #{number}: takes over from '{branch}', which came to nothing"));
        let full = branch_ref(branch);
        let kept = |head: &str| format!("refs/cq/superseded/{number}/{head}");
        let there = self.private.there(remote, &[&full, &kept("*")])?;
        let head = there.at(&full).map(str::to_owned);
        if let Some(head) = &head {
            self.private.get_there(remote, &full, head)?;
        }
        let kept = kept(head.as_deref().unwrap_or_default());
        let now = there.at(&kept).map(str::to_owned);
        Ok(Superseded { branch: full, head, kept: (kept, now) })
    }

    /// Refuses where another branch of cq's has come to a pull request for this issue: whoever pushed it need not know of the
    /// ref, or has let it go.
    pub(super) fn refuse_second(&self, record: &Record, there: &There) -> Result<()> {
        let claim = record.claimed()?;
        for branch in there.branches(&branches_of(record.number)).filter(|branch| *branch != claim.branch) {
            let came = pulls::came_of(&self.client, &record.repo, branch)?;
            if came.as_ref().is_some_and(|came| has_delivered(came, claim.claimed_at)) {
                return Err(self.lose_to(record, came.as_ref())?);
            }
        }
        Ok(())
    }

    /// The moment from which this machine has seen the ref as it is. A moment that is forgotten costs a wait; one that is
    /// still to come is of a clock that was wrong.
    fn seen_since(&self, number: u64, oid: &str) -> Result<Timestamp> {
        let now = self.session.clock.now();
        // A state that cannot be written holds no claim.
        let Some(folder) = self.session.state.cache().map(|cache| cache.join("reservations")) else {
            return Ok(now);
        };
        let file = folder.join(format!("{number}.json"));
        let known: Option<Seen> = durable::read(&file)?.and_then(|text| serde_json::from_str(&text).ok());
        if let Some(known) = known.filter(|known| known.oid == oid && known.since <= now) {
            return Ok(known.since);
        }
        make_private(&folder)?;
        let seen = Seen { oid: oid.to_owned(), since: now };
        let text = serde_json::to_vec(&seen).or_fail(Kind::Internal, || "cannot write what was seen")?;
        durable::replace_cheaply(&file, &text)?;
        Ok(now)
    }

    /// Whether it was a claim of this state, and has ended.
    fn was_ours(&self, number: u64, rival: &Statement) -> Result<bool> {
        let is_it = |claim: &Claim| sha256(claim.token.as_bytes()) == rival.claim;
        Ok(self.session.state.archived(number)?.iter().any(|record| record.claim.as_ref().is_some_and(is_it)))
    }

    /// The record has lost its claim to what another branch has come to; gives the error that says so.
    fn lose_to(&self, record: &Record, came: Option<&Came>) -> Result<Error> {
        let number = record.number;
        let (pull, state) = came.map_or((0, ""), |came| (came.number, came.state.as_str()));
        let (why, next) = if state == "merged" {
            (format!("another machine's pull request #{pull} for it was merged"), String::new())
        } else {
            let next =
                format!("; if this work is wanted instead, close #{pull}, then cq-claim --retry {number}");
            (format!("another machine has opened pull request #{pull} for it"), next)
        };
        let error = self.lose(record, &why)?;
        Ok(error.hint(format!("nothing was pushed, and the branch is kept{next}")))
    }

    /// The record has lost its claim; gives the error that says so.
    fn lose(&self, record: &Record, why: &str) -> Result<Error> {
        let (session, number) = (self.session, record.number);
        fail(session, record, Outcome::LostClaim, why)?;
        session.state.log(&Event::about(&session.state, "lost-claim", number).with("why", why))?;
        Ok(Error::new(Kind::NotPermitted, format!("lost-claim: issue #{number}: {why}")))
    }
}

/// Whether it can be the name of a branch of cq: what a stranger wrote goes into a request and onto the screen.
fn is_branch(name: &str) -> bool {
    name.starts_with(OURS)
        && name.len() < 256
        && name.chars().all(|char| char.is_ascii_alphanumeric() || "/-_.".contains(char))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ref_is_taken_over_where_nothing_can_come_of_it_any_more() {
        let lease = TimeDelta::minutes(10);
        let claimed_at: Timestamp = "2026-01-31T09:30:00Z".parse().unwrap();
        let (before, after) = (claimed_at - lease, claimed_at + lease);
        // The pull request of the holder's branch, whether the holder was a claim of this state, minutes unchanged.
        let cases = [
            (Some(("open", None)), false, 0, Next::Lost),
            (Some(("open", None)), true, 99, Next::Lost),
            (Some(("merged", Some(after))), false, 99, Next::Lost),
            (Some(("merged", Some(after))), true, 99, Next::Lost),
            (Some(("merged", None)), false, 99, Next::Lost),
            (Some(("merged", Some(before))), false, 0, Next::Take),
            (Some(("closed", None)), false, 0, Next::Take),
            (None, true, 0, Next::Take),
            (None, false, 9, Next::Wait),
            (None, false, 10, Next::Take),
        ];
        for (came, is_ours, minutes, expected) in cases {
            let came = came.map(|(state, merged_at)| Came { number: 7, state: state.to_owned(), merged_at });
            let found = decide(came.as_ref(), claimed_at, is_ours, TimeDelta::minutes(minutes), lease);
            assert_eq!(found, expected, "{came:?} {is_ours} {minutes}");
        }
    }

    #[test]
    fn what_a_stranger_wrote_is_no_branch() {
        assert!(is_branch("claude/issue-7-20260131093000"));
        let long = format!("{OURS}{}", "a".repeat(300));
        for name in ["main", "claude/a b", "claude/a&state=open", "claude/\u{1b}[2J", &long] {
            assert!(!is_branch(name), "{name}");
        }
    }
}
