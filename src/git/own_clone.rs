//! A clone of an agent's own: its git directory is in its workspace, and borrows the repository's objects to read.
//!
//! What the agent does to its settings, hooks and refs stays there: cq never runs git in it. Its branch is also in the
//! repository, where everything that comes after the agent looks for it; what it committed is taken over there as from
//! a sandbox, by [`Quarantine::collect`].

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::quarantine::{Quarantine, Stand};
use super::{PrivateGit, Repository, Worktree, shown};
use crate::error::{Error, Kind, OrFail, Result};
use crate::state::{durable, make_private};

/// As many bytes of packed refs are read; some hundred thousand refs.
const MOST_REFS: u64 = 64 << 20;

/// What a new clone is made from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'o> {
    /// The address of the remote, without a token.
    pub address: &'o str,
    /// The base branch.
    pub base: &'o str,
    /// Its commit.
    pub base_sha: &'o str,
}

/// The git directory of a clone; none where there is something else, such as a pointer or a link.
pub fn git_dir(worktree: &Path) -> Option<PathBuf> {
    let git = worktree.join(".git");
    let is_one = |at: &Path| at.symlink_metadata().is_ok_and(|about| about.is_dir());
    (is_one(&git) && is_one(&git.join("objects"))).then_some(git)
}

impl PrivateGit {
    /// Makes an empty clone on a branch, which the repository gets too unless it has it. Returns it, and the commit
    /// that its files are to be of.
    pub fn make_clone(&self, folder: &Path, branch: &str, origin: &Origin<'_>) -> Result<(Worktree, String)> {
        let repository = self.repository();
        let full = format!("refs/heads/{branch}");
        let head = if let Some(head) = repository.resolve(&full)? {
            head
        } else {
            repository.set_ref(&full, origin.base_sha)?;
            origin.base_sha.to_owned()
        };
        let git = folder.join(".git");
        for part in ["objects/info", "objects/pack", "refs/heads", "refs/tags", "info", "hooks"] {
            make_private(&git.join(part))?;
        }
        let remote = format!("refs/remotes/origin/{}", origin.base);
        for (name, sha) in [(full.as_str(), head.as_str()), (&remote, origin.base_sha)] {
            let file = git.join(name);
            file.parent().map_or(Ok(()), make_private)?;
            durable::replace_cheaply(&file, format!("{sha}\n").as_bytes())?;
        }
        let objects = shown::object_directories(repository.common_dir());
        let objects =
            objects.iter().fold(String::new(), |all, folder| all + &folder.display().to_string() + "\n");
        durable::replace_cheaply(&git.join("objects/info/alternates"), objects.as_bytes())?;
        shown::copy(&repository.common_dir().join("shallow"), &git.join("shallow"))?;
        durable::replace_cheaply(&git.join("config"), self.settings_of_clone(origin).as_bytes())?;
        // Last: without it git sees no repository.
        durable::replace_cheaply(&git.join("HEAD"), format!("ref: {full}\n").as_bytes())?;
        Ok((Worktree { path: folder.to_owned(), git_dir: git }, head))
    }

    fn settings_of_clone(&self, origin: &Origin<'_>) -> String {
        let sha256 = durable::read(&self.dir().join("config"))
            .is_ok_and(|text| text.is_some_and(|text| text.contains("objectformat = sha256")));
        let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        let mut settings = format!(
            "[core]\n\trepositoryformatversion = {}\n\tbare = false\n\tlogallrefupdates = true\n",
            u8::from(sha256)
        );
        if sha256 {
            settings.push_str("[extensions]\n\tobjectformat = sha256\n");
        }
        let _ = write!(
            settings,
            "[remote \"origin\"]\n\turl = \"{}\"\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n",
            quoted(origin.address)
        );
        settings.push_str("[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n");
        settings
    }
}

