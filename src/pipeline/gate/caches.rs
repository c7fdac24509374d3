//! Builds and dependencies that a clean checkout is given, so that it need not make the world anew (`gate.caches`).
//!
//! ```text
//! workspaces/.caches/lock
//! workspaces/.caches/OWNER%2FNAME/target      as it was when the checks of a tree had all passed
//! ```
//!
//! Never what lies in an agent's workspace: an agent could put there what it likes, and the checks would believe it. What
//! is kept was made by checks, in a checkout that nothing but checks has written to, and only by those that were green.
//! They, too, ran what an agent wrote; whoever distrusts that deletes the folder, at any time, or names no caches.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::checkout::Checkout;
use super::share::{self, Room};
use crate::error::{Error, Kind, OrFail, Result};
use crate::git::PrivateGit;
use crate::pipeline::supervise::put_away;
use crate::record::Record;
use crate::session::Session;
use crate::state::{durable, lock, make_private};

/// How long a copy of another checkout's may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// The folder of what is kept for a repository. While it is held, nobody else keeps anything there.
pub(super) struct Shelf {
    kept: PathBuf,
    names: Vec<String>,
    _lock: lock::Guard,
}

/// The caches that a commit can be given. What it has files of its own in is none: they would be mixed with another
/// commit's.
pub(super) fn of(session: &Session, git: &PrivateGit, sha: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for name in &session.loaded.config.gate.caches {
        if !name.starts_with("~/") && git.has_at(sha, name)? {
            session.note(&format!("gate.caches: '{name}' is in the tree itself, and is not shared"));
        } else {
            names.push(name.clone());
        }
    }
    Ok(names)
}

impl Shelf {
    /// Of these caches; none where there are none, or nobody lets go of the shelf.
    pub(super) fn hold(session: &Session, record: &Record, names: &[String]) -> Result<Option<Self>> {
        if names.is_empty() {
            return Ok(None);
        }
        let folder = session.loaded.workspaces(&session.environment)?.join(".caches");
        let kept = folder.join(file_name(&record.repo));
        make_private(&kept)?;
        match lock::take(&folder.join("lock"), PATIENCE, session.clock.now()) {
            Ok(lock) => Ok(Some(Self { kept, names: names.to_vec(), _lock: lock })),
            Err(error) if error.kind == Kind::TryAgain => {
                session.complain(&error.context("caches are not shared"));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Gives a checkout what is kept. Returns the names of what it was given; what cannot be given is told, and done
    /// without. The checkout's files were written while this was held: they are younger than all that is kept.
    pub(super) fn give(&self, session: &Session, checkout: &Checkout) -> Vec<String> {
        let mut given = Vec::new();
        for name in &self.names {
            match give_one(session, &self.kept, checkout, name) {
                Ok(true) => given.push(name.clone()),
                Ok(false) => {}
                Err(error) => session.complain(&error),
            }
        }
        given
    }

    /// Keeps what a green run of the checks has made. What cannot be kept is told.
    pub(super) fn keep(&self, session: &Session, checkout: &Checkout) {
        for name in &self.names {
            if let Err(error) = keep_one(session, &self.kept.join(file_name(name)), checkout, name) {
                session.complain(&error);
            }
        }
    }
}

fn give_one(session: &Session, kept: &Path, checkout: &Checkout, name: &str) -> Result<bool> {
    let failed = || format!("cannot share the cache '{name}'");
    let Some((root, place)) = checkout.place(name) else { return Ok(false) };
    let from = share::folder(kept, Path::new(&file_name(name)), false).or_fail(Kind::CannotWrite, failed)?;
    let Some(from) = from else { return Ok(false) };
    let most = Room::of_megabytes(session.loaded.config.gate.cache_megabytes);
    // Half of a cache is worse than none.
    share::measure(&from, &mut most.clone()).or_fail(Kind::Failed, failed)?;
    let Some(to) = share::folder(&root, place, true).or_fail(Kind::CannotWrite, failed)? else {
        return Err(Error::new(Kind::Failed, format!("{}: the tree has something else there", failed())));
    };
    share::copy(&from, &to, &mut most.clone()).or_fail(Kind::CannotWrite, failed).map(|()| true)
}

fn keep_one(session: &Session, kept: &Path, checkout: &Checkout, name: &str) -> Result<()> {
    let failed = || format!("cannot keep the cache '{name}'");
    let Some((root, place)) = checkout.place(name) else { return Ok(()) };
    // No process is left that could put a link in the way between this look and the move.
    let Some(made) = share::folder(&root, place, false).or_fail(Kind::CannotWrite, failed)? else {
        return Ok(());
    };
    let mut most = Room::of_megabytes(session.loaded.config.gate.cache_megabytes);
    share::measure(&made, &mut most).or_fail(Kind::Failed, failed)?;
    if kept.symlink_metadata().is_ok() {
        put_away(session, kept)?;
    }
    durable::rename(&root.join(place), kept)
}

/// A path as one name.
fn file_name(path: &str) -> String {
    path.replace('%', "%25").replace('/', "%2F")
}
