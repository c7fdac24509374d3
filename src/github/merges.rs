//! Merging, by whatever way the repository has, and taking back.

use serde_json::{Value, json};

use super::details::data;
use super::verdict::LATER;
use super::{Client, Refusal, Repeat, document, pulls, reviews};
use crate::config::MergeMethod;
use crate::error::{Error, Kind, Result};
use crate::record::merge::{Refused, Way, refused};
use crate::record::{Extra, PullRequest};

/// Merges a pull request whose branch still ends with `sha`; gives the commit by which it was merged, where GitHub
/// tells.
pub fn merge(
    client: &Client,
    (repo, number): (&str, u64),
    sha: &str,
    method: MergeMethod,
) -> Result<Option<String>> {
    let url = client.address(&format!("repos/{repo}/pulls/{number}/merge"), &[])?;
    let body = json!({ "sha": sha, "merge_method": method.name() });
    // An answer that was lost may have come after the deed.
    let there = || {
        let now = pulls::look(client, repo, number)?.pull_request;
        Ok((now.state == "merged").then_some(Value::Null))
    };
    let answer = client.write("PUT", &url, Some(&body), &Repeat::Unless(&there))?;
    Ok(answer.body["sha"].as_str().map(str::to_owned))
}

/// What a refused merge means; none for any other error.
pub fn meaning(error: &Error) -> Option<Refused> {
    let refusal = error.cause::<Refusal>()?;
    refused(refusal.status, &refusal.message)
}

/// Puts a pull request into the queue of its base.
pub fn enqueue(client: &Client, repo: &str, number: u64, id: &str, head: &str) -> Result<()> {
    let there = || {
        let now = reviews::progress(client, repo, number)?;
        Ok((now.ways.queue == Way::Taken || now.pull_request.state == "merged")
            .then(|| json!({ "data": {} })))
    };
    let variables = json!({ "id": id, "head": head });
    said(client.mutate(document::ENQUEUE, &variables, &Repeat::Unless(&there))?).map(drop)
}

/// Lets GitHub merge a pull request when all that its base asks for is there. Asking twice is asking once.
pub fn auto(client: &Client, id: &str, head: &str, method: MergeMethod) -> Result<()> {
    let variables = json!({ "id": id, "head": head, "method": method.name().to_uppercase() });
    said(client.mutate(document::AUTO_MERGE, &variables, &Repeat::Harmless)?).map(drop)
}

/// Lets GitHub open a pull request that takes a merged one back. None where it cannot: this GitHub does not have that,
/// or the change does not come out by itself. `there` finds one that was opened before.
pub fn revert(
    client: &Client,
    id: &str,
    (title, body): (&str, &str),
    there: &dyn Fn() -> Result<Option<PullRequest>>,
) -> Result<Option<PullRequest>> {
    let variables = json!({ "id": id, "title": title, "body": body });
    let look = || Ok(there()?.map(|_| json!({ "data": {} })));
    let answer = client.mutate(document::REVERT, &variables, &Repeat::Unless(&look))?;
    let made = match said(answer) {
        Ok(mut data) => data["revertPullRequest"]["revertPullRequest"].take(),
        Err(error) if matches!(error.kind, Kind::Failed | Kind::Config) => return Ok(None),
        Err(error) => return Err(error),
    };
    if made.is_null() {
        return there();
    }
    let incomplete = || Error::new(Kind::Unavailable, "GitHub's answer is not a pull request").hint(LATER);
    let text = |name: &str| made[name].as_str().map(str::to_owned).ok_or_else(incomplete);
    Ok(Some(PullRequest {
        number: made["number"].as_u64().ok_or_else(incomplete)?,
        url: text("url")?,
        head_sha: text("headRefOid")?,
        state: text("state")?.to_lowercase(),
        draft: made["isDraft"] == true,
        checks: None,
        review: None,
        extra: Extra::new(),
    }))
}

/// The `data` of a mutation; one that was refused has errors, and perhaps data all the same.
fn said(answer: Value) -> Result<Value> {
    if answer["errors"].as_array().is_some_and(|errors| !errors.is_empty()) {
        let mut only = json!({ "data": null });
        only["errors"] = answer["errors"].clone();
        return data(only);
    }
    data(answer)
}
