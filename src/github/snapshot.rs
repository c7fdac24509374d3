//! What is known of a repository's open issues, as a file in the cache.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::blockers::Blocker;
use super::details::Details;
use super::issues;
use super::lists::is_pull_request;
use super::sync::{MARGIN_MINUTES, Wanted};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::record::dependencies::{Node, State, mentioned};
use crate::record::eligibility::same;
use crate::record::trust::Permissions;
use crate::record::{Record, Reference};
use crate::state::durable;

/// The form of the file; another one is read as none.
const VERSION: u32 = 2;
/// The whole is read anew after this.
const WHOLE_HOURS: i64 = 24;
/// What lies in other repositories is asked for anew after this: nothing here tells when it changes.
const ELSEWHERE_MINUTES: i64 = 10;

/// What is known of the open issues of some lists.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Snapshot {
    version: u32,
    repo: String,
    lists: Vec<Option<String>>,
    /// When the lists were read whole.
    whole_at: Timestamp,
    /// The fixed moment.
    pub(super) since: Timestamp,
    /// Of the answer to what was updated since.
    pub(super) etag: Option<String>,
    /// Numbers at the edges of the pages that were read: an issue may have slipped past there.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) gaps: BTreeSet<u64>,
    /// By number.
    pub issues: BTreeMap<u64, Known>,
    /// By login in small letters.
    pub(super) people: BTreeMap<String, Asked>,
    /// What issues wait for, as far as it is not among them.
    pub(super) blockers: Vec<Blocker>,
}

/// An open issue.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Known {
    /// Its node id.
    pub(super) id: String,
    /// As a list showed it.
    pub record: Record,
    /// Its details, where somebody wanted them.
    pub details: Option<Details>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) at: Timestamp,
    /// None where this token may not know.
    pub(super) role_name: Option<String>,
}

impl Snapshot {
    /// Nothing is known, since a moment before now.
    pub(super) fn empty(wanted: &Wanted<'_>, now: Timestamp) -> Self {
        Self {
            version: VERSION,
            repo: wanted.repo.to_owned(),
            lists: wanted.lists.clone(),
            whole_at: now,
            since: now - TimeDelta::minutes(MARGIN_MINUTES),
            etag: None,
            gaps: BTreeSet::new(),
            issues: BTreeMap::new(),
            people: BTreeMap::new(),
            blockers: Vec::new(),
        }
    }

    /// What a file holds, if it is what is wanted and not too old.
    pub(super) fn read(file: &Path, wanted: &Wanted<'_>, now: Timestamp) -> Option<Self> {
        let text = durable::read(file).ok()??;
        let kept: Self = serde_json::from_str(&text).ok()?;
        let young = (TimeDelta::zero()..TimeDelta::hours(WHOLE_HOURS)).contains(&(now - kept.whole_at));
        let same = kept.version == VERSION && kept.repo == wanted.repo && kept.lists == wanted.lists;
        (young && same).then_some(kept)
    }

    /// GitHub's word on each person.
    pub fn permissions(&self) -> Permissions {
        let known = |(login, asked): (&String, &Asked)| Some((login.clone(), asked.role_name.clone()?));
        self.people.iter().filter_map(known).collect()
    }

    fn belongs(&self, record: &Record) -> bool {
        let listed = |list: &Option<String>| {
            list.as_ref().is_none_or(|label| record.issue.labels.iter().any(|set| same(set, label)))
        };
        record.issue.state == "open" && self.lists.iter().any(listed)
    }

    /// Takes note of an issue as GitHub shows it now.
    pub(super) fn note(&mut self, item: &Value) -> Result<()> {
        let record = issues::received(item, &self.repo)?;
        let number = record.number;
        let known = self.issues.get(&number);
        let (updated, had) = (record.issue.updated_at, known.and_then(|known| known.record.issue.updated_at));
        if updated < had {
            // A page that was read before a change that is known already.
            return Ok(());
        }
        if !self.belongs(&record) {
            self.issues.remove(&number);
            return Ok(());
        }
        let id = item["node_id"].as_str().unwrap_or_default().to_owned();
        let details = known.and_then(|known| known.details.clone());
        let details = details.filter(|details| updated.is_some_and(|at| at <= details.updated_at));
        self.issues.insert(number, Known { id, record, details });
        Ok(())
    }

