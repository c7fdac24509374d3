//! The owner's repository: where worktrees are made and branches live. Never its checkout, never its index.
//!
//! Audited commands only: `rev-parse`, `update-ref` and `worktree add --no-checkout` run neither filters, diff
//! drivers, pagers, editors nor transports; hooks and the monitor are switched off for each.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Git, LOCAL_DEADLINE, complaint};
use crate::error::{Error, Kind, OrFail, Result};
use crate::process::{Finished, Program};
use crate::state::folder::{self, Identity};
use crate::state::{durable, removal};

/// The owner's repository.
#[derive(Debug, Clone)]
pub struct Repository {
    git: Git,
    /// The folder that holds `objects`, `refs` and `worktrees`.
    common_dir: PathBuf,
}

/// A linked worktree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worktree {
    /// Its folder.
    pub path: PathBuf,
    /// Its administrative folder, `<common dir>/worktrees/<name>`.
    pub git_dir: PathBuf,
}

impl Repository {
    /// Opens the repository that a folder is, or is the checkout of.
    pub fn open(git: &Git, folder: &Path) -> Result<Self> {
        let dot_git = folder.join(".git");
        let common_dir = if dot_git.join("objects").is_dir() {
            dot_git
        } else if folder.join("objects").is_dir() && folder.join("HEAD").is_file() {
            folder.to_owned()
        } else {
            Self::ask_git(git, folder)?
        };
        Ok(Self { git: git.clone(), common_dir })
    }

    /// A folder inside a checkout, or the checkout of a linked worktree.
    fn ask_git(git: &Git, folder: &Path) -> Result<PathBuf> {
        let not_one = || {
            Error::new(Kind::Config, format!("'{}' is not a git repository", folder.display()))
                .hint("run cq in a clone of the repository, or set git.repository in the configuration")
        };
        if !folder.is_dir() {
            return Err(not_one());
        }
        let asked = git
            .program(folder)
            .args(["rev-parse", "--path-format=absolute", "--git-common-dir"])
            .run(LOCAL_DEADLINE)?;
        if asked.success() { Ok(PathBuf::from(asked.text())) } else { Err(not_one()) }
    }

    /// The folder that holds `objects`, `refs` and `worktrees`.
    pub fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    pub(super) fn run(&self, args: &[&str]) -> Result<Finished> {
        self.program().args(args.iter().copied()).run(LOCAL_DEADLINE)
    }

    fn program(&self) -> Program {
        let exact = self.common_dir.parent().unwrap_or(&self.common_dir);
        self.git
            .program(&self.common_dir)
            // The operator named this repository, so whoever owns its files is fine.
            .args(["-c".to_owned(), format!("safe.directory={}", exact.display())])
            .args(["-c".to_owned(), format!("safe.directory={}", self.common_dir.display())])
            .args(["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.bare=true"])
            .env("GIT_DIR", self.common_dir.display().to_string())
    }

    /// The address of the remote `origin`; none if there is none. Only asked for before an agent has run.
    pub fn origin(&self) -> Result<Option<String>> {
        let asked = self.run(&["config", "--local", "--get", "remote.origin.url"])?;
        Ok(asked.success().then(|| asked.text()))
    }

    /// The commit a full ref name points to; none if there is no such ref.
    pub fn resolve(&self, name: &str) -> Result<Option<String>> {
        let found = self.run(&[
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &format!("{name}^{{commit}}"),
        ])?;
        Ok(found.success().then(|| found.text()))
    }

    /// Points a ref at a commit.
    pub fn set_ref(&self, name: &str, sha: &str) -> Result<()> {
        let done = self.run(&["update-ref", "--no-deref", name, sha])?;
        if done.success() { Ok(()) } else { Err(complaint(&format!("set '{name}'"), &done)) }
    }

