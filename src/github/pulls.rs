//! Pull requests.

use serde_json::{Value, json};

use super::Refusal;
use super::verdict::LATER;
use super::{Client, Repeat};
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

/// The newest open pull request of a branch.
pub fn of_branch(client: &Client, repo: &str, branch: &str) -> Result<Option<PullRequest>> {
    open_of_branch(client, repo, branch)?.as_ref().map(from_json).transpose()
}

fn open_of_branch(client: &Client, repo: &str, branch: &str) -> Result<Option<Value>> {
    // Without the owner GitHub ignores the filter and answers with every pull request.
    let owner = repo.split('/').next().unwrap_or_default();
    let head = format!("{owner}:{branch}");
    let query = [("head", head.as_str()), ("state", "open"), ("sort", "created"), ("direction", "desc")];
    let answer = client.get(&client.address(&format!("repos/{repo}/pulls"), &query)?)?;
    let mut list = answer.body.as_array().cloned().unwrap_or_default();
    list.retain(|pull| pull["head"]["ref"].as_str() == Some(branch));
    Ok(list.into_iter().next())
}

/// One pull request as it is now.
pub fn get(client: &Client, repo: &str, number: u64) -> Result<PullRequest> {
    from_json(&client.get(&client.address(&format!("repos/{repo}/pulls/{number}"), &[])?)?.body)
}

/// Opens a pull request; adopts the one that is there already, and does without `draft` where there are none.
pub fn open(client: &Client, repo: &str, proposal: &Proposal) -> Result<PullRequest> {
    let url = client.address(&format!("repos/{repo}/pulls"), &[])?;
    let mut body = json!({
        "title": proposal.title,
        "body": proposal.body,
        "head": proposal.head,
        "base": proposal.base,
        "draft": proposal.draft,
    });
    let there = || open_of_branch(client, repo, &proposal.head);
    loop {
        let error = match client.create(&url, &body, &Repeat::Unless(&there)) {
            Ok(answer) => return from_json(&answer.body),
            Err(error) => error,
        };
        let said = error.cause::<Refusal>().map(|refusal| refusal.message.clone()).unwrap_or_default();
        if said.contains("already exists") {
            return there()?.as_ref().map_or(Err(error), from_json);
        }
        if body["draft"] == true && said.contains("Draft pull requests are not supported") {
            body["draft"] = json!(false);
            continue;
        }
        return Err(error);
    }
}

/// Puts labels on a pull request; those it has already stay.
pub fn add_labels(client: &Client, repo: &str, number: u64, labels: &[String]) -> Result<()> {
    if labels.is_empty() {
        return Ok(());
    }
    let url = client.address(&format!("repos/{repo}/issues/{number}/labels"), &[])?;
    client.write("POST", &url, Some(&json!({ "labels": labels })), &Repeat::Harmless).map(drop)
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
}
