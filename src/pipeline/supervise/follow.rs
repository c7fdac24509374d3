//! Follows a run's output file: understands each line, keeps what counts, and passes it on to the log, redacted.
//!
//! A file and not a pipe, because Claude Code was seen to lose its result when a pipe's reader paused, and
//! because a file outlives its reader. However long a line is and however many there are, little is held of them.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::agent::budget;
use crate::agent::events::{Final, Line, Progress, Reader, Said};
use crate::agent::profile::Agent;
use crate::clock::{self, Timestamp};
use crate::config::{Parser, SessionBy};
use crate::error::{Kind, OrFail, Result};
use crate::pipeline::workspace::{Paths, Ready, private_file};
use crate::record::{Record, Run};
use crate::session::Session;

mod log;
mod ration;

use log::{Log, Rest};
use ration::Ration;

/// The record learns of progress at most this often.
const NOTE_EVERY: Duration = Duration::from_secs(1);
/// How long is read at a time before everything else is thought of.
const AT_A_TIME: Duration = Duration::from_millis(200);
/// So much is read between two looks at the clock.
const CHUNK: usize = 64 << 10;

/// What is known of a run's output so far.
#[derive(Debug)]
pub(super) struct Follower {
    raw: PathBuf,
    reader: BufReader<File>,
    /// Bytes of it that were read, up to the end of the last whole line.
    read: u64,
    line: Line,
    line_length: u64,
    understood: Reader,
    number: u64,
    /// The session, as the agent itself names it.
    session_id: Option<String>,
    session_by: SessionBy,
    log: Log,
    ration: Ration,
    last: Option<(Final, Instant)>,
    /// Whether nothing but noise came after the last result.
    rests: bool,
    /// When something was last read.
    heard_at: Instant,
    last_event_at: Option<Timestamp>,
    /// Whether the record does not know of the last event yet.
    unnoted: bool,
    noted_at: Instant,
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
        let log = Log::open(session, &ready.paths.log, &note_of(&ready.paths, record))?;
        let mut follower = Self {
            raw,
            reader: BufReader::with_capacity(CHUNK, reader),
            read: 0,
            line: Line::default(),
            line_length: 0,
            understood: Reader::new(agent.parser),
            number: record.number,
            session_id: None,
            session_by: agent.session,
            log,
            ration: Ration::new(clock::since_boot()),
            last: None,
            rests: false,
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

    /// Reads what has been written since, for a while. Whether that is all of it.
    pub(super) fn catch_up(&mut self, session: &Session) -> Result<bool> {
        let (began, before) = (Instant::now(), self.read);
        let all = loop {
            let read = self.reader.fill_buf();
            let read = read.or_fail(Kind::CannotWrite, || format!("cannot read '{}'", self.raw.display()))?;
            if read.is_empty() {
                break true;
            }
            self.heard_at = Instant::now();
            if self.heard_at.saturating_duration_since(began) > AT_A_TIME {
                break false;
            }
            let end = read.iter().position(|byte| *byte == b'\n');
            let used = end.map_or(read.len(), |at| at + 1);
            self.line.add(&read[..end.unwrap_or(read.len())]);
            self.line_length += used as u64;
            self.reader.consume(used);
            if end.is_some() {
                self.understand(session)?;
            }
        };
        if self.read > before {
            self.log.has_told(self.read)?;
        }
        Ok(all)
    }

    /// Reads everything, once the run is over. What was written without a line end counts as a line.
    pub(super) fn finish(&mut self, session: &Session) -> Result<()> {
        while !self.catch_up(session)? {}
        if !self.line.is_empty() {
            self.understand(session)?;
        }
        if let Some(rest) = self.understood.finish() {
            self.log.tell(session, &rest)?;
        }
        if let Some(left_out) = self.ration.left_out() {
            self.log.tell(session, &left_out)?;
        }
        self.log.has_told(self.read)?;
        if self.unnoted {
            self.note(session);
        }
        Ok(())
    }

    fn understand(&mut self, session: &Session) -> Result<()> {
        self.read += std::mem::take(&mut self.line_length);
        self.last_event_at = Some(session.clock.now());
        self.unnoted = true;
        let said = self.understood.read(&self.line.take());
        if said.session_id.is_some() {
            self.session_id.clone_from(&said.session_id);
        }
        let log = &mut self.log;
        let told = rationed(&mut self.ration, &said, |text| log.tell(session, text));
        if let Some(end) = said.end {
            self.last = Some((end, Instant::now()));
            self.rests = true;
        } else if !said.lines.is_empty() {
            // A background task may begin another turn.
            self.rests = false;
        }
        told
    }

    /// One entry of the log, in cq's own words.
    pub(super) fn tell(&mut self, session: &Session, text: &str) -> Result<()> {
        self.log.tell(session, text)
    }

    /// When the agent was last heard, be it part of a line.
    pub(super) fn heard_at(&self) -> Instant {
        self.heard_at
    }

    /// The last result, if there was one.
    pub(super) fn last(&self) -> Option<&Final> {
        self.last.as_ref().map(|(last, _)| last)
    }

    /// Whether the agent has given its result, and not gone on after it.
    pub(super) fn rests(&self) -> bool {
        self.rests
    }

    /// Whether the agent has had this long to end after its result.
    pub(super) fn has_rested_for(&self, age: Duration) -> bool {
        self.rests && self.last.as_ref().is_some_and(|(_, at)| at.elapsed() > age)
    }

    /// US dollars that the run has cost, where the agent says so while it works.
    pub(super) fn cost_so_far(&self) -> Option<f64> {
        self.understood.so_far().cost_usd
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
    run.model = so_far.model.clone().or_else(|| run.model.take());
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
    /// Bytes of it so far.
    read: u64,
    rest: Option<Rest>,
}

/// Where it is noted how far a run's output has been told.
fn note_of(paths: &Paths, record: &Record) -> PathBuf {
    paths.raw_file(record, "told.txt")
}

/// Tells of a line what the log takes: the end always.
fn rationed(ration: &mut Ration, said: &Said, mut tell: impl FnMut(&str) -> Result<()>) -> Result<()> {
    for text in &said.lines {
        if !ration.takes(text.len() + text.lines().count() * 32, clock::since_boot()) && said.end.is_none() {
            continue;
        }
        if let Some(left_out) = ration.left_out() {
            tell(&left_out)?;
        }
        tell(text)?;
    }
    Ok(())
}

/// Reads a run's output once more, and tells the log what it lacks. What cannot be read says nothing.
pub(super) fn read_again(session: &Session, record: &Record, parser: Parser) -> Reread {
    let Ok(paths) = Paths::of(session, record) else { return Reread::default() };
    let rest = Rest::open(session, &paths.log, &note_of(&paths, record)).unwrap_or_else(|error| {
        session.complain(&error);
        None
    });
    let mut told = Reread { rest, ..Reread::default() };
    let Ok(file) = File::open(raw_output(&paths, record)) else { return told };
    let mut reader = BufReader::with_capacity(CHUNK, file);
    let (mut line, mut understood) = (Line::default(), Reader::new(parser));
    let mut ration = Ration::new(clock::since_boot());
    while let Ok(read) = reader.fill_buf()
        && !read.is_empty()
    {
        let end = read.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(read.len(), |at| at + 1);
        line.add(&read[..end.unwrap_or(read.len())]);
        reader.consume(used);
        told.read += used as u64;
        if end.is_some() {
            told.hear(session, understood.read(&line.take()), &mut ration);
        }
    }
    if !line.is_empty() {
        told.hear(session, understood.read(&line.take()), &mut ration);
    }
    for last in [understood.finish(), ration.left_out()].into_iter().flatten() {
        told.tell(session, &last);
    }
    if let Some(Err(error)) = told.rest.take().map(|rest| rest.end(told.read)) {
        session.complain(&error);
    }
    told.so_far = understood.so_far().clone();
    told
}

impl Reread {
    fn hear(&mut self, session: &Session, said: Said, ration: &mut Ration) {
        if self.rest.as_ref().is_some_and(|rest| self.read > rest.told()) {
            // What cannot be told ends no burial.
            let _ = rationed(ration, &said, |text| {
                self.tell(session, text);
                Ok(())
            });
        }
        self.session_id = said.session_id.or(self.session_id.take());
        self.last = said.end.or(self.last.take());
    }

    fn tell(&mut self, session: &Session, text: &str) {
        let Some(rest) = &mut self.rest else { return };
        if let Err(error) = rest.tell(session, text) {
            session.complain(&error);
            self.rest = None;
        }
    }
}
