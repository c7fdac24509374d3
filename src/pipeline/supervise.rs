//! `cq-supervise`: one agent from start to end.
//!
//! The supervisor is the agent's parent and holds the instance's lock. It makes the workspace, starts the agent
//! with its output going to files, follows those files, and ends the run: on exit, on a result that is not
//! followed by one, when the time is up, when the claim is lost, when it is told to. Then it ends every process
//! of the run that is left, and decides from the evidence what comes next.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::workspace::{self, Ready, private_file};
use crate::agent::environment as seen;
use crate::agent::evidence::{Evidence, Stopped};
use crate::agent::profile::Agent;
use crate::claims;
use crate::clock::Timestamp;
use crate::environment::Environment;
use crate::error::{Error, Kind, OrFail, Result, Tally};
use crate::output;
use crate::process::{self, Program, Running};
use crate::record::{Record, Run, Status};
use crate::session::Session;
use crate::state::{owner, stop};
use chrono::TimeDelta;

mod conclude;
mod follow;

pub(crate) use conclude::conclude;
use follow::Follower;

/// How often the output is looked at, and the stop and the lease are thought of.
const TICK: Duration = Duration::from_millis(250);
/// How long a client may stay after its result.
const AFTER_RESULT: Duration = Duration::from_secs(60);

/// Runs an instance from where it stands.
pub fn run(session: &Session, instance: &str, lock_on_stdin: bool, onward: bool) -> Result<Tally> {
    // Fails when started by hand from an interactive shell, which put it into a group of its own already.
    let _ = rustix::process::setsid();
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    let guard = if lock_on_stdin {
        session.state.hold_inherited(instance, process::take_stdin()?)?
    } else {
        session.state.hold(instance)?
    };
    let record = of_instance(session, instance)?;
    let record = match record.status {
        Some(Status::Queued) => attempt(session, &record)?,
        Some(Status::Testing) => record,
        status => {
            let status = status.map_or("unclaimed", Status::name);
            let message = format!("issue #{} is {status}, not queued", record.number);
            return Err(Error::new(Kind::Failed, message).hint("cq-monitor finds out what became of it"));
        }
    };
    tell(session, &record)?;
    // Each later step takes the lock itself; the lease covers the moments between.
    drop(guard);
    if onward && record.status == Some(Status::Testing) {
        go_onward(session, record.number)?;
    }
    Ok(Tally::default())
}

/// Writes the record to stdout. A detached supervisor's listener goes away after the first one; the run goes on.
fn tell(session: &Session, record: &Record) -> Result<()> {
    let mut output = session.records();
    match output.record(record).and_then(|()| output.finish()) {
        Err(error) if error.kind == Kind::ClosedPipe => Ok(()),
        result => result,
    }
}

/// The record that an instance works on.
fn of_instance(session: &Session, instance: &str) -> Result<Record> {
    let records = session.state.in_flight(|error| session.complain(&error))?;
    let mine =
        |record: &Record| record.instance() == instance && !record.status.is_some_and(Status::is_final);
    records.into_iter().find(mine).ok_or_else(|| {
        Error::new(Kind::Failed, format!("{instance} has no issue to work on"))
            .hint("cq-status shows which instances have one")
    })
}

/// cq-gate, then cq-pr, as an operator would run them. Their words go where ours go.
fn go_onward(session: &Session, number: u64) -> Result<()> {
    for step in ["cq-gate", "cq-pr"] {
        let words = output::stderr_handle()?;
        let running = Program::new(process::sibling(step, &session.environment)?, session.folder())
            .args(session.options_for_children())
            .args([number.to_string()])
            .envs(session.environment.iter())
            .stderr_file(words)
            .start()?;
        while running.wait(Duration::from_secs(3600))?.is_none() {}
        let passed = session.state.get(number)?.is_some_and(|record| record.status == Some(Status::Testing));
        if !passed {
            break;
        }
    }
    Ok(())
}

/// One attempt: workspace, agent, end.
fn attempt(session: &Session, record: &Record) -> Result<Record> {
    session.state.refuse_when_stopped()?;
    let agent = Agent::configured(&session.loaded.config)?;
    let ready = workspace::prepare(session, record)?;
    let means = Means::find(session, record, &agent, &ready)?;
    let told = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&told))
            .or_fail(Kind::Internal, || "cannot listen for signals")?;
    }
    let record = enter(session, record, &agent, &ready)?;
    let follower = Follower::open(session, &record, &agent, &ready)?;
    let started = start(&record, &agent, &ready, means, &follower);
    let running = match started {
        Ok(running) => running,
        Err(error) => {
            session.complain(&error);
            return conclude(session, &record, Evidence { exit: Some(127), ..Evidence::default() });
        }
    };
    let record = session.state.update(record.number, |record| {
        if let Some(run) = &mut record.run {
            run.pid = running.pid();
        }
        Ok(())
    })?;
    tell(session, &record)?;
    watch(session, &record, &running, follower, &told)
}

/// The record becomes in-progress, if it still is this claim's.
fn enter(session: &Session, wanted: &Record, agent: &Agent, ready: &Ready) -> Result<Record> {
    let now = session.clock.now();
    let minutes = i64::from(session.loaded.config.timeout_minutes());
    claims::update(&session.state, wanted.claimed()?, wanted.number, |record| {
        let attempt = record.claimed()?.attempt;
        if let Some(claim) = &mut record.claim {
            claim.base_sha = Some(ready.base_sha.clone());
            claim.not_before = None;
            claim.lease_expires_at = now + lease(session);
        }
        record.outcome = None;
        record.gates = None;
        record.run = Some(Run {
            supervisor: Some(owner::of_this_process()),
            agent: Some(agent.name.clone()),
            started_at: Some(now),
            deadline: Some(now + TimeDelta::minutes(minutes)),
            workspace: ready.paths.dir.display().to_string(),
            log: ready.paths.log.display().to_string(),
            session_id: Some(uuid::Uuid::new_v4().to_string()),
            git_dir: Some(ready.worktree.git_dir.display().to_string()),
            ..Run::default()
        });
        record.transition(Status::InProgress, session.command, format!("attempt {attempt} started"), now)
    })
}

