//! Issues, their comments, events and assignees.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::Uri;
use axum::routing::{get, post, put};
use serde::Deserialize;

use super::answer::{Answer, Failure, created, no_content, ok, parse};
use super::labels::{self, Named};
use super::links::{self, List};
use super::server::{Here, Lab, Link};
use super::store::{Comment, Issue, State, Store, same};
use crate::clock::Timestamp;

pub(super) fn routes() -> Router<Link> {
    Router::new()
        .route("/repos/{owner}/{repo}/issues", get(list).post(create))
        .route("/repos/{owner}/{repo}/issues/comments/{id}", get(comment).patch(edit_comment))
        .route("/repos/{owner}/{repo}/issues/{number}", get(show).patch(edit))
        .route("/repos/{owner}/{repo}/issues/{number}/comments", get(comments).post(say))
        .route("/repos/{owner}/{repo}/issues/{number}/events", get(events))
        .route("/repos/{owner}/{repo}/issues/{number}/lock", put(lock).delete(unlock))
        .route("/repos/{owner}/{repo}/issues/{number}/assignees", post(assign).delete(unassign))
        .route("/repos/{owner}/{repo}/assignees/{login}", get(can_be_assigned))
}

/// What a list is asked to hold, in which order.
struct Filter<'a> {
    query: &'a BTreeMap<String, String>,
    since: Option<Timestamp>,
    lag: std::time::Duration,
}

impl Filter<'_> {
    fn text(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    fn takes(&self, issue: &Issue) -> bool {
        let state = match self.text("state") {
            "all" => true,
            "closed" => issue.state == State::Closed,
            _ => issue.state == State::Open,
        };
        let assignee = match self.text("assignee") {
            "" => true,
            "none" => issue.assignees.is_empty(),
            "*" => !issue.assignees.is_empty(),
            login => issue.assignees.iter().any(|one| same(one, login)),
        };
        let creator = self.text("creator");
        state
            && assignee
            && labels::has_all(issue.labels_listed(self.lag), self.text("labels"))
            && (creator.is_empty() || same(creator, &issue.user))
            && self.since.is_none_or(|since| issue.updated_at >= since)
    }

    /// Newest first, unless it is to be otherwise.
    fn sort(&self, issues: &mut [&Issue]) {
        match self.text("sort") {
            "updated" => issues.sort_by_key(|issue| (issue.updated_at, issue.number)),
            "comments" => issues.sort_by_key(|issue| (issue.comments.len(), issue.number)),
            _ => issues.sort_by_key(|issue| (issue.created_at, issue.number)),
        }
        if self.text("direction") != "asc" {
            issues.reverse();
        }
    }
}

async fn list(Here(lab): Here, Path((owner, name)): Path<(String, String)>, uri: Uri) -> Answer {
    super::pulls::refresh(&lab, &owner, &name).await?;
    let query = links::query(&uri);
    let since = match query.get("since") {
        None => None,
        Some(since) => Some(since.parse().map_err(|_| Failure::field("Issue", "since", "invalid"))?),
    };
    let store = lab.store();
    let (shapes, repository) = (lab.shapes(&store), store.repository(&owner, &name)?);
    repository.has_issues()?;
    let filter = Filter { query: &query, since, lag: repository.lag };
    let mut issues: Vec<&Issue> = repository.issues.values().filter(|issue| filter.takes(issue)).collect();
    filter.sort(&mut issues);
    let cursors = repository.cursors.then(|| issues.iter().map(|issue| issue.number).collect());
    let list = List { base: &lab.base, uri: &uri, repository_id: repository.id, cursors };
    list.page(&issues, |issue| shapes.issue(repository, issue))
}

/// What can be said of an issue when it is made or changed.
#[derive(Debug, Deserialize)]
#[expect(clippy::option_option, reason = "a body that is null is taken away, one that is absent stays")]
struct Fields {
    title: Option<String>,
    #[serde(default, deserialize_with = "given")]
    body: Option<Option<String>>,
    state: Option<String>,
    state_reason: Option<String>,
    labels: Option<Vec<Named>>,
    assignees: Option<Vec<String>>,
}

/// Tells `null` from nothing.
#[expect(clippy::option_option, reason = "see the field")]
fn given<'a, D: serde::Deserializer<'a>>(value: D) -> Result<Option<Option<String>>, D::Error> {
    Deserialize::deserialize(value).map(Some)
}

async fn create(Here(lab): Here, Path((owner, name)): Path<(String, String)>, body: Bytes) -> Answer {
    let fields: Fields = parse(&body)?;
    let title = fields.title.clone().filter(|title| !title.is_empty());
    let title = title.ok_or_else(|| Failure::field("Issue", "title", "missing_field"))?;
    let (now, mut store) = (lab.now(), lab.store());
    store.repository(&owner, &name)?.has_issues()?;
    let number = store.open(&owner, &name, now, title, fields.body.clone().flatten())?;
    change(&mut store, &owner, &name, number, now, fields)?;
    let repository = store.repository(&owner, &name)?;
    created(&lab.shapes(&store).issue(repository, repository.issue(number)?))
}

