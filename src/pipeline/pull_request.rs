//! `cq-pr`: push the branch, open the pull request, once.
//!
//! Look before each step, so that any of them can be repeated: a branch that is there already is not pushed, a
//! pull request that is there already is adopted.

use std::collections::BTreeMap;

use super::workspace;
use crate::agent::prompt;
use crate::agent::templates::PULL_REQUEST;
use crate::claims;
use crate::clock::span;
use crate::error::{Error, Kind, Result, Tally};
use crate::git::{PrivateGit, Repository};
use crate::github::pulls::{self, Proposal};
use crate::record::{GateVerdict, Outcome, PullRequest, Record, Status};
use crate::sanitize;
use crate::session::Session;
use crate::state::events::Event;

/// Only branches below this are ever pushed.
const OURS: &str = "claude/";
/// GitHub's limit for a title, in characters.
const LONGEST_TITLE: usize = 256;

/// Opens pull requests for what comes in.
pub fn run(session: &Session, dry_run: bool, records: impl Iterator<Item = Result<Record>>) -> Result<Tally> {
    session.state.refuse_when_stopped()?;
    let mut output = session.records();
    let tally = session.for_each(records, |wanted| {
        if let Some(record) = one(session, dry_run, &wanted)? {
            output.record(&record)?;
        }
        Ok(())
    })?;
    output.finish()?;
    Ok(tally)
}

