//! The steps of a delivery: push, open, dress. Each is written down before it is begun, looks before it acts, and is
//! harmless to repeat, so that a command that was killed, or never got its answer, is simply run again.

use super::dressing::Dressing;
use super::reservation::{Reservation, Superseded};
use super::{answers, body, fail, renew};
use crate::claims::{self, branches_of};
use crate::error::{Error, Kind, Result};
use crate::git::{PrivateGit, RefChange, Repository, There, branch_ref};
use crate::github::pulls::{self, Found, Known, Obstacle, Proposal};
use crate::github::{Client, issues};
use crate::record::{Delivery, DeliveryStep, Extra, Outcome, PullRequest, Record, Status};
use crate::session::Session;
use crate::state::events::Event;

/// What a delivery works with.
pub(super) struct Delivering<'a> {
    pub session: &'a Session,
    pub client: Client,
    pub repository: Repository,
    pub private: PrivateGit,
    pub proposal: Proposal,
    /// The commit that is delivered: its tree was checked.
    pub head: String,
}

impl Delivering<'_> {
    /// Goes on from wherever an earlier command was interrupted.
    pub(super) fn run(&self, record: Record) -> Result<super::Delivered> {
        let begun = record.delivery.as_ref();
        let begun = begun.filter(|one| one.branch == self.proposal.head && one.sha == self.head);
        let known = record.pull_request.as_ref();
        // Whether to give it up for lost is decided before anything is pushed.
        let open = known.filter(|pull| pull.state == "open");
        let open = open.map(|pull| pulls::look(&self.client, &record.repo, pull.number)).transpose()?;
        if let Some(found) = open.as_ref().filter(|found| self.is_over(&found.pull_request)) {
            return Ok((self.end(&record, &found.pull_request)?, None));
        }
        let is_new = known.is_none() && begun.is_none_or(|one| one.step == DeliveryStep::Push);
        if is_new && self.is_closed(&record)? {
            let record = fail(self.session, &record, Outcome::Cancelled, "the issue was closed meanwhile")?;
            let message = format!("issue #{} was closed meanwhile", record.number);
            let error = Error::new(Kind::NotPermitted, message)
                .hint("nothing was pushed, and the branch is kept; if it is wanted, open the issue again and cq-claim --retry it");
            return Ok((record, Some(error)));
        }
        let known = known.map(|pull| pull.number);
        let (record, found) = match (begun.map(|one| one.step), known) {
            (Some(DeliveryStep::Dress), Some(number)) => {
                let look = || pulls::look(&self.client, &record.repo, number);
                let found = open.map_or_else(look, Ok)?;
                (record, found)
            }
            (Some(DeliveryStep::Open), _) => self.open(&record)?,
            _ => self.open(&self.push(&record)?)?,
        };
        let refused = Dressing { session: self.session, client: &self.client }.dress(&record, &found)?;
        body::refresh(self.session, &self.client, &record, &self.proposal.body)?;
        let record = answers::give(self.session, &self.client, &record, &self.head)?;
        Ok((self.finish(&record, &found)?, refused))
    }

    /// Whether people, or a queue, are done with a pull request without this commit.
    fn is_over(&self, pull: &PullRequest) -> bool {
        pull.state == "closed" || (pull.state == "merged" && pull.head_sha != self.head)
    }

    /// A pull request was open when the agent was sent back, and is over: nobody has asked for a second one.
    fn end(&self, record: &Record, pull: &PullRequest) -> Result<Record> {
        let (session, state) = (self.session, pull.state.as_str());
        let why = format!("pull request #{} was {state} meanwhile", pull.number);
        session.note(&format!("issue #{}: {why}; nothing is pushed", record.number));
        let to = if state == "merged" { Status::Completed } else { Status::Failed };
        claims::update(&session.state, record.claimed()?, record.number, |record| {
            if let Some(known) = &mut record.pull_request {
                state.clone_into(&mut known.state);
            }
            // What was kept back has failed already.
            if record.status == Some(to) {
                record.remark(session.command, why, session.clock.now());
                return Ok(());
            }
            record.transition(to, session.command, why, session.clock.now())
        })
    }

    /// Whether somebody has closed the issue: there is nothing to be delivered. One that is not to be had is no reason.
    fn is_closed(&self, record: &Record) -> Result<bool> {
        match issues::is_closed(&self.client, &record.repo, record.number) {
            Err(error) if matches!(error.kind, Kind::Failed | Kind::NotPermitted) => Ok(false),
            closed => closed,
        }
    }

    /// Writes a step down before it is begun, in the name of a claim that is still held.
    fn begin(
        &self,
        record: &Record,
        step: DeliveryStep,
        change: impl FnOnce(&mut Record, &mut Delivery),
    ) -> Result<Record> {
        renew(self.session, record)?;
        claims::update(&self.session.state, record.claimed()?, record.number, |record| {
            let (branch, sha) = (&self.proposal.head, &self.head);
            let known = record.delivery.take();
            let known = known.filter(|known| known.branch == *branch && known.sha == *sha);
            let at = self.session.clock.now();
            let mut delivery = known.unwrap_or_else(|| Delivery {
                branch: branch.clone(),
                sha: sha.clone(),
                expected: None,
                step,
                at,
                extra: Extra::new(),
            });
            (delivery.step, delivery.at) = (step, at);
            change(record, &mut delivery);
            record.delivery = Some(delivery);
            Ok(())
        })
    }

    /// The branch, and with it the ref that keeps the issue for this claim.
    fn push(&self, record: &Record) -> Result<Record> {
        let (private, head, number) = (&self.private, self.head.as_str(), record.number);
        let branch = &self.proposal.head;
        let remote = self.session.remote(&record.repo)?;
        let (full, ours) = (branch_ref(branch), Reservation::of(private, record)?);
        let others = format!("{}*", branch_ref(&branches_of(number)));
        let look = || private.there(&remote, &[&full, &ours.name, &others]);
        let is_done =
            |there: &There| there.at(&full) == Some(head) && there.at(&ours.name) == Some(ours.oid.as_str());
        let seen = look()?;
        if seen.default_branch.as_ref() == Some(branch) {
            let what = format!("'{branch}' is the default branch of {}, and is never pushed to", record.repo);
            return Err(Error::new(Kind::NotPermitted, format!("issue #{number}: {what}"))
                .hint("choose another default branch on GitHub"));
        }
        if is_done(&seen) {
            return Ok(record.clone());
        }
        let (there, holder) = (seen.at(&full), seen.at(&ours.name));
        let rival = |there: &There| there.at(&ours.name).filter(|oid| *oid != ours.oid).map(str::to_owned);
        let superseded = match rival(&seen) {
            Some(rival) => Some(self.supersede(record, &remote, &ours.name, &rival)?),
            None => {
                if holder.is_none() && record.pull_request.is_none() {
                    self.refuse_second(record, &seen)?;
                }
                None
            }
        };
        // Two that claimed in the same second have called their branches alike.
        let is_theirs = superseded.as_ref().is_some_and(|other| other.branch == full);
        if let Some(there) = there.filter(|there| *there != head && !is_theirs)
            && !self.may_replace(record, there)?
        {
            let why = format!("somebody else has pushed to '{branch}'");
            fail(self.session, record, Outcome::Withheld, &why)?;
            return Err(Error::new(Kind::Failed, format!("issue #{number}: {why}")).hint(format!(
                "cq does not overwrite it: put the branch on GitHub right, then cq-pr {number} goes on"
            )));
        }
        let expected = there.map(str::to_owned);
        let record = self.begin(record, DeliveryStep::Push, |_, delivery| delivery.expected = expected)?;
        let mut changes = vec![RefChange { name: &full, to: Some(head), expected: there }];
        if holder != Some(ours.oid.as_str()) {
            changes.push(RefChange { name: &ours.name, to: Some(&ours.oid), expected: holder });
        }
        if let Some(Superseded { branch, head: Some(theirs), kept: (kept, now) }) = &superseded {
            changes.push(RefChange { name: kept, to: Some(theirs), expected: now.as_deref() });
            if !is_theirs {
                changes.push(RefChange { name: branch, to: None, expected: Some(theirs) });
            }
        }
        if let Err(error) = private.change_there(&remote, &changes) {
            // It may have arrived all the same, by this push or by one that outlived its command.
            let now = look();
            if !now.as_ref().is_ok_and(is_done) {
                // Of two machines at once the other was first.
                if let Some(rival) = now.ok().as_ref().and_then(rival) {
                    self.supersede(&record, &remote, &ours.name, &rival)?;
                }
                return Err(error);
            }
        }
        let event = Event::about(&self.session.state, "push", number);
        self.session.state.log(&event.with("branch", branch.as_str()).with("sha", head))?;
        Ok(record)
    }

    /// Whether this claim still keeps the issue: another machine may have taken it for dead.
    fn is_reserved(&self, record: &Record) -> Result<bool> {
        let ours = Reservation::of(&self.private, record)?;
        let there = self.private.there(&self.session.remote(&record.repo)?, &[&ours.name])?;
        Ok(there.at(&ours.name) == Some(ours.oid.as_str()))
    }

    /// Whether nobody's work is lost with this end of the remote's branch: cq pushed it, or the new end has it in
    /// its history.
    fn may_replace(&self, record: &Record, there: &str) -> Result<bool> {
        let delivered = record.delivery.iter().filter(|one| one.branch == self.proposal.head);
        let mut pushed =
            delivered.map(|one| &one.sha).chain(record.pull_request.iter().map(|pull| &pull.head_sha));
        Ok(pushed.any(|sha| sha == there)
            || (self.repository.resolve(there)?.is_some()
                && self.private.commits_ahead(&self.head, there)? == 0))
    }

    fn open(&self, record: &Record) -> Result<(Record, Found)> {
        let record = self.begin(record, DeliveryStep::Open, |_, _| ())?;
        let (repo, branch, number) = (&record.repo, &self.proposal.head, record.number);
        let found = match pulls::of_branch(&self.client, repo, branch, &self.head)? {
            Known::This(found) => *found,
            known => {
                if let Known::Over(over) = known {
                    let known = record.pull_request.as_ref();
                    if known.is_some_and(|pull| pull.number == over && pull.state == "open") {
                        let message =
                            format!("issue #{number}: pull request #{over} is over since this moment");
                        return Err(Error::new(Kind::TryAgain, message).hint("run cq-pr again"));
                    }
                    let what = format!("pull request #{over} of '{branch}' is closed and is not adopted");
                    self.session.note(&format!("issue #{number}: {what}; a new one is opened"));
                }
                self.create(&record)?
            }
        };
        // One of a branch that another machine has called alike, and has taken over meanwhile.
        if found.pull_request.head_sha != self.head && !self.is_reserved(&record)? {
            self.push(&record)?;
        }
        let pull = found.pull_request.clone();
        let event = Event::about(&self.session.state, "pull-request", number)
            .with("number", pull.number)
            .with("url", pull.url.as_str());
        let record =
            self.begin(&record, DeliveryStep::Dress, |record, _| record.pull_request = Some(pull))?;
        self.session.state.log(&event)?;
        Ok((record, found))
    }

    fn create(&self, record: &Record) -> Result<Found> {
        let open = || {
            // Looking took its time.
            renew(self.session, record)?;
            pulls::open(&self.client, &record.repo, &self.proposal, &self.head)
        };
        // Between the push and this a machine may have slept, or its command been killed.
        if !self.is_reserved(record)? {
            self.push(record)?;
            self.begin(record, DeliveryStep::Open, |_, _| ())?;
        }
        let mut opened = open();
        if let Err(error) = &opened
            && pulls::obstacle(error) == Some(Obstacle::Head)
        {
            // Somebody deleted the branch since it was pushed: once more, and not for ever.
            self.push(record)?;
            self.begin(record, DeliveryStep::Open, |_, _| ())?;
            opened = open();
        }
        if let Err(error) = &opened
            && pulls::obstacle(error) == Some(Obstacle::NothingNew)
        {
            fail(self.session, record, Outcome::Withheld, "the base has all of it already")?;
        }
        opened.map_err(|error| self.explain(record, error))
    }

    /// Why GitHub does not want the pull request, in words that say what to do.
    fn explain(&self, record: &Record, error: Error) -> Error {
        let Some(obstacle) = pulls::obstacle(&error) else { return error };
        let (repo, branch, base) = (&record.repo, &self.proposal.head, &self.proposal.base);
        let (kind, what, hint) = match obstacle {
            Obstacle::Head => (
                Kind::Failed,
                format!("'{branch}' was pushed, and {repo} does not have it"),
                "look for what deletes the branch on GitHub",
            ),
            Obstacle::Base => (
                Kind::Config,
                format!("{repo} has no branch '{base}' to go to"),
                "git.base names the branch for new claims; this one wants its base back on GitHub",
            ),
            Obstacle::NothingNew => (
                Kind::Failed,
                format!("'{branch}' has nothing that '{base}' of {repo} has not"),
                "the work is in the base already, it seems: close the issue, or release the claim",
            ),
        };
        let mut error = error.context(format!("issue #{}: {what}", record.number)).hint(hint);
        error.kind = kind;
        error
    }

    fn finish(&self, record: &Record, found: &Found) -> Result<Record> {
        let (session, pull) = (self.session, found.pull_request.clone());
        claims::update(&session.state, record.claimed()?, record.number, |record| {
            let (why, now) = (pull.url.clone(), session.clock.now());
            if let Some(delivery) = &mut record.delivery {
                (delivery.step, delivery.at) = (DeliveryStep::Done, now);
            }
            record.pull_request = Some(pull);
            record.outcome = Some(Outcome::Success);
            record.transition(Status::PrReady, session.command, why, now)
        })
    }
}