    /// Forgets the details that a change of something else may have made wrong: an issue that blocks or is a part of
    /// another, a pull request that names it.
    pub(super) fn unsettle(&mut self, item: &Value) {
        let Some(number) = item["number"].as_u64() else { return };
        let text = [&item["title"], &item["body"]].map(|text| text.as_str().unwrap_or_default()).join("\n");
        let named: BTreeSet<u64> = if is_pull_request(item) { numbers_in(&text) } else { BTreeSet::new() };
        for (other, known) in &mut self.issues {
            let touched = known.details.as_ref().is_some_and(|details| details.rests_on(number));
            if touched || named.contains(other) {
                known.details = None;
            }
        }
        self.blockers.retain(|blocker| blocker.reference != Reference::Here(number));
    }

    /// Forgets what is too old to be believed.
    pub(super) fn forget_the_old(&mut self, now: Timestamp) {
        let old = |asked: Timestamp| now - asked >= TimeDelta::minutes(ELSEWHERE_MINUTES);
        self.blockers.retain(|blocker| blocker.reference.repo().is_none() || !old(blocker.asked_at));
        for known in self.issues.values_mut() {
            known.details.take_if(|details| old(details.asked_at) && details.rests_elsewhere());
        }
    }

    /// What an issue waits for: as GitHub has noted it, and as its body says it.
    fn waits(&self, known: &Known, server: &str) -> Option<Node> {
        let details = known.details.as_ref()?;
        let mut blockers = details.blockers.clone();
        let named = mentioned(&details.evidence.body, &self.repo, details.number, server);
        blockers.extend(named.into_iter().map(|reference| {
            let state = self.state_of(&reference);
            (reference, state)
        }));
        let reference = Reference::Here(details.number);
        Some(Node { reference, blockers, open_sub_issues: details.open_sub_issues.clone() })
    }

    fn state_of(&self, reference: &Reference) -> State {
        if reference.repo().is_none() && self.issues.contains_key(&reference.number()) {
            return State::Open;
        }
        let known = self.blockers.iter().find(|blocker| blocker.reference == *reference);
        known.map_or(State::Unknown, |blocker| blocker.state)
    }

    /// Who waits for whom; `server` is the host that addresses in texts name.
    pub fn nodes(&self, server: &str) -> Vec<Node> {
        let issues = self.issues.values().filter_map(|known| self.waits(known, server));
        let blockers = self.blockers.iter().map(|blocker| {
            let mut node = blocker.node();
            for (reference, state) in &mut node.blockers {
                if *state == State::Unknown {
                    *state = self.state_of(reference);
                }
            }
            node
        });
        issues.chain(blockers).collect()
    }

    /// What is waited for and not known.
    pub(super) fn unknown(&self, server: &str) -> BTreeSet<Reference> {
        let nodes = self.nodes(server);
        let known: BTreeSet<&Reference> = nodes.iter().map(|node| &node.reference).collect();
        let waited = nodes.iter().flat_map(|node| {
            let blockers = node.blockers.iter().filter(|(_, state)| *state != State::Closed);
            blockers.map(|(reference, _)| reference).chain(&node.open_sub_issues)
        });
        waited.filter(|reference| !known.contains(reference)).cloned().collect()
    }
}

/// The numbers behind `#` in a text, and those that end addresses.
fn numbers_in(text: &str) -> BTreeSet<u64> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '#' || c == '/'));
    let tail = |word: &str| word.rsplit(['#', '/']).next().and_then(|tail| tail.parse().ok());
    words.filter(|word| word.contains(['#', '/'])).filter_map(tail).collect()
}
