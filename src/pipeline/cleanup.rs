//! `cq-cleanup`: remove workspaces that are done. What is in them and nowhere else is rescued first.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use rustix::process::Signal;
use serde::Serialize;

use super::rescue;
use super::supervise::{conclude, end_processes};
use super::workspace::{self, Paths};
use crate::agent::evidence::{Evidence, Stopped};
use crate::error::{Error, Kind, Result, Tally};
use crate::output::Output;
use crate::record::{Outcome, Record, Status};
use crate::session::Session;
use crate::state::events::Event;
use crate::state::{Change, instances, lock, owner};

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
    #[serde(skip_serializing_if = "Option::is_none")]
    issue: Option<u64>,
    workspace: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rescued: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    branch: Option<String>,
    archived: bool,
}

const COLUMNS: &[&str] = &["INSTANCE", "ISSUE", "RESCUED", "BRANCH", "WORKSPACE"];
/// How long a supervisor may take to end its agent: its own grace, and some.
const PATIENCE: Duration = Duration::from_secs(20);

/// Removes what is due, or what is named.
pub fn run(session: &Session, wish: &Wish) -> Result<Tally> {
    for instance in &wish.instances {
        if instances::number(instance).is_none() {
            let message = format!("'{instance}' is not an instance's name");
            return Err(Error::new(Kind::Usage, message).hint("cq-status shows the instances"));
        }
    }
    let records = session.state.in_flight(|error| session.complain(&error))?;
    let due =
        records.iter().filter(|record| owns_workspace(record, &records) && is_due(session, wish, record));
    let mut output = session.rows(COLUMNS);
    let mut tally = session.for_each(due.map(Ok), |record| one(session, wish, record, &mut output))?;
    for instance in &wish.instances {
        if !records.iter().any(|record| record.instance() == instance) {
            session.note(&format!("no issue in flight has {instance}"));
        }
    }
    for instance in strays(session, wish, &records)? {
        let message = format!("{instance} has no record; its folder is left alone");
        session.complain(&Error::new(Kind::Failed, message).hint("look into it, and remove it by hand"));
        tally.note(Kind::Failed);
    }
    if !wish.dry_run && session.state.exists() {
        if wish.all && wish.force && workspace::spares::put_all_away(session)? > 0 {
            session.note("removed the warm spares");
        }
        let swept = session.state.sweep_temp_files()? + workspace::empty_trash(session)?;
        if swept > 0 {
            session.detail(&format!("swept {swept} leftovers of killed commands"));
        }
    }
    output.finish()?;
    Ok(tally)
}

/// Whether an instance's workspace is this record's. A failed record keeps the name of its instance, but once its
/// workspace is gone the name may be given to another issue: the living come first, then the latest.
fn owns_workspace(record: &Record, records: &[Record]) -> bool {
    let rank = |record: &Record| {
        let alive = !record.status.is_some_and(Status::is_final);
        let had_one = record.run.as_ref().is_some_and(|run| !run.workspace.is_empty());
        let completed = record.status == Some(Status::Completed);
        (alive || had_one || completed).then(|| (alive, record.claim.as_ref().map(|claim| claim.claimed_at)))
    };
    let same = records.iter().filter(|other| other.instance() == record.instance());
    rank(record).is_some() && same.map(rank).all(|other| other <= rank(record))
}

fn is_due(session: &Session, wish: &Wish, record: &Record) -> bool {
    if !wish.instances.is_empty() {
        return wish.instances.iter().any(|instance| instance == record.instance());
    }
    let ended = record.status.is_some_and(Status::is_final);
    if wish.all && wish.force {
        return true;
    }
    // What tampered, or is withheld, is kept for a person, who names it when it may go.
    if record.outcome == Some(Outcome::Tampered) || record.is_withheld() {
        return false;
    }
    if wish.all {
        return ended;
    }
    // An agent that waits for an answer goes on there; what was tampered with is for a person to look at.
    if record.open_question().is_some() || record.outcome == Some(Outcome::Tampered) {
        return false;
    }
    let hours = i64::from(session.loaded.config.workspace.cleanup_after_hours);
    let last = record.history.last().map(|last| last.at);
    ended && last.is_none_or(|at| session.clock.now() - at >= TimeDelta::hours(hours))
}

/// Named instances, or with `--all` folders, that belong to no record.
fn strays(session: &Session, wish: &Wish, records: &[Record]) -> Result<Vec<String>> {
    let known = |name: &String| records.iter().any(|record| record.instance() == name);
    let workspaces = session.loaded.workspaces(&session.environment)?;
    let mut names: Vec<String> = wish.instances.clone();
    if wish.all
        && let Ok(entries) = std::fs::read_dir(&workspaces)
    {
        let name = |entry: std::fs::DirEntry| entry.file_name().into_string().ok();
        names.extend(entries.flatten().filter_map(name).filter(|name| instances::number(name).is_some()));
    }
    names.retain(|name| !known(name) && workspaces.join(name).symlink_metadata().is_ok());
    Ok(names)
}

fn one(session: &Session, wish: &Wish, record: &Record, output: &mut Output) -> Result<()> {
    let number = record.number;
    let instance = record.instance().to_owned();
    let paths = Paths::of(session, record)?;
    refuse_active(wish, record)?;
    if wish.dry_run {
        session.note(&format!("would remove '{}' (issue #{number})", paths.dir.display()));
        return Ok(());
    }
    let _lock = hold(session, wish, &instance)?;
    let record = session.in_flight(number)?;
    refuse_active(wish, &record)?;
    let attempt = rescue::attempt_of_work(&record)?;
    let record = end(session, &record)?;
    let Cleared { rescued, branch } = clear(session, &record, attempt, |_| Ok(()))?;
    let archived = put_away(session, &record)?;
    let event = Event::about(&session.state, "cleanup", number).with("instance", instance.as_str());
    session.state.log(&match &rescued {
        Some(name) => event.with("rescued", name.as_str()),
        None => event,
    })?;
    let workspace = paths.dir.display().to_string();
    let removed = Removed { instance, issue: Some(number), workspace, rescued, branch, archived };
    output.item(&removed, || {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        vec![
            removed.instance.clone(),
            format!("#{number}"),
            text(&removed.rescued),
            text(&removed.branch),
            removed.workspace.clone(),
        ]
    })
}

