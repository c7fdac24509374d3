//! What decides what becomes of a pull request: reviews, threads, checks, the rules of its base.

use serde_json::{Value, json};

use super::things::{Given, Out, Thing, World, maybe, plain};
use crate::lab::progress::{LineComment, Thread};
use crate::lab::store::{CheckRun, Issue, Pull, Repository, Review, State};

/// The kinds of what is drawn here.
const KINDS: [&str; 27] = [
    "App",
    "AutoMergeRequest",
    "CheckAnnotation",
    "CheckAnnotationConnection",
    "CheckAnnotationPosition",
    "CheckAnnotationSpan",
    "CheckRun",
    "CheckSuite",
    "Commit",
    "EnablePullRequestAutoMergePayload",
    "EnqueuePullRequestPayload",
    "MergeQueueEntry",
    "Mutation",
    "PullRequestReview",
    "PullRequestReviewComment",
    "PullRequestReviewCommentConnection",
    "PullRequestReviewConnection",
    "PullRequestReviewThread",
    "PullRequestReviewThreadConnection",
    "Ref",
    "RefUpdateRule",
    "RevertPullRequestPayload",
    "StatusCheckRollup",
    "StatusCheckRollupContextConnection",
    "PageInfo",
    "Workflow",
    "WorkflowRun",
];

/// What a drawn thing says that it is.
pub(super) fn kind(value: &Value) -> &'static str {
    let said = value["__typename"].as_str().unwrap_or_default();
    KINDS.into_iter().find(|kind| *kind == said).unwrap_or("Node")
}

/// A whole list, on one page.
fn connection(kind: &str, nodes: &[Value]) -> Value {
    json!({
        "__typename": kind, "totalCount": nodes.len(), "nodes": nodes,
        "pageInfo": {"__typename": "PageInfo", "hasNextPage": false, "hasPreviousPage": false,
            "startCursor": null, "endCursor": null},
    })
}

