//! File locks: one place that takes them, waits for them and says who holds them.
//!
//! A lock file is never deleted: with an unlinked one, two processes each lock a different inode. Its
//! content names the last holder. The descriptor is close-on-exec, so no child keeps a lock by accident;
//! where a lock is handed to a child on purpose, it travels as the child's stdin.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::owner;
use crate::clock::{Timestamp, span};
use crate::error::{Error, Kind, OrFail, Result};
use crate::record::Owner;

/// No command waits longer than this for another one.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A lock that is held until this is dropped, or until the process ends, however it ends.
#[derive(Debug)]
pub struct Guard {
    file: File,
    path: PathBuf,
}

/// Who holds a lock, as written into it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Holder {
    /// The command.
    pub command: String,
    /// The process.
    #[serde(flatten)]
    pub owner: Owner,
    /// Since when.
    pub since: Timestamp,
}

impl Holder {
    /// This process. Best asked for before the lock is waited for: others wait while it is held.
    pub fn here(command: &str, since: Timestamp) -> Self {
        Self { command: command.to_owned(), owner: owner::of_this_process(), since }
    }
}

/// Opens or makes a lock file, readable by its owner only.
pub(super) fn open(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .or_fail(Kind::CannotWrite, || format!("cannot open the lock '{}'", path.display()))
}

/// Takes a lock if nobody holds it.
pub fn try_take(path: &Path) -> Result<Option<Guard>> {
    let file = open(path)?;
    match fs2::FileExt::try_lock_exclusive(&file) {
        Ok(()) => Ok(Some(Guard { file, path: path.to_owned() })),
        Err(error) if error.raw_os_error() == fs2::lock_contended_error().raw_os_error() => Ok(None),
        Err(error) => Err(error).or_fail(Kind::CannotWrite, || format!("cannot lock '{}'", path.display())),
    }
}

/// Takes a lock, waiting for at most `patience`. The kernel serves waiters in order, so nobody starves.
pub fn take(path: &Path, patience: Duration, now: Timestamp) -> Result<Guard> {
    if let Some(guard) = try_take(path)? {
        return Ok(guard);
    }
    // flock(2) has no timeout and a poll would be unfair: a thread waits, and is left behind when it takes
    // too long. Should it get the lock after all, the send fails and the file is closed again.
    let (sender, receiver) = mpsc::channel();
    let file = open(path)?;
    std::thread::spawn(move || {
        let locked = fs2::FileExt::lock_exclusive(&file);
        let _ = sender.send(locked.map(|()| file));
    });
    match receiver.recv_timeout(patience) {
        Ok(locked) => locked
            .map(|file| Guard { file, path: path.to_owned() })
            .or_fail(Kind::CannotWrite, || format!("cannot lock '{}'", path.display())),
        Err(_) => Err(busy(path, patience, now)),
    }
}

fn busy(path: &Path, patience: Duration, now: Timestamp) -> Error {
    let held = match holder(path) {
        Some(holder) => format!(
            "held by {} (pid {} on {}) for {}",
            holder.command,
            holder.owner.pid,
            holder.owner.host,
            span((now - holder.since).num_seconds())
        ),
        None => "held by another process".to_owned(),
    };
    let message = format!("cannot lock '{}' within {} s: {held}", path.display(), patience.as_secs());
    Error::new(Kind::TryAgain, message).hint("try again; if that process hangs, end it")
}

/// Who last said that it holds the lock. Only meaningful while the lock is held.
pub fn holder(path: &Path) -> Option<Holder> {
    let text = std::fs::read_to_string(path).ok()?;
    serde_json::from_str(text.lines().next()?).ok()
}

impl Guard {
    /// Writes the holder's name into the file. A failure is ignored: the note is for people.
    pub fn sign(&self, holder: &Holder) {
        if let Ok(mut line) = serde_json::to_vec(holder) {
            line.push(b'\n');
            let _ = self.file.write_all_at(&line, 0);
        }
    }

    /// The lock file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the lock to a child, as its stdin: it holds it from its first instruction on.
    pub fn into_file(self) -> File {
        self.file
    }

    /// Lets a child hold it too, as its stdin: it is free when neither is left.
    pub fn share(&self) -> Result<File> {
        let shared = self.file.try_clone();
        shared.or_fail(Kind::Internal, || format!("cannot share '{}'", self.path.display()))
    }

    /// Takes over a lock that a parent passed as stdin; none if `file` is not that lock, or is not held.
    pub fn inherited(file: File, path: &Path) -> Result<Option<Self>> {
        use std::os::unix::fs::MetadataExt;
        let same = match (file.metadata(), std::fs::metadata(path)) {
            (Ok(ours), Ok(theirs)) => ours.dev() == theirs.dev() && ours.ino() == theirs.ino(),
            _ => false,
        };
        if !same {
            return Ok(None);
        }
        // On the same open file this succeeds whether or not the lock was held: either way it is now.
        fs2::FileExt::try_lock_exclusive(&file)
            .or_fail(Kind::CannotWrite, || format!("cannot lock '{}'", path.display()))?;
        Ok(Some(Self { file, path: path.to_owned() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_lock_is_not_taken_and_the_wait_names_the_holder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let now = Timestamp::UNIX_EPOCH;
        let held = try_take(&path).unwrap().unwrap();
        held.sign(&Holder::here("cq-spawn", now));
        assert!(try_take(&path).unwrap().is_none());

        let later = now + chrono::TimeDelta::seconds(31);
        let error = take(&path, Duration::from_millis(20), later).unwrap_err();
        assert_eq!(error.kind, Kind::TryAgain);
        let pid = std::process::id();
        assert!(error.to_string().contains(&format!("held by cq-spawn (pid {pid} on ")), "{error}");
        assert!(error.to_string().ends_with("for 31 s"), "{error}");

        drop(held);
        assert!(take(&path, Duration::from_secs(5), now).is_ok());
    }

    #[test]
    fn a_waiter_gets_the_lock_when_it_is_let_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = try_take(&path).unwrap().unwrap();
        let waiter = std::thread::spawn({
            let path = path.clone();
            move || take(&path, Duration::from_secs(10), Timestamp::UNIX_EPOCH).is_ok()
        });
        std::thread::sleep(Duration::from_millis(30));
        drop(held);
        assert!(waiter.join().unwrap());
    }

    #[test]
    fn a_lock_handed_over_is_held_by_the_receiver() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let file = try_take(&path).unwrap().unwrap().into_file();
        let received = Guard::inherited(file, &path).unwrap().unwrap();
        assert!(try_take(&path).unwrap().is_none());
        drop(received);
        assert!(try_take(&path).unwrap().is_some());
        let other = File::open("/dev/null").unwrap();
        assert!(Guard::inherited(other, &path).unwrap().is_none());
    }
}
