//! The labels of the design document.

use serde_json::json;

use super::client::segment;
use super::{Client, Repeat};
use crate::error::{Kind, Result};

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
        // 404 is the normal case here.
        Err(error) if error.kind == Kind::NotPermitted => {}
        Err(error) => return Err(error),
    }
    let url = client.address(&format!("repos/{repo}/labels"), &[])?;
    let body = json!({ "name": name, "color": colour, "description": description });
    client.write("POST", &url, Some(&body), &Repeat::Harmless).map(|_| true)
}