/// What was kept of a workspace, and what of the repository went with it.
#[derive(Debug, Default)]
pub(crate) struct Cleared {
    /// The ref that keeps what was nowhere else.
    pub(crate) rescued: Option<String>,
    /// The branch that was deleted.
    pub(crate) branch: Option<String>,
}

/// Rescues what is in a workspace and nowhere else, tells `told` where it is, and removes the workspace. The caller
/// holds the instance, and none of its processes is left.
pub(crate) fn clear(
    session: &Session,
    record: &Record,
    attempt: u32,
    told: impl FnOnce(Option<&str>) -> Result<()>,
) -> Result<Cleared> {
    let paths = Paths::of(session, record)?;
    if paths.dir.symlink_metadata().is_err() {
        told(None)?;
        return Ok(Cleared::default());
    }
    let (repository, private) = session.git()?;
    let work = rescue::everything(record, attempt, &paths.worktree, &repository, &private)?;
    told(work.rescued.as_deref())?;
    let git_dir = record.run.as_ref().and_then(|run| run.git_dir.clone());
    // Emptying it takes its time; the name is free at once.
    workspace::put_in_trash(session, &paths.dir)?;
    if let Some(git_dir) = git_dir {
        repository.forget_worktree(std::path::Path::new(&git_dir))?;
    }
    let mut branch = None;
    // A pull request that waits for its review may send the agent back to this branch.
    if record.status != Some(Status::PrReady)
        && let Some(head) = work.head
    {
        let name = record.claimed()?.branch.clone();
        repository.delete_ref(&format!("refs/heads/{name}"), &head)?;
        branch = Some(name);
    }
    Ok(Cleared { rescued: work.rescued, branch })
}

/// Without `--force` nothing is ended.
fn refuse_active(wish: &Wish, record: &Record) -> Result<()> {
    if wish.force || record.status.is_some_and(|status| status.is_final() || status == Status::PrReady) {
        return Ok(());
    }
    let status = record.standing();
    let message = format!("{} works on issue #{}, which is {status}", record.instance(), record.number);
    Err(Error::new(Kind::Failed, message).hint("--force ends it first"))
}

/// The instance's lock. With `--force` whoever holds it is told to end, and made to if it does not.
fn hold(session: &Session, wish: &Wish, instance: &str) -> Result<lock::Guard> {
    let busy = match session.state.hold(instance) {
        Err(error) if error.kind == Kind::TryAgain && wish.force => error,
        result => return result,
    };
    for signal in [Signal::TERM, Signal::KILL] {
        let Some(holder) = session.state.holder(instance) else { break };
        // The holder's note may be old.
        if !owner::signal(&holder.owner, signal) {
            break;
        }
        session.note(&format!("ending {} (pid {})", holder.command, holder.owner.pid));
        let asked = Instant::now();
        while asked.elapsed() < PATIENCE {
            if let Some(guard) = session.state.try_hold(instance)? {
                return Ok(guard);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    session.state.try_hold(instance)?.ok_or(busy)
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

/// A completed issue's record goes to the archive; a failed one stays, so that nobody claims it unasked.
fn put_away(session: &Session, record: &Record) -> Result<bool> {
    session.state.change(record.number, |now| match now {
        Some(now) if now.status == Some(Status::Completed) => Ok((Change::Archive(Box::new(now)), true)),
        Some(mut now) => {
            if let Some(run) = &mut now.run {
                run.workspace = String::new();
                run.git_dir = None;
            }
            if let Some(claim) = &mut now.claim {
                claim.base_sha = None;
            }
            Ok((Change::Write(Box::new(now)), false))
        }
        None => Ok((Change::Keep, false)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Claim, Issue, Run};

    fn record(number: u64, status: Status, workspace: &str, minute: u32) -> Record {
        let mut record = Record::new("o/r", number, Issue::default());
        record.status = Some(status);
        let claim = format!(
            r#"{{"token":"t","host":"h","instance":"claude-instance-1","branch":"b","base":"main","attempt":1,
            "claimed_at":"2026-01-01T00:{minute:02}:00Z","lease_expires_at":"2026-01-01T00:00:00Z"}}"#
        );
        record.claim = Some(serde_json::from_str::<Claim>(&claim).unwrap());
        record.run = Some(Run { workspace: workspace.to_owned(), ..Run::default() });
        record
    }

    #[test]
    fn a_workspace_belongs_to_the_living_then_to_the_latest_that_still_had_one() {
        let gone = record(1, Status::Failed, "", 0);
        let failed = record(2, Status::Failed, "/w", 1);
        let later = record(3, Status::Failed, "/w", 2);
        let queued = record(4, Status::Queued, "", 3);
        let cases = [
            (vec![&gone], vec![]),
            (vec![&gone, &failed], vec![2]),
            (vec![&failed, &later], vec![3]),
            (vec![&gone, &failed, &queued], vec![4]),
        ];
        for (records, expected) in cases {
            let records: Vec<Record> = records.into_iter().cloned().collect();
            let owners = records.iter().filter(|record| owns_workspace(record, &records));
            assert_eq!(owners.map(|record| record.number).collect::<Vec<_>>(), expected);
        }
    }
}
