//! What follows from the end of a run: the evidence is completed from the repository, judged, and written down.

use super::follow;
use crate::agent::events::Final;
use crate::agent::evidence::{self, Evidence};
use crate::agent::profile::Agent;
use crate::claims;
use crate::error::{Error, Kind, Result};
use crate::git::Identity;
use crate::pipeline::workspace::{self, Paths};
use crate::record::retry::Next;
use crate::record::{Outcome, Record, Run, Status};
use crate::sanitize;
use crate::session::Session;
use crate::state::events::Event;

/// The agent's last words, in the record: at most so many characters.
const LONGEST_SUMMARY: usize = 4_000;

/// Ends a run. Where its supervisor is gone, `evidence` is empty and the output is read again.
pub(crate) fn conclude(session: &Session, record: &Record, mut evidence: Evidence) -> Result<Record> {
    // A label that came or went since does not change who ran.
    let ran = record.run.as_ref().and_then(|run| run.agent.as_deref());
    let agent = Agent::for_record(&session.loaded.config, record, ran)?;
    let mut told = follow::Reread::default();
    if evidence.last.is_none() {
        told = follow::read_again(session, record, agent.parser);
        evidence.last = told.last.take();
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
            follow::note_session(run, told.session_id.as_deref(), agent.session);
            follow::note_use(run, &told.so_far);
            follow::count(run, evidence.last.as_ref());
            run.resumable = run.resumable && !is_lost(run, outcome, evidence.last.as_ref());
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

/// Whether the next run had better begin a session of its own: the client does not know this one (it ended before any
/// turn, with nobody else to blame), or the API refuses what has been said in it.
fn is_lost(run: &Run, outcome: Outcome, last: Option<&Final>) -> bool {
    let nothing_said = run.turns.unwrap_or_default() == 0;
    let blameless = matches!(outcome, Outcome::UsageLimit | Outcome::Auth | Outcome::Cancelled);
    let refused = last.and_then(|last| last.api_error_status);
    (run.resumed && nothing_said && !blameless) || matches!(refused, Some(400 | 413))
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
