//! Issues and pull requests that others wait for, wherever they are.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::details::data;
use super::{Client, document};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::record::Reference;
use crate::record::dependencies::{Node, State, mentioned};

/// How many one request asks for.
const AT_ONCE: usize = 50;

/// One that is waited for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Blocker {
    /// Which.
    pub reference: Reference,
    /// Whether it is done.
    pub state: State,
    /// What it waits for itself.
    pub blockers: Vec<(Reference, State)>,
    /// Its sub-issues that are open.
    pub open_sub_issues: Vec<Reference>,
    /// When GitHub was asked.
    pub asked_at: Timestamp,
}

impl Blocker {
    /// As a part of the graph.
    pub fn node(&self) -> Node {
        Node {
            reference: self.reference.clone(),
            blockers: self.blockers.clone(),
            open_sub_issues: self.open_sub_issues.clone(),
        }
    }
}

/// Asks for them. What is not there, or hidden from this token, comes back as unknown.
pub fn of(client: &Client, home: &str, references: &[Reference], now: Timestamp) -> Result<Vec<Blocker>> {
    let mut found = Vec::new();
    // GraphQL's numbers have 32 bits, and one that is too long would spoil the answer for all.
    let (there, nowhere): (Vec<&Reference>, Vec<&Reference>) =
        references.iter().partition(|reference| i32::try_from(reference.number()).is_ok());
    found.extend(
        nowhere.into_iter().map(|reference| blocker(client, home, reference.clone(), &Value::Null, now)),
    );
    for references in there.chunks(AT_ONCE) {
        let mut variables = serde_json::Map::new();
        for (index, reference) in references.iter().enumerate() {
            let (owner, name) = reference.repo().unwrap_or(home).split_once('/').unwrap_or_default();
            variables.insert(format!("o{index}"), json!(owner));
            variables.insert(format!("p{index}"), json!(name));
            variables.insert(format!("n{index}"), json!(reference.number()));
        }
        let answer = client.query(&document::blockers(references.len()), &Value::Object(variables))?;
        let data = data(answer)?;
        for (index, reference) in references.iter().enumerate() {
            let item = &data[format!("r{index}")]["issueOrPullRequest"];
            found.push(blocker(client, home, (*reference).clone(), item, now));
        }
    }
    Ok(found)
}

fn blocker(client: &Client, home: &str, reference: Reference, item: &Value, now: Timestamp) -> Blocker {
    let linked = |item: &Value| {
        let repo = item["repository"]["nameWithOwner"].as_str()?;
        Some((Reference::new(repo, item["number"].as_u64()?, home)?, state(item)))
    };
    let list = |name: &str| -> Vec<(Reference, State)> {
        item[name]["nodes"].as_array().into_iter().flatten().filter_map(linked).collect()
    };
    let mut blockers = list("blockedBy");
    if let Some(body) = item["body"].as_str() {
        let repo = reference.repo().unwrap_or(home);
        let server = client.endpoints().host();
        let named = mentioned(body, repo, reference.number(), server);
        // Seen from home, not from the blocker's own repository.
        let from_home = |named: Reference| Reference::new(named.repo().unwrap_or(repo), named.number(), home);
        blockers.extend(named.into_iter().filter_map(from_home).map(|named| (named, State::Unknown)));
    }
    let open = |(reference, state)| (state == State::Open).then_some(reference);
    let open_sub_issues = list("subIssues").into_iter().filter_map(open).collect();
    Blocker { reference, state: state(item), blockers, open_sub_issues, asked_at: now }
}

fn state(item: &Value) -> State {
    match item["state"].as_str().or_else(|| item["pullRequestState"].as_str()) {
        Some("OPEN") => State::Open,
        Some("CLOSED" | "MERGED") => State::Closed,
        _ => State::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_said_to_be_done_is_done() {
        let cases = [
            (json!({"__typename": "Issue", "state": "OPEN"}), State::Open),
            (json!({"__typename": "Issue", "state": "CLOSED"}), State::Closed),
            (json!({"__typename": "PullRequest", "pullRequestState": "OPEN"}), State::Open),
            (json!({"__typename": "PullRequest", "pullRequestState": "MERGED"}), State::Closed),
            (json!({"__typename": "PullRequest", "pullRequestState": "CLOSED"}), State::Closed),
            (json!({"state": null}), State::Unknown),
            (json!({"state": "HALF_OPEN"}), State::Unknown),
            (Value::Null, State::Unknown),
        ];
        for (item, expected) in cases {
            assert_eq!(state(&item), expected, "{item}");
        }
    }
}
