//! A pull request with everything that decides what becomes of it: one request. Answers to its threads.

use serde_json::{Value, json};

use super::details::data;
use super::verdict::{LATER, is_missing};
use super::{Client, Repeat, checks, comments, document, roles};
use crate::clock::Timestamp;
use crate::error::{Error, Kind, Result};
use crate::record::checks::Checks;
use crate::record::merge::{Way, Ways};
use crate::record::review::{self, Place, Remark, Vote};
use crate::record::trust::{Actor, ActorKind, Edit, Permissions};
use crate::record::{Extra, PullRequest};

/// A pull request, and what is said of it.
#[derive(Debug, Clone)]
pub struct Progress {
    /// GitHub's node id.
    pub id: String,
    /// As a record has it; `head_sha` is the end of its branch.
    pub pull_request: PullRequest,
    /// Its title; untrusted text.
    pub title: String,
    /// Its branch.
    pub branch: String,
    /// The branch it goes to.
    pub base: String,
    /// The end of that; empty where it is gone.
    pub base_sha: String,
    /// The login of who opened it.
    pub author: Option<String>,
    /// Whether it conflicts with its base; none where GitHub has not found out.
    pub conflicts: Option<bool>,
    /// Whether GitHub's rules hold it.
    pub blocked: bool,
    /// What CI says of it.
    pub checks: Checks,
    /// What CI says of its base.
    pub base_checks: Checks,
    /// Approvals that the base's protection asks for.
    pub approvals_wanted: u32,
    /// Everything that was said, by whomever.
    pub remarks: Vec<Remark>,
    /// Whether there are reviews or threads before those that were read.
    pub unread: bool,
    /// What the repository has besides a plain merge.
    pub ways: Ways,
    /// The commit by which it was merged.
    pub merge_commit: Option<String>,
}

/// Reads a pull request. Never from the cache.
pub fn progress(client: &Client, repo: &str, number: u64) -> Result<Progress> {
    let (owner, name) = repo.split_once('/').unwrap_or_default();
    let variables = json!({ "owner": owner, "name": name, "number": number });
    let answer = client.query(document::PROGRESS, &variables)?;
    let hidden = checks::hidden(&answer);
    let repository = data(answer)?["repository"].take();
    let pull = &repository["pullRequest"];
    if !pull.is_object() {
        let message = format!("pull request #{number} of {repo} is not there, or not visible to this token");
        return Err(Error::new(Kind::NotPermitted, message)
            .hint("check the repository's name (--repo) and the token's permissions"));
    }
    read(pull, repository["autoMergeAllowed"] == true, hidden).ok_or_else(|| {
        Error::new(Kind::Unavailable, "GitHub's answer is not what its schema says").hint(LATER)
    })
}

fn read(pull: &Value, auto_allowed: bool, hidden: Option<String>) -> Option<Progress> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let base = &pull["baseRef"];
    let rule = &base["refUpdateRule"];
    let required = rule["requiredStatusCheckContexts"].as_array().into_iter().flatten();
    let required: Vec<String> = required.filter_map(text).collect();
    let pull_request = PullRequest {
        number: pull["number"].as_u64()?,
        url: text(&pull["url"])?,
        head_sha: text(&pull["headRefOid"])?,
        state: pull["state"].as_str()?.to_lowercase(),
        draft: pull["isDraft"].as_bool()?,
        checks: None,
        review: None,
        extra: Extra::new(),
    };
    let checks = checks::of(&pull["statusCheckRollup"], required.clone(), hidden.clone());
    // Rulesets name theirs only at the checks of a pull request.
    let named = checks.seen.iter().filter(|check| check.required).map(|check| check.name.clone());
    let required = required.into_iter().chain(named).collect();
    let base_checks = checks::of(&base["target"]["statusCheckRollup"], required, hidden);
    Some(Progress {
        id: text(&pull["id"])?,
        pull_request,
        title: text(&pull["title"]).unwrap_or_default(),
        branch: text(&pull["headRefName"])?,
        base: text(&pull["baseRefName"])?,
        base_sha: text(&base["target"]["oid"]).unwrap_or_default(),
        author: text(&pull["author"]["login"]),
        conflicts: match pull["mergeable"].as_str() {
            Some("CONFLICTING") => Some(true),
            Some("MERGEABLE") => Some(false),
            _ => None,
        },
        blocked: pull["mergeStateStatus"] == "BLOCKED",
        checks,
        base_checks,
        approvals_wanted: rule["requiredApprovingReviewCount"]
            .as_u64()
            .unwrap_or(0)
            .try_into()
            .unwrap_or(u32::MAX),
        remarks: remarks(pull),
        unread: is_unread(pull),
        ways: Ways {
            auto: way(auto_allowed, pull["autoMergeRequest"].is_object()),
            queue: way(pull["isMergeQueueEnabled"] == true, pull["isInMergeQueue"] == true),
        },
        merge_commit: text(&pull["mergeCommit"]["oid"]),
    })
}

