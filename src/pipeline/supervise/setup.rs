//! The programs that prepare a new workspace, before its first agent: the configuration's, never the repository's own.
//!
//! They run where the agent will, in its group, its sandbox and its environment, but without keys: what they install
//! may run what somebody else wrote.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use super::follow::Follower;
use super::freeze::Freeze;
use super::launch::{self, Means};
use super::lease;
use super::watch::{TICK, told_to_end};
use crate::agent::environment as seen;
use crate::agent::evidence::{Evidence, Stopped};
use crate::clock;
use crate::error::{Kind, OrFail, Result};
use crate::limits::Group;
use crate::pipeline::workspace::{Ready, SET_UP, private_file, tail};
use crate::process::{self, Signals};
use crate::record::{Record, Run};
use crate::sanitize;
use crate::session::Session;
use crate::state::durable;

/// Of what a failing program said, so many of its last lines are told.
const LINES: usize = 5;
/// And so many characters.
const LONGEST: usize = 600;

/// Whether there is something to run.
pub(super) fn is_wanted(session: &Session, ready: &Ready) -> bool {
    let done = ready.paths.dir.join(SET_UP);
    !session.loaded.config.workspace.setup.is_empty() && done.symlink_metadata().is_err()
}

/// Runs them, unless that was done. Gives the evidence that ends the attempt where one fails, or where the run has to
/// end meanwhile.
pub(super) fn run(
    session: &Session,
    record: &Record,
    ready: &Ready,
    means: &Means,
    follower: &mut Follower,
    group: &mut Group,
    signals: &Signals,
) -> Result<Option<Evidence>> {
    if !is_wanted(session, ready) {
        return Ok(None);
    }
    for (number, command) in session.loaded.config.workspace.setup.iter().enumerate() {
        let log = ready.paths.raw_file(record, &format!("setup.{}.txt", number + 1));
        let started = Instant::now();
        let end = one(session, record, ready, means, command, &log, group, signals)?;
        let seconds = started.elapsed().as_secs_f64();
        let name = command.join(" ");
        follower.tell(session, &format!("setup '{name}': {} ({seconds:.1} s)", end.told()))?;
        let evidence = match end {
            End::Exit(0) => continue,
            End::Told(stopped) => Evidence { stopped: Some(stopped), ..Evidence::default() },
            failed => {
                let said = last_lines(session, &log);
                said.lines().try_for_each(|line| follower.tell(session, line))?;
                let said = said.lines().map(str::trim).collect::<Vec<_>>().join(" / ");
                let detail = format!("'{name}': {}", failed.told());
                let detail = if said.is_empty() { detail } else { format!("{detail}: {said}") };
                Evidence { stopped: Some(Stopped::SetupFailed), detail: Some(detail), ..Evidence::default() }
            }
        };
        return Ok(Some(evidence));
    }
    durable::replace_cheaply(&ready.paths.dir.join(SET_UP), b"")?;
    Ok(None)
}

/// How one program ended.
enum End {
    Exit(i32),
    /// It took too long.
    Late,
    /// It could not be started.
    NotStarted(String),
    /// The run has to end.
    Told(Stopped),
}

impl End {
    fn told(&self) -> String {
        match self {
            Self::Exit(0) => "done".to_owned(),
            Self::Exit(exit @ 129..) => format!("ended by signal {}", exit - 128),
            Self::Exit(exit) => format!("exit status {exit}"),
            Self::Late => "it took longer than workspace.setupTimeoutMinutes".to_owned(),
            Self::NotStarted(why) => why.clone(),
            Self::Told(_) => "not finished".to_owned(),
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "what an attempt is made of")]
fn one(
    session: &Session,
    record: &Record,
    ready: &Ready,
    means: &Means,
    command: &[String],
    log: &Path,
    group: &mut Group,
    signals: &Signals,
) -> Result<End> {
    let Some((name, arguments)) = command.split_first() else { return Ok(End::Exit(0)) };
    let program = match process::find(name, &ready.worktree.path, &session.environment) {
        Ok(program) if !program.starts_with(&ready.worktree.path) => program,
        Ok(_) => return Ok(End::NotStarted(format!("'{name}' is a file of the worktree's own"))),
        Err(error) => return Ok(End::NotStarted(error.to_string())),
    };
    let variables = seen::of_setup(&session.environment, record, &ready.dot_env)?;
    let output = private_file(log)?;
    let arrived = ready.paths.raw_file(record, "setup.arrived.txt");
    let running = loop {
        durable::remove(&arrived)?;
        let files = launch::Files {
            stdin: File::open("/dev/null").or_fail(Kind::Internal, || "cannot open /dev/null")?,
            stdout: output.try_clone().or_fail(Kind::Internal, || "cannot pass on a log")?,
            stderr: output.try_clone().or_fail(Kind::Internal, || "cannot pass on a log")?,
        };
        let wrapped = means.wrap(&program, arguments, variables.clone())?;
        let running = launch::start_wrapped(ready, wrapped, files, group.entry(&arrived))?;
        if super::limits::arrived(session, record, &running, group, &arrived)? {
            break running;
        }
    };
    let end = wait(session, record, &running, signals)?;
    // Whatever it left behind is not the agent's.
    let token = record.claimed()?.token.as_str();
    process::end_all(process::marked_families(seen::MARKER, token), process::GRACE, || {});
    Ok(end)
}

fn wait(session: &Session, record: &Record, running: &process::Running, signals: &Signals) -> Result<End> {
    let mut freeze = Freeze::default();
    let end = wait_or_freeze(session, record, running, signals, &mut freeze);
    freeze.lift(record);
    end
}

fn wait_or_freeze(
    session: &Session,
    record: &Record,
    running: &process::Running,
    signals: &Signals,
    freeze: &mut Freeze,
) -> Result<End> {
    let mut time = Duration::from_secs_f64(session.loaded.config.workspace.setup_timeout_minutes * 60.0);
    let claim = record.claimed()?;
    // What was frozen before is in the state's record, not in ours.
    let noted = session.state.get(record.number).ok().flatten().and_then(|record| record.run);
    let mut deadline = noted.as_ref().or(record.run.as_ref()).and_then(Run::deadline_since_boot);
    let (began, mut renewed) = (Instant::now(), session.clock.now());
    loop {
        if let Some(finished) = running.wait(TICK)? {
            return Ok(End::Exit(finished.exit));
        }
        process::reap_zombies(running.pid());
        let frozen_for = freeze.look(session, record);
        time += frozen_for;
        deadline = deadline.map(|deadline| deadline + frozen_for);
        if deadline.is_some_and(|deadline| clock::since_boot() >= deadline) {
            return Ok(End::Told(Stopped::TimedOut));
        }
        if let Some(told) = told_to_end(session, signals) {
            return Ok(End::Told(told));
        }
        if began.elapsed() >= time {
            return Ok(End::Late);
        }
        let now = session.clock.now();
        if now - renewed > lease(session) / 3 {
            match session.claims().renew(record.number, &claim.token) {
                Ok(_) => renewed = now,
                Err(error) if error.kind == Kind::NotPermitted => return Ok(End::Told(Stopped::LostClaim)),
                Err(error) => session.complain(&error),
            }
        }
    }
}

fn last_lines(session: &Session, log: &Path) -> String {
    let text = tail(log).unwrap_or_default();
    let text = session.redactor().redact(&text).into_owned();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines[lines.len().saturating_sub(LINES)..].join("\n");
    let skip = last.chars().count().saturating_sub(LONGEST);
    sanitize::lines(&last.chars().skip(skip).collect::<String>()).into_owned()
}
