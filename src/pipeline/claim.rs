//! `cq-claim`: one winner per issue, as long as there are places.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::catch_up;
use super::cleanup::{is_left_alone, owns_workspace};
use super::overlap::Grounds;
use super::vet;
use super::workspace::{self, Paths};
use crate::agent::prompt;
use crate::claims::{self, Claimed, Places, Terms};
use crate::error::{Error, Kind, Result, Tally};
use crate::github::issues;
use crate::record::{Record, Source, Status, Trust, Verdict};
use crate::session::Session;
use crate::state::{State, Summary};

/// What is asked for.
#[derive(Debug)]
pub struct Wish {
    /// At most so many new claims.
    pub max: Option<usize>,
    /// Only say it.
    pub dry_run: bool,
    /// The issues were named by a person, who wants to know why one was not claimed.
    pub named: bool,
}

/// Claims the records that come in, in their order, until no place is free.
pub fn run(session: &Session, wish: &Wish, records: impl Iterator<Item = Result<Record>>) -> Result<Tally> {
    session.state.refuse_when_stopped()?;
    let terms = claims::terms(&session.loaded, &session.environment)?;
    let claims = session.claims();
    let repo = session.repo().ok();
    let mut output = session.records();
    let mut left = wish.max.unwrap_or(usize::MAX);
    if wish.dry_run {
        left = left.min(places(&session.state, &terms)?.free);
    }
    let enough = Cell::new(left == 0);
    let tally = session.for_each(records.take_while(|_| !enough.get()), |mut record| {
        is_of(&record, repo.as_deref())?;
        let number = record.number;
        let is_new = record.claim.is_none();
        let mut settled = None;
        if is_new && wants_confirmation(&record) {
            // GitHub is not asked about what would be refused anyway; nor is claimed what it was not asked about,
            // should a place become free meanwhile.
            settled = match claims.held(&record)? {
                None => places(&session.state, &terms)?.full.first().copied().map(Claimed::Full),
                held => held,
            };
            if settled.is_none() {
                record = vet::look_again(session, &record)
                    .map_err(|error| error.context(format!("issue #{number} was looked at again")))?;
            }
        }
        if is_new
            && settled.is_none()
            && let Some(trust) = &mut record.trust
        {
            trust.hidden = prompt::hidden(&record.issue);
        }
        may_be_claimed(&record).map_err(|error| vet::explain(session, &record, error))?;
        let claimed = match settled {
            Some(settled) => settled,
            None => {
                let terms = if is_new { avoiding(session, &terms, &mut record)? } else { terms.clone() };
                if wish.dry_run { would_claim(session, record)? } else { claims.claim(record, &terms)? }
            }
        };
        match claimed {
            Claimed::Won(record) => {
                if let Some(hidden) = record.trust.as_ref().and_then(|trust| trust.hidden.as_ref()) {
                    session.detail(&format!("issue #{number}: hidden text is left out: {hidden}"));
                }
                left -= usize::from(is_new);
                enough.set(left == 0);
                if wish.dry_run {
                    session.note(&format!("would claim issue #{number}"));
                }
                output.record(&record)
            }
            Claimed::Held(by) => {
                let on = if wish.named { way_on(session, number) } else { String::new() };
                session.answer(wish.named, &format!("issue #{number} is held by {by}{on}"));
                Ok(())
            }
            Claimed::Waits(overlap) => {
                session.answer(wish.named, &format!("issue #{number} waits: {overlap}"));
                Ok(())
            }
            Claimed::Full(full) => {
                enough.set(true);
                session.note(&format!("{full}; the rest waits"));
                Ok(())
            }
        }
    })?;
    output.finish()?;
    Ok(tally)
}

/// Queues a failed issue again. Where its checks were red on the base as well, its agent takes the newer base in.
pub fn retry(session: &Session, number: u64) -> Result<Record> {
    session.state.refuse_when_stopped()?;
    let record = session.in_flight(number)?;
    refuse_closed(session, &record)?;
    let instance = record.instance().to_owned();
    let _guard = session.state.hold(&instance)?;
    // Its agent can go on without, and take the base in another time.
    let told = catch_up::moved_on(session, &session.in_flight(number)?).unwrap_or_else(|error| {
        session.complain(&error.context(format!("issue #{number} is queued without the end of its base")));
        None
    });
    let terms = claims::terms(&session.loaded, &session.environment)?;
    session.claims().retry(number, &terms, &mut |record| {
        record.feedback.extend(told.clone());
        // What was tried before a person looked is over.
        if let Some(gates) = &mut record.gates {
            gates.tries = None;
        }
        Ok(())
    })
}

/// An issue that somebody has closed wants no agent. Where GitHub does not say so, the operator's word counts.
fn refuse_closed(session: &Session, record: &Record) -> Result<()> {
    if record.status != Some(Status::Failed) {
        return Ok(());
    }
    let number = record.number;
    match session.github().and_then(|client| issues::is_closed(&client, &record.repo, number)) {
        Ok(false) => {}
        Ok(true) => {
            let message = format!("issue #{number} is not eligible: the issue is closed");
            let hint = format!("open it again first; cq-claim --release {number} gives it up");
            return Err(Error::new(Kind::NotPermitted, message).hint(hint));
        }
        Err(error) => session.note(&format!("whether issue #{number} is still open is not known: {error}")),
    }
    Ok(())
}

