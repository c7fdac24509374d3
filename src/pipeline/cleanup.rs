//! `cq-cleanup`: remove workspaces that are done. What is in them and nowhere else is rescued first.
//!
//! What is due is decided in `due`, who is in the way of it in `hold`; how a workspace goes, so that nothing is lost wherever
//! that is interrupted, is told in `departure`; what becomes of the branch on GitHub in `branches`; rescues are listed,
//! brought back and removed in `rescues`.

use std::collections::BTreeSet;

use serde::Serialize;

use self::departure::Departures;
use self::hold::{hold, refuse_active, refuse_used};
use super::rescue;
use super::supervise::{conclude, end_processes};
use super::workspace::Paths;
use crate::agent::evidence::{Evidence, Stopped};
use crate::error::{Error, Kind, Result, Tally};
use crate::output::Output;
use crate::record::{Outcome, Record, RemoteBranch, Status};
use crate::session::Session;
use crate::state::events::Event;
use crate::state::removal::Freed;
use crate::state::{Change, instances, lock};

mod anew;
mod branches;
mod departure;
mod due;
mod hold;
mod mounts;
pub mod rescues;
mod strays;
mod sweep;

pub(crate) use anew::make_way;
pub(crate) use due::{is_left_alone, owns_workspace};

/// What is asked for.
#[derive(Debug)]
pub struct Wish {
    /// These; those that are due if empty.
    pub instances: Vec<String>,
    /// Every finished one.
    pub all: bool,
    /// What still runs is ended.
    pub force: bool,
    /// Only say it.
    pub dry_run: bool,
}

/// What was removed of one instance.
#[derive(Debug, Serialize)]
struct Removed {
    instance: String,
    issue: u64,
    workspace: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rescued: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    branch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote_branch: Option<&'static str>,
    archived: bool,
    freed_bytes: u64,
}

const COLUMNS: &[&str] = &["INSTANCE", "ISSUE", "RESCUED", "BRANCH", "FREED", "WORKSPACE"];

/// What a cleanup writes, and has done so far.
struct Report {
    output: Output,
    /// Instances whose workspaces have gone.
    settled: BTreeSet<String>,
    rows: usize,
    freed: Freed,
    /// Whether something besides workspaces is removed, and said so.
    swept: bool,
}

/// Removes what is due, or what is named.
pub fn run(session: &Session, wish: &Wish) -> Result<Tally> {
    session.needs_setup()?;
    for instance in &wish.instances {
        if instances::number(instance).is_none() {
            let message = format!("'{instance}' is not an instance's name");
            return Err(Error::new(Kind::Usage, message).hint("cq-status shows the instances"));
        }
    }
    let mut report = Report {
        output: session.rows(COLUMNS),
        settled: BTreeSet::new(),
        rows: 0,
        freed: Freed::default(),
        swept: false,
    };
    let begun = if wish.dry_run { Vec::new() } else { Departures::left(session)? };
    let mut tally =
        session.for_each(begun.into_iter().map(Ok), |token| go_on(session, &token, &mut report))?;
    let records = session.state.in_flight(|error| session.complain(&error))?;
    let (hours, now) = (session.loaded.config.workspace.cleanup_after_hours, session.clock.now());
    let due = records.iter().filter(|record| {
        let has_work = due::owns_workspace(record, &records) || due::is_without_workspace(record);
        has_work && due::is_due(record, wish, hours, now)
    });
    let done = session.for_each(due.map(Ok), |record| one(session, wish, record, &mut report))?;
    tally.add(&done);
    let strays = strays::find(session, wish, &records)?;
    for instance in &wish.instances {
        let is_known = report.settled.contains(instance) || strays.contains(instance);
        if !is_known && !records.iter().any(|record| record.instance() == instance) {
            let message = format!("no issue in flight has {instance}");
            session.complain(&Error::new(Kind::Failed, message).hint("cq-status shows the instances"));
            tally.note(Kind::Failed);
        }
    }
    for instance in strays {
        let message = format!("{instance} has no record; its folder is left alone");
        session.complain(&Error::new(Kind::Failed, message).hint("look into it, and remove it by hand"));
        tally.note(Kind::Failed);
    }
    if session.state.exists() {
        sweep::run(session, wish, &records, &mut report, &mut tally)?;
    }
    report.output.finish()?;
    if report.rows > 1 || (report.swept && !wish.dry_run) {
        session.note(&format!("{} are free again in all", bytes(report.freed.bytes)));
    }
    Ok(tally)
}

