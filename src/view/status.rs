//! `cq-status`: what runs, for how long, at what cost.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::claims::{self, Places};
use crate::clock::{Timestamp, span, stamp};
use crate::error::{Error, Kind, Result, Tally};
use crate::limits;
use crate::output::{self, Format};
use crate::pipeline::cleanup::owns_workspace;
use crate::pipeline::{gate, overlap, vet};
use crate::record::{Gates, Liveness, Outcome, Question, Record, Status};
use crate::sanitize;
use crate::session::Session;
use crate::state::{Summary, instances};

const COLUMNS: &[&str] = &["INSTANCE", "ISSUE", "STATUS", "TRY", "FOR", "COST", "TITLE", "LAST"];

/// Shows everything in flight, or what is named; again and again with `watch` (seconds).
pub fn run(session: &Session, only: &[String], watch: Option<u32>) -> Result<Tally> {
    session.needs_setup()?;
    for name in only {
        let is_issue = name.parse::<crate::input::IssueNumber>().is_ok();
        if !is_issue && instances::number(name).is_none() {
            return Err(Error::new(Kind::Usage, format!("'{name}' is neither an issue nor an instance")));
        }
    }
    loop {
        if watch.is_some() && output::stdout_is_terminal() {
            output::print("\u{1b}[H\u{1b}[2J")?;
        }
        let tally = match show(session, only) {
            Err(error) if error.kind == Kind::ClosedPipe => return Ok(Tally::default()),
            result => result?,
        };
        match watch {
            None => return Ok(tally),
            Some(seconds) => std::thread::sleep(Duration::from_secs(u64::from(seconds.max(1)))),
        }
    }
}

fn show(session: &Session, only: &[String]) -> Result<Tally> {
    let mut tally = Tally::default();
    let records = session.state.in_flight(|error| {
        session.complain(&error);
        tally.note(Kind::Failed);
    })?;
    in_the_way(session, &mut tally)?;
    let now = session.clock.now();
    let mut output = session.rows(COLUMNS);
    let named = |record: &&Record| {
        only.is_empty()
            || only.iter().any(|name| {
                name == record.instance()
                    || name.parse().is_ok_and(|issue: crate::input::IssueNumber| issue.0 == record.number)
            })
    };
    let mut shown: Vec<&Record> = records.iter().filter(named).collect();
    shown.sort_by_key(|record| (record.status.map(|status| (status.is_final(), status)), record.number));
    for record in &shown {
        output.item(record, || {
            // Only a table has room for what is not in the record.
            let orphaned = is_running(record) && !session.state.is_held(record.instance()).unwrap_or(true);
            let mut row = row(record, now);
            if let Some(first) = row.first_mut().filter(|_| !owns_workspace(record, &records)) {
                // Its workspace has gone, and the name may be another issue's.
                "-".clone_into(first);
            }
            let frozen = record.run.as_ref().is_some_and(|run| run.liveness == Some(Liveness::Frozen));
            if let Some(last) = row.last_mut().filter(|_| orphaned) {
                "its supervisor is gone: cq-monitor decides what follows".clone_into(last);
            } else if let Some(last) = row.last_mut().filter(|_| frozen && is_running(record)) {
                "frozen: cq-stop --thaw lets it go on".clone_into(last);
            } else if let Some(last) = row.last_mut() {
                *last = uncertain(session, record, now).unwrap_or_else(|| std::mem::take(last));
            }
            row
        })?;
    }
    output.finish()?;
    if session.options.format.unwrap_or_else(Format::suited_to_stdout) == Format::Table {
        let active = records.iter().filter(|record| record.status.is_some_and(Status::is_active)).count();
        let capacity = session.loaded.config.capacity();
        let unreviewed = unreviewed(session, &records)?;
        let mechanisms = mechanisms(&records);
        session.note(&format!(
            "{active} of {capacity} places taken, {} in flight{unreviewed}{mechanisms}",
            records.len()
        ));
        for line in sandboxes(&records) {
            session.note(&line);
        }
    }
    if !only.is_empty() && shown.is_empty() {
        return Err(Error::new(Kind::Failed, format!("nothing in flight is called {}", only.join(" or "))));
    }
    Ok(tally)
}

/// The places for new claims.
fn places(session: &Session, records: &[Record]) -> Result<Places> {
    let terms = claims::terms(&session.loaded, &session.environment)?;
    Ok(claims::count(records.iter().map(Summary::from), &terms))
}

