//! What a claim must know of the records in flight, without opening each of them.
//!
//! `index.json` is derived from `records/` and may be deleted at any time. It is believed only if it says
//! that it is clean, was written since the machine was started, and `records/` has not changed since:
//! a change first marks it dirty, so a crash between the record and the index costs one rebuild.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::{FileExt as _, MetadataExt};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{instances, lock};
use crate::error::{Kind, OrFail, Result};
use crate::record::{Record, Status};

/// A record in flight, in brief: written as `["queued",7,false]`, because every change writes all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Brief", into = "Brief")]
pub struct Summary {
    /// Where it stands.
    pub status: Option<Status>,
    /// The number of the instance that its workspace belongs to.
    pub instance: Option<u32>,
    /// Whether its pull request waits for a person.
    pub waits_for_people: bool,
}

/// How a summary is written. An index in an older form is not understood, and made again.
type Brief = (Option<Status>, Option<u32>, bool);

impl From<Brief> for Summary {
    fn from((status, instance, waits_for_people): Brief) -> Self {
        Self { status, instance, waits_for_people }
    }
}

impl From<Summary> for Brief {
    fn from(summary: Summary) -> Self {
        (summary.status, summary.instance, summary.waits_for_people)
    }
}

impl From<&Record> for Summary {
    fn from(record: &Record) -> Self {
        let instance = record.claim.as_ref().and_then(|claim| instances::number(&claim.instance));
        Self { status: record.status, instance, waits_for_people: record.waits_for_people() }
    }
}

pub(super) type Entries = BTreeMap<u64, Summary>;

#[derive(Debug, Serialize, Deserialize)]
struct Written {
    /// Taken back while a change is under way.
    clean: bool,
    boot_id: String,
    /// Modification time of `records/`: seconds and nanoseconds.
    records: (i64, i64),
    entries: Entries,
}

#[derive(Debug)]
pub(super) struct Index {
    file: File,
    boot_id: String,
    dirty: bool,
    /// Made again, and not written down yet.
    rebuilt: bool,
    pub(super) entries: Entries,
}

/// Same length as the beginning of a clean index, so that it can be put over it in one write.
const CLEAN: &[u8] = br#"{"clean":true ,"#;
const DIRTY: &[u8] = br#"{"clean":false,"#;

impl Index {
    /// Reads the index, or makes it again with `rebuild`. Only under the lock.
    pub(super) fn open(
        path: &Path,
        records: &Path,
        boot_id: String,
        rebuild: impl FnOnce() -> Result<Entries>,
    ) -> Result<Self> {
        let file = lock::open(path)?;
        let believed = std::fs::read(path)
            .ok()
            .and_then(|text| serde_json::from_slice::<Written>(&text).ok())
            .filter(|written| {
                written.clean && written.boot_id == boot_id && Some(written.records) == mtime(records)
            });
        match believed {
            Some(written) => {
                Ok(Self { file, boot_id, dirty: false, rebuilt: false, entries: written.entries })
            }
            None => Ok(Self { file, boot_id, dirty: false, rebuilt: true, entries: rebuild()? }),
        }
    }

    /// Before the first change.
    pub(super) fn mark_dirty(&mut self) -> Result<()> {
        if !self.dirty {
            self.file.write_all_at(DIRTY, 0).or_fail(Kind::CannotWrite, || "cannot write the index")?;
            self.dirty = true;
        }
        Ok(())
    }

    /// After the last change. A failure leaves it dirty, which costs a rebuild and nothing else.
    pub(super) fn write_back(&mut self, records: &Path) {
        if self.rebuilt && self.mark_dirty().is_err() || !self.dirty {
            return;
        }
        let Some(records) = mtime(records) else { return };
        let entries = std::mem::take(&mut self.entries);
        let boot_id = std::mem::take(&mut self.boot_id);
        let written = Written { clean: true, boot_id, records, entries };
        let Ok(text) = serde_json::to_vec(&written) else { return };
        let tail = &text[CLEAN.len() - 1..];
        let length = (CLEAN.len() + tail.len()) as u64;
        // The beginning goes last: until then the file says that it is dirty.
        let done = self
            .file
            .write_all_at(tail, CLEAN.len() as u64)
            .and_then(|()| self.file.set_len(length))
            .and_then(|()| self.file.write_all_at(CLEAN, 0));
        self.dirty = done.is_err();
        self.rebuilt = self.dirty;
        (self.boot_id, self.entries) = (written.boot_id, written.entries);
    }
}

fn mtime(folder: &Path) -> Option<(i64, i64)> {
    let about = std::fs::metadata(folder).ok()?;
    Some((about.mtime(), about.mtime_nsec()))
}
