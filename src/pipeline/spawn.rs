//! `cq-spawn`: a supervisor for each claimed record.
//!
//! The instance's lock is taken here and handed to the supervisor as its stdin, so there is no moment at which
//! a working instance looks free. The supervisor says on its stdout when the agent runs, and again when it ended.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::Signal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::children;
use super::workspace::{Paths, private_file};
use crate::agent::profile::Agent;
use crate::clock::stamp;
use crate::error::{Error, Kind, OrFail, Result, Tally};
use crate::limits::{self, admission};
use crate::output;
use crate::process::{self, Program, Running, Signals};
use crate::record::trust::content_sha256;
use crate::record::{Record, Status};
use crate::session::Session;
use crate::state::make_private;

/// What is asked for.
#[derive(Debug)]
pub struct Wish {
    /// Until the agents have ended.
    pub wait: bool,
    /// The agent profile; none for the one that the labels or the configuration name.
    pub agent: Option<String>,
    /// Only say it.
    pub dry_run: bool,
    /// The issues were named by a person.
    pub named: bool,
}

/// A supervisor that was started.
struct Started {
    number: u64,
    running: Running,
    said: BufReader<std::io::PipeReader>,
    log: PathBuf,
    log_begins: u64,
}

/// Starts what comes in; with `wait`, writes each record as its agent ends, else as it starts.
pub fn run(session: &Session, wish: &Wish, records: impl Iterator<Item = Result<Record>>) -> Result<Tally> {
    session.state.refuse_when_stopped()?;
    let mut output = session.records();
    let mut started = Vec::new();
    let mut tally = session.for_each(records, |record| {
        match begin(session, wish, &record, started.len())? {
            Begun::Supervisor(supervisor) => started.push(*supervisor),
            Begun::PassOn(record) => output.record(&record)?,
            Begun::NotDue => {}
        }
        Ok(())
    })?;
    let (sender, receiver) = mpsc::channel();
    let pids: Vec<u32> = started.iter().filter_map(|supervisor| supervisor.running.pid()).collect();
    for supervisor in started {
        let sender = sender.clone();
        let wait = wish.wait;
        std::thread::spawn(move || {
            let _ = sender.send(follow(supervisor, wait));
        });
    }
    drop(sender);
    let signals = if wish.wait { Signals::note(&[SIGINT, SIGTERM, SIGHUP])? } else { Signals::default() };
    let progress = wish.wait.then(|| output::progress(pids.len(), "agents at work")).flatten();
    let mut forwarded = None;
    loop {
        // The supervisors end their agents; their records come as usual. They need to know of a Ctrl-C, which is a
        // person's wish, even if it comes later.
        let told = signals.told().map(|_| if signals.interrupted() { Signal::INT } else { Signal::TERM });
        if let Some(signal) = told.filter(|_| told != forwarded) {
            if forwarded.replace(signal).is_none() {
                session.note(&format!("ending {} agents", pids.len()));
            }
            process::signal_all(&pids, signal);
        }
        match receiver.recv_timeout(Duration::from_millis(100)) {
            Ok(Ok(record)) => output.record(&record)?,
            Ok(Err(error)) => {
                session.complain(&error);
                tally.note(error.kind);
            }
            Err(mpsc::RecvTimeoutError::Timeout) => continue,
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
        if let Some(progress) = &progress {
            progress.inc(1);
        }
    }
    output.finish()?;
    match signals.told() {
        Some(signal) => Err(Error::new(Kind::Signal(signal), "interrupted")),
        None => Ok(tally),
    }
}

enum Begun {
    Supervisor(Box<Started>),
    PassOn(Box<Record>),
    NotDue,
}

/// Refuses one more agent where the machine has no room for it; the record stays queued, and due. `starting` are those
/// that this very command has started.
fn admit(session: &Session, number: u64, starting: usize) -> Result<()> {
    let readings = limits::take_readings(&session.loaded.workspaces(&session.environment)?);
    for unknown in readings.unknown() {
        session.detail(&format!("{unknown} cannot be read, and is not looked at"));
    }
    admission::decide(&readings, &session.loaded.config.limits, starting).map_err(|refusal| {
        Error::new(Kind::TryAgain, format!("issue #{number} has to wait: {refusal}"))
            .hint(format!("it stays queued; {} decides", refusal.key()))
    })
}

/// Decides what a record needs, and starts its supervisor.
fn begin(session: &Session, wish: &Wish, wanted: &Record, starting: usize) -> Result<Begun> {
    let number = wanted.number;
    let lock = session.state.hold(&wanted.claimed()?.instance);
    let record = super::current(session, wanted)?;
    let claim = record.claimed()?;
    let status = record.status.unwrap_or(Status::Queued);
    match status {
        Status::Queued => {}
        Status::Testing if !wish.wait => {}
        Status::Failed => {
            return Err(Error::new(Kind::Failed, format!("issue #{number} is failed"))
                .hint(format!("cq-claim --retry {number} queues it again")));
        }
        _ => {
            session.answer(
                wish.named,
                &format!("issue #{number} is {} already: no agent is started", status.name()),
            );
            return Ok(Begun::PassOn(Box::new(record)));
        }
    }
    if status == Status::Queued {
        session.state.refuse_while_resting()?;
    }
    let now = session.clock.now();
    if let Some(not_before) =
        claim.not_before.filter(|not_before| status == Status::Queued && *not_before > now)
    {
        session.note(&format!("issue #{number} is not due before {}", stamp(not_before)));
        return Ok(Begun::NotDue);
    }
    if status == Status::Queued {
        // A name that nobody knows is told here, not in a supervisor's log.
        Agent::for_record(&session.loaded.config, &record, wish.agent.as_deref())?;
        admit(session, number, starting)?;
    }
    if wish.dry_run {
        session.note(&format!("would start an agent for issue #{number} as {}", claim.instance));
        return Ok(Begun::PassOn(Box::new(record)));
    }
    refuse_other_text(&record)?;
    let lock = lock?;
    let raw = Paths::of(session, &record)?.raw;
    make_private(&raw)?;
    let log = raw.join("supervise.log");
    let log_file = private_file(&log)?;
    let log_begins = log_file.metadata().map(|about| about.len()).unwrap_or_default();
    let (said, speaks) = std::io::pipe().or_fail(Kind::Internal, || "cannot make a pipe")?;
    let mut arguments: Vec<String> =
        vec!["--lock-on-stdin".to_owned(), "--format".to_owned(), "jsonl".to_owned()];
    if !wish.wait {
        arguments.push("--onward".to_owned());
    }
    if let Some(agent) = &wish.agent {
        arguments.extend(["--agent".to_owned(), agent.clone()]);
    }
    arguments.extend(session.options_for_children());
    arguments.push(claim.instance.clone());
    let running = Program::new(process::sibling("cq-supervise", &session.environment)?, session.folder())
        .args(arguments)
        .envs(session.environment.iter())
        .stdin_file(lock.into_file())
        .stdout_file(File::from(OwnedFd::from(speaks)))
        .stderr_file(log_file)
        .start()?;
    Ok(Begun::Supervisor(Box::new(Started { number, running, said: BufReader::new(said), log, log_begins })))
}

/// What the agent gets is what was approved, to the letter: a record is a file, and files can be changed.
fn refuse_other_text(record: &Record) -> Result<()> {
    let trusted = record.trust.as_ref().is_some_and(|trust| trust.covers(&record.issue));
    let approved = record.claimed()?.content_sha256.as_deref();
    if trusted && approved.is_none_or(|approved| approved == content_sha256(&record.issue)) {
        return Ok(());
    }
    let message = format!("issue #{}: its text is not the one that was approved", record.number);
    Err(Error::new(Kind::NotPermitted, message).hint("cq-claim --release it, and fetch and claim it again"))
}

/// Reads what a supervisor says: one record when its agent runs, one when it ended.
fn follow(supervisor: Started, wait: bool) -> Result<Record> {
    let Started { number, running, mut said, log, log_begins } = supervisor;
    let mut last = None;
    loop {
        let mut line = String::new();
        let read = said.read_line(&mut line).or_fail(Kind::Internal, || "cannot read from a supervisor")?;
        if read == 0 {
            break;
        }
        last = Some(Record::from_json(&line)?);
        if !wait {
            break;
        }
    }
    match last {
        Some(record) if !wait || record.status != Some(Status::InProgress) => Ok(record),
        _ => {
            let finished = running.wait(Duration::from_secs(10))?;
            let exit = finished.map_or(-1, |finished| finished.exit);
            let error = children::complaint("the supervisor", &said_since(&log, log_begins), exit);
            let (said, issue) = (error.to_string(), format!("issue #{number}"));
            let told = if said.starts_with(&issue) { said } else { format!("{issue}: {said}") };
            let told = Error::new(error.kind, told);
            Err(told
                .hint(error.hint.unwrap_or_else(|| format!("the supervisor's log is '{}'", log.display()))))
        }
    }
}

/// What a supervisor wrote since it was started.
fn said_since(log: &Path, begins: u64) -> String {
    let mut text = String::new();
    let read = File::open(log).and_then(|mut file| {
        file.seek(SeekFrom::Start(begins))?;
        file.take(64 << 10).read_to_string(&mut text)
    });
    if read.is_ok() { text } else { String::new() }
}
