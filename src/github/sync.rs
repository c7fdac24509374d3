//! A repository's issues as they were when they were last looked at, kept up to date: read whole once, then only what
//! has changed.
//!
//! What changes an issue moves its `updated_at`, be it a label set or removed, a comment or the close. So one request
//! for what was updated since a fixed moment, with the ETag of its last answer, tells whether anything has: 304 if
//! not, which costs nothing. The lists of GitHub lag, and say nothing of what was deleted: an issue is read again by
//! itself before it is claimed, and the whole is read anew once a day.

use std::path::Path;

use super::credential::digest;
use super::snapshot::Snapshot;
use super::{Client, events, issues};
use crate::clock::Timestamp;
use crate::error::{Kind, OrFail, Result};
use crate::record::Record;
use crate::record::trust::Policy;
use crate::state::durable;

mod reader;

use reader::Reader;

/// The fixed moment lies this long before the first look: GitHub's clock may be another one, and its lists lag.
pub(super) const MARGIN_MINUTES: i64 = 10;

/// What is wanted.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// `owner/name`.
    pub repo: &'a str,
    /// A list for each label, oldest issue first; none stands for all open issues.
    pub lists: Vec<Option<String>>,
    /// Who may approve.
    pub policy: &'a Policy,
}

/// Brings the snapshot in a folder up to date, and gets the details of those issues that `deserves` them.
pub fn refresh(
    client: &Client,
    folder: Option<&Path>,
    wanted: &Wanted<'_>,
    now: Timestamp,
    deserves: &dyn Fn(&Record) -> bool,
) -> Result<Snapshot> {
    let name = format!("{} {} {:?}", client.endpoints().api, wanted.repo, wanted.lists);
    let file = folder.map(|folder| folder.join(format!("issues-{:032x}.json", digest(&name))));
    let kept = file.as_ref().and_then(|file| Snapshot::read(file, wanted, now));
    let before = kept.as_ref().map(|kept| serde_json::to_vec(kept).unwrap_or_default());
    let is_new = kept.is_none();
    let snapshot = kept.unwrap_or_else(|| Snapshot::empty(wanted, now));
    let mut reader = Reader::new(client, wanted, now, deserves, snapshot);
    if is_new {
        reader.read_whole()?;
    } else {
        reader.read_changes()?;
    }
    reader.snapshot.forget_the_old(now);
    reader.settle()?;
    let snapshot = reader.snapshot;
    if let Some(file) = file {
        let text = serde_json::to_vec(&snapshot).or_fail(Kind::Internal, || "cannot write the issues")?;
        if before.as_ref() != Some(&text) {
            // What cannot be kept is read again.
            let _ = durable::replace_cheaply(&file, &text);
        }
    }
    Ok(snapshot)
}

/// One issue as it is at this moment, with its details, the text of its comments and the Apps that had a hand in it;
/// no details where it is not open any more.
pub fn one(client: &Client, wanted: &Wanted<'_>, number: u64, now: Timestamp) -> Result<(Record, Snapshot)> {
    let item = issues::item(client, wanted.repo, number)?;
    let record = issues::received(&item, wanted.repo)?;
    let mut snapshot = Snapshot::empty(wanted, now);
    snapshot.note(&item)?;
    let mut reader = Reader::new(client, wanted, now, &|_| true, snapshot);
    reader.with_text = true;
    reader.settle()?;
    if let Some(details) = reader.snapshot.issues.get_mut(&number).and_then(|known| known.details.as_mut()) {
        events::note_apps(client, wanted.repo, number, &mut details.evidence)?;
    }
    Ok((record, reader.snapshot))
}
