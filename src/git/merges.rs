//! What merging would do, found out beside the repository: nothing is checked out, no ref is touched, and the objects
//! that git makes on the way go again.
//!
//! Which driver merges a file is a matter of attributes. Of these none is looked at, neither the repository's nor the
//! account's: agents write both, and GitHub obeys neither.

use std::collections::BTreeSet;

use super::{LOCAL_DEADLINE, PrivateGit, complaint, reason};
use crate::error::{Error, Kind, Result};
use crate::process::Finished;

/// What became of a merge of two commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merged {
    /// It would work.
    Clean,
    /// These files would conflict.
    Conflicting(Vec<String>),
    /// git could not say, and why: objects are missing, or the two have no history in common.
    Unknown(String),
}

/// After the status come the tree, the files, and an empty name.
const CONFLICTING: &str = "0";
const CLEAN: &str = "1";
/// How git ends that does not know an option.
const USAGE: i32 = 129;

impl PrivateGit {
    /// Merges each pair of commits, as `git merge` would, in one process. The answers come in the pairs' order.
    pub fn merge_all(&self, pairs: &[(String, String)]) -> Result<Vec<Merged>> {
        let scratch = self.scratch()?;
        let objects = self.beside_shared(&scratch.path().join("objects"))?.display().to_string();
        let mut merged = Vec::with_capacity(pairs.len());
        while merged.len() < pairs.len() {
            let left = &pairs[merged.len()..];
            let lines: Vec<String> = left.iter().map(|(one, other)| format!("{one} {other}\n")).collect();
            let done = self
                .program()
                .args(["-c", "core.attributesFile=/dev/null", "-c", "merge.renormalize=false"])
                .args(["merge-tree", "--write-tree", "--stdin", "-z", "--name-only", "--no-messages"])
                .env("GIT_OBJECT_DIRECTORY", &objects)
                .stdin_bytes(lines.concat())
                .run(LOCAL_DEADLINE)?;
            if done.exit == USAGE {
                return Err(self.cannot_merge());
            }
            let said = answers(&done.stdout);
            let is_short = said.len() < left.len();
            merged.extend(said.into_iter().take(left.len()));
            if is_short {
                // git ends at the first pair that it cannot merge at all; the others are still to be had.
                merged.push(Merged::Unknown(why(&done)));
            }
        }
        Ok(merged)
    }

    fn cannot_merge(&self) -> Error {
        let version = self.program().args(["version"]).run(LOCAL_DEADLINE);
        let version = version.map_or_else(|_| "this git".to_owned(), |said| said.text());
        let message = format!("{version} cannot merge without a checkout: it has no 'merge-tree --stdin'");
        Error::new(Kind::Config, message).hint("install git 2.39 or newer")
    }

    /// The files that a branch has changed since it left the base.
    pub fn changed_since(&self, base: &str, head: &str) -> Result<BTreeSet<String>> {
        let args = ["diff-tree", "-r", "-z", "--name-only", "--no-renames", "--merge-base", base, head];
        let listed = self.run("compare with the base", &args)?;
        Ok(names(&listed.stdout).filter(|name| !name.is_empty()).collect())
    }

    /// Which of these paths are files at a commit.
    pub fn files_at(&self, sha: &str, paths: &[&str]) -> Result<Vec<bool>> {
        // A line each: a path with a line end in it cannot be asked for, and is none that anybody wrote down.
        let asked: Vec<String> =
            paths.iter().map(|path| format!("{sha}:{}\n", path.replace('\n', "/"))).collect();
        let check = ["cat-file", "--batch-check=%(objecttype)"];
        let done = self.program().args(check).stdin_bytes(asked.concat()).run(LOCAL_DEADLINE)?;
        if !done.success() {
            return Err(complaint("look for files in a commit", &done));
        }
        // What is missing is answered with its name, which may be anything but one word.
        let said = String::from_utf8_lossy(&done.stdout);
        let mut kinds = said.lines().map(|line| line == "blob");
        Ok(paths.iter().map(|_| kinds.next().unwrap_or_default()).collect())
    }