    /// Makes a ref, unless there is one of this name: then nothing is changed, and the answer is no.
    pub fn create_ref(&self, name: &str, sha: &str) -> Result<bool> {
        let nothing = "0".repeat(sha.len());
        let done = self.run(&["update-ref", "--no-deref", name, sha, &nothing])?;
        match done.success() {
            true => Ok(true),
            false if self.resolve(name)?.is_some() => Ok(false),
            false => Err(complaint(&format!("set '{name}'"), &done)),
        }
    }

    /// Deletes a branch that still ends in this commit, and keeps the commit by another ref, both or neither.
    pub fn set_aside(&self, branch: &str, sha: &str, kept_by: &str) -> Result<()> {
        let change = format!("update {kept_by} {sha}\ndelete refs/heads/{branch} {sha}\n");
        let update = ["update-ref", "--no-deref", "--stdin"];
        let done = self.program().args(update).stdin_bytes(change).run(LOCAL_DEADLINE)?;
        if done.success() { Ok(()) } else { Err(complaint(&format!("delete '{branch}'"), &done)) }
    }

    /// Points a ref at another commit, if it still points to `old`.
    pub fn move_ref(&self, name: &str, old: &str, new: &str) -> Result<()> {
        let done = self.run(&["update-ref", "--no-deref", name, new, old])?;
        if done.success() { Ok(()) } else { Err(complaint(&format!("set '{name}'"), &done)) }
    }

    /// Deletes a ref if it still points to this commit; one that is gone is deleted already.
    pub fn delete_ref(&self, name: &str, sha: &str) -> Result<()> {
        if self.resolve(name)?.is_none() {
            return Ok(());
        }
        let done = self.run(&["update-ref", "--no-deref", "-d", name, sha])?;
        if done.success() { Ok(()) } else { Err(complaint(&format!("delete '{name}'"), &done)) }
    }

    /// Full names and commits of the refs below a prefix.
    pub fn refs_below(&self, prefix: &str) -> Result<Vec<(String, String)>> {
        let listed = self.run(&["for-each-ref", "--format=%(refname) %(objectname)", prefix])?;
        if !listed.success() {
            return Err(complaint("list refs", &listed));
        }
        let pair = |line: &str| line.split_once(' ').map(|(name, sha)| (name.to_owned(), sha.to_owned()));
        Ok(listed.text().lines().filter_map(pair).collect())
    }

    /// Makes an empty worktree on a branch, which is created at `sha` unless it is there already. The caller
    /// holds the repository's worktree lock: `git worktree add` loses races against itself.
    pub fn add_worktree(&self, path: &Path, branch: &str, sha: &str) -> Result<Worktree> {
        let text = path.display().to_string();
        let full = format!("refs/heads/{branch}");
        let is_new = self.resolve(&full)?.is_none();
        // --force: a worktree whose folder was lost is still registered under its path.
        let mut args = vec!["worktree", "add", "--quiet", "--force", "--no-checkout"];
        if is_new {
            args.extend(["--no-track", "-b", branch, &text, sha]);
        } else {
            args.extend([text.as_str(), branch]);
        }
        let added = self.run(&args)?;
        if !added.success() {
            if is_new {
                self.delete_ref(&full, sha)?;
            }
            return Err(complaint(&format!("make the worktree '{text}'"), &added));
        }
        Ok(Worktree { path: path.to_owned(), git_dir: self.git_dir_of(path)? })
    }

    /// Makes an empty worktree on no branch. The caller holds the repository's worktree lock.
    pub fn add_detached(&self, path: &Path, sha: &str) -> Result<Worktree> {
        let text = path.display().to_string();
        let added =
            self.run(&["worktree", "add", "--quiet", "--force", "--no-checkout", "--detach", &text, sha])?;
        if !added.success() {
            return Err(complaint(&format!("make the worktree '{text}'"), &added));
        }
        Ok(Worktree { path: path.to_owned(), git_dir: self.git_dir_of(path)? })
    }

