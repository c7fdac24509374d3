//! What is removed besides workspaces: what killed commands left, old receipts and caches; all caches and warm spares where
//! everything goes.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::{Report, Wish};
use crate::error::{Error, Result, Tally};
use crate::pipeline::gate::{caches, receipts};
use crate::pipeline::workspace;
use crate::record::Record;
use crate::session::Session;

/// Receipts that are older, and caches that were not used for so long, go.
const KEPT: TimeDelta = TimeDelta::days(30);

/// Removes it; what cannot be removed keeps nothing else back. `records` are those in flight.
pub(super) fn run(
    session: &Session,
    wish: &Wish,
    records: &[Record],
    report: &mut Report,
    tally: &mut Tally,
) -> Result<()> {
    let mut complain = |error: Error| {
        session.complain(&error);
        tally.note(error.kind);
    };
    // A turn that is for some instances leaves the rest alone.
    if wish.instances.is_empty() {
        old_receipts(session, wish, records, report).unwrap_or_else(&mut complain);
        caches_of_checks(session, wish, report).unwrap_or_else(&mut complain);
    }
    if wish.dry_run {
        return Ok(());
    }
    if wish.all && wish.force && workspace::spares::put_all_away(session)? > 0 {
        session.note("removed the warm spares");
    }
    let (emptied, freed) = workspace::empty_trash(session).unwrap_or_else(|error| {
        complain(error);
        Default::default()
    });
    report.freed += freed;
    let swept = session.state.sweep_temp_files()? + emptied;
    if swept > 0 {
        session.detail(&format!("swept {swept} leftovers of killed commands"));
    }
    Ok(())
}

/// Receipts that no record in flight needs.
fn old_receipts(session: &Session, wish: &Wish, records: &[Record], report: &mut Report) -> Result<()> {
    let needed: BTreeSet<&str> =
        records.iter().filter_map(|record| Some(record.gates.as_ref()?.tree.as_str())).collect();
    let gone = receipts::prune(session, session.clock.now() - KEPT, &needed, wish.dry_run)?;
    report.freed += gone;
    if gone.entries > 0 {
        let (count, days) = (gone.entries, KEPT.num_days());
        let receipts = if count == 1 { "receipt" } else { "receipts" };
        say(session, wish, report, &format!("{count} {receipts} older than {days} days"));
    }
    Ok(())
}

/// Caches that nobody uses; where everything goes, all of them.
fn caches_of_checks(session: &Session, wish: &Wish, report: &mut Report) -> Result<()> {
    if wish.all && wish.force {
        if caches::put_all_away(session, wish.dry_run)? {
            say(session, wish, report, "the caches of checks");
        }
        return Ok(());
    }
    let gone = caches::prune(session, session.clock.now() - KEPT, wish.dry_run)?;
    if !gone.is_empty() {
        say(session, wish, report, &format!("caches of checks that are of no use: {}", gone.join(", ")));
    }
    Ok(())
}

fn say(session: &Session, wish: &Wish, report: &mut Report, what: &str) {
    session.note(&format!("{} {what}", if wish.dry_run { "would remove" } else { "removed" }));
    report.swept = true;
}
