//! What is on a remote, and changes of it: each on the condition that the refs still are what was last seen there.

use std::collections::BTreeMap;

use super::fetch::fetch;
use super::private::{Identity, commit};
use super::{LOCAL_DEADLINE, PrivateGit, REMOTE_DEADLINE, Remote, complaint};
use crate::clock::Timestamp;
use crate::error::{Error, Kind, Result};

/// The full name of a branch.
pub fn branch_ref(branch: &str) -> String {
    format!("refs/heads/{branch}")
}

/// What is to become of a ref on a remote.
#[derive(Debug, Clone, Copy)]
pub struct RefChange<'a> {
    /// Its full name.
    pub name: &'a str,
    /// The object it shall point to; none if it shall go.
    pub to: Option<&'a str>,
    /// What it points to until then; none if there is no such ref.
    pub expected: Option<&'a str>,
}

/// What was seen on a remote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct There {
    /// The remote's default branch; none if it does not say.
    pub default_branch: Option<String>,
    refs: BTreeMap<String, String>,
}

impl There {
    /// `ref: refs/heads/main`, a tab, `HEAD`; and for each ref its object, a tab, its name.
    fn of(answer: &str) -> Self {
        let lines = || answer.lines().filter_map(|line| line.split_once('\t'));
        let symbolic = |(what, name): (&str, &str)| {
            what.strip_prefix("ref: refs/heads/").filter(|_| name == "HEAD").map(str::to_owned)
        };
        let direct = lines().filter(|(what, _)| !what.contains(' '));
        Self {
            default_branch: lines().find_map(symbolic),
            refs: direct.map(|(oid, name)| (name.to_owned(), oid.to_owned())).collect(),
        }
    }

    /// What a ref points to, by its full name; none where there is none, or it was not asked for.
    pub fn at(&self, name: &str) -> Option<&str> {
        self.refs.get(name).map(String::as_str)
    }

    /// The branches whose names begin so.
    pub fn branches<'a>(&'a self, start: &'a str) -> impl Iterator<Item = &'a str> {
        let names = self.refs.keys().filter_map(|name| name.strip_prefix("refs/heads/"));
        names.filter(move |name| name.starts_with(start))
    }
}

impl PrivateGit {
    /// What these refs of a remote point to, by their full names or with a final `*`, and the name of its default branch.
    pub fn there(&self, remote: &Remote, names: &[&str]) -> Result<There> {
        let ask = ["ls-remote", "--quiet", "--symref", "--end-of-options", &remote.address, "HEAD"];
        let done = remote.authorize(self.program().args(ask).args(names))?.run(REMOTE_DEADLINE)?;
        if done.success() {
            Ok(There::of(&done.text()))
        } else {
            Err(complaint(&format!("ask '{}'", remote.address), &done))
        }
    }

    /// Changes refs of a remote: all of them, or none where one is not as it was expected to be.
    pub fn change_there(&self, remote: &Remote, changes: &[RefChange<'_>]) -> Result<()> {
        let leases = changes
            .iter()
            .map(|one| format!("--force-with-lease={}:{}", one.name, one.expected.unwrap_or_default()));
        let specs = changes.iter().map(|one| format!("{}:{}", one.to.unwrap_or_default(), one.name));
        let push = ["push", "--quiet", "--porcelain", "--no-verify", "--no-recurse-submodules"];
        // A server need not know how; for a single ref there is nothing to know.
        let atomic = (changes.len() > 1).then_some("--atomic");
        let push =
            self.program().args(push).args(atomic).args(leases).args(["--end-of-options", &remote.address]);
        let done = remote.authorize(push.args(specs))?.run(REMOTE_DEADLINE)?;
        if done.success() {
            return Ok(());
        }
        let verb = if changes.iter().all(|one| one.to.is_none()) { "delete" } else { "push" };
        let names: Vec<&str> =
            changes.iter().map(|one| one.name.strip_prefix("refs/heads/").unwrap_or(one.name)).collect();
        let preposition = if verb == "delete" { "at" } else { "to" };
        let what = format!("{verb} '{}' {preposition} '{}'", names.join("', '"), remote.address);
        if String::from_utf8_lossy(&done.stdout).contains("(stale info)") {
            let message = format!("cannot {what}: somebody else has changed it");
            return Err(Error::new(Kind::Failed, message).hint("run cq-pr again to see what is there now"));
        }
        Err(complaint(&what, &done))
    }

    /// A commit of nothing, whose message is all it says. It has no parent, so that no other can be a fast-forward of it;
    /// said again at the same moment it is the same commit.
    pub fn statement(&self, message: &str, by: &Identity, at: Timestamp) -> Result<String> {
        let tree = self.program().args(["hash-object", "-w", "-t", "tree", "--stdin"]).run(LOCAL_DEADLINE)?;
        if !tree.success() {
            return Err(complaint("write an empty tree", &tree));
        }
        let date = format!("{} +0000", at.timestamp());
        let program = self.program().args(["commit-tree", &tree.text()]);
        commit(program.env("GIT_AUTHOR_DATE", &date).env("GIT_COMMITTER_DATE", &date), message, by)
    }

    /// Gets the object of a remote's ref that was seen there. Another time's affair if the ref points to something else by now.
    pub fn get_there(&self, remote: &Remote, name: &str, oid: &str) -> Result<()> {
        let is_here = || -> Result<bool> {
            Ok(self.program().args(["cat-file", "-e", oid]).run(LOCAL_DEADLINE)?.success())
        };
        if is_here()? {
            return Ok(());
        }
        let fetch = fetch(self.program()).args(["--end-of-options", &remote.address, name]);
        let done = remote.authorize(fetch)?.run(REMOTE_DEADLINE)?;
        if done.success() && is_here()? {
            return Ok(());
        }
        let now = self.there(remote, &[name])?;
        if now.at(name) == Some(oid) {
            return Err(complaint(&format!("fetch '{name}' from '{}'", remote.address), &done));
        }
        let message = format!("'{name}' at '{}' has changed since this moment", remote.address);
        Err(Error::new(Kind::TryAgain, message).hint("run it again"))
    }

    /// What a commit says; none if it is something else.
    pub fn stated(&self, oid: &str) -> Result<Option<String>> {
        if self.run("look at an object", &["cat-file", "-t", oid])?.text() != "commit" {
            return Ok(None);
        }
        let said = self.run("read a commit", &["log", "-1", "--format=%B", "--end-of-options", oid])?;
        Ok(Some(said.text()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_says_its_default_branch_and_what_was_asked_for() {
        let told = "ref: refs/heads/main\tHEAD\n0a\tHEAD\n0b\trefs/heads/claude/x\n0c\trefs/cq/pulls/7";
        let there = There::of(told);
        assert_eq!(there.default_branch.as_deref(), Some("main"));
        assert_eq!(there.at(&branch_ref("claude/x")), Some("0b"));
        assert_eq!(there.at("refs/cq/pulls/7"), Some("0c"));
        assert_eq!(there.at("refs/cq/pulls/70"), None);
        assert_eq!(there.branches("claude/").collect::<Vec<_>>(), ["claude/x"]);
        assert_eq!(There::of("0a\tHEAD").default_branch, None);
    }
}
