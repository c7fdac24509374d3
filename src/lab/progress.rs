//! What becomes of a pull request besides its merge: threads at its lines, who is asked to review it, checks and their
//! logs, the rules of its base, the queue. REST here; GraphQL reads the same.

use std::path::Path as Place;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::{Answer, Failure, created, parse};
use super::git::Git;
use super::links::List;
use super::server::{Here, Lab, Link};
use super::shapes::Shapes;
use super::store::{CheckRun, Edit, Pull, Repository};
use super::{identity, merge};
use crate::clock::Timestamp;
use crate::error::Result as Outcome;

pub(super) fn routes() -> Router<Link> {
    Router::new()
        .route("/repos/{owner}/{repo}/pulls/{number}/comments", get(comments))
        .route("/repos/{owner}/{repo}/pulls/{number}/comments/{id}/replies", post(reply))
        .route("/repos/{owner}/{repo}/actions/jobs/{id}/logs", get(log))
}

/// What is said and wished at a pull request.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Talk {
    pub threads: Vec<Thread>,
    pub auto_merge: bool,
    pub queued: bool,
    /// Whether it can be merged, as last found out.
    #[serde(skip)]
    pub clean: Option<bool>,
}

/// A conversation at a line.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Thread {
    pub path: String,
    pub line: Option<u64>,
    pub resolved: bool,
    pub comments: Vec<LineComment>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct LineComment {
    pub id: u64,
    pub user: String,
    pub body: String,
    pub review: u64,
    pub commit: String,
    pub edits: Vec<Edit>,
    pub at: Timestamp,
}

/// What the base's protection and the repository's settings say.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Rules {
    /// Checks that must be green.
    pub required: Vec<String>,
    pub approvals: u64,
    pub auto_merge: bool,
    pub queue: bool,
    /// A GitHub that does not know `revertPullRequest`.
    pub no_reverts: bool,
}

impl CheckRun {
    pub(super) fn is_green(&self) -> bool {
        matches!(self.conclusion.as_deref(), Some("success" | "neutral" | "skipped"))
    }
}

impl Repository {
    /// What of the rules speaks against a merge, in GitHub's words.
    pub(super) fn refusal(&self, pull: &Pull, shapes: &Shapes<'_>) -> Option<String> {
        let head = pull.head_sha.as_deref().unwrap_or_default();
        let green = |name: &&String| {
            self.checks.iter().any(|one| one.sha == head && one.name == **name && one.is_green())
        };
        if let Some(missing) = self.rules.required.iter().find(|name| !green(name)) {
            return Some(format!("Required status check \"{missing}\" is expected."));
        }
        let approves = |one: &&super::store::Review| {
            one.state == "APPROVED" && one.commit_id == head && shapes.store.user(&one.user).may("write")
        };
        let approvals = pull.reviews.iter().filter(approves).count();
        (u64::try_from(approvals).unwrap_or(0) < self.rules.approvals).then(|| {
            let wanted = self.rules.approvals;
            format!("At least {wanted} approving review is required by reviewers with write access.")
        })
    }

    /// The thread that a comment is in, and the pull request's number.
    pub(super) fn thread_of(&mut self, id: u64) -> Result<&mut Thread, Failure> {
        let pulls = self.issues.values_mut().filter_map(|issue| issue.pull.as_mut());
        let mut threads = pulls.flat_map(|pull| &mut pull.talk.threads);
        threads
            .find(|thread| thread.comments.iter().any(|comment| comment.id == id))
            .ok_or_else(Failure::not_found)
    }
}

/// Finds out which open pull requests can be merged: what GraphQL is asked for next.
pub(super) async fn refresh(lab: &Lab) -> Result<(), Failure> {
    let names: Vec<(String, String)> =
        lab.store().repositories.iter().map(|one| (one.owner.clone(), one.name.clone())).collect();
    for (owner, name) in names {
        super::pulls::refresh(lab, &owner, &name).await?;
        let place = lab.place(&owner, &name)?;
        let pulls: Vec<(u64, String, String)> = {
            let store = lab.store();
            let issues = store.repository(&owner, &name)?.issues.values();
            let open = issues.filter(|issue| issue.state == super::store::State::Open);
            let ends = open.filter_map(|issue| {
                let pull = issue.pull.as_ref()?;
                Some((issue.number, pull.base_sha.clone(), pull.head_sha.clone()?))
            });
            ends.collect()
        };
        for (number, base, head) in pulls {
            let clean = merge::tree(&lab.git, &place, &base, &head).await?.is_some();
            let mut store = lab.store();
            if let Some(pull) = &mut store.repository_mut(&owner, &name)?.issue_mut(number)?.pull {
                pull.talk.clean = Some(clean);
            }
        }
    }
    Ok(())
}

/// The commit that takes `merged` back, on the end of `base`; none where that conflicts.
pub(super) async fn taken_back(
    git: &Git,
    place: &Place,
    base: &str,
    merged: &str,
    message: &str,
    now: Timestamp,
) -> Outcome<Option<String>> {
    let (from, before) = (format!("--merge-base={merged}"), format!("{merged}^1"));
    let output = git.run(place, &["merge-tree", "--write-tree", &from, base, &before], b"").await?;
    if !output.status.success() {
        return Ok(None);
    }
    let tree = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    git.commit_tree(place, &tree, &[base], message, now).await.map(Some)
}

