//! `cq-monitor`: one tick. Finds what lost its supervisor, what takes too long, and what is due.

use std::time::Duration;

use chrono::TimeDelta;

use super::{mirror, questions};
use crate::agent::evidence::Evidence;
use crate::claims;
use crate::clock::{self, Timestamp};
use crate::error::{Kind, Result, Tally};
use crate::limits;
use crate::output::Output;
use crate::pipeline::claim;
use crate::pipeline::supervise::{conclude, end_processes, settle};
use crate::record::{Record, Run, Status};
use crate::session::Session;
use crate::state::events::Event;
use crate::state::owner;

mod ahead;
mod closed;
mod leftovers;
mod radar;
mod supervisor;

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
    /// The same, for the first time after its claimant went away without starting it.
    Offer,
    /// It waits for a stop or a rest to end, with its lease: what cannot be started has all its time still.
    Keep,
    /// It was offered for a whole lease, and nobody started it: its claim goes back.
    Release,
    /// Its run has no supervisor: what is left of it is ended and judged.
    Burial,
    /// Its supervisor hangs.
    Kill,
}

/// What a decision is made by besides the record.
#[derive(Debug, Clone, Copy)]
struct Now<'a> {
    /// The time for people.
    wall: Timestamp,
    /// Since this machine was started.
    since_boot: Duration,
    /// Which start that was.
    boot: &'a str,
    /// Whether a stop is in force: nothing goes on.
    stopped: bool,
    /// Whether a stop or a rest is in force: no agent is started.
    quiet: bool,
}

/// Decides from the record, and whether somebody holds its instance.
fn need(record: &Record, held: bool, now: Now<'_>) -> Need {
    let Some(claim) = &record.claim else { return Need::Nothing };
    let run = record.run.as_ref();
    // A deadline is of one start of the machine; of an earlier one nobody can be alive.
    let here = |run: &&Run| run.supervisor.as_ref().is_none_or(|noted| noted.boot_id == now.boot);
    let deadline = run.filter(here).and_then(Run::deadline_since_boot);
    match record.status {
        Some(Status::Queued) if held => Need::Nothing,
        Some(Status::Queued) => {
            let due = claim.not_before.unwrap_or(claim.claimed_at + ORPHANED);
            // Claimed, and nothing since: whoever claimed it died, or its records went nowhere.
            let untouched = run.is_none() && record.history.len() == 1;
            match (untouched, claim.not_before) {
                _ if due > now.wall => Need::Nothing,
                _ if now.quiet => {
                    let ends = untouched && claim.lease_expires_at <= now.wall + ORPHANED;
                    if ends { Need::Keep } else { Need::Nothing }
                }
                (true, None) => Need::Offer,
                (true, Some(_)) if claim.lease_expires_at <= now.wall => Need::Release,
                _ => Need::Work,
            }
        }
        Some(Status::InProgress) if !held || run.is_some_and(|run| !here(&run)) => Need::Burial,
        Some(Status::InProgress) if deadline.is_some_and(|at| at + OVERDUE < now.since_boot) => Need::Kill,
        // Between agent and pull request a record may wait in a pipe for as long as its lease.
        Some(Status::Testing) if !held && claim.lease_expires_at <= now.wall => Need::Work,
        _ => Need::Nothing,
    }
}

