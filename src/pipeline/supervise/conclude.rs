//! What follows from the end of a run: the evidence is completed from the repository, judged, and written down.

use super::follow;
use crate::agent::events::Final;
use crate::agent::evidence::{self, Evidence, Stopped};
use crate::agent::profile::Agent;
use crate::claims;
use crate::error::{Error, Kind, Result};
use crate::git::Identity;
use crate::pipeline::workspace::{self, Paths, guard};
use crate::record::retry::Next;
use crate::record::{Outcome, Record, Status};
use crate::sanitize;
use crate::session::Session;
use crate::state::events::Event;

/// Of the changes to the repository, so many are named.
const MOST_CHANGES: usize = 6;
/// The agent's last words, in the record: at most so many characters.
const LONGEST_SUMMARY: usize = 4_000;

/// Ends a run. Where its supervisor is gone, `evidence` is empty and the output is read again.
pub(crate) fn conclude(session: &Session, record: &Record, mut evidence: Evidence) -> Result<Record> {
    let agent = Agent::configured(&session.loaded.config)?;
    if evidence.last.is_none() {
        evidence.last = follow::last_word(session, record, agent.parser);
    }
    let tampered = tampered(session, record)?;
    if tampered.is_some() {
        evidence.stopped = Some(Stopped::Tampered);
    }
    let mut head = None;
    // A repository that cannot be read is no evidence against the agent, but nothing can be pushed from it either.
    match gather(session, record, &agent, &evidence) {
        Ok((sha, commits)) => {
            head = Some(sha);
            evidence.commits = commits;
        }
        Err(error) => session.complain(&error),
    }
    let (mut outcome, mut why) = evidence::judge(agent.parser, &evidence);
    if head.is_none() && outcome == Outcome::NoChange {
        (outcome, why) = (Outcome::Crashed, "the branch cannot be read".to_owned());
    }
    if let Some(found) = tampered {
        why = found;
    }
    let why = session.redactor().redact(&sanitize::line(&why)).into_owned();
    let attempts = session.loaded.config.queue.retry_attempts;
    let now = session.clock.now();
    let mut next = None;
    let ended = claims::update(&session.state, record.claimed()?, record.number, |record| {
        if record.status != Some(Status::InProgress) {
            return Err(Error::new(Kind::Failed, format!("issue #{} has ended already", record.number)));
        }
        if let Some(run) = &mut record.run {
            run.ended_at = Some(now);
            run.exit = evidence.exit;
            run.head_sha.clone_from(&head);
            run.commits = head.is_some().then_some(evidence.commits);
            follow::count(run, evidence.last.as_ref());
            let said = evidence.last.as_ref().map(Final::text).unwrap_or_default();
            let said = session.redactor().redact(&sanitize::lines(&said)).into_owned();
            run.summary = (!said.is_empty()).then(|| sanitize::clip(&said, LONGEST_SUMMARY).into_owned());
        }
        if outcome == Outcome::Success {
            record.outcome = Some(outcome);
            if let Some(claim) = &mut record.claim {
                claim.lease_expires_at = now + super::lease(session);
            }
            return record.transition(Status::Testing, session.command, why.as_str(), now);
        }
        next = Some(record.end_attempt(outcome, &why, attempts, session.command, now, fastrand::f64())?);
        Ok(())
    })?;
    if let Some(Next::Park(until)) = next {
        session.state.rest_until(until, &why)?;
        let event = Event::about(&session.state, "fleet-rests", record.number).with("why", why);
        session.state.log(&event)?;
    }
    Ok(ended)
}

/// Looks whether the repository around the worktree is as it was, puts back what is not, and says what that was.
/// Where it cannot be compared or put back, nothing that came of the run is to be trusted either.
fn tampered(session: &Session, record: &Record) -> Result<Option<String>> {
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

/// The end of the branch and how far it is ahead, once leftovers are committed where the profile says so.
fn gather(session: &Session, record: &Record, agent: &Agent, evidence: &Evidence) -> Result<(String, u64)> {
    let (repository, private) = session.git()?;
    let mut head = workspace::head_of(&repository, record)?;
    let claim = record.claimed()?;
    let base = claim.base_sha.clone().unwrap_or_else(|| head.clone());
    let paths = Paths::of(session, record)?;
    // Only of an agent that says it is done; after any other end the next attempt finds its files as they were.
    let done =
        evidence::judge(agent.parser, &Evidence { commits: 1, ..evidence.clone() }).0 == Outcome::Success;
    if agent.commit_leftovers && done && paths.worktree.is_dir() {
        let git = &session.loaded.config.git;
        let by = Identity { name: git.author_name.clone(), email: git.author_email.clone() };
        let message = format!(
            "Work on #{}\n\nCommitted by cq: the agent left these changes uncommitted.\n",
            record.number
        );
        if let Some(sha) = private.commit_all(&paths.worktree, &head, &message, &by)? {
            repository.set_ref(&format!("refs/heads/{}", claim.branch), &sha)?;
            let git_dir = repository.git_dir_of(&paths.worktree)?;
            private.refresh_index(&git_dir.join("index"), &sha)?;
            head = sha;
        }
    }
    let commits = private.commits_ahead(&base, &head)?;
    Ok((head, commits))
}
