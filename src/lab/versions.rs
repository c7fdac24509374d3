//! The versions of the REST API: what the later one took away.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde_json::Value;

use super::admit::json_of;
use super::answer::Failure;

/// A version that is supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// 2022-11-28, which is also what a request without a version means.
    First,
    /// 2026-03-10.
    Second,
}

impl Version {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Failure> {
        let Some(asked) = headers.get("x-github-api-version") else { return Ok(Self::First) };
        let asked = asked.to_str().unwrap_or_default();
        let found = [Self::First, Self::Second].into_iter().find(|version| version.name() == asked);
        found.ok_or_else(|| {
            let message = format!(
                "Bad Request: The version you specified in the \"X-GitHub-API-Version\" request header, \"{asked}\", \
                 is not a supported version. The following versions are currently supported: \"2026-03-10\", \
                 \"2022-11-28\"."
            );
            Failure::message(StatusCode::BAD_REQUEST, &message)
        })
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::First => "2022-11-28",
            Self::Second => "2026-03-10",
        }
    }

    /// Takes out of an answer what this version does not have.
    pub(super) async fn cut(self, path: &str, response: Response) -> Response {
        if self == Self::First {
            return response;
        }
        let (mut parts, body) = response.into_parts();
        let (mut value, bytes) = json_of(body).await;
        if value.is_null() {
            return Response::from_parts(parts, Body::from(bytes));
        }
        if path == "/rate_limit"
            && let Some(answer) = value.as_object_mut()
        {
            answer.remove("rate");
        }
        modernise(&mut value);
        parts.headers.remove(header::CONTENT_LENGTH);
        Response::from_parts(parts, Body::from(value.to_string()))
    }
}

fn modernise(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(modernise),
        Value::Object(object) => {
            // Issues and pull requests; an event of the kind `assigned` keeps its `assignee`.
            if object.contains_key("assignees") {
                object.remove("assignee");
            }
            object.remove("merge_commit_sha");
            if object.contains_key("full_name") {
                for name in ["has_downloads", "use_squash_pr_title_as_default", "master_branch"] {
                    object.remove(name);
                }
            }
            // What is not merged has no moment of it.
            if let Some(Value::Object(pull)) = object.get_mut("pull_request") {
                pull.retain(|_, value| !value.is_null());
            }
            object.values_mut().for_each(modernise);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_second_version_has_less() {
        let mut value = json!([
            {"number": 7, "assignee": null, "assignees": [], "merge_commit_sha": "x"},
            {"event": "assigned", "assignee": {"login": "mia"}},
            {"full_name": "o/r", "has_downloads": true},
        ]);
        modernise(&mut value);
        let expected = json!([
            {"number": 7, "assignees": []},
            {"event": "assigned", "assignee": {"login": "mia"}},
            {"full_name": "o/r"},
        ]);
        assert_eq!(value, expected);
    }
}
