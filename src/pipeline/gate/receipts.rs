//! Receipts: what is known of a tree, so that it is not checked twice, and a note on it and its commit for people.
//!
//! What is believed is the copy in the state directory. The note, in the owner's repository under
//! `refs/notes/cq/receipts`, is only shown: an agent without a sandbox can write refs there.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::plan::{self, Planned};
use crate::clock::Timestamp;
use crate::error::{Error, Kind, OrFail, Result};
use crate::git::{Identity, PrivateGit, Repository};
use crate::record::{Gates, Record};
use crate::session::Session;
use crate::state::folder::{self, Identity as Thing};
use crate::state::removal::{self, Freed};
use crate::state::{durable, lock, make_private};

/// Where people find them: `git log --notes=cq/receipts`, `git notes --ref=cq/receipts show TREE`.
const NOTES: &str = "refs/notes/cq/receipts";

/// What is known of a tree.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Known {
    /// The issue for which it was checked.
    pub(super) issue: u64,
    pub(super) gates: Gates,
}

/// Nobody's checks take longer together.
const PATIENCE: Duration = Duration::from_secs(4 * 3600);

const FOLDER: &str = "receipts";

fn folder(session: &Session) -> PathBuf {
    session.state.dir().join(FOLDER)
}

fn file(session: &Session, tree: &str) -> PathBuf {
    folder(session).join(format!("{tree}.json"))
}

/// Held by who checks a tree, so that another who has the same one waits for the receipt. Of the few trees that are
/// checked at once, two seldom share one of the 256 locks.
pub(super) fn hold(session: &Session, tree: &str) -> Result<lock::Guard> {
    make_private(&folder(session))?;
    lock::take(&slot(session, tree), PATIENCE, session.clock.now())
}

fn slot(session: &Session, tree: &str) -> PathBuf {
    folder(session).join(format!("{}.lock", tree.get(..2).unwrap_or_default()))
}

/// What is known of a tree, if that answers the plan. A file that cannot be read answers nothing.
pub(super) fn find(
    session: &Session,
    tree: &str,
    base: Option<&str>,
    plan: &[Planned],
) -> Result<Option<Known>> {
    Ok(read(session, tree)?.filter(|known| plan::answers(&known.gates, base, plan)))
}

fn read(session: &Session, tree: &str) -> Result<Option<Known>> {
    let text = durable::read(&file(session, tree))?;
    let known: Option<Known> = text.and_then(|text| serde_json::from_str(&text).ok());
    Ok(known.filter(|known| known.gates.tree == tree))
}

/// Keeps what was learned of a tree.
pub(super) fn keep(session: &Session, record: &Record, gates: &Gates) -> Result<()> {
    durable::replace(
        &file(session, &gates.tree),
        &json(&Known { issue: record.number, gates: gates.clone() })?,
    )
}

/// Notes it on the tree and the commit. That it cannot be noted is told, and keeps no work back.
pub(super) fn note(
    session: &Session,
    (repository, private): (&Repository, &PrivateGit),
    head: &str,
    gates: &Gates,
) -> Result<()> {
    let git = &session.loaded.config.git;
    let by = Identity { name: git.author_name.clone(), email: git.author_email.clone() };
    let text = String::from_utf8_lossy(&json(&gates.receipt())?).into_owned();
    let noted = private.note(repository, NOTES, &[&gates.tree, head], &text, &by, session.clock.now());
    noted.unwrap_or_else(|error| session.complain(&error));
    Ok(())
}

/// Removes those that are no younger than a moment, by their own date, but for those of trees that are `needed`. One that
/// somebody is just looking for is left for another time.
pub(crate) fn prune(
    session: &Session,
    before: Timestamp,
    needed: &BTreeSet<&str>,
    dry_run: bool,
) -> Result<Freed> {
    let failed = || format!("cannot look through '{}'", folder(session).display());
    let state = folder::open(session.state.dir()).or_fail(Kind::CannotWrite, failed)?;
    let receipts = match folder::step(&state, FOLDER) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Freed::default()),
        receipts => receipts.or_fail(Kind::CannotWrite, failed)?,
    };
    let mut freed = Freed::default();
    for name in folder::names(&receipts).or_fail(Kind::CannotWrite, failed)? {
        let tree = name.to_str().and_then(|name| name.strip_suffix(".json"));
        let is_hash = |tree: &&str| tree.bytes().all(|byte| byte.is_ascii_hexdigit());
        let Some(tree) = tree.filter(is_hash).filter(|tree| !needed.contains(tree)) else { continue };
        let Some(_lock) = lock::try_take(&slot(session, tree))? else { continue };
        let there = Thing::at(&receipts, &name).or_fail(Kind::CannotWrite, failed)?;
        let is_old = |known: Known| known.gates.at.is_some_and(|at| at <= before);
        let Some(there) = there.filter(|_| read(session, tree).ok().flatten().is_some_and(is_old)) else {
            continue;
        };
        freed += if dry_run {
            Freed { entries: 1, bytes: 0 }
        } else {
            removal::remove(&receipts, &name, there).map_err(|refused| {
                let path = file(session, tree);
                Error::because(Kind::CannotWrite, refused, format!("cannot remove '{}'", path.display()))
            })?
        };
    }
    Ok(freed)
}

fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(value).or_fail(Kind::Internal, || "cannot write a receipt")?;
    text.push(b'\n');
    Ok(text)
}