/// Gives up a claim; what its workspace holds must be put away first. Gives the record as it is without one.
pub fn release(session: &Session, number: u64) -> Result<Record> {
    let record = session.in_flight(number)?;
    let dir = Paths::of(session, &record)?.dir;
    let is_unused = matches!(record.status, Some(Status::Queued | Status::Failed)) && record.run.is_none();
    if is_unused && dir.symlink_metadata().is_ok() {
        // A spawn that failed, or was cancelled, made it; no agent has seen it.
        let _guard = session.state.hold(record.instance())?;
        workspace::discard_workspace(session, &record, &dir)?;
    }
    // The name may be another issue's by now, and the folder with it.
    if dir.symlink_metadata().is_ok() && owns_workspace(&record, &session.state.in_flight(drop)?) {
        let instance = record.instance();
        let (ends, force) =
            if is_left_alone(&record) { ("", "") } else { ("ends its work and ", "--force ") };
        let message = format!("issue #{number} still has a workspace, {instance}");
        return Err(Error::new(Kind::Failed, message)
            .hint(format!("cq-cleanup {force}{instance} {ends}puts it away, rescue first")));
    }
    session.claims().release(number).map(Record::unclaimed)
}

/// What `--dry-run` says of `--retry` and `--release`.
pub fn would_change(session: &Session, number: u64) -> Result<Record> {
    let record = session.in_flight(number)?;
    session.note(&format!("would change issue #{number}, which is {}", record.standing()));
    Ok(record)
}

/// What a person can do about an issue that failed: nobody else goes on with it.
fn way_on(session: &Session, number: u64) -> String {
    let held = session.state.get(number).ok().flatten();
    if held.is_none_or(|held| held.status != Some(Status::Failed)) {
        return String::new();
    }
    format!(": cq-claim --retry {number} queues it again, cq-claim --release {number} gives it up")
}

/// Whether nobody on this machine vouches for an issue, so that GitHub has to be asked what it says now.
fn wants_confirmation(record: &Record) -> bool {
    let by_operator = |trust: &Trust| trust.source == Source::Operator;
    record.reasons.is_empty() && !record.trust.as_ref().is_some_and(by_operator)
}

/// Only issues of this repository.
fn is_of(record: &Record, repo: Option<&str>) -> Result<()> {
    let number = record.number;
    if let Some(repo) = repo
        && !repo.eq_ignore_ascii_case(&record.repo)
    {
        let message =
            format!("issue #{number} is of {}, but this state directory is for {repo}", record.repo);
        return Err(Error::new(Kind::BadInput, message));
    }
    Ok(())
}

/// Only what is eligible and trusted.
fn may_be_claimed(record: &Record) -> Result<()> {
    let number = record.number;
    if !record.reasons.is_empty() {
        let message = format!("issue #{number} is not eligible: {}", record.reasons.join("; "));
        return Err(Error::new(Kind::NotPermitted, message));
    }
    match &record.trust {
        Some(trust) if trust.verdict == Verdict::Trusted => Ok(()),
        Some(trust) => {
            let why = trust.reasons.join("; ");
            Err(Error::new(Kind::NotPermitted, format!("issue #{number} is untrusted: {why}")))
        }
        None => Err(Error::new(Kind::NotPermitted, format!("nobody vouches for issue #{number}"))
            .hint("pass it through cq-fetch --from -, which vouches in your name")),
    }
}

/// The places, counted without the lock: only good for saying early what the claim would say.
fn places(state: &State, terms: &Terms) -> Result<Places> {
    let records = state.in_flight(drop)?;
    Ok(claims::count(records.iter().map(Summary::from), terms))
}

/// Notes which files a new claim's issue names, and what those in work have changed: both need git, which the claim,
/// under its lock, may not wait for.
fn avoiding(session: &Session, terms: &Terms, record: &mut Record) -> Result<Terms> {
    record.named_files.clear();
    let Some(grounds) = Grounds::find(session)? else { return Ok(terms.clone()) };
    grounds.name([&mut *record])?;
    let changed = if record.named_files.is_empty() { BTreeMap::new() } else { grounds.changed(session)? };
    Ok(Terms { changed, ..terms.clone() })
}

fn would_claim(session: &Session, record: Record) -> Result<Claimed> {
    if session.state.is_in_flight(record.number) {
        return Ok(Claimed::Held("somebody".to_owned()));
    }
    let overlap = match Grounds::find(session)? {
        Some(grounds) => grounds.overlap(&record, &grounds.changed(session)?),
        None => None,
    };
    Ok(overlap.map_or_else(|| Claimed::Won(Box::new(record)), Claimed::Waits))
}
