//! The base, from the remote into the repository's objects: whole, without old files, or its newest commit alone.

use std::path::Path;
use std::time::Duration;

use super::{PrivateGit, REMOTE_DEADLINE, Remote, complaint};
use crate::clock::Timestamp;
use crate::config::CloneDepth;
use crate::error::{Error, Kind, Result};
use crate::process::Program;
use crate::state::{durable, lock};

/// A base that was fetched this recently is not fetched again.
const FRESH: Duration = Duration::from_secs(30);
/// The name of the remote that has what a blobless fetch leaves out, in cq's own configuration.
const PROMISOR: &str = "cq";

/// Where its end is kept.
fn base_ref(branch: &str) -> String {
    format!("refs/cq/base/{branch}")
}

/// A fetch of what is asked for, and of nothing else.
pub(super) fn fetch(program: Program) -> Program {
    let only = ["--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"];
    program.args(["fetch"]).args(only)
}

impl PrivateGit {
    /// The end of the base branch as it was last fetched; none where it never was.
    pub fn fetched_base(&self, branch: &str) -> Result<Option<String>> {
        self.resolve(&base_ref(branch))
    }

    /// The next [`PrivateGit::fetch_base`] fetches, however recent the last one is.
    pub fn forget_fetch(&self) -> Result<()> {
        durable::remove(&self.dir().join("fetched"))
    }

    /// The newest commit of the base branch on the remote at `address`; its objects are then in the repository.
    /// `remote` is only asked for if there is something to fetch: finding a token takes time. `now` is only used to
    /// say how long a lock was waited for.
    ///
    /// `depth` never takes away from what the repository has: a blobless fetch would leave holes that only a partial
    /// clone knows of, and a shallow one would cut the history off. So each is done where the repository is that
    /// already; a shallow one also where it has no history at all.
    pub fn fetch_base(
        &self,
        address: &str,
        remote: impl FnOnce() -> Result<Remote>,
        branch: &str,
        depth: CloneDepth,
        now: Timestamp,
    ) -> Result<String> {
        let name = base_ref(branch);
        let stamp = self.dir().join("fetched");
        let guard = lock::take(&self.dir().join("fetch.lock"), REMOTE_DEADLINE, now)?;
        let this = format!("{address}\n{branch}\n");
        if is_fresh(&stamp, &this)
            && let Some(sha) = self.resolve(&name)?
        {
            return Ok(sha);
        }
        let remote = &remote()?;
        let knows_some = self.seed_negotiation(&name, branch)?;
        let shallow = depth == CloneDepth::Shallow && (!knows_some || self.is_shallow());
        let blobless = depth == CloneDepth::Blobless && self.is_partial();
        let mut from = remote.address.as_str();
        let mut options: Vec<String> = Vec::new();
        if shallow {
            options.push("--depth=1".to_owned());
        }
        if blobless {
            self.promise(&remote.address)?;
            from = PROMISOR;
            options.push("--filter=blob:none".to_owned());
        }
        let spec = format!("+refs/heads/{branch}:{name}");
        let fetch = fetch(self.program()).args(options).args(["--end-of-options", from, &spec]);
        let done = remote.authorize(fetch)?.run(REMOTE_DEADLINE)?;
        if !done.success() {
            return Err(complaint(&format!("fetch '{branch}' from '{}'", remote.address), &done));
        }
        let sha = self.resolve(&name)?.ok_or_else(|| {
            Error::new(Kind::Unavailable, format!("'{}' has no branch '{branch}'", remote.address))
        })?;
        if shallow {
            self.share_shallow()?;
        }
        if self.is_partial() {
            self.complete_files(remote, from, &sha)?;
        }
        durable::replace_cheaply(&stamp, this.as_bytes())?;
        drop(guard);
        Ok(sha)
    }

    /// A first fetch into a directory without refs would ask for the whole history: start from what the
    /// repository already knows of the remote. Returns whether that is anything.
    fn seed_negotiation(&self, name: &str, branch: &str) -> Result<bool> {
        if self.resolve(name)?.is_some() {
            return Ok(true);
        }
        for known in [format!("refs/remotes/origin/{branch}"), format!("refs/heads/{branch}")] {
            if let Some(sha) = self.repository().resolve(&known)? {
                // Objects that are not complete make git refuse the ref; then the fetch just takes longer.
                let _ = self.run("set a ref", &["update-ref", name, &sha]);
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_shallow(&self) -> bool {
        self.repository().common_dir().join("shallow").exists()
    }

    /// git fetches without files only from a remote that its configuration names as the one to ask for them later.
    fn promise(&self, address: &str) -> Result<()> {
        let named = [
            ("core.repositoryFormatVersion", "1"),
            ("extensions.partialClone", PROMISOR),
            (&format!("remote.{PROMISOR}.promisor"), "true"),
            (&format!("remote.{PROMISOR}.partialCloneFilter"), "blob:none"),
            (&format!("remote.{PROMISOR}.url"), address),
        ];
        for (key, value) in named {
            self.run("prepare a blobless fetch", &["config", "--local", "--replace-all", key, value])?;
        }
        Ok(())
    }

    /// The shallow boundary belongs to the objects, so the repository has to know of it as well.
    fn share_shallow(&self) -> Result<()> {
        let file = self.repository().common_dir().join("shallow");
        let (theirs, ours) = (durable::read(&file)?, durable::read(&self.dir().join("shallow"))?);
        let theirs = theirs.unwrap_or_default();
        let mut all: Vec<&str> = theirs.lines().collect();
        let ours = ours.unwrap_or_default();
        all.extend(ours.lines().filter(|sha| !theirs.lines().any(|known| known == *sha)));
        let text = all.iter().fold(String::new(), |text, sha| text + sha + "\n");
        if text == theirs { Ok(()) } else { durable::replace(&file, text.as_bytes()) }
    }

    /// Fetches the files of a commit that a partial clone does not have: from then on nothing is missing for a
    /// worktree, and no later command has to ask the remote.
    fn complete_files(&self, remote: &Remote, from: &str, sha: &str) -> Result<()> {
        let tree = self.tree_of(sha)?;
        let list = self
            .run("list missing files", &["rev-list", "--objects", "--missing=print", "--no-walk", &tree])?;
        let list = list.text();
        let missing = list.lines().filter_map(|line| line.strip_prefix('?'));
        let missing = missing.fold(String::new(), |all, name| all + name + "\n");
        if missing.is_empty() {
            return Ok(());
        }
        let fetch = fetch(self.program().args(["-c", "fetch.negotiationAlgorithm=noop"]));
        let fetch = fetch.args(["--filter=blob:none", "--stdin", "--end-of-options", from]);
        let done = remote.authorize(fetch.stdin_bytes(missing))?.run(REMOTE_DEADLINE)?;
        if done.success() {
            Ok(())
        } else {
            Err(complaint(&format!("fetch files from '{}'", remote.address), &done))
        }
    }
}

fn is_fresh(stamp: &Path, this: &str) -> bool {
    let age =
        std::fs::metadata(stamp).and_then(|about| about.modified()).ok().and_then(|at| at.elapsed().ok());
    age.is_some_and(|age| age < FRESH) && std::fs::read_to_string(stamp).is_ok_and(|text| text == this)
}
