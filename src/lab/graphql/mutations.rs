//! What GraphQL changes: auto-merge, the merge queue, reverts.

use async_graphql_parser::types::Selection;
use async_graphql_value::ConstValue;
use serde_json::{Value, json};

use super::Problem;
use super::check::Plan;
use crate::lab::answer::Failure;
use crate::lab::reviewers::Asked;
use crate::lab::server::Lab;
use crate::lab::store::{Issue, Pull};
use crate::lab::{progress, pulls};

/// Does what the only field of a mutation asks for; gives what the answer is selected from.
pub(super) async fn perform(lab: &Lab, plan: &Plan<'_>) -> Result<Result<Value, Problem>, Failure> {
    let items = &plan.operation.selection_set.node.items;
    let Some(Selection::Field(field)) = items.first().map(|item| &item.node) else {
        return Ok(Err(refused("A mutation has a field")));
    };
    let known = |name: &str| plan.variables.get(name).cloned().unwrap_or(Value::Null);
    let input = field
        .node
        .get_argument("input")
        .map(|input| input.node.clone().into_const_with(|name| ConstValue::from_json(known(name.as_str()))));
    let input = input.and_then(Result::ok).and_then(|input| input.into_json().ok()).unwrap_or_default();
    let name = field.node.name.node.to_string();
    let found = place(lab, input["pullRequestId"].as_str().unwrap_or_default());
    let Some((owner, repo, number, pull)) = found else {
        let id = input["pullRequestId"].as_str().unwrap_or_default();
        let message = format!("Could not resolve to a node with the global id of '{id}'");
        return Ok(Err(Problem::not_found(message)));
    };
    let id = format!("PR_{}", pull.id);
    let done = match name.as_str() {
        "revertPullRequest" => revert(lab, (&owner, &repo, number), &pull, &input).await?,
        _ => wish(lab, (&owner, &repo, number), &pull, &name, &input)?,
    };
    Ok(done.map(|mut payload| {
        payload["pullRequest"] = json!(format!("\u{0}#{id}"));
        json!({"__typename": "Mutation", name: payload})
    }))
}

fn refused(message: &str) -> Problem {
    Problem::of("UNPROCESSABLE", message.to_owned())
}

/// Where a pull request is, by its node id.
fn place(lab: &Lab, id: &str) -> Option<(String, String, u64, Issue)> {
    let store = lab.store();
    store.repositories.iter().find_map(|one| {
        let found =
            one.issues.values().find(|issue| issue.pull.is_some() && format!("PR_{}", issue.id) == id)?;
        Some((one.owner.clone(), one.name.clone(), found.number, found.clone()))
    })
}

/// Auto-merge and the queue.
fn wish(
    lab: &Lab,
    (owner, repo, number): (&str, &str, u64),
    issue: &Issue,
    name: &str,
    input: &Value,
) -> Result<Result<Value, Problem>, Failure> {
    let mut store = lab.store();
    let pull = issue.pull.as_ref().ok_or_else(Failure::not_found)?;
    if input["expectedHeadOid"].as_str().is_some_and(|head| Some(head) != pull.head_sha.as_deref()) {
        return Ok(Err(refused("Head branch was modified. Review and try the merge again.")));
    }
    let repository = store.repository(owner, repo)?;
    let refusal = repository.refusal(pull, &lab.shapes(&store));
    let (auto, queue) = (repository.rules.auto_merge, repository.rules.queue);
    let is_auto = name == "enablePullRequestAutoMerge";
    if is_auto && !auto {
        return Ok(Err(refused("Auto merge is not allowed for this repository")));
    }
    if is_auto && refusal.is_none() {
        return Ok(Err(refused("Pull request Pull request is in clean status")));
    }
    if !is_auto && !queue {
        return Ok(Err(refused("Pull request has no merge queue")));
    }
    if let Some(pull) = &mut store.repository_mut(owner, repo)?.issue_mut(number)?.pull {
        if is_auto {
            pull.talk.auto_merge = true;
        } else {
            pull.talk.queued = true;
        }
    }
    Ok(Ok(if is_auto {
        json!({"__typename": "EnablePullRequestAutoMergePayload", "clientMutationId": null})
    } else {
        let entry = json!({"__typename": "MergeQueueEntry", "id": format!("MQE_{number}")});
        json!({"__typename": "EnqueuePullRequestPayload", "clientMutationId": null, "mergeQueueEntry": entry})
    }))
}

async fn revert(
    lab: &Lab,
    (owner, repo, number): (&str, &str, u64),
    issue: &Issue,
    input: &Value,
) -> Result<Result<Value, Problem>, Failure> {
    let pull = issue.pull.as_ref().ok_or_else(Failure::not_found)?;
    if lab.store().repository(owner, repo)?.rules.no_reverts {
        let message = "Field 'revertPullRequest' doesn't exist on type 'Mutation'".to_owned();
        return Ok(Err(Problem::document(
            "undefinedField",
            message,
            async_graphql_parser::Pos { line: 1, column: 1 },
        )));
    }
    let Some(merged) = pull.merge_commit_sha.as_deref() else {
        return Ok(Err(refused("Pull request is not merged")));
    };
    let (place, now) = (lab.place(owner, repo)?, lab.now());
    let head = format!("revert-{number}-{}", pull.head);
    let refs = lab.git.refs(&place).await?;
    let base_sha = refs.get(&format!("refs/heads/{}", pull.base)).cloned().unwrap_or_default();
    let title = input["title"].as_str().map_or_else(|| format!("Revert \"{}\"", issue.title), str::to_owned);
    let made = progress::taken_back(&lab.git, &place, &base_sha, merged, &title, now).await?;
    let Some(head_sha) = made else {
        return Ok(Err(refused("Sorry, this pull request couldn't be reverted automatically.")));
    };
    lab.git.text(&place, &["update-ref", &format!("refs/heads/{head}"), &head_sha], b"").await?;
    let new = Pull {
        head,
        base: pull.base.clone(),
        head_sha: Some(head_sha),
        base_sha,
        draft: false,
        merged_at: None,
        merged_by: None,
        merge_commit_sha: None,
        reviews: Vec::new(),
        asked: Asked::default(),
        talk: progress::Talk::default(),
    };
    let body = input["body"].as_str().map(str::to_owned);
    let number = pulls::enter(lab, owner, repo, (title, body), new, 1)?;
    let id = lab.store().repository(owner, repo)?.issue(number)?.id;
    Ok(Ok(json!({
        "__typename": "RevertPullRequestPayload", "clientMutationId": null,
        "revertPullRequest": format!("\u{0}#PR_{id}"),
    })))
}
