//! What the rehearsal's GitHub knows, in memory.

use std::collections::BTreeMap;

use serde::Serialize;

use super::answer::Failure;
use super::faults::Fault;
use crate::clock::Timestamp;

/// Everything.
#[derive(Debug)]
pub(super) struct Store {
    pub repositories: Vec<Repository>,
    /// By login in lower case.
    pub users: BTreeMap<String, User>,
    /// Who the token speaks for.
    pub viewer: String,
    pub faults: Vec<Fault>,
    /// Requests by route, for tests that count them.
    pub routes: BTreeMap<String, u64>,
    /// Requests in order, the newest [`LOGGED`] of them.
    pub requests: Vec<Logged>,
    /// Requests that count against the rate limit.
    pub used: u64,
    /// The last id handed out; ids are unique across kinds, as nobody should rely on.
    pub last_id: u64,
}

/// How many requests are remembered one by one.
pub(super) const LOGGED: usize = 20_000;

/// One request, as the log keeps it.
#[derive(Debug, Serialize)]
pub(super) struct Logged {
    pub method: String,
    pub target: String,
    pub status: u16,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct User {
    pub id: u64,
    pub login: String,
    /// The exact role: admin, maintain, write, triage, read or none.
    pub permission: String,
}

#[derive(Debug)]
pub(super) struct Repository {
    pub id: u64,
    pub owner: String,
    pub name: String,
    pub default_branch: String,
    pub private: bool,
    /// Lists of issues are paged by cursor, as GitHub does for very long ones.
    pub cursors: bool,
    pub created_at: Timestamp,
    pub labels: Vec<Label>,
    /// Issues and pull requests, by number.
    pub issues: BTreeMap<u64, Issue>,
    pub pushes: Vec<Push>,
    pub checks: Vec<CheckRun>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Label {
    pub id: u64,
    pub name: String,
    pub color: String,
    pub description: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Issue {
    pub id: u64,
    pub number: u64,
    pub title: String,
    pub body: Option<String>,
    pub labels: Vec<String>,
    pub user: String,
    pub author_association: String,
    pub state: State,
    pub state_reason: Option<String>,
    pub assignees: Vec<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub closed_at: Option<Timestamp>,
    pub comments: Vec<Comment>,
    pub events: Vec<Event>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull: Option<Pull>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Open,
    Closed,
}

impl State {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

/// What makes an issue a pull request.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Pull {
    pub head: String,
    pub base: String,
    /// None for a pull request of the seed, which has no branch.
    pub head_sha: Option<String>,
    pub base_sha: String,
    pub draft: bool,
    pub merged_at: Option<Timestamp>,
    pub merged_by: Option<String>,
    pub merge_commit_sha: Option<String>,
    pub reviews: Vec<Review>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Review {
    pub id: u64,
    pub user: String,
    pub state: String,
    pub body: String,
    pub commit_id: String,
    pub submitted_at: Timestamp,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Comment {
    pub id: u64,
    pub user: String,
    pub body: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What happened to an issue: `labeled`, `unlabeled`, `closed`, `reopened`, `assigned`, `unassigned`…
#[derive(Debug, Clone, Serialize)]
pub(super) struct Event {
    pub id: u64,
    #[serde(rename = "event")]
    pub kind: String,
    pub actor: String,
    pub created_at: Timestamp,
    /// The label or the assignee it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// One ref that a push changed; absent shas mean created or deleted.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Push {
    pub at: Timestamp,
    pub reference: String,
    pub old: Option<String>,
    pub new: Option<String>,
}

/// A check run, as `POST /_lab/checks` sets it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct CheckRun {
    pub id: u64,
    pub sha: String,
    pub name: String,
    pub status: String,
    pub conclusion: Option<String>,
    pub summary: Option<String>,
    pub at: Timestamp,
}

/// Names of labels, logins and repositories are compared without case.
pub(super) fn same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

impl Store {
    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn find(&self, owner: &str, name: &str) -> Option<&Repository> {
        self.repositories
            .iter()
            .find(|repository| same(&repository.owner, owner) && same(&repository.name, name))
    }

    pub(super) fn repository(&self, owner: &str, name: &str) -> Result<&Repository, Failure> {
        self.find(owner, name).ok_or_else(Failure::not_found)
    }

    pub(super) fn repository_mut(&mut self, owner: &str, name: &str) -> Result<&mut Repository, Failure> {
        let found = self.repositories.iter_mut().find(|one| same(&one.owner, owner) && same(&one.name, name));
        found.ok_or_else(Failure::not_found)
    }

    /// A user; one nobody has declared gets an id of their own from the name.
    pub(super) fn user(&self, login: &str) -> User {
        self.users.get(&login.to_lowercase()).cloned().unwrap_or_else(|| User {
            id: login.bytes().fold(10_000, |id, byte| id * 31 % 100_003 + u64::from(byte)),
            login: login.to_owned(),
            permission: "none".to_owned(),
        })
    }

    /// Takes note of something that happened to an issue, which is thereby updated.
    pub(super) fn happened(
        &mut self,
        owner: &str,
        name: &str,
        number: u64,
        now: Timestamp,
        event: &str,
        subject: Option<&str>,
    ) -> Result<(), Failure> {
        let id = self.next_id();
        let actor = self.viewer.clone();
        let issue = self.repository_mut(owner, name)?.issue_mut(number)?;
        issue.updated_at = now;
        let (kind, subject) = (event.to_owned(), subject.map(str::to_owned));
        issue.events.push(Event { id, kind, actor, created_at: now, subject });
        Ok(())
    }

    /// Opens or closes an issue; nothing happens when it is so already.
    pub(super) fn set_state(
        &mut self,
        owner: &str,
        name: &str,
        number: u64,
        now: Timestamp,
        state: State,
        reason: Option<&str>,
    ) -> Result<(), Failure> {
        let issue = self.repository_mut(owner, name)?.issue_mut(number)?;
        if issue.state == state {
            if reason.is_some() {
                issue.state_reason = reason.map(str::to_owned);
            }
            return Ok(());
        }
        issue.state = state;
        let is_issue = issue.pull.is_none();
        let (closed_at, usual, event) = match state {
            State::Closed => (Some(now), "completed", "closed"),
            State::Open => (None, "reopened", "reopened"),
        };
        issue.closed_at = closed_at;
        issue.state_reason = is_issue.then(|| reason.unwrap_or(usual).to_owned());
        self.happened(owner, name, number, now, event, None)
    }

    /// Adds a label to an issue, making it first where the repository has none of that name.
    pub(super) fn add_label(
        &mut self,
        owner: &str,
        name: &str,
        number: u64,
        now: Timestamp,
        label: &str,
    ) -> Result<(), Failure> {
        let id = self.next_id();
        let repository = self.repository_mut(owner, name)?;
        repository.issue(number)?;
        let label = repository.label_named(label, id);
        let issue = repository.issue_mut(number)?;
        if issue.labels.iter().any(|one| same(one, &label)) {
            return Ok(());
        }
        issue.labels.push(label.clone());
        self.happened(owner, name, number, now, "labeled", Some(&label))
    }

    /// Takes a label off an issue; whether it was there.
    pub(super) fn remove_label(
        &mut self,
        owner: &str,
        name: &str,
        number: u64,
        now: Timestamp,
        label: &str,
    ) -> Result<bool, Failure> {
        let issue = self.repository_mut(owner, name)?.issue_mut(number)?;
        let before = issue.labels.len();
        issue.labels.retain(|one| !same(one, label));
        if issue.labels.len() == before {
            return Ok(false);
        }
        self.happened(owner, name, number, now, "unlabeled", Some(label))?;
        Ok(true)
    }
}

impl Repository {
    pub(super) fn issue(&self, number: u64) -> Result<&Issue, Failure> {
        self.issues.get(&number).ok_or_else(Failure::not_found)
    }

    pub(super) fn issue_mut(&mut self, number: u64) -> Result<&mut Issue, Failure> {
        self.issues.get_mut(&number).ok_or_else(Failure::not_found)
    }

    /// A pull request: the issue and what makes it one.
    pub(super) fn pull(&self, number: u64) -> Result<(&Issue, &Pull), Failure> {
        let issue = self.issue(number)?;
        issue.pull.as_ref().map(|pull| (issue, pull)).ok_or_else(Failure::not_found)
    }

    /// The number the next issue or pull request gets.
    pub(super) fn next_number(&self) -> u64 {
        self.issues.keys().next_back().map_or(1, |number| number + 1)
    }

    /// The label's name as the repository spells it; a new one is made with `id` and GitHub's grey.
    pub(super) fn label_named(&mut self, name: &str, id: u64) -> String {
        if let Some(label) = self.labels.iter().find(|label| same(&label.name, name)) {
            return label.name.clone();
        }
        let color = "ededed".to_owned();
        self.labels.push(Label { id, name: name.to_owned(), color, description: None });
        name.to_owned()
    }
}