fn one(session: &Session, dry_run: bool, wanted: &Record) -> Result<Option<Record>> {
    let (_lock, record) = super::hold(session, wanted)?;
    let number = record.number;
    match record.status {
        Some(Status::Testing) => {}
        Some(Status::PrReady | Status::Completed) => return Ok(Some(record)),
        status => {
            let status = status.map_or("unclaimed", Status::name);
            session.note(&format!("issue #{number} is {status}: no pull request is opened"));
            return Ok(None);
        }
    }
    let (repository, private) = session.git()?;
    let head = workspace::head_of(&repository, &record)?;
    refuse_unfit(session, &record, &private, &head)?;
    let proposal = propose(session, &record, &private, &head)?;
    if dry_run {
        session.note(&format!("would push '{}' and open '{}'", proposal.head, proposal.title));
        return Ok(Some(record));
    }
    session.needs_token("open a pull request")?;
    // The claim is confirmed before anything outside this machine changes.
    session.claims().renew(number, &record.claimed()?.token)?;
    push(session, &record, &repository, &private, &head)?;
    let pull_request = open(session, &record, &proposal)?;
    let record = write_down(session, &record, pull_request)?;
    Ok(Some(record))
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

fn push(
    session: &Session,
    record: &Record,
    repository: &Repository,
    private: &PrivateGit,
    head: &str,
) -> Result<()> {
    let branch = &record.claimed()?.branch;
    let remote = session.remote(&record.repo)?;
    let there = private.remote_head(&remote, branch)?;
    if there.as_deref() == Some(head) {
        return Ok(());
    }
    // Only what cq itself pushed may be replaced: an earlier attempt, still in the repository.
    if let Some(there) = &there
        && repository.resolve(there)?.is_none()
    {
        let message = format!("issue #{}: somebody else has pushed to '{branch}'", record.number);
        return Err(
            Error::new(Kind::Failed, message).hint("look at the branch on GitHub; cq does not overwrite it")
        );
    }
    private.push(&remote, head, branch, there.as_deref())?;
    let event =
        Event::about(&session.state, "push", record.number).with("branch", branch.as_str()).with("sha", head);
    session.state.log(&event)
}

fn open(session: &Session, record: &Record, proposal: &Proposal) -> Result<PullRequest> {
    let client = session.github()?;
    let pull_request = match pulls::of_branch(&client, &record.repo, &proposal.head)? {
        Some(there) => there,
        None => pulls::open(&client, &record.repo, proposal)?,
    };
    pulls::add_labels(
        &client,
        &record.repo,
        pull_request.number,
        &session.loaded.config.pull_request.labels,
    )?;
    let event = Event::about(&session.state, "pull-request", record.number)
        .with("number", pull_request.number)
        .with("url", pull_request.url.as_str());
    session.state.log(&event)?;
    Ok(pull_request)
}

fn write_down(session: &Session, record: &Record, pull_request: PullRequest) -> Result<Record> {
    claims::update(&session.state, record.claimed()?, record.number, |record| {
        let why = pull_request.url.clone();
        record.pull_request = Some(pull_request);
        record.outcome = Some(Outcome::Success);
        record.transition(Status::PrReady, session.command, why, session.clock.now())
    })
}

/// Title and body.
fn propose(session: &Session, record: &Record, private: &PrivateGit, head: &str) -> Result<Proposal> {
    let claim = record.claimed()?;
    let base = claim.base_sha.as_deref().unwrap_or(&claim.base);
    let workspaces = session.loaded.workspaces(&session.environment)?;
    let run = record.run.clone().unwrap_or_default();
    let list =
        |lines: Vec<String>| lines.iter().map(|line| format!("- {line}")).collect::<Vec<_>>().join("\n");
    let subjects = private.subjects(base, head)?.iter().map(|subject| harmless(subject)).collect();
    let duration = run.started_at.zip(run.ended_at).map_or(0, |(from, to)| (to - from).num_seconds());
    let values = BTreeMap::from([
        ("issue_number", record.number.to_string()),
        ("issue_title", harmless(&record.issue.title)),
        ("repository", record.repo.clone()),
        ("branch_name", claim.branch.clone()),
        ("base_branch", claim.base.clone()),
        ("summary", harmless(run.summary.as_deref().unwrap_or("The agent left no summary."))),
        ("commits", list(subjects)),
        ("diff_stat", private.diff_stat(base, head)?.replace("```", "'''")),
        ("checks", checks(record)),
        ("tree", record.gates.as_ref().map_or_else(String::new, |gates| gates.tree.clone())),
        ("agent", run.agent.clone().unwrap_or_else(|| "unknown".to_owned())),
        ("attempt", claim.attempt.to_string()),
        ("turns", run.turns.map_or_else(|| "an unknown number of".to_owned(), |turns| turns.to_string())),
        ("duration", span(duration)),
        ("cost", run.cost_usd.map_or_else(|| "cost unknown".to_owned(), |cost| format!("US$ {cost:.2}"))),
    ]);
    let body = prompt::render(PULL_REQUEST.name, &PULL_REQUEST.read(&workspaces)?, &values)?;
    let title = format!("{} (#{})", sanitize::line(&record.issue.title), record.number);
    let redactor = session.redactor();
    Ok(Proposal {
        title: sanitize::clip(&redactor.redact(&title), LONGEST_TITLE).into_owned(),
        body: redactor.redact(&body).into_owned(),
        head: claim.branch.clone(),
        base: claim.base.clone(),
        draft: session.loaded.config.pull_request.draft,
    })
}

/// Text of an agent or an issue in a pull request: nothing hidden, and nobody is called by `@name`.
fn harmless(text: &str) -> String {
    sanitize::lines(text).replace('@', "@\u{2060}")
}

/// What was checked, honestly: nothing is called checked that was not.
fn checks(record: &Record) -> String {
    let checks = record.gates.as_ref().map(|gates| gates.checks.as_slice()).unwrap_or_default();
    if checks.is_empty() {
        return "Nothing: no checks are configured (`qualityGates`).".to_owned();
    }
    let row = |check: &crate::record::Check| {
        let said = match check.verdict {
            GateVerdict::Passed => "passed",
            GateVerdict::Failed => "failed",
            GateVerdict::Unevaluated => "could not run",
        };
        format!("| {} | `{}` | {said} | {:.1} s |", check.name, check.command.join(" "), check.seconds)
    };
    let rows: Vec<String> = checks.iter().map(row).collect();
    format!("| check | command | result | took |\n|---|---|---|---|\n{}", rows.join("\n"))
}

/// `--sync`: what became of open pull requests.
pub fn sync(session: &Session, numbers: &[u64], dry_run: bool) -> Result<Tally> {
    session.state.refuse_when_stopped()?;
    let client = session.github()?;
    let records = session.state.in_flight(|error| session.complain(&error))?;
    let wanted = records.into_iter().filter(|record| {
        record.status == Some(Status::PrReady) && (numbers.is_empty() || numbers.contains(&record.number))
    });
    let mut output = session.records();
    let tally = session.for_each(wanted.map(Ok), |record| {
        let Some(known) = &record.pull_request else { return Ok(()) };
        let now = pulls::get(&client, &record.repo, known.number)?;
        if now.state == known.state && now.draft == known.draft {
            return Ok(());
        }
        if dry_run {
            session.note(&format!("would note that #{} is {}", now.number, now.state));
            return output.record(&record);
        }
        let _lock = session.state.hold(record.instance())?;
        let updated = session.state.update(record.number, |record| {
            let why = format!("pull request #{} was {}", now.number, now.state);
            let to = match now.state.as_str() {
                "merged" => Some(Status::Completed),
                "closed" => Some(Status::Failed),
                _ => None,
            };
            record.pull_request = Some(now);
            match to {
                Some(to) if record.status == Some(Status::PrReady) => {
                    record.transition(to, session.command, why, session.clock.now())
                }
                _ => Ok(()),
            }
        })?;
        output.record(&updated)
    })?;
    output.finish()?;
    Ok(tally)
}
