//! Comments on issues that are made once: each carries a hidden marker, by which it is found again.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::verdict::LATER;
use super::{Client, Repeat};
use crate::clock::{Timestamp, stamp};
use crate::error::{Error, Kind, Result};

/// How far GitHub's clock and this machine's may be apart.
const MARGIN: TimeDelta = TimeDelta::days(1);

/// A comment that was made once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its page.
    pub url: String,
}

/// Says something on an issue unless it has been said. `marker` is what nobody sees; `confirm` is asked once more
/// before it is said.
pub fn once(
    client: &Client,
    (repo, number): (&str, u64),
    marker: &str,
    text: &str,
    confirm: impl FnOnce() -> Result<()>,
) -> Result<Said> {
    let there = || marked(client, repo, number, marker);
    if let Some(comment) = there()? {
        return said(&comment);
    }
    confirm()?;
    let url = client.address(&format!("repos/{repo}/issues/{number}/comments"), &[])?;
    let body = json!({ "body": format!("{text}\n\n{marker}") });
    said(&client.create(&url, &body, &Repeat::Unless(&there))?.body)
}

fn said(comment: &Value) -> Result<Said> {
    match comment["html_url"].as_str() {
        Some(url) => Ok(Said { url: url.to_owned() }),
        None => Err(Error::new(Kind::Unavailable, "GitHub's answer is not a comment").hint(LATER)),
    }
}

/// The id of the comment that an address leads to: `…/issues/7#issuecomment-123`.
pub fn id_of(url: &str) -> Option<u64> {
    url.rsplit_once("#issuecomment-").and_then(|(_, id)| id.parse().ok())
}

/// Whether there is a comment later than the one with this id, which was made about this time, that cq did not make
/// itself. Costs nothing of the rate limit where nothing has changed.
pub fn any_after(client: &Client, (repo, number): (&str, u64), id: u64, made_at: Timestamp) -> Result<bool> {
    let since = stamp(made_at - MARGIN);
    let path = format!("repos/{repo}/issues/{number}/comments");
    let mut next = Some(client.address(&path, &[("per_page", "100"), ("since", &since)])?);
    while let Some(url) = next {
        let answer = client.get(&url)?;
        let comments = answer.body.as_array().map(Vec::as_slice).unwrap_or_default();
        let is_later = |comment: &Value| {
            comment["id"].as_u64().is_some_and(|other| other > id)
                && comment["body"].as_str().is_some_and(|body| !is_ours(body))
        };
        if comments.iter().any(is_later) {
            return Ok(true);
        }
        next = answer.next;
    }
    Ok(false)
}

/// Whether a comment ends with a marker of cq: whoever's token made it, nobody said it.
pub fn is_ours(body: &str) -> bool {
    let marker = body.trim_end().strip_suffix("-->").and_then(|text| text.rsplit_once("<!--"));
    marker.is_some_and(|(_, marker)| marker.trim_start().starts_with("cq:") && !marker.contains("-->"))
}

fn marked(client: &Client, repo: &str, number: u64, marker: &str) -> Result<Option<Value>> {
    marked_in(client, &format!("repos/{repo}/issues/{number}/comments"), marker)
}

/// The comment with a marker in a list, on whatever page it is. Never from the cache: what was just said must be found.
pub(super) fn marked_in(client: &Client, path: &str, marker: &str) -> Result<Option<Value>> {
    let mut next = Some(client.address(path, &[("per_page", "100")])?);
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

#[cfg(test)]
mod tests {
    use super::{id_of, is_ours};

    #[test]
    fn own_comments_are_known_by_their_end() {
        let cases = [
            ("Hello\n\n<!-- cq:question:1:2026-01-01T00:00:00Z -->", true),
            ("<!-- cq:x -->\n", true),
            ("<!-- cq:x --> and my answer", false),
            ("> quoted <!-- cq:x -->\nblue <!-- mine -->", false),
            ("blue", false),
            ("-->", false),
        ];
        for (body, expected) in cases {
            assert_eq!(is_ours(body), expected, "{body}");
        }
    }

    #[test]
    fn an_address_ends_with_the_id() {
        assert_eq!(id_of("https://github.com/o/r/issues/7#issuecomment-123"), Some(123));
        assert_eq!(id_of("https://github.com/o/r/issues/7"), None);
    }
}
