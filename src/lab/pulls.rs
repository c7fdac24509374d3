//! Pull requests. Their heads are what the bare repository says at the moment of the answer.

use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::Uri;
use axum::routing::{get, put};
use serde::Deserialize;
use serde_json::json;

use super::answer::{Answer, Failure, created, ok, parse};
use super::issues::fresh;
use super::links::{self, List};
use super::merge;
use super::reviewers::Asked;
use super::server::{Here, Lab, Link};
use super::store::{Issue, Pull, State, same};

pub(super) fn routes() -> Router<Link> {
    Router::new()
        .route("/repos/{owner}/{repo}/pulls", get(list).post(create))
        .route("/repos/{owner}/{repo}/pulls/{number}", get(show).patch(edit))
        .route("/repos/{owner}/{repo}/pulls/{number}/merge", put(merge::merge))
        .route("/repos/{owner}/{repo}/pulls/{number}/reviews", get(reviews))
}

/// Follows the branches of the open pull requests: a new push moves the head, a deleted branch closes.
pub(super) async fn refresh(lab: &Lab, owner: &str, name: &str) -> Result<(), Failure> {
    let followed = |issue: &Issue| {
        issue.state == State::Open && issue.pull.as_ref().is_some_and(|pull| pull.head_sha.is_some())
    };
    if !lab.store().repository(owner, name)?.issues.values().any(followed) {
        return Ok(());
    }
    let refs = lab.git.refs(&lab.place(owner, name)?).await?;
    let (now, mut store) = (lab.now(), lab.store());
    let mut orphans = Vec::new();
    for issue in store.repository_mut(owner, name)?.issues.values_mut().filter(|issue| followed(issue)) {
        let Some(pull) = &mut issue.pull else { continue };
        if let Some(base) = refs.get(&format!("refs/heads/{}", pull.base)) {
            pull.base_sha.clone_from(base);
        }
        match refs.get(&format!("refs/heads/{}", pull.head)) {
            None => orphans.push(issue.number),
            head if head == pull.head_sha.as_ref() => {}
            head => {
                pull.head_sha = head.cloned();
                issue.updated_at = now;
            }
        }
    }
    for number in orphans {
        store.set_state(owner, name, number, now, State::Closed, None)?;
    }
    Ok(())
}

async fn list(Here(lab): Here, Path((owner, name)): Path<(String, String)>, uri: Uri) -> Answer {
    refresh(&lab, &owner, &name).await?;
    let query = links::query(&uri);
    let text = |name: &str| query.get(name).map_or("", String::as_str);
    let (state, base) = (text("state"), text("base"));
    // Without an owner GitHub ignores the filter, and so do we: it is how cq would notice its mistake.
    let head = text("head").split_once(':');
    let takes = |issue: &&Issue| {
        let Some(pull) = &issue.pull else { return false };
        let state = match state {
            "all" => true,
            "closed" => issue.state == State::Closed,
            _ => issue.state == State::Open,
        };
        let head = head.is_none_or(|(user, branch)| same(user, &owner) && branch == pull.head);
        state && head && (base.is_empty() || base == pull.base)
    };
    let store = lab.store();
    let (shapes, repository) = (lab.shapes(&store), store.repository(&owner, &name)?);
    let mut issues: Vec<&Issue> = repository.issues.values().filter(takes).collect();
    if text("sort") == "updated" {
        issues.sort_by_key(|issue| (issue.updated_at, issue.number));
    }
    if text("direction") != "asc" {
        issues.reverse();
    }
    let pulls: Vec<(&Issue, &Pull)> =
        issues.iter().filter_map(|issue| Some((*issue, issue.pull.as_ref()?))).collect();
    let list = List::of(&lab, &uri, repository);
    list.page(&pulls, |(issue, pull)| shapes.pull(repository, issue, pull))
}

#[derive(Debug, Deserialize)]
struct New {
    title: Option<String>,
    body: Option<String>,
    head: Option<String>,
    base: Option<String>,
    #[serde(default)]
    draft: bool,
}

async fn create(Here(lab): Here, Path((owner, name)): Path<(String, String)>, body: Bytes) -> Answer {
    refresh(&lab, &owner, &name).await?;
    let new: New = parse(&body)?;
    let field = |field, code| Failure::field("PullRequest", field, code);
    let given = |value: Option<String>, name| {
        value.filter(|value| !value.is_empty()).ok_or_else(|| field(name, "missing_field"))
    };
    let (title, head, base) =
        (given(new.title, "title")?, given(new.head, "head")?, given(new.base, "base")?);
    let head = match head.split_once(':') {
        Some((user, branch)) if same(user, &owner) => branch.to_owned(),
        Some(_) => return Err(field("head", "invalid")),
        None => head,
    };
    let place = lab.place(&owner, &name)?;
    let refs = lab.git.refs(&place).await?;
    let sha = |branch: &str| refs.get(&format!("refs/heads/{branch}")).cloned();
    let head_sha = sha(&head).ok_or_else(|| field("head", "invalid"))?;
    let base_sha = sha(&base).ok_or_else(|| field("base", "invalid"))?;
    let ahead = merge::ahead(&lab.git, &place, &base_sha, &head_sha).await?;
    let pull = Pull {
        head,
        base,
        head_sha: Some(head_sha),
        base_sha,
        draft: new.draft,
        merged_at: None,
        merged_by: None,
        merge_commit_sha: None,
        reviews: Vec::new(),
        asked: Asked::default(),
        talk: super::progress::Talk::default(),
    };
    let number = enter(&lab, &owner, &name, (title, new.body), pull, ahead)?;
    created(&whole(&lab, &owner, &name, number).await?)
}