fn one(session: &Session, wish: &Wish, record: &Record, report: &mut Report) -> Result<()> {
    let number = record.number;
    let instance = record.instance().to_owned();
    if due::is_without_workspace(record) {
        if wish.dry_run {
            session.note(&format!("would finish the cleanup of issue #{number}"));
            return Ok(());
        }
        let Some((_lock, record)) = without_workspace(session, wish, record)? else { return Ok(()) };
        let cleared = branches::delete_here(session, &record)?;
        return settle(session, &record, cleared, report);
    }
    let dir = Paths::of(session, record)?.dir;
    refuse_active(wish, record)?;
    if wish.dry_run {
        session.note(&format!("would remove '{}' (issue #{number})", dir.display()));
        return Ok(());
    }
    let lock = hold(session, wish, &instance)?;
    let record = session.in_flight(number)?;
    refuse_active(wish, &record)?;
    let (record, cleared) = depart(session, &record, lock, wish.force)?;
    settle(session, &record, cleared, report)
}

/// One whose workspace went before, as it is now, held so that nobody tries it again meanwhile; none where its branches
/// are left. A completed one nobody tries again on its branch: it need not wait for whoever has its instance's name by now.
fn without_workspace(
    session: &Session,
    wish: &Wish,
    record: &Record,
) -> Result<Option<(Option<lock::Guard>, Record)>> {
    let (number, instance) = (record.number, record.instance());
    let completed = record.status == Some(Status::Completed);
    let lock = if completed { None } else { session.state.try_hold(instance)? };
    if lock.is_none() && !completed {
        let busy = format!("issue #{number}: {instance} is being worked on, and its branch is left for now");
        session.answer(!wish.instances.is_empty(), &busy);
        return Ok(None);
    }
    branches::is_open_again(session, record).unwrap_or_default();
    let token = |record: &Record| record.claim.as_ref().map(|claim| claim.token.clone());
    let now = session.state.get(number)?.filter(|now| token(now) == token(record));
    Ok(now.filter(due::is_without_workspace).map(|now| (lock, now)))
}

/// Lets the workspace of an instance go that is held by this command.
fn depart(session: &Session, record: &Record, lock: lock::Guard, force: bool) -> Result<(Record, Cleared)> {
    let attempt = rescue::attempt_of_work(record)?;
    let mut record = end(session, record)?;
    if !force {
        refuse_used(&Paths::of(session, &record)?.dir)?;
    }
    // Where GitHub does not answer, the commits are rescued, and the branch there is left for another time.
    if branches::is_open_again(session, &record).unwrap_or_default() {
        record = session.in_flight(record.number)?;
    }
    let departures = Departures::enter(session)?;
    let gone = departures.begin(&record, attempt)?;
    put_away(session, &record)?;
    // The name is free: what is left to do is done elsewhere, and takes its time.
    drop(lock);
    let cleared = match gone {
        Some(note) => departures.finish(note, |_| Ok(()))?,
        None => Cleared::default(),
    };
    Ok((record, cleared))
}

/// Finishes what a killed command began.
fn go_on(session: &Session, token: &str, report: &mut Report) -> Result<()> {
    let departures = Departures::enter(session)?;
    let Some(note) = departures.begun(token)? else { return Ok(()) };
    let record = note.record.clone();
    put_away(session, &record)?;
    let cleared = departures.finish(note, |_| Ok(()))?;
    drop(departures);
    settle(session, &record, cleared, report)
}

/// What follows once a workspace is gone: the branch on GitHub, the archive, the row.
fn settle(session: &Session, record: &Record, cleared: Cleared, report: &mut Report) -> Result<()> {
    let (number, instance) = (record.number, record.instance().to_owned());
    log(session, record, &cleared)?;
    report.settled.insert(instance.clone());
    // What could not be removed is in the trash: `sweep` tries it again, and says what is in the way.
    let Cleared { rescued, branch, freed, unremoved: _ } = cleared;
    let (remote_branch, failed) = match branches::delete(session, record) {
        Ok(seen) => (seen.map(RemoteBranch::name), None),
        Err(error) => (None, Some(error)),
    };
    // A record whose branch is still to be deleted stays, and the next cleanup tries again.
    let archived = failed.is_none() && archive(session, record)?;
    let workspace = Paths::of(session, record)?.dir.display().to_string();
    report.rows += 1;
    report.freed += freed;
    let freed_bytes = freed.bytes;
    let removed =
        Removed { instance, issue: number, workspace, rescued, branch, remote_branch, archived, freed_bytes };
    report.output.item(&removed, || {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        vec![
            removed.instance.clone(),
            format!("#{number}"),
            text(&removed.rescued),
            text(&removed.branch),
            bytes(freed_bytes),
            removed.workspace.clone(),
        ]
    })?;
    failed.map_or(Ok(()), Err)
}