/// How many pull requests wait for people, where that is limited.
fn unreviewed(session: &Session, records: &[Record]) -> Result<String> {
    let Some(most) = session.loaded.config.queue.max_unreviewed else { return Ok(String::new()) };
    Ok(format!(", {} of at most {most} pull requests wait for a person", places(session, records)?.waiting))
}

/// Who sees to the limits of the agents that run.
fn mechanisms(records: &[Record]) -> String {
    let running = records.iter().filter(|record| is_running(record));
    let limits = running.filter_map(|record| record.run.as_ref()?.limits.as_ref());
    let names: BTreeSet<&str> = limits.map(|limits| limits.mechanism.as_str()).collect();
    let names: Vec<&str> = names.into_iter().collect();
    if names.is_empty() { String::new() } else { format!("; limits by {}", names.join(", ")) }
}

/// What keeps agents from being started, before everything else: it explains the rest.
fn in_the_way(session: &Session, tally: &mut Tally) -> Result<()> {
    match session.state.stop() {
        Ok(stop) => stop.iter().for_each(|stop| session.note(&format!("{stop} (cq-stop --thaw lifts it)"))),
        Err(error) => {
            session.complain(&error);
            tally.note(error.kind);
        }
    }
    if let Some(limit) = session.state.limit()? {
        session.note(&limit.to_string());
    }
    if let Some(budget) = session.loaded.config.budget.per_day_usd {
        let today = session.state.today()?;
        let (spent, reserved) = (today.spent_usd, today.reserved_usd());
        session.note(&format!(
            "today (UTC) ${spent:.2} of ${budget:.2} are spent, ${reserved:.2} reserved by runs"
        ));
    }
    Ok(())
}

fn is_running(record: &Record) -> bool {
    record.status == Some(Status::InProgress)
}

/// What is known of an agent that seems to do nothing.
fn uncertain(session: &Session, record: &Record, now: Timestamp) -> Option<String> {
    let run =
        record.run.as_ref().filter(|run| run.liveness == Some(Liveness::Uncertain) && is_running(record))?;
    let silence = run
        .silent_since
        .map_or_else(String::new, |since| format!(" for {}", span((now - since).num_seconds())));
    let stall = session.loaded.config.queue.stall_minutes;
    Some(format!("uncertain: no output and no work{silence}; after {stall} min it is ended as stalled"))
}

/// In which sandboxes agents are at work.
fn sandboxes(records: &[Record]) -> Vec<String> {
    let at_work = |tier: &str| {
        let runs = records.iter().filter(|record| is_running(record));
        let tiers = runs.filter_map(|record| record.run.as_ref()?.sandbox.as_deref());
        tiers.filter(|this| *this == tier).count()
    };
    let words = [
        ("bubblewrap", "in a sandbox (bubblewrap)"),
        ("none", "without a sandbox: what this account can reach, so can they; cq-doctor says more"),
    ];
    let line = |(tier, words): (&str, &str)| match at_work(tier) {
        0 => None,
        1 => Some(format!("1 agent {words}")),
        more => Some(format!("{more} agents {words}")),
    };
    words.into_iter().filter_map(line).collect()
}

fn row(record: &Record, now: Timestamp) -> Vec<String> {
    let run = record.run.as_ref();
    let since = match (record.status, run) {
        (Some(Status::InProgress), Some(run)) => run.started_at,
        _ => record.history.last().map(|last| last.at),
    };
    let status = record.standing();
    let last = match (&record.pull_request, record.outcome) {
        (Some(pull), _) if !matches!(record.status, Some(Status::Failed)) => pull.url.clone(),
        (_, Some(outcome)) if outcome != Outcome::Success => {
            format!("{}: {}", outcome.name(), record.history.last().map_or("", |last| &last.why))
        }
        _ => record.history.last().map(|last| last.why.clone()).unwrap_or_default(),
    };
    let last = record.open_question().map_or(last, waits_for);
    vec![
        record.instance().to_owned(),
        format!("#{}", record.number),
        status.to_owned(),
        record.claim.as_ref().map_or_else(|| "-".to_owned(), |claim| claim.attempt.to_string()),
        since.map_or_else(|| "-".to_owned(), |since| span((now - since).num_seconds())),
        run.and_then(|run| run.cost_usd).map_or_else(|| "-".to_owned(), |cost| format!("${cost:.2}")),
        sanitize::clip(&record.issue.title, 50).into_owned(),
        sanitize::clip(&last, 100).into_owned(),
    ]
}

