//! Pull requests.

use std::cell::RefCell;

use serde_json::{Value, json};

use super::reviewers::Asked;
use super::verdict::LATER;
use super::{Client, Refusal, Repeat, assignees, labels};
use crate::clock::Timestamp;
use crate::error::{Error, Kind, Result};
use crate::record::{Extra, PullRequest};

/// What a new pull request says.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// One line.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// The branch it comes from.
    pub head: String,
    /// The branch it goes to.
    pub base: String,
    /// Not to be merged yet.
    pub draft: bool,
}

/// A pull request, and what it is dressed in.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// As a record has it.
    pub pull_request: PullRequest,
    /// Names of its labels.
    pub labels: Vec<String>,
    /// Logins.
    pub assignees: Vec<String>,
    /// Whose review is asked for.
    pub asked: Asked,
}

/// What is known of a branch's pull requests.
#[derive(Debug, Clone, PartialEq)]
pub enum Known {
    /// None.
    Nothing,
    /// This one is the branch's: it is open, or it was merged with the very commit that is there now.
    This(Box<Found>),
    /// Only one that was closed unmerged, or merged with something else: its number.
    Over(u64),
}

/// The pull request of a branch whose end is `sha`, whatever base it has by now. Never from the cache.
pub fn of_branch(client: &Client, repo: &str, branch: &str, sha: &str) -> Result<Known> {
    of_owners_branch(client, repo, owner_of(repo), branch, sha)
}

fn owner_of(repo: &str) -> &str {
    repo.split('/').next().unwrap_or_default()
}

/// The owner of a repository that may have another by now.
fn owner_now(client: &Client, repo: &str) -> Result<String> {
    let now = client.get_fresh(&client.address(&format!("repos/{repo}"), &[])?)?.body;
    Ok(now["owner"]["login"].as_str().unwrap_or_default().to_owned())
}

/// What a branch has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Came {
    /// The number of its pull request: the open one, else one that was merged, else the newest.
    pub number: u64,
    /// `open`, `closed` or `merged`.
    pub state: String,
    /// When it was merged.
    pub merged_at: Option<Timestamp>,
}

/// What a branch has come to; none where it has no pull request. Never from the cache.
pub fn came_of(client: &Client, repo: &str, branch: &str) -> Result<Option<Came>> {
    let mut all = all_of_branch(client, repo, owner_of(repo), branch)?;
    if all.is_empty() {
        all = all_of_branch(client, repo, &owner_now(client, repo)?, branch)?;
    }
    let came = |pull: &Value| -> Result<Came> {
        let PullRequest { number, state, .. } = from_json(pull)?;
        let merged_at = pull["merged_at"].as_str().and_then(|at| at.parse().ok());
        Ok(Came { number, state, merged_at })
    };
    let mut all = all.iter().map(came).collect::<Result<Vec<_>>>()?;
    // It is stable: of several the newest.
    all.sort_by_key(|came| ["open", "merged"].iter().position(|state| *state == came.state).unwrap_or(2));
    Ok(all.into_iter().next())
}

fn of_owners_branch(client: &Client, repo: &str, owner: &str, branch: &str, sha: &str) -> Result<Known> {
    let all = all_of_branch(client, repo, owner, branch)?;
    Ok(choose(&all.iter().map(found).collect::<Result<Vec<_>>>()?, sha))
}

/// Newest first.
fn all_of_branch(client: &Client, repo: &str, owner: &str, branch: &str) -> Result<Vec<Value>> {
    // Without the owner GitHub ignores the filter and answers with every pull request.
    let head = format!("{owner}:{branch}");
    let query = [
        ("head", head.as_str()),
        ("state", "all"),
        ("sort", "created"),
        ("direction", "desc"),
        ("per_page", "100"),
    ];
    let answer = client.get_fresh(&client.address(&format!("repos/{repo}/pulls"), &query)?)?;
    let list = answer.body.as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(list.iter().filter(|pull| pull["head"]["ref"].as_str() == Some(branch)).cloned().collect())
}

/// Newest first.
fn choose(pulls: &[Found], sha: &str) -> Known {
    let newest = pulls.first().map(|found| found.pull_request.number);
    let is_it = |found: &&Found| {
        let pull = &found.pull_request;
        pull.state == "merged" && pull.head_sha == sha
    };
    let open = pulls.iter().find(|found| found.pull_request.state == "open");
    match (open.or_else(|| pulls.iter().find(is_it)), newest) {
        (Some(found), _) => Known::This(Box::new(found.clone())),
        (None, Some(number)) => Known::Over(number),
        (None, None) => Known::Nothing,
    }
}

