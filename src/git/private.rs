//! cq's own bare git directory: own configuration and refs, the repository's objects.
//!
//! Nothing an agent can write is read as configuration here, so nothing it planted is run.

use std::path::{Path, PathBuf};

use super::tamper::Settings;
use super::{Git, LOCAL_DEADLINE, Repository, complaint};
use crate::clock::Timestamp;
use crate::error::{Kind, OrFail, Result};
use crate::process::{Finished, Program};
use crate::state::{durable, lock, make_private};

/// How many worktrees are filled at once: more only makes the disk slower (of 16, 2 to 4 at once were best).
const FILL_SLOTS: u64 = 2;

/// cq's own git directory.
#[derive(Debug, Clone)]
pub struct PrivateGit {
    git: Git,
    dir: PathBuf,
    repository: Repository,
}

/// Who the commits that cq itself makes are by.
#[derive(Debug, Clone)]
pub struct Identity {
    /// A name.
    pub name: String,
    /// An address.
    pub email: String,
}

impl PrivateGit {
    /// Opens it, or makes it: a `HEAD`, a configuration and two empty folders are all that git asks for.
    pub fn open(git: &Git, dir: &Path, repository: &Repository) -> Result<Self> {
        if !dir.join("HEAD").exists() {
            for folder in ["", "objects", "refs"] {
                make_private(&dir.join(folder))?;
            }
            let format = git
                .program(repository.common_dir())
                .args(["rev-parse", "--show-object-format"])
                .env("GIT_DIR", repository.common_dir().display().to_string())
                .run(LOCAL_DEADLINE)?
                .text();
            let config = match format.as_str() {
                "sha256" => {
                    "[core]\n\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n\tobjectformat = sha256\n"
                }
                _ => "[core]\n\trepositoryformatversion = 0\n\tbare = true\n",
            };
            durable::replace(&dir.join("config"), config.as_bytes())?;
            durable::replace(&dir.join("HEAD"), b"ref: refs/heads/none\n")?;
        }
        let private = Self { git: git.clone(), dir: dir.to_owned(), repository: repository.clone() };
        private.follow_shallow()?;
        Ok(private)
    }

