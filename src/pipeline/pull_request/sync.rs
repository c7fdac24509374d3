//! `cq-pr --sync`: what became of open pull requests, and what they want of their agents.
//!
//! One request tells all of a pull request; `record::review` decides. What an agent is to deal with becomes feedback,
//! and its record is queued again, in one change: whoever is killed before has done nothing, and whoever is killed
//! after it has done all (cq-monitor offers what nobody printed).

use std::collections::BTreeSet;

use super::told;
use crate::claims;
use crate::error::{Result, Tally};
use crate::github::reviews::{self, Progress};
use crate::github::{Client, comments};
use crate::output::Output;
use crate::record::review::{self, Next, Round, Standing};
use crate::record::{Feedback, Heard, PullRequest, Record, Rounds, Status};
use crate::session::Session;
use crate::state::events::Event;

/// What a look costs and writes.
struct Looking<'a> {
    session: &'a Session,
    client: Client,
    dry_run: bool,
    /// The issues were named by a person.
    named: bool,
}

/// Looks at the pull requests of these issues, or of all that wait for people.
pub fn sync(session: &Session, numbers: &[u64], dry_run: bool) -> Result<Tally> {
    session.state.refuse_when_stopped()?;
    session.needs_setup()?;
    let (wanted, mut tally) = open(session, numbers, "nothing is asked of GitHub", |record| {
        let known = record.pull_request.as_ref().is_some_and(|pull| pull.state == "open");
        // A round that failed is for a person, who may merge or close the pull request all the same.
        waits(record) || (record.status == Some(Status::Failed) && known)
    })?;
    let mut output = session.records();
    if wanted.is_empty() {
        output.finish()?;
        return Ok(tally);
    }
    session.needs_token("read reviews")?;
    let looking = Looking { session, client: session.github()?, dry_run, named: !numbers.is_empty() };
    let looked = session.for_each(wanted.into_iter().map(Ok), |record| looking.one(&record, &mut output))?;
    tally.add(&looked);
    output.finish()?;
    Ok(tally)
}

pub(super) fn waits(record: &Record) -> bool {
    record.status == Some(Status::PrReady)
}

/// The records whose pull requests wait for people.
pub(super) fn waiting(session: &Session, numbers: &[u64]) -> Result<(Vec<Record>, Tally)> {
    open(session, numbers, "nothing is merged", waits)
}

/// The records with a pull request, of these issues if there are any. Whoever named one is told why it is not among
/// them, and what that means (`so`).
fn open(
    session: &Session,
    numbers: &[u64],
    so: &str,
    wanted: impl Fn(&Record) -> bool,
) -> Result<(Vec<Record>, Tally)> {
    let wanted = |record: &Record| record.pull_request.is_some() && wanted(record);
    if numbers.is_empty() {
        let mut records = session.state.in_flight(|error| session.complain(&error))?;
        records.retain(wanted);
        return Ok((records, Tally::default()));
    }
    let mut records = Vec::new();
    let once: BTreeSet<u64> = numbers.iter().copied().collect();
    let tally = session.for_each(once.into_iter().map(|number| session.in_flight(number)), |record| {
        if wanted(&record) {
            records.push(record);
        } else {
            session.note(&format!("issue #{} is {}: {so}", record.number, record.standing()));
        }
        Ok(())
    })?;
    Ok((records, tally))
}

