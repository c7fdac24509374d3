//! Processes of a claim that nobody works on any more: a check, a git or an agent that outlived its command.
//!
//! They are known by the marker that a claim's processes inherit: the claim's token, which is random. A token counts
//! only if a record of this very state directory has it, in flight or archived; what carries another one is of another
//! state directory, and none of our business.

use std::collections::BTreeMap;

use crate::agent::environment::MARKER;
use crate::error::Result;
use crate::process;
use crate::record::{Record, Status};
use crate::session::Session;

/// Ends them.
pub(super) fn end(session: &Session) -> Result<()> {
    let mut found: BTreeMap<String, Option<u64>> = BTreeMap::new();
    for (_, [token, issue]) in process::carrying([MARKER, "CQ_ISSUE"]) {
        if let Some(token) = token {
            let issue = issue.and_then(|issue| issue.parse().ok());
            let known = found.entry(token).or_default();
            *known = known.or(issue);
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    // An unreadable one was told of already; whoever works on it is left alone.
    let records = session.state.in_flight(drop)?;
    let has = |record: &Record, token: &str| record.claim.as_ref().is_some_and(|claim| claim.token == token);
    for (token, issue) in &found {
        match (records.iter().find(|record| has(record, token)), issue) {
            (Some(record), _) => end_of_idle(session, record, token)?,
            (None, Some(issue)) => {
                if session.state.archived(*issue)?.iter().any(|record| has(record, token)) {
                    tell(session, *issue, end_all(token), "whose claim is released");
                }
            }
            (None, _) => {}
        }
    }
    Ok(())
}

/// Those of a claim that is in flight, unless somebody works on it.
fn end_of_idle(session: &Session, record: &Record, token: &str) -> Result<()> {
    let Some(_lock) = session.state.try_hold(record.instance())? else { return Ok(()) };
    let now = session.state.get(record.number)?;
    let same = |now: &Record| now.claim.as_ref().is_some_and(|claim| claim.token == token);
    if now.is_some_and(|now| same(&now) && now.status != Some(Status::InProgress)) {
        tell(session, record.number, end_all(token), "which nobody works on");
    }
    Ok(())
}

fn end_all(token: &str) -> usize {
    process::end_all(process::marked_families(MARKER, token), process::GRACE, || {}).found
}

fn tell(session: &Session, issue: u64, ended: usize, why: &str) {
    if ended > 0 {
        let processes = if ended == 1 { "a process".to_owned() } else { format!("{ended} processes") };
        session.note(&format!("ended {processes} left over from issue #{issue}, {why}"));
    }
}