/// An issue nobody has touched yet.
pub(super) fn fresh(
    id: u64,
    number: u64,
    title: String,
    body: Option<String>,
    user: String,
    now: Timestamp,
) -> Issue {
    Issue {
        id,
        number,
        title,
        body,
        labels: Vec::new(),
        user,
        author_association: "COLLABORATOR".to_owned(),
        state: State::Open,
        state_reason: None,
        assignees: Vec::new(),
        created_at: now,
        updated_at: now,
        closed_at: None,
        comments: Vec::new(),
        events: Vec::new(),
        edits: Vec::new(),
        locked: false,
        lock_reason: None,
        blocked_by: Vec::new(),
        sub_issues: Vec::new(),
        labels_before: Vec::new(),
        pull: None,
    }
}

async fn show(Here(lab): Here, Path((owner, name, number)): Path<(String, String, u64)>) -> Answer {
    super::pulls::refresh(&lab, &owner, &name).await?;
    shown(&lab, &lab.store(), &owner, &name, number)
}

fn shown(lab: &Lab, store: &Store, owner: &str, name: &str, number: u64) -> Answer {
    let repository = store.repository(owner, name)?;
    ok(&lab.shapes(store).issue(repository, repository.issue(number)?))
}

async fn edit(
    Here(lab): Here,
    Path((owner, name, number)): Path<(String, String, u64)>,
    body: Bytes,
) -> Answer {
    let (fields, now, mut store) = (parse(&body)?, lab.now(), lab.store());
    change(&mut store, &owner, &name, number, now, fields)?;
    shown(&lab, &store, &owner, &name, number)
}

fn change(
    store: &mut Store,
    owner: &str,
    name: &str,
    number: u64,
    now: Timestamp,
    fields: Fields,
) -> Result<(), Failure> {
    let state = match fields.state.as_deref() {
        None => None,
        Some("open") => Some(State::Open),
        Some("closed") => Some(State::Closed),
        Some(_) => return Err(Failure::field("Issue", "state", "invalid")),
    };
    let issue = store.repository_mut(owner, name)?.issue_mut(number)?;
    issue.updated_at = now;
    if let Some(title) = fields.title {
        store.rename(owner, name, number, now, &title)?;
    }
    if let Some(body) = fields.body {
        store.rewrite(owner, name, number, now, body)?;
    }
    if let Some(state) = state {
        store.set_state(owner, name, number, now, state, fields.state_reason.as_deref())?;
    }
    if let Some(wanted) = &fields.labels {
        labels::set(store, owner, name, number, now, wanted)?;
    }
    if let Some(wanted) = fields.assignees {
        if let Some(stranger) = wanted.iter().find(|login| !assignable(store, login)) {
            let error = serde_json::json!(
                [{"value": stranger, "resource": "Issue", "field": "assignees", "code": "invalid"}]
            );
            return Err(Failure::unprocessable(error));
        }
        store.repository_mut(owner, name)?.issue_mut(number)?.assignees = wanted;
    }
    Ok(())
}

async fn comments(
    Here(lab): Here,
    Path((owner, name, number)): Path<(String, String, u64)>,
    uri: Uri,
) -> Answer {
    let store = lab.store();
    let (shapes, repository) = (lab.shapes(&store), store.repository(&owner, &name)?);
    let since: Option<Timestamp> = links::query(&uri).get("since").and_then(|since| since.parse().ok());
    let recent = |comment: &&Comment| since.is_none_or(|since| comment.updated_at >= since);
    let comments: Vec<&Comment> = repository.issue(number)?.comments.iter().filter(recent).collect();
    let list = List::of(&lab, &uri, repository);
    list.page(&comments, |comment| shapes.comment(repository, number, comment))
}

/// The text of a comment.
fn text(body: &[u8]) -> Result<String, Failure> {
    #[derive(Deserialize)]
    struct New {
        body: Option<String>,
    }
    let text = parse::<New>(body)?.body.filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| Failure::field("IssueComment", "body", "missing_field"))?;
    if text.chars().count() > 65_536 {
        let message = "body is too long (maximum is 65536 characters)";
        return Err(Failure::custom("IssueComment", message));
    }
    Ok(text)
}

async fn say(
    Here(lab): Here,
    Path((owner, name, number)): Path<(String, String, u64)>,
    body: Bytes,
) -> Answer {
    let (text, now, mut store) = (text(&body)?, lab.now(), lab.store());
    let id = store.comment(&owner, &name, number, now, text)?;
    let repository = store.repository(&owner, &name)?;
    let comment = repository.issue(number)?.comments.iter().find(|comment| comment.id == id);
    let comment = comment.ok_or_else(Failure::not_found)?;
    created(&lab.shapes(&store).comment(repository, number, comment))
}