async fn comments(
    Here(lab): Here,
    Path((owner, name, number)): Path<(String, String, u64)>,
    uri: Uri,
) -> Answer {
    let store = lab.store();
    let (shapes, repository) = (lab.shapes(&store), store.repository(&owner, &name)?);
    let threads = &repository.pull(number)?.1.talk.threads;
    let all: Vec<(&Thread, &LineComment)> =
        threads.iter().flat_map(|thread| thread.comments.iter().map(move |one| (thread, one))).collect();
    let list = List::of(&lab, &uri, repository);
    list.page(&all, |(thread, comment)| shapes.line_comment(repository, number, thread, comment))
}

#[derive(Debug, Deserialize)]
struct Body {
    body: String,
}

async fn reply(
    Here(lab): Here,
    Path((owner, name, number, id)): Path<(String, String, u64, u64)>,
    body: Bytes,
) -> Answer {
    let (Body { body }, now): (Body, _) = (parse(&body)?, lab.now());
    let mut store = lab.store();
    let (new, user) = (store.next_id(), identity::asker(&store).login);
    let repository = store.repository_mut(&owner, &name)?;
    repository.pull(number)?;
    let thread = repository.thread_of(id)?;
    // Only the first of a thread can be replied to.
    let first = thread.comments.first().filter(|first| first.id == id).ok_or_else(Failure::not_found)?;
    let (review, commit) = (first.review, first.commit.clone());
    thread.comments.push(LineComment { id: new, user, body, review, commit, edits: Vec::new(), at: now });
    repository.issue_mut(number)?.updated_at = now;
    let (shapes, repository) = (lab.shapes(&store), store.repository(&owner, &name)?);
    let threads = &repository.pull(number)?.1.talk.threads;
    let made = threads.iter().find_map(|thread| {
        let comment = thread.comments.iter().find(|comment| comment.id == new)?;
        Some(shapes.line_comment(repository, number, thread, comment))
    });
    created(&made.unwrap_or_default())
}

/// Leads to another server, as GitHub does.
async fn log(Here(lab): Here, Path((owner, name, id)): Path<(String, String, u64)>) -> Answer {
    let store = lab.store();
    let checks = &store.repository(&owner, &name)?.checks;
    checks.iter().find(|check| check.id == id && check.log.is_some()).ok_or_else(Failure::not_found)?;
    let elsewhere = lab.base.replace("127.0.0.1", "localhost");
    let mut response = StatusCode::FOUND.into_response();
    if let Ok(location) = HeaderValue::try_from(format!("{elsewhere}/_lab/log/{id}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// The server that holds the logs. It knows no token of GitHub's, and refuses whoever brings one.
pub(super) fn stored_log(lab: &Lab, id: &str, signed: bool) -> Answer {
    if signed {
        return Err(Failure::message(StatusCode::BAD_REQUEST, "InvalidAuthenticationInfo"));
    }
    let store = lab.store();
    let mut checks = store.repositories.iter().flat_map(|one| &one.checks);
    let found = checks.find(|check| check.id.to_string() == id);
    let text = found.and_then(|check| check.log.clone()).ok_or_else(Failure::not_found)?;
    let response: Response = ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response();
    Ok(response)
}

impl Shapes<'_> {
    /// A comment at a line, as REST shows it.
    pub(super) fn line_comment(
        &self,
        repository: &Repository,
        number: u64,
        thread: &Thread,
        comment: &LineComment,
    ) -> Value {
        let pull = format!("{}/repos/{}/pulls/{number}", self.base, repository.full_name());
        let url = format!("{}/repos/{}/pulls/comments/{}", self.base, repository.full_name(), comment.id);
        let html =
            format!("{}/{}/pull/{number}#discussion_r{}", self.base, repository.full_name(), comment.id);
        let first = thread.comments.first().map(|first| first.id).filter(|first| *first != comment.id);
        let mut shape = json!({
            "id": comment.id, "node_id": format!("PRRC_{}", comment.id), "url": url, "html_url": html,
            "pull_request_review_id": comment.review, "diff_hunk": "@@ -1 +1 @@", "path": thread.path,
            "commit_id": comment.commit, "original_commit_id": comment.commit, "user": self.user(&comment.user),
            "body": comment.body, "created_at": comment.at, "updated_at": comment.at, "pull_request_url": pull,
            "author_association": self.store.association(&repository.owner, &comment.user),
            "_links": {"self": {"href": url}, "html": {"href": html}, "pull_request": {"href": pull}},
            "line": thread.line, "original_line": thread.line, "side": "RIGHT", "subject_type": "line",
        });
        if let Some(first) = first {
            shape["in_reply_to_id"] = json!(first);
        }
        if thread.line.is_none() {
            for name in ["line", "original_line"] {
                shape.as_object_mut().map(|shape| shape.remove(name));
            }
        }
        shape
    }
}