impl Quarantine {
    /// The one that a clone is; `dir` is where its notes are kept, out of the agent's way.
    pub fn of_clone(dir: impl Into<PathBuf>, git: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), git: git.into() }
    }

    /// Notes the commit that a new clone begins with.
    pub fn begin(&self, head: &str) -> Result<()> {
        make_private(&self.dir)?;
        durable::replace(&self.note(), head.as_bytes())
    }

    /// What a sandbox shows of the repository to a clone: the objects that it borrows, to read.
    pub fn borrowed(repository: &Repository) -> Stand {
        let objects = shown::object_directories(repository.common_dir());
        Stand { readable: objects.into_iter().map(|path| (path.clone(), path)).collect(), ..Stand::default() }
    }

    /// Moves a clone's branch to a commit that the repository has, and its index with it. Nobody works in it.
    pub fn advance(&self, private: &PrivateGit, branch: &str, sha: &str) -> Result<()> {
        let index = self.empty_scratch()?.join("index");
        private.refresh_index(&index, sha)?;
        let full = PathBuf::from(format!("refs/heads/{branch}"));
        let folder = full.parent().unwrap_or(&full);
        self.plain_folder(folder)?;
        durable::rename(&index, &self.git.join("index"))?;
        durable::replace_cheaply(&self.git.join(&full), format!("{sha}\n").as_bytes())?;
        self.empty_scratch().map(drop)
    }

    /// Makes sure of a folder in the agent's git directory: no link leads out of it.
    fn plain_folder(&self, folder: &Path) -> Result<()> {
        self.objects()?;
        let mut at = self.git.clone();
        for part in folder.components() {
            at.push(part);
            match at.symlink_metadata() {
                Ok(about) if about.is_dir() => {}
                Ok(_) => return Err(Error::new(Kind::Failed, format!("'{}' is no folder", at.display()))),
                Err(_) => make_private(&at)?,
            }
        }
        Ok(())
    }

    /// Where its objects are. A clone's may have been bent elsewhere, to another repository's.
    pub(super) fn objects(&self) -> Result<PathBuf> {
        let objects = self.git.join("objects");
        for folder in [&self.git, &objects] {
            if !folder.symlink_metadata().is_ok_and(|about| about.is_dir()) {
                return Err(Error::new(Kind::Failed, format!("'{}' is no folder", folder.display())));
            }
        }
        Ok(objects)
    }

    /// The end of a branch that `git pack-refs` or `git gc` put away; only in a clone: in a sandbox nobody can.
    pub(super) fn packed_head(&self, branch: &str) -> Result<Option<String>> {
        if self.git.starts_with(&self.dir) {
            return Ok(None);
        }
        let file = self.git.join("packed-refs");
        let text = shown::read_plain(&file, MOST_REFS)
            .or_fail(Kind::Failed, || format!("cannot read '{branch}'"))?;
        let full = format!("refs/heads/{branch}");
        let line = text.iter().flat_map(|text| text.lines()).find_map(|line| {
            let (sha, name) = line.split_once(' ')?;
            (name == full).then(|| sha.to_ascii_lowercase())
        });
        Ok(line
            .filter(|sha| matches!(sha.len(), 40 | 64) && sha.bytes().all(|byte| byte.is_ascii_hexdigit())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_is_a_folder_and_nothing_that_leads_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        make_private(&at("clone/.git/objects")).unwrap();
        make_private(&at("bent")).unwrap();
        make_private(&at("half/.git")).unwrap();
        make_private(&at("pointer")).unwrap();
        std::os::unix::fs::symlink(at("clone/.git"), at("bent/.git")).unwrap();
        std::os::unix::fs::symlink(at("clone/.git/objects"), at("half/.git/objects")).unwrap();
        durable::replace_cheaply(&at("pointer/.git"), b"gitdir: /x\n").unwrap();
        assert_eq!(git_dir(&at("clone")), Some(at("clone/.git")));
        for name in ["bent", "half", "pointer", "none"] {
            assert_eq!(git_dir(&at(name)), None, "{name}");
        }
        let bent = Quarantine::of_clone(at("notes"), at("half/.git"));
        assert!(bent.objects().is_err());
    }

    #[test]
    fn a_packed_branch_is_found_and_nothing_is_written_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let git = folder.path().join("clone/.git");
        make_private(&git.join("objects")).unwrap();
        let sha = "1234567890123456789012345678901234567890";
        let packed = format!("# pack-refs with: peeled\n{sha} refs/heads/claude/x\nnone refs/heads/y\n");
        durable::replace_cheaply(&git.join("packed-refs"), packed.as_bytes()).unwrap();
        let quarantine = Quarantine::of_clone(folder.path().join("notes"), &git);
        assert_eq!(quarantine.packed_head("claude/x").unwrap().as_deref(), Some(sha));
        assert_eq!(quarantine.packed_head("y").unwrap(), None);
        assert!(quarantine.plain_folder(Path::new("refs/heads/claude")).is_ok());
        std::os::unix::fs::symlink(folder.path(), git.join("refs/heads/bent")).unwrap();
        assert!(quarantine.plain_folder(Path::new("refs/heads/bent")).is_err());
    }
}
