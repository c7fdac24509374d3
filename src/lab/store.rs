//! What the rehearsal's GitHub knows, in memory.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::answer::Failure;
use super::faults::Fault;
use super::identity::{App, Token};
use super::limits::Meter;
use super::log::Said;
use super::progress::{Rules, Talk};
use super::reviewers::Asked;
use crate::clock::Timestamp;

/// Everything.
#[derive(Debug)]
pub(super) struct Store {
    pub repositories: Vec<Repository>,
    /// By login in lower case.
    pub users: BTreeMap<String, User>,
    /// Who the token speaks for.
    pub viewer: String,
    /// The scopes of the main token, where it is a classic one.
    pub scopes: Option<Vec<String>>,
    /// Tokens beside the main one.
    pub tokens: Vec<Token>,
    pub apps: Vec<App>,
    pub meter: Meter,
    pub faults: Vec<Fault>,
    /// Requests by route, for tests that count them.
    pub routes: BTreeMap<String, u64>,
    /// Requests in order, the newest [`LOGGED`] of them.
    pub requests: Vec<Logged>,
    /// The last id handed out; ids are unique across kinds, as nobody should rely on.
    pub last_id: u64,
    /// Whether any issue has ever had a blocker: spares looking for whom each issue blocks.
    pub somebody_waits: bool,
}

/// How many requests are remembered one by one.
pub(super) const LOGGED: usize = 20_000;

/// One request, as the log keeps it.
#[derive(Debug, Serialize)]
pub(super) struct Logged {
    /// When it came, in milliseconds of the epoch.
    pub at_ms: i64,
    pub method: String,
    pub target: String,
    pub status: u16,
    #[serde(flatten)]
    pub said: Said,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct User {
    pub id: u64,
    pub login: String,
    /// The role: admin, maintain, write, triage, read or none.
    pub permission: String,
    /// An organisation's own role, which stands on `permission`.
    pub role_name: Option<String>,
    pub kind: Kind,
    /// The account is gone: what it did has no author any more.
    pub deleted: bool,
}

/// What an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    User,
    Bot,
    Mannequin,
    Organization,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Bot => "Bot",
            Self::Mannequin => "Mannequin",
            Self::Organization => "Organization",
        }
    }

    /// What a login is that nobody has declared.
    pub(super) fn of(login: &str) -> Self {
        if login.ends_with("[bot]") { Self::Bot } else { Self::User }
    }
}

impl User {
    /// Whether a role stands above or on the level of another.
    pub(super) fn may(&self, role: &str) -> bool {
        const ROLES: [&str; 6] = ["none", "read", "triage", "write", "maintain", "admin"];
        let level = |role: &str| ROLES.iter().position(|one| *one == role).unwrap_or(0);
        level(&self.permission) >= level(role)
    }

    /// The exact role, as `role_name` gives it.
    pub(super) fn role(&self) -> &str {
        self.role_name.as_deref().unwrap_or(&self.permission)
    }
}

#[derive(Debug)]
pub(super) struct Repository {
    pub id: u64,
    pub owner: String,
    pub name: String,
    pub default_branch: String,
    /// Names it had before, `owner/name`: requests are redirected.
    pub former: Vec<String>,
    pub private: bool,
    pub has_issues: bool,
    /// Lists of issues are paged by cursor, as GitHub does for very long ones.
    pub cursors: bool,
    pub created_at: Timestamp,
    pub labels: Vec<Label>,
    pub teams: Vec<String>,
    /// Issues and pull requests, by number.
    pub issues: BTreeMap<u64, Issue>,
    /// Issues that are not here any more.
    pub gone: BTreeMap<u64, Gone>,
    /// How long lists that are filtered by label lag behind.
    pub lag: Duration,
    pub pushes: Vec<Push>,
    pub checks: Vec<CheckRun>,
    pub rules: Rules,
}

/// Where an issue went.
#[derive(Debug, Clone)]
pub(super) enum Gone {
    /// To another repository, under another number.
    To(Reference),
    Deleted,
}

/// An issue of any repository, here or elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    pub owner: String,
    pub name: String,
    pub number: u64,
}

impl Reference {
    /// `7` or `#7` in this repository, or `owner/name#7`.
    pub(super) fn parse(text: &str, owner: &str, name: &str) -> Option<Self> {
        let (place, number) = text.split_once('#').unwrap_or(("", text));
        let (owner, name) = if place.is_empty() { (owner, name) } else { place.split_once('/')? };
        Some(Self { owner: owner.to_owned(), name: name.to_owned(), number: number.parse().ok()? })
    }
}

impl Serialize for Reference {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}/{}#{}", self.owner, self.name, self.number))
    }
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
    /// Who changed the body after it was written, oldest first.
    pub edits: Vec<Edit>,
    pub locked: bool,
    /// `off-topic`, `too heated`, `resolved` or `spam`.
    pub lock_reason: Option<String>,
    pub blocked_by: Vec<Reference>,
    pub sub_issues: Vec<Reference>,
    /// The labels it had, until when: what a list that lags still sees.
    #[serde(skip)]
    pub labels_before: Vec<(Instant, Vec<String>)>,
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
    pub asked: Asked,
    pub talk: Talk,
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
    pub author_association: String,
    pub minimized: bool,
    pub edits: Vec<Edit>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// One change of a body.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Edit {
    pub id: u64,
    pub editor: String,
    pub at: Timestamp,
}

/// What happened to an issue: `labeled`, `unlabeled`, `closed`, `reopened`, `assigned`, `unassigned`,
/// `renamed`, `transferred`, `locked`, `unlocked`…
#[derive(Debug, Clone, Serialize)]
pub(super) struct Event {
    pub id: u64,
    #[serde(rename = "event")]
    pub kind: String,
    pub actor: String,
    pub created_at: Timestamp,
    /// The label or the assignee it is about; the new title; the reason of a lock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The old title; the repository an issue came from, `owner/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// The App that did it for the actor, by its slug.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
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
    /// What its job printed, where it is one of GitHub's own CI.
    #[serde(skip)]
    pub log: Option<String>,
    /// The workflow that its job belongs to, and what started that.
    pub workflow: Option<(String, String)>,
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
            role_name: None,
            kind: Kind::of(login),
            deleted: false,
        })
    }
}

impl Issue {
    /// The labels as a list sees them that lags behind.
    pub(super) fn labels_listed(&self, lag: Duration) -> &[String] {
        let past = |(until, _): &&(Instant, Vec<String>)| until.elapsed() < lag;
        self.labels_before.iter().find(past).map_or(&self.labels, |(_, labels)| labels)
    }
}

impl Repository {
    pub(super) fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// Refuses where a repository has no issues.
    pub(super) fn has_issues(&self) -> Result<(), Failure> {
        if self.has_issues { Ok(()) } else { Err(Failure::gone("Issues are disabled for this repo")) }
    }

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
        let last = self.issues.keys().next_back().max(self.gone.keys().next_back());
        last.map_or(1, |number| number + 1)
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
