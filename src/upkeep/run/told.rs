//! What cq-run writes: a line on stdout for each pipeline that ended, and on stderr what its commands said.

use std::collections::BTreeSet;

use serde::Serialize;

use super::plan::gist;
use crate::clock::{Timestamp, stamp};
use crate::error::Result;
use crate::output::{self, Format, Output};
use crate::session::Session;

/// A pipeline that ended.
#[derive(Debug, Serialize)]
pub(super) struct Tick {
    pub(super) at: Timestamp,
    pub(super) pipeline: &'static str,
    pub(super) commands: Vec<Ended>,
    /// Lines that its last command wrote.
    pub(super) records: u64,
    pub(super) seconds: f64,
    /// When it is due again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<Timestamp>,
}

/// A command that ended; 128 + n where signal n ended it.
#[derive(Debug, Serialize)]
pub(super) struct Ended {
    pub(super) command: &'static str,
    pub(super) exit: i32,
}

const COLUMNS: &[&str] = &["AT", "PIPELINE", "EXIT", "RECORDS", "SECONDS", "NEXT"];

/// stdout. Whoever runs for ever cannot collect a table: its lines come as they are known.
#[derive(Debug)]
pub(super) enum Ticks {
    Streamed { begun: bool },
    Collected(Output),
}

impl Ticks {
    pub(super) fn new(session: &Session, once: bool) -> Self {
        let format = session.options.format.unwrap_or_else(Format::suited_to_stdout);
        if format == Format::Table && !once {
            Self::Streamed { begun: false }
        } else {
            Self::Collected(session.rows(COLUMNS))
        }
    }

    pub(super) fn write(&mut self, tick: &Tick) -> Result<()> {
        match self {
            Self::Collected(output) => output.item(tick, || tick.row()),
            Self::Streamed { begun } => {
                if !std::mem::replace(begun, true) {
                    output::print(&line(COLUMNS))?;
                }
                output::print(&line(&tick.row()))
            }
        }
    }

    pub(super) fn finish(self) -> Result<()> {
        match self {
            Self::Collected(output) => output.finish(),
            Self::Streamed { .. } => Ok(()),
        }
    }
}

impl Tick {
    fn row(&self) -> Vec<String> {
        let exits: Vec<String> = self.commands.iter().map(|ended| ended.exit.to_string()).collect();
        vec![
            stamp(self.at),
            self.pipeline.to_owned(),
            exits.join(" "),
            self.records.to_string(),
            format!("{:.1}", self.seconds),
            self.next.map_or_else(|| "-".to_owned(), stamp),
        ]
    }
}

fn line<T: AsRef<str>>(cells: &[T]) -> String {
    let widths = [22, 10, 12, 9, 9, 0];
    let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{:<width$}", cell.as_ref()));
    format!("{}\n", padded.collect::<String>().trim_end())
}

/// What a pipeline's commands say: while it is in the same trouble turn after turn, what is new of it.
#[derive(Debug, Default)]
pub(super) struct Words {
    before: BTreeSet<String>,
    now: BTreeSet<String>,
}

impl Words {
    /// Passes a line on, unless this trouble was told.
    pub(super) fn pass(&mut self, pipeline: &str, line: &str) {
        let gist = gist(line);
        if !self.before.contains(&gist) {
            output::say(&format!("{pipeline}: {line}"));
        }
        // What is said a thousand times a turn is not trouble to be recognised.
        if self.now.len() < 1000 {
            self.now.insert(gist);
        }
    }

    /// The turn is over.
    pub(super) fn end(&mut self, in_trouble: bool) {
        let now = std::mem::take(&mut self.now);
        self.before = if in_trouble { now } else { BTreeSet::new() };
    }
}
