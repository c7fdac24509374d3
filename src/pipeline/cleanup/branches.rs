//! What a claim leaves once its pull request is merged or closed: the branch on GitHub, the ref that kept the issue for it,
//! and the branch here that was kept for it meanwhile.

use std::path::Path;

use super::{Cleared, departure, rescues};
use crate::error::{Kind, Result};
use crate::git::{RefChange, Repository, branch_ref};
use crate::github::pulls;
use crate::pipeline::pull_request::OURS;
use crate::pipeline::pull_request::reservation::Reservation;
use crate::pipeline::rescue::{self, GitPlace, Source};
use crate::pipeline::workspace::Paths;
use crate::record::{Claim, Cleaned, Extra, Record, RemoteBranch, Status};
use crate::session::Session;
use crate::state::Change;
use crate::state::events::Event;

/// The branch that may go, and the commit that cq pushed there.
pub(super) fn wanted(record: &Record) -> Option<(&str, &str)> {
    let (claim, pull) = (record.claim.as_ref()?, record.pull_request.as_ref()?);
    let done = record.cleaned.as_ref().is_some_and(|cleaned| cleaned.pull_request == pull.number);
    let over = matches!(pull.state.as_str(), "merged" | "closed");
    // What the pull request ends in may be somebody else's by now; this is what cq itself pushed.
    let delivery = record.delivery.as_ref().filter(|delivery| delivery.branch == claim.branch)?;
    (over && is_ours(claim) && !done).then_some((&claim.branch, &delivery.sha))
}

fn is_ours(claim: &Claim) -> bool {
    claim.branch.starts_with(OURS) && claim.branch != claim.base
}

/// Whether an issue was tried again since, and has its branch again.
pub(super) fn is_needed_again(session: &Session, record: &Record) -> Result<bool> {
    let token = &record.claimed()?.token;
    Ok(session.state.get(record.number)?.is_some_and(|now| {
        let same = now.claim.is_some_and(|now| now.token == *token);
        same && !now.status.is_some_and(|status| status.is_final() || status == Status::PrReady)
    }))
}

/// Whether somebody else has the branch checked out, and is told that it stays; `but` is the administrative folder of the
/// worktree that goes.
pub(super) fn is_in_hand(
    session: &Session,
    repository: &Repository,
    record: &Record,
    but: Option<&Path>,
) -> Result<bool> {
    let branch = &record.claimed()?.branch;
    let Some(checkout) = repository.user_of(branch, but) else { return Ok(false) };
    let left = format!("'{branch}' is checked out in '{}', and is left there", checkout.display());
    session.note(&format!("issue #{}: {left}; git branch -D removes it once it is not", record.number));
    Ok(true)
}

/// Deletes the branch in the clone that stayed for an open pull request when its workspace went, once that is over. Commits
/// that are nowhere else are rescued first.
pub(super) fn delete_here(session: &Session, record: &Record) -> Result<Cleared> {
    let (claim, number) = (record.claimed()?, record.number);
    let goes = departure::branch_goes(record) && is_ours(claim) && !is_needed_again(session, record)?;
    let (repository, private) = session.git()?;
    let name = branch_ref(&claim.branch);
    let (Some(head), Some(base), true) = (repository.resolve(&name)?, private.known_base(&claim.base)?, goes)
    else {
        return Ok(Cleared::default());
    };
    if is_in_hand(session, &repository, record, None)? {
        return Ok(Cleared::default());
    }
    let known = rescues::of_claim(session, record)?;
    let known = known.map(|name| repository.resolve(&name)).transpose()?.flatten();
    let known = known.map(|sha| private.parents(&sha)).transpose()?.unwrap_or_default();
    let rescued = if known.first() == Some(&head) {
        None
    } else {
        let mut based = record.clone();
        based.claim = Some(Claim { base_sha: Some(base), ..claim.clone() });
        let source = Source {
            record: &based,
            attempt: rescue::attempt_of_work(record)?,
            // The same in each turn, should this one be killed before the branch is gone.
            at: record.history.last().map_or(claim.claimed_at, |last| last.at),
            workspace: &session.state.dir().join("leaving").join(&claim.token),
            worktree: Paths::name_of(&record.repo).as_ref(),
            head: Some(&head),
            whole: true,
            git: GitPlace::Unknown,
        };
        rescue::keep(session, &source, &repository, &private)?
    };
    // A rescue takes its time.
    if is_needed_again(session, record)? {
        return Ok(Cleared { rescued, ..Cleared::default() });
    }
    repository.delete_ref(&name, &head)?;
    session.detail(&format!("issue #{number}: '{}' is not needed any more", claim.branch));
    Ok(Cleared { rescued, branch: Some(claim.branch.clone()), ..Cleared::default() })
}

/// Deletes it, if it still ends in what cq pushed, lets the issue go, and notes what became of the branch; gives nothing
/// where there is nothing to do. What may work another time is an error, and is tried again by the next cleanup.
pub(super) fn delete(session: &Session, record: &Record) -> Result<Option<RemoteBranch>> {
    let Some((branch, pushed)) = wanted(record) else { return Ok(None) };
    session.state.refuse_when_stopped()?;
    if is_open_again(session, record)? {
        return Ok(None);
    }
    let seen = match try_delete(session, record, branch, pushed) {
        Err(error) if matches!(error.kind, Kind::Failed | Kind::NotPermitted) => {
            session.complain(&error);
            RemoteBranch::Kept
        }
        seen => seen?,
    };
    let (pull, at) = (record.pull_request.as_ref().map_or(0, |pull| pull.number), session.clock.now());
    let token = |record: &Record| record.claim.as_ref().map(|claim| claim.token.clone());
    session.state.change(record.number, |now| match now {
        Some(mut now) if token(&now) == token(record) => {
            now.cleaned = Some(Cleaned { pull_request: pull, remote_branch: seen, at, extra: Extra::new() });
            Ok((Change::Write(Box::new(now)), ()))
        }
        _ => Ok((Change::Keep, ())),
    })?;
    Ok(Some(seen))
}