fn way(is_there: bool, is_taken: bool) -> Way {
    match (is_there, is_taken) {
        (_, true) => Way::Taken,
        (true, false) => Way::Open,
        (false, false) => Way::Absent,
    }
}

fn nodes(connection: &Value) -> impl Iterator<Item = &Value> {
    connection["nodes"].as_array().into_iter().flatten()
}

fn is_unread(pull: &Value) -> bool {
    let lists = [&pull["reviews"], &pull["reviewThreads"]];
    lists.iter().any(|list| list["pageInfo"]["hasPreviousPage"] == true)
}

fn remarks(pull: &Value) -> Vec<Remark> {
    let reviews = nodes(&pull["reviews"]).filter(|node| node["state"] != "PENDING").filter_map(|node| {
        let vote = match node["state"].as_str()? {
            "APPROVED" => Vote::Approved,
            "CHANGES_REQUESTED" => Vote::ChangesRequested,
            "COMMENTED" => Vote::Commented,
            _ => Vote::Void,
        };
        remark(node, Place::Review(vote))
    });
    let lines = nodes(&pull["reviewThreads"]).flat_map(|thread| {
        let first = nodes(&thread["comments"]).next().and_then(|first| id(&first["fullDatabaseId"]));
        nodes(&thread["comments"]).filter(|node| node["state"] != "PENDING").filter_map(move |node| {
            let place = Place::Line {
                path: thread["path"].as_str().unwrap_or_default().to_owned(),
                line: thread["line"].as_u64(),
                thread: first?,
                resolved: thread["isResolved"] == true,
            };
            remark(node, place)
        })
    });
    let talk = nodes(&pull["comments"]).filter_map(|node| remark(node, Place::Talk));
    reviews.chain(lines).chain(talk).collect()
}

/// A `BigInt` comes as text or as a number.
fn id(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn actor(node: &Value) -> Option<Actor> {
    let kind = serde_json::from_value(node["__typename"].clone()).unwrap_or(ActorKind::Unknown);
    Some(Actor { login: node["login"].as_str()?.to_owned(), kind })
}

fn moment(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

fn remark(node: &Value, place: Place) -> Option<Remark> {
    let at = moment(&node["submittedAt"]).or_else(|| moment(&node["createdAt"]))?;
    let edited = moment(&node["lastEditedAt"]);
    Some(Remark {
        key: node["id"].as_str()?.to_owned(),
        place,
        author: actor(&node["author"]),
        edit: edited.map(|at| Edit { at, editor: actor(&node["editor"]) }),
        minimized: node["isMinimized"] != false,
        body: node["body"].as_str()?.to_owned(),
        at,
        // What a review's thread does changes the review's own moment as well: an edit is what counts.
        updated_at: edited.unwrap_or(at),
        commit: node["commit"]["oid"].as_str().map(str::to_owned),
    })
}

/// What everybody who said something may do in the repository. Costs nothing of the rate limit where nothing has
/// changed.
pub fn permissions(client: &Client, repo: &str, remarks: &[Remark]) -> Result<Permissions> {
    let mut permissions = Permissions::default();
    for login in review::people(remarks) {
        if let Some(role) = roles::role_name(client, repo, &login)? {
            permissions.insert(&login, role);
        }
    }
    Ok(permissions)
}

/// Answers the thread that a comment begins, unless it has been answered. `marker` is what nobody sees; `confirm` is
/// asked once more before it is said. A thread that is gone needs no answer.
pub fn answer_once(
    client: &Client,
    (repo, number): (&str, u64),
    thread: u64,
    (marker, text): (&str, &str),
    confirm: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let path = format!("repos/{repo}/pulls/{number}/comments");
    let there = || comments::marked_in(client, &path, marker);
    if there()?.is_some() {
        return Ok(());
    }
    confirm()?;
    let url = client.address(&format!("repos/{repo}/pulls/{number}/comments/{thread}/replies"), &[])?;
    let body = json!({ "body": format!("{text}\n\n{marker}") });
    match client.create(&url, &body, &Repeat::Unless(&there)) {
        Err(error) if is_missing(&error) => Ok(()),
        answered => answered.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_read_is_noticed() {
        let list = |before: bool| json!({"pageInfo": {"hasPreviousPage": before}, "nodes": []});
        for (reviews, threads) in [(false, false), (true, false), (false, true)] {
            let pull = json!({"reviews": list(reviews), "reviewThreads": list(threads)});
            assert_eq!(is_unread(&pull), reviews || threads, "{pull}");
        }
    }
}
