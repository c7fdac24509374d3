//! The simulated GitHub: what it refuses and when, and what it notes of those who ask.

use std::cmp::Reverse;

use super::{DAY, MACHINES, Moment, Op};

const A_WINDOW: u64 = 5000;

/// A stretch in which GitHub does not answer as usual.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) from: Moment,
    pub(super) to: Moment,
    /// An outage; else a secondary limit, which may name its end.
    pub(super) outage: bool,
    pub(super) named: bool,
}

/// What is on its way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sent {
    pub(super) at: Moment,
    pub(super) said: Said,
    pub(super) remaining: u64,
    pub(super) reset: Moment,
    /// What the poll saw.
    pub(super) version: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Said {
    Good,
    Unchanged,
    Primary,
    Secondary(Option<i64>),
    Nothing,
}

/// What GitHub knows, and what it has seen.
pub(super) struct World {
    pub(super) dice: fastrand::Rng,
    pub(super) windows: Vec<Window>,
    /// When somebody else uses up most of an hour.
    pub(super) greedy: Vec<Moment>,
    pub(super) hour: i64,
    pub(super) used: [u64; 2],
    pub(super) version: u64,
    pub(super) changed_at: Moment,
    /// What the answers that have come back forbid: everything, REST, GraphQL.
    pub(super) told: [Moment; 3],
    pub(super) spent: Vec<Moment>,
    pub(super) writes: Vec<Moment>,
    pub(super) creations: Vec<Moment>,
    pub(super) good: Vec<Moment>,
    pub(super) in_outage: Vec<usize>,
    pub(super) idle: u32,
    pub(super) idle_unchanged: u32,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = fastrand::Rng::with_seed(seed);
        let mut windows = Vec::new();
        for index in 0..20 {
            let from = dice.i64(600_000..DAY * 1000 - 3_600_000);
            let outage = index < 8;
            let length = if outage { dice.i64(60_000..600_000) } else { dice.i64(20_000..240_000) };
            windows.push(Window { from, to: from + length, outage, named: dice.bool() });
        }
        windows.sort_by_key(|window| window.from);
        let mut greedy: Vec<Moment> = (0..3).map(|_| dice.i64(0..(DAY - 7200) * 1000)).collect();
        greedy.sort_unstable_by_key(|moment| Reverse(*moment));
        Self {
            in_outage: vec![0; windows.len()],
            dice,
            windows,
            greedy,
            hour: 0,
            used: [0; 2],
            version: 1,
            changed_at: 0,
            told: [0; 3],
            spent: Vec::new(),
            writes: Vec::new(),
            creations: Vec::new(),
            good: Vec::new(),
            idle: 0,
            idle_unchanged: 0,
        }
    }

    pub(super) fn change(&mut self, now: Moment) {
        (self.version, self.changed_at) = (self.version + 1, now);
    }

    /// Takes a request; what comes back.
    pub(super) fn take(&mut self, op: Op, known: u64, now: Moment) -> Sent {
        let resource = usize::from(op == Op::Details);
        assert!(now >= self.told[0], "{op:?} at {now} in a secondary limit until {}", self.told[0]);
        assert!(now >= self.told[1 + resource], "{op:?} at {now}, used up until {}", self.told[1 + resource]);
        if matches!(op, Op::Write | Op::Create) {
            self.writes.push(now);
        }
        if op == Op::Create {
            self.creations.push(now);
        }
        if now / 3_600_000 > self.hour {
            (self.hour, self.used) = (now / 3_600_000, [0; 2]);
        }
        if self.greedy.last().is_some_and(|moment| *moment <= now) {
            self.greedy.pop();
            self.used[0] = A_WINDOW - 40;
        }
        let (version, reset) = (self.version, (self.hour + 1) * 3_600_000);
        let sent = |said, used: u64| Sent { at: now, said, remaining: A_WINDOW - used, reset, version };
        let hit = self.windows.iter().position(|window| (window.from..window.to).contains(&now));
        if let Some(index) = hit {
            let window = self.windows[index];
            if window.outage {
                self.in_outage[index] += 1;
                return sent(Said::Nothing, self.used[resource]);
            }
            let seconds = window.named.then(|| (window.to - now) / 1000 + 1);
            return sent(Said::Secondary(seconds), self.used[resource]);
        }
        if self.used[resource] == A_WINDOW {
            return sent(Said::Primary, A_WINDOW);
        }
        if op == Op::Poll && known == self.version {
            return sent(Said::Unchanged, self.used[resource]);
        }
        self.used[resource] += 1;
        if matches!(op, Op::Write | Op::Create) {
            self.change(now);
        }
        sent(Said::Good, self.used[resource])
    }

    /// What an answer forbids from now on.
    pub(super) fn tell(&mut self, op: Op, sent: &Sent, now: Moment) {
        let resource = 1 + usize::from(op == Op::Details);
        match sent.said {
            Said::Secondary(seconds) => {
                let until = now + seconds.unwrap_or(60).max(60) * 1000;
                self.told[0] = self.told[0].max(until);
            }
            Said::Primary => {
                self.told[resource] = sent.reset;
                self.spent.push(sent.reset);
            }
            Said::Good | Said::Unchanged => {
                // The last of them are left to those that are under way.
                if sent.remaining <= MACHINES as u64 {
                    self.spent.push(sent.reset);
                }
                self.good.push(now);
            }
            Said::Nothing => {}
        }
    }

    /// Whether anything but a usual answer is to be expected between two moments.
    pub(super) fn is_troubled(&self, from: Moment, to: Moment) -> bool {
        let spent = self.spent.iter().any(|reset| *reset > from && *reset - 3_600_000 < to);
        spent || self.windows.iter().any(|window| window.from < to && window.to > from)
    }
}