/// One pull request as it is now, with what it is dressed in. Never from the cache.
pub fn look(client: &Client, repo: &str, number: u64) -> Result<Found> {
    found(&client.get_fresh(&client.address(&format!("repos/{repo}/pulls/{number}"), &[])?)?.body)
}

/// The newest pull request whose text has a marker, of the last hundred. Never from the cache. Anybody can write a
/// marker: it has to come from a branch of the repository itself, where only those push who may, and was not turned down.
pub fn marked(client: &Client, repo: &str, marker: &str) -> Result<Option<PullRequest>> {
    let query = [("state", "all"), ("sort", "created"), ("direction", "desc"), ("per_page", "100")];
    let answer = client.get_fresh(&client.address(&format!("repos/{repo}/pulls"), &query)?)?;
    let mut list = answer.body.as_array().into_iter().flatten();
    list.find(|pull| has_marker(pull, marker)).map(from_json).transpose()
}

/// The repository is compared with that of the base, not with `repo`, which may be its name of yesterday.
fn has_marker(pull: &Value, marker: &str) -> bool {
    let repository = |end: &str| pull[end]["repo"]["full_name"].as_str();
    pull["body"].as_str().is_some_and(|body| body.contains(marker))
        && repository("head").is_some_and(|head| repository("base") == Some(head))
        && (pull["state"] == "open" || pull["merged_at"].is_string())
}

/// What a pull request says. Never from the cache.
pub fn body(client: &Client, repo: &str, number: u64) -> Result<String> {
    let answer = client.get_fresh(&client.address(&format!("repos/{repo}/pulls/{number}"), &[])?)?;
    Ok(answer.body["body"].as_str().unwrap_or_default().to_owned())
}

/// Lets a pull request say something else.
pub fn rewrite(client: &Client, repo: &str, number: u64, body: &str) -> Result<()> {
    let url = client.address(&format!("repos/{repo}/pulls/{number}"), &[])?;
    client.write("PATCH", &url, Some(&json!({ "body": body })), &Repeat::Harmless).map(drop)
}

/// What stands in the way of a pull request, by GitHub's own word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// The branch is not there.
    Head,
    /// The base is not there.
    Base,
    /// The branch has nothing that the base has not.
    NothingNew,
}

/// What stands in the way, if that is why a pull request was refused.
pub fn obstacle(error: &Error) -> Option<Obstacle> {
    let said = &error.cause::<Refusal>()?.message;
    if said.contains("head: invalid") {
        Some(Obstacle::Head)
    } else if said.contains("base: invalid") {
        Some(Obstacle::Base)
    } else if said.contains("No commits between") {
        Some(Obstacle::NothingNew)
    } else {
        None
    }
}

/// Opens a pull request for `sha`; adopts the one that is there already, and does without `draft` where there are
/// none.
pub fn open(client: &Client, repo: &str, proposal: &Proposal, sha: &str) -> Result<Found> {
    let url = client.address(&format!("repos/{repo}/pulls"), &[])?;
    let mut body = json!({
        "title": proposal.title,
        "body": proposal.body,
        "head": proposal.head,
        "base": proposal.base,
        "draft": proposal.draft,
    });
    // One that it made itself, whatever became of it since, is open or was merged with this commit.
    let made = RefCell::new(None);
    let there = || match of_branch(client, repo, &proposal.head, sha)? {
        Known::This(found) => {
            *made.borrow_mut() = Some(*found);
            Ok(Some(Value::Null))
        }
        Known::Nothing | Known::Over(_) => Ok(None),
    };
    loop {
        let error = match client.create(&url, &body, &Repeat::Unless(&there)) {
            Ok(answer) => return made.take().map_or_else(|| found(&answer.body), Ok),
            Err(error) => error,
        };
        let said = error.cause::<Refusal>().map(|refusal| refusal.message.clone()).unwrap_or_default();
        if said.contains("already exists") {
            return match of_branch_now(client, repo, &proposal.head, sha)? {
                Known::This(found) => Ok(*found),
                Known::Nothing | Known::Over(_) => Err(error),
            };
        }
        if body["draft"] == true && said.contains("Draft pull requests are not supported") {
            body["draft"] = json!(false);
            continue;
        }
        return Err(error);
    }
}

/// [`of_branch`] of a repository that may have another owner by now: its old address still leads to it, but the
/// filter wants the new name.
fn of_branch_now(client: &Client, repo: &str, branch: &str, sha: &str) -> Result<Known> {
    match of_branch(client, repo, branch, sha)? {
        Known::This(found) => Ok(Known::This(found)),
        Known::Nothing | Known::Over(_) => {
            of_owners_branch(client, repo, &owner_now(client, repo)?, branch, sha)
        }
    }
}

fn found(pull: &Value) -> Result<Found> {
    let pull_request = from_json(pull)?;
    let (labels, assignees) = (labels::of(pull), assignees::of(pull));
    Ok(Found { pull_request, labels, assignees, asked: Asked::of(pull) })
}

