//! The part of the doctor that looks at the state directory, and mends what can be made again.

use super::{Finding, Tell};
use crate::error::Result;
use crate::session::Session;

/// Looks at the records, the event feeds and what killed commands left; `repair` mends.
pub(super) fn look(session: &Session, repair: bool, tell: &mut Tell<'_>) -> Result<()> {
    let state = &session.state;
    let check = "state";
    let refusal = state.refusal();
    let mut whole = refusal.is_none();
    if let Some(error) = refusal {
        tell(Finding::failed("state.writable", &error))?;
    }
    if !state.exists() {
        if !whole {
            return Ok(());
        }
        let what = format!("'{}' is not there yet; the first claim makes it", state.dir().display());
        return tell(Finding::ok(check, what));
    }
    let flaws = match state.flaws() {
        Ok(flaws) => flaws,
        Err(error) => return tell(Finding::failed(check, &error)),
    };
    for error in &flaws.unreadable {
        whole = false;
        tell(Finding::failed("state.records", error))?;
    }
    for (instance, issues) in &flaws.shared {
        whole = false;
        let issues: Vec<String> = issues.iter().map(|issue| format!("#{issue}")).collect();
        let what = format!("{instance} belongs to {}", issues.join(" and "));
        let fix = "cq-claim --release all but the one whose branch its workspace is on";
        tell(Finding::error("state.instances", what, fix))?;
    }
    for (feed, lines) in &flaws.torn {
        let what = format!("'{}' has {lines} torn lines; readers pass over them", feed.display());
        tell(Finding::warning("state.events", what, "none is needed; the records hold what they told"))?;
    }
    if !flaws.untold.is_empty() {
        whole = false;
        let count = flaws.untold.len();
        tell(if repair {
            state.tell_again(&flaws.untold)?;
            Finding::ok("state.events", format!("repaired: {count} changes of status are told now"))
        } else {
            let what = format!("{count} changes of status are in records and not in events.jsonl");
            Finding::warning("state.events", what, "cq-doctor --repair")
        })?;
    }
    if repair {
        let swept = state.sweep_temp_files()?;
        if swept > 0 {
            tell(Finding::ok(
                "state.temp",
                format!("repaired: {swept} temp files of killed commands are gone"),
            ))?;
        }
    }
    if whole {
        tell(Finding::ok(check, format!("'{}' is whole", state.dir().display())))?;
    }
    in_force(session, tell)
}

/// What keeps agents from being started right now.
fn in_force(session: &Session, tell: &mut Tell<'_>) -> Result<()> {
    match session.state.stop() {
        Err(error) => tell(Finding::failed("stop", &error))?,
        Ok(Some(stop)) => tell(Finding::warning("stop", stop.to_string(), "cq-stop --thaw lifts it"))?,
        Ok(None) => {}
    }
    match session.state.limit() {
        Err(error) => tell(Finding::failed("limit", &error)),
        Ok(Some(limit)) => {
            let fix = format!(
                "wait, or remove '{}' to try sooner",
                session.state.dir().join("limit.json").display()
            );
            tell(Finding::warning("limit", limit.to_string(), fix))
        }
        Ok(None) => Ok(()),
    }
}