/// Takes a new pull request in, unless there is nothing in it or it is there already.
pub(super) fn enter(
    lab: &Lab,
    owner: &str,
    name: &str,
    (title, body): (String, Option<String>),
    pull: Pull,
    ahead: u64,
) -> Result<u64, Failure> {
    let (now, mut store) = (lab.now(), lab.store());
    let (id, user) = (store.next_id(), super::identity::asker(&store).login);
    let repository = store.repository_mut(owner, name)?;
    let twin = |issue: &Issue| {
        let same = |other: &Pull| other.head == pull.head && other.base == pull.base;
        issue.state == State::Open && issue.pull.as_ref().is_some_and(same)
    };
    if repository.issues.values().any(twin) {
        let message = format!("A pull request already exists for {}:{}.", repository.owner, pull.head);
        return Err(Failure::custom("PullRequest", &message));
    }
    if ahead == 0 {
        let message = format!("No commits between {} and {}", pull.base, pull.head);
        return Err(Failure::custom("PullRequest", &message));
    }
    let number = repository.next_number();
    let mut issue = fresh(id, number, title, body, user, now);
    issue.pull = Some(pull);
    repository.issues.insert(number, issue);
    Ok(number)
}

async fn show(Here(lab): Here, Path((owner, name, number)): Path<(String, String, u64)>) -> Answer {
    refresh(&lab, &owner, &name).await?;
    ok(&whole(&lab, &owner, &name, number).await?)
}

/// A pull request with what only the single one says: its size and whether it can be merged.
async fn whole(lab: &Lab, owner: &str, name: &str, number: u64) -> Result<serde_json::Value, Failure> {
    let pull = lab.store().repository(owner, name)?.pull(number)?.1.clone();
    let place = lab.place(owner, name)?;
    let open = lab.store().repository(owner, name)?.issue(number)?.state == State::Open;
    let (size, mergeable) = match &pull.head_sha {
        Some(head) => {
            let size = merge::size(&lab.git, &place, &pull.base_sha, head).await?;
            let clean = if open {
                Some(merge::tree(&lab.git, &place, &pull.base_sha, head).await?.is_some())
            } else {
                None
            };
            (size, clean)
        }
        None => (merge::Size::default(), None),
    };
    let state = match mergeable {
        _ if pull.draft => "draft",
        Some(true) => "clean",
        Some(false) => "dirty",
        None => "unknown",
    };
    let store = lab.store();
    let (shapes, repository) = (lab.shapes(&store), store.repository(owner, name)?);
    let (issue, pull) = repository.pull(number)?;
    let mut shape = shapes.pull(repository, issue, pull);
    let more = json!({
        "merged": pull.merged_at.is_some(), "merged_by": pull.merged_by.as_deref().map(|login| shapes.user(login)),
        "mergeable": mergeable, "rebaseable": mergeable, "mergeable_state": state,
        "maintainer_can_modify": false,
        "review_comments": pull.talk.threads.iter().map(|thread| thread.comments.len()).sum::<usize>(), "commits": size.commits,
        "additions": size.additions, "deletions": size.deletions, "changed_files": size.files,
    });
    if let (Some(shape), Some(more)) = (shape.as_object_mut(), more.as_object()) {
        shape.extend(more.clone());
    }
    Ok(shape)
}

async fn edit(
    Here(lab): Here,
    Path((owner, name, number)): Path<(String, String, u64)>,
    body: Bytes,
) -> Answer {
    #[derive(Deserialize)]
    struct Fields {
        title: Option<String>,
        body: Option<String>,
        state: Option<String>,
        base: Option<String>,
    }
    let (fields, now): (Fields, _) = (parse(&body)?, lab.now());
    let state = match fields.state.as_deref() {
        None => None,
        Some("open") => Some(State::Open),
        Some("closed") => Some(State::Closed),
        Some(_) => return Err(Failure::field("PullRequest", "state", "invalid")),
    };
    {
        let mut store = lab.store();
        let issue = store.repository_mut(&owner, &name)?.issue_mut(number)?;
        let pull = issue.pull.as_mut().ok_or_else(Failure::not_found)?;
        if state == Some(State::Open) && pull.merged_at.is_some() {
            return Err(Failure::custom(
                "PullRequest",
                "state cannot be changed. The pull request was merged.",
            ));
        }
        if let Some(base) = fields.base {
            pull.base = base;
        }
        issue.updated_at = now;
        if let Some(title) = fields.title {
            store.rename(&owner, &name, number, now, &title)?;
        }
        if let Some(body) = fields.body {
            store.rewrite(&owner, &name, number, now, Some(body))?;
        }
        if let Some(state) = state {
            store.set_state(&owner, &name, number, now, state, None)?;
        }
    }
    refresh(&lab, &owner, &name).await?;
    ok(&whole(&lab, &owner, &name, number).await?)
}

async fn reviews(
    Here(lab): Here,
    Path((owner, name, number)): Path<(String, String, u64)>,
    uri: Uri,
) -> Answer {
    let store = lab.store();
    let (shapes, repository) = (lab.shapes(&store), store.repository(&owner, &name)?);
    let list = List::of(&lab, &uri, repository);
    list.page(&repository.pull(number)?.1.reviews, |review| shapes.review(repository, number, review))
}
