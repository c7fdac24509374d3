//! From the seed to what the server starts with.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::Value;

use super::identity::{self, App, Installation, Token};
use super::limits::Meter;
use super::reviewers::Asked;
use super::seed::{
    Seed, SeedApp, SeedEdit, SeedEvent, SeedIssue, SeedRepository, SeedState, SeedUser, epoch,
};
use super::store::{
    Comment, Edit, Event, Gone, Issue, Kind, Label, Pull, Reference, Repository, State, Store, User, same,
};

impl Seed {
    /// What the server starts with.
    pub(super) fn store(&self) -> Store {
        let owner = self.repositories.first().map_or("github", |repository| &repository.owner);
        let token = |seed: &super::seed::SeedToken| Token {
            value: seed.token.clone(),
            user: seed.user.clone(),
            scopes: seed.scopes.clone(),
            expires_at: seed.expires_at,
            app: None,
            grant: None,
        };
        let mut store = Store {
            repositories: Vec::new(),
            users: BTreeMap::new(),
            viewer: self.viewer.clone(),
            scopes: self.scopes.clone(),
            tokens: self.tokens.iter().map(token).collect(),
            apps: self.apps.iter().map(|seed| app(seed, owner)).collect(),
            meter: Meter::new(self.limits.clone()),
            faults: Vec::new(),
            routes: BTreeMap::new(),
            requests: Vec::new(),
            last_id: self.first_id,
            somebody_waits: self.repositories.iter().any(SeedRepository::has_blockers),
        };
        for user in &self.users {
            declare(&mut store, user);
        }
        for app in &store.apps.clone() {
            know(&mut store, &app.bot(), "write");
        }
        know(&mut store, &self.viewer, "write");
        for token in &self.tokens {
            know(&mut store, &token.user, "read");
        }
        for repository in &self.repositories {
            know(&mut store, &repository.owner, "admin");
            repository.plant(&mut store);
        }
        store
    }
}

fn app(seed: &SeedApp, owner: &str) -> App {
    let owner = seed.owner.clone().unwrap_or_else(|| owner.to_owned());
    let installations = seed.installations.iter().map(|one| Installation {
        id: one.id,
        account: one.account.clone().unwrap_or_else(|| owner.clone()),
        repositories: one.repositories.clone(),
        permissions: one.permissions.clone(),
    });
    App {
        id: seed.id,
        slug: seed.slug.clone(),
        key: identity::public_key(&seed.public_key_pem).unwrap_or_default(),
        installations: installations.collect(),
        long_tokens: seed.long_tokens,
        token_seconds: seed.token_seconds,
        owner,
    }
}

fn declare(store: &mut Store, seed: &SeedUser) {
    let user = User {
        id: store.next_id(),
        login: seed.login.clone(),
        permission: seed.permission.clone(),
        role_name: seed.role_name.clone(),
        kind: seed.kind.unwrap_or(Kind::of(&seed.login)),
        deleted: seed.deleted,
    };
    store.users.entry(seed.login.to_lowercase()).or_insert(user);
}

/// Declares a user; the first declaration holds.
pub(super) fn know(store: &mut Store, login: &str, permission: &str) {
    let id = store.next_id();
    let user = User {
        id,
        login: login.to_owned(),
        permission: permission.to_owned(),
        role_name: None,
        kind: Kind::of(login),
        deleted: false,
    };
    store.users.entry(login.to_lowercase()).or_insert(user);
}

impl SeedRepository {
    fn has_blockers(&self) -> bool {
        self.issues.iter().any(|issue| !issue.blocked_by.is_empty())
    }

