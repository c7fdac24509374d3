//! `cq-run`: the orchestrator. It runs the other commands as child processes of this very installation, and knows
//! nothing that they do not know: killed, started again or run twice it changes nothing that a command by hand would
//! not. Which pipelines there are, and when each is due, is decided in [`plan`].

use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::Signal;
use rustix::time::Timespec;

use crate::clock::{self, Timestamp};
use crate::error::{Error, Kind, OrFail, Result, Tally};
use crate::output::Format;
use crate::process;
use crate::session::Session;

mod obstacle;
mod pipeline;
mod plan;
mod signals;
mod systemd;
mod told;

use obstacle::Obstacle;
use pipeline::Pipeline;
use plan::{Plan, Verdict};
use signals::Signals;
use systemd::Systemd;
use told::{Ended, Tick, Ticks, Words};

/// What is asked for.
#[derive(Debug)]
pub struct Wish {
    /// Seconds between two looks, instead of the configuration's.
    pub interval: Option<f64>,
    /// Each pipeline once, in order.
    pub once: bool,
    /// Only say it.
    pub dry_run: bool,
}

/// How long pipelines may go on when the end has come.
const PATIENCE: Duration = Duration::from_secs(30);
/// While a pipeline runs, its children are looked at this often.
const LOOK: Duration = Duration::from_millis(100);
/// While something waits for the stop, the rest or the configuration, these are looked at this often.
const GLANCE: Duration = Duration::from_secs(5);
/// Nobody sleeps longer.
const NAP: Duration = Duration::from_secs(60);

/// Runs the pipelines: once, or until it is told to end.
pub fn run(session: &Session, wish: &Wish) -> Result<Tally> {
    let config = &session.loaded.config.run;
    let interval = Duration::from_secs_f64(wish.interval.unwrap_or(config.interval_seconds));
    if session.options.format == Some(Format::Json) && !wish.once {
        return Err(Error::new(Kind::Usage, "an array has an end: --format json needs --once"));
    }
    if wish.dry_run {
        for plan in plan::wanted(session.loaded.config.merge.enabled) {
            let line = plan.line(plan.commands.len());
            let every = (interval * plan.intervals).as_secs_f64();
            let often = if wish.once { "once".to_owned() } else { format!("every {every} s") };
            session.note(&format!("would run '{line}' {often}"));
        }
        return Ok(Tally::default());
    }
    // Nothing is made where there is nothing to work on.
    session.repo()?;
    let _lock = session.state.orchestrate()?;
    let now = clock::since_boot();
    let lane = |(at, plan)| Lane {
        plan,
        due: now + plan::first(at, interval, fastrand::f64()),
        strikes: 0,
        verdict: Verdict::Works,
        working: None,
        words: Words::default(),
    };
    let mut fleet = Fleet {
        session,
        interval,
        bound: Duration::from_secs_f64(config.timeout_minutes * 60.0),
        once: wish.once,
        lanes: plan::wanted(session.loaded.config.merge.enabled).enumerate().map(lane).collect(),
        signals: Signals::listen()?,
        systemd: Systemd::find(&session.environment),
        ticks: Ticks::new(session, wish.once),
        obstacle: None,
        configured: changed_at(session),
        exits: Vec::new(),
    };
    fleet.systemd.tell("READY=1\nSTATUS=running");
    let result = if wish.once { fleet.run_once() } else { fleet.run_on() };
    fleet.systemd.tell("STOPPING=1");
    match result {
        // Nobody reads any more.
        Err(error) if error.kind == Kind::ClosedPipe => fleet.kill(),
        result => result?,
    }
    let (told, exits) = (fleet.signals.told(), std::mem::take(&mut fleet.exits));
    fleet.ticks.finish()?;
    match told {
        Some(signal) => {
            Err(Error::new(Kind::Signal(signal), "told to end; agents that run go on by themselves"))
        }
        None if wish.once => Ok(Tally::ending_with(plan::worst(exits))),
        None => Ok(Tally::default()),
    }
}

/// A pipeline with its place in time.
#[derive(Debug)]
struct Lane {
    plan: &'static Plan,
    /// Since the machine was started.
    due: Duration,
    /// How many turns in a row did not work.
    strikes: u32,
    verdict: Verdict,
    working: Option<Pipeline>,
    words: Words,
}

/// All pipelines.
struct Fleet<'s> {
    session: &'s Session,
    interval: Duration,
    bound: Duration,
    once: bool,
    lanes: Vec<Lane>,
    signals: Signals,
    systemd: Systemd,
    ticks: Ticks,
    /// What was said last to be in the way.
    obstacle: Option<Obstacle>,
    /// When the configuration was last changed.
    configured: Option<std::time::SystemTime>,
    /// Every exit status so far, with `--once`.
    exits: Vec<i32>,
}

