//! `cq-stop`: one file that every command honours.
//!
//! The file is written first: from then on nothing new starts. The supervisors see it within a moment, and freeze,
//! thaw or end their agents; this command waits for what they write into the records.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::token;
use crate::clock::stamp;
use crate::error::{Kind, Result, Tally};
use crate::output::Output;
use crate::record::{Liveness, Record, Status};
use crate::session::Session;
use crate::state::stop::{Mode, Stop};

mod abort;

/// What is asked for.
#[derive(Debug)]
pub struct Wish {
    /// A stop to put in force, or none to lift it.
    pub mode: Option<Mode>,
    /// Why.
    pub reason: String,
    /// Whether an abort tells the issues.
    pub comment: bool,
    /// Only say it.
    pub dry_run: bool,
}

/// What the stop means for an instance that works.
#[derive(Debug, Serialize)]
struct Told {
    instance: String,
    issue: u64,
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rescued: Option<String>,
}

const COLUMNS: &[&str] = &["INSTANCE", "ISSUE", "ACTION", "RESCUED"];
/// How long the supervisors may take: their agents' own grace, and some.
const PATIENCE: Duration = Duration::from_secs(20);
/// What is waited for is said this often.
const SAY_EVERY: Duration = Duration::from_secs(3);

/// Puts a stop in force, or lifts it. Returns when the agents are frozen, go on, or have ended.
pub fn run(session: &Session, wish: &Wish) -> Result<Tally> {
    session.needs_state("nothing is stopped")?;
    let before = session.state.stop();
    let stop = wish.mode.map(|mode| Stop {
        mode,
        // An abort that is repeated goes on with what it began.
        at: match &before {
            Ok(Some(before)) if before.mode == mode => before.at,
            _ => session.clock.now(),
        },
        reason: wish.reason.clone(),
    });
    // A stop that cannot be read is in force, and is replaced or lifted like any other.
    let in_force = !matches!(before, Ok(None));
    if !wish.dry_run && (stop.is_some() || in_force) {
        session.state.set_stop(stop.as_ref())?;
    }
    announce(session, wish, in_force);
    let records = session.state.in_flight(|error| session.complain(&error))?;
    let concerned = |record: &Record| match &stop {
        None => is_frozen(record),
        Some(Stop { mode: Mode::Abort, at, .. }) if abort::is_left_over(record, *at) => true,
        Some(_) => record.status == Some(Status::InProgress),
    };
    let concerned: Vec<Record> = records.into_iter().filter(concerned).collect();
    let mut output = session.rows(COLUMNS);
    let mut tally = Tally::default();
    if wish.dry_run || wish.mode == Some(Mode::Drain) {
        for record in &concerned {
            tell(&mut output, record, prospect(wish.mode), None)?;
        }
    } else {
        wait(session, wish, concerned, &mut output, &mut tally)?;
    }
    output.finish()?;
    if wish.mode == Some(Mode::Abort) && !wish.dry_run {
        revoke(session, &mut tally);
    }
    Ok(tally)
}

fn announce(session: &Session, wish: &Wish, in_force: bool) {
    let dir = session.state.dir().display();
    let would = if wish.dry_run { "would be " } else { "" };
    session.note(&match (wish.mode, in_force) {
        (Some(Mode::Freeze), _) => {
            format!("'{dir}' {would}frozen: nothing new starts, and no agent moves, until cq-stop --thaw")
        }
        (Some(_), _) => format!("'{dir}' {would}stopped: nothing new starts until cq-stop --thaw"),
        (None, true) => format!("'{dir}' {would}thawed: commands start work again"),
        (None, false) => format!("no stop was in force in '{dir}'"),
    });
}

/// What is in store for an agent that runs.
fn prospect(mode: Option<Mode>) -> &'static str {
    match mode {
        None => "to go on",
        Some(Mode::Drain) => "to finish",
        Some(Mode::Freeze) => "to freeze",
        Some(Mode::Abort) => "to end",
    }
}

fn tell(output: &mut Output, record: &Record, action: &'static str, rescued: Option<String>) -> Result<()> {
    let row = Told { instance: record.instance().to_owned(), issue: record.number, action, rescued };
    output.item(&row, || {
        let rescued = row.rescued.clone().unwrap_or_else(|| "-".to_owned());
        vec![row.instance.clone(), format!("#{}", row.issue), action.to_owned(), rescued]
    })
}

