//! The event feed, `events.jsonl`: append-only, one JSON object a line, rotated by month.
//!
//! It tells what happened; the records are the truth. An event that a crash swallowed can be made again from
//! the record's own history, so appending does not wait for the disk.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use chrono::Datelike;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Locked, State, durable};
use crate::clock::Timestamp;
use crate::error::{Kind, OrFail, Result};
use crate::record::Record;

/// The feed's name.
pub const FILE_NAME: &str = "events.jsonl";

/// Something that happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// The command that did it.
    pub command: String,
    /// `transition`, `pull-request`, `refusal`, …
    pub event: String,
    /// The issue it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issue: Option<u64>,
    /// More, by kind of event.
    #[serde(flatten)]
    pub details: Map<String, Value>,
}

impl Event {
    /// An event that is about an issue.
    pub fn about(state: &State, event: &str, issue: u64) -> Self {
        Self {
            at: state.clock().now_exact(),
            command: state.command().to_owned(),
            event: event.to_owned(),
            issue: Some(issue),
            details: Map::new(),
        }
    }

    /// Adds a detail.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.details.insert(key.to_owned(), value.into());
        self
    }

    /// The last change of status of a record.
    pub(super) fn of_transition(state: &State, record: &Record) -> Option<Self> {
        let last = record.history.last()?;
        let mut event = Self::about(state, "transition", record.number).with("to", last.to.name());
        if let Some(from) = last.from {
            event = event.with("from", from.name());
        }
        if let Some(outcome) = record.outcome {
            event = event.with("outcome", outcome.name());
        }
        event = event.with("instance", record.instance()).with("why", last.why.as_str());
        Some(event)
    }
}

impl Locked<'_> {
    /// Appends an event.
    pub fn append(&self, event: &Event) -> Result<()> {
        let feed = self.state().path(FILE_NAME);
        rotate(&feed, event.at)?;
        let mut line =
            serde_json::to_vec(event).or_fail(Kind::Internal, || "cannot write an event as JSON")?;
        line.push(b'\n');
        OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&feed)
            .and_then(|mut file| {
                // A crash may have torn the last line; this one must not become part of it.
                if is_torn(&file) {
                    line.insert(0, b'\n');
                }
                file.write_all(&line)
            })
            .or_fail(Kind::CannotWrite, || format!("cannot write '{}'", feed.display()))
    }
}

fn is_torn(feed: &File) -> bool {
    let length = feed.metadata().map(|about| about.len()).unwrap_or_default();
    let mut last = [b'\n'];
    length > 0 && feed.read_exact_at(&mut last, length - 1).is_ok() && last != [b'\n']
}

/// A feed whose last line is of an earlier month becomes `events-YYYY-MM.jsonl`.
fn rotate(feed: &Path, now: Timestamp) -> Result<()> {
    let Ok(Ok(modified)) = std::fs::metadata(feed).map(|about| about.modified()) else { return Ok(()) };
    let last = Timestamp::from(modified);
    if (last.year(), last.month()) >= (now.year(), now.month()) {
        return Ok(());
    }
    durable::rename(
        feed,
        &feed.with_file_name(format!("events-{:04}-{:02}.jsonl", last.year(), last.month())),
    )
}

impl State {
    /// Appends an event that goes with no change of a record.
    pub fn log(&self, event: &Event) -> Result<()> {
        self.lock()?.append(event)
    }
}
