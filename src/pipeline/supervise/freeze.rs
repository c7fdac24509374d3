//! `cq-stop --freeze`: while it is in force no process of the run moves. The supervisor does: it keeps the claim, and
//! sees to it that the time does not count.

use std::time::Duration;

use chrono::TimeDelta;
use rustix::process::Signal;

use super::{limits, sweep};
use crate::claims;
use crate::clock;
use crate::error::Result;
use crate::limits::Group;
use crate::process;
use crate::record::{Liveness, Record, Run};
use crate::session::Session;

/// How often processes that were born meanwhile are looked for.
const EVERY: Duration = Duration::from_secs(1);
/// How often the deadline in the record is moved while a freeze lasts: sooner than cq-monitor takes a supervisor for
/// hanging.
const NOTE_EVERY: Duration = Duration::from_secs(20);

/// Whether a run is frozen, and since when.
#[derive(Debug, Default)]
pub(super) struct Freeze {
    frozen: bool,
    /// When it was last looked, since the machine was started.
    looked: Duration,
    /// When the processes were last stopped.
    stopped: Duration,
    /// Frozen time that the record does not know of.
    unnoted: Duration,
}

impl Freeze {
    /// Freezes or thaws as the stop in force says. Gives how long the run was frozen since the last look: by that much
    /// everything is to be put off that the run's time is measured by.
    pub(super) fn look(&mut self, session: &Session, record: &Record) -> Duration {
        let now = clock::since_boot();
        let slept = if self.frozen { now.saturating_sub(self.looked) } else { Duration::ZERO };
        self.looked = now;
        self.unnoted += slept;
        // A stop that cannot be read moves nobody.
        let wanted = session.state.freezes().unwrap_or(self.frozen);
        if wanted && (!self.frozen || now.saturating_sub(self.stopped) >= EVERY) {
            set(record, true);
            self.stopped = now;
        } else if !wanted && self.frozen {
            set(record, false);
        }
        if wanted != self.frozen || self.unnoted >= NOTE_EVERY {
            self.frozen = wanted;
            match self.note(session, record) {
                Ok(()) => self.unnoted = Duration::ZERO,
                Err(error) => session.complain(&error),
            }
        }
        slept
    }

    /// Whether the run is frozen now.
    pub(super) fn is_on(&self) -> bool {
        self.frozen
    }

    /// Lets everything move before it is ended.
    pub(super) fn lift(&mut self, record: &Record) {
        if std::mem::take(&mut self.frozen) {
            set(record, false);
        }
    }

    fn note(&self, session: &Session, record: &Record) -> Result<()> {
        let (frozen, by) = (self.frozen, self.unnoted);
        claims::update(&session.state, record.claimed()?, record.number, |record| {
            if let Some(run) = &mut record.run {
                run.liveness = Some(if frozen { Liveness::Frozen } else { Liveness::Working });
                run.silent_since = None;
                put_off(run, by);
            }
            Ok(())
        })
        .map(drop)
    }
}

/// Moves a run's deadline.
fn put_off(run: &mut Run, by: Duration) {
    let milliseconds = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
    run.deadline_since_boot_ms = run.deadline_since_boot_ms.map(|at| at.saturating_add(milliseconds));
    let by = TimeDelta::from_std(by).unwrap_or(TimeDelta::MAX);
    run.deadline = run.deadline.and_then(|at| at.checked_add_signed(by));
}

/// Stops every process of a run, or lets it go on: the one place that knows how. The supervisor is none of them.
pub(super) fn set(record: &Record, frozen: bool) {
    let Ok(claim) = record.claimed() else { return };
    let group = limits::group_of(record);
    if frozen {
        let whole = group.as_ref().is_some_and(|group| matches!(group.freeze(true), Ok(true)));
        // Where there is no group that can be frozen, and for those that left theirs.
        process::stop_all(|| {
            let rest = group.as_ref().filter(|_| whole).map(Group::pids).unwrap_or_default();
            let mut found = sweep::processes(&claim.token);
            found.retain(|pid| !rest.contains(pid));
            found
        });
    } else {
        if let Some(group) = &group {
            let _ = group.freeze(false);
        }
        process::signal_all(&sweep::processes(&claim.token), Signal::CONT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_moved_by_the_frozen_time() {
        let at = clock::Timestamp::UNIX_EPOCH;
        let mut run = Run { deadline: Some(at), deadline_since_boot_ms: Some(7_200_000), ..Run::default() };
        put_off(&mut run, Duration::from_millis(90_500));
        assert_eq!(run.deadline_since_boot_ms, Some(7_290_500));
        assert_eq!(run.deadline, Some(at + TimeDelta::milliseconds(90_500)));
        let mut none = Run::default();
        put_off(&mut none, Duration::from_secs(1));
        assert_eq!(none, Run::default());
    }
}
