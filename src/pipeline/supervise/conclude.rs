//! What follows from the end of a run: the evidence is completed from the repository, judged, and written down.

use super::tampered::tampered;
use super::{allowance, confine, follow, limits, rest};
use crate::agent::budget;
use crate::agent::events::Final;
use crate::agent::evidence::{self, Evidence, Stopped};
use crate::agent::profile::Agent;
use crate::claims;
use crate::clock::Timestamp;
use crate::error::{Error, Kind, Result};
use crate::git::{Identity, branch_ref};
use crate::limits::Group;
use crate::pipeline::workspace::{self, Paths};
use crate::record::retry::{self, End, Rule};
use crate::record::{Extra, Outcome, Question, Record, Run, Status};
use crate::sanitize;
use crate::session::Session;
use crate::state::events::Event;
use crate::state::owner;

/// The agent's last words, in the record: at most so many characters.
const LONGEST_SUMMARY: usize = 4_000;
/// Of its last line, in the reason of an end, so many characters.
const LONGEST_COMPLAINT: usize = 300;

/// Ends a run. Where its supervisor is gone, `evidence` is empty and the output is read again.
pub(crate) fn conclude(session: &Session, record: &Record, mut evidence: Evidence) -> Result<Record> {
    // A label that came or went since does not change who ran.
    let ran = record.run.as_ref().and_then(|run| run.agent.as_deref());
    let agent = Agent::for_record(&session.loaded.config, record, ran)?;
    let mut told = follow::Reread::default();
    // Who followed the run itself has read it.
    if record.run.as_ref().and_then(|run| run.supervisor.as_ref()) != Some(&owner::of_this_process()) {
        told = follow::read_again(session, record, agent.parser);
        evidence.last = evidence.last.or(told.last.take());
    }
    evidence.complaint = complaint(session, record);
    if let Some(found) = tampered(session, record)? {
        evidence.stopped = Some(Stopped::Tampered);
        evidence.detail = Some(found);
    }
    let (mut head, mut base) = (None, None);
    let mut unreadable = None;
    // A repository that cannot be read is no evidence against the agent, but nothing can be pushed from it either.
    match gather(session, record, &agent, &evidence) {
        Ok(found) => {
            (head, base) = (Some(found.head), found.base);
            evidence.commits = found.commits;
        }
        Err(error) => {
            session.complain(&error);
            unreadable = Some(format!("the branch cannot be read: {error}"));
        }
    }
    let (mut outcome, mut why) = evidence::judge(agent.parser, &evidence);
    if let Some(unreadable) = unreadable.filter(|_| outcome == Outcome::NoChange) {
        (outcome, why) = (Outcome::Crashed, unreadable);
    }
    if outcome == Outcome::Success
        && evidence.stopped != Some(Stopped::OverBudget)
        && budget::exceeded(&session.loaded.config, record, evidence.last.as_ref(), None)
    {
        why.push_str("; it cost more than it may");
    }
    let memory = limits::memory_of(record);
    (outcome, why) = memory.judged(outcome, why);
    let why = session.redactor().redact(&sanitize::line(&why)).into_owned();
    let config = &session.loaded.config;
    let attempts = config.queue.retry_attempts;
    let now = session.clock.now();
    // First: whoever starts an agent between this and the record's change would meet the same end.
    let rest = rest::follow(session, outcome, &why, &evidence)?;
    let group = limits::group_of(record);
    let ended = claims::update(&session.state, record.claimed()?, record.number, |record| {
        if record.status != Some(Status::InProgress) {
            return Err(Error::new(Kind::Failed, format!("issue #{} has ended already", record.number)));
        }
        if let Some(claim) = record.claim.as_mut().filter(|_| base.is_some()) {
            claim.base_sha.clone_from(&base);
        }
        if let Some(run) = &mut record.run {
            run.ended_at = Some(now);
            run.exit = evidence.exit;
            run.memory_peak_bytes = memory.peak;
            run.head_sha.clone_from(&head);
            run.commits = head.is_some().then_some(evidence.commits);
            follow::note_session(run, told.session_id.as_deref(), agent.session);
            follow::note_use(run, &told.so_far);
            follow::count(run, evidence.last.as_ref());
            run.resumable = run.resumable && !is_lost(run, outcome, evidence.last.as_ref());
            let said = evidence.last.as_ref().map(Final::text).unwrap_or_default();
            let said = session.redactor().redact(&sanitize::lines(&said)).into_owned();
            run.summary = (!said.is_empty()).then(|| sanitize::clip(&said, LONGEST_SUMMARY).into_owned());
            if let Some(cost) = run.cost_usd {
                record.spent_usd = Some(record.spent_usd.unwrap_or_default() + cost);
            }
        }
        if outcome == Outcome::Success {
            record.outcome = Some(outcome);
            if let Some(claim) = &mut record.claim {
                claim.lease_expires_at = now + super::lease(session);
            }
            return record.transition(Status::Testing, session.command, why.as_str(), now);
        }
        if outcome == Outcome::NeedsInfo {
            record.question = Some(question(record, now));
        }
        let spent = budget::issue_is_spent(config, record);
        let end = match &spent {
            // Nobody pays for another run.
            Some(spent) if matches!(retry::rule(outcome), Rule::Retry | Rule::Rest) => {
                End { outcome: Outcome::OverBudget, because: &format!("{why}; {spent}"), rest }
            }
            _ => End { outcome, because: &why, rest },
        };
        record.end_run(&end, attempts, session.command, now, fastrand::f64()).map(drop)
    });
    group.as_ref().map(Group::remove);
    let ended = ended?;
    // What could not be forgotten is when the instance's next run begins.
    if let Err(error) = workspace::guard::close(session, record) {
        session.complain(&error);
    }
    allowance::book(session, &ended);
    if rest.is_some() {
        let event = Event::about(&session.state, "fleet-rests", record.number).with("why", why);
        session.state.log(&event)?;
    }
    Ok(ended)
}

