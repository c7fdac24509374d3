//! Merging: in the bare repository, without a worktree.

use std::path::Path as Place;

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::answer::{Answer, Failure, ok, parse};
use super::git::Git;
use super::server::{Here, Lab};
use super::store::{Pull, State};
use crate::clock::Timestamp;
use crate::error::Result as Outcome;

/// How much a pull request changes.
#[derive(Debug, Default)]
pub(super) struct Size {
    pub commits: u64,
    pub additions: u64,
    pub deletions: u64,
    pub files: u64,
}

/// Commits of `head` that `base` lacks.
pub(super) async fn ahead(git: &Git, place: &Place, base: &str, head: &str) -> Outcome<u64> {
    let count = git.text(place, &["rev-list", "--count", &format!("{base}..{head}")], b"").await?;
    Ok(count.parse().unwrap_or(0))
}

pub(super) async fn size(git: &Git, place: &Place, base: &str, head: &str) -> Outcome<Size> {
    let mut size = Size { commits: ahead(git, place, base, head).await?, ..Size::default() };
    let numbers = git.text(place, &["diff", "--numstat", &format!("{base}...{head}")], b"").await;
    // Branches with nothing in common have no difference "since they parted".
    for line in numbers.unwrap_or_default().lines() {
        let mut columns = line.split('\t').map(|column| column.parse::<u64>().unwrap_or(0));
        size.additions += columns.next().unwrap_or(0);
        size.deletions += columns.next().unwrap_or(0);
        size.files += 1;
    }
    Ok(size)
}

/// The tree of `ours` and `theirs` together; none where they conflict.
pub(super) async fn tree(git: &Git, place: &Place, ours: &str, theirs: &str) -> Outcome<Option<String>> {
    let output = git.run(place, &["merge-tree", "--write-tree", ours, theirs], b"").await?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(output.status.success().then(|| text.lines().next().unwrap_or_default().to_owned()))
}

