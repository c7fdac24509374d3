//! Comments on issues that are made once: each carries a hidden marker, by which it is found again.

use serde_json::{Value, json};

use super::{Client, Repeat};
use crate::error::Result;

/// Says something on an issue unless it has been said; gives whether it was. `marker` is what nobody sees; `confirm`
/// is asked once more before it is said.
pub fn once(
    client: &Client,
    (repo, number): (&str, u64),
    marker: &str,
    text: &str,
    confirm: impl FnOnce() -> Result<()>,
) -> Result<bool> {
    let there = || marked(client, repo, number, marker);
    if there()?.is_some() {
        return Ok(false);
    }
    confirm()?;
    let url = client.address(&format!("repos/{repo}/issues/{number}/comments"), &[])?;
    let body = json!({ "body": format!("{text}\n\n{marker}") });
    client.create(&url, &body, &Repeat::Unless(&there)).map(|_| true)
}

/// The comment with a marker, on whatever page it is. Never from the cache: what was just said must be found.
fn marked(client: &Client, repo: &str, number: u64, marker: &str) -> Result<Option<Value>> {
    let path = format!("repos/{repo}/issues/{number}/comments");
    let mut next = Some(client.address(&path, &[("per_page", "100")])?);
    while let Some(url) = next {
        let mut answer = client.get_fresh(&url)?;
        let comments = answer.body.as_array_mut().map(std::mem::take).unwrap_or_default();
        let holds = |comment: &Value| comment["body"].as_str().is_some_and(|body| body.contains(marker));
        if let Some(found) = comments.into_iter().find(holds) {
            return Ok(Some(found));
        }
        next = answer.next;
    }
    Ok(None)
}