/// Whether somebody has opened a closed pull request again since it was looked at. Then the record says so, for
/// cq-pr --sync to look at it, and its branch is needed.
pub(super) fn is_open_again(session: &Session, record: &Record) -> Result<bool> {
    let Some(known) = record.pull_request.as_ref().filter(|pull| pull.state == "closed") else {
        return Ok(false);
    };
    session.state.refuse_when_stopped()?;
    let pull = pulls::look(&session.github()?, &record.repo, known.number)?.pull_request;
    if pull.state != "open" {
        return Ok(false);
    }
    session.state.change(record.number, |now| {
        let Some(mut now) = now.filter(|now| now.pull_request.as_ref() == Some(known)) else {
            return Ok((Change::Keep, ()));
        };
        if let Some(known) = &mut now.pull_request {
            known.state = pull.state;
        }
        Ok((Change::Write(Box::new(now)), ()))
    })?;
    session
        .note(&format!("issue #{}: #{} is open again, and its branch is left", record.number, pull.number));
    Ok(true)
}

fn try_delete(session: &Session, record: &Record, branch: &str, pushed: &str) -> Result<RemoteBranch> {
    let remote = session.remote(&record.repo)?;
    let (_, private) = session.git()?;
    let (full, ours) = (branch_ref(branch), Reservation::of(&private, record)?);
    let names = [full.as_str(), ours.name.as_str()];
    let there = private.there(&remote, &names)?;
    let seen = match there.at(&full) {
        _ if !session.loaded.config.cleanup.delete_remote_branches => RemoteBranch::Kept,
        None => RemoteBranch::Gone,
        Some(there) if there == pushed => RemoteBranch::Deleted,
        Some(_) => {
            let kept = format!("'{branch}' on GitHub has commits that cq did not push, and is left");
            session.note(&format!("issue #{}: {kept}", record.number));
            RemoteBranch::Kept
        }
    };
    let mut goes = Vec::new();
    // Another claim's, on whatever machine, stays.
    if there.at(&ours.name) == Some(ours.oid.as_str()) {
        goes.push((ours.name.as_str(), ours.oid.as_str()));
    }
    if seen == RemoteBranch::Deleted {
        goes.push((full.as_str(), pushed));
    }
    for (name, expected) in goes {
        let change = RefChange { name, to: None, expected: Some(expected) };
        if let Err(error) = private.change_there(&remote, &[change]) {
            // It may be gone all the same, by this command or by somebody else's.
            match private.there(&remote, &names) {
                Ok(there) if there.at(name).is_none() => {}
                _ => return Err(error),
            }
        }
    }
    if seen == RemoteBranch::Deleted {
        let event = Event::about(&session.state, "branch-deleted", record.number);
        session.state.log(&event.with("branch", branch).with("sha", pushed))?;
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Issue;

    #[test]
    fn only_what_cq_pushed_goes_and_only_when_its_pull_request_is_over() {
        let record = |branch: &str, pushed: &str, state: &str, cleaned: &str| {
            let claim = format!(
                r#"{{"token":"t","host":"h","instance":"claude-instance-1","branch":"{branch}","base":"main","attempt":1,
                "claimed_at":"2026-01-01T00:00:00Z","lease_expires_at":"2026-01-01T00:00:00Z"}}"#
            );
            let delivery =
                format!(r#"{{"branch":"{pushed}","sha":"5a","step":"done","at":"2026-01-01T00:00:00Z"}}"#);
            let pull = format!(r#"{{"number":7,"url":"","head_sha":"0b","state":"{state}"}}"#);
            let mut record = Record::new("o/r", 1, Issue::default());
            record.claim = serde_json::from_str(&claim).ok();
            record.delivery = serde_json::from_str(&delivery).ok();
            record.pull_request = serde_json::from_str(&pull).ok();
            record.cleaned = serde_json::from_str(cleaned).ok();
            record
        };
        let seen = |pull: u64| {
            format!(r#"{{"pull_request":{pull},"remote_branch":"kept","at":"2026-01-01T00:00:00Z"}}"#)
        };
        let ours = "claude/issue-1";
        for (branch, pushed, state, cleaned, expected) in [
            (ours, ours, "merged", String::new(), true),
            (ours, ours, "closed", String::new(), true),
            (ours, ours, "merged", seen(6), true),
            (ours, ours, "merged", seen(7), false),
            (ours, ours, "open", String::new(), false),
            (ours, "claude/another", "merged", String::new(), false),
            ("mine", "mine", "merged", String::new(), false),
        ] {
            let record = record(branch, pushed, state, &cleaned);
            let found = wanted(&record);
            assert_eq!(found, expected.then_some((branch, "5a")), "{branch} {pushed} {state} {cleaned}");
        }
    }
}