    fn plant(&self, store: &mut Store) {
        let mut repository = Repository {
            id: store.next_id(),
            owner: self.owner.clone(),
            name: self.name.clone(),
            default_branch: self.default_branch.clone(),
            former: self.former_names.iter().map(|former| full(former, &self.owner)).collect(),
            private: self.private,
            has_issues: self.has_issues,
            cursors: self.cursor_pagination,
            created_at: epoch(),
            labels: Vec::new(),
            teams: self.teams.clone(),
            issues: BTreeMap::new(),
            gone: BTreeMap::new(),
            lag: Duration::from_millis(self.list_lag_ms),
            pushes: Vec::new(),
            checks: Vec::new(),
            rules: super::progress::Rules::default(),
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
        if let Some(gone) = self.gone(seed) {
            repository.gone.insert(number, gone);
            return;
        }
        let references = |list: &[Value]| {
            let one = |value: &Value| {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                Reference::parse(&text, &self.owner, &self.name)
            };
            list.iter().filter_map(one).collect::<Vec<_>>()
        };
        let mut issue = Issue {
            author_association: association,
            state: if closed { State::Closed } else { State::Open },
            state_reason: seed.state_reason.clone().or(closed.then(|| "completed".to_owned())),
            assignees: seed.assignees.clone(),
            updated_at,
            closed_at: closed.then_some(updated_at),
            locked: seed.locked,
            lock_reason: seed.lock_reason.clone(),
            blocked_by: references(&seed.blocked_by),
            sub_issues: references(&seed.sub_issues),
            edits: edits(store, &seed.edits),
            pull: seed.pull_request.then(|| self.pull(number, seed.draft)),
            ..super::issues::fresh(
                store.next_id(),
                number,
                seed.title.clone().unwrap_or_else(|| format!("Issue {number}")),
                seed.body.clone(),
                user,
                created_at,
            )
        };
        self.happen(store, repository, &mut issue, seed);
        for comment in &seed.comments {
            let user = comment.user.clone().unwrap_or_else(|| self.owner.clone());
            know(store, &user, "read");
            let usual = store.association(&self.owner, &user);
            let at = comment.at.unwrap_or(created_at);
            let edits = edits(store, &comment.edits);
            issue.comments.push(Comment {
                id: store.next_id(),
                user,
                body: comment.body.clone(),
                author_association: comment.author_association.clone().unwrap_or(usual),
                minimized: comment.minimized,
                created_at: at,
                updated_at: edits.last().map_or(at, |edit| edit.at),
                edits,
            });
        }
        repository.issues.insert(number, issue);
    }

    fn gone(&self, seed: &SeedIssue) -> Option<Gone> {
        let there = seed.transferred_to.as_deref();
        let there = there.and_then(|text| Reference::parse(text, &self.owner, &self.name));
        there.map(Gone::To).or(seed.deleted.then_some(Gone::Deleted))
    }

    /// The labels and the events. A label that no event tells of gets one of its own.
    fn happen(&self, store: &mut Store, repository: &mut Repository, issue: &mut Issue, seed: &SeedIssue) {
        let owner = || self.owner.clone();
        for label in &seed.labels {
            let name = repository.label_named(label, store.next_id());
            let tells = |event: &SeedEvent| {
                event.event == "labeled" && event.label.as_deref().is_some_and(|label| same(label, &name))
            };
            if !seed.events.iter().any(tells) {
                let actor = seed.labeled_by.clone().unwrap_or_else(owner);
                know(store, &actor, "read");
                issue.events.push(Event {
                    id: store.next_id(),
                    kind: "labeled".to_owned(),
                    actor,
                    created_at: issue.created_at,
                    subject: Some(name.clone()),
                    previous: None,
                    app: None,
                });
            }
            issue.labels.push(name);
        }
        for event in &seed.events {
            let actor = event.actor.clone().unwrap_or_else(owner);
            know(store, &actor, "read");
            let subject = [&event.label, &event.assignee, &event.to, &event.reason];
            if let Some(label) = &event.label {
                repository.label_named(label, store.next_id());
            }
            issue.events.push(Event {
                id: store.next_id(),
                kind: event.event.clone(),
                actor,
                created_at: event.at.unwrap_or(issue.created_at),
                subject: subject.into_iter().flatten().next().cloned(),
                previous: event.from.as_deref().map(str::to_owned),
                app: event.app.clone(),
            });
        }
        issue.events.sort_by_key(|event| event.created_at);
    }

    fn pull(&self, number: u64, draft: bool) -> Pull {
        Pull {
            head: format!("change-{number}"),
            base: self.default_branch.clone(),
            head_sha: None,
            base_sha: String::new(),
            draft,
            merged_at: None,
            merged_by: None,
            merge_commit_sha: None,
            reviews: Vec::new(),
            asked: Asked::default(),
            talk: super::progress::Talk::default(),
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

fn edits(store: &mut Store, seeds: &[SeedEdit]) -> Vec<Edit> {
    let mut edits = Vec::new();
    for seed in seeds {
        know(store, &seed.editor, "read");
        edits.push(Edit { id: store.next_id(), editor: seed.editor.clone(), at: seed.at });
    }
    edits
}

/// `owner/name` of a name that may have its owner with it.
fn full(name: &str, owner: &str) -> String {
    if name.contains('/') { name.to_owned() } else { format!("{owner}/{name}") }
}
