//! What an agent in a sandbox has of the repository, and how its commits get out.
//!
//! It sees, where the shared git directory is, one made for this run: refs and settings as they are now, without
//! what is secret of them, to read; its own branch, its own part of `worktrees` and an object directory of its own,
//! to write. The repository's objects are an alternate of that, elsewhere and to read. So it can break nothing but
//! its own things, and commit, rebase and look at the history as ever. Mounts instead of `GIT_OBJECT_DIRECTORY`:
//! that variable would go for every repository that a test suite makes, too.
//!
//! When it has ended, [`Quarantine::collect`] reads the branch as text and takes over the objects that it needs,
//! checked one by one; see [`super::taken`]. The same goes for a clone of an agent's own; see [`super::own_clone`].

use std::path::{Path, PathBuf};

use super::{PrivateGit, Repository, Worktree, shown};
use crate::error::{Error, Kind, OrFail, Result};
use crate::state::{durable, make_private};

/// Where the repository's objects are in a sandbox; `0` the repository's own, the others those it borrows.
const SHARED_OBJECTS: &str = "/run/cq/objects";

/// The quarantine of one instance: a folder that nobody else writes.
#[derive(Debug, Clone)]
pub struct Quarantine {
    pub(super) dir: PathBuf,
    /// The git directory that the agent writes.
    pub(super) git: PathBuf,
}

/// What stands where in a sandbox: (here, there).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stand {
    /// To read.
    pub readable: Vec<(PathBuf, PathBuf)>,
    /// To write.
    pub writable: Vec<(PathBuf, PathBuf)>,
}

/// The folder of a branch among the refs, and its name there.
fn place(branch: &str) -> (PathBuf, &str) {
    let heads = Path::new("refs/heads");
    branch.rsplit_once('/').map_or_else(|| (heads.to_owned(), branch), |(dir, name)| (heads.join(dir), name))
}

