//! One pull request for each issue, however many machines work at it.
//!
//! A branch goes to GitHub together with `refs/cq/pulls/ISSUE`, both or neither, and only where that ref is still what was
//! seen there: so of two machines with the same issue one pushes. The ref points to a commit of nothing whose message is
//! the claim that it is held for, always the same for the same claim. It is let go when the pull request is over and its
//! workspace is cleaned up. That of another claim is taken over where nothing can come of it any more.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::delivery::Delivering;
use super::{OURS, fail};
use crate::clock::Timestamp;
use crate::digest::sha256;
use crate::error::{Error, Kind, OrFail, Result};
use crate::git::{Identity, PrivateGit, Remote};
use crate::github::pulls;
use crate::record::{Claim, Outcome, PullRequest, Record};
use crate::sanitize;
use crate::state::events::Event;
use crate::state::{durable, make_private};

/// Names of machines are no longer than this; what a stranger calls one may be.
const MOST_OF_A_HOST: usize = 64;

/// What the commit says.
#[derive(Debug, Serialize, Deserialize)]
struct Statement {
    cq: u32,
    issue: u64,
    branch: String,
    host: String,
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
            host: claim.host.clone(),
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

/// Decides from the pull request of the holder's branch, from whether the holder is an earlier claim of this very state,
/// and from how long the ref has been seen unchanged: by this machine's clock, because the other's may be wrong.
fn decide(pull: Option<&PullRequest>, is_ours: bool, unchanged: TimeDelta, lease: TimeDelta) -> Next {
    match pull.map(|pull| pull.state.as_str()) {
        Some("merged") if is_ours => Next::Take,
        Some("open" | "merged") => Next::Lost,
        Some(_) => Next::Take,
        None if is_ours || unchanged >= lease => Next::Take,
        None => Next::Wait,
    }
}

/// When the ref of an issue was first seen as it is.
#[derive(Debug, Serialize, Deserialize)]
struct Seen {
    oid: String,
    since: Timestamp,
}

impl Delivering<'_> {
    /// Whether the ref that `holder` stands for may be taken over: an error where it may not, and where another machine has
    /// delivered the record has failed.
    pub(super) fn outdo(&self, record: &Record, remote: &Remote, name: &str, holder: &str) -> Result<()> {
        let (session, number) = (self.session, record.number);
        let stated = self.private.stated_there(remote, name, holder)?;
        let known = stated.as_deref().and_then(|text| serde_json::from_str::<Statement>(text).ok());
        let Some(rival) = known.filter(|one| one.cq == 1 && one.issue == number && is_branch(&one.branch))
        else {
            let message = format!("{name} of {} is not one that cq understands", record.repo);
            let hint = format!("if nobody needs it: git push {} :{name}", remote.address);
            return Err(self.lose(record, &message)?.hint(hint));
        };
        let host = sanitize::line(&rival.host).into_owned();
        let (host, branch) = (sanitize::clip(&host, MOST_OF_A_HOST), &rival.branch);
        let pull = pulls::latest_of(&self.client, &record.repo, branch)?;
        let lease = TimeDelta::minutes(session.loaded.config.claims.lease_minutes.into());
        let unchanged = session.clock.now() - self.seen_since(number, holder)?;
        match decide(pull.as_ref(), self.was_ours(number, &rival)?, unchanged, lease) {
            Next::Take => {
                session.note(&format!(
                    "issue #{number}: takes over from '{branch}' of {host}, which came to nothing"
                ));
                Ok(())
            }
            Next::Wait => {
                let message =
                    format!("issue #{number}: {host} is opening a pull request for it, from '{branch}'");
                let minutes = lease.num_minutes();
                Err(Error::new(Kind::TryAgain, message).hint(format!(
                    "run cq-pr again later; what has not come to a pull request after {minutes} minutes is taken over"
                )))
            }
            Next::Lost => {
                let (pull, state) = pull.map_or((0, String::new()), |pull| (pull.number, pull.state));
                let why = format!("{host} has pull request #{pull} for it, which is {state}");
                let hint = format!(
                    "nothing was pushed; the branch is kept. If this machine's work is wanted instead: close #{pull}, \
                     then cq-claim --retry {number}"
                );
                Err(self.lose(record, &why)?.hint(hint))
            }
        }
    }

    /// The moment from which this machine has seen the ref as it is. A moment that is forgotten costs a wait.
    fn seen_since(&self, number: u64, oid: &str) -> Result<Timestamp> {
        let now = self.session.clock.now();
        let Some(folder) = self.session.state.cache().map(|cache| cache.join("reservations")) else {
            return Ok(now);
        };
        let file = folder.join(format!("{number}.json"));
        let known: Option<Seen> = durable::read(&file)?.and_then(|text| serde_json::from_str(&text).ok());
        if let Some(known) = known.filter(|known| known.oid == oid) {
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

    /// The record has lost its claim; gives the error that says so.
    fn lose(&self, record: &Record, why: &str) -> Result<Error> {
        let (session, number) = (self.session, record.number);
        let lost = format!("lost-claim: {why}");
        fail(session, record, Outcome::LostClaim, &lost)?;
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
        // The pull request of the holder's branch, whether the holder was a claim of this state, minutes unchanged.
        let cases = [
            (Some("open"), false, 0, Next::Lost),
            (Some("open"), false, 99, Next::Lost),
            (Some("open"), true, 99, Next::Lost),
            (Some("merged"), false, 99, Next::Lost),
            (Some("merged"), true, 0, Next::Take),
            (Some("closed"), false, 0, Next::Take),
            (None, true, 0, Next::Take),
            (None, false, 9, Next::Wait),
            (None, false, 10, Next::Take),
        ];
        for (state, is_ours, minutes, expected) in cases {
            let pull = state.map(|state| {
                let text = format!(r#"{{"number":7,"url":"u","head_sha":"s","state":"{state}"}}"#);
                serde_json::from_str(&text).unwrap()
            });
            let found = decide(pull.as_ref(), is_ours, TimeDelta::minutes(minutes), lease);
            assert_eq!(found, expected, "{state:?} {is_ours} {minutes}");
        }
    }

    #[test]
    fn what_a_stranger_wrote_is_no_branch() {
        assert!(is_branch("claude/issue-7-20260131093000"));
        for name in [
            "main",
            "claude/a b",
            "claude/a&state=open",
            "claude/\u{1b}[2J",
            &format!("{OURS}{}", "a".repeat(300)),
        ] {
            assert!(!is_branch(name), "{name}");
        }
    }
}
