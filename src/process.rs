//! The only place that starts programs (git goes through [`crate::git`], which uses this).
//!
//! No shell, an explicit environment, a process group of its own, a deadline. What belongs to a run is found
//! by the environment marker it inherited, because a process that calls `setsid` twice leaves every group.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{PidfdFlags, Signal, kill_process_group, pidfd_open};

use crate::environment::{self, Environment};
use crate::error::{Error, Kind, OrFail, Result};

mod ending;
mod signals;
mod table;
mod tree;
mod users;

pub use ending::{Ended, end_all, signal_all, signal_started, stop_all};
pub use signals::Signals;
pub use table::{Usage, started, usage};
use tree::pid_of;
pub use tree::{carrying, descendants, marked, marked_families, reap_zombies};
pub use users::{User, using};

/// How long a process may take to follow SIGTERM before it gets SIGKILL.
pub const GRACE: Duration = Duration::from_secs(10);

/// A program to start.
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
    args: Vec<OsString>,
    dir: PathBuf,
    environment: BTreeMap<String, String>,
    stdin: Stdin,
    stdout: Option<File>,
    stderr: Option<File>,
}

/// What a program reads.
#[derive(Debug)]
enum Stdin {
    Null,
    Bytes(Vec<u8>),
    File(File),
}

/// What a program that has ended leaves.
#[derive(Debug)]
pub struct Finished {
    /// Its exit status; 128 + n where signal n ended it.
    pub exit: i32,
    /// What it wrote, where that was not sent to a file.
    pub stdout: Vec<u8>,
    /// The same for its error stream.
    pub stderr: Vec<u8>,
}

impl Finished {
    /// Whether it ended with 0.
    pub fn success(&self) -> bool {
        self.exit == 0
    }

    /// Its output as text, without the line end.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }

    /// The last line that says something, of its error stream.
    pub fn complaint(&self) -> String {
        let text = String::from_utf8_lossy(&self.stderr);
        let last = text.lines().rev().find(|line| !line.trim().is_empty());
        last.map_or_else(|| format!("exit status {}", self.exit), |line| line.trim().to_owned())
    }
}

/// 128 + n where signal n ended it.
fn exit_number(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}

/// Looks a program up: a path as it is (relative to `dir`), a name on PATH.
pub fn find(name: &str, dir: &Path, environment: &Environment) -> Result<PathBuf> {
    which::which_in(name, environment.get(&environment::PATH), dir).map_err(|_| {
        let place = if name.contains('/') { "there" } else { "on PATH" };
        Error::new(Kind::Config, format!("program '{name}' is not {place}, or not executable"))
    })
}

/// A sibling of the running command: beside it, or on PATH.
pub fn sibling(name: &str, environment: &Environment) -> Result<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(name)));
    match beside.filter(|path| path.is_file()) {
        Some(path) => Ok(path),
        None => find(name, Path::new("/"), environment),
    }
}

