//! What a run's end means for the whole fleet: a rest after a usage limit or a refused login, or its end.

use chrono::TimeDelta;
use chrono_tz::Tz;

use crate::agent::evidence::Evidence;
use crate::agent::reset;
use crate::clock::Timestamp;
use crate::environment::{self, Environment};
use crate::error::Result;
use crate::record::Outcome;
use crate::session::Session;

/// How long the fleet rests after a usage limit that names no end.
const UNKNOWN: TimeDelta = TimeDelta::minutes(15);
/// How long at most where the limit was not said as an error: the words may be an agent's own.
const ONLY_SAID: TimeDelta = TimeDelta::hours(6);

/// Lets the fleet rest, or ends its rest; gives the end of the one that this run's end began.
pub(super) fn follow(
    session: &Session,
    outcome: Outcome,
    why: &str,
    evidence: &Evidence,
) -> Result<Option<Timestamp>> {
    match outcome {
        Outcome::Auth => session.state.rest_for_login(why).map(Some),
        Outcome::UsageLimit => {
            session.state.login_works()?;
            session.state.rest_until(end_of_limit(session, evidence), why).map(Some)
        }
        _ => {
            let answered = evidence.last.as_ref().is_some_and(|last| !last.is_error);
            if answered || outcome == Outcome::Success {
                session.state.login_works()?;
            }
            Ok(None)
        }
    }
}

fn end_of_limit(session: &Session, evidence: &Evidence) -> Timestamp {
    let now = session.clock.now();
    let last = evidence.last.as_ref();
    let said = last.map(crate::agent::events::Final::text).or_else(|| evidence.complaint.clone());
    let found = said.and_then(|said| reset::parse(&said, now, local_zone(&session.environment)));
    let until = found.unwrap_or(now + UNKNOWN);
    if last.is_some_and(|last| !last.is_error) { until.min(now + ONLY_SAID) } else { until }
}

/// The zone that clients name times in where they name no zone: TZ, else what the machine is set to, else UTC.
fn local_zone(environment: &Environment) -> Tz {
    let set = environment.get(&environment::TZ).map(|name| name.trim_start_matches(':').to_owned());
    let linked = || {
        let link = std::fs::read_link("/etc/localtime").ok()?;
        link.to_str()?.split_once("zoneinfo/").map(|(_, name)| name.to_owned())
    };
    set.or_else(linked).and_then(|name| name.parse().ok()).unwrap_or(Tz::UTC)
}