impl<'a> World<'a> {
    /// What a drawn thing has below a name. An actor is kept as `@login`, another thing as `#id`.
    pub(super) fn branch(&self, value: &Value, name: &str) -> Given<'a> {
        let one = |value: &Value| match value {
            Value::String(text) => match (text.strip_prefix("\u{0}@"), text.strip_prefix("\u{0}#")) {
                (Some(login), _) => self.actor(login),
                (_, Some(id)) => self.node(id).map(Out::Thing),
                _ => plain(value),
            },
            Value::Object(_) => Ok(Out::Thing(Thing::Tree(value.clone()))),
            _ => plain(value),
        };
        match &value[name] {
            Value::Array(items) => items.iter().map(one).collect::<Result<Vec<_>, _>>().map(Out::Many),
            single => one(single),
        }
    }

    /// What a pull request has of it; none for what is told elsewhere.
    pub(super) fn progress(
        &self,
        repository: &'a Repository,
        issue: &'a Issue,
        pull: &'a Pull,
        name: &str,
    ) -> Option<Given<'a>> {
        let open = issue.state == State::Open;
        let tree = |value: Value| maybe((!value.is_null()).then_some(Thing::Tree(value)));
        let head = pull.head_sha.as_deref().unwrap_or_default();
        Some(match name {
            "mergeable" => plain(match pull.talk.clean.filter(|_| open) {
                Some(true) => "MERGEABLE",
                Some(false) => "CONFLICTING",
                None => "UNKNOWN",
            }),
            "mergeStateStatus" => {
                let shapes = self.lab.shapes(self.store);
                plain(match pull.talk.clean.filter(|_| open) {
                    None => "UNKNOWN",
                    Some(false) => "DIRTY",
                    Some(true) if repository.refusal(pull, &shapes).is_some() => "BLOCKED",
                    Some(true) => "CLEAN",
                })
            }
            "isInMergeQueue" => plain(pull.talk.queued && open && repository.rules.queue),
            "isMergeQueueEnabled" => plain(repository.rules.queue),
            "autoMergeRequest" => {
                let on = json!({"__typename": "AutoMergeRequest", "enabledAt": issue.updated_at});
                tree(if pull.talk.auto_merge && open { on } else { Value::Null })
            }
            "mergeCommit" => {
                tree(pull.merge_commit_sha.as_deref().map_or(Value::Null, |sha| self.commit(repository, sha)))
            }
            "reviews" => {
                let drawn = pull.reviews.iter().map(|review| self.review(repository, review));
                tree(connection("PullRequestReviewConnection", &drawn.collect::<Vec<_>>()))
            }
            "reviewThreads" => {
                let drawn = pull.talk.threads.iter().enumerate().map(|(at, one)| thread(issue, at, one));
                tree(connection("PullRequestReviewThreadConnection", &drawn.collect::<Vec<_>>()))
            }
            "statusCheckRollup" => tree(self.rollup(repository, head)),
            "baseRef" => tree(json!({
                "__typename": "Ref", "id": format!("REF_{}", pull.base), "name": pull.base, "prefix": "refs/heads/",
                "refUpdateRule": {
                    "__typename": "RefUpdateRule", "requiredApprovingReviewCount": repository.rules.approvals,
                    "requiredStatusCheckContexts": repository.rules.required,
                },
                "target": self.commit(repository, &pull.base_sha),
            })),
            _ => return None,
        })
    }

    fn commit(&self, repository: &Repository, sha: &str) -> Value {
        json!({"__typename": "Commit", "id": format!("C_{sha}"), "oid": sha,
            "statusCheckRollup": self.rollup(repository, sha)})
    }

    /// Nothing where nobody has said anything.
    fn rollup(&self, repository: &Repository, sha: &str) -> Value {
        let runs: Vec<Value> = repository
            .checks
            .iter()
            .filter(|one| one.sha == sha)
            .map(|one| self.check(repository, one))
            .collect();
        if runs.is_empty() {
            return Value::Null;
        }
        json!({"__typename": "StatusCheckRollup", "id": format!("SCR_{sha}"),
            "contexts": connection("StatusCheckRollupContextConnection", &runs)})
    }

    /// A check run. One with a log or a workflow is a job of GitHub's own CI.
    pub(super) fn check(&self, repository: &Repository, check: &CheckRun) -> Value {
        let done = check.conclusion.is_some();
        let is_job = check.log.is_some() || check.workflow.is_some();
        let app = if is_job { "github-actions" } else { "some-ci" };
        let workflow = check.workflow.as_ref().map(|(name, event)| {
            json!({"__typename": "WorkflowRun", "id": format!("WFR_{}", check.id), "event": event,
                "workflow": {"__typename": "Workflow", "id": format!("W_{name}"), "name": name}})
        });
        let details = format!("{}/{}/actions/runs/1/job/{}", self.lab.base, repository.full_name(), check.id);
        let annotations = [json!({
            "__typename": "CheckAnnotation", "annotationLevel": "FAILURE", "message": "it is wrong here",
            "path": "src/widget.txt", "title": null,
            "location": {"__typename": "CheckAnnotationSpan",
                "start": {"__typename": "CheckAnnotationPosition", "line": 1}},
        })];
        let failed = check.conclusion.as_deref() == Some("failure");
        json!({
            "__typename": "CheckRun", "id": format!("CR_{}", check.id), "name": check.name,
            "status": if done { "COMPLETED" } else { "IN_PROGRESS" },
            "conclusion": check.conclusion.as_deref().map(str::to_uppercase),
            "startedAt": check.at, "completedAt": done.then_some(check.at), "detailsUrl": details,
            "databaseId": i32::try_from(check.id).ok(), "title": check.name, "summary": check.summary, "text": null,
            "isRequired": repository.rules.required.contains(&check.name),
            "checkSuite": {"__typename": "CheckSuite", "id": format!("CS_{}", check.id),
                "app": {"__typename": "App", "id": format!("A_{app}"), "slug": app}, "workflowRun": workflow},
            "annotations": connection("CheckAnnotationConnection", &annotations[..usize::from(failed)]),
        })
    }

    fn review(&self, repository: &Repository, review: &Review) -> Value {
        json!({
            "__typename": "PullRequestReview", "id": format!("PRR_{}", review.id), "body": review.body,
            "author": format!("\u{0}@{}", review.user), "state": review.state, "isMinimized": false,
            "editor": null, "lastEditedAt": null, "createdAt": review.submitted_at,
            "submittedAt": review.submitted_at, "updatedAt": review.submitted_at,
            "commit": self.commit(repository, &review.commit_id),
        })
    }
}

fn thread(issue: &Issue, at: usize, thread: &Thread) -> Value {
    let comment = |comment: &LineComment| {
        let edit = comment.edits.last();
        json!({
            "__typename": "PullRequestReviewComment", "id": format!("PRRC_{}", comment.id), "body": comment.body,
            "author": format!("\u{0}@{}", comment.user), "fullDatabaseId": comment.id.to_string(),
            "state": "SUBMITTED", "isMinimized": false, "lastEditedAt": edit.map(|edit| edit.at),
            "editor": edit.map(|edit| format!("\u{0}@{}", edit.editor)),
            "createdAt": comment.at, "updatedAt": edit.map_or(comment.at, |edit| edit.at),
        })
    };
    let comments: Vec<Value> = thread.comments.iter().map(comment).collect();
    json!({
        "__typename": "PullRequestReviewThread", "id": format!("PRRT_{}_{at}", issue.id),
        "isResolved": thread.resolved, "path": thread.path, "line": thread.line,
        "comments": connection("PullRequestReviewCommentConnection", &comments),
    })
}
