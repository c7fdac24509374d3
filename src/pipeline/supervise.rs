//! `cq-supervise`: one agent from start to end.
//!
//! The supervisor is the agent's parent and holds the instance's lock. It has the workspace made, starts the agent
//! with its output going to files, follows those files, and ends the run: on exit, on a result that is not
//! followed by one, when the time is up, when the claim is lost, when it is told to. Then it ends every process
//! of the run that is left, and decides from the evidence what comes next.

use std::time::Duration;

use chrono::TimeDelta;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::prepare;
use super::workspace::{self, Ready};
use crate::agent::budget;
use crate::agent::evidence::Evidence;
use crate::agent::profile::Agent;
use crate::claims;
use crate::clock;
use crate::config::SessionBy;
use crate::error::{Error, Kind, Result, Tally};
use crate::limits::Group;
use crate::output;
use crate::process::{self, Program, Signals};
use crate::record::{Liveness, Outcome, Record, Run, Status};
use crate::sandbox::Tier;
use crate::session::Session;
use crate::state::{lock, owner};

mod allowance;
mod conclude;
mod confine;
mod follow;
mod freeze;
mod launch;
mod limits;
mod liveness;
mod rest;
mod setup;
mod sweep;
mod tampered;
mod watch;

pub(crate) use allowance::settle;
pub(crate) use conclude::conclude;
pub(crate) use confine::{choose, for_checks, put_away};
pub use launch::{Before, launch};
pub(crate) use launch::{Files, start_by};
pub(crate) use sweep::{end, end_processes};

use follow::Follower;
use launch::{Means, start};
use limits::Watched;
use sweep::sweep;
use watch::watch;

