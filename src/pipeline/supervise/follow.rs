//! Follows the file that an agent writes its output to: understands it, tells it to the log, redacted.
//!
//! A file and not a pipe, because Claude Code was seen to lose its result when a pipe's reader paused, and
//! because a file outlives its reader.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::SecondsFormat;

use crate::agent::events::{self, Final};
use crate::agent::profile::Agent;
use crate::clock::Timestamp;
use crate::config::Parser;
use crate::error::{Kind, OrFail, Result};
use crate::pipeline::workspace::{Paths, Ready, private_file};
use crate::record::Record;
use crate::redact::Redactor;
use crate::session::Session;

/// A longer line is not understood, only kept in the raw file.
const LONGEST_LINE: usize = 10 << 20;
/// The record learns of progress at most this often.
const NOTE_EVERY: Duration = Duration::from_secs(1);

/// What is known of a run's output so far.
#[derive(Debug)]
pub(super) struct Follower {
    raw: PathBuf,
    reader: BufReader<File>,
    line: Line,
    parser: Parser,
    log: File,
    redactor: Redactor,
    last: Option<(Final, Instant)>,
    last_event_at: Option<Timestamp>,
    noted: Option<Timestamp>,
    noted_at: Instant,
}

/// A line that may not be complete yet.
#[derive(Debug, Default)]
struct Line {
    bytes: Vec<u8>,
    too_long: bool,
}

impl Line {
    fn add(&mut self, more: &[u8]) {
        if self.bytes.len() + more.len() > LONGEST_LINE {
            self.too_long = true;
            self.bytes = Vec::new();
        } else if !self.too_long {
            self.bytes.extend_from_slice(more);
        }
    }
}

impl Follower {
    /// Makes the raw file and opens the log.
    pub(super) fn open(session: &Session, record: &Record, agent: &Agent, ready: &Ready) -> Result<Self> {
        let raw = raw_output(&ready.paths, record);
        private_file(&raw)?;
        let reader =
            File::open(&raw).or_fail(Kind::CannotWrite, || format!("cannot read '{}'", raw.display()))?;
        let log = private_file(&ready.paths.log)?;
        let mut follower = Self {
            raw,
            reader: BufReader::with_capacity(64 << 10, reader),
            line: Line::default(),
            parser: agent.parser,
            log,
            redactor: session.redactor(),
            last: None,
            last_event_at: None,
            noted: None,
            noted_at: Instant::now(),
        };
        let attempt = record.claim.as_ref().map_or(1, |claim| claim.attempt);
        let title = format!("issue #{}, attempt {attempt}: {}", record.number, record.issue.title);
        follower.tell(session, &title)?;
        Ok(follower)
    }

    /// The raw file, to be written to by the agent.
    pub(super) fn raw_file(&self) -> Result<File> {
        private_file(&self.raw)
    }

    /// Reads what has been written since.
    pub(super) fn catch_up(&mut self, session: &Session) -> Result<()> {
        loop {
            let read = self.reader.fill_buf();
            let read = read.or_fail(Kind::CannotWrite, || format!("cannot read '{}'", self.raw.display()))?;
            if read.is_empty() {
                return Ok(());
            }
            let (used, complete) = match read.iter().position(|byte| *byte == b'\n') {
                Some(at) => {
                    self.line.add(&read[..at]);
                    (at + 1, true)
                }
                None => {
                    self.line.add(read);
                    (read.len(), false)
                }
            };
            self.reader.consume(used);
            if complete {
                self.understand(session)?;
            }
        }
    }

    /// What was written without a line end counts as a line once the run is over.
    pub(super) fn finish(&mut self, session: &Session) -> Result<()> {
        if self.line.bytes.is_empty() { Ok(()) } else { self.understand(session) }
    }

    fn understand(&mut self, session: &Session) -> Result<()> {
        let line = std::mem::take(&mut self.line);
        self.last_event_at = Some(session.clock.now());
        if line.too_long {
            return self.tell(session, "(a line of more than 10 MB)");
        }
        let said = events::read(self.parser, &line.bytes);
        if let Some(end) = said.end {
            self.last = Some((end, Instant::now()));
        }
        said.lines.iter().try_for_each(|text| self.tell(session, text))
    }

    /// One entry of the log: each of its lines begins with the time, so that logs can be merged.
    pub(super) fn tell(&mut self, session: &Session, text: &str) -> Result<()> {
        let at = session.clock.now_exact().to_rfc3339_opts(SecondsFormat::Millis, true);
        let text = self.redactor.redact(text);
        let text = crate::sanitize::lines(&text);
        let mut entry = String::with_capacity(text.len() + 64);
        for line in text.lines() {
            let _ = writeln!(entry, "{at}  {line}");
        }
        self.log.write_all(entry.as_bytes()).or_fail(Kind::CannotWrite, || "cannot write the log")
    }

    /// The last result, if there was one.
    pub(super) fn last(&self) -> Option<&Final> {
        self.last.as_ref().map(|(last, _)| last)
    }

    /// Whether the agent has had this long to end after its result.
    pub(super) fn result_is_older_than(&self, age: Duration) -> bool {
        self.last.as_ref().is_some_and(|(_, at)| at.elapsed() > age)
    }

    /// Puts the last sign of life into the record, not too often. A failure is not worth ending the run for.
    pub(super) fn note_progress(&mut self, session: &Session, number: u64) {
        if self.last_event_at == self.noted || self.noted_at.elapsed() < NOTE_EVERY {
            return;
        }
        let (at, last) = (self.last_event_at, self.last().cloned());
        let noted = session.state.update(number, |record| {
            if let Some(run) = &mut record.run {
                run.last_event_at = at;
                count(run, last.as_ref());
            }
            Ok(())
        });
        self.noted_at = Instant::now();
        if noted.is_ok() {
            self.noted = at;
        }
    }
}

/// Puts what a result counts into a run.
pub(super) fn count(run: &mut crate::record::Run, last: Option<&Final>) {
    if let Some(last) = last {
        run.turns = last.num_turns.or(run.turns);
        run.cost_usd = last.total_cost_usd.or(run.cost_usd);
        run.tokens = last.tokens().or_else(|| run.tokens.take());
    }
}

/// The file that a run's output goes to.
fn raw_output(paths: &Paths, record: &Record) -> PathBuf {
    paths.raw_file(record, "stdout.jsonl")
}

/// The last result in the output of a run whose supervisor is gone.
pub(super) fn last_word(session: &Session, record: &Record, parser: Parser) -> Option<Final> {
    let path = raw_output(&Paths::of(session, record).ok()?, record);
    last_word_in(&path, parser)
}

fn last_word_in(path: &Path, parser: Parser) -> Option<Final> {
    let mut reader = BufReader::new(File::open(path).ok()?);
    let (mut last, mut line) = (None, Line::default());
    loop {
        let read = reader.fill_buf().ok()?;
        if read.is_empty() {
            break;
        }
        let end = read.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(read.len(), |at| at + 1);
        line.add(&read[..end.unwrap_or(read.len())]);
        reader.consume(used);
        if end.is_some() {
            last = events::read(parser, &line.bytes).end.or(last);
            line = Line::default();
        }
    }
    events::read(parser, &line.bytes).end.or(last)
}
