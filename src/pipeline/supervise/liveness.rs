//! Whether a run that says nothing is alive: by what its processes do.
//!
//! A run is silent while no event comes, and none of its processes uses the processor, moves bytes, starts or ends
//! another. A compiler that says nothing for twenty minutes works; a client that waits for an API which never answers
//! does not. Silence is counted in time that this machine was awake, because nobody works in a suspended one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chrono::TimeDelta;

use super::sweep;
use crate::claims;
use crate::error::Result;
use crate::limits::Group;
use crate::process::{self, Usage};
use crate::record::{Liveness, Record};
use crate::session::Session;

/// Thousandths of the time that passed, as processor time: a client that only waits takes less for its timers.
const NEXT_TO_NO_TIME: u32 = 10;
/// Bytes a second: event loops wake themselves by some.
const NEXT_TO_NO_BYTES: u64 = 32;
/// How many looks a silence is made of, at least.
const LOOKS: u32 = 20;
/// The longest time between two looks: a short piece of work must not be lost in it.
const SELDOM: Duration = Duration::from_secs(15);

/// What the processes of a run have used up to a moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Used {
    /// By its group, where there is one that counts.
    group: Option<Duration>,
    /// By each process, of number and start.
    processes: BTreeMap<(u32, u64), Usage>,
}

impl Used {
    fn look(token: &str, group: &Group) -> Self {
        let mut pids = group.pids();
        pids.extend(sweep::processes(token));
        pids.sort_unstable();
        pids.dedup();
        Self { group: group.cpu_time(), processes: process::usage(&pids) }
    }

    /// Whether this, so long after `before`, means that something was done.
    fn is_work_since(&self, before: &Self, over: Duration) -> bool {
        if !self.processes.keys().eq(before.processes.keys()) {
            return true;
        }
        let pairs = || self.processes.values().zip(before.processes.values());
        // A child that came and went between two looks: its faults, if nothing else, went to its parent.
        if pairs().any(|(now, then)| now.reaped_faults != then.reaped_faults || now.reaped != then.reaped) {
            return true;
        }
        let own: Duration = pairs().map(|(now, then)| now.own.saturating_sub(then.own)).sum();
        let counted = self.group.zip(before.group).map(|(now, then)| now.saturating_sub(then));
        let bytes: u64 = pairs().map(|(now, then)| now.bytes.saturating_sub(then.bytes)).sum();
        own.max(counted.unwrap_or_default()) > over * NEXT_TO_NO_TIME / 1000
            || bytes > NEXT_TO_NO_BYTES.saturating_mul(over.as_secs().max(1))
    }
}

/// What a silence means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Working,
    Uncertain,
    Stalled,
}

/// After so long a silence, where a run is ended after `stall`; none: never.
fn judge(silence: Duration, stall: Option<Duration>) -> Verdict {
    match stall {
        Some(stall) if silence >= stall => Verdict::Stalled,
        Some(stall) if silence >= stall / 2 => Verdict::Uncertain,
        _ => Verdict::Working,
    }
}

/// How often a run is looked at.
fn interval(stall: Duration) -> Duration {
    (stall / LOOKS).min(SELDOM)
}

/// A run's signs of life while it lasts.
#[derive(Debug)]
pub(super) struct Pulse {
    stall: Option<Duration>,
    /// The last sign of life.
    alive: Instant,
    looked: Instant,
    /// What was used when it was looked; none before the first look.
    used: Option<Used>,
    /// What the record says; none where somebody else may have said something else meanwhile.
    noted: Option<Liveness>,
}

impl Pulse {
    /// For `queue.stallMinutes`; 0 ends nobody.
    pub(super) fn new(stall_minutes: f64) -> Self {
        let stall = Duration::try_from_secs_f64(stall_minutes * 60.0).ok().filter(|stall| !stall.is_zero());
        let now = Instant::now();
        Self { stall, alive: now, looked: now, used: None, noted: Some(Liveness::Working) }
    }

    /// The run said something.
    pub(super) fn heard(&mut self, at: Instant) {
        self.alive = self.alive.max(at);
    }

    /// Time in which the run could not move does not count, and what the record says of it was said by whoever froze it.
    pub(super) fn put_off(&mut self, by: Duration) {
        self.alive += by;
        self.noted = None;
    }

    /// Looks at the processes if it is time to, and notes in the record what changed. Where the run has stalled, says
    /// for how long.
    pub(super) fn look(&mut self, session: &Session, record: &Record, group: &Group) -> Option<String> {
        let stall = self.stall?;
        let now = Instant::now();
        let over = now.saturating_duration_since(self.looked);
        if over >= interval(stall) {
            let Ok(claim) = record.claimed() else { return None };
            let used = Used::look(&claim.token, group);
            let work = self.used.as_ref().is_none_or(|before| used.is_work_since(before, over));
            (self.used, self.looked) = (Some(used), now);
            if work {
                self.alive = now;
            }
        }
        let silence = now.saturating_duration_since(self.alive);
        let verdict = judge(silence, self.stall);
        let liveness = if verdict == Verdict::Working { Liveness::Working } else { Liveness::Uncertain };
        if self.noted != Some(liveness) {
            match note(session, record, liveness, silence) {
                Ok(()) => self.noted = Some(liveness),
                Err(error) => session.complain(&error),
            }
        }
        (verdict == Verdict::Stalled)
            .then(|| format!("no output, and no work in any of its processes, for {}", told(stall)))
    }
}