#[derive(Debug, Deserialize)]
struct Wish {
    sha: Option<String>,
    commit_title: Option<String>,
    commit_message: Option<String>,
    #[serde(default = "default_method")]
    merge_method: Method,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Method {
    Merge,
    Squash,
    Rebase,
}

const fn default_method() -> Method {
    Method::Merge
}

fn refuse(message: &str) -> Failure {
    Failure::message(StatusCode::METHOD_NOT_ALLOWED, message)
}

pub(super) async fn merge(
    Here(lab): Here,
    Path((owner, name, number)): Path<(String, String, u64)>,
    body: Bytes,
) -> Answer {
    super::pulls::refresh(&lab, &owner, &name).await?;
    let wish: Wish = parse(&body)?;
    let (open, title, text, pull) = {
        let store = lab.store();
        let (issue, pull) = store.repository(&owner, &name)?.pull(number)?;
        (
            issue.state == State::Open,
            issue.title.clone(),
            issue.body.clone().unwrap_or_default(),
            pull.clone(),
        )
    };
    let (true, Some(head)) = (open, pull.head_sha.clone()) else {
        return Err(refuse("Pull Request is not mergeable"));
    };
    if pull.draft {
        return Err(refuse("Pull Request is still a draft"));
    }
    let refusal = {
        let store = lab.store();
        store.repository(&owner, &name)?.refusal(&pull, &lab.shapes(&store))
    };
    if let Some(message) = refusal {
        return Err(refuse(&message));
    }
    if wish.sha.as_ref().is_some_and(|sha| *sha != head) {
        let message = "Head branch was modified. Review and try the merge again.";
        return Err(Failure::message(StatusCode::CONFLICT, message));
    }
    let place = lab.place(&owner, &name)?;
    let now = lab.now();
    let title = match (&wish.commit_title, wish.merge_method) {
        (Some(title), _) => title.clone(),
        (None, Method::Squash) => format!("{title} (#{number})"),
        (None, _) => format!("Merge pull request #{number} from {owner}/{}\n\n{title}", pull.head),
    };
    let message =
        wish.commit_message.as_ref().map_or_else(|| title.clone(), |more| format!("{title}\n\n{more}"));
    let made = build(&lab, &place, &pull, &head, wish.merge_method, &message, now).await?;
    let sha = made.ok_or_else(|| refuse("Pull Request is not mergeable"))?;
    let branch = format!("refs/heads/{}", pull.base);
    let moved = lab.git.run(&place, &["update-ref", &branch, &sha, &pull.base_sha], b"").await?;
    if !moved.status.success() {
        return Err(refuse("Base branch was modified. Review and try the merge again."));
    }
    let mut store = lab.store();
    let viewer = super::identity::asker(&store).login;
    let default_branch = store.repository(&owner, &name)?.default_branch.clone();
    if let Some(pull) = &mut store.repository_mut(&owner, &name)?.issue_mut(number)?.pull {
        pull.merged_at = Some(now);
        pull.merged_by = Some(viewer);
        pull.merge_commit_sha = Some(sha.clone());
    }
    store.happened(&owner, &name, number, now, "merged", None)?;
    store.set_state(&owner, &name, number, now, State::Closed, None)?;
    if pull.base == default_branch {
        for closed in closes(&text) {
            let known =
                store.repository(&owner, &name)?.issue(closed).is_ok_and(|issue| issue.pull.is_none());
            if known {
                store.set_state(&owner, &name, closed, now, State::Closed, Some("completed"))?;
            }
        }
    }
    ok(&json!({"sha": sha, "merged": true, "message": "Pull Request successfully merged"}))
}

/// The commit that the base branch will end with; none where the branches conflict.
async fn build(
    lab: &Lab,
    place: &Place,
    pull: &Pull,
    head: &str,
    method: Method,
    message: &str,
    now: Timestamp,
) -> Outcome<Option<String>> {
    let git = &lab.git;
    if let Method::Rebase = method {
        let commits =
            git.text(place, &["rev-list", "--reverse", &format!("{}..{head}", pull.base_sha)], b"").await?;
        let mut onto = pull.base_sha.clone();
        for commit in commits.lines() {
            let parent = format!("--merge-base={commit}^");
            let output = git.run(place, &["merge-tree", "--write-tree", &parent, &onto, commit], b"").await?;
            if !output.status.success() {
                return Ok(None);
            }
            let tree = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            let message = git.text(place, &["log", "-1", "--format=%B", commit], b"").await?;
            onto = git.commit_tree(place, &tree, &[&onto], &message, now).await?;
        }
        return Ok(Some(onto));
    }
    let Some(tree) = tree(git, place, &pull.base_sha, head).await? else { return Ok(None) };
    let both = [pull.base_sha.as_str(), head];
    let parents = if let Method::Squash = method { &both[..1] } else { &both[..] };
    git.commit_tree(place, &tree, parents, message, now).await.map(Some)
}

/// The issues of this repository that a text closes: `Closes #1`, `fixes: #2`, `resolved #3`.
pub(super) fn closes(text: &str) -> Vec<u64> {
    const WORDS: [&str; 9] =
        ["close", "closes", "closed", "fix", "fixes", "fixed", "resolve", "resolves", "resolved"];
    let words: Vec<&str> = text.split_whitespace().collect();
    let one = |pair: &[&str]| {
        let keyword = pair[0].trim_start_matches(|c: char| !c.is_alphanumeric()).trim_end_matches(':');
        let number = pair[1].strip_prefix('#')?.trim_end_matches(|c: char| !c.is_ascii_digit());
        WORDS.contains(&keyword.to_lowercase().as_str()).then(|| number.parse().ok())?
    };
    words.windows(2).filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::closes;

    #[test]
    fn keywords_close_issues() {
        let cases: [(&str, &[u64]); 6] = [
            ("Closes #12", &[12]),
            ("This fixes: #3, and resolves #4.\n\nClosed #5", &[3, 4, 5]),
            ("(closes #7)", &[7]),
            ("See #12", &[]),
            ("Closes 12, encloses #13", &[]),
            ("Closes #", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(closes(text), expected, "{text}");
        }
    }
}
