//! The reading itself: which requests are made, in which order, and what is done with their answers.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use serde_json::{Value, json};
use url::Url;

use super::super::client::Answer;
use super::super::details::{self, AT_ONCE, Details};
use super::super::lists::{List, Way, is_pull_request};
use super::super::snapshot::{Asked, Known, Snapshot};
use super::super::verdict::LATER;
use super::super::{Client, blockers, document, parallel, roles};
use super::{MARGIN_MINUTES, Wanted};
use crate::clock::Timestamp;
use crate::error::{Error, Kind, Result};
use crate::record::{Record, Reference};

/// Somebody's permission is asked for anew after this. Before a claim it is always asked for.
const PERMISSION_MINUTES: i64 = 60;
/// More changes than this since the fixed moment, and it is moved.
const CHANGES: usize = 50;
/// Blockers of blockers of blockers are looked at to this depth.
const DEPTH: usize = 6;
/// So many blockers are asked for at a time, and no more.
const BLOCKERS: usize = 500;
/// More numbers than this between pages, and the lists are read again instead.
const GAPS: usize = 300;

enum Job {
    Page(usize, Way, Url),
    Changes(Url),
    Details(Vec<String>),
    Person(String),
}

enum Done {
    Page(usize, Way, Answer),
    Changes(Option<Answer>),
    Details(Vec<Details>),
    Person(String, Option<String>),
}

