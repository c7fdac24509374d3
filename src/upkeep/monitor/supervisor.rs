//! Supervisors: whether one is there, and the end of one that hangs.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::error::Result;
use crate::process;
use crate::record::{Owner, Record, Status};
use crate::session::Session;
use crate::state::owner;

/// How long a lock is waited for whose holder is known to be gone.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(20);
/// What a supervisor may need beside the grace of its processes, once its run's time is up.
const CONCLUDING: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(200);

/// Whether somebody works on a record's instance.
///
/// The lock of a command that was killed may live on for a moment: in a child that has not become its program yet, or
/// until the kernel has closed its files. Where the supervisor that is noted is gone, that moment is waited for.
pub(super) fn holds(session: &Session, record: &Record) -> Result<bool> {
    let gone = record.status == Some(Status::InProgress) && noted(record).is_some_and(owner::is_gone);
    if gone { wait_for_lock(session, record) } else { session.state.is_held(record.instance()) }
}

/// Ends a supervisor that outlived its run's deadline, if the process is the very one that was noted. One that is just
/// ending its run, after the machine slept over the deadline, gets the time for it.
pub(super) fn kill(session: &Session, record: &Record) {
    let began = Instant::now();
    while began.elapsed() < process::GRACE + CONCLUDING {
        let now = session.state.get(record.number).ok().flatten();
        if now.is_none_or(|now| now.status != Some(Status::InProgress)) {
            return;
        }
        if !session.state.is_held(record.instance()).unwrap_or(true) {
            return;
        }
        std::thread::sleep(LOOK);
    }
    let Some(noted) = noted(record).filter(|noted| owner::signal(noted, Signal::KILL)) else { return };
    session
        .note(&format!("issue #{}: its supervisor (pid {}) hung and was killed", record.number, noted.pid));
    let _ = wait_for_lock(session, record);
}

fn noted(record: &Record) -> Option<&Owner> {
    record.run.as_ref()?.supervisor.as_ref()
}

/// Whether the instance's lock is held still, after as much patience as is due.
fn wait_for_lock(session: &Session, record: &Record) -> Result<bool> {
    let mut left = PATIENCE;
    while session.state.is_held(record.instance())? {
        if left.is_zero() {
            return Ok(true);
        }
        std::thread::sleep(PAUSE);
        left = left.saturating_sub(PAUSE);
    }
    Ok(false)
}
