//! The limits of a run: its group before it starts, its memory while it lasts.

use std::time::Duration;

use super::follow::Follower;
use super::sweep::sweep;
use crate::error::Result;
use crate::limits::memory::Memory;
use crate::limits::watchdog::Watchdog;
use crate::limits::{self, Group, Mechanism};
use crate::process::{self, Running};
use crate::record::{Record, Run, RunLimits};
use crate::session::Session;

/// Makes the group that a claimed record's agent will run in. The supervisor itself stays outside.
pub(super) fn make(session: &Session, record: &Record) -> Result<Group> {
    limits::create(&name(session, record)?, &session.loaded.config.limits, &session.environment)
}

fn name(session: &Session, record: &Record) -> Result<String> {
    let claim = record.claimed()?;
    Ok(limits::name(session.state.dir(), &claim.instance, &claim.token, claim.attempt))
}

/// Waits until the agent's launcher is in its group. True if it is; else the group is another one, by the next
/// mechanism, and the agent is to be started once more.
pub(super) fn arrived(
    session: &Session,
    record: &Record,
    running: &Running,
    group: &mut Group,
    said: &std::path::Path,
) -> Result<bool> {
    let ended = || Ok(running.wait(Duration::ZERO)?.is_some());
    let Err(error) = group.await_arrival(said, ended) else { return Ok(true) };
    session.note(&format!("{}: {error}", group.mechanism().name()));
    // It may only be late: two agents must never be at work.
    sweep(&record.claimed()?.token, running.pid(), group);
    running.wait(process::GRACE)?;
    let (limits, environment) = (&session.loaded.config.limits, &session.environment);
    *group = limits::create_next(group, error.to_string(), &name(session, record)?, limits, environment)?;
    Ok(false)
}

/// Says in the logs which of the configured limits are not in force. That it cannot be said ends no run.
pub(super) fn tell(session: &Session, follower: &mut Follower, group: &Group) {
    let Some(lacking) = group.lacking() else { return };
    let said = format!("limits by {}; {lacking}", group.mechanism().name());
    session.note(&said);
    if let Err(error) = follower.tell(session, &said) {
        session.complain(&error);
    }
}

/// The group of a run that was started; none before that.
pub(crate) fn group_of(record: &Record) -> Option<Group> {
    limits_of(record).map(Group::reopen)
}

fn limits_of(record: &Record) -> Option<&RunLimits> {
    record.run.as_ref()?.limits.as_ref()
}

/// What is known of a run's memory at its end.
pub(super) fn memory_of(record: &Record) -> Memory {
    record.run.as_ref().map(Memory::of).unwrap_or_default()
}

/// A run's memory while it lasts.
pub(super) struct Watched {
    pub(super) group: Group,
    watchdog: Option<Watchdog>,
    peak: Option<u64>,
}

impl Watched {
    pub(super) fn new(group: Group) -> Self {
        let watches = group.mechanism() == Mechanism::Watchdog;
        let watchdog = group.wishes().memory_bytes.filter(|_| watches).map(Watchdog::new);
        Self { group, watchdog, peak: None }
    }

    /// Looks at it. Whether the run takes more than it may, and nobody else sees to that.
    pub(super) fn look(&mut self) -> bool {
        let over = self.watchdog.as_mut().is_some_and(Watchdog::look);
        let watched = self.watchdog.as_ref().map(Watchdog::peak);
        // systemd removes a scope with its counters as soon as it is empty.
        self.peak = self.peak.max(watched).max(self.group.memory_peak());
        over
    }

    /// The record with what was seen.
    pub(super) fn noted(&self, record: &Record) -> Record {
        let run = record.run.clone().map(|run| Run { memory_peak_bytes: self.peak, ..run });
        Record { run, ..record.clone() }
    }
}
