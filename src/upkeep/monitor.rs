//! `cq-monitor`: one tick. Finds what lost its supervisor, what takes too long, and what is due.

use std::time::Duration;

use chrono::TimeDelta;
use rustix::process::Signal;

use super::mirror;
use crate::agent::evidence::Evidence;
use crate::clock::{self, Timestamp};
use crate::error::{Kind, Result, Tally};
use crate::pipeline::supervise::{conclude, end_processes};
use crate::record::{Record, Run, Status};
use crate::session::Session;
use crate::state::events::Event;
use crate::state::owner;

/// A claim whose claimant said nothing for this long has lost its claimant.
const ORPHANED: TimeDelta = TimeDelta::seconds(60);
/// A supervisor ends its run within this time after the deadline; one that does not hangs.
const OVERDUE: Duration = Duration::from_secs(60);

/// What a record needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// Nothing now.
    Nothing,
    /// An agent, or the steps after it.
    Work,
    /// Its run has no supervisor: what is left of it is ended and judged.
    Burial,
    /// Its supervisor hangs.
    Kill,
}

/// What time it is: for people, and since this machine was started.
#[derive(Debug, Clone, Copy)]
struct Now {
    wall: Timestamp,
    since_boot: Duration,
}

/// Decides from the record, and whether somebody holds its instance (then this boot is the one its run began in).
fn need(record: &Record, held: bool, now: Now) -> Need {
    let Some(claim) = &record.claim else { return Need::Nothing };
    let deadline = record.run.as_ref().and_then(Run::deadline_since_boot);
    let Now { wall: now, since_boot } = now;
    match record.status {
        Some(Status::Queued) if !held => {
            let due = claim.not_before.unwrap_or(claim.claimed_at + ORPHANED);
            if due <= now { Need::Work } else { Need::Nothing }
        }
        Some(Status::InProgress) if !held => Need::Burial,
        Some(Status::InProgress) if deadline.is_some_and(|deadline| deadline + OVERDUE < since_boot) => {
            Need::Kill
        }
        // Between agent and pull request a record may wait in a pipe for as long as its lease.
        Some(Status::Testing) if !held && claim.lease_expires_at <= now => Need::Work,
        _ => Need::Nothing,
    }
}

/// One tick.
pub fn run(session: &Session, dry_run: bool) -> Result<Tally> {
    let mut output = session.records();
    let stopped = session.state.stop()?.is_some();
    let mut unreadable = false;
    let records = session.state.in_flight(|error| {
        session.complain(&error);
        unreadable = true;
    })?;
    let mut tally = session.for_each(records.into_iter().map(Ok), |record| {
        let now = Now { wall: session.clock.now(), since_boot: clock::since_boot() };
        let held = session.state.is_held(record.instance())?;
        let record = match need(&record, held, now) {
            Need::Nothing => return Ok(()),
            Need::Work => record,
            Need::Burial | Need::Kill if dry_run => {
                session.note(&format!(
                    "would end what is left of issue #{} ({})",
                    record.number,
                    record.instance()
                ));
                return Ok(());
            }
            Need::Kill => {
                kill_supervisor(session, &record);
                match bury(session, &record)? {
                    Some(record) => record,
                    None => return Ok(()),
                }
            }
            Need::Burial => match bury(session, &record)? {
                Some(record) => record,
                None => return Ok(()),
            },
        };
        // While a stop is in force the dead are still buried, but nothing is started.
        if stopped || (record.status == Some(Status::Queued) && need(&record, false, now) != Need::Work) {
            return Ok(());
        }
        match record.status {
            Some(Status::Queued | Status::Testing) => output.record(&record),
            _ => Ok(()),
        }
    })?;
    if !dry_run && session.state.exists() {
        let swept = session.state.sweep_temp_files()?;
        if swept > 0 {
            session.detail(&format!("swept {swept} temp files of killed commands"));
        }
    }
    output.finish()?;
    if unreadable {
        tally.note(Kind::Failed);
    }
    // Last: whoever reads the records has them by now.
    match mirror::run(session, dry_run) {
        Ok(mirrored) => mirrored.worst().into_iter().for_each(|kind| tally.note(kind)),
        Err(error) => {
            session.complain(&error);
            tally.note(error.kind);
        }
    }
    Ok(tally)
}

/// Ends what is left of a run whose supervisor is gone, and decides what follows from what it left. None if
/// somebody works on it after all.
fn bury(session: &Session, record: &Record) -> Result<Option<Record>> {
    let Some(_lock) = session.state.try_hold(record.instance())? else { return Ok(None) };
    let record = session.in_flight(record.number)?;
    if record.status != Some(Status::InProgress) {
        return Ok(None);
    }
    end_processes(&record)?;
    let record = conclude(session, &record, Evidence::default())?;
    let status = record.standing();
    session.note(&format!("issue #{} had lost its supervisor; it is {status} now", record.number));
    let event = Event::about(&session.state, "buried", record.number).with("instance", record.instance());
    session.state.log(&event)?;
    Ok(Some(record))
}

/// Ends a supervisor that outlived its run's deadline, if the process is the very one that was noted.
fn kill_supervisor(session: &Session, record: &Record) {
    let Some(noted) = record.run.as_ref().and_then(|run| run.supervisor.as_ref()) else { return };
    if !owner::signal(noted, Signal::KILL) {
        return;
    }
    session
        .note(&format!("issue #{}: its supervisor (pid {}) hung and was killed", record.number, noted.pid));
    // The lock is free as soon as the kernel has closed its files.
    for _ in 0..100 {
        if matches!(session.state.is_held(record.instance()), Ok(false)) {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Claim, Extra, Issue};

    #[test]
    fn needs_follow_from_status_lock_and_time() {
        let at = |seconds| Timestamp::UNIX_EPOCH + TimeDelta::seconds(seconds);
        let record = |status, not_before: Option<i64>| {
            let mut record = Record::new("o/r", 1, Issue::default());
            record.status = Some(status);
            record.claim = Some(Claim {
                token: "t".into(),
                host: "h".into(),
                instance: "claude-instance-1".into(),
                branch: "b".into(),
                base: "main".into(),
                base_sha: None,
                content_sha256: None,
                attempt: 1,
                claimed_at: at(0),
                lease_expires_at: at(600),
                not_before: not_before.map(at),
                extra: Extra::new(),
            });
            record.run = Some(Run { deadline_since_boot_ms: Some(7_200_000), ..Run::default() });
            record
        };
        let cases = [
            (Status::Queued, None, false, 59, Need::Nothing),
            (Status::Queued, None, false, 60, Need::Work),
            (Status::Queued, None, true, 600, Need::Nothing),
            (Status::Queued, Some(300), false, 299, Need::Nothing),
            (Status::Queued, Some(300), false, 300, Need::Work),
            (Status::InProgress, None, true, 7200, Need::Nothing),
            (Status::InProgress, None, true, 7261, Need::Kill),
            (Status::InProgress, None, false, 1, Need::Burial),
            (Status::Testing, None, false, 599, Need::Nothing),
            (Status::Testing, None, false, 600, Need::Work),
            (Status::Testing, None, true, 9000, Need::Nothing),
            (Status::PrReady, None, false, 9000, Need::Nothing),
            (Status::Failed, None, false, 9000, Need::Nothing),
        ];
        for (status, not_before, held, now, expected) in cases {
            let seconds = u64::try_from(now).unwrap();
            let now_is = Now { wall: at(now), since_boot: Duration::from_secs(seconds) };
            assert_eq!(need(&record(status, not_before), held, now_is), expected, "{status:?} {held} {now}");
        }
    }
}