/// One tick.
pub fn run(session: &Session, dry_run: bool) -> Result<Tally> {
    session.needs_setup()?;
    let mut output = session.records();
    // One that cannot be read stops everything, which is said, and keeps nobody from being buried.
    let (stopped, doubt) = match session.state.stop() {
        Ok(stop) => (stop.is_some(), None),
        Err(error) => (true, Some(error)),
    };
    let rest = session.state.limit()?;
    let quiet = stopped || rest.is_some();
    let boot = owner::boot_id();
    let mut unreadable = false;
    let records = session.state.in_flight(|error| {
        session.complain(&error);
        unreadable = true;
    })?;
    let mut door = closed::Door::of(session, dry_run);
    let mut tally = session.for_each(records.into_iter().map(Ok), |record| {
        let since_boot = clock::since_boot();
        // A burial may have begun a rest.
        let quiet = quiet || session.state.limit()?.is_some();
        let now = Now { wall: session.clock.now(), since_boot, boot: &boot, stopped, quiet };
        let held = supervisor::holds(session, &record)?;
        let needed = need(&record, held, now);
        if matches!(needed, Need::Work | Need::Offer) && door.is_shut(&record)? {
            return Ok(());
        }
        if dry_run {
            return foretell(session, &record, needed, now, &mut output);
        }
        let record = match needed {
            Need::Nothing => return Ok(()),
            Need::Work => record,
            Need::Offer => match offer(session, &record)? {
                Some(record) => record,
                None => return Ok(()),
            },
            Need::Keep => return session.claims().renew(record.number, &record.claimed()?.token).map(drop),
            Need::Release => return release(session, &record),
            Need::Kill | Need::Burial => {
                if needed == Need::Kill {
                    supervisor::kill(session, &record);
                }
                match bury(session, &record)? {
                    Some(record) => record,
                    None => return Ok(()),
                }
            }
        };
        emit(&record, now, &mut output)
    })?;
    if let Some(rest) = &rest {
        session.detail(&rest.to_string());
    }
    let queued = |record: &Record| {
        let waits = quiet || session.state.limit()?.is_some();
        if waits { Ok(()) } else { output.record(record) }
    };
    let github = (|| {
        if !dry_run {
            settle(session)?;
        }
        questions::run(session, dry_run, queued)
    })();
    count(session, &mut tally, github);
    if !dry_run && session.state.exists() {
        leftovers::end(session)?;
        count(session, &mut tally, ahead::prepare(session, quiet));
        let swept = session.state.sweep_temp_files()?;
        if swept > 0 {
            session.detail(&format!("swept {swept} temp files of killed commands"));
        }
        // What cannot be looked at counts as held.
        let removed = limits::sweep(session.state.dir(), |name| session.state.is_held(name).unwrap_or(true));
        if removed > 0 {
            session.detail(&format!("removed {removed} control groups of killed supervisors"));
        }
    }
    output.finish()?;
    if unreadable {
        tally.note(Kind::Failed);
    }
    if let Some(error) = &doubt {
        session.complain(error);
        tally.note(error.kind);
    }
    radar::look(session, dry_run);
    // Last: whoever reads the records has them by now.
    count(session, &mut tally, mirror::run(session, dry_run));
    Ok(tally)
}

/// Trouble of one part of a tick keeps no other part from its work.
fn count(session: &Session, tally: &mut Tally, part: Result<Tally>) {
    match part {
        Ok(part) => tally.add(&part),
        Err(error) => {
            session.complain(&error);
            tally.note(error.kind);
        }
    }
}

/// Writes a record that is due. While a stop is in force the dead are still buried, but nothing is due; while a rest is,
/// only what needs no agent.
fn emit(record: &Record, now: Now<'_>, output: &mut Output) -> Result<()> {
    let is_due = matches!(need(record, false, now), Need::Work | Need::Offer);
    match record.status {
        Some(Status::Queued) if is_due && !now.quiet => output.record(record),
        // What was buried has its commits: the steps after the agent follow at once.
        Some(Status::Testing) if !now.stopped => output.record(record),
        _ => Ok(()),
    }
}

/// `--dry-run`.
fn foretell(
    session: &Session,
    record: &Record,
    needed: Need,
    now: Now<'_>,
    output: &mut Output,
) -> Result<()> {
    let (number, instance) = (record.number, record.instance());
    match needed {
        Need::Nothing | Need::Keep => Ok(()),
        Need::Work | Need::Offer => emit(record, now, output),
        Need::Release => {
            session.note(&format!("would release issue #{number}: nobody starts it"));
            Ok(())
        }
        Need::Burial | Need::Kill => {
            session.note(&format!("would end what is left of issue #{number} ({instance})"));
            Ok(())
        }
    }
}

/// A claim that nobody came for: from now on it is offered for a lease, however long it waited. None if somebody works
/// on it after all.
fn offer(session: &Session, record: &Record) -> Result<Option<Record>> {
    let Some(_lock) = session.state.try_hold(record.instance())? else { return Ok(None) };
    let lease = TimeDelta::minutes(i64::from(session.loaded.config.claims.lease_minutes));
    let now = session.clock.now();
    let offered = claims::update(&session.state, record.claimed()?, record.number, |record| {
        if let Some(claim) = &mut record.claim
            && record.status == Some(Status::Queued)
            && claim.not_before.is_none()
        {
            claim.not_before = Some(claim.claimed_at + ORPHANED);
            claim.lease_expires_at = now + lease;
        }
        Ok(())
    })?;
    session.detail(&format!("issue #{} was claimed and not started: it is offered again", record.number));
    Ok(Some(offered))
}

