//! Follows the file that an agent writes its output to: understands it, tells it to the log, redacted.
//!
//! A file and not a pipe, because Claude Code was seen to lose its result when a pipe's reader paused, and
//! because a file outlives its reader.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use chrono::SecondsFormat;

use crate::agent::budget;
use crate::agent::events::{Final, Progress, Reader};
use crate::agent::profile::Agent;
use crate::clock::Timestamp;
use crate::config::{Parser, SessionBy};
use crate::error::{Kind, OrFail, Result};
use crate::pipeline::workspace::{Paths, Ready, private_file};
use crate::record::{Record, Run};
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
    understood: Reader,
    number: u64,
    /// The session, as the agent itself names it.
    session_id: Option<String>,
    session_by: SessionBy,
    log: File,
    redactor: Redactor,
    last: Option<(Final, Instant)>,
    /// When something was last read.
    heard_at: Instant,
    last_event_at: Option<Timestamp>,
    /// Whether the record does not know of the last event yet.
    unnoted: bool,
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
        let unreadable = || format!("cannot read '{}'", raw.display());
        let mut reader = File::open(&raw).or_fail(Kind::CannotWrite, unreadable)?;
        // The file is this run's own. Should it be there all the same, what it holds is not this run's.
        reader.seek(SeekFrom::End(0)).or_fail(Kind::CannotWrite, unreadable)?;
        let log = private_file(&ready.paths.log)?;
        let mut follower = Self {
            raw,
            reader: BufReader::with_capacity(64 << 10, reader),
            line: Line::default(),
            understood: Reader::new(agent.parser),
            number: record.number,
            session_id: None,
            session_by: agent.session,
            log,
            redactor: session.redactor(),
            last: None,
            heard_at: Instant::now(),
            last_event_at: None,
            unnoted: false,
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
            self.heard_at = Instant::now();
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
        if !self.line.bytes.is_empty() {
            self.understand(session)?;
        }
        if let Some(rest) = self.understood.finish() {
            self.tell(session, &rest)?;
        }
        if self.unnoted {
            self.note(session);
        }
        Ok(())
    }

    fn understand(&mut self, session: &Session) -> Result<()> {
        let line = std::mem::take(&mut self.line);
        self.last_event_at = Some(session.clock.now());
        self.unnoted = true;
        if line.too_long {
            return self.tell(session, "(a line of more than 10 MB)");
        }
        let said = self.understood.read(&line.bytes);
        if said.session_id.is_some() {
            self.session_id = said.session_id;
        }
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

    /// When the agent was last heard, be it part of a line.
    pub(super) fn heard_at(&self) -> Instant {
        self.heard_at
    }

    /// The last result, if there was one.
    pub(super) fn last(&self) -> Option<&Final> {
        self.last.as_ref().map(|(last, _)| last)
    }

    /// Whether the agent has had this long to end after its result.
    pub(super) fn result_is_older_than(&self, age: Duration) -> bool {
        self.last.as_ref().is_some_and(|(_, at)| at.elapsed() > age)
    }

    /// Time in which the agent could not move does not count.
    pub(super) fn put_off(&mut self, by: Duration) {
        if let Some((_, at)) = &mut self.last {
            *at += by;
        }
    }

    /// Puts the last sign of life into the record, not too often. A failure is not worth ending the run for.
    pub(super) fn note_progress(&mut self, session: &Session) {
        if self.unnoted && self.noted_at.elapsed() >= NOTE_EVERY {
            self.note(session);
        }
    }

    fn note(&mut self, session: &Session) {
        let (at, last) = (self.last_event_at, self.last());
        let noted = session.state.update(self.number, |record| {
            if let Some(run) = &mut record.run {
                run.last_event_at = at;
                note_session(run, self.session_id.as_deref(), self.session_by);
                note_use(run, self.understood.so_far());
                count(run, last);
            }
            Ok(())
        });
        self.noted_at = Instant::now();
        self.unnoted = noted.is_err();
    }
}

/// Whoever speaks in a session can be heard in it again.
pub(super) fn note_session(run: &mut Run, said: Option<&str>, by: SessionBy) {
    let Some(said) = said else { return };
    run.resumable = true;
    if by == SessionBy::Reported {
        run.session_id = Some(said.to_owned());
    }
}

/// Puts what is known before the end into a run.
pub(super) fn note_use(run: &mut Run, so_far: &Progress) {
    run.turns = so_far.turns.or(run.turns);
    run.cost_usd = so_far.cost_usd.or(run.cost_usd);
    run.tokens = so_far.tokens.clone().or_else(|| run.tokens.take());
}

/// Puts what a result counts into a run.
pub(super) fn count(run: &mut Run, last: Option<&Final>) {
    if let Some(last) = last {
        run.turns = last.num_turns.or(run.turns);
        budget::note(run, last);
        run.tokens = last.tokens().or_else(|| run.tokens.take());
    }
}

/// The file that a run's output goes to.
fn raw_output(paths: &Paths, record: &Record) -> PathBuf {
    paths.raw_file(record, "stdout.jsonl")
}

/// What the output of a run whose supervisor is gone tells, read once more.
#[derive(Debug, Default)]
pub(super) struct Reread {
    /// The last result.
    pub(super) last: Option<Final>,
    /// The session, as the agent itself names it.
    pub(super) session_id: Option<String>,
    pub(super) so_far: Progress,
}

/// Reads a run's output once more; what cannot be read says nothing.
pub(super) fn read_again(session: &Session, record: &Record, parser: Parser) -> Reread {
    let mut told = Reread::default();
    let Ok(paths) = Paths::of(session, record) else { return told };
    let Ok(file) = File::open(raw_output(&paths, record)) else { return told };
    let (mut reader, mut line, mut understood) = (BufReader::new(file), Line::default(), Reader::new(parser));
    while let Ok(read) = reader.fill_buf()
        && !read.is_empty()
    {
        let end = read.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(read.len(), |at| at + 1);
        line.add(&read[..end.unwrap_or(read.len())]);
        reader.consume(used);
        if end.is_some() {
            told.hear(&mut understood, &std::mem::take(&mut line).bytes);
        }
    }
    told.hear(&mut understood, &line.bytes);
    told.so_far = understood.so_far().clone();
    told
}

impl Reread {
    fn hear(&mut self, understood: &mut Reader, line: &[u8]) {
        let said = understood.read(line);
        self.session_id = said.session_id.or(self.session_id.take());
        self.last = said.end.or(self.last.take());
    }
}
