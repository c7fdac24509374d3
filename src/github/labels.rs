//! Labels: those of the design document, and those of an issue or a pull request.

use serde_json::{Value, json};

use super::client::segment;
use super::verdict::{Refusal, is_missing};
use super::{Client, Repeat};
use crate::error::Result;
use crate::record::mirror::{BLOCKED, IN_PROGRESS};

/// Name, colour and description.
pub const LABELS: [(&str, &str, &str); 3] = [
    ("claude-ready", "0e8a16", "Ready for autonomous Claude development"),
    (IN_PROGRESS, "fbca04", "Currently being worked on by Claude"),
    (BLOCKED, "d93f0b", "Blocked, requires human intervention"),
];

/// Whether a repository has a label.
pub fn exists(client: &Client, repo: &str, name: &str) -> Result<bool> {
    find(client, repo, name).map(|label| label.is_some())
}

fn find(client: &Client, repo: &str, name: &str) -> Result<Option<Value>> {
    let url = client.address(&format!("repos/{repo}/labels/{}", segment(name)), &[])?;
    match client.get_fresh(&url) {
        Ok(answer) => Ok(Some(answer.body)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn said(error: &crate::error::Error) -> Option<&Refusal> {
    error.cause()
}

/// Makes a label unless it is there; returns whether it was made. One that is there stays as it is.
pub fn make(client: &Client, repo: &str, name: &str, colour: &str, description: &str) -> Result<bool> {
    let there = || find(client, repo, name);
    if there()?.is_some() {
        return Ok(false);
    }
    let url = client.address(&format!("repos/{repo}/labels"), &[])?;
    let body = json!({ "name": name, "color": colour, "description": description });
    match client.write("POST", &url, Some(&body), &Repeat::Unless(&there)) {
        Ok(_) => Ok(true),
        // Somebody else was faster.
        Err(error) if said(&error).is_some_and(|refusal| refusal.message.contains("already_exists")) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Puts labels on an issue or a pull request; those it has already stay.
pub fn add(client: &Client, repo: &str, number: u64, labels: &[String]) -> Result<()> {
    let url = client.address(&format!("repos/{repo}/issues/{number}/labels"), &[])?;
    client.write("POST", &url, Some(&json!({ "labels": labels })), &Repeat::Harmless).map(drop)
}

/// Takes a label off; one that is not there is off already.
pub fn remove(client: &Client, repo: &str, number: u64, label: &str) -> Result<()> {
    let path = format!("repos/{repo}/issues/{number}/labels/{}", segment(label));
    match client.write("DELETE", &client.address(&path, &[])?, None, &Repeat::Harmless) {
        Ok(_) => Ok(()),
        Err(error)
            if said(&error).is_some_and(|refusal| refusal.message.contains("Label does not exist")) =>
        {
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// The names of the labels of an issue or a pull request, as GitHub writes it: each a string or an object.
pub(super) fn of(issue: &Value) -> Vec<String> {
    let labels = issue["labels"].as_array().into_iter().flatten();
    labels.filter_map(|one| one.as_str().or_else(|| one["name"].as_str())).map(str::to_owned).collect()
}