/// Gives a claim back that nobody starts: whoever fetches next may take the issue.
fn release(session: &Session, record: &Record) -> Result<()> {
    claim::release(session, record.number)?;
    session
        .note(&format!("issue #{} was claimed, and nobody started it: its claim is released", record.number));
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Claim, Extra, Issue, Owner};

    const BOOT: &str = "this one";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    /// Claimed at 0, with a lease until 600 and a run whose deadline is at 7200.
    fn record(status: Status, not_before: Option<i64>) -> Record {
        let mut record = Record::new("o/r", 1, Issue::default());
        record.transition(Status::Queued, "cq-claim", "claimed", at(0)).unwrap();
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
        let supervisor =
            Owner { host: "h".into(), boot_id: BOOT.into(), pid: 1, started: 1, extra: Extra::new() };
        record.run = Some(Run {
            deadline_since_boot_ms: Some(7_200_000),
            supervisor: Some(supervisor),
            ..Run::default()
        });
        record
    }

    fn now(seconds: i64) -> Now<'static> {
        let since_boot = Duration::from_secs(seconds.try_into().unwrap());
        Now { wall: at(seconds), since_boot, boot: BOOT, stopped: false, quiet: false }
    }

    #[test]
    fn needs_follow_from_status_lock_and_time() {
        let cases = [
            (Status::Queued, None, false, 59, Need::Nothing),
            (Status::Queued, None, false, 60, Need::Work),
            (Status::Queued, None, true, 600, Need::Nothing),
            (Status::Queued, Some(300), false, 299, Need::Nothing),
            (Status::Queued, Some(300), false, 300, Need::Work),
            (Status::Queued, Some(300), false, 9000, Need::Work),
            (Status::InProgress, None, true, 7200, Need::Nothing),
            (Status::InProgress, None, true, 7261, Need::Kill),
            (Status::InProgress, None, false, 1, Need::Burial),
            (Status::Testing, None, false, 599, Need::Nothing),
            (Status::Testing, None, false, 600, Need::Work),
            (Status::Testing, None, true, 9000, Need::Nothing),
            (Status::PrReady, None, false, 9000, Need::Nothing),
            (Status::Failed, None, false, 9000, Need::Nothing),
        ];
        for (status, not_before, held, seconds, expected) in cases {
            let needed = need(&record(status, not_before), held, now(seconds));
            assert_eq!(needed, expected, "{status:?} {held} {seconds}");
        }
    }

    #[test]
    fn a_claim_that_nobody_starts_is_offered_for_a_lease_and_then_released() {
        let fresh = |not_before| Record { run: None, ..record(Status::Queued, not_before) };
        let cases = [
            (None, false, 59, Need::Nothing),
            (None, false, 60, Need::Offer),
            // However late: first it is offered.
            (None, false, 9000, Need::Offer),
            (Some(60), false, 599, Need::Work),
            (Some(60), false, 600, Need::Release),
            (None, true, 60, Need::Nothing),
            (Some(60), true, 539, Need::Nothing),
            (Some(60), true, 540, Need::Keep),
            (Some(60), true, 9000, Need::Keep),
        ];
        for (not_before, quiet, seconds, expected) in cases {
            let now = Now { quiet, ..now(seconds) };
            assert_eq!(need(&fresh(not_before), false, now), expected, "{not_before:?} {quiet} {seconds}");
            assert_eq!(need(&fresh(not_before), true, now), Need::Nothing, "somebody starts it");
        }
        let mut retried = fresh(Some(60));
        retried.history.push(retried.history[0].clone());
        assert_eq!(
            need(&retried, false, now(9000)),
            Need::Work,
            "an issue that was begun is never given back"
        );
    }

    #[test]
    fn a_run_of_another_boot_is_buried_and_its_deadline_means_nothing() {
        let record = record(Status::InProgress, None);
        for seconds in [1, 9000] {
            let now = Now { boot: "a later one", ..now(seconds) };
            for held in [false, true] {
                assert_eq!(need(&record, held, now), Need::Burial, "{seconds} {held}");
            }
        }
    }
}