pub(super) struct Reader<'a> {
    client: &'a Client,
    wanted: &'a Wanted<'a>,
    now: Timestamp,
    deserves: &'a dyn Fn(&Record) -> bool,
    pub(super) snapshot: Snapshot,
    lists: Vec<List>,
    /// Logins that have been asked for.
    asked: BTreeSet<String>,
    /// Issues that may lack details.
    bare: BTreeSet<u64>,
    /// Issues whose details are on their way.
    awaited: BTreeSet<u64>,
    /// Issues whose details have been asked for since this began.
    detailed: BTreeSet<u64>,
    /// Those of them that were asked for too early.
    stale: BTreeSet<u64>,
    /// What has changed is asked for, or need not be yet.
    looked_for_changes: bool,
    /// Something has changed since the reading began.
    active: bool,
    /// Of comments.
    pub(super) with_text: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        client: &'a Client,
        wanted: &'a Wanted<'a>,
        now: Timestamp,
        deserves: &'a dyn Fn(&Record) -> bool,
        snapshot: Snapshot,
    ) -> Self {
        Self {
            client,
            wanted,
            now,
            deserves,
            snapshot,
            lists: Vec::new(),
            asked: BTreeSet::new(),
            bare: BTreeSet::new(),
            awaited: BTreeSet::new(),
            detailed: BTreeSet::new(),
            looked_for_changes: false,
            stale: BTreeSet::new(),
            active: false,
            with_text: false,
        }
    }

    fn run(&mut self, jobs: Vec<Job>) -> Result<()> {
        let (client, repo, now) = (self.client, self.wanted.repo, self.now);
        let (etag, with_text) = (self.snapshot.etag.clone(), self.with_text);
        let work = |job: Job| {
            Ok(match job {
                Job::Page(list, way, url) => Done::Page(list, way, client.get_fresh(&url)?),
                Job::Changes(url) => Done::Changes(client.get_if_changed(&url, etag.as_deref())?),
                Job::Details(ids) => Done::Details(details::of(client, repo, &ids, with_text, now)?),
                Job::Person(login) => {
                    let role = roles::role_name(client, repo, &login)?;
                    Done::Person(login, role)
                }
            })
        };
        let urgent = |job: &Job| matches!(job, Job::Details(_) | Job::Person(_));
        parallel::run(jobs, urgent, work, |done| self.take(done))
    }

    /// Reads every list from its beginning, and what has changed meanwhile.
    pub(super) fn read_whole(&mut self) -> Result<()> {
        let jobs = self.begin()?;
        self.run(jobs)?;
        self.snapshot.gaps = self.lists.iter().flat_map(List::gaps).collect();
        if self.active { self.read_gaps() } else { Ok(()) }
    }

    /// Whoever came or went while the pages were read may have pushed others over their edges.
    fn read_gaps(&mut self) -> Result<()> {
        let issues = &self.snapshot.issues;
        let gaps: Vec<u64> =
            self.snapshot.gaps.iter().copied().filter(|gap| !issues.contains_key(gap)).collect();
        if gaps.len() <= GAPS {
            return self.read_numbers(&gaps);
        }
        self.snapshot.gaps.clear();
        let jobs = self.begin()?;
        self.run(jobs)
    }

    /// The first pages of every list.
    fn begin(&mut self) -> Result<Vec<Job>> {
        self.lists.clear();
        let mut jobs = Vec::new();
        for (index, label) in self.wanted.lists.iter().enumerate() {
            // All open issues of a repository are many; those with a label usually are not.
            let (list, pages) = List::new(self.list(label.as_deref())?, label.is_none());
            self.lists.push(list);
            jobs.extend(pages.into_iter().map(|(way, url)| Job::Page(index, way, url)));
        }
        Ok(jobs)
    }

    /// Reads what has changed since the fixed moment.
    pub(super) fn read_changes(&mut self) -> Result<()> {
        let changes = Job::Changes(self.changes()?);
        let before = self.snapshot.etag.clone();
        self.run(vec![changes])?;
        // The last pages may have been read after the last look at the changes.
        if before != self.snapshot.etag {
            self.read_gaps()?;
        }
        self.snapshot.gaps.clear();
        Ok(())
    }

    /// Reads issues by their numbers, whether or not there are any.
    fn read_numbers(&mut self, numbers: &[u64]) -> Result<()> {
        let Some((owner, name)) = self.wanted.repo.split_once('/') else { return Ok(()) };
        for numbers in numbers.chunks(AT_ONCE) {
            let variables = json!({ "owner": owner, "name": name });
            let found = details::data(self.client.query(&document::states(numbers), &variables)?)?;
            let issues = found["repository"].as_object().into_iter().flatten();
            let open = issues.filter(|(_, issue)| issue["__typename"] == "Issue" && issue["state"] == "OPEN");
            for number in open.filter_map(|(_, issue)| issue["number"].as_u64()) {
                let path = format!("repos/{}/issues/{number}", self.wanted.repo);
                let issue = self.client.get_fresh(&self.client.address(&path, &[])?)?;
                self.snapshot.note(&issue.body)?;
            }
        }
        Ok(())
    }

    /// Gets what is missing of those that deserve it.
    pub(super) fn settle(&mut self) -> Result<()> {
        self.bare = self.snapshot.issues.keys().copied().collect();
        let mut jobs = self.ask_details(1);
        let details: Vec<Details> = self
            .snapshot
            .issues
            .values()
            .filter(|known| (self.deserves)(&known.record))
            .filter_map(|known| known.details.clone())
            .collect();
        jobs.extend(details.iter().flat_map(|details| self.ask_people(details)));
        self.run(jobs)?;
        let server = self.client.endpoints().host();
        let mut asked = BTreeSet::new();
        for _ in 0..DEPTH {
            let unknown = self.snapshot.unknown(server);
            // A body may name thousands: those that are not asked for stay unknown, and hold the issue.
            let left = BLOCKERS - asked.len();
            let unknown: Vec<Reference> =
                unknown.into_iter().filter(|one| !asked.contains(one)).take(left).collect();
            asked.extend(unknown.iter().cloned());
            if unknown.is_empty() {
                break;
            }
            let found = blockers::of(self.client, self.wanted.repo, &unknown, self.now)?;
            self.snapshot.blockers.extend(found);
        }
        Ok(())
    }

    fn list(&self, label: Option<&str>) -> Result<Url> {
        let mut query =
            vec![("state", "open"), ("sort", "created"), ("direction", "asc"), ("per_page", "100")];
        query.extend(label.map(|label| ("labels", label)));
        self.client.address(&format!("repos/{}/issues", self.wanted.repo), &query)
    }

    fn changes(&self) -> Result<Url> {
        let since = crate::clock::stamp(self.snapshot.since);
        let query = [
            ("state", "all"),
            ("sort", "updated"),
            ("direction", "desc"),
            ("per_page", "100"),
            ("since", &since),
        ];
        self.client.address(&format!("repos/{}/issues", self.wanted.repo), &query)
    }

    fn take(&mut self, done: Done) -> Result<Vec<Job>> {
        match done {
            Done::Page(index, way, answer) => {
                for issue in items(&answer)?.iter().filter(|item| !is_pull_request(item)) {
                    self.snapshot.note(issue)?;
                    self.bare.extend(issue["number"].as_u64());
                }
                let list = &mut self.lists[index];
                let mut jobs: Vec<Job> = list
                    .take(way, &answer)
                    .into_iter()
                    .map(|(way, url)| Job::Page(index, way, url))
                    .collect();
                let at_least = if list.outstanding == 0 { 1 } else { AT_ONCE };
                jobs.extend(self.ask_details(at_least));
                let outstanding: usize = self.lists.iter().map(|list| list.outstanding).sum();
                if outstanding <= parallel::WIDTH && !std::mem::replace(&mut self.looked_for_changes, true) {
                    // Together with the last pages: the later, the more of what happened meanwhile it tells.
                    jobs.push(Job::Changes(self.changes()?));
                }
                Ok(jobs)
            }
            Done::Changes(None) => Ok(Vec::new()),
            Done::Changes(Some(answer)) => self.take_changes(answer),
            Done::Details(found) => {
                let mut jobs = Vec::new();
                for details in found {
                    self.awaited.remove(&details.number);
                    if self.stale.remove(&details.number) {
                        continue;
                    }
                    jobs.extend(self.ask_people(&details));
                    if let Some(known) = self.snapshot.issues.get_mut(&details.number) {
                        known.details = Some(details);
                    }
                }
                Ok(jobs)
            }
            Done::Person(login, role_name) => {
                self.snapshot.people.insert(login, Asked { at: self.now, role_name });
                Ok(Vec::new())
            }
        }
    }

    fn take_changes(&mut self, answer: Answer) -> Result<Vec<Job>> {
        // Moments in answers are those of GitHub's clock, which may be another one.
        let there = answer.date.unwrap_or(self.now);
        let began = self.now.min(there) - TimeDelta::minutes(1);
        let since = there - TimeDelta::minutes(MARGIN_MINUTES);
        if since < self.snapshot.since {
            // A moment that is yet to come there would show nothing of what happens until then.
            (self.snapshot.since, self.snapshot.etag) = (since, None);
            return Ok(vec![Job::Changes(self.changes()?)]);
        }
        let (etag, mut count, mut next) = (answer.etag.clone(), 0, Some(answer));
        let mut newest = None;
        while let Some(answer) = next {
            for item in items(&answer)? {
                let updated: Option<Timestamp> = item["updated_at"].as_str().and_then(|at| at.parse().ok());
                newest = newest.max(updated);
                let is_recent = updated.is_some_and(|at| at >= began);
                self.active |= is_recent;
                // Details that were asked for since the change show it.
                if is_recent || self.detailed.is_empty() {
                    self.snapshot.unsettle(item);
                }
                if !is_pull_request(item) {
                    self.snapshot.note(item)?;
                }
                count += 1;
            }
            next = answer.next.as_ref().map(|url| self.client.get_fresh(url)).transpose()?;
        }
        if self.active {
            // What is under way may have been asked for before the change: it is asked for again.
            self.stale.extend(&self.awaited);
        }
        self.snapshot.etag = etag;
        if let Some(newest) = newest.filter(|_| count > CHANGES) {
            // The address changes, and with it the ETag: the next look costs a request.
            self.snapshot.since = self.snapshot.since.max(newest - TimeDelta::minutes(MARGIN_MINUTES));
            self.snapshot.etag = None;
        }
        Ok(Vec::new())
    }

    /// Jobs for details that are missing, once there are enough of them.
    fn ask_details(&mut self, at_least: usize) -> Vec<Job> {
        let (issues, deserves) = (&self.snapshot.issues, self.deserves);
        let lacks =
            |known: &Known| known.details.is_none() && !known.id.is_empty() && deserves(&known.record);
        let awaited = &mut self.awaited;
        self.bare.retain(|number| issues.get(number).is_some_and(lacks) && !awaited.contains(number));
        let enough = if self.bare.len() < at_least { 0 } else { self.bare.len() / at_least * at_least };
        let asked: Vec<u64> = self.bare.iter().copied().take(enough).collect();
        for number in &asked {
            self.bare.remove(number);
            awaited.insert(*number);
            self.detailed.insert(*number);
        }
        let id = |number: &u64| issues.get(number).map(|known| known.id.clone());
        asked.chunks(AT_ONCE).map(|batch| Job::Details(batch.iter().filter_map(id).collect())).collect()
    }

    /// Jobs for the permissions that a decision will ask for.
    fn ask_people(&mut self, details: &Details) -> Vec<Job> {
        let fresh = |asked: &Asked| self.now - asked.at < TimeDelta::minutes(PERMISSION_MINUTES);
        let unknown = |login: &String| !self.snapshot.people.get(login).is_some_and(fresh);
        let logins: Vec<String> =
            details.evidence.people(self.wanted.policy).into_iter().filter(unknown).collect();
        logins.into_iter().filter(|login| self.asked.insert(login.clone())).map(Job::Person).collect()
    }
}

fn items(answer: &Answer) -> Result<&Vec<Value>> {
    answer
        .body
        .as_array()
        .ok_or_else(|| Error::new(Kind::Unavailable, "the answer is not a list").hint(LATER))
}
