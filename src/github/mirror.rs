//! Shows on GitHub what is known here of an issue: labels and assignee, as [`crate::record::mirror`] wants them.

use super::{Client, assignees, issues, labels};
use crate::error::Result;
use crate::record::Record;
use crate::record::mirror::{Change, Terms, changes};

/// What GitHub shows otherwise than it should. An issue that has not changed costs nothing of the rate limit.
pub fn differences(
    client: &Client,
    record: &Record,
    in_flight: bool,
    terms: Terms<'_>,
) -> Result<Vec<Change>> {
    let issue = issues::item(client, &record.repo, record.number)?;
    Ok(changes(record, in_flight, &labels::of(&issue), &assignees::of(&issue), terms))
}

/// Makes one change. Doing it twice is doing it once.
pub fn apply(client: &Client, record: &Record, change: &Change) -> Result<()> {
    let (repo, number) = (record.repo.as_str(), record.number);
    match change {
        Change::Label(name) => labels::add(client, repo, number, &[(*name).to_owned()]),
        Change::Unlabel(name) => labels::remove(client, repo, number, name),
        Change::Assign(login) => assignees::add(client, repo, number, std::slice::from_ref(login)).map(drop),
        Change::Unassign(login) => assignees::remove(client, repo, number, std::slice::from_ref(login)),
    }
}