fn from_json(pull: &Value) -> Result<PullRequest> {
    let incomplete = || Error::new(Kind::Unavailable, "GitHub's answer is not a pull request").hint(LATER);
    let merged = pull["merged_at"].is_string() || pull["merged"].as_bool() == Some(true);
    Ok(PullRequest {
        number: pull["number"].as_u64().ok_or_else(incomplete)?,
        url: pull["html_url"].as_str().ok_or_else(incomplete)?.to_owned(),
        head_sha: pull["head"]["sha"].as_str().ok_or_else(incomplete)?.to_owned(),
        state: if merged { "merged" } else { pull["state"].as_str().ok_or_else(incomplete)? }.to_owned(),
        draft: pull["draft"].as_bool().unwrap_or_default(),
        checks: None,
        review: None,
        extra: Extra::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_is_a_state_of_its_own() {
        let pull = |more: Value| {
            let mut pull = json!({"number": 1, "html_url": "u", "state": "closed", "head": {"sha": "s"}});
            pull.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            from_json(&pull).unwrap().state
        };
        assert_eq!(pull(json!({"merged_at": "2026-01-01T00:00:00Z"})), "merged");
        assert_eq!(pull(json!({"merged_at": null})), "closed");
        assert!(from_json(&json!({"number": 1})).is_err());
    }

    #[test]
    fn a_branch_has_the_pull_request_that_is_open_or_was_merged_as_it_is() {
        // Number, state, head.
        type Pulls<'a> = &'a [(u64, &'a str, &'a str)];
        let cases: [(Pulls<'_>, &str); 8] = [
            (&[], "nothing"),
            (&[(7, "open", "old")], "this 7"),
            (&[(8, "closed", "now"), (7, "open", "old")], "this 7"),
            (&[(8, "open", "now"), (7, "merged", "now")], "this 8"),
            (&[(7, "merged", "now")], "this 7"),
            (&[(7, "merged", "old")], "over 7"),
            (&[(7, "closed", "now")], "over 7"),
            (&[(9, "closed", "now"), (8, "merged", "now")], "this 8"),
        ];
        for (pulls, expected) in cases {
            let pull = |(number, state, sha): &(u64, &str, &str)| {
                let merged = (*state == "merged").then_some("2026-01-01T00:00:00Z");
                let state = if merged.is_some() { "closed" } else { state };
                let pull = json!({"number": number, "html_url": "u", "state": state, "merged_at": merged,
                    "head": {"sha": sha}, "labels": [{"name": "l"}], "assignees": [{"login": "m"}]});
                found(&pull).unwrap()
            };
            let known = match choose(&pulls.iter().map(pull).collect::<Vec<_>>(), "now") {
                Known::Nothing => "nothing".to_owned(),
                Known::This(found) => format!("this {}", found.pull_request.number),
                Known::Over(number) => format!("over {number}"),
            };
            assert_eq!(known, expected, "{pulls:?}");
        }
    }

    #[test]
    fn a_marker_counts_only_where_strangers_cannot_have_put_it() {
        // The text, the head's repository, the state, whether it was merged.
        let cases = [
            ("a <!-- m -->", Some("o/r"), "open", false, true),
            ("a <!-- m -->", Some("o/r"), "closed", true, true),
            ("a <!-- m -->", Some("o/r"), "closed", false, false),
            ("a <!-- m -->", Some("eve/r"), "open", false, false),
            ("a <!-- m -->", None, "open", false, false),
            ("a", Some("o/r"), "open", false, false),
        ];
        for (body, head, state, merged, expected) in cases {
            let pull = json!({"body": body, "state": state,
                "merged_at": merged.then_some("2026-01-01T00:00:00Z"),
                "head": {"repo": head.map(|name| json!({"full_name": name}))},
                "base": {"repo": {"full_name": "o/r"}}});
            assert_eq!(has_marker(&pull, "<!-- m -->"), expected, "{pull}");
        }
    }

    #[test]
    fn obstacles_are_known_by_their_words() {
        let cases = [
            ("Validation Failed: head: invalid", Some(Obstacle::Head)),
            ("Validation Failed: base: invalid", Some(Obstacle::Base)),
            ("Validation Failed: No commits between main and b", Some(Obstacle::NothingNew)),
            ("Validation Failed: A pull request already exists for o:b.", None),
        ];
        for (message, expected) in cases {
            let refusal = Refusal { status: 422, message: message.to_owned() };
            assert_eq!(obstacle(&Error::because(Kind::Failed, refusal, "refused")), expected, "{message}");
        }
        assert_eq!(obstacle(&Error::new(Kind::Failed, "head: invalid")), None);
    }
}