fn log(session: &Session, record: &Record, cleared: &Cleared) -> Result<()> {
    let event = Event::about(&session.state, "cleanup", record.number).with("instance", record.instance());
    let event = event.with("freed_bytes", cleared.freed.bytes);
    session.state.log(&match &cleared.rescued {
        Some(name) => event.with("rescued", name.as_str()),
        None => event,
    })
}

/// What was kept of a workspace, and what of the repository went with it.
#[derive(Debug, Default)]
pub(crate) struct Cleared {
    /// The ref that keeps what was nowhere else.
    pub(crate) rescued: Option<String>,
    /// The branch that was deleted.
    pub(crate) branch: Option<String>,
    /// What is free again.
    pub(crate) freed: Freed,
    /// Why not all of it is: the rest is in the trash.
    pub(crate) unremoved: Option<Error>,
}

/// Rescues what is in a workspace and nowhere else, tells `told` where it is, and removes the workspace. The caller
/// holds the instance, and none of its processes is left.
pub(crate) fn clear(
    session: &Session,
    record: &Record,
    attempt: u32,
    told: impl FnOnce(Option<&str>) -> Result<()>,
) -> Result<Cleared> {
    let departures = Departures::enter(session)?;
    match departures.begin(record, attempt)? {
        Some(note) => {
            let mut cleared = departures.finish(note, told)?;
            if let Some(error) = cleared.unremoved.take() {
                session.complain(&error);
            }
            Ok(cleared)
        }
        None => {
            // Another command may have finished what a killed one began.
            let rescued = rescues::of_claim(session, record)?;
            told(rescued.as_deref())?;
            Ok(Cleared { rescued, ..Cleared::default() })
        }
    }
}

/// What was forced to end is failed: its claim is spent until the operator says otherwise.
fn end(session: &Session, record: &Record) -> Result<Record> {
    end_processes(record)?;
    match record.status {
        Some(Status::InProgress) => {
            conclude(session, record, Evidence { stopped: Some(Stopped::Cancelled), ..Evidence::default() })
        }
        Some(Status::Queued | Status::Testing) => session.state.update(record.number, |record| {
            record.outcome = Some(Outcome::Cancelled);
            record.transition(Status::Failed, session.command, "removed by the operator", session.clock.now())
        }),
        _ => Ok(record.clone()),
    }
}

/// A record whose workspace is gone says so, and begins anew if it is tried again.
fn put_away(session: &Session, record: &Record) -> Result<()> {
    let token = &record.claimed()?.token;
    session.state.change(record.number, |now| {
        let Some(mut now) = now.filter(|now| now.claim.as_ref().is_some_and(|claim| claim.token == *token))
        else {
            return Ok((Change::Keep, ()));
        };
        let started = |record: &Record| record.run.as_ref().and_then(|run| run.started_at);
        // Tried again since: it has another one by now.
        if started(&now) != started(record) {
            return Ok((Change::Keep, ()));
        }
        let completed = now.status == Some(Status::Completed);
        if let Some(run) = &mut now.run {
            run.workspace = String::new();
            run.git_dir = None;
        }
        if let Some(claim) = now.claim.as_mut().filter(|_| !completed) {
            claim.base_sha = None;
        }
        Ok((Change::Write(Box::new(now)), ()))
    })
}

/// A completed issue's record goes to the archive, unless a revert has brought it back; a failed one stays, so that nobody
/// claims it unasked.
fn archive(session: &Session, record: &Record) -> Result<bool> {
    let token = &record.claimed()?.token;
    session.state.change(record.number, |now| match now {
        Some(now)
            if now.status == Some(Status::Completed)
                && !due::is_being_reverted(&now)
                && now.claim.as_ref().is_some_and(|claim| claim.token == *token) =>
        {
            Ok((Change::Archive(Box::new(now)), true))
        }
        _ => Ok((Change::Keep, false)),
    })
}

/// A size for people.
fn bytes(number: u64) -> String {
    match number {
        0..1_000 => format!("{number} B"),
        1_000..1_000_000 => format!("{} kB", number.div_ceil(1_000)),
        1_000_000..1_000_000_000 => format!("{} MB", number.div_ceil(1_000_000)),
        _ => format!("{}.{} GB", number / 1_000_000_000, number % 1_000_000_000 / 100_000_000),
    }
}
