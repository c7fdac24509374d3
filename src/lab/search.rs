//! The search's little language.

use super::store::{Issue, Repository, State, same};

/// Words and `name:value`, with quotes taken off.
fn terms(query: &str) -> Vec<(String, String)> {
    let mut terms = Vec::new();
    let (mut word, mut quoted) = (String::new(), false);
    for c in query.chars().chain([' ']) {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => {
                if !word.is_empty() {
                    let (name, value) = word.split_once(':').unwrap_or(("", &word));
                    terms.push((name.to_lowercase(), value.to_owned()));
                    word.clear();
                }
            }
            c => word.push(c),
        }
    }
    terms
}

/// Whether a search finds an issue.
pub(super) fn takes(query: &str, repository: &Repository, issue: &Issue) -> bool {
    let is = |value: &str| match value {
        "issue" => issue.pull.is_none(),
        "pr" | "pull-request" => issue.pull.is_some(),
        "open" => issue.state == State::Open,
        "closed" => issue.state == State::Closed,
        "locked" => issue.locked,
        _ => true,
    };
    terms(query).iter().all(|(name, value)| match name.as_str() {
        "repo" => same(value, &repository.full_name()),
        "is" | "type" | "state" => is(value),
        "author" => same(value, &issue.user),
        "assignee" => issue.assignees.iter().any(|one| same(one, value)),
        "label" => value.split(',').any(|one| issue.labels.iter().any(|label| same(label, one))),
        "-label" => !issue.labels.iter().any(|label| same(label, value)),
        "" => issue.title.to_lowercase().contains(&value.to_lowercase()),
        _ => true,
    })
}
