//! Who may do what in a repository.

use super::client::segment;
use super::{Client, Refusal};
use crate::error::Result;

/// GitHub's exact `role_name` of a person: `none` for somebody who is no user, nothing where this token may not
/// know. The older `permission` beside it is coarser: it says `write` for maintain and `read` for triage.
pub fn role_name(client: &Client, repo: &str, login: &str) -> Result<Option<String>> {
    let path = format!("repos/{repo}/collaborators/{}/permission", segment(login));
    match client.get(&client.address(&path, &[])?) {
        Ok(answer) => Ok(answer.body["role_name"].as_str().map(str::to_owned)),
        Err(error) => match error.cause::<Refusal>().map(|refusal| refusal.status) {
            Some(404) => Ok(Some("none".to_owned())),
            Some(403) => Ok(None),
            _ => Err(error),
        },
    }
}
