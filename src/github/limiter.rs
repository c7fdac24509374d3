//! The budget of a token, shared by every process that uses it: a file under a lock, or memory where there is no
//! state directory. Whoever must wait waits here, aloud; whoever would wait too long is told until when.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;

use super::budget::{Budget, Demand, Leave, Lesson, PROBE_POLL_SECONDS, Resource, Turn, Why};
use crate::clock::{Clock, Timestamp, stamp};
use crate::error::{Error, Kind, OrFail, Result};
use crate::output;
use crate::state::{durable, lock};

/// A wait longer than this is told.
const TOLD_SECONDS: i64 = 3;

/// Lets requests through.
#[derive(Debug)]
pub(super) struct Limiter {
    kept: Kept,
    /// Between two writes.
    pub pause: Duration,
    /// The longest wait.
    pub patience: Duration,
    /// Who waits, for people; none for silence.
    pub told_by: Option<&'static str>,
    /// The end of the wait that was told last: requests that wait together say it once.
    told: AtomicI64,
}

#[derive(Debug)]
enum Kept {
    Here(Box<Mutex<Budget>>),
    InFile { lock: PathBuf, file: PathBuf },
}

/// Limits are kept in real time, whatever the rehearsal's clock says.
const CLOCK: Clock = Clock::System;

impl Limiter {
    pub(super) fn new(folder: Option<&Path>, of: &str, pause: Duration, patience: Duration) -> Self {
        let kept = match folder {
            None => Kept::Here(Box::default()),
            Some(folder) => Kept::InFile {
                lock: folder.join("github.lock"),
                file: folder.join(format!("github-limits-{of}.json")),
            },
        };
        Self { kept, pause, patience, told_by: None, told: AtomicI64::new(0) }
    }

    /// Changes the budget, alone.
    fn change<T>(&self, change: impl FnOnce(&mut Budget) -> T) -> Result<T> {
        let (lock, file) = match &self.kept {
            Kept::Here(budget) => {
                return Ok(change(&mut budget.lock().unwrap_or_else(PoisonError::into_inner)));
            }
            Kept::InFile { lock, file } => (lock, file),
        };
        let _guard = lock::take(lock, lock::PATIENCE, CLOCK.now())?;
        // Unreadable is unknown: GitHub says it again soon enough.
        let mut budget: Budget =
            durable::read(file)?.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let before = budget.clone();
        let result = change(&mut budget);
        if budget != before {
            let text = serde_json::to_vec(&budget).or_fail(Kind::Internal, || "cannot write the limits")?;
            // A disk that is full stops what matters soon enough; it must not stop a look at GitHub.
            let _ = durable::replace_cheaply(file, &text);
        }
        Ok(result)
    }

    /// Waits until a request may be sent.
    pub(super) fn enter(&self, demand: Demand) -> Result<()> {
        let to_delta = |duration| TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX);
        let (pause, patience) = (to_delta(self.pause), to_delta(self.patience));
        let mut turn = Turn::default();
        let began = CLOCK.now_exact();
        loop {
            let now = CLOCK.now_exact();
            // What has been waited already counts: the whole wait is bounded.
            let left = (patience - (now - began)).max(TimeDelta::zero());
            let (until, why) = match self.change(|budget| budget.ask(demand, &mut turn, now, pause, left))? {
                Leave::Granted => return Ok(()),
                Leave::NotBefore(until, why) => (until, why),
            };
            let wait = until - now;
            // A probe is on its way, or may be sent at once: what it finds is worth a moment.
            let is_probed = wait <= TimeDelta::seconds(PROBE_POLL_SECONDS) && wait <= left;
            if why == Why::Trouble && !is_probed {
                // Not a limit that a wait would get past: whoever comes later tries.
                let message = format!("GitHub {}; it is left alone until {}", why.text(), stamp(until));
                return Err(Error::new(Kind::Unavailable, message).hint("see https://www.githubstatus.com"));
            }
            if wait > left {
                let message = format!("GitHub: {} until {}", why.text(), stamp(until));
                let hint = format!(
                    "try again then, or wait longer with --max-wait {}",
                    (until - began).num_seconds() + 1
                );
                return Err(Error::new(Kind::TryAgain, message).hint(hint));
            }
            let is_long = wait.num_seconds() >= TOLD_SECONDS && why != Why::Pace;
            if let Some(command) = self.told_by.filter(|_| is_long)
                && self.told.swap(until.timestamp(), Ordering::Relaxed) != until.timestamp()
            {
                output::say(&format!("{command}: waiting until {}; GitHub: {}", stamp(until), why.text()));
            }
            std::thread::sleep(wait.to_std().unwrap_or_default());
        }
    }

    /// Takes note of what became of a request. What cannot be written down is not worth an error: the request is
    /// over.
    pub(super) fn learn(&self, resource: Resource, lesson: Lesson, sent: Timestamp) {
        let _ = self.change(|budget| budget.learn(resource, lesson, sent, CLOCK.now_exact()));
    }
}
