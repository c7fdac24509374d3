//! What a request needs, of a person's role and of an App's permissions.

use axum::http::{HeaderValue, Method, StatusCode};

use super::answer::Failure;
use super::identity::Grant;
use super::store::{Repository, same};

/// What a request needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Need {
    /// An App's permission, and whether to write.
    pub permission: &'static str,
    pub write: bool,
    /// The least role of a person.
    pub role: &'static str,
}

/// What is needed for a request below `/repos/OWNER/NAME`.
pub(super) fn need(method: &Method, rest: &[&str]) -> Need {
    let permission = match rest {
        ["issues" | "labels" | "assignees" | "milestones", ..] => "issues",
        ["pulls", _, "merge"] | ["git" | "contents", ..] => "contents",
        ["pulls", ..] => "pull_requests",
        ["commits", _, "check-runs"] => "checks",
        ["actions", ..] => "actions",
        ["commits", _, "status"] => "statuses",
        _ => "metadata",
    };
    if matches!(*method, Method::GET | Method::HEAD) {
        return Need { permission, write: false, role: "read" };
    }
    let role = match rest {
        ["issues"] | ["issues", "comments", _] | ["issues", _, "comments"] => "read",
        ["issues", ..] => "triage",
        _ => "write",
    };
    Need { permission, write: true, role }
}

impl Need {
    fn name(&self) -> String {
        format!("{}={}", self.permission, if self.write { "write" } else { "read" })
    }
}

/// 403, and what would have been needed.
pub(super) fn not_accessible(need: Option<&Need>) -> Failure {
    let failure = Failure::message(StatusCode::FORBIDDEN, "Resource not accessible by integration");
    match need.and_then(|need| HeaderValue::try_from(need.name()).ok()) {
        Some(needed) => failure.with("x-accepted-github-permissions", needed),
        None => failure,
    }
}

/// Whether an installation may do this in a repository.
pub(super) fn granted(grant: &Grant, repository: &Repository, need: &Need) -> Result<(), Failure> {
    let named = |all: &Vec<String>| all.iter().any(|one| same(one, &repository.full_name()));
    if !grant.repositories.as_ref().is_none_or(named) {
        return match (repository.private, need.write) {
            (true, _) => Err(Failure::not_found()),
            (false, true) => Err(not_accessible(Some(need))),
            (false, false) => Ok(()),
        };
    }
    let level = grant.permissions.get(need.permission).map(String::as_str);
    let fine = need.permission == "metadata" && !need.write
        || matches!(level, Some("write" | "admin"))
        || level == Some("read") && !need.write
        || !need.write && !repository.private;
    if fine { Ok(()) } else { Err(not_accessible(Some(need))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_needs_its_own() {
        let cases: [(Method, &[&str], &str, &str); 7] = [
            (Method::GET, &[], "metadata=read", "read"),
            (Method::POST, &["issues"], "issues=write", "read"),
            (Method::POST, &["issues", "7", "comments"], "issues=write", "read"),
            (Method::POST, &["issues", "7", "labels"], "issues=write", "triage"),
            (Method::POST, &["labels"], "issues=write", "write"),
            (Method::PUT, &["pulls", "7", "merge"], "contents=write", "write"),
            (Method::GET, &["pulls"], "pull_requests=read", "read"),
        ];
        for (method, rest, permission, role) in cases {
            let need = need(&method, rest);
            assert_eq!((need.name().as_str(), need.role), (permission, role), "{method} {rest:?}");
        }
    }
}