    /// A shallow clone's boundary belongs to its objects, which are shared.
    fn follow_shallow(&self) -> Result<()> {
        let theirs = durable::read(&self.repository.common_dir().join("shallow"))?;
        let ours = self.dir.join("shallow");
        match theirs {
            Some(theirs) if durable::read(&ours)?.as_ref() != Some(&theirs) => {
                durable::replace_cheaply(&ours, theirs.as_bytes())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn program(&self) -> Program {
        self.git
            .program(&self.dir)
            .env("GIT_DIR", self.dir.display().to_string())
            .env("GIT_OBJECT_DIRECTORY", self.shared_objects().display().to_string())
            .args(["-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "core.logAllRefUpdates=false"])
    }

    /// The repository whose objects these are.
    pub(super) fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Where it is.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the repository's objects are.
    pub(super) fn shared_objects(&self) -> PathBuf {
        self.repository.common_dir().join("objects")
    }

    pub(super) fn run(&self, what: &str, args: &[&str]) -> Result<Finished> {
        let done = self.program().args(args).run(LOCAL_DEADLINE)?;
        if done.success() { Ok(done) } else { Err(complaint(what, &done)) }
    }

    /// The settings of a configuration file, as git reads them; what it includes is not looked at.
    pub fn settings_of(&self, file: &Path) -> Result<Settings> {
        let name = file.display().to_string();
        let list = ["config", "--file", &name, "--no-includes", "--null", "--list"];
        Ok(Settings::of_list(&self.run(&format!("read '{name}'"), &list)?.stdout))
    }

    /// Holds the lock under which worktrees are added.
    pub fn worktree_lock(&self, now: Timestamp) -> Result<lock::Guard> {
        lock::take(&self.dir.join("worktree.lock"), lock::PATIENCE, now)
    }

    /// Holds one of the places in which worktrees are filled; `number` spreads the callers over them.
    pub fn fill_slot(&self, number: u64, now: Timestamp) -> Result<lock::Guard> {
        lock::take(&self.dir.join(format!("fill-{}.lock", number % FILL_SLOTS)), LOCAL_DEADLINE, now)
    }

    /// The commit that a name means; none if there is no such commit.
    pub fn resolve(&self, name: &str) -> Result<Option<String>> {
        let verify = ["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{name}^{{commit}}")];
        let found = self.program().args(verify).run(LOCAL_DEADLINE)?;
        Ok(found.success().then(|| found.text()))
    }

    /// The tree of a commit.
    pub fn tree_of(&self, sha: &str) -> Result<String> {
        let found = self.run(
            "find the tree",
            &["rev-parse", "--verify", "--end-of-options", &format!("{sha}^{{tree}}")],
        )?;
        Ok(found.text())
    }

    /// The texts of files at a commit, in their order; none for one that it does not have.
    pub fn texts_at(&self, sha: &str, paths: &[&str]) -> Result<Vec<Option<String>>> {
        let names: Vec<String> = paths.iter().map(|path| format!("{sha}:{path}\n")).collect();
        let read = self.program().args(["cat-file", "--batch"]).stdin_bytes(names.concat());
        let read = read.run(LOCAL_DEADLINE)?;
        if !read.success() {
            return Err(complaint("read files of a commit", &read));
        }
        Ok(batch(&read.stdout, paths.len()))
    }

    /// How many commits `head` has that `base` has not.
    pub fn commits_ahead(&self, base: &str, head: &str) -> Result<u64> {
        let counted = self
            .run("count commits", &["rev-list", "--count", "--end-of-options", &format!("{base}..{head}")])?;
        counted.text().parse().or_fail(Kind::Internal, || "git rev-list --count gave no number")
    }

    /// The subjects of those commits, oldest first.
    pub fn subjects(&self, base: &str, head: &str) -> Result<Vec<String>> {
        let range = format!("{base}..{head}");
        let listed =
            self.run("list commits", &["log", "--reverse", "--format=%s", "--end-of-options", &range])?;
        Ok(listed.text().lines().map(str::to_owned).collect())
    }

    /// The paths that differ between two commits.
    pub fn paths_between(&self, base: &str, head: &str) -> Result<Vec<String>> {
        let args = [
            "diff-tree",
            "-r",
            "-z",
            "--name-only",
            "--no-renames",
            "--no-ext-diff",
            "--end-of-options",
            base,
            head,
        ];
        let listed = self.run("compare", &args)?;
        let names = listed.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        Ok(names.map(|name| String::from_utf8_lossy(name).into_owned()).collect())
    }

    /// What changed between two commits, as `git diff --stat` prints it.
    pub fn diff_stat(&self, base: &str, head: &str) -> Result<String> {
        let args = [
            "diff",
            "--stat=80",
            "--stat-count=30",
            "--no-ext-diff",
            "--no-textconv",
            "--end-of-options",
            base,
            head,
        ];
        Ok(self.run("compare", &args)?.text())
    }

    /// Writes the files of a commit into an empty folder. `index` is where git notes what it wrote.
    pub fn fill(&self, folder: &Path, index: &Path, sha: &str) -> Result<()> {
        let done = self
            .program()
            .args(["-c", "core.bare=false", "-c", "checkout.workers=2", "read-tree", "--reset", "-u", sha])
            .env("GIT_WORK_TREE", folder.display().to_string())
            .env("GIT_INDEX_FILE", index.display().to_string())
            .run(LOCAL_DEADLINE)?;
        if done.success() { Ok(()) } else { Err(complaint(&format!("fill '{}'", folder.display()), &done)) }
    }

    /// Writes the files of a commit into an empty folder that is no worktree.
    pub fn export(&self, folder: &Path, sha: &str) -> Result<()> {
        self.fill(folder, &self.scratch()?.path().join("index"), sha)
    }

    /// A folder for an index that only one command needs; swept if that command is killed.
    pub(super) fn scratch(&self) -> Result<tempfile::TempDir> {
        let made = tempfile::Builder::new().prefix(durable::TEMP_PREFIX).tempdir_in(&self.dir);
        made.or_fail(Kind::CannotWrite, || {
            format!("cannot make a temporary folder in '{}'", self.dir.display())
        })
    }

    /// Makes an index say what a commit says; the files beside it are not touched.
    pub fn refresh_index(&self, index: &Path, sha: &str) -> Result<()> {
        let done = self
            .program()
            .args(["read-tree", sha])
            .env("GIT_INDEX_FILE", index.display().to_string())
            .run(LOCAL_DEADLINE)?;
        if done.success() { Ok(()) } else { Err(complaint("refresh an index", &done)) }
    }

    /// Commits everything in a folder that differs from `head`, ignored files left out. Returns the new commit,
    /// or none where nothing differs. Neither the folder's index nor any ref is touched.
    pub fn commit_all(
        &self,
        folder: &Path,
        head: &str,
        message: &str,
        by: &Identity,
    ) -> Result<Option<String>> {
        let scratch = self.scratch()?;
        let index = scratch.path().join("index").display().to_string();
        let in_folder = |args: &[&str]| -> Result<Finished> {
            let done = self
                .program()
                .args(["-c", "core.bare=false", "-c", "core.fsmonitor=false"])
                .args(args)
                .env("GIT_WORK_TREE", folder.display().to_string())
                .env("GIT_INDEX_FILE", &index)
                .run(LOCAL_DEADLINE)?;
            if done.success() {
                Ok(done)
            } else {
                Err(complaint(&format!("read '{}'", folder.display()), &done))
            }
        };
        in_folder(&["read-tree", head])?;
        in_folder(&["add", "--all"])?;
        let tree = in_folder(&["write-tree"])?.text();
        if tree == self.tree_of(head)? {
            return Ok(None);
        }
        self.commit_tree(&tree, head, message, by).map(Some)
    }

    /// A commit of a tree. No ref is touched.
    pub(super) fn commit_tree(
        &self,
        tree: &str,
        parent: &str,
        message: &str,
        by: &Identity,
    ) -> Result<String> {
        commit(self.program().args(["commit-tree", tree, "-p", parent]), message, by)
    }
}

/// Runs a `git commit-tree`; gives the commit.
pub(super) fn commit(program: Program, message: &str, by: &Identity) -> Result<String> {
    let done = program
        .env("GIT_AUTHOR_NAME", &by.name)
        .env("GIT_AUTHOR_EMAIL", &by.email)
        .env("GIT_COMMITTER_NAME", &by.name)
        .env("GIT_COMMITTER_EMAIL", &by.email)
        .stdin_bytes(message)
        .run(LOCAL_DEADLINE)?;
    if done.success() { Ok(done.text()) } else { Err(complaint("commit", &done)) }
}

/// What `cat-file --batch` answered: `<oid> <type> <size>`, the content and a line end each, or a line without them.
fn batch(mut answer: &[u8], count: usize) -> Vec<Option<String>> {
    let mut next = || {
        let end = answer.iter().position(|byte| *byte == b'\n')?;
        let (head, rest) = (String::from_utf8_lossy(&answer[..end]), &answer[end + 1..]);
        answer = rest;
        let (kind, size) = head.split_once(' ')?.1.split_once(' ')?;
        let size: usize = size.parse().ok().filter(|size| *size < rest.len())?;
        answer = &rest[size + 1..];
        (kind == "blob").then(|| String::from_utf8_lossy(&rest[..size]).into_owned())
    };
    (0..count).map(|_| next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_of_a_batch_are_told_apart() {
        let answer = b"0a blob 6\none\ntw\nHEAD:x missing\n0b tree 2\n\0\0\n0c blob 0\n\n";
        let texts = batch(answer, 5);
        assert_eq!(texts, [Some("one\ntw".to_owned()), None, None, Some(String::new()), None]);
    }
}