/// Where a comment is: the issue's number and its place in the list.
fn locate(store: &Store, owner: &str, name: &str, id: u64) -> Result<(u64, usize), Failure> {
    let mut issues = store.repository(owner, name)?.issues.values();
    let place =
        |issue: &Issue| Some((issue.number, issue.comments.iter().position(|comment| comment.id == id)?));
    issues.find_map(place).ok_or_else(Failure::not_found)
}

async fn comment(Here(lab): Here, Path((owner, name, id)): Path<(String, String, u64)>) -> Answer {
    let store = lab.store();
    let (number, place) = locate(&store, &owner, &name, id)?;
    let repository = store.repository(&owner, &name)?;
    ok(&lab.shapes(&store).comment(repository, number, &repository.issue(number)?.comments[place]))
}

async fn edit_comment(
    Here(lab): Here,
    Path((owner, name, id)): Path<(String, String, u64)>,
    body: Bytes,
) -> Answer {
    let (text, now, mut store) = (text(&body)?, lab.now(), lab.store());
    store.edit_comment(&owner, &name, id, now, text)?;
    let (number, place) = locate(&store, &owner, &name, id)?;
    let repository = store.repository(&owner, &name)?;
    ok(&lab.shapes(&store).comment(repository, number, &repository.issue(number)?.comments[place]))
}

async fn events(
    Here(lab): Here,
    Path((owner, name, number)): Path<(String, String, u64)>,
    uri: Uri,
) -> Answer {
    let store = lab.store();
    let (shapes, repository) = (lab.shapes(&store), store.repository(&owner, &name)?);
    let list = List::of(&lab, &uri, repository);
    list.page(&repository.issue(number)?.events, |event| shapes.event(repository, event))
}

async fn lock(
    Here(lab): Here,
    Path((owner, name, number)): Path<(String, String, u64)>,
    body: Bytes,
) -> Answer {
    #[derive(Deserialize)]
    struct Why {
        lock_reason: Option<String>,
    }
    let why: Why = parse(&body)?;
    lab.store().lock(&owner, &name, number, lab.now(), why.lock_reason.as_deref())?;
    no_content()
}

async fn unlock(Here(lab): Here, Path((owner, name, number)): Path<(String, String, u64)>) -> Answer {
    lab.store().unlock(&owner, &name, number, lab.now())?;
    no_content()
}

/// Who can be assigned: people with a role in the repository.
fn assignable(store: &Store, login: &str) -> bool {
    let user = store.users.get(&login.to_lowercase());
    user.is_some_and(|user| !["none", "read"].contains(&user.permission.as_str()))
}

async fn can_be_assigned(
    Here(lab): Here,
    Path((owner, name, login)): Path<(String, String, String)>,
) -> Answer {
    let store = lab.store();
    store.repository(&owner, &name)?;
    if assignable(&store, &login) { no_content() } else { Err(Failure::not_found()) }
}

#[derive(Debug, Default, Deserialize)]
struct Assignees {
    #[serde(default)]
    assignees: Vec<String>,
}

async fn assign(
    Here(lab): Here,
    Path((owner, name, number)): Path<(String, String, u64)>,
    body: Bytes,
) -> Answer {
    let (wanted, now, mut store) = (parse::<Assignees>(&body)?, lab.now(), lab.store());
    for login in &wanted.assignees {
        let issue = store.repository(&owner, &name)?.issue(number)?;
        // Who cannot be assigned is passed over without a word, as GitHub does.
        if assignable(&store, login) && !issue.assignees.iter().any(|one| same(one, login)) {
            let login = store.user(login).login;
            store.repository_mut(&owner, &name)?.issue_mut(number)?.assignees.push(login.clone());
            store.happened(&owner, &name, number, now, "assigned", Some(&login))?;
        }
    }
    let repository = store.repository(&owner, &name)?;
    created(&lab.shapes(&store).issue(repository, repository.issue(number)?))
}

async fn unassign(
    Here(lab): Here,
    Path((owner, name, number)): Path<(String, String, u64)>,
    body: Bytes,
) -> Answer {
    let (unwanted, now, mut store) = (parse::<Assignees>(&body)?, lab.now(), lab.store());
    for login in &unwanted.assignees {
        let issue = store.repository_mut(&owner, &name)?.issue_mut(number)?;
        if let Some(place) = issue.assignees.iter().position(|one| same(one, login)) {
            issue.assignees.remove(place);
            store.happened(&owner, &name, number, now, "unassigned", Some(login))?;
        }
    }
    shown(&lab, &store, &owner, &name, number)
}