/// Runs an instance from where it stands; `agent` is the profile that was asked for.
pub fn run(
    session: &Session,
    instance: &str,
    lock_on_stdin: bool,
    onward: bool,
    agent: Option<&str>,
) -> Result<Tally> {
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
        Some(Status::Queued) => attempt(session, &record, &guard, agent)
            .inspect_err(|_| allowance::give_back(session, &record))?,
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
pub(super) fn of_instance(session: &Session, instance: &str) -> Result<Record> {
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
fn attempt(session: &Session, record: &Record, lock: &lock::Guard, asked: Option<&str>) -> Result<Record> {
    // First: who is told to end while the workspace is made has to know by whom.
    let signals = Signals::note(&[SIGTERM, SIGINT])?;
    session.state.refuse_when_stopped()?;
    let agent = Agent::for_record(&session.loaded.config, record, asked)?;
    let tier = confine::choose(session)?;
    allowance::ask(session, record, &agent)?;
    let Some(ready) = prepare::ask(session, record, lock, asked, || signals.told().is_some())? else {
        return call_off(session, record, &signals);
    };
    let means = Means::find(session, record, &agent, &ready, &tier)?;
    workspace::guard::begin(session, record, &ready)?;
    // Making a workspace takes minutes now and then, and all of them may have been told to stop meanwhile.
    if let Err(refused) =
        session.state.refuse_when_stopped().and_then(|()| session.state.leave_rest(record.number))
    {
        workspace::guard::close(session, record)?;
        return Err(refused);
    }
    if signals.told().is_some() {
        workspace::guard::close(session, record)?;
        return call_off(session, record, &signals);
    }
    let mut group = limits::make(session, record)?;
    let record = enter(session, record, &agent, &ready, &group, &tier).inspect_err(|_| {
        group.remove();
    })?;
    let mut follower = Follower::open(session, &record, &agent, &ready)?;
    if let Tier::Broken { why } = &tier {
        follower.tell(session, &format!("without a sandbox, because {why}"))?;
    }
    ready.told.iter().try_for_each(|said| follower.tell(session, said))?;
    if setup::is_wanted(session, &ready) {
        // It may take long: whoever listens need not wait for it.
        tell(session, &record)?;
    }
    let token = &record.claimed()?.token;
    let set_up = setup::run(session, &record, &ready, &means, &mut follower, &mut group, &signals);
    if let Some(evidence) = set_up.unwrap_or_else(|error| {
        session.complain(&error);
        Some(Evidence { exit: Some(127), ..Evidence::default() })
    }) {
        sweep(token, None, &group);
        return conclude(session, &record, evidence);
    }
    let started = start(session, &record, &agent, &ready, &means, &follower, &mut group);
    let running = match started {
        Ok(running) => running,
        Err(error) => {
            session.complain(&error);
            sweep(token, None, &group);
            return conclude(session, &record, Evidence { exit: Some(127), ..Evidence::default() });
        }
    };
    // From here on an agent is at work, and nothing but the end of its run may end its supervisor.
    let started = |record: &mut Record| {
        if let Some(run) = &mut record.run {
            run.pid = running.pid();
            run.limits = Some(group.in_record());
        }
        Ok(())
    };
    let record = session.state.update(record.number, started).or_else(|error| {
        session.complain(&error);
        let mut unsaved = record.clone();
        started(&mut unsaved).map(|()| unsaved)
    })?;
    if let Err(error) = tell(session, &record) {
        session.complain(&error);
    }
    limits::tell(session, &mut follower, &group);
    watch(session, &record, &running, follower, Watched::new(group), &signals)
}

/// What follows where a signal came before the agent: a person's cancels the attempt, which does not count; after a
/// shutdown the queue goes on from here.
fn call_off(session: &Session, record: &Record, signals: &Signals) -> Result<Record> {
    let number = record.number;
    if !signals.interrupted() {
        let message = format!("issue #{number}: interrupted before its agent was started");
        return Err(Error::new(Kind::TryAgain, message).hint("it stays queued"));
    }
    let (by, now) = (session.command, session.clock.now());
    let cancelled = claims::update(&session.state, record.claimed()?, number, |record| {
        record.outcome = Some(Outcome::Cancelled);
        record.transition(Status::Failed, by, "stopped by the operator before its agent was started", now)
    })?;
    allowance::give_back(session, &cancelled);
    Ok(cancelled)
}

/// The record becomes in-progress, if it still is this claim's.
fn enter(
    session: &Session,
    wanted: &Record,
    agent: &Agent,
    ready: &Ready,
    group: &Group,
    tier: &Tier,
) -> Result<Record> {
    let now = session.clock.now();
    let time = Duration::from_secs_f64(session.loaded.config.timeout_minutes() * 60.0);
    let deadline = u64::try_from((clock::since_boot() + time).as_millis()).unwrap_or(u64::MAX);
    claims::update(&session.state, wanted.claimed()?, wanted.number, |record| {
        let attempt = record.claimed()?.attempt;
        if let Some(claim) = &mut record.claim {
            claim.base_sha = Some(ready.base_sha.clone());
            claim.not_before = None;
            claim.lease_expires_at = now + lease(session);
        }
        // Only of a session in which something was said; a reported id is known when it is.
        let before = record.run.take();
        let session_id = match (before.as_ref().filter(|_| ready.resumes), agent.session) {
            (Some(last), _) => last.session_id.clone(),
            (None, SessionBy::Assigned) => Some(uuid::Uuid::new_v4().to_string()),
            (None, SessionBy::Reported) => None,
        };
        record.outcome = None;
        record.gates = None;
        let mut run = Run {
            supervisor: Some(owner::of_this_process()),
            agent: Some(agent.name.clone()),
            model: agent.model.clone(),
            started_at: Some(now),
            deadline: Some(now + time),
            deadline_since_boot_ms: Some(deadline),
            liveness: Some(Liveness::Working),
            limits: Some(group.in_record()),
            sandbox: Some(tier.name().to_owned()),
            workspace: ready.paths.dir.display().to_string(),
            log: ready.paths.log.display().to_string(),
            session_id,
            told: Some(record.feedback_count()),
            resumed: ready.resumes,
            resumable: ready.resumes,
            git_dir: Some(ready.worktree.git_dir.display().to_string()),
            ..Run::default()
        };
        budget::carry(before.as_ref(), &mut run);
        record.run = Some(run);
        record.transition(Status::InProgress, session.command, format!("attempt {attempt} started"), now)
    })
}

/// How long a claim is not doubted after it was renewed.
fn lease(session: &Session) -> TimeDelta {
    TimeDelta::minutes(i64::from(session.loaded.config.claims.lease_minutes))
}
