//! What issues are to each other, and what happened to one in order.

use axum::Router;
use axum::extract::Path;
use axum::http::Uri;
use axum::routing::get;
use serde_json::{Value, json};

use super::answer::{Answer, Failure, ok};
use super::links::List;
use super::server::{Here, Lab, Link};
use super::store::{Issue, Reference, Repository, State, Store, same};

pub(super) fn routes() -> Router<Link> {
    Router::new()
        .route("/repos/{owner}/{repo}/issues/{number}/dependencies/blocked_by", get(list_blocked_by))
        .route("/repos/{owner}/{repo}/issues/{number}/dependencies/blocking", get(list_blocking))
        .route("/repos/{owner}/{repo}/issues/{number}/sub_issues", get(list_sub_issues))
        .route("/repos/{owner}/{repo}/issues/{number}/parent", get(show_parent))
        .route("/repos/{owner}/{repo}/issues/{number}/timeline", get(timeline))
}

/// The issue a reference means, where it is here.
fn found<'a>(store: &'a Store, reference: &Reference) -> Option<(&'a Repository, &'a Issue)> {
    let repository = store.find(&reference.owner, &reference.name)?;
    Some((repository, repository.issues.get(&reference.number)?))
}

fn is(reference: &Reference, repository: &Repository, issue: &Issue) -> bool {
    same(&reference.owner, &repository.owner)
        && same(&reference.name, &repository.name)
        && reference.number == issue.number
}

fn all(store: &Store) -> impl Iterator<Item = (&Repository, &Issue)> {
    store
        .repositories
        .iter()
        .flat_map(|repository| repository.issues.values().map(move |issue| (repository, issue)))
}

fn reference(repository: &Repository, issue: &Issue) -> Reference {
    Reference { owner: repository.owner.clone(), name: repository.name.clone(), number: issue.number }
}

/// The issues that wait for this one.
pub(super) fn blocking(store: &Store, repository: &Repository, issue: &Issue) -> Vec<Reference> {
    if !store.somebody_waits {
        return Vec::new();
    }
    let waits =
        |(_, other): &(&Repository, &Issue)| other.blocked_by.iter().any(|one| is(one, repository, issue));
    all(store).filter(waits).map(|(repository, other)| reference(repository, other)).collect()
}

/// The issue this one is a part of.
pub(super) fn parent(store: &Store, repository: &Repository, issue: &Issue) -> Option<Reference> {
    let has =
        |(_, other): &(&Repository, &Issue)| other.sub_issues.iter().any(|one| is(one, repository, issue));
    all(store).find(has).map(|(repository, other)| reference(repository, other))
}

/// How many parts an issue has, how many are done, and how much that is in percent.
pub(super) fn sub_issues(store: &Store, issue: &Issue) -> (usize, usize, usize) {
    let closed = |one: &&Reference| found(store, one).is_some_and(|(_, issue)| issue.state == State::Closed);
    let (total, done) = (issue.sub_issues.len(), issue.sub_issues.iter().filter(closed).count());
    (total, done, (done * 100).checked_div(total).unwrap_or(0))
}

/// What an issue waits for and what waits for it; the open ones, and all.
pub(super) struct Counts {
    pub blocked_by: usize,
    pub total_blocked_by: usize,
    pub blocking: usize,
    pub total_blocking: usize,
}

pub(super) fn dependencies(store: &Store, repository: &Repository, issue: &Issue) -> Counts {
    // One that is not here is somewhere that nobody can look at: it counts as open.
    let open = |one: &&Reference| found(store, one).is_none_or(|(_, issue)| issue.state == State::Open);
    let waiting = blocking(store, repository, issue);
    Counts {
        blocked_by: issue.blocked_by.iter().filter(open).count(),
        total_blocked_by: issue.blocked_by.len(),
        blocking: waiting.iter().filter(open).count(),
        total_blocking: waiting.len(),
    }
}

/// The summaries that are part of every issue.
pub(super) fn summaries(store: &Store, repository: &Repository, issue: &Issue) -> (Value, Value) {
    let counts = dependencies(store, repository, issue);
    let (total, completed, percent) = sub_issues(store, issue);
    let waits = json!({
        "blocked_by": counts.blocked_by, "total_blocked_by": counts.total_blocked_by,
        "blocking": counts.blocking, "total_blocking": counts.total_blocking,
    });
    (waits, json!({"total": total, "completed": completed, "percent_completed": percent}))
}

/// A list of issues that are here.
fn page(lab: &Lab, store: &Store, uri: &Uri, owner: &str, name: &str, references: &[Reference]) -> Answer {
    let (shapes, repository) = (lab.shapes(store), store.repository(owner, name)?);
    let issues: Vec<_> = references.iter().filter_map(|one| found(store, one)).collect();
    List::of(lab, uri, repository).page(&issues, |(repository, issue)| shapes.issue(repository, issue))
}

async fn list_blocked_by(
    Here(lab): Here,
    Path((owner, name, number)): Path<(String, String, u64)>,
    uri: Uri,
) -> Answer {
    let store = lab.store();
    page(&lab, &store, &uri, &owner, &name, &store.repository(&owner, &name)?.issue(number)?.blocked_by)
}

async fn list_blocking(
    Here(lab): Here,
    Path((owner, name, number)): Path<(String, String, u64)>,
    uri: Uri,
) -> Answer {
    let store = lab.store();
    let repository = store.repository(&owner, &name)?;
    page(&lab, &store, &uri, &owner, &name, &blocking(&store, repository, repository.issue(number)?))
}

async fn list_sub_issues(
    Here(lab): Here,
    Path((owner, name, number)): Path<(String, String, u64)>,
    uri: Uri,
) -> Answer {
    let store = lab.store();
    page(&lab, &store, &uri, &owner, &name, &store.repository(&owner, &name)?.issue(number)?.sub_issues)
}

async fn show_parent(Here(lab): Here, Path((owner, name, number)): Path<(String, String, u64)>) -> Answer {
    let store = lab.store();
    let repository = store.repository(&owner, &name)?;
    let parent = parent(&store, repository, repository.issue(number)?);
    let (repository, issue) =
        parent.and_then(|parent| found(&store, &parent)).ok_or_else(Failure::not_found)?;
    ok(&lab.shapes(&store).issue(repository, issue))
}

/// Events and comments in the order of time.
async fn timeline(
    Here(lab): Here,
    Path((owner, name, number)): Path<(String, String, u64)>,
    uri: Uri,
) -> Answer {
    let store = lab.store();
    let (shapes, repository) = (lab.shapes(&store), store.repository(&owner, &name)?);
    let issue = repository.issue(number)?;
    let events = issue.events.iter().map(|event| (event.created_at, shapes.event(repository, event)));
    let comments = issue.comments.iter().map(|comment| {
        let mut shape = shapes.comment(repository, number, comment);
        shape["event"] = json!("commented");
        shape["actor"] = shape["user"].clone();
        (comment.created_at, shape)
    });
    let mut all: Vec<_> = events.chain(comments).collect();
    all.sort_by_key(|(at, _)| *at);
    List::of(&lab, &uri, repository).page(&all, |(_, shape)| shape.clone())
}
