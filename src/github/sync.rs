//! A repository's issues as they were when they were last looked at, kept up to date: read whole once, then only what
//! has changed.
//!
//! What changes an issue moves its `updated_at`, be it a label set or removed, a comment or the close. So one request
//! for what was updated since a fixed moment, with the ETag of its last answer, tells whether anything has: 304 if
//! not, which costs nothing. The lists of GitHub lag, and say nothing of what was deleted: an issue is read again by
//! itself before it is claimed, and the whole is read anew once a day.

use std::collections::BTreeSet;
use std::path::Path;

use chrono::TimeDelta;
use serde_json::{Value, json};
use url::Url;

use super::client::Answer;
use super::credential::digest;
use super::details::{self, AT_ONCE, Details};
use super::lists::{List, Way, is_pull_request};
use super::snapshot::{Asked, Snapshot};
use super::verdict::LATER;
use super::{Client, blockers, document, events, issues, parallel, roles};
use crate::clock::Timestamp;
use crate::error::{Error, Kind, OrFail, Result};
use crate::record::trust::Policy;
use crate::record::{Record, Reference};
use crate::state::durable;

/// Somebody's permission is asked for anew after this. Before a claim it is always asked for.
const PERMISSION_MINUTES: i64 = 60;
/// The fixed moment lies this long before the first look: GitHub's clock may be another one, and its lists lag.
pub(super) const MARGIN_MINUTES: i64 = 10;
/// More changes than this since the fixed moment, and it is moved.
const CHANGES: usize = 50;
/// Blockers of blockers of blockers are looked at to this depth.
const DEPTH: usize = 6;
/// More numbers than this between pages, and the lists are read again instead.
const GAPS: usize = 300;

/// What is wanted.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// `owner/name`.
    pub repo: &'a str,
    /// A list for each label, oldest issue first; none stands for all open issues.
    pub lists: Vec<Option<String>>,
    /// Who may approve.
    pub policy: &'a Policy,
}

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

/// Brings the snapshot in a folder up to date, and gets the details of those issues that `deserves` them.
pub fn refresh(
    client: &Client,
    folder: Option<&Path>,
    wanted: &Wanted<'_>,
    now: Timestamp,
    deserves: &dyn Fn(&Record) -> bool,
) -> Result<Snapshot> {
    let name = format!("{} {} {:?}", client.endpoints().api, wanted.repo, wanted.lists);
    let file = folder.map(|folder| folder.join(format!("issues-{:032x}.json", digest(&name))));
    let kept = file.as_ref().and_then(|file| Snapshot::read(file, wanted, now));
    let before = kept.as_ref().map(|kept| serde_json::to_vec(kept).unwrap_or_default());
    let is_new = kept.is_none();
    let snapshot = kept.unwrap_or_else(|| Snapshot::empty(wanted, now));
    let mut sync = Sync::new(client, wanted, now, deserves, snapshot);
    if is_new {
        sync.read_whole()?;
    } else {
        sync.read_changes()?;
    }
    sync.snapshot.forget_the_old(now);
    sync.settle()?;
    let snapshot = sync.snapshot;
    if let Some(file) = file {
        let text = serde_json::to_vec(&snapshot).or_fail(Kind::Internal, || "cannot write the issues")?;
        if before.as_ref() != Some(&text) {
            // What cannot be kept is read again.
            let _ = durable::replace_cheaply(&file, &text);
        }
    }
    Ok(snapshot)
}

/// One issue as it is at this moment, with its details, the text of its comments and the Apps that had a hand in it; no details where it is not open
/// any more.
pub fn one(client: &Client, wanted: &Wanted<'_>, number: u64, now: Timestamp) -> Result<(Record, Snapshot)> {
    let item = issues::item(client, wanted.repo, number)?;
    let record = issues::received(&item, wanted.repo)?;
    let mut snapshot = Snapshot::empty(wanted, now);
    snapshot.note(&item)?;
    let mut sync = Sync::new(client, wanted, now, &|_| true, snapshot);
    sync.with_text = true;
    sync.settle()?;
    if let Some(details) = sync.snapshot.issues.get_mut(&number).and_then(|known| known.details.as_mut()) {
        events::note_apps(client, wanted.repo, number, &mut details.evidence)?;
    }
    Ok((record, sync.snapshot))
}