    /// Whether a commit has a file or a folder of this path.
    pub fn has_at(&self, sha: &str, path: &str) -> Result<bool> {
        let look = ["cat-file", "-e", &format!("{sha}:{path}")];
        Ok(self.program().args(look).run(LOCAL_DEADLINE)?.success())
    }

    /// The commit that two have in common; none where they have none here, as may be in a shallow repository.
    pub fn common(&self, one: &str, other: &str) -> Result<Option<String>> {
        let look = ["merge-base", "--end-of-options", one, other];
        let found = self.program().args(look).run(LOCAL_DEADLINE)?;
        Ok(found.success().then(|| found.text()))
    }

    /// How far `head` has the base branch in it, which had it up to `known` before. Only what cq itself has fetched is
    /// looked at: agents can set every ref of the repository, and what is of the base is nobody's change.
    pub fn base_within(&self, branch: &str, known: &str, head: &str) -> Result<String> {
        let end = self.fetched_base(branch)?.filter(|end| end != known);
        let common = end.map(|end| self.common(&end, head)).transpose()?.flatten();
        match common.filter(|common| common != known && common != head) {
            // A base that was rewritten is not followed: it goes forward, or stays.
            Some(common) if self.commits_ahead(&common, known)? == 0 => Ok(common),
            _ => Ok(known.to_owned()),
        }
    }

    /// The newest commit of the base branch that is known here without asking the remote; none where none is.
    pub fn known_base(&self, branch: &str) -> Result<Option<String>> {
        let fetched = self.fetched_base(branch)?;
        let theirs = self.repository().resolve(&format!("refs/remotes/origin/{branch}"))?;
        match (fetched, theirs) {
            (Some(fetched), Some(theirs)) if fetched != theirs => {
                // Whoever fetched last knows more.
                let is_newer = self
                    .program()
                    .args(["merge-base", "--is-ancestor", &fetched, &theirs])
                    .run(LOCAL_DEADLINE)?
                    .success();
                Ok(Some(if is_newer { theirs } else { fetched }))
            }
            (None, None) => self.repository().resolve(&format!("refs/heads/{branch}")),
            (fetched, theirs) => Ok(fetched.or(theirs)),
        }
    }
}

/// What stands between zero bytes.
fn names(bytes: &[u8]) -> impl Iterator<Item = String> {
    bytes.split(|byte| *byte == 0).map(|name| String::from_utf8_lossy(name).into_owned())
}

/// The answers in what `merge-tree --stdin` wrote, as far as they are whole.
fn answers(output: &[u8]) -> Vec<Merged> {
    // Behind the last zero byte is nothing, or half a word.
    let whole = output.iter().rposition(|byte| *byte == 0).unwrap_or_default();
    let mut words = names(&output[..whole]);
    let mut found = Vec::new();
    while let (Some(status), Some(_tree)) = (words.next(), words.next()) {
        let mut files = BTreeSet::new();
        loop {
            match words.next() {
                None => return found,
                Some(name) if name.is_empty() => break,
                Some(name) => files.insert(name),
            };
        }
        found.push(match status.as_str() {
            CLEAN => Merged::Clean,
            CONFLICTING => Merged::Conflicting(files.into_iter().collect()),
            other => Merged::Unknown(format!("git answered '{other}'")),
        });
    }
    found
}

fn why(done: &Finished) -> String {
    let said = String::from_utf8_lossy(&done.stderr);
    reason(&said).unwrap_or_else(|| done.complaint())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let conflicting =
            |files: &[&str]| Merged::Conflicting(files.iter().map(|&file| file.into()).collect());
        let cases: [(&[&str], Vec<Merged>); 6] = [
            (&[], vec![]),
            (&["1", "t", "", ""], vec![Merged::Clean]),
            (&["0", "t", "b", "a", "b", "", ""], vec![conflicting(&["a", "b"])]),
            (&["0", "t", "a \"q\nx", "", "1", "t", "", ""], vec![conflicting(&["a \"q\nx"]), Merged::Clean]),
            (&["0", "t", "", ""], vec![conflicting(&[])]),
            // Cut off in the middle.
            (&["1", "t", "", "0", "t", "a", ""], vec![Merged::Clean]),
        ];
        for (words, expected) in cases {
            assert_eq!(answers(words.join("\0").as_bytes()), expected, "{words:?}");
        }
    }
}
