//! What the rehearsal's GitHub holds at the start.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::TimeDelta;
use serde::Deserialize;

use super::store::{Comment, Event, Issue, Label, Pull, Repository, State, Store, User, same};
use crate::clock::Timestamp;
use crate::error::{Kind, OrFail, Result};

/// The seed file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Seed {
    pub repositories: Vec<SeedRepository>,
    #[serde(default)]
    users: Vec<SeedUser>,
    /// Who the token speaks for.
    #[serde(default = "default_viewer")]
    viewer: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeedRepository {
    pub owner: String,
    pub name: String,
    #[serde(default = "default_branch")]
    pub default_branch: String,
    /// A repository to clone, relative to the seed file.
    pub git: Option<PathBuf>,
    /// Or: the files of its only commit.
    pub files: Option<BTreeMap<String, String>>,
    #[serde(default)]
    private: bool,
    #[serde(default)]
    cursor_pagination: bool,
    #[serde(default)]
    labels: Vec<SeedLabel>,
    #[serde(default)]
    issues: Vec<SeedIssue>,
    generate: Option<Generate>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeedUser {
    login: String,
    #[serde(default = "default_permission")]
    permission: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeedLabel {
    name: String,
    #[serde(default = "default_color")]
    color: String,
    description: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeedIssue {
    number: Option<u64>,
    title: Option<String>,
    body: Option<String>,
    #[serde(default)]
    labels: Vec<String>,
    /// Who put the labels there; the owner where absent.
    labeled_by: Option<String>,
    user: Option<String>,
    author_association: Option<String>,
    state: Option<SeedState>,
    #[serde(default)]
    assignees: Vec<String>,
    created_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
    #[serde(default)]
    pull_request: bool,
    #[serde(default)]
    comments: Vec<SeedComment>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SeedState {
    Open,
    Closed,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeedComment {
    user: Option<String>,
    body: String,
}

/// Many issues at a stroke, for lists that are long.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Generate {
    #[serde(default)]
    issues: u64,
    #[serde(default = "default_label")]
    label: String,
    #[serde(default)]
    pull_requests: u64,
}

fn default_viewer() -> String {
    "cq-bot".to_owned()
}
fn default_branch() -> String {
    "main".to_owned()
}
fn default_permission() -> String {
    "read".to_owned()
}
fn default_color() -> String {
    "ededed".to_owned()
}
fn default_label() -> String {
    "claude-ready".to_owned()
}

/// 1 January 2025: the rehearsal's past is the same in every run.
pub(super) fn epoch() -> Timestamp {
    chrono::DateTime::from_timestamp(1_735_689_600, 0).unwrap_or_default()
}

impl Seed {
    /// Reads a seed; a field it does not know is an error that names it.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let seed: Self = serde_json::from_str(text).or_fail(Kind::Config, || "cannot read the seed")?;
        for repository in &seed.repositories {
            repository.check()?;
        }
        Ok(seed)
    }

    /// What the server starts with.
    pub(super) fn store(&self) -> Store {
        let mut store = Store {
            repositories: Vec::new(),
            users: BTreeMap::new(),
            viewer: self.viewer.clone(),
            faults: Vec::new(),
            routes: BTreeMap::new(),
            requests: Vec::new(),
            used: 0,
            last_id: 1000,
        };
        for user in &self.users {
            know(&mut store, &user.login, &user.permission);
        }
        know(&mut store, &self.viewer, "write");
        for repository in &self.repositories {
            know(&mut store, &repository.owner, "admin");
            repository.plant(&mut store);
        }
        store
    }
}

/// Declares a user; the first declaration holds.
fn know(store: &mut Store, login: &str, permission: &str) {
    let id = store.next_id();
    let user = User { id, login: login.to_owned(), permission: permission.to_owned() };
    store.users.entry(login.to_lowercase()).or_insert(user);
}

impl SeedRepository {
    fn check(&self) -> Result<()> {
        let fine = |name: &str| {
            !name.is_empty()
                && !name.starts_with('.')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        let refuse = |why: String| Err(crate::error::Error::new(Kind::Config, why));
        if !fine(&self.owner) || !fine(&self.name) {
            return refuse(format!(
                "the seed's repository '{}/{}' has no name of GitHub's",
                self.owner, self.name
            ));
        }
        if self.git.is_some() && self.files.is_some() {
            let name = &self.name;
            return refuse(format!(
                "the seed's repository '{name}' has both 'git' and 'files': leave one out"
            ));
        }
        let mut seen = std::collections::BTreeSet::new();
        match self.issues.iter().filter_map(|issue| issue.number).find(|number| !seen.insert(*number)) {
            Some(number) => refuse(format!("the seed has two issues #{number} in '{}'", self.name)),
            None => Ok(()),
        }
    }

    fn plant(&self, store: &mut Store) {
        let mut repository = Repository {
            id: store.next_id(),
            owner: self.owner.clone(),
            name: self.name.clone(),
            default_branch: self.default_branch.clone(),
            private: self.private,
            cursors: self.cursor_pagination,
            created_at: epoch(),
            labels: Vec::new(),
            issues: BTreeMap::new(),
            pushes: Vec::new(),
            checks: Vec::new(),
        };
        for label in &self.labels {
            let id = store.next_id();
            let (name, color) = (label.name.clone(), label.color.clone());
            repository.labels.push(Label { id, name, color, description: label.description.clone() });
        }
        for issue in &self.issues {
            self.plant_issue(store, &mut repository, issue);
        }
        if let Some(generate) = &self.generate {
            for index in 0..generate.issues + generate.pull_requests {
                let pull_request = index >= generate.issues;
                let title = format!("{} {}", if pull_request { "Change" } else { "Task" }, index + 1);
                let body = Some(format!("Number {} of the generated list.", index + 1));
                let labels = vec![generate.label.clone()];
                let issue =
                    SeedIssue { title: Some(title), body, labels, pull_request, ..SeedIssue::default() };
                self.plant_issue(store, &mut repository, &issue);
            }
        }
        store.repositories.push(repository);
    }

    fn plant_issue(&self, store: &mut Store, repository: &mut Repository, seed: &SeedIssue) {
        let number = seed.number.unwrap_or_else(|| repository.next_number());
        let user = seed.user.clone().unwrap_or_else(|| self.owner.clone());
        let usual = if same(&user, &self.owner) { "OWNER" } else { "NONE" };
        let association = seed.author_association.clone().unwrap_or_else(|| usual.to_owned());
        know(store, &user, permission_of(&association));
        let minutes = TimeDelta::minutes(i64::try_from(number).unwrap_or(0));
        let created_at = seed.created_at.unwrap_or_else(|| epoch() + minutes);
        let updated_at = seed.updated_at.unwrap_or(created_at);
        let closed = matches!(seed.state, Some(SeedState::Closed));
        let actor = seed.labeled_by.clone().unwrap_or_else(|| self.owner.clone());
        know(store, &actor, "read");
        let mut issue = Issue {
            id: store.next_id(),
            number,
            title: seed.title.clone().unwrap_or_else(|| format!("Issue {number}")),
            body: seed.body.clone(),
            labels: Vec::new(),
            user,
            author_association: association,
            state: if closed { State::Closed } else { State::Open },
            state_reason: closed.then(|| "completed".to_owned()),
            assignees: seed.assignees.clone(),
            created_at,
            updated_at,
            closed_at: closed.then_some(updated_at),
            comments: Vec::new(),
            events: Vec::new(),
            pull: seed.pull_request.then(|| self.pull(number)),
        };
        for label in &seed.labels {
            let name = repository.label_named(label, store.next_id());
            let (id, kind) = (store.next_id(), "labeled".to_owned());
            let subject = Some(name.clone());
            issue.events.push(Event { id, kind, actor: actor.clone(), created_at, subject });
            issue.labels.push(name);
        }
        for comment in &seed.comments {
            let user = comment.user.clone().unwrap_or_else(|| self.owner.clone());
            know(store, &user, "read");
            let (id, body) = (store.next_id(), comment.body.clone());
            issue.comments.push(Comment { id, user, body, created_at, updated_at: created_at });
        }
        repository.issues.insert(number, issue);
    }

    fn pull(&self, number: u64) -> Pull {
        Pull {
            head: format!("change-{number}"),
            base: self.default_branch.clone(),
            head_sha: None,
            base_sha: String::new(),
            draft: false,
            merged_at: None,
            merged_by: None,
            merge_commit_sha: None,
            reviews: Vec::new(),
        }
    }
}

/// What somebody may do whom the seed only shows as an author.
fn permission_of(association: &str) -> &'static str {
    match association {
        "OWNER" => "admin",
        "MEMBER" | "COLLABORATOR" => "write",
        _ => "read",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_filled_in() {
        let text = r#"{"repositories":[{"owner":"acme","name":"widgets","issues":[
            {"title":"One","labels":["bug"]},{"number":9,"user":"eve","pull_request":true}],
            "generate":{"issues":2,"pull_requests":1}}]}"#;
        let store = Seed::parse(text).unwrap().store();
        let repository = store.find("ACME", "Widgets").unwrap();
        assert_eq!(repository.issues.keys().copied().collect::<Vec<_>>(), [1, 9, 10, 11, 12]);
        let first = &repository.issues[&1];
        assert_eq!((first.user.as_str(), first.author_association.as_str()), ("acme", "OWNER"));
        assert_eq!(first.events[0].actor, "acme");
        assert_eq!(repository.issues[&9].author_association, "NONE");
        assert!(repository.issues[&12].pull.is_some() && repository.issues[&11].pull.is_none());
        assert!(repository.labels.iter().any(|label| label.name == "claude-ready"));
        assert_eq!(store.user("acme").permission, "admin");
        assert_eq!(store.user("eve").permission, "read");
    }

    #[test]
    fn what_is_unknown_or_doubled_is_named() {
        let cases = [
            (r#"{"repositories":[],"repos":[]}"#, "unknown field `repos`"),
            (r#"{"repositories":[{"owner":"a","name":"b","brnch":1}]}"#, "unknown field `brnch`"),
            (
                r#"{"repositories":[{"owner":"a","name":"b","issues":[{"nummer":1}]}]}"#,
                "unknown field `nummer`",
            ),
            (r#"{"repositories":[{"owner":"a"}]}"#, "missing field `name`"),
            (r#"{"repositories":[{"owner":"a","name":"../b"}]}"#, "'a/../b'"),
            (r#"{"repositories":[{"owner":"a","name":"b","git":"x","files":{}}]}"#, "both 'git' and 'files'"),
            (r#"{"repositories":[{"owner":"a","name":"b","issues":[{"number":1},{"number":1}]}]}"#, "#1"),
            ("nothing", "line 1"),
        ];
        for (text, expected) in cases {
            let error = Seed::parse(text).unwrap_err();
            assert_eq!(error.kind, Kind::Config);
            assert!(error.to_string().contains(expected), "{text}: {error}");
        }
    }
}