struct Sync<'a> {
    client: &'a Client,
    wanted: &'a Wanted<'a>,
    now: Timestamp,
    deserves: &'a dyn Fn(&Record) -> bool,
    snapshot: Snapshot,
    lists: Vec<List>,
    /// Logins that have been asked for.
    asked: BTreeSet<String>,
    /// Issues whose details have been asked for.
    detailed: BTreeSet<u64>,
    /// Those of them that were asked for too early.
    stale: BTreeSet<u64>,
    /// Something has changed since the reading began.
    active: bool,
    /// Of comments.
    with_text: bool,
}

impl<'a> Sync<'a> {
    fn new(
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
            detailed: BTreeSet::new(),
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
    fn read_whole(&mut self) -> Result<()> {
        let mut jobs = Vec::new();
        for (index, label) in self.wanted.lists.iter().enumerate() {
            let (list, (way, url)) = List::new(self.list(label.as_deref())?);
            self.lists.push(list);
            jobs.push(Job::Page(index, way, url));
        }
        jobs.push(Job::Changes(self.changes()?));
        self.run(jobs)?;
        if !self.active {
            return Ok(());
        }
        // Whoever came or went while the pages were read may have pushed others over their edges.
        self.read_changes()?;
        let gaps: BTreeSet<u64> = self.lists.iter().flat_map(List::gaps).collect();
        let gaps: Vec<u64> = gaps.into_iter().filter(|gap| !self.snapshot.issues.contains_key(gap)).collect();
        if gaps.len() <= GAPS {
            return self.read_numbers(&gaps);
        }
        let mut jobs = Vec::new();
        for (index, label) in self.wanted.lists.iter().enumerate() {
            let (list, (way, url)) = List::new(self.list(label.as_deref())?);
            self.lists[index] = list;
            jobs.push(Job::Page(index, way, url));
        }
        self.run(jobs)
    }

    /// Reads what has changed since the fixed moment.
    fn read_changes(&mut self) -> Result<()> {
        let changes = Job::Changes(self.changes()?);
        self.run(vec![changes])
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
    fn settle(&mut self) -> Result<()> {
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
        let server = self.client.endpoints().server.host_str().unwrap_or_default().to_owned();
        let mut asked = BTreeSet::new();
        for _ in 0..DEPTH {
            let unknown = self.snapshot.unknown(&server);
            let unknown: Vec<Reference> =
                unknown.into_iter().filter(|reference| asked.insert(reference.clone())).collect();
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
                }
                let list = &mut self.lists[index];
                let mut jobs: Vec<Job> = list
                    .take(way, &answer)
                    .into_iter()
                    .map(|(way, url)| Job::Page(index, way, url))
                    .collect();
                let at_least = if list.outstanding == 0 { 1 } else { AT_ONCE };
                jobs.extend(self.ask_details(at_least));
                Ok(jobs)
            }
            Done::Changes(None) => Ok(Vec::new()),
            Done::Changes(Some(answer)) => self.take_changes(answer),
            Done::Details(found) => {
                let mut jobs = Vec::new();
                for details in found {
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
            // What was asked for before the change, or is under way, may not show it: it is asked for again.
            let known =
                |number: &u64| self.snapshot.issues.get(number).is_some_and(|one| one.details.is_some());
            let (settled, stale) = self.detailed.iter().partition(|number| known(number));
            (self.detailed, self.stale) = (settled, stale);
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
        let missing = self.snapshot.issues.iter().filter(|(number, known)| {
            known.details.is_none()
                && !known.id.is_empty()
                && !self.detailed.contains(number)
                && (self.deserves)(&known.record)
        });
        let missing: Vec<(u64, String)> =
            missing.map(|(number, known)| (*number, known.id.clone())).collect();
        let enough = if at_least > 1 { missing.len() / AT_ONCE * AT_ONCE } else { missing.len() };
        let batches = missing[..enough].chunks(AT_ONCE).map(|batch| {
            self.detailed.extend(batch.iter().map(|(number, _)| *number));
            Job::Details(batch.iter().map(|(_, id)| id.clone()).collect())
        });
        batches.collect()
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
