//! While an agent runs: its output is followed, its claim renewed, and a reason to end it looked for.

use std::time::Duration;

use super::follow::Follower;
use super::freeze::Freeze;
use super::limits::Watched;
use super::liveness::Pulse;
use super::sweep::sweep;
use super::{conclude, lease};
use crate::agent::budget;
use crate::agent::evidence::{Evidence, Stopped};
use crate::clock;
use crate::error::{Kind, Result};
use crate::process::{self, Running, Signals};
use crate::record::{Record, Run};
use crate::session::Session;
use crate::state::stop;

/// How often the output is looked at, and the stop and the lease are thought of.
pub(super) const TICK: Duration = Duration::from_millis(250);
/// How long a client may stay after its result.
const AFTER_RESULT: Duration = Duration::from_secs(60);

/// Until the run is over, then what follows from it.
pub(super) fn watch(
    session: &Session,
    record: &Record,
    running: &Running,
    mut follower: Follower,
    mut watched: Watched,
    signals: &Signals,
) -> Result<Record> {
    let lease = lease(session);
    let number = record.number;
    let token = record.claimed()?.token.clone();
    let mut deadline = record.run.as_ref().and_then(Run::deadline_since_boot);
    let mut renewed = session.clock.now();
    let mut freeze = Freeze::default();
    let mut pulse = Pulse::new(session.loaded.config.queue.stall_minutes);
    let mut detail = None;
    let mut stopped = None;
    let mut exit = None;
    let mut tick = TICK;
    let mut deaf = false;
    while stopped.is_none() {
        match running.wait(tick) {
            Ok(Some(finished)) => {
                exit = Some(finished.exit);
                break;
            }
            Ok(None) => {}
            Err(error) => {
                session.complain(&error);
                stopped = Some(Stopped::Interrupted);
            }
        }
        // Orphans of the run come to us; one that nobody takes leave of counts among its processes.
        process::reap_zombies(running.pid());
        let now = session.clock.now();
        let frozen_for = freeze.look(session, record);
        deadline = deadline.map(|deadline| deadline + frozen_for);
        follower.put_off(frozen_for);
        // Who says more than can be read at a time is not waited for.
        tick = if heard(session, &mut deaf, follower.catch_up(session)) { TICK } else { Duration::ZERO };
        stopped = stopped.or_else(|| reason_to_stop(session, &follower, deadline, signals));
        pulse.heard(follower.heard_at());
        if freeze.is_on() || !frozen_for.is_zero() {
            pulse.put_off(frozen_for);
        } else if stopped.is_none() && !follower.rests() {
            // After its result another clock runs.
            detail = pulse.look(session, record, &watched.group);
            stopped = detail.as_ref().map(|_| Stopped::Stalled);
        }
        if watched.look() {
            stopped = stopped.or(Some(Stopped::OutOfMemory));
        }
        let cost = follower.cost_so_far();
        if stopped.is_none() && budget::exceeded(&session.loaded.config, record, follower.last(), cost) {
            stopped = Some(Stopped::OverBudget);
        }
        // A lost lease is only one if somebody else says so; a full disk is no reason to kill.
        if stopped.is_none() && now - renewed > lease / 3 {
            match session.claims().renew(number, &token) {
                Ok(_) => renewed = now,
                Err(error) if error.kind == Kind::NotPermitted => stopped = Some(Stopped::LostClaim),
                Err(error) => session.complain(&error),
            }
        }
        follower.note_progress(session);
    }
    freeze.lift(record);
    sweep(&token, running.pid(), &watched.group);
    if exit.is_none() {
        exit = running.wait(process::GRACE).ok().flatten().map(|finished| finished.exit);
    }
    heard(session, &mut deaf, follower.finish(session).map(|()| true));
    watched.look();
    conclude(
        session,
        &watched.noted(record),
        Evidence { exit, last: follower.last().cloned(), stopped, detail, ..Evidence::default() },
    )
}

/// Whether all that was said has been read. What cannot be read or written down, on a full disk, ends no run; it is
/// complained of once.
fn heard(session: &Session, deaf: &mut bool, caught_up: Result<bool>) -> bool {
    match caught_up {
        Ok(all) => {
            *deaf = false;
            all
        }
        Err(error) => {
            if !std::mem::replace(deaf, true) {
                session.complain(&error);
            }
            true
        }
    }
}

fn reason_to_stop(
    session: &Session,
    follower: &Follower,
    deadline: Option<Duration>,
    signals: &Signals,
) -> Option<Stopped> {
    if let Some(told) = told_to_end(session, signals) {
        return Some(told);
    }
    if deadline.is_some_and(|deadline| clock::since_boot() >= deadline) {
        return Some(Stopped::TimedOut);
    }
    follower.has_rested_for(AFTER_RESULT).then_some(Stopped::Lingered)
}

/// Whether somebody ends the run: a person by Ctrl-C or `cq-stop --abort`, or by another signal a shutdown, which has
/// nothing against its going on later.
pub(super) fn told_to_end(session: &Session, signals: &Signals) -> Option<Stopped> {
    let aborts = || matches!(session.state.stop(), Ok(Some(stop)) if stop.mode == stop::Mode::Abort);
    match signals.told() {
        Some(_) if signals.interrupted() => Some(Stopped::Cancelled),
        Some(_) => Some(Stopped::Interrupted),
        None => aborts().then_some(Stopped::Cancelled),
    }
}
