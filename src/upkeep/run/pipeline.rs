//! A pipeline that runs: real child processes with real pipes between them, no shell.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::Signal;
use rustix::time::Timespec;

use super::systemd;
use crate::error::{Kind, OrFail, Result};
use crate::process::{self, Program, Running};
use crate::session::Session;

/// A line of a child's that is longer is passed on in pieces.
const LONGEST_LINE: usize = 64 << 10;
/// What is read at once.
const CHUNK: usize = 16 << 10;

/// A pipeline at work.
#[derive(Debug)]
pub(super) struct Pipeline {
    children: Vec<Child>,
    /// What all of them say on stderr.
    words: Source,
    /// What the last one writes.
    records: Source,
    /// Since the machine was started.
    pub(super) began: Duration,
    /// When its children were told to end.
    pub(super) told: Option<Duration>,
}

#[derive(Debug)]
struct Child {
    name: &'static str,
    running: Running,
    exit: Option<i32>,
}

/// The reading end of a pipe; none once every writer has closed it.
#[derive(Debug)]
struct Source {
    file: Option<File>,
    partial: Vec<u8>,
    lines: u64,
}

impl Pipeline {
    /// Starts the commands. If one cannot be started, those before it find nobody to write to, and end.
    pub(super) fn start(session: &Session, commands: &[&[&'static str]], now: Duration) -> Result<Self> {
        let (words, speaks) = pipe()?;
        let (records, writes) = pipe()?;
        let mut children = Vec::new();
        let mut stdin = None;
        for (at, command) in commands.iter().enumerate() {
            let (&name, arguments) = command.split_first().unwrap_or((&"", &[]));
            let own = speaks.try_clone().or_fail(Kind::Internal, || "cannot share a pipe")?;
            let mut program = Program::new(process::sibling(name, &session.environment)?, session.folder())
                .args(arguments.iter().copied())
                .args(session.options_for_children())
                .envs(session.environment.iter().filter(|(name, _)| systemd::is_handed_on(name)))
                .stderr_file(own);
            if let Some(stdin) = stdin.take() {
                program = program.stdin_file(stdin);
            }
            if at + 1 < commands.len() {
                let (reads, writes) = pipe()?;
                stdin = Some(reads);
                program = program.stdout_file(writes);
            } else {
                let writes = writes.try_clone().or_fail(Kind::Internal, || "cannot share a pipe")?;
                program = program.stdout_file(writes);
            }
            children.push(Child { name, running: program.start()?, exit: None });
        }
        let source = |file| Source { file: Some(file), partial: Vec::new(), lines: 0 };
        Ok(Self { children, words: source(words), records: source(records), began: now, told: None })
    }

    /// What is to be polled for something to read.
    pub(super) fn sources(&self) -> impl Iterator<Item = &File> {
        [&self.words, &self.records].into_iter().filter_map(|source| source.file.as_ref())
    }

    /// Reads what is there without waiting; gives the lines that were said since.
    pub(super) fn listen(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        self.words.read(|line| said.push(String::from_utf8_lossy(line).trim_end().to_owned()));
        self.records.read(|_| {});
        said
    }

    /// The exit statuses, once all have ended; what was said last is to be listened to before.
    pub(super) fn ended(&mut self) -> Result<Option<Vec<(&'static str, i32)>>> {
        for child in self.children.iter_mut().filter(|child| child.exit.is_none()) {
            child.exit = child.running.wait(Duration::ZERO)?.map(|finished| finished.exit);
        }
        Ok(self.children.iter().map(|child| Some((child.name, child.exit?))).collect())
    }

    /// How many lines the last command wrote: one a record.
    pub(super) fn records(&self) -> u64 {
        self.records.lines
    }

    /// Signals every child and what it started in its own group. Supervisors and agents are in groups of their own.
    pub(super) fn signal(&self, signal: Signal) {
        for child in self.children.iter().filter(|child| child.exit.is_none()) {
            child.running.kill_group(signal);
        }
    }
}

impl Source {
    fn read(&mut self, mut each: impl FnMut(&[u8])) {
        let mut chunk = [0; CHUNK];
        while let Some(file) = self.file.as_mut().filter(|file| is_readable(file)) {
            match file.read(&mut chunk) {
                Ok(0) | Err(_) => self.file = None,
                Ok(length) => {
                    for piece in chunk[..length].split_inclusive(|byte| *byte == b'\n') {
                        self.partial.extend_from_slice(piece);
                        if piece.ends_with(b"\n") || self.partial.len() > LONGEST_LINE {
                            self.lines += 1;
                            each(&self.partial);
                            self.partial.clear();
                        }
                    }
                }
            }
        }
        if self.file.is_none() && !self.partial.is_empty() {
            self.lines += 1;
            each(&std::mem::take(&mut self.partial));
        }
    }
}

fn is_readable(file: &File) -> bool {
    let mut one = [PollFd::new(file, PollFlags::IN)];
    poll(&mut one, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

/// Reader and writer, both closed in whatever is started unless they are handed over.
fn pipe() -> Result<(File, File)> {
    let (reads, writes) = std::io::pipe().or_fail(Kind::Internal, || "cannot make a pipe")?;
    Ok((File::from(OwnedFd::from(reads)), File::from(OwnedFd::from(writes))))
}