impl Looking<'_> {
    fn one(&self, record: &Record, output: &mut Output) -> Result<()> {
        let Some(known) = &record.pull_request else { return Ok(()) };
        let now = reviews::progress(&self.client, &record.repo, known.number)?;
        if now.pull_request.state != "open" {
            return self.is_over(record, &now.pull_request, output);
        }
        let (session, number) = (self.session, record.number);
        if !waits(record) {
            let why = format!("issue #{number} is {}: no agent is sent back", record.standing());
            session.answer(self.named, &why);
            return Ok(());
        }
        if let Some(why) = &now.checks.unknown {
            session.detail(&format!("issue #{number}: its checks cannot be read: {why}"));
        }
        let permissions = reviews::permissions(&self.client, &record.repo, &now.remarks)?;
        let policy = session.loaded.config.policy();
        let remarks = review::vouched(&now.remarks, &permissions, &policy, comments::is_ours);
        let standing = Standing {
            head: &now.pull_request.head_sha,
            base: &now.base_sha,
            ours: pushed(record) == Some(&now.pull_request.head_sha),
            conflicts: now.conflicts,
            checks: &now.checks,
            base_checks: &now.base_checks,
            remarks: &remarks,
        };
        let seen = PullRequest {
            draft: now.pull_request.draft,
            checks: Some(now.checks.verdict().name().to_owned()),
            review: review::verdict(&review::votes(&remarks)).map(str::to_owned),
            ..known.clone()
        };
        let rounds = record.rounds.clone().unwrap_or_default();
        let bounds = session.loaded.config.feedback.bounds();
        let next = review::decide(&rounds, &standing, &bounds, session.clock.now());
        match next {
            Next::Nothing => {
                // Why a person has to look was said when it began: again only to whoever asks.
                if self.named {
                    let why = rounds.over.as_deref().unwrap_or("nothing new is said of its pull request");
                    session.note(&format!("issue #{number}: {why}"));
                }
                self.note_picture(record, known, seen, output)
            }
            Next::Wait(why) => {
                session.answer(self.named, &format!("issue #{number}: {why}"));
                self.note_picture(record, known, seen, output)
            }
            Next::Person(why, heard) => self.leave(record, seen, &why, heard),
            Next::Again(round) if self.dry_run => {
                session.note(&format!("would send the agent of issue #{number} back: {}", round.why()));
                output.record(record)
            }
            Next::Again(round) => self.send_back(record, seen, &now, &round, output),
        }
    }

    /// Merged or closed.
    fn is_over(&self, record: &Record, now: &PullRequest, output: &mut Output) -> Result<()> {
        let session = self.session;
        if self.dry_run {
            session.note(&format!("would note that #{} is {}", now.number, now.state));
            return output.record(record);
        }
        // The instance of a failed record may be somebody else's by now.
        let _lock = waits(record).then(|| session.state.hold(record.instance())).transpose()?;
        let updated = note_end(session, record, &now.state)?;
        if updated.status != record.status {
            return output.record(&updated);
        }
        // One that had failed stays so where its pull request was closed: nobody has anything to do with that.
        let why =
            format!("issue #{} stays {}: #{} is {}", record.number, record.standing(), now.number, now.state);
        session.answer(self.named, &why);
        Ok(())
    }

    /// How it stands, for whoever reads the record; passed on where it has become a draft, or is none any more.
    fn note_picture(
        &self,
        record: &Record,
        known: &PullRequest,
        seen: PullRequest,
        output: &mut Output,
    ) -> Result<()> {
        if *known == seen || self.dry_run {
            return Ok(());
        }
        let is_told = known.draft != seen.draft;
        let updated = self.change(record, |record| {
            record.pull_request = Some(seen);
            Ok(())
        })?;
        match updated {
            Some(updated) if is_told => output.record(&updated),
            _ => Ok(()),
        }
    }

    /// Changes a record that still waits for people; none where it does not any more.
    fn change(
        &self,
        wanted: &Record,
        change: impl FnOnce(&mut Record) -> Result<()>,
    ) -> Result<Option<Record>> {
        let mut is_same = false;
        let updated = claims::update(&self.session.state, wanted.claimed()?, wanted.number, |record| {
            is_same = waits(record) && record.rounds == wanted.rounds;
            if is_same { change(record) } else { Ok(()) }
        })?;
        Ok(is_same.then_some(updated))
    }

    /// All rounds are used up: a person has to see to it, which is said once.
    fn leave(&self, record: &Record, seen: PullRequest, why: &str, heard: Vec<Heard>) -> Result<()> {
        let session = self.session;
        if self.dry_run {
            session.note(&format!("issue #{}: {why}", record.number));
            return Ok(());
        }
        let updated = self.change(record, |record| {
            record.pull_request = Some(seen);
            let rounds = record.rounds.get_or_insert_with(Rounds::default);
            rounds.heard.extend(heard);
            rounds.over = Some(why.to_owned());
            record.remark(session.command, why, session.clock.now());
            Ok(())
        })?;
        if updated.is_some() {
            session.note(&format!("issue #{}: {why}", record.number));
        }
        Ok(())
    }

    /// The agent goes on.
    fn send_back(
        &self,
        record: &Record,
        seen: PullRequest,
        now: &Progress,
        round: &Round<'_>,
        output: &mut Output,
    ) -> Result<()> {
        let session = self.session;
        let told = told::Telling { session, client: &self.client }.feedback(record, now, round)?;
        // Whoever works on the instance just now, such as a cleanup, comes first.
        let Some(_lock) = session.state.try_hold(record.instance())? else {
            session.answer(self.named, &format!("issue #{}: somebody works on it", record.number));
            return Ok(());
        };
        let why = round.why();
        let updated = self.change(record, |record| {
            record.pull_request = Some(seen);
            queue(session, record, round, told, &why)
        })?;
        let Some(updated) = updated else { return Ok(()) };
        let event = Event::about(&session.state, "feedback", record.number);
        session.state.log(&event.with("why", why.as_str()).with("round", round_of(&updated)))?;
        output.record(&updated)
    }
}

/// The commit that cq pushed.
pub(super) fn pushed(record: &Record) -> Option<&String> {
    let delivered = record.delivery.as_ref().map(|delivery| &delivery.sha);
    delivered.or_else(|| record.pull_request.as_ref().map(|pull| &pull.head_sha))
}

fn round_of(record: &Record) -> u32 {
    record.rounds.as_ref().map_or(0, Rounds::all)
}

/// One more round, with all of its attempts: due at once.
fn queue(
    session: &Session,
    record: &mut Record,
    round: &Round<'_>,
    told: told::Told,
    why: &str,
) -> Result<()> {
    let now = session.clock.now();
    let attempt = record.claimed()?.attempt;
    record.rounds.get_or_insert_with(Rounds::default).begin(round, attempt);
    record.feedback.extend(told.into_iter().map(|(from, text)| Feedback {
        from,
        text,
        at: now,
        extra: crate::record::Extra::new(),
    }));
    if let Some(claim) = &mut record.claim {
        claim.attempt += 1;
        claim.not_before = Some(now);
        let lease = i64::from(session.loaded.config.claims.lease_minutes);
        claim.lease_expires_at = now + chrono::TimeDelta::minutes(lease);
    }
    record.transition(Status::Queued, session.command, why, now)
}

/// Notes that a pull request was merged or closed. The caller holds the instance.
pub(super) fn note_end(session: &Session, record: &Record, state: &str) -> Result<Record> {
    session.state.update(record.number, |record| {
        let to = match state {
            "merged" => Some(Status::Completed),
            "closed" => Some(Status::Failed),
            _ => None,
        };
        let mut why = String::new();
        if let Some(pull) = &mut record.pull_request {
            state.clone_into(&mut pull.state);
            why = format!("pull request #{} was {state}", pull.number);
        }
        match to {
            Some(to)
                if waits(record) || (to == Status::Completed && record.status == Some(Status::Failed)) =>
            {
                record.transition(to, session.command, why, session.clock.now())
            }
            _ => Ok(()),
        }
    })
}
