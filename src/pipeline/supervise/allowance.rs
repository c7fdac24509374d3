//! Whether an agent may be started now: nobody rests, and it is paid for. And what it did cost, when it has ended.

use crate::agent::budget;
use crate::agent::profile::Agent;
use crate::error::{Error, Kind, Result};
use crate::record::{Outcome, Record, Run, Status};
use crate::session::Session;

/// Asks at the last moment before an issue's workspace is made. An issue whose own budget is spent is not started
/// again; for a day that is spent it waits.
pub(super) fn ask(session: &Session, record: &Record, agent: &Agent) -> Result<()> {
    let config = &session.loaded.config;
    let number = record.number;
    if let Some(why) = budget::issue_is_spent(config, record) {
        crate::claims::update(&session.state, record.claimed()?, number, |record| {
            record.outcome = Some(Outcome::OverBudget);
            record.transition(Status::Failed, session.command, why.as_str(), session.clock.now())
        })?;
        return Err(Error::new(Kind::Failed, format!("issue #{number}: {why}"))
            .hint(format!("raise budget.perIssueUsd, then cq-claim --retry {number}")));
    }
    if let Some(day) = config.budget.per_day_usd {
        let cap = budget::cap(config, record, &agent.name);
        session.state.reserve(number, cap, day).map_err(|error| error.context(format!("issue #{number}")))?;
    }
    // Last: whoever tries a refused login keeps the others waiting.
    session.state.leave_rest(number)
}

/// Gives back what was reserved for a run that did not come to start. A failure to do so is only complained of: the next
/// tick of cq-monitor does it.
pub(super) fn give_back(session: &Session, record: &Record) {
    if session.loaded.config.budget.per_day_usd.is_some() {
        let booked = session.state.book(record.number, session.clock.now(), None);
        booked.unwrap_or_else(|error| session.complain(&error));
    }
}

/// Books what a run that has ended did cost. The record has it already: a failure is only complained of.
pub(super) fn book(session: &Session, record: &Record) {
    let Some(run) = &record.run else { return };
    let started = run.started_at.unwrap_or_else(|| session.clock.now());
    let booked = session.state.book(record.number, started, run.cost_usd);
    booked.unwrap_or_else(|error| session.complain(&error));
}

/// Settles what commands that were killed had reserved: what runs keeps its reservation, what has ended is booked, what
/// never started is given back.
pub(crate) fn settle(session: &Session) -> Result<()> {
    for (number, reservation) in session.state.reservations()? {
        let record = session.state.get(number)?;
        let lock = match &record {
            Some(record) => match session.state.try_hold(record.instance())? {
                Some(lock) => Some(lock),
                None => continue,
            },
            None => None,
        };
        // Read again: whoever held the instance may have ended the run meanwhile.
        let record = session.state.get(number)?;
        let is_this_run = |run: &&Run| run.started_at.is_some_and(|started| started >= reservation.at);
        let run = record.as_ref().and_then(|record| record.run.as_ref()).filter(is_this_run);
        if record.as_ref().is_some_and(|record| record.status == Some(Status::InProgress)) {
            continue;
        }
        session.state.book(number, reservation.at, run.and_then(|run| run.cost_usd))?;
        drop(lock);
    }
    Ok(())
}
