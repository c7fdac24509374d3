//! Builds and dependencies that a clean checkout is given, so that it need not make the world anew (`gate.caches`).
//!
//! ```text
//! .cq/caches.lock
//! workspaces/.caches/OWNER%2FNAME/target      as it was when the checks of a tree had all passed
//! ```
//!
//! Never what lies in an agent's workspace: an agent could put there what it likes, and the checks would believe it. What
//! is kept was made by checks, in a checkout that nothing but checks has written to, and only by those that were green.
//! They, too, ran what an agent wrote; whoever distrusts that deletes the folder, at any time, or names no caches. The
//! lock is not in it: of a deleted lock two processes could each hold one.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::checkout::Checkout;
use super::share::{self, Room};
use crate::clock::Timestamp;
use crate::error::{Error, Kind, OrFail, Result};
use crate::git::PrivateGit;
use crate::pipeline::supervise::put_away;
use crate::pipeline::workspace::{Grounds, put_in_trash};
use crate::record::Record;
use crate::session::Session;
use crate::state::{durable, folder, lock, make_private};

/// How long a copy of another checkout's may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long is waited for one that was told to end.
const GLANCE: Duration = Duration::from_secs(5);
/// Below the workspaces.
const FOLDER: &str = ".caches";

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
        let kept =
            session.loaded.workspaces(&session.environment)?.join(FOLDER).join(file_name(&record.repo));
        match lock::take(&lock_file(session), PATIENCE, session.clock.now()) {
            Ok(lock) => make_private(&kept).map(|()| Some(Self { kept, names: names.to_vec(), _lock: lock })),
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
    share::copy(&from, &to, &mut most.clone()).or_fail(Kind::CannotWrite, failed)?;
    // That is when it was last of use.
    share::touch(&from).or_fail(Kind::CannotWrite, failed).map(|()| true)
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

fn lock_file(session: &Session) -> PathBuf {
    session.state.dir().join("caches.lock")
}

/// Moves into the trash what was last given or kept before a moment, and what the configuration does not name any more; gives
/// their names. Nothing, where somebody has the lock just now.
pub(crate) fn prune(session: &Session, before: Timestamp, dry_run: bool) -> Result<Vec<String>> {
    let top = session.loaded.workspaces(&session.environment)?.join(FOLDER);
    if top.symlink_metadata().is_err() {
        return Ok(Vec::new());
    }
    let Some(_lock) = lock::try_take(&lock_file(session))? else { return Ok(Vec::new()) };
    let failed = || format!("cannot look through '{}'", top.display());
    let folders = |at: &OwnedFd| -> std::io::Result<Vec<(OsString, Timestamp)>> {
        let mut found = Vec::new();
        for name in folder::names(at)? {
            if let Some(about) = folder::look(at, &name)?.filter(folder::is_folder) {
                found.push((name, Timestamp::from_timestamp(about.st_mtime, 0).unwrap_or_default()));
            }
        }
        Ok(found)
    };
    let config = &session.loaded.config.gate.caches;
    let named: Vec<String> = config.iter().map(|name| file_name(name)).collect();
    // Without a configuration nobody knows what it would name.
    let is_unnamed = |name: &OsStr| session.loaded.file.is_some() && !named.iter().any(|one| name == &**one);
    let caches = Grounds::open(session)?.own(FOLDER)?;
    let mut gone = Vec::new();
    for (repo, _) in folders(&caches).or_fail(Kind::CannotWrite, failed)? {
        let kept = folder::step(&caches, &repo).or_fail(Kind::CannotWrite, failed)?;
        for (name, used) in folders(&kept).or_fail(Kind::CannotWrite, failed)? {
            if used <= before || is_unnamed(&name) {
                if !dry_run {
                    put_in_trash(session, &top.join(&repo).join(&name))?;
                }
                gone.push(path_of(&name));
            }
        }
    }
    Ok(gone)
}

/// Moves all of them into the trash; whether there were any.
pub(crate) fn put_all_away(session: &Session, dry_run: bool) -> Result<bool> {
    let top = session.loaded.workspaces(&session.environment)?.join(FOLDER);
    if top.symlink_metadata().is_err() {
        return Ok(false);
    }
    let _lock = lock::take(&lock_file(session), GLANCE, session.clock.now())?;
    if dry_run { Ok(true) } else { put_in_trash(session, &top).map(|_| true) }
}

/// A path as one name.
fn file_name(path: &str) -> String {
    path.replace('%', "%25").replace('/', "%2F")
}

/// And back.
fn path_of(name: &OsStr) -> String {
    name.to_string_lossy().replace("%2F", "/").replace("%25", "%")
}