impl Fleet<'_> {
    /// Each pipeline once, in order.
    fn run_once(&mut self) -> Result<()> {
        for at in 0..self.lanes.len() {
            if self.signals.count() > 0 {
                break;
            }
            self.start(at)?;
            while self.lanes[at].working.is_some() {
                self.turn(LOOK)?;
                if self.signals.count() > 0 {
                    return self.end();
                }
            }
        }
        Ok(())
    }

    /// Again and again, until told to end.
    fn run_on(&mut self) -> Result<()> {
        while self.signals.count() == 0 {
            self.notice_configuration();
            let now = clock::since_boot();
            for at in 0..self.lanes.len() {
                if self.lanes[at].working.is_none() && self.lanes[at].due <= now {
                    self.start(at)?;
                }
            }
            self.turn(self.nap())?;
        }
        self.end()
    }

    /// How long there is nothing to do but to listen.
    fn nap(&self) -> Duration {
        if self.lanes.iter().any(|lane| lane.working.is_some()) {
            return LOOK;
        }
        let now = clock::since_boot();
        let next = self.lanes.iter().map(|lane| lane.due.saturating_sub(now)).min().unwrap_or(NAP);
        let waits = self.lanes.iter().any(|lane| lane.verdict == Verdict::Broken);
        next.min(if waits { GLANCE } else { NAP })
    }

    /// Starts a pipeline, or what may be run of it.
    fn start(&mut self, at: usize) -> Result<()> {
        let (obstacle, rest) = obstacle::find(self.session);
        self.tell_obstacle(obstacle);
        let lane = &mut self.lanes[at];
        let commands = match &self.obstacle {
            None => lane.plan.commands.len(),
            Some(Obstacle::Stop(_)) => lane.plan.while_stopped,
            Some(Obstacle::Rest(_)) => lane.plan.while_resting,
        };
        let now = clock::since_boot();
        if commands == 0 {
            if self.once {
                self.exits.push(i32::from(Kind::TryAgain.status()));
            }
            lane.due = now + (self.interval * lane.plan.intervals).min(GLANCE).min(rest.unwrap_or(GLANCE));
            return Ok(());
        }
        match Pipeline::start(self.session, &lane.plan.commands[..commands], now) {
            Ok(working) => {
                lane.working = Some(working);
                Ok(())
            }
            // A program that is missing: an installation that is being replaced comes back.
            Err(error) => {
                self.session.complain(&error);
                self.conclude(at, vec![("cq-run", i32::from(error.kind.status()))], 0, now)
            }
        }
    }

    /// Says what is in the way when it comes, and when it is gone.
    fn tell_obstacle(&mut self, now: Option<Obstacle>) {
        if now == self.obstacle {
            return;
        }
        match &now {
            Some(Obstacle::Stop(why) | Obstacle::Rest(why)) => self.session.note(why),
            None => self.session.note("nothing is in the way any more: work goes on"),
        }
        if let Some(Obstacle::Stop(why) | Obstacle::Rest(why)) = &now {
            self.systemd.tell(&format!("STATUS={why}"));
        }
        self.obstacle = now;
    }

    /// Waits for words, signals or the end of this time; then deals with what has happened.
    fn turn(&mut self, at_most: Duration) -> Result<()> {
        let alive = self.systemd.live(clock::since_boot());
        self.wait(at_most.min(alive.unwrap_or(NAP)))?;
        for at in 0..self.lanes.len() {
            self.look(at)?;
        }
        Ok(())
    }

    fn wait(&self, at_most: Duration) -> Result<()> {
        let mut sources = vec![PollFd::new(self.signals.wakes(), PollFlags::IN)];
        for working in self.lanes.iter().filter_map(|lane| lane.working.as_ref()) {
            sources.extend(working.sources().map(|file| PollFd::new(file, PollFlags::IN)));
        }
        let timeout = Timespec::try_from(at_most).ok();
        match poll(&mut sources, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error).or_fail(Kind::Internal, || "cannot wait for the pipelines"),
        }
    }

    /// Passes on what a pipeline says; ends it when it takes too long; takes note when it has ended.
    fn look(&mut self, at: usize) -> Result<()> {
        let lane = &mut self.lanes[at];
        let Some(working) = &mut lane.working else { return Ok(()) };
        let ended = working.ended()?;
        for line in working.listen() {
            lane.words.pass(lane.plan.name, &line);
        }
        let now = clock::since_boot();
        let Some(ended) = ended else {
            match working.told {
                None if now.saturating_sub(working.began) > self.bound => {
                    let written = lane.plan.line(lane.plan.commands.len());
                    let minutes = self.bound.as_secs_f64() / 60.0;
                    self.session
                        .note(&format!("'{written}' takes longer than {minutes} minutes and is ended"));
                    working.told = Some(now);
                    working.signal(Signal::TERM);
                }
                Some(told) if now.saturating_sub(told) > process::GRACE => working.signal(Signal::KILL),
                _ => {}
            }
            return Ok(());
        };
        let (records, began) = (working.records(), working.began);
        lane.working = None;
        self.conclude(at, ended, records, began)
    }

    /// What follows from the end of a pipeline.
    fn conclude(
        &mut self,
        at: usize,
        ended: Vec<(&'static str, i32)>,
        records: u64,
        began: Duration,
    ) -> Result<()> {
        let now = clock::since_boot();
        let lane = &mut self.lanes[at];
        let exits: Vec<i32> = ended.iter().map(|(_, exit)| *exit).collect();
        let was = lane.verdict;
        lane.verdict = plan::verdict(&exits);
        lane.strikes = if lane.verdict == Verdict::Works { 0 } else { lane.strikes + 1 };
        lane.words.end(exits.iter().any(|exit| *exit != 0));
        let period = self.interval * lane.plan.intervals;
        let pause = plan::pause(period, lane.strikes, fastrand::f64());
        lane.due = now + pause;
        let name = lane.plan.name;
        match (was, lane.verdict) {
            (Verdict::Works, Verdict::Works) => {}
            (_, Verdict::Works) => self.session.note(&format!("'{name}' works again")),
            (was, is) if was != is && !self.once => {
                let minutes = Duration::from_secs(15 * 60).max(period).as_secs() / 60;
                let until = format!("it is tried less and less often, at least every {minutes} minutes");
                self.session.note(&format!("'{name}' does not work now: {until}"));
            }
            _ => {}
        }
        self.exits.extend(if self.once { exits } else { Vec::new() });
        let at = self.session.clock.now_exact();
        let next = (!self.once).then(|| later(at, pause));
        let commands = ended.into_iter().map(|(command, exit)| Ended { command, exit }).collect();
        let seconds = (now.saturating_sub(began).as_secs_f64() * 1000.0).round() / 1000.0;
        self.systemd.tell(&format!("STATUS='{name}' ended, {records} records"));
        self.ticks.write(&Tick { at, pipeline: name, commands, records, seconds, next })
    }

    /// What a person mended in the configuration is tried at once.
    fn notice_configuration(&mut self) {
        if !self.lanes.iter().any(|lane| lane.verdict == Verdict::Broken) {
            return;
        }
        let changed = changed_at(self.session);
        if changed != self.configured {
            self.configured = changed;
            let broken = self.lanes.iter_mut().filter(|lane| lane.verdict == Verdict::Broken);
            broken.for_each(|lane| (lane.due, lane.strikes) = (Duration::ZERO, 0));
        }
    }

    /// Nothing new; what runs may end, for so long. A second signal ends it at once.
    fn end(&mut self) -> Result<()> {
        self.systemd.tell("STOPPING=1\nSTATUS=waiting for the pipelines that run");
        let at_work = |fleet: &Self| fleet.lanes.iter().filter(|lane| lane.working.is_some()).count();
        let running = at_work(self);
        if running > 0 {
            let seconds = PATIENCE.as_secs();
            self.session.note(&format!(
                "ending: {running} pipelines have {seconds} s to end; another signal ends them at once"
            ));
        }
        let began = clock::since_boot();
        while at_work(self) > 0 && self.signals.count() < 2 {
            if clock::since_boot().saturating_sub(began) > PATIENCE {
                let now = clock::since_boot();
                for working in self.lanes.iter_mut().filter_map(|lane| lane.working.as_mut()) {
                    if working.told.is_none() {
                        working.told = Some(now);
                        working.signal(Signal::TERM);
                    }
                }
            }
            self.turn(LOOK)?;
        }
        self.kill();
        Ok(())
    }

    /// Every command can be killed at any instruction: what it began, the next one finds.
    fn kill(&mut self) {
        for working in self.lanes.iter_mut().filter_map(|lane| lane.working.take()) {
            working.signal(Signal::KILL);
        }
    }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    chrono::TimeDelta::from_std(by).ok().and_then(|by| at.checked_add_signed(by)).unwrap_or(at)
}

fn changed_at(session: &Session) -> Option<std::time::SystemTime> {
    std::fs::metadata(session.loaded.file.as_ref()?).and_then(|about| about.modified()).ok()
}