/// `--explain`: why an issue is not running, or what it does.
pub fn explain(session: &Session, number: u64) -> Result<Tally> {
    session.needs_setup()?;
    let mut told = Vec::new();
    let now = session.clock.now();
    match session.state.get(number)? {
        Some(record) => in_flight(session, &record, now, &mut told)?,
        None => not_in_flight(session, number, &mut told)?,
    }
    if let Err(error) = session.state.refuse_when_stopped() {
        told.push(error.to_string());
    }
    if let Err(error) = session.state.refuse_while_resting() {
        told.push(error.to_string());
    }
    let lines: Vec<String> =
        told.iter().map(|line| format!("issue #{number}: {}\n", sanitize::line(line))).collect();
    output::print(&lines.concat())?;
    Ok(Tally::default())
}

fn in_flight(session: &Session, record: &Record, now: Timestamp, told: &mut Vec<String>) -> Result<()> {
    let status = record.standing();
    told.push(format!("it is {status}, as {}", record.instance()));
    told.extend(record.history.last().map(|last| format!("since {}: {}", stamp(last.at), last.why)));
    let not_before = record.claim.as_ref().and_then(|claim| claim.not_before);
    let held = session.state.is_held(record.instance())?;
    if record.status == Some(Status::InProgress) {
        told.extend(match record.run.as_ref().and_then(|run| run.sandbox.as_deref()) {
            Some("bubblewrap") => Some(
                "its agent is in a sandbox (bubblewrap): it can write its worktree and its branch, little else"
                    .to_owned(),
            ),
            Some("none") => Some("its agent is in no sandbox: it can reach what this account can".to_owned()),
            _ => None,
        });
    }
    match record.status {
        Some(Status::Queued) => match not_before {
            Some(at) if at > now => told.push(format!("it may start in {}", span((at - now).num_seconds()))),
            Some(_) => told.push("it is due: cq-monitor | cq-spawn starts it".to_owned()),
            None => told.push(format!(
                "it is due: cq-spawn {} starts it; cq-monitor offers it a minute after its claim",
                record.number
            )),
        },
        Some(Status::InProgress | Status::Testing) if held => {
            told.push("somebody works on it".to_owned());
            told.extend(uncertain(session, record, now));
            let limits = record.run.as_ref().and_then(|run| run.limits.as_ref());
            told.extend(limits.map(|limits| format!("its limits: {}", limits::told(limits))));
        }
        Some(Status::InProgress) => {
            told.push("its supervisor is gone: cq-monitor decides what follows".to_owned());
        }
        Some(Status::Testing) => {
            told.extend(could_not_run(record));
            told.push(format!("nobody works on it: cq-gate {} | cq-pr goes on from here", record.number));
        }
        Some(Status::Failed) if record.open_question().is_some() => {
            told.extend(record.open_question().map(waits_for));
            let retry = format!("cq-claim --retry {} queues it again without one", record.number);
            told.push(retry);
        }
        Some(Status::Failed) if record.is_unevaluated() => {
            told.extend(could_not_run(record));
            told.extend(gate::way_on(record));
        }
        Some(Status::Failed) if record.is_kept_back() => {
            told.push(format!("cq-pr {} tells what keeps it back, and looks again", record.number));
        }
        Some(Status::Failed) => told.push(format!("cq-claim --retry {} queues it again", record.number)),
        _ => {}
    }
    Ok(())
}

/// What is missing for an agent that asked.
fn waits_for(question: &Question) -> String {
    match &question.url {
        Some(url) => format!("it waits for an answer: {url}"),
        None => {
            format!("it waits for an answer; cq-monitor puts the question on the issue: {}", question.text)
        }
    }
}

/// The checks that said neither yes nor no, and where to read why.
fn could_not_run(record: &Record) -> impl Iterator<Item = String> {
    let checks = record.gates.iter().flat_map(Gates::unevaluated);
    checks.map(|check| format!("its check {} could not be evaluated: {}", check.name, check.reason()))
}

fn not_in_flight(session: &Session, number: u64, told: &mut Vec<String>) -> Result<()> {
    told.push("nobody has claimed it".to_owned());
    told.extend(places(session, &session.state.in_flight(drop)?)?.full.iter().map(ToString::to_string));
    if !session.has_token()? {
        told.push("without a GitHub token it is not known whether it is eligible".to_owned());
        return Ok(());
    }
    let mut issue = vet::look(session, &session.repo()?, number, &session.loaded.config.rules())?;
    overlap::hold(session, [&mut issue])?;
    let reasons = issue.reasons;
    if reasons.is_empty() {
        told.push("it is eligible: cq-fetch | cq-claim takes it when its turn comes".to_owned());
    }
    told.extend(reasons);
    Ok(())
}
