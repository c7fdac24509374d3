//! The labels of the design document.

use serde_json::json;

use super::client::segment;
use super::{Client, Refusal, Repeat};
use crate::error::{Error, Result};

/// Name, colour and description.
pub const LABELS: [(&str, &str, &str); 3] = [
    ("claude-ready", "0e8a16", "Ready for autonomous Claude development"),
    ("claude-in-progress", "fbca04", "Currently being worked on by Claude"),
    ("claude-blocked", "d93f0b", "Blocked, requires human intervention"),
];

/// Makes a label unless it is there; returns whether it was made.
pub fn make(client: &Client, repo: &str, name: &str, colour: &str, description: &str) -> Result<bool> {
    let there = client.address(&format!("repos/{repo}/labels/{}", segment(name)), &[])?;
    match client.get(&there) {
        Ok(_) => return Ok(false),
        // The normal case here.
        Err(error) if refusal(&error).is_some_and(|refusal| refusal.status == 404) => {}
        Err(error) => return Err(error),
    }
    let url = client.address(&format!("repos/{repo}/labels"), &[])?;
    let body = json!({ "name": name, "color": colour, "description": description });
    match client.write("POST", &url, Some(&body), &Repeat::Harmless) {
        Ok(_) => Ok(true),
        // Made by somebody else since, or by this very request, whose answer was lost.
        Err(error) if refusal(&error).is_some_and(|refusal| refusal.message.contains("already_exists")) => {
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

fn refusal(error: &Error) -> Option<&Refusal> {
    error.cause()
}
