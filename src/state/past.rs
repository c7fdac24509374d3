//! What happened here: archived records and the event feed, read one after the other, however many there are.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{State, durable, events};
use crate::clock::Timestamp;
use crate::error::{Kind, OrFail, Result};

/// An archived record, by what its name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Archived {
    /// The issue.
    pub number: u64,
    /// The attempt at which it went to the archive, or the next free number.
    pub attempt: u32,
}

impl State {
    /// Every archived record whose file is no older than `since`, by issue. Only the names are read.
    pub fn archive_since(&self, since: Option<Timestamp>) -> Result<Vec<Archived>> {
        let folder = self.path("archive");
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            result => result.or_fail(Kind::CannotWrite, || format!("cannot read '{}'", folder.display()))?,
        };
        let since = since.map(std::time::SystemTime::from);
        let is_recent = |entry: &std::fs::DirEntry| {
            let modified = || entry.metadata().and_then(|about| about.modified());
            since.is_none_or(|since| modified().is_ok_and(|modified| modified >= since))
        };
        let recent = entries.flatten().filter(is_recent);
        let mut found: Vec<Archived> =
            recent.filter_map(|entry| Archived::named(entry.file_name().to_str()?)).collect();
        found.sort_unstable();
        Ok(found)
    }

    /// The text of an archived record; none where it is gone.
    pub fn archived_text(&self, which: Archived) -> Result<Option<String>> {
        durable::read(&self.archived_path(which))
    }

    /// Where an archived record is.
    pub fn archived_path(&self, which: Archived) -> PathBuf {
        self.path("archive").join(format!("{}.{}.json", which.number, which.attempt))
    }

    /// Hands over the event feed, line by line, the oldest first.
    pub fn each_event(&self, mut each: impl FnMut(&[u8])) -> Result<()> {
        // Opened first: should it be rotated meanwhile, it is found again under its new name.
        let current = open(&self.path(events::FILE_NAME))?;
        let inode = current.as_ref().and_then(|feed| feed.metadata().ok()).map(|about| about.ino());
        let entries = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let is_rotated = |path: &PathBuf| {
            let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with("events-") && path.extension().is_some_and(|end| end == "jsonl")
        };
        let mut rotated: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_rotated).collect();
        rotated.sort();
        let older = rotated.into_iter().filter_map(|path| open(&path).transpose());
        for feed in older.chain(current.map(Ok)) {
            let feed = feed?;
            let is_current = feed.metadata().is_ok_and(|about| Some(about.ino()) == inode);
            lines(feed, &mut each)?;
            if is_current {
                break;
            }
        }
        Ok(())
    }
}

impl Archived {
    /// Of `123.2.json`.
    fn named(name: &str) -> Option<Self> {
        let (number, attempt) = name.strip_suffix(".json")?.split_once('.')?;
        Some(Self { number: number.parse().ok()?, attempt: attempt.parse().ok()? })
    }
}

fn open(path: &Path) -> Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).or_fail(Kind::Failed, || format!("cannot read '{}'", path.display())),
    }
}

fn lines(feed: File, each: &mut impl FnMut(&[u8])) -> Result<()> {
    let mut reader = BufReader::with_capacity(256 << 10, feed);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).or_fail(Kind::Failed, || "cannot read the event feed")? > 0 {
        each(&line);
        line.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn the_past_is_read_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::at(folder.path().join("cq"), Clock::System, "test");
        state.create().unwrap();
        let put = |name: &str, text: &str| durable::replace(&state.path(name), text.as_bytes()).unwrap();
        for name in ["12.1.json", "3.2.json", "3.10.json", "3.1.json", "x.json", ".tmp-1", "4.json"] {
            put(&format!("archive/{name}"), name);
        }
        let of = |number, attempt| Archived { number, attempt };
        assert_eq!(state.archive_since(None).unwrap(), [of(3, 1), of(3, 2), of(3, 10), of(12, 1)]);
        assert_eq!(state.archived_text(of(3, 10)).unwrap().as_deref(), Some("3.10.json"));
        assert_eq!(state.archived_text(of(5, 1)).unwrap(), None);
        let later = Clock::System.now() + chrono::TimeDelta::hours(1);
        assert_eq!(state.archive_since(Some(later)).unwrap(), []);

        let told = || {
            let mut told = Vec::new();
            state.each_event(|line| told.push(String::from_utf8_lossy(line).trim().to_owned())).unwrap();
            told
        };
        assert_eq!(told(), Vec::<String>::new());
        put("events.jsonl", "c\nd");
        put("events-2026-01.jsonl", "b\n");
        put("events-2025-12.jsonl", "a\n");
        put("events-other.txt", "no\n");
        assert_eq!(told(), ["a", "b", "c", "d"]);
    }
}
