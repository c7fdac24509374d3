//! A day of five machines that share one budget, with a GitHub that limits, fails and is used by others too.
//!
//! Time is simulated; the decisions are the budget's own.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;

mod world;

use world::{Said, Sent, World};

const MACHINES: usize = 5;
const DAY: i64 = 24 * 3600;
/// How long a command waits for a limit.
const PATIENCE: i64 = 120;
const TRIES: u32 = 4;
const LIMITS: u32 = 3;

/// Milliseconds since the day began.
type Moment = i64;

fn at(moment: Moment) -> Timestamp {
    Timestamp::UNIX_EPOCH + TimeDelta::milliseconds(moment)
}

fn moment(at: Timestamp) -> Moment {
    (at - Timestamp::UNIX_EPOCH).num_milliseconds()
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Op {
    Poll,
    Details,
    Write,
    Create,
}

impl Op {
    fn demand(self) -> Demand {
        let resource = if self == Self::Details { Resource::GraphQl } else { Resource::Core };
        let effect = match self {
            Self::Poll | Self::Details => Effect::Read,
            Self::Write => Effect::Write,
            Self::Create => Effect::Create,
        };
        Demand { resource, effect }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Tick,
    Try,
    Answer(Sent),
}

#[derive(Debug, Default)]
struct Machine {
    ops: VecDeque<Op>,
    /// Writes of commands that gave up.
    backlog: VecDeque<Op>,
    turn: Turn,
    began: Moment,
    tries: u32,
    limits: u32,
    known: u64,
}

/// Five machines, their one budget, and what happens next.
struct Day {
    world: World,
    budget: Budget,
    machines: Vec<Machine>,
    events: BinaryHeap<Reverse<(Moment, u64, usize, Event)>>,
    order: u64,
    /// When which machine has much to tell.
    bursts: Vec<(Moment, usize)>,
}

impl Day {
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed);
        let bursts = [100, 150, 700].map(|size| (world.dice.i64(0..16 * 3_600_000), size)).to_vec();
        let mut day = Self {
            world,
            budget: Budget::default(),
            machines: (0..MACHINES).map(|_| Machine::default()).collect(),
            events: BinaryHeap::new(),
            order: 0,
            bursts,
        };
        for machine in 0..MACHINES {
            let offset = day.world.dice.i64(0..60_000);
            day.after(offset, machine, Event::Tick);
        }
        day
    }

    fn after(&mut self, then: Moment, machine: usize, event: Event) {
        self.order += 1;
        self.events.push(Reverse((then, self.order, machine, event)));
    }

    fn run(&mut self) {
        while let Some(Reverse((now, _, machine, event))) = self.events.pop() {
            if now >= DAY * 1000 {
                return;
            }
            match event {
                Event::Tick => self.tick(machine, now),
                Event::Try => self.attempt(machine, now),
                Event::Answer(sent) => self.answered(machine, &sent, now),
            }
        }
    }

    fn tick(&mut self, index: usize, now: Moment) {
        self.after(now + 60_000, index, Event::Tick);
        if index == 0 && self.world.dice.u32(0..10) == 0 {
            self.world.change(now);
        }
        let machine = &mut self.machines[index];
        if self.world.dice.u32(0..15) == 0 {
            let op = if self.world.dice.bool() { Op::Write } else { Op::Create };
            machine.backlog.push_back(op);
        }
        if let Some(due) = self.bursts.iter().position(|(moment, _)| *moment <= now) {
            let (_, size) = self.bursts.remove(due);
            machine.backlog.extend(std::iter::repeat_n(Op::Create, size));
        }
        if !machine.ops.is_empty() {
            return;
        }
        machine.ops.push_back(Op::Poll);
        machine.ops.append(&mut machine.backlog);
        (machine.began, machine.tries, machine.limits) = (now, 0, 0);
        self.attempt(index, now);
    }

    fn attempt(&mut self, index: usize, now: Moment) {
        let machine = &mut self.machines[index];
        let Some(op) = machine.ops.front().copied() else { return };
        let left = TimeDelta::seconds(PATIENCE) - TimeDelta::milliseconds(now - machine.began);
        let left = left.max(TimeDelta::zero());
        match self.budget.ask(op.demand(), &mut machine.turn, at(now), TimeDelta::seconds(1), left) {
            Leave::Granted => {
                machine.turn = Turn::default();
                let known = machine.known;
                let is_idle = op == Op::Poll && known > 0 && now - self.world.changed_at > 61_000;
                let sent = self.world.take(op, known, now);
                if is_idle && matches!(sent.said, Said::Good | Said::Unchanged) {
                    self.world.idle += 1;
                    self.world.idle_unchanged += u32::from(sent.said == Said::Unchanged);
                }
                let flight = self.world.dice.i64(40..900);
                self.after(now + flight, index, Event::Answer(sent));
            }
            Leave::NotBefore(then, why) => {
                let wait = then - at(now);
                let is_probed = wait <= TimeDelta::seconds(PROBE_POLL_SECONDS);
                if wait > left || (why == Why::Trouble && !is_probed) {
                    self.give_up(index);
                } else {
                    self.after(moment(then).max(now + 1), index, Event::Try);
                }
            }
        }
    }

    fn answered(&mut self, index: usize, sent: &Sent, now: Moment) {
        let Some(op) = self.machines[index].ops.front().copied() else { return };
        self.world.tell(op, sent, now);
        let quota = Quota { remaining: sent.remaining, reset: at(sent.reset) };
        let lesson = match sent.said {
            Said::Good | Said::Unchanged => Lesson::Answered(Some(quota)),
            Said::Primary => Lesson::Primary(at(sent.reset)),
            Said::Secondary(seconds) => Lesson::Secondary(seconds),
            Said::Nothing => Lesson::Failed,
        };
        self.budget.learn(op.demand().resource, lesson, at(sent.at), at(now));
        let machine = &mut self.machines[index];
        let then = match sent.said {
            Said::Good | Said::Unchanged => {
                machine.ops.pop_front();
                (machine.began, machine.tries, machine.limits) = (now, 0, 0);
                if op == Op::Poll && sent.said == Said::Good {
                    machine.known = sent.version;
                    machine.ops.push_front(Op::Details);
                }
                now
            }
            Said::Primary | Said::Secondary(_) => {
                machine.limits += 1;
                now
            }
            Said::Nothing => {
                machine.tries += 1;
                now + (500 << machine.tries.min(3)) / 2
            }
        };
        if machine.tries >= TRIES || machine.limits >= LIMITS {
            self.give_up(index);
        } else {
            self.after(then, index, Event::Try);
        }
    }

    /// A command ends; what it was to write, a later one will.
    fn give_up(&mut self, index: usize) {
        let machine = &mut self.machines[index];
        let writes = machine.ops.drain(..).filter(|op| matches!(op, Op::Write | Op::Create));
        machine.backlog.extend(writes.collect::<Vec<_>>());
        machine.turn = Turn::default();
    }

    fn assert_good(&self) {
        let World { writes, creations, good, windows, in_outage, .. } = &self.world;
        assert!(writes.windows(2).all(|pair| pair[1] - pair[0] >= 1000), "writes are spaced out");
        for (most, length) in [(80, 60_000), (500, 3_600_000)] {
            let crowded = creations.windows(most + 1).find(|crowd| crowd[most] - crowd[0] < length);
            assert!(crowded.is_none(), "more than {most} creations in {length} ms");
        }
        assert!(creations.len() > 950, "all is told in the end: {}", creations.len());
        let waiting: usize = self.machines.iter().map(|machine| machine.backlog.len()).sum();
        assert!(waiting <= 5, "{waiting} writes still wait");
        let World { idle, idle_unchanged, .. } = self.world;
        assert!(
            idle > 500 && f64::from(idle_unchanged) >= 0.95 * f64::from(idle),
            "{idle_unchanged} of {idle}"
        );
        let next_good = |from: Moment| good[good.partition_point(|moment| *moment <= from)];
        for (window, asked) in windows.iter().zip(in_outage) {
            let length = window.to - window.from;
            // A circuit stays open for as long again as it was, and a machine comes by once a minute. A limit whose end
            // nobody named is rested from its last refusal on.
            let bound = if window.outage { length + 150_000 } else { 60_000 * 9 };
            if window.outage {
                // Those that are under way together count as one failure.
                assert!(
                    *asked <= FAILURES as usize * MACHINES + 10,
                    "{asked} requests in an outage of {length} ms"
                );
            }
            if !self.world.is_troubled(window.from - 3_600_000, window.from)
                && !self.world.is_troubled(window.to, window.to + bound)
            {
                let late = next_good(window.to) - window.to;
                assert!(late <= bound, "{window:?}: the next answer came {late} ms after it");
            }
        }
        for reset in &self.world.spent {
            if !windows.iter().any(|window| window.from < reset + 90_000 && window.to > reset - 3_600_000) {
                assert!(next_good(*reset) - reset <= 90_000, "work goes on after {reset}");
            }
        }
    }
}

#[test]
fn a_day_of_five_machines_keeps_every_limit() {
    for seed in (1..=20).chain([fastrand::u64(..)]) {
        println!("seed {seed}");
        let mut day = Day::new(seed);
        day.run();
        day.assert_good();
    }
}