/// What the agent asks, of its last words in the record.
fn question(record: &Record, at: Timestamp) -> Question {
    let said = record.run.as_ref().and_then(|run| run.summary.as_deref()).unwrap_or_default();
    let text = evidence::question(said).unwrap_or(said).to_owned();
    Question { text, at, url: None, answered_at: None, extra: Extra::new() }
}

/// The last line that an agent wrote to stderr.
fn complaint(session: &Session, record: &Record) -> Option<String> {
    let path = Paths::of(session, record).ok()?.raw_file(record, "stderr.txt");
    let text = workspace::tail(&path)?;
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    Some(sanitize::clip(&sanitize::line(line), LONGEST_COMPLAINT).into_owned())
}

/// Whether the next run had better begin a session of its own: the client does not know this one (it ended before any
/// turn, with nobody else to blame), or the API refuses what has been said in it.
fn is_lost(run: &Run, outcome: Outcome, last: Option<&Final>) -> bool {
    let nothing_said = run.turns.unwrap_or_default() == 0;
    let blameless = matches!(outcome, Outcome::UsageLimit | Outcome::Auth | Outcome::Cancelled);
    let refused = last.and_then(|last| last.api_error_status);
    (run.resumed && nothing_said && !blameless) || matches!(refused, Some(400 | 413))
}

/// What the repository says of a run.
struct Gathered {
    /// The end of the branch.
    head: String,
    /// How far it has the base in it.
    base: Option<String>,
    /// How far it is ahead of that.
    commits: u64,
}

/// The end of the branch, of its base and how far it is ahead, once leftovers are committed where the profile says so.
fn gather(session: &Session, record: &Record, agent: &Agent, evidence: &Evidence) -> Result<Gathered> {
    let (repository, private) = session.git()?;
    confine::collect(session, record, &repository, &private)?;
    let mut head = workspace::head_of(&repository, record)?;
    let claim = record.claimed()?;
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
        let committed = private.commit_all(&paths.worktree, &head, &message, &by)?;
        if let Some(sha) = committed.as_ref().filter(|_| workspace::is_clone(record, &paths)) {
            workspace::quarantine_of_clone(&paths).advance(&private, &claim.branch, sha)?;
            confine::collect(session, record, &repository, &private)?;
            head.clone_from(sha);
        } else if let Some(sha) = committed {
            repository.set_ref(&branch_ref(&claim.branch), &sha)?;
            let git_dir = repository.git_dir_of(&paths.worktree)?;
            private.refresh_index(&git_dir.join("index"), &sha)?;
            head = sha;
        }
    }
    let base = match &claim.base_sha {
        Some(known) => Some(private.base_within(&claim.base, known, &head)?),
        None => None,
    };
    let commits = private.commits_ahead(base.as_ref().unwrap_or(&head), &head)?;
    Ok(Gathered { head, base, commits })
}
