//! The log of an instance, and how far a run's output has been told in it.
//!
//! A supervisor can be killed between any two instructions. Beside the raw output it keeps three numbers: how long the
//! log was before this run, how much of the raw output was told, how long the log was then. Whoever buries the run
//! understands the output once more, and tells what the log lacks: what follows the noted length is compared.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use chrono::SecondsFormat;

use crate::error::{Kind, OrFail, Result};
use crate::pipeline::workspace::private_file;
use crate::redact::Redactor;
use crate::session::Session;

/// Between the time and the text of each line.
const BETWEEN: &str = "  ";
/// So much of a line's text is compared.
const COMPARED: u64 = 16 << 10;

/// How far a run's output has been told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// The log's length before this run.
    pub(super) begins: u64,
    /// Bytes of the raw output.
    pub(super) read: u64,
    /// The log's length when they were told.
    pub(super) length: u64,
}

impl Told {
    /// As it is written: of one length, so that it is replaced in one piece.
    fn text(self) -> String {
        format!("{:020} {:020} {:020}\n", self.begins, self.read, self.length)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.strip_suffix('\n')?.split(' ').map(|number| number.parse().ok());
        let told = Self { begins: numbers.next()??, read: numbers.next()??, length: numbers.next()?? };
        numbers.next().is_none().then_some(told)
    }

    /// What was noted in a file; none if there is nothing to be understood.
    pub(super) fn noted(path: &Path) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(path).ok()?)
    }
}

/// The log, open to be written to.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    redactor: Redactor,
    note: File,
    told: Told,
}

impl Log {
    /// Opens the log of a run that begins, and notes in a file that nothing of it has been told.
    pub(super) fn open(session: &Session, log: &Path, note: &Path) -> Result<Self> {
        let begins = private_file(log)?.metadata().map(|about| about.len()).unwrap_or_default();
        Self::go_on(session, log, note, Told { begins, read: 0, length: begins })
    }

    fn go_on(session: &Session, log: &Path, note: &Path, told: Told) -> Result<Self> {
        let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(note);
        let opened = opened.or_fail(Kind::CannotWrite, || format!("cannot write '{}'", note.display()))?;
        let log = Self { file: private_file(log)?, redactor: session.redactor(), note: opened, told };
        log.note()?;
        Ok(log)
    }

    /// One entry: each of its lines begins with the time, so that logs can be merged.
    pub(super) fn tell(&mut self, session: &Session, text: &str) -> Result<()> {
        let at = session.clock.now_exact().to_rfc3339_opts(SecondsFormat::Millis, true);
        let text = shown(&self.redactor, text);
        let mut entry = String::with_capacity(text.len() + 64);
        for line in text.lines() {
            let _ = writeln!(entry, "{at}{BETWEEN}{line}");
        }
        self.file.write_all(entry.as_bytes()).or_fail(Kind::CannotWrite, || "cannot write the log")
    }

    /// Notes that the output was told up to here.
    pub(super) fn has_told(&mut self, read: u64) -> Result<()> {
        let length = self.file.metadata().map(|about| about.len()).unwrap_or_default();
        self.told = Told { read, length, ..self.told };
        self.note()
    }

    fn note(&self) -> Result<()> {
        let written = self.note.write_all_at(self.told.text().as_bytes(), 0);
        written.or_fail(Kind::CannotWrite, || "cannot note how far the log is")
    }
}

fn shown(redactor: &Redactor, text: &str) -> String {
    crate::sanitize::lines(&redactor.redact(text)).into_owned()
}

/// The log of a run whose supervisor is gone: what it lacks is added.
#[derive(Debug)]
pub(super) struct Rest {
    log: Log,
    /// What is in the log after what is known to have been told; none once something was not found there.
    there: Option<BufReader<File>>,
    /// Whether something was added.
    added: bool,
}

impl Rest {
    /// None where nothing was noted: the run never began.
    pub(super) fn open(session: &Session, log: &Path, note: &Path) -> Result<Option<Self>> {
        let Some(mut told) = Told::noted(note) else { return Ok(None) };
        let unreadable = || format!("cannot read '{}'", log.display());
        let file = private_file(log)?;
        let length = file.metadata().or_fail(Kind::CannotWrite, unreadable)?.len();
        if told.length > length {
            // The machine went down, and the log had not reached the disk.
            told = Told { begins: told.begins.min(length), read: 0, length: told.begins.min(length) };
        }
        let mut there = File::open(log).or_fail(Kind::CannotWrite, unreadable)?;
        end_with_a_line(&file, &mut there, told.length).or_fail(Kind::CannotWrite, unreadable)?;
        there.seek(SeekFrom::Start(told.length)).or_fail(Kind::CannotWrite, unreadable)?;
        let log = Log::go_on(session, log, note, told)?;
        Ok(Some(Self { log, there: Some(BufReader::new(there)), added: false }))
    }

    /// How much of the raw output was told for certain.
    pub(super) fn told(&self) -> u64 {
        self.log.told.read
    }

    /// Tells what came after that, unless it is there.
    pub(super) fn tell(&mut self, session: &Session, text: &str) -> Result<()> {
        let shown = shown(&self.log.redactor, text);
        let mut missing = shown.lines().skip_while(|line| {
            let found = self.there.as_mut().is_some_and(|there| find(there, line));
            if !found {
                self.there = None;
            }
            found
        });
        let missing = missing.by_ref().collect::<Vec<_>>().join("\n");
        if missing.is_empty() {
            return Ok(());
        }
        if !std::mem::replace(&mut self.added, true) {
            self.log.tell(session, "(its supervisor was gone when it said the following)")?;
        }
        self.log.tell(session, &missing)
    }

    /// Notes that all of it has been told.
    pub(super) fn end(mut self, read: u64) -> Result<()> {
        self.log.has_told(read)
    }
}

/// Reads on until a line with this text; whether there is one. Lines in between are cq's own.
fn find(there: &mut BufReader<File>, text: &str) -> bool {
    let compared =
        |text: &[u8]| text[..text.len().min(usize::try_from(COMPARED).unwrap_or_default())].to_vec();
    let wanted = compared(text.as_bytes());
    loop {
        let mut line = Vec::new();
        match there.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return false,
            Ok(_) => {}
        }
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let at = line.windows(BETWEEN.len()).position(|two| two == BETWEEN.as_bytes());
        if at.is_some_and(|at| compared(&line[at + BETWEEN.len()..]) == wanted) {
            return true;
        }
    }
}

/// Removes a last line without an end, which its writer was killed in.
fn end_with_a_line(file: &File, there: &mut File, from: u64) -> std::io::Result<()> {
    there.seek(SeekFrom::Start(from))?;
    let (mut rest, mut whole, mut at) = (BufReader::new(there), from, from);
    loop {
        let mut line = Vec::new();
        let read = rest.read_until(b'\n', &mut line)?;
        at += read as u64;
        if read == 0 {
            break;
        }
        if line.ends_with(b"\n") {
            whole = at;
        }
    }
    if whole < at { file.set_len(whole) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_noted_in_one_piece() {
        let told = Told { begins: 1, read: u64::MAX, length: 3 };
        assert_eq!(Told::parse(&told.text()), Some(told));
        assert_eq!(told.text().len(), Told::default().text().len());
        for broken in ["", "1 2 3", "1 2\n", "1 2 3 4\n", "1 2 x\n"] {
            assert_eq!(Told::parse(broken), None, "{broken}");
        }
    }
}
