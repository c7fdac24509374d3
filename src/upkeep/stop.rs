//! `cq-stop`: one file that every command honours.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::token;
use crate::error::{Error, Kind, Result, Tally};
use crate::record::{Record, Status};
use crate::session::Session;
use crate::state::stop::{Mode, Stop};

/// What the stop means for an instance that works.
#[derive(Debug, Serialize)]
struct Told {
    instance: String,
    issue: u64,
    action: &'static str,
}

/// How long an abort waits for the agents: the supervisors' own grace, and some.
const PATIENCE: Duration = Duration::from_secs(20);

/// Puts a stop in force, or lifts it (`mode` none). An abort returns when the agents have ended.
pub fn run(session: &Session, mode: Option<Mode>, reason: &str, dry_run: bool) -> Result<Tally> {
    let dir = session.state.dir().display();
    if !session.state.exists() {
        return Err(Error::new(
            Kind::Config,
            format!("there is no state directory '{dir}': nothing is stopped"),
        )
        .hint("run it beside the orchestrator's configuration, or name --state-dir"));
    }
    // A stop that cannot be read is in force, and is replaced or lifted like any other.
    let in_force = !matches!(session.state.stop(), Ok(None));
    let stop = mode.map(|mode| Stop { mode, at: session.clock.now(), reason: reason.to_owned() });
    if !dry_run && (stop.is_some() || in_force) {
        session.state.set_stop(stop.as_ref())?;
    }
    let would = if dry_run { "would be " } else { "" };
    session.note(&match (mode, in_force) {
        (Some(_), _) => format!("'{dir}' {would}stopped: nothing new starts until cq-stop --thaw"),
        (None, true) => format!("'{dir}' {would}thawed: commands start work again"),
        (None, false) => format!("no stop was in force in '{dir}'"),
    });
    let mut output = session.rows(&["INSTANCE", "ISSUE", "ACTION"]);
    let mut tally = Tally::default();
    let records = session.state.in_flight(|error| session.complain(&error))?;
    let asked = Instant::now();
    for record in records.iter().filter(|record| record.status == Some(Status::InProgress)) {
        let action = match mode {
            None => continue,
            Some(Mode::Drain) => "to finish",
            Some(Mode::Abort) if dry_run => "to end",
            // A thaw before the supervisor has seen the file would take the abort back.
            Some(Mode::Abort) if has_ended(session, record, asked)? => "ended",
            Some(Mode::Abort) => {
                tally.note(Kind::Failed);
                "does not end"
            }
        };
        let row = Told { instance: record.instance().to_owned(), issue: record.number, action };
        output.item(&row, || vec![row.instance.clone(), format!("#{}", row.issue), action.to_owned()])?;
    }
    output.finish()?;
    let app = session.loaded.config.github.app.as_ref();
    if mode == Some(Mode::Abort) && !dry_run && app.is_some_and(|app| app.revoke) {
        match token::revoke(session) {
            Ok(true) => session.note("the App's token is revoked"),
            Ok(false) => {}
            Err(error) => {
                session.complain(&error);
                tally.note(error.kind);
            }
        }
    }
    Ok(tally)
}

/// Waits until a run is over, at most [`PATIENCE`] from when it was asked to end. One without a supervisor is for
/// cq-monitor.
fn has_ended(session: &Session, record: &Record, asked: Instant) -> Result<bool> {
    loop {
        let now = session.state.get(record.number)?;
        if now.is_none_or(|now| now.status != Some(Status::InProgress)) {
            return Ok(true);
        }
        if !session.state.is_held(record.instance())? || asked.elapsed() > PATIENCE {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
