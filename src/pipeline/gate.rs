//! `cq-gate`: the configured checks, on the exact tree that was committed.
//!
//! The tree is written into a clean folder, so that nothing the agent left lying about can make a check pass.

use std::fs::OpenOptions;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::workspace::{self, Paths};
use crate::agent::environment as seen;
use crate::claims;
use crate::config;
use crate::error::{Error, Kind, OrFail, Result, Tally};
use crate::git::PrivateGit;
use crate::process::{self, Program, Running};
use crate::record::{Check, Extra, Feedback, FeedbackSource, GateVerdict, Gates, Outcome, Record, Status};
use crate::sanitize;
use crate::session::Session;
use crate::state::make_private;

/// What is asked for.
#[derive(Debug)]
pub struct Wish {
    /// Even a tree that has a verdict.
    pub again: bool,
    /// Only say it.
    pub dry_run: bool,
}

/// Lines of a red check's output that the next attempt gets to see.
const FEEDBACK_LINES: usize = 50;
/// The most of a check's output that is read for it.
const FEEDBACK_BYTES: u64 = 64 << 10;

/// Checks what comes in.
pub fn run(session: &Session, wish: &Wish, records: impl Iterator<Item = Result<Record>>) -> Result<Tally> {
    session.state.refuse_when_stopped()?;
    let mut output = session.records();
    let tally = session.for_each(records, |wanted| {
        let record = one(session, wish, &wanted)?;
        output.record(&record)?;
        match record.gates.as_ref().map(|gates| gates.verdict) {
            Some(GateVerdict::Failed) => Err(report(&record, "failed")),
            Some(GateVerdict::Unevaluated) => Err(report(&record, "could not be evaluated")),
            Some(GateVerdict::Passed) | None => Ok(()),
        }
    })?;
    output.finish()?;
    Ok(tally)
}

fn report(record: &Record, how: &str) -> Error {
    let checks = record.gates.iter().flat_map(|gates| &gates.checks);
    let told: Vec<String> = checks
        .filter(|check| check.verdict != GateVerdict::Passed)
        .map(|check| format!("{} (see '{}')", check.name, check.log))
        .collect();
    Error::new(Kind::Failed, format!("issue #{}: checks {how}: {}", record.number, told.join(", ")))
}

fn one(session: &Session, wish: &Wish, wanted: &Record) -> Result<Record> {
    let (lock, record) = super::hold(session, wanted)?;
    let number = record.number;
    // What is withheld a person may have mended by hand.
    if record.status != Some(Status::Testing) && !record.is_withheld() {
        let status = record.standing();
        session.note(&format!("issue #{number} is {status}: nothing is checked"));
        return Ok(Record { gates: None, ..record });
    }
    let (repository, private) = session.git()?;
    let head = workspace::head_of(&repository, &record)?;
    let tree = private.tree_of(&head)?;
    let has_verdict = |gates: &Gates| gates.tree == tree && gates.verdict != GateVerdict::Unevaluated;
    if !wish.again && record.gates.as_ref().is_some_and(has_verdict) {
        return Ok(record);
    }
    let configured = &session.loaded.config.quality_gates;
    if wish.dry_run {
        session.note(&format!("would run {} checks for issue #{number}", configured.len()));
        return Ok(record);
    }
    if configured.is_empty() {
        session.note(&format!("no qualityGates are configured: nothing was checked for issue #{number}"));
    }
    let checks = check_tree(session, &record, &private, &head, configured)?;
    let gates = Gates { verdict: overall(&checks), tree, checks, extra: Extra::new() };
    let record = write_down(session, &record, gates)?;
    drop(lock);
    Ok(record)
}

/// Red if any is red; else unevaluated if any could not run.
fn overall(checks: &[Check]) -> GateVerdict {
    let any = |verdict| checks.iter().any(|check| check.verdict == verdict);
    if any(GateVerdict::Failed) {
        GateVerdict::Failed
    } else if any(GateVerdict::Unevaluated) {
        GateVerdict::Unevaluated
    } else {
        GateVerdict::Passed
    }
}

fn check_tree(
    session: &Session,
    record: &Record,
    private: &PrivateGit,
    head: &str,
    configured: &[config::Gate],
) -> Result<Vec<Check>> {
    if configured.is_empty() {
        return Ok(Vec::new());
    }
    let paths = Paths::of(session, record)?;
    make_private(&paths.dir)?;
    make_private(&paths.raw)?;
    let folder = paths.dir.join("gate");
    if folder.symlink_metadata().is_ok() {
        workspace::discard(session, &folder)?;
    }
    make_private(&folder)?;
    private.export(&folder, head)?;
    let checks = configured.iter().map(|gate| check(session, record, &paths, &folder, gate)).collect();
    workspace::discard(session, &folder)?;
    checks
}

