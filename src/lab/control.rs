//! What tests and the demonstration do behind GitHub's back, under `/_lab/`.

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, Failure, no_content, ok, parse};
use super::faults::Fault;
use super::limits::Resource;
use super::progress::{self, LineComment, Rules, Thread};
use super::server::{Lab, Shared};
use super::store::{CheckRun, Issue, Repository, Review, Store, same};

pub(super) async fn handle(lab: &Shared, what: &str, request: Request) -> Answer {
    let method = request.method().clone();
    let what = what.to_owned();
    let signed = request.headers().contains_key(axum::http::header::AUTHORIZATION);
    let problem = |_| Failure::message(StatusCode::BAD_REQUEST, "cannot read the request");
    let body = to_bytes(request.into_body(), 16 * 1024 * 1024).await.map_err(problem)?;
    match (&method, what.as_str()) {
        (&Method::GET, "state") => state(lab).await,
        (&Method::POST, "faults") => {
            let faults: Vec<Fault> = parse(&body)?;
            lab.store().faults.extend(faults);
            no_content()
        }
        (&Method::DELETE, "faults") => {
            lab.store().faults.clear();
            no_content()
        }
        (&Method::DELETE, "requests") => {
            let mut store = lab.store();
            store.requests.clear();
            store.routes.clear();
            no_content()
        }
        (&Method::POST, "act") => super::act::answer(lab, &body),
        (&Method::POST, "checks") => check(lab, parse(&body)?),
        (&Method::POST, "reviews") => review(lab, parse(&body)?),
        (&Method::POST, "rules") => {
            let rules: Rules = parse(&body)?;
            if let Some(first) = lab.store().repositories.first_mut() {
                first.rules = rules;
            }
            no_content()
        }
        (&Method::GET, what) if what.starts_with("log/") => {
            progress::stored_log(lab, what.trim_start_matches("log/"), signed)
        }
        _ => Err(Failure::not_found()),
    }
}

async fn state(lab: &Lab) -> Answer {
    let names: Vec<(String, String)> =
        lab.store().repositories.iter().map(|one| (one.owner.clone(), one.name.clone())).collect();
    let mut refs = Vec::new();
    for (owner, name) in &names {
        super::pulls::refresh(lab, owner, name).await?;
        refs.push(lab.git.refs(&lab.place(owner, name)?).await?);
    }
    let store = lab.store();
    let repositories: Vec<Value> = store
        .repositories
        .iter()
        .zip(refs)
        .map(|(one, refs)| {
            let (pulls, issues): (Vec<&Issue>, Vec<&Issue>) =
                one.issues.values().partition(|issue| issue.pull.is_some());
            json!({
                "id": one.id, "owner": one.owner, "name": one.name, "default_branch": one.default_branch,
                "private": one.private, "labels": one.labels, "issues": issues, "pulls": pulls,
                "pushes": one.pushes, "checks": one.checks, "refs": refs,
            })
        })
        .collect();
    ok(&json!({
        "repositories": repositories, "viewer": store.viewer, "users": store.users.values().collect::<Vec<_>>(),
        "routes": store.routes, "requests": store.requests, "violations": store.meter.violations,
        "used": store.meter.used(Resource::Core), "points": store.meter.used(Resource::Graphql),
        "faults_left": store.faults.iter().map(|fault| fault.times).sum::<u64>(),
    }))
}

/// What CI says of a commit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewCheck {
    /// `owner/name`.
    repository: String,
    sha: String,
    #[serde(default = "default_check")]
    name: String,
    /// `success`, `failure`…; absent means that it still runs.
    conclusion: Option<String>,
    summary: Option<String>,
    /// What its job printed: it is one of GitHub's own CI.
    log: Option<String>,
    /// The workflow that its job belongs to: another's job may have the same name.
    workflow: Option<String>,
    /// What started that; `pull_request` where it is absent.
    event: Option<String>,
}

fn default_check() -> String {
    "ci".to_owned()
}

fn named<'a>(store: &'a mut Store, repository: &str) -> Result<&'a mut Repository, Failure> {
    let (owner, name) = repository.split_once('/').ok_or_else(Failure::not_found)?;
    store.repository_mut(owner, name)
}

fn check(lab: &Lab, new: NewCheck) -> Answer {
    let (at, mut store) = (lab.now(), lab.store());
    let id = store.next_id();
    let checks = &mut named(&mut store, &new.repository)?.checks;
    let NewCheck { sha, name, conclusion, summary, log, workflow, event, .. } = new;
    let workflow = workflow.map(|name| (name, event.unwrap_or_else(|| "pull_request".to_owned())));
    checks.retain(|one| one.sha != sha || one.workflow != workflow || !same(&one.name, &name));
    let status = if conclusion.is_some() { "completed" } else { "in_progress" }.to_owned();
    checks.push(CheckRun { id, sha, name, status, conclusion, summary, log, workflow, at });
    no_content()
}

/// What a reviewer says of a pull request's present head.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewReview {
    /// `owner/name`.
    repository: String,
    number: u64,
    user: String,
    /// `APPROVED`, `CHANGES_REQUESTED` or `COMMENTED`.
    state: String,
    #[serde(default)]
    body: String,
    /// What is said at lines.
    #[serde(default)]
    comments: Vec<AtLine>,
    /// When; now where absent.
    at: Option<crate::clock::Timestamp>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AtLine {
    path: String,
    line: Option<u64>,
    body: String,
}

/// Gives the ids of the review and of what was said at lines.
fn review(lab: &Lab, new: NewReview) -> Answer {
    let mut store = lab.store();
    let now = new.at.unwrap_or_else(|| lab.now());
    super::plant::know(&mut store, &new.user, "read");
    let id = store.next_id();
    let ids: Vec<u64> = new.comments.iter().map(|_| store.next_id()).collect();
    let issue = named(&mut store, &new.repository)?.issue_mut(new.number)?;
    let pull = issue.pull.as_mut().ok_or_else(Failure::not_found)?;
    let commit_id = pull.head_sha.clone().unwrap_or_default();
    let NewReview { user, state, body, comments, .. } = new;
    for (AtLine { path, line, body }, comment) in comments.into_iter().zip(&ids) {
        let (user, commit, edits) = (user.clone(), commit_id.clone(), Vec::new());
        let comment = LineComment { id: *comment, user, body, review: id, commit, edits, at: now };
        pull.talk.threads.push(Thread { path, line, resolved: false, comments: vec![comment] });
    }
    pull.asked.people.retain(|login| !same(login, &user));
    pull.reviews.push(Review { id, user, state, body, commit_id, submitted_at: now });
    issue.updated_at = now;
    ok(&json!({"id": id, "comments": ids}))
}