/// Waits until every one is as it should be, at most [`PATIENCE`], and says what for.
fn wait(
    session: &Session,
    wish: &Wish,
    mut left: Vec<Record>,
    output: &mut Output,
    tally: &mut Tally,
) -> Result<()> {
    let asked = Instant::now();
    let mut said = asked;
    while !left.is_empty() {
        let mut still = Vec::new();
        for record in left {
            let late = asked.elapsed() > PATIENCE;
            match stands(session, wish.mode, &record)? {
                Stands::NotYet if !late => still.push(record),
                Stands::NotYet => {
                    tally.note(Kind::Failed);
                    let action =
                        if wish.mode == Some(Mode::Abort) { "does not end" } else { "does not follow" };
                    tell(output, &record, action, None)?;
                }
                Stands::There(action) => tell(output, &record, action, None)?,
                Stands::Alone => {
                    tally.note(Kind::Failed);
                    tell(output, &record, "has no supervisor", None)?;
                }
                Stands::Ended => end(session, wish, &record, output, tally)?,
            }
        }
        left = still;
        if !left.is_empty() && said.elapsed() >= SAY_EVERY {
            said = Instant::now();
            let names: Vec<String> = left
                .iter()
                .map(|record| format!("{} (issue #{})", record.instance(), record.number))
                .collect();
            let grace = if wish.mode == Some(Mode::Abort) {
                "; an agent has 10 s to end before it is killed"
            } else {
                ""
            };
            session.note(&format!("waiting for {}{grace}", names.join(", ")));
        }
        std::thread::sleep(if left.is_empty() { Duration::ZERO } else { Duration::from_millis(50) });
    }
    Ok(())
}

/// How far a supervisor has come with what it was told.
enum Stands {
    NotYet,
    There(&'static str),
    /// Nobody is there to do it.
    Alone,
    /// The agent has ended: an abort goes on from here.
    Ended,
}

fn stands(session: &Session, mode: Option<Mode>, asked: &Record) -> Result<Stands> {
    let token = |record: &Record| record.claim.as_ref().map(|claim| claim.token.clone());
    let running = || -> Result<Option<Record>> {
        let now = session.state.get(asked.number)?;
        Ok(now.filter(|now| now.status == Some(Status::InProgress) && token(now) == token(asked)))
    };
    let has_ended = || if mode == Some(Mode::Abort) { Stands::Ended } else { Stands::There("has ended") };
    let Some(now) = running()? else { return Ok(has_ended()) };
    if !session.state.is_held(asked.instance())? {
        // Its supervisor is gone; or has only just done its work.
        let alone = mode != Some(Mode::Abort) && running()?.is_some();
        return Ok(if alone { Stands::Alone } else { has_ended() });
    }
    Ok(match mode {
        Some(Mode::Freeze) if is_frozen(&now) => Stands::There("frozen"),
        None if !is_frozen(&now) => Stands::There("goes on"),
        _ => Stands::NotYet,
    })
}

fn is_frozen(record: &Record) -> bool {
    record.status == Some(Status::InProgress)
        && record.run.as_ref().is_some_and(|run| run.liveness == Some(Liveness::Frozen))
}

/// The rest of an abort. One that cannot be brought to its end is told of, and the next abort tries again.
fn end(
    session: &Session,
    wish: &Wish,
    record: &Record,
    output: &mut Output,
    tally: &mut Tally,
) -> Result<()> {
    match abort::finish(session, record, wish.comment) {
        Ok(aborted) => {
            if let Some(error) = &aborted.unsaid {
                session.complain(error);
                tally.note(error.kind);
            }
            tell(output, record, aborted.action, aborted.rescued)
        }
        Err(error) => {
            session.complain(&error);
            tally.note(error.kind);
            tell(output, record, "ended, not released", None)
        }
    }
}

fn revoke(session: &Session, tally: &mut Tally) {
    let app = session.loaded.config.github.app.as_ref();
    if !app.is_some_and(|app| app.revoke) {
        return;
    }
    match token::revoke(session) {
        Ok(true) => session.note("the App's token is revoked"),
        Ok(false) => {}
        Err(error) => {
            session.complain(&error);
            tally.note(error.kind);
        }
    }
}

/// What keeps agents from being started.
#[derive(Debug, Serialize)]
struct Standing {
    in_force: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    reason: String,
}

/// `--status`: the stop and the rest in force; nothing where there is none.
pub fn status(session: &Session) -> Result<Tally> {
    session.needs_setup()?;
    let stop = match session.state.stop() {
        Ok(stop) => stop.map(|stop| Standing {
            in_force: stop.mode.name(),
            since: Some(stamp(stop.at)),
            until: None,
            reason: stop.reason,
        }),
        Err(error) => {
            Some(Standing { in_force: "unreadable", since: None, until: None, reason: error.to_string() })
        }
    };
    let rest = session.state.limit()?.map(|limit| Standing {
        in_force: "rest",
        since: None,
        until: Some(stamp(limit.until)),
        reason: limit.reason,
    });
    if stop.is_none() && rest.is_none() {
        session.note("nothing is in force: commands start work");
    }
    let mut output = session.rows(&["IN FORCE", "SINCE", "UNTIL", "REASON"]);
    for row in stop.into_iter().chain(rest) {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        output.item(&row, || {
            vec![row.in_force.to_owned(), text(&row.since), text(&row.until), row.reason.clone()]
        })?;
    }
    output.finish()?;
    Ok(Tally::default())
}