/// How long a claim is not doubted after it was renewed.
fn lease(session: &Session) -> TimeDelta {
    TimeDelta::minutes(i64::from(session.loaded.config.claims.lease_minutes))
}

/// What an agent is started with. Looked up before the attempt counts: a missing program, or a variable that the
/// configuration names and nobody set, is the operator's to mend.
struct Means {
    program: PathBuf,
    variables: BTreeMap<String, String>,
}

impl Means {
    fn find(session: &Session, record: &Record, agent: &Agent, ready: &Ready) -> Result<Self> {
        let environment = &session.environment;
        let program = process::find(agent.program(), &ready.worktree.path, environment)
            .map_err(|error| error.hint(format!("install it, or set agents.{}.command", agent.name)))?;
        let variables = seen::of_agent(environment, &session.loaded.config, agent, record, &ready.dot_env)?;
        Ok(Self { program, variables })
    }
}

fn start(
    record: &Record,
    agent: &Agent,
    ready: &Ready,
    means: Means,
    follower: &Follower,
) -> Result<Running> {
    let session_id = record.run.as_ref().and_then(|run| run.session_id.clone()).unwrap_or_default();
    let errors = ready.paths.raw_file(record, "stderr.txt");
    let prompt = &ready.paths.prompt;
    let prompt =
        File::open(prompt).or_fail(Kind::CannotWrite, || format!("cannot read '{}'", prompt.display()))?;
    // Between the agent and us stands a launcher: this very binary, which leads a new session and becomes the agent.
    let launcher = std::env::current_exe().or_fail(Kind::Internal, || "cannot find this program")?;
    Program::new(launcher, &ready.worktree.path)
        .args(["--launch".to_owned(), means.program.display().to_string()])
        .args(agent.arguments(&session_id, &ready.worktree.path))
        .envs(means.variables)
        .stdin_file(prompt)
        .stdout_file(follower.raw_file()?)
        .stderr_file(private_file(&errors)?)
        .start()
}

/// The launcher's part: becomes the program. Returns only if that fails.
pub fn launch(environment: &Environment, program: &[String]) -> Error {
    let Some((path, arguments)) = program.split_first() else {
        return Error::new(Kind::Usage, "no program to launch");
    };
    let _ = rustix::process::setsid();
    Program::new(path, ".").args(arguments).envs(environment.iter()).exec()
}

/// Until the run is over, then what follows from it.
fn watch(
    session: &Session,
    record: &Record,
    running: &Running,
    mut follower: Follower,
    told: &AtomicBool,
) -> Result<Record> {
    let lease = lease(session);
    let number = record.number;
    let token = record.claimed()?.token.clone();
    let deadline = record.run.as_ref().and_then(|run| run.deadline);
    let mut renewed = session.clock.now();
    let mut stopped = None;
    let mut exit = None;
    while stopped.is_none() {
        if let Some(finished) = running.wait(TICK)? {
            exit = Some(finished.exit);
            break;
        }
        let now = session.clock.now();
        follower.catch_up(session)?;
        stopped = reason_to_stop(session, &follower, deadline, now, told);
        // A lost lease is only one if somebody else says so; a full disk is no reason to kill.
        if stopped.is_none() && now - renewed > lease / 3 {
            match session.claims().renew(number, &token) {
                Ok(_) => renewed = now,
                Err(error) if error.kind == Kind::NotPermitted => stopped = Some(Stopped::LostClaim),
                Err(error) => session.complain(&error),
            }
        }
        follower.note_progress(session, number);
    }
    sweep(&token, running.pid());
    if exit.is_none() {
        exit = running.wait(process::GRACE)?.map(|finished| finished.exit);
    }
    follower.catch_up(session)?;
    follower.finish(session)?;
    conclude(session, record, Evidence { exit, last: follower.last().cloned(), stopped, commits: 0 })
}

fn reason_to_stop(
    session: &Session,
    follower: &Follower,
    deadline: Option<Timestamp>,
    now: Timestamp,
    told: &AtomicBool,
) -> Option<Stopped> {
    if told.load(Ordering::SeqCst) {
        return Some(Stopped::Interrupted);
    }
    if matches!(session.state.stop(), Ok(Some(stop)) if stop.mode == stop::Mode::Abort) {
        return Some(Stopped::Cancelled);
    }
    if deadline.is_some_and(|deadline| now >= deadline) {
        return Some(Stopped::TimedOut);
    }
    follower.result_is_older_than(AFTER_RESULT).then_some(Stopped::Lingered)
}

/// Ends what is left of a run that has no supervisor.
pub(crate) fn end_processes(record: &Record) -> Result<()> {
    let token = &record.claimed()?.token;
    process::end_all(|| process::marked(seen::MARKER, token), process::GRACE, || {});
    Ok(())
}

/// Ends every process of the run that is left: descendants (orphans come to us, the subreaper) and whatever else
/// carries the claim's marker.
fn sweep(token: &str, agent: Option<u32>) {
    let mine = || {
        let mut pids = process::descendants();
        pids.extend(process::marked(seen::MARKER, token));
        pids.sort_unstable();
        pids.dedup();
        pids
    };
    // Adopted children are taken leave of here; the agent itself is waited for elsewhere.
    process::end_all(mine, process::GRACE, || process::reap_zombies(agent));
}
