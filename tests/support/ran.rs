//! A command of cq to run, and what it leaves.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::wait::DEADLINE;

/// A command that will run in a house.
pub(crate) struct Run {
    pub(super) name: String,
    pub(super) command: Command,
}

/// What a command that has ended leaves.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) name: String,
    /// 128 + n where signal n ended it.
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Run {
    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// A fixed time instead of the clock.
    pub(crate) fn at(self, now: &str) -> Self {
        self.env("CQ_NOW", now)
    }

    /// In a process group that begins with it, as a shell gives one to each line: Ctrl-C goes to all of it.
    pub(crate) fn in_a_group(mut self) -> Self {
        self.command.process_group(0);
        self
    }

    /// Runs it with nothing to read.
    pub(crate) fn run(self) -> Ran {
        self.fed(b"")
    }

    /// Runs it with a text on stdin. Output goes to files, so that nobody it leaves behind can keep a pipe open.
    pub(crate) fn fed(mut self, stdin: impl AsRef<[u8]>) -> Ran {
        let file = || tempfile::tempfile().unwrap();
        let (mut input, mut stdout, mut stderr) = (file(), file(), file());
        input.write_all(stdin.as_ref()).unwrap();
        input.rewind().unwrap();
        self.command.stdin(input).stdout(stdout.try_clone().unwrap()).stderr(stderr.try_clone().unwrap());
        let started = Instant::now();
        let mut child = self.command.spawn().unwrap();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if started.elapsed() > DEADLINE {
                let _ = child.kill();
                panic!("{} does not end; it said: {}", self.name, read(&mut stderr));
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let status = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap();
        let (stdout, stderr) = (read(&mut stdout), read(&mut stderr));
        Ran { name: self.name, status, stdout, stderr, took: started.elapsed() }
    }

    /// Starts it with these for stdout and stderr, and goes on.
    pub(crate) fn start_into(
        mut self,
        stdout: impl Into<Stdio>,
        stderr: impl Into<Stdio>,
    ) -> std::process::Child {
        self.command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).spawn().unwrap()
    }

    /// Starts it, silent, and goes on.
    pub(crate) fn start(mut self) -> std::process::Child {
        self.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }
}

fn read(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

impl Ran {
    /// The exit status, and a part of what was said on stderr; shows everything where they differ.
    #[track_caller]
    pub(crate) fn ends(self, status: i32, said: &str) -> Self {
        assert!(
            self.status == status && self.stderr.contains(said),
            "expected {status}, '{said}': {self:#?}"
        );
        self
    }

    /// Ended well, without a word.
    #[track_caller]
    pub(crate) fn quietly(self) -> Self {
        assert!(self.status == 0 && self.stderr.is_empty(), "expected a quiet end: {self:#?}");
        self
    }

    /// Ended well.
    #[track_caller]
    pub(crate) fn good(self) -> Self {
        self.ends(0, "")
    }

    /// stdout, line by line, as JSON.
    #[track_caller]
    pub(crate) fn records(&self) -> Vec<Value> {
        let line =
            |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {self:#?}"));
        self.stdout.lines().map(line).collect()
    }

    /// The issues' numbers, in the order in which they came.
    #[track_caller]
    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.records().iter().map(|record| record["number"].as_u64().unwrap()).collect()
    }

    /// The only record.
    #[track_caller]
    pub(crate) fn record(&self) -> Value {
        let mut records = self.records();
        assert_eq!(records.len(), 1, "{self:#?}");
        records.remove(0)
    }
}