impl Quarantine {
    /// The one in a folder.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        let dir = dir.into();
        Self { git: dir.join("git"), dir }
    }

    /// The git directory that is shown; whoever prepares a new one puts an old one away first.
    pub fn git_dir(&self) -> PathBuf {
        self.git.clone()
    }

    /// Where the commit is noted that the branch had when it was shown, or collected, last.
    pub(super) fn note(&self) -> PathBuf {
        self.dir.join("collected")
    }

    /// Makes the git directory that is shown.
    pub fn prepare(&self, repository: &Repository, worktree: &Worktree, branch: &str) -> Result<Stand> {
        let common = repository.common_dir();
        if common.join("reftable").is_dir() {
            let message = "a repository with reftable cannot be shown in a sandbox";
            return Err(Error::new(Kind::Config, message).hint("set sandbox to none"));
        }
        let pointer = worktree.path.join(".git");
        if !pointer.symlink_metadata().is_ok_and(|about| about.is_file()) {
            return Err(Error::new(Kind::Failed, format!("'{}' is not a plain file", pointer.display())));
        }
        let full = format!("refs/heads/{branch}");
        let head = repository
            .resolve(&full)?
            .ok_or_else(|| Error::new(Kind::Failed, format!("the branch '{branch}' is gone")))?;
        let git = self.git_dir();
        let (folder, _) = place(branch);
        let name = worktree.git_dir.file_name().unwrap_or_default();
        let own = Path::new("worktrees").join(name);
        let folders = [Path::new("objects/info"), Path::new("objects/pack"), &own, &folder];
        for made in folders.into_iter().chain([Path::new("logs").join(&folder).as_path()]) {
            make_private(&git.join(made))?;
        }
        for file in ["HEAD", "packed-refs", "shallow", "config.worktree", "info/exclude", "info/attributes"] {
            shown::copy(&common.join(file), &git.join(file))?;
        }
        shown::copy_refs(&common.join("refs"), &git.join("refs"), &folder)?;
        shown::copy_files(&worktree.git_dir, &git.join(&own))?;
        shown::copy_files(&worktree.git_dir.join("info"), &git.join(&own).join("info"))?;
        durable::replace_cheaply(&git.join("config"), repository.settings_without_secrets()?.as_bytes())?;
        durable::replace_cheaply(&git.join(&full), format!("{head}\n").as_bytes())?;

        let mut stand = Stand { readable: vec![(git.clone(), common.to_owned())], writable: Vec::new() };
        for linked in ["hooks", "modules", "lfs"].iter().filter(|name| common.join(name).is_dir()) {
            make_private(&git.join(linked))?;
            stand.readable.push((common.join(linked), common.join(linked)));
        }
        let mut alternates = String::new();
        for (number, objects) in shown::object_directories(common).into_iter().enumerate() {
            let there = format!("{SHARED_OBJECTS}/{number}");
            alternates.push_str(&there);
            alternates.push('\n');
            // What it borrows is listed here; its own list has paths that are not there.
            let borrows = objects.join("info/alternates");
            if borrows.exists() {
                stand.readable.push((self.dir.join("none"), Path::new(&there).join("info/alternates")));
            }
            stand.readable.push((objects, there.into()));
        }
        durable::replace_cheaply(&self.dir.join("none"), b"")?;
        durable::replace_cheaply(&git.join("objects/info/alternates"), alternates.as_bytes())?;
        for part in [Path::new("objects"), &own, &folder, &Path::new("logs").join(&folder)] {
            stand.writable.push((git.join(part), common.join(part)));
        }
        durable::replace(&self.note(), head.as_bytes())?;
        Ok(stand)
    }

    /// Takes over what the agent committed: its objects into the repository, then the branch, which must still be
    /// where it was. `index` is that of the worktree; a clone has its own. Does nothing where nothing is new, and may be
    /// repeated, wherever it was killed.
    pub fn collect(
        &self,
        repository: &Repository,
        private: &PrivateGit,
        index: Option<&Path>,
        branch: &str,
    ) -> Result<()> {
        let Some(before) = durable::read(&self.note())? else { return Ok(()) };
        let Some(head) = self.head(branch)? else { return Ok(()) };
        if head == before {
            return Ok(());
        }
        let full = format!("refs/heads/{branch}");
        match repository.resolve(&full)? {
            Some(now) if now == head => {}
            Some(now) if now == before => {
                let scratch = self.empty_scratch()?;
                private.take_over(&self.objects()?, &head, &before, &scratch)?;
                self.empty_scratch()?;
                index.map_or(Ok(()), |index| private.refresh_index(index, &head))?;
                repository.move_ref(&full, &before, &head)?;
            }
            _ => {
                let message = format!("somebody else has moved '{branch}' while the agent worked on it");
                return Err(Error::new(Kind::Failed, message));
            }
        }
        durable::replace(&self.note(), head.as_bytes())
    }

    /// A folder for what a collection needs on its way; one that was killed left it full.
    pub(super) fn empty_scratch(&self) -> Result<PathBuf> {
        let scratch = self.dir.join("scratch");
        if scratch.is_dir() {
            std::fs::remove_dir_all(&scratch)
                .or_fail(Kind::CannotWrite, || format!("cannot empty '{}'", scratch.display()))?;
        }
        make_private(&scratch)?;
        Ok(scratch)
    }

    /// The end of the branch as the agent left it; none where it removed the branch.
    fn head(&self, branch: &str) -> Result<Option<String>> {
        let (folder, name) = place(branch);
        let file = self.git_dir().join(folder).join(name);
        let Some(text) =
            shown::read_small(&file).or_fail(Kind::Failed, || format!("cannot read '{branch}'"))?
        else {
            return self.packed_head(branch);
        };
        let head = text.trim_end();
        if matches!(head.len(), 40 | 64) && head.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(Some(head.to_ascii_lowercase()));
        }
        Err(Error::new(Kind::Failed, format!("the agent left no commit's name in '{branch}'")))
    }
}
