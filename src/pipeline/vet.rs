//! What cq-fetch and cq-claim ask of GitHub about an issue, and what they make of the answers.

use std::collections::BTreeMap;

use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::github::details::Details;
use crate::github::snapshot::Snapshot;
use crate::github::sync::{self, Wanted};
use crate::github::{Client, comments};
use crate::record::dependencies::{self, State, closing_pull_requests};
use crate::record::eligibility::{Rules, same};
use crate::record::mirror::{BLOCKED, IN_PROGRESS};
use crate::record::trust::{self, Permissions, Policy, content_sha256, vet};
use crate::record::{IssueComment, Record, Reference};
use crate::session::Session;

/// Everything that decides on issues.
pub(super) struct Judge<'a> {
    rules: &'a Rules,
    policy: &'a Policy,
    permissions: Permissions,
    /// Why issues have to wait for others.
    waits: BTreeMap<Reference, Vec<String>>,
}

impl<'a> Judge<'a> {
    /// Decides on the issues of a snapshot; `server` is the host that addresses in texts name.
    pub(super) fn of(rules: &'a Rules, policy: &'a Policy, snapshot: &Snapshot, server: &str) -> Self {
        let waits = dependencies::judge(&snapshot.nodes(server));
        Self { rules, policy, permissions: snapshot.permissions(), waits }
    }

    /// Whether the issue's text may reach an agent, and everything else that speaks against working on it.
    pub(super) fn decide(&self, record: &mut Record, details: &Details) {
        record.trust = Some(vet(&mut record.issue, &details.evidence, &self.permissions, self.policy));
        record.blocked_by = blocked_by(details);
        record.priority = self.rules.priority(&record.issue.labels);
        record.reasons = self.rules.reasons(record);
        let waits = self.waits.get(&Reference::Here(record.number));
        record.reasons.extend(waits.into_iter().flatten().cloned());
        record.reasons.extend(closing_pull_requests(&details.closed_by));
    }
}

/// What people whose word counts have said on an issue since a comment, oldest first; nothing where the issue is not
/// open any more.
pub(crate) fn answers(
    session: &Session,
    client: &Client,
    record: &Record,
    after: u64,
) -> Result<Vec<IssueComment>> {
    let policy = session.loaded.config.policy();
    let wanted = Wanted { repo: &record.repo, lists: vec![None], policy: &policy };
    let (_, snapshot) = sync::one(client, &wanted, record.number, session.clock.now())?;
    let known = snapshot.issues.get(&record.number).and_then(|known| known.details.as_ref());
    let Some(details) = known else { return Ok(Vec::new()) };
    let later = |comment: &trust::Comment| comment.id > after && !comments::is_ours(&comment.body);
    let mut evidence = details.evidence.clone();
    evidence.comments.retain(later);
    Ok(trust::carried(&evidence, &snapshot.permissions(), &policy))
}

/// The refusal of an issue: a label of cq's own that has outlived the claim it was for needs no person.
pub(super) fn explain(session: &Session, record: &Record, error: Error) -> Error {
    let mut labels = record.issue.labels.iter();
    let is_labelled = labels.any(|label| same(label, IN_PROGRESS) || same(label, BLOCKED));
    // The machine's own time: it is compared with that of files.
    let left = || session.state.archived_since_mirrored(Clock::System.now_exact()).unwrap_or_default();
    if is_labelled && left().iter().any(|left| left.number == record.number) {
        return error.hint("this machine has let it go; cq-monitor takes its labels off, so run that first");
    }
    error
}

fn blocked_by(details: &Details) -> Vec<Reference> {
    let open = details.blockers.iter().filter(|(_, state)| *state != State::Closed);
    open.map(|(reference, _)| reference.clone()).collect()
}

/// The text of comments is read only before a claim: without it they are left out of what is approved.
pub(super) fn without_comments(record: &mut Record) {
    record.issue.comments.clear();
    let digest = content_sha256(&record.issue);
    if let Some(trust) = record.trust.as_mut().filter(|trust| trust.content_sha256.is_some()) {
        trust.content_sha256 = Some(digest);
    }
}

/// An issue of a record as GitHub has it at this moment, decided upon anew: lists lag, and pipes are slow. The labels
/// that count are those it was selected by, which whoever ran cq-fetch may have named.
pub(super) fn look_again(session: &Session, record: &Record) -> Result<Record> {
    let mut rules = session.loaded.config.rules();
    if let Some(trust) = record.trust.as_ref().filter(|trust| !trust.labels.is_empty()) {
        rules.labels.clone_from(&trust.labels);
    }
    let mut fresh = look(session, &record.repo, record.number, &rules)?;
    // What others have added goes through.
    fresh.extra.clone_from(&record.extra);
    fresh.issue.extra.clone_from(&record.issue.extra);
    Ok(fresh)
}

/// An issue as GitHub has it at this moment, and everything that speaks against working on it.
pub(crate) fn look(session: &Session, repo: &str, number: u64, rules: &Rules) -> Result<Record> {
    let client = session.github()?;
    let policy = Policy { labels: rules.labels.clone(), ..session.loaded.config.policy() };
    let wanted = Wanted { repo, lists: vec![None], policy: &policy };
    let (mut fresh, snapshot) = sync::one(&client, &wanted, number, session.clock.now())?;
    let judge = Judge::of(rules, &policy, &snapshot, client.endpoints().host());
    match snapshot.issues.get(&number).and_then(|known| known.details.as_ref()) {
        Some(details) => judge.decide(&mut fresh, details),
        None => fresh.reasons = rules.reasons(&fresh),
    }
    if fresh.reasons.is_empty() && fresh.trust.is_none() {
        fresh.reasons.push("its history could not be read".to_owned());
    }
    Ok(fresh)
}