fn told(silence: Duration) -> String {
    crate::clock::span(i64::try_from(silence.as_secs()).unwrap_or(i64::MAX))
}

fn note(session: &Session, record: &Record, liveness: Liveness, silence: Duration) -> Result<()> {
    let now = session.clock.now();
    claims::update(&session.state, record.claimed()?, record.number, |record| {
        if let Some(run) = &mut record.run {
            run.liveness = Some(liveness);
            let since = TimeDelta::from_std(silence).ok().and_then(|silence| now.checked_sub_signed(silence));
            run.silent_since = since.filter(|_| liveness == Liveness::Uncertain);
        }
        Ok(())
    })
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_silence_is_uncertain_at_half_time_and_stalled_at_the_end() {
        let cases = [
            (0, Some(20), Verdict::Working),
            (9, Some(20), Verdict::Working),
            (10, Some(20), Verdict::Uncertain),
            (19, Some(20), Verdict::Uncertain),
            (20, Some(20), Verdict::Stalled),
            (9000, None, Verdict::Working),
        ];
        for (silence, stall, expected) in cases {
            assert_eq!(
                judge(MINUTE * silence, stall.map(|stall| MINUTE * stall)),
                expected,
                "{silence} {stall:?}"
            );
        }
        assert_eq!(Pulse::new(0.0).stall, None);
        assert_eq!(Pulse::new(0.05).stall, Some(Duration::from_secs(3)));
    }

    #[test]
    fn a_dead_run_is_looked_at_often_enough_to_end_within_a_minute() {
        for (stall, expected) in [(MINUTE * 20, SELDOM), (MINUTE, Duration::from_secs(3))] {
            assert_eq!(interval(stall), expected);
        }
    }

    /// A process that has used this: milliseconds of its own and of its children, faults of these, bytes.
    fn used(group: Option<u64>, processes: &[(u32, u64, u64, u64, u64)]) -> Used {
        let process = |&(pid, own, reaped, reaped_faults, bytes): &(u32, u64, u64, u64, u64)| {
            let (own, reaped) = (Duration::from_millis(own), Duration::from_millis(reaped));
            ((pid, 7), Usage { own, reaped, reaped_faults, bytes, stopped: false })
        };
        Used { group: group.map(Duration::from_millis), processes: processes.iter().map(process).collect() }
    }

    #[test]
    fn work_is_time_bytes_and_children() {
        let before = used(Some(1000), &[(1, 500, 200, 90, 4000), (2, 10, 0, 0, 0)]);
        let cases = [
            ("nothing", used(Some(1000), &[(1, 500, 200, 90, 4000), (2, 10, 0, 0, 0)]), false),
            ("a client's timers", used(Some(1090), &[(1, 590, 200, 90, 4200), (2, 10, 0, 0, 0)]), false),
            ("a process at work", used(None, &[(1, 500, 200, 90, 4000), (2, 200, 0, 0, 0)]), true),
            ("several at work", used(None, &[(1, 580, 200, 90, 4000), (2, 90, 0, 0, 0)]), true),
            (
                "one the table does not show",
                used(Some(1200), &[(1, 500, 200, 90, 4000), (2, 10, 0, 0, 0)]),
                true,
            ),
            ("bytes", used(Some(1000), &[(1, 500, 200, 90, 5000), (2, 10, 0, 0, 0)]), true),
            (
                "a child that ended between two looks",
                used(Some(1000), &[(1, 500, 200, 91, 4000), (2, 10, 0, 0, 0)]),
                true,
            ),
            ("a child that ended", used(Some(1000), &[(1, 500, 200, 90, 4000)]), true),
            (
                "a child that began",
                used(Some(1000), &[(1, 500, 200, 90, 4000), (2, 10, 0, 0, 0), (3, 0, 0, 0, 0)]),
                true,
            ),
            ("its group is gone", used(None, &[(1, 500, 200, 90, 4000), (2, 10, 0, 0, 0)]), false),
        ];
        for (what, after, expected) in cases {
            assert_eq!(after.is_work_since(&before, Duration::from_secs(10)), expected, "{what}");
        }
        let mut other = before.clone();
        let usage = other.processes.remove(&(2, 7)).unwrap();
        other.processes.insert((2, 8), usage);
        assert!(
            other.is_work_since(&before, Duration::from_secs(10)),
            "the number of one that ended, used again"
        );
    }
}