/// One check. 126, 127, a signal and a timeout say nothing about the change.
fn check(
    session: &Session,
    record: &Record,
    paths: &Paths,
    folder: &Path,
    gate: &config::Gate,
) -> Result<Check> {
    let log = paths.raw_file(record, &format!("gate.{}.txt", file_name(&gate.name)));
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&log);
    let mut file = file.or_fail(Kind::CannotWrite, || format!("cannot write '{}'", log.display()))?;
    let started = Instant::now();
    let deadline = Duration::from_secs(u64::from(gate.timeout_minutes) * 60);
    let exit = match start(session, record, folder, gate, &file) {
        Ok(running) => {
            let exit = running.wait(deadline)?.map(|finished| finished.exit);
            let token = record.claimed()?.token.as_str();
            process::end_all(process::marked_families(seen::MARKER, token), process::GRACE, || {});
            exit
        }
        Err(error) => {
            let _ = writeln!(file, "{error}");
            Some(127)
        }
    };
    let verdict = match exit {
        Some(0) => GateVerdict::Passed,
        None | Some(126 | 127 | 128..) => GateVerdict::Unevaluated,
        Some(_) => GateVerdict::Failed,
    };
    redact_file(session, &mut file)
        .or_fail(Kind::CannotWrite, || format!("cannot write '{}'", log.display()))?;
    Ok(Check {
        name: gate.name.clone(),
        command: gate.command.clone(),
        verdict,
        exit,
        seconds: (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
        log: log.display().to_string(),
        extra: Extra::new(),
    })
}

fn start(
    session: &Session,
    record: &Record,
    folder: &Path,
    gate: &config::Gate,
    log: &std::fs::File,
) -> Result<Running> {
    let (name, arguments) = gate.command.split_first().ok_or_else(|| {
        Error::new(Kind::Config, format!("the command of the check '{}' is empty", gate.name))
    })?;
    let both = || log.try_clone().or_fail(Kind::Internal, || "cannot pass on a log");
    Program::new(process::find(name, folder, &session.environment)?, folder)
        .args(arguments)
        .envs(seen::of_check(&session.environment, record)?)
        .stdout_file(both()?)
        .stderr_file(both()?)
        .start()
}

/// A check's name as part of a file's name.
fn file_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).take(40).collect()
}

/// A check runs what an agent wrote; a secret that it printed does not stay.
fn redact_file(session: &Session, file: &mut std::fs::File) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    // A longer output than this was not meant to be read by anybody.
    file.take(LONGEST_LOG).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let redacted = session.redactor().redact(&text).into_owned();
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(redacted.as_bytes())
}

/// The most of a check's output that is kept.
const LONGEST_LOG: u64 = 16 << 20;

/// The verdict goes into the record; a red one ends the attempt.
fn write_down(session: &Session, record: &Record, gates: Gates) -> Result<Record> {
    let now = session.clock.now();
    let attempts = session.loaded.config.queue.retry_attempts;
    let feedback = feedback(&gates);
    claims::update(&session.state, record.claimed()?, record.number, |record| {
        let verdict = gates.verdict;
        let red: Vec<&str> = gates
            .checks
            .iter()
            .filter(|check| check.verdict == GateVerdict::Failed)
            .map(|check| check.name.as_str())
            .collect();
        let why = format!("red: {}", red.join(", "));
        record.gates = Some(gates);
        if verdict == GateVerdict::Failed {
            record.feedback.push(Feedback {
                from: FeedbackSource::Gate,
                text: feedback,
                at: now,
                extra: Extra::new(),
            });
            record.end_attempt(Outcome::GateFailed, &why, attempts, session.command, now, fastrand::f64())?;
        }
        Ok(())
    })
}

/// The ends of the red checks' output.
fn feedback(gates: &Gates) -> String {
    let red = gates.checks.iter().filter(|check| check.verdict == GateVerdict::Failed);
    let told = red.map(|check| {
        let exit =
            check.exit.map_or_else(|| "no exit status".to_owned(), |exit| format!("exit status {exit}"));
        format!(
            "The check '{}' failed ({}, {exit}):\n{}",
            check.name,
            check.command.join(" "),
            tail(Path::new(&check.log))
        )
    });
    told.collect::<Vec<_>>().join("\n\n")
}

fn tail(log: &Path) -> String {
    let mut text = Vec::new();
    let read = std::fs::File::open(log).and_then(|mut file| {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(FEEDBACK_BYTES)))?;
        file.read_to_end(&mut text)
    });
    if read.is_err() {
        return "(its output cannot be read)".to_owned();
    }
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    sanitize::lines(&lines[lines.len().saturating_sub(FEEDBACK_LINES)..].join("\n")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn red_outranks_what_could_not_run() {
        use GateVerdict::{Failed, Passed, Unevaluated};
        let check = |verdict| Check {
            name: "n".into(),
            command: vec![],
            verdict,
            exit: None,
            seconds: 0.0,
            log: String::new(),
            extra: Extra::new(),
        };
        let cases: [(&[GateVerdict], GateVerdict); 5] = [
            (&[], Passed),
            (&[Passed, Passed], Passed),
            (&[Passed, Unevaluated], Unevaluated),
            (&[Unevaluated, Failed], Failed),
            (&[Failed, Passed], Failed),
        ];
        for (verdicts, expected) in cases {
            let checks: Vec<Check> = verdicts.iter().copied().map(check).collect();
            assert_eq!(overall(&checks), expected, "{verdicts:?}");
        }
    }

    #[test]
    fn check_names_become_plain_file_names() {
        assert_eq!(file_name("../lint & test"), "___lint___test");
    }
}
