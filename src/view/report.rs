//! `cq-report`: what became of the issues.
//!
//! Records are read one after the other, in the order of their issues, and of each only a line or its part of the
//! totals is kept: an archive of any size takes little memory. What the event feed adds, the outcomes of attempts that
//! others followed, is little and is read first.

use std::collections::BTreeMap;

use self::history::{End, Life};
use self::issue::Issue;
use self::totals::Totals;
use crate::clock::Timestamp;
use crate::error::{Error, Kind, Result, Tally};
use crate::output::{Format, Output};
use crate::session::Session;
use crate::state::Archived;

mod cells;
mod history;
mod issue;
mod totals;

pub use totals::By;

/// Reports issue by issue, or in groups.
pub fn run(session: &Session, by: Option<By>, since: Option<&str>) -> Result<Tally> {
    session.needs_setup()?;
    let now = session.clock.now();
    let since = since.map(|text| super::logs::moment(text, now)).transpose()?;
    let format = session.options.format.unwrap_or_else(Format::suited_to_stdout);
    let mut output = session.rows(cells::columns(by, format));
    let mut totals = Totals::new(by);
    let mut tally = Tally::default();
    let mut report = |issue: Issue| {
        totals.add(&issue);
        if by.is_none() { output.item(&issue, || cells::of_issue(&issue, format)) } else { Ok(()) }
    };
    let read = each_issue(session, since, now, &mut tally, &mut report);
    match read.and_then(|()| conclude(session, &totals, by, format, output)) {
        Err(error) if error.kind == Kind::ClosedPipe => Ok(tally),
        done => done.map(|()| tally),
    }
}

/// The groups and the total; of issues, what a table has no row for.
fn conclude(
    session: &Session,
    totals: &Totals,
    by: Option<By>,
    format: Format,
    mut output: Output,
) -> Result<()> {
    if by.is_some() {
        for group in totals.groups() {
            output.item(&group, || cells::of_group(&group, format))?;
        }
    }
    output.finish()?;
    if by.is_none() && format == Format::Table {
        session.note(&cells::summary(&totals.all()));
    }
    Ok(())
}

/// Every issue there is anything of, in the order of their numbers.
fn each_issue(
    session: &Session,
    since: Option<Timestamp>,
    now: Timestamp,
    tally: &mut Tally,
    report: &mut impl FnMut(Issue) -> Result<()>,
) -> Result<()> {
    let state = &session.state;
    let ends = ends(session)?;
    // In flight first: what goes to the archive meanwhile is found again there, and counted once.
    let in_flight = state.in_flight(|error| {
        session.complain(&error);
        tally.note(Kind::Failed);
    })?;
    let mut in_flight: BTreeMap<u64, Life> =
        in_flight.iter().map(|record| (record.number, Life::from(record))).collect();
    let archive = state.archive_since(since)?;
    let mut report = |number: u64, lives: Vec<Life>| {
        let recent = |life: &Life| since.is_none_or(|since| life.changed_at().is_some_and(|at| at >= since));
        let lives = lives.into_iter().filter(recent).collect();
        let ends = ends.get(&number).map_or(&[][..], Vec::as_slice);
        issue::of(number, lives, ends, now).map_or(Ok(()), &mut *report)
    };
    for of_one in archive.chunk_by(|one, other| one.number == other.number) {
        let number = of_one[0].number;
        while let Some((&first, _)) = in_flight.first_key_value().filter(|(first, _)| **first < number) {
            report(first, in_flight.remove(&first).into_iter().collect())?;
        }
        let mut lives: Vec<Life> = Vec::with_capacity(of_one.len() + 1);
        for which in of_one {
            match read(session, *which) {
                Ok(life) => lives.extend(life),
                Err(error) => {
                    session.complain(&error);
                    tally.note(Kind::Failed);
                }
            }
        }
        let still = in_flight.remove(&number);
        lives.extend(still.filter(|still| !lives.iter().any(|life| life.is_same_claim(still))));
        report(number, lives)?;
    }
    in_flight.into_iter().try_for_each(|(number, life)| report(number, vec![life]))
}

fn read(session: &Session, which: Archived) -> Result<Option<Life>> {
    let Some(text) = session.state.archived_text(which)? else { return Ok(None) };
    let life = Life::from_json(&text).map_err(|why| {
        let path = session.state.archived_path(which);
        Error::new(Kind::Failed, format!("unreadable record '{}': {why}", path.display()))
    })?;
    Ok(Some(life))
}

/// How attempts ended, by issue, as the feed tells.
fn ends(session: &Session) -> Result<BTreeMap<u64, Vec<End>>> {
    let mut ends: BTreeMap<u64, Vec<End>> = BTreeMap::new();
    session.state.each_event(|line| {
        if let Some((number, end)) = End::of_event(line) {
            ends.entry(number).or_default().push(end);
        }
    })?;
    Ok(ends)
}
