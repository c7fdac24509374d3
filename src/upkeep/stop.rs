//! `cq-stop`: one file that every command honours.

use serde::Serialize;

use crate::error::{Result, Tally};
use crate::record::Status;
use crate::session::Session;
use crate::state::stop::{Mode, Stop};

/// What the stop means for an instance that works.
#[derive(Debug, Serialize)]
struct Told {
    instance: String,
    issue: u64,
    action: &'static str,
}

/// Puts a stop in force, or lifts it (`mode` none).
pub fn run(session: &Session, mode: Option<Mode>, reason: &str, dry_run: bool) -> Result<Tally> {
    let in_force = session.state.stop()?.is_some();
    let stop = mode.map(|mode| Stop { mode, at: session.clock.now(), reason: reason.to_owned() });
    if !dry_run && (stop.is_some() || in_force) {
        session.state.set_stop(stop.as_ref())?;
    }
    let would = if dry_run { "would be " } else { "" };
    session.note(&match (mode, in_force) {
        (Some(_), _) => format!("{would}stopped: nothing new starts until cq-stop --thaw"),
        (None, true) => format!("{would}thawed: commands start work again"),
        (None, false) => "no stop was in force".to_owned(),
    });
    let mut output = session.rows(&["INSTANCE", "ISSUE", "ACTION"]);
    let records = session.state.in_flight(|error| session.complain(&error))?;
    for record in records.iter().filter(|record| record.status == Some(Status::InProgress)) {
        // The supervisors see the file within a second.
        let action = match mode {
            Some(Mode::Abort) => "to end",
            Some(Mode::Drain) => "to finish",
            None => continue,
        };
        let row = Told { instance: record.instance().to_owned(), issue: record.number, action };
        output.item(&row, || vec![row.instance.clone(), format!("#{}", row.issue), action.to_owned()])?;
    }
    output.finish()?;
    Ok(Tally::default())
}