    /// Tells the repository where a worktree is that was moved; what `git worktree move` does after its move.
    pub fn note_place(&self, worktree: &Worktree) -> Result<()> {
        let pointer = worktree.path.join(".git");
        durable::replace_cheaply(
            &worktree.git_dir.join("gitdir"),
            format!("{}\n", pointer.display()).as_bytes(),
        )
    }

    /// Puts a worktree that is on no branch on one, which is made at `sha` unless it is there. Returns its commit; the
    /// files are the caller's.
    pub fn put_on_branch(&self, worktree: &Worktree, branch: &str, sha: &str) -> Result<String> {
        let full = format!("refs/heads/{branch}");
        let head = if let Some(head) = self.resolve(&full)? {
            head
        } else {
            self.set_ref(&full, sha)?;
            sha.to_owned()
        };
        durable::replace_cheaply(&worktree.git_dir.join("HEAD"), format!("ref: {full}\n").as_bytes())?;
        Ok(head)
    }

    /// Where a worktree's administrative folder is, by its `.git` file; refused unless it is one of ours.
    pub fn git_dir_of(&self, worktree: &Path) -> Result<PathBuf> {
        let pointer = worktree.join(".git");
        let text = std::fs::read_to_string(&pointer)
            .or_fail(Kind::Failed, || format!("cannot read '{}'", pointer.display()))?;
        let git_dir = PathBuf::from(text.trim_end().strip_prefix("gitdir: ").unwrap_or_default());
        if git_dir.parent() == Some(&self.common_dir.join("worktrees")) {
            return Ok(git_dir);
        }
        let message = format!("'{}' does not belong to this repository", worktree.display());
        Err(Error::new(Kind::NotPermitted, message))
    }

    /// Removes the locks that a killed git left in a worktree nobody works in: the next one would refuse to commit.
    pub fn remove_stale_locks(&self, git_dir: &Path, branch: &str) -> Result<()> {
        let of_branch = self.common_dir.join("refs/heads").join(format!("{branch}.lock"));
        let of_clone = git_dir.join("refs/heads").join(format!("{branch}.lock"));
        [git_dir.join("index.lock"), git_dir.join("HEAD.lock"), of_branch, of_clone]
            .iter()
            .try_for_each(|lock| durable::remove(lock))
    }

    /// The administrative folder that a worktree names, if that one names the worktree too: each can be written by an
    /// agent in it.
    pub fn registered(&self, worktree: &Path) -> Option<PathBuf> {
        let git_dir = self.git_dir_of(worktree).ok()?;
        let back = std::fs::read_to_string(git_dir.join("gitdir")).ok()?;
        (Path::new(back.trim_end()) == worktree.join(".git")).then_some(git_dir)
    }

    /// Forgets a worktree: removes its administrative folder, if that is the one that `is_it` knows, and nothing else.
    pub fn forget_worktree(&self, git_dir: &Path, is_it: impl Fn(Identity) -> bool) -> Result<()> {
        let (parent, Some(name)) = (self.common_dir.join("worktrees"), git_dir.file_name()) else {
            return Ok(());
        };
        if git_dir.parent() != Some(&parent) {
            return Ok(());
        }
        let failed = || format!("cannot remove '{}'", git_dir.display());
        let open = || folder::step(folder::open(&self.common_dir)?, "worktrees");
        let parent = match open() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            parent => parent.or_fail(Kind::CannotWrite, failed)?,
        };
        let about = folder::look(&parent, name).or_fail(Kind::CannotWrite, failed)?;
        let there = Identity::at(&parent, name).or_fail(Kind::CannotWrite, failed)?;
        let Some(there) = there.filter(|_| about.is_some_and(|about| folder::is_folder(&about))) else {
            return Ok(());
        };
        if !is_it(there) {
            return Ok(());
        }
        removal::remove(&parent, name, there).map(drop).or_fail(Kind::CannotWrite, failed)
    }
}
