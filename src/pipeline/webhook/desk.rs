//! Whoever judges the issues that arrive and writes their lines, one after the other: the only writer of stdout,
//! so that lines cannot mingle, and the only one who knows what was written already.

use tokio::sync::{mpsc, oneshot};

use super::Voice;
use super::deliveries::Deliveries;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::output::Output;
use crate::pipeline::fetch;
use crate::record::Record;
use crate::record::eligibility::Rules;
use crate::state::State;

/// What is brought to the desk.
pub(super) enum Errand {
    /// An issue that arrived, and where the answer goes.
    Issue {
        /// The delivery's id.
        delivery: String,
        /// As it arrived.
        record: Box<Record>,
        /// Hears what became of it; nothing where the desk ended before.
        reply: oneshot::Sender<Done>,
    },
    /// What was refused at the door, for the log.
    Refused(String),
    /// Nothing more comes.
    Close,
}

/// What became of an issue that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Done {
    /// Its line is out.
    Written,
    /// Its line was out before.
    Already,
    /// It is not eligible, so there is no line.
    Left(String),
}

/// The desk, and what it needs.
pub(super) struct Desk {
    pub(super) rules: Rules,
    pub(super) state: State,
    pub(super) clock: Clock,
    pub(super) output: Output,
    pub(super) deliveries: Deliveries,
    pub(super) voice: Voice,
    /// The ineligible too.
    pub(super) all: bool,
    /// Lines that are left to write; none means no end.
    pub(super) left: Option<u64>,
}

impl Desk {
    /// Works until nothing more comes, enough is written, or stdout cannot be written.
    pub(super) fn work(mut self, mut errands: mpsc::Receiver<Errand>) -> Result<()> {
        while self.left != Some(0) {
            match errands.blocking_recv() {
                None | Some(Errand::Close) => break,
                Some(Errand::Refused(sentence)) => self.voice.note(&sentence),
                Some(Errand::Issue { delivery, record, reply }) => {
                    let number = record.number;
                    // On a failure the sender of the answer is dropped, which is an answer too.
                    let (done, kept) = self.take(delivery, *record)?;
                    if let Done::Left(why) = &done {
                        self.voice.detail(&format!("issue #{number} is left alone: {why}"));
                    }
                    // Whoever asked may have stopped waiting; the line is out all the same.
                    let _ = reply.send(done);
                    kept?;
                }
            }
        }
        Ok(())
    }

    /// The line first, then the memory of it: a crash in between can only write a line twice, never lose one. The
    /// second result is that of the memory.
    fn take(&mut self, delivery: String, mut record: Record) -> Result<(Done, Result<(), Error>)> {
        let now = self.clock.now();
        if self.deliveries.has(&delivery, now) {
            return Ok((Done::Already, Ok(())));
        }
        record.priority = self.rules.priority(&record.issue.labels);
        let judged = self.rules.reasons(&record);
        record.reasons.extend(judged);
        record.reasons.extend(fetch::held(&self.state, record.number));
        if !record.reasons.is_empty() && !self.all {
            return Ok((Done::Left(record.reasons.join("; ")), Ok(())));
        }
        self.output.record(&record)?;
        self.left = self.left.map(|left| left - 1);
        Ok((Done::Written, self.deliveries.add(delivery, now)))
    }
}
