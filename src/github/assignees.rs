//! Who is assigned to an issue or a pull request.

use serde_json::{Value, json};

use super::client::segment;
use super::verdict::is_missing;
use super::{Client, Repeat};
use crate::error::Result;

/// Whether somebody can be assigned in a repository.
pub fn may_be(client: &Client, repo: &str, login: &str) -> Result<bool> {
    let url = client.address(&format!("repos/{repo}/assignees/{}", segment(login)), &[])?;
    match client.get_fresh(&url) {
        Ok(_) => Ok(true),
        Err(error) if is_missing(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Assigns people; gives those who could not be, which GitHub passes over without a word.
pub fn add(client: &Client, repo: &str, number: u64, logins: &[String]) -> Result<Vec<String>> {
    let assigned = change(client, "POST", repo, number, logins)?;
    let is_there = |login: &String| assigned.iter().any(|one| one.eq_ignore_ascii_case(login));
    Ok(logins.iter().filter(|login| !is_there(login)).cloned().collect())
}

/// Takes assignments back.
pub fn remove(client: &Client, repo: &str, number: u64, logins: &[String]) -> Result<()> {
    change(client, "DELETE", repo, number, logins).map(drop)
}

fn change(client: &Client, method: &str, repo: &str, number: u64, logins: &[String]) -> Result<Vec<String>> {
    let url = client.address(&format!("repos/{repo}/issues/{number}/assignees"), &[])?;
    let body = json!({ "assignees": logins });
    client.write(method, &url, Some(&body), &Repeat::Harmless).map(|answer| of(&answer.body))
}

/// The logins of an issue or a pull request as GitHub writes it.
pub(super) fn of(issue: &Value) -> Vec<String> {
    let people = issue["assignees"].as_array().into_iter().flatten();
    people.filter_map(|one| one["login"].as_str()).map(str::to_owned).collect()
}