impl Program {
    /// A program with an empty environment, nothing to read, its output captured.
    pub fn new(path: impl Into<PathBuf>, dir: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            args: Vec::new(),
            dir: dir.into(),
            environment: BTreeMap::new(),
            stdin: Stdin::Null,
            stdout: None,
            stderr: None,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds a variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Adds variables.
    #[must_use]
    pub fn envs<N: Into<String>, V: Into<String>>(mut self, all: impl IntoIterator<Item = (N, V)>) -> Self {
        self.environment.extend(all.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Gives it something to read.
    #[must_use]
    pub fn stdin_bytes(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Stdin::Bytes(bytes.into());
        self
    }

    /// Gives it an open file as stdin; a lock that the file holds goes with it.
    #[must_use]
    pub fn stdin_file(mut self, file: File) -> Self {
        self.stdin = Stdin::File(file);
        self
    }

    /// Sends its output to a file.
    #[must_use]
    pub fn stdout_file(mut self, file: File) -> Self {
        self.stdout = Some(file);
        self
    }

    /// Sends its error stream to a file.
    #[must_use]
    pub fn stderr_file(mut self, file: File) -> Self {
        self.stderr = Some(file);
        self
    }

    /// Starts it.
    pub fn start(self) -> Result<Running> {
        let name = self.path.display().to_string();
        #[expect(clippy::disallowed_methods, reason = "this is the one place")]
        let mut command =
            duct::cmd(self.path, self.args).dir(self.dir).full_env(self.environment).unchecked();
        command = match self.stdin {
            Stdin::Null => command.stdin_null(),
            Stdin::Bytes(bytes) => command.stdin_bytes(bytes),
            Stdin::File(file) => command.stdin_file(file),
        };
        command = match self.stdout {
            None => command.stdout_capture(),
            Some(file) => command.stdout_file(file),
        };
        command = match self.stderr {
            None => command.stderr_capture(),
            Some(file) => command.stderr_file(file),
        };
        let handle = command
            .before_spawn(|command| {
                command.process_group(0);
                Ok(())
            })
            .start()
            .or_fail(Kind::Config, || format!("cannot start '{name}'"))?;
        let pid = handle.pids().first().copied().and_then(pid_of);
        let end = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        Ok(Running { name, handle, end })
    }

    /// Starts it and waits for its end; past the deadline its whole group is killed.
    pub fn run(self, deadline: Duration) -> Result<Finished> {
        let running = self.start()?;
        match running.wait(deadline)? {
            Some(finished) => Ok(finished),
            None => {
                running.kill_group(Signal::KILL);
                let message = format!("'{}' did not end within {} s", running.name, deadline.as_secs());
                Err(Error::new(Kind::Unavailable, message))
            }
        }
    }

    /// Replaces this process by the program; returns only if that fails.
    pub fn exec(self) -> Error {
        let name = self.path.display().to_string();
        #[expect(clippy::disallowed_methods, reason = "this is the one place")]
        let mut command = std::process::Command::new(self.path);
        command.args(self.args).current_dir(self.dir).env_clear().envs(self.environment);
        Error::because(Kind::Config, command.exec(), format!("cannot start '{name}'"))
    }
}

/// A program that runs.
#[derive(Debug)]
pub struct Running {
    name: String,
    handle: duct::Handle,
    /// Readable once it has ended: the kernel wakes us at that moment.
    end: Option<OwnedFd>,
}

impl Running {
    /// Its process id.
    pub fn pid(&self) -> Option<u32> {
        self.handle.pids().first().copied()
    }

    /// Waits for its end, at most so long; none if it still runs then.
    pub fn wait(&self, at_most: Duration) -> Result<Option<Finished>> {
        let deadline = Instant::now() + at_most;
        if self.end.as_ref().is_some_and(|end| !readable(end, deadline)) {
            return Ok(None);
        }
        let ended = self
            .handle
            .wait_deadline(deadline)
            .or_fail(Kind::Internal, || format!("cannot wait for '{}'", self.name))?;
        Ok(ended.map(|output| Finished {
            exit: exit_number(output.status),
            stdout: output.stdout.clone(),
            stderr: output.stderr.clone(),
        }))
    }

    /// Sends a signal to its process group. A group that is gone has nothing to receive.
    pub fn kill_group(&self, signal: Signal) {
        if let Some(pid) = self.pid().and_then(pid_of) {
            let _ = kill_process_group(pid, signal);
        }
    }
}

/// Waits until a descriptor is readable, or until the deadline. What is wrong with it is for its reader to find out.
fn readable(fd: &OwnedFd, deadline: Instant) -> bool {
    loop {
        let left = Timespec::try_from(deadline.saturating_duration_since(Instant::now())).ok();
        match poll(&mut [PollFd::new(fd, PollFlags::IN)], left.as_ref()) {
            Ok(0) => return false,
            Err(rustix::io::Errno::INTR) => {}
            Ok(_) | Err(_) => return true,
        }
    }
}

/// Keeps other processes of the same user, agents among them, from reading this one's environment and memory.
pub fn hide() {
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// Makes this process end when the one that started it does, however that ends.
pub fn end_with(parent: u32) -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))
        .or_fail(Kind::Internal, || format!("cannot end with process {parent}"))?;
    // Else it ended before that, and somebody has adopted us.
    if rustix::process::getppid() == pid_of(parent) {
        return Ok(());
    }
    Err(Error::new(Kind::TryAgain, format!("process {parent} did not start this, or has ended")))
}

/// Takes what this process has as stdin out of its place, so that dropping the result closes it.
pub fn take_stdin() -> Result<File> {
    use std::os::fd::AsFd;
    let taken = std::io::stdin().as_fd().try_clone_to_owned();
    let taken = taken.or_fail(Kind::Internal, || "cannot take stdin")?;
    let null = File::open("/dev/null").or_fail(Kind::Internal, || "cannot open /dev/null")?;
    rustix::stdio::dup2_stdin(null).or_fail(Kind::Internal, || "cannot replace stdin")?;
    Ok(File::from(taken))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Program {
        Program::new("/bin/sh", "/").args(["-c", script])
    }

    #[test]
    fn exits_and_output_are_reported() {
        let cases = [
            ("printf out; printf err >&2; exit 3", 3, "out", "err"),
            ("kill -9 $$", 137, "", "exit status 137"),
        ];
        for (script, exit, stdout, complaint) in cases {
            let finished = sh(script).run(Duration::from_secs(10)).unwrap();
            assert_eq!((finished.exit, finished.text().as_str()), (exit, stdout));
            assert_eq!(finished.complaint(), complaint);
        }
    }

    #[test]
    fn the_environment_is_only_what_was_given() {
        let finished = sh("env").env("ONLY", "this").run(Duration::from_secs(10)).unwrap();
        let names: Vec<_> =
            finished.text().lines().map(|line| line.split('=').next().unwrap().to_owned()).collect();
        assert!(
            names.iter().all(|name| ["ONLY", "PWD", "SHLVL", "_", "OLDPWD"].contains(&name.as_str())),
            "{names:?}"
        );
    }

    #[test]
    fn a_deadline_ends_the_whole_group() {
        let started = Instant::now();
        let error = sh("sleep 30 & sleep 30").run(Duration::from_millis(100)).unwrap_err();
        assert!(error.to_string().contains("did not end within"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    /// The end is not looked for at intervals: the median of some waits is far below any interval worth having.
    #[test]
    fn an_end_is_noticed_at_once() {
        let mut late: Vec<Duration> = Vec::new();
        for _ in 0..15 {
            let running = sh("sleep 0.05; date +%s%N").start().unwrap();
            let finished = running.wait(Duration::from_secs(20)).unwrap().unwrap();
            let now = chrono::DateTime::UNIX_EPOCH
                + chrono::TimeDelta::nanoseconds(finished.text().parse().unwrap());
            late.push((crate::clock::Clock::System.now_exact() - now).to_std().unwrap_or_default());
        }
        late.sort_unstable();
        println!("ends noticed after {late:?}");
        assert!(late[7] < Duration::from_millis(100), "{late:?}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let environment: Environment = [("PATH".to_owned(), "/nowhere".to_owned())].into_iter().collect();
        let error = find("claude", Path::new("/"), &environment).unwrap_err();
        assert_eq!(
            (error.kind, error.to_string().as_str()),
            (Kind::Config, "program 'claude' is not on PATH, or not executable")
        );
    }
}
