//! What a request says beside its address, for the log.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use serde::Serialize;
use serde_json::Value;

use super::{admit, git_http};

/// No longer body is kept.
const LONGEST_LOGGED: usize = 256 << 10;

/// What a request says beside its address; of git's nothing is kept.
#[derive(Debug, Default, Serialize)]
pub(super) struct Said {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// `X-GitHub-Api-Version`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// JSON; text where it is none.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub body: Value,
}

/// What a request says, for the log; and the request, with its body at hand unless it is git's.
pub(super) async fn listen_to(request: Request) -> Option<(Said, Request)> {
    if git_http::Target::of(request.uri().path()).is_some() {
        return Some((Said::default(), request));
    }
    let request = admit::read_whole(request).await?;
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.ok()?;
    let header = |name: &str| parts.headers.get(name)?.to_str().ok().map(str::to_owned);
    let body = match bytes.len() {
        0 => Value::Null,
        1..=LONGEST_LOGGED => serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned())),
        _ => Value::String("(long)".to_owned()),
    };
    let said = Said {
        accept: header("accept"),
        content_type: header("content-type"),
        user_agent: header("user-agent"),
        version: header("x-github-api-version"),
        body,
    };
    Some((said, Request::from_parts(parts, Body::from(bytes))))
}
