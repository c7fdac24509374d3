//! The clean checkout that checks run in: the files of one commit, and a home that is empty.

use std::path::{Path, PathBuf};

use super::caches::{self, Shelf};
use crate::error::Result;
use crate::git::PrivateGit;
use crate::pipeline::supervise::put_away;
use crate::pipeline::workspace::Paths;
use crate::record::Record;
use crate::sandbox::Tier;
use crate::session::Session;
use crate::state::make_private;

/// A clean checkout.
#[derive(Debug)]
pub(super) struct Checkout {
    /// Everything of it.
    top: PathBuf,
    /// The files, in a folder named after the repository as the worktree is.
    pub(super) folder: PathBuf,
    /// What a sandbox has to itself: home, temporary files. Beside it what git knows of the files.
    pub(super) private: PathBuf,
    /// Whether the home in `private` is the one that checks have.
    has_home: bool,
    sha: String,
    /// The caches that it can be given, and can give.
    pub(super) shared: Vec<String>,
    /// The caches that it was given.
    pub(super) caches: Vec<String>,
}

impl Checkout {
    /// Makes it in place of one that is there; without `caches`, as if nothing had ever been built. The caller holds the
    /// instance.
    pub(super) fn make(
        session: &Session,
        record: &Record,
        paths: &Paths,
        git: &PrivateGit,
        sha: &str,
        tier: &Tier,
        caches: bool,
    ) -> Result<Self> {
        let top = paths.dir.join("gate");
        if top.symlink_metadata().is_ok() {
            put_away(session, &top)?;
        }
        let folder = top.join(Paths::name_of(&record.repo));
        let private = top.join(".sandbox");
        for folder in [&folder, &private.join("home")] {
            make_private(folder)?;
        }
        let has_home = matches!(tier, Tier::Bubblewrap(_));
        let shared = caches::of(session, git, sha)?;
        let (sha, given) = (sha.to_owned(), Vec::new());
        let mut checkout = Self { top, folder, private, has_home, sha, shared, caches: given };
        let shelf = if caches { Shelf::hold(session, record, &checkout.shared)? } else { None };
        checkout.restore(git)?;
        checkout.caches = shelf.map(|shelf| shelf.give(session, &checkout)).unwrap_or_default();
        Ok(checkout)
    }

    /// Makes the files of the commit again what they are in it; what else is there stays.
    pub(super) fn restore(&self, git: &PrivateGit) -> Result<()> {
        git.fill(&self.folder, &self.private.join("index"), &self.sha)
    }

    /// Where a cache belongs: a folder, and the place in it. None where checks have the home of the account.
    pub(super) fn place<'c>(&'c self, cache: &'c str) -> Option<(PathBuf, &'c Path)> {
        match cache.strip_prefix("~/") {
            None => Some((self.folder.clone(), Path::new(cache))),
            Some(below) if self.has_home => Some((self.private.join("home"), Path::new(below))),
            Some(_) => None,
        }
    }

    /// Removes it.
    pub(super) fn discard(self, session: &Session) -> Result<()> {
        put_away(session, &self.top)
    }
}
