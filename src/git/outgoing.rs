//! What a push would publish: each new commit, what it touches, and the difference of it all.
//!
//! Everything is asked for with NUL between the parts, because a path may hold anything else, and without the detection
//! of renames, which would hide what a file is from whoever looks at its name.

use std::collections::{BTreeMap, BTreeSet};

use super::{LOCAL_DEADLINE, PrivateGit, complaint};
use crate::error::{Error, Kind, OrFail, Result};

/// What a path is at one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// git's mode: 100644, 100755, 120000 for a link, 160000 for a submodule, 040000 for a folder.
    pub mode: u32,
    /// The object.
    pub oid: String,
}

impl Entry {
    /// A symbolic link: the object is its target.
    pub const LINK: u32 = 0o120_000;
    /// A submodule: the object is another repository's commit.
    pub const SUBMODULE: u32 = 0o160_000;
    /// A folder.
    pub const FOLDER: u32 = 0o040_000;

    /// Whether there is an object in this repository with bytes to read.
    pub fn is_blob(&self) -> bool {
        ![Self::SUBMODULE, Self::FOLDER].contains(&self.mode)
    }
}

/// One path that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// From the top of the tree; may hold anything but NUL.
    pub path: Vec<u8>,
    /// What it was; none where it is new.
    pub old: Option<Entry>,
    /// What it is; none where it is gone.
    pub new: Option<Entry>,
    /// Lines added and removed; none for a binary file.
    pub lines: Option<u64>,
}

/// A commit that would be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its name.
    pub sha: String,
    /// What it has that none of its parents has.
    pub changes: Vec<Change>,
    /// What its parents had in the place of what it changes: the objects.
    pub before: Vec<String>,
}

/// What a push would publish.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Oldest first.
    pub commits: Vec<Commit>,
    /// From where the branch began to its end: what a reviewer sees.
    pub net: Vec<Change>,
}

impl PrivateGit {
    /// What `head` has that `base` has not.
    pub fn outgoing(&self, base: &str, head: &str) -> Result<Outgoing> {
        let list = [
            "rev-list",
            "--topo-order",
            "--reverse",
            "--parents",
            "--end-of-options",
            head,
            &format!("^{base}"),
        ];
        let listed = self.run("list commits", &list)?.text();
        let parents: BTreeMap<&str, usize> = listed
            .lines()
            .filter_map(|line| Some((line.split(' ').next()?, line.split(' ').count() - 1)))
            .collect();
        let order: Vec<&str> = listed.lines().filter_map(|line| line.split(' ').next()).collect();
        let asked = by_line(&order);
        let args = [
            "diff-tree",
            "--stdin",
            "--always",
            "-m",
            "-r",
            "-t",
            "-z",
            "--root",
            "--raw",
            "--no-renames",
            "--no-abbrev",
        ];
        let told = self.program().args(args).stdin_bytes(asked).run(LOCAL_DEADLINE)?;
        if !told.success() {
            return Err(complaint("compare commits", &told));
        }
        let mut differences = by_commit(&told.stdout)?;
        let commits = order.iter().map(|sha| {
            // Each is told of, if only by its name: none is passed over because git did not understand the question.
            let of_parents = differences.remove(*sha).ok_or_else(not_understood)?;
            Ok(whole(sha, parents.get(sha).copied().unwrap_or_default(), of_parents))
        });
        Ok(Outgoing { commits: commits.collect::<Result<_>>()?, net: self.net(base, head)? })
    }

    /// The difference of the whole, as GitHub shows it: from the commit at which the branch left its base.
    fn net(&self, base: &str, head: &str) -> Result<Vec<Change>> {
        let asked = self.program().args(["merge-base", base, head]).run(LOCAL_DEADLINE)?;
        let from = match asked.exit {
            0 => asked.text(),
            // Nothing in common: all of it is new.
            1 => self.run("name the empty tree", &["hash-object", "-t", "tree", "--stdin"])?.text(),
            _ => return Err(complaint("find where the branch began", &asked)),
        };
        let args =
            ["diff-tree", "-r", "-z", "--raw", "--numstat", "--no-renames", "--no-abbrev", "--no-ext-diff"];
        let args = [&args[..], &["--no-textconv", "--end-of-options", &from, head]].concat();
        let mut changes = Vec::new();
        let mut lines = BTreeMap::new();
        let told = self.run("compare", &args)?.stdout;
        let mut parts = parts(&told);
        while let Some(part) = parts.next() {
            match part.strip_prefix(b":") {
                Some(raw) => changes.push(change(raw, parts.next())?),
                None => {
                    let (path, count) = numbers(part)?;
                    lines.insert(path, count);
                }
            }
        }
        for change in &mut changes {
            change.lines = lines.get(change.path.as_slice()).copied().flatten();
        }
        Ok(changes)
    }

    /// The sizes of objects, in bytes; one that is not here is left out.
    pub fn sizes(&self, oids: &BTreeSet<&str>) -> Result<BTreeMap<String, u64>> {
        let asked = by_line(&oids.iter().copied().collect::<Vec<_>>());
        let args = ["cat-file", "--batch-check=%(objectname) %(objectsize)"];
        let told = self.program().args(args).stdin_bytes(asked).run(LOCAL_DEADLINE)?;
        if !told.success() {
            return Err(complaint("read the sizes of objects", &told));
        }
        let size = |line: &str| {
            line.split_once(' ').and_then(|(oid, size)| Some((oid.to_owned(), size.parse().ok()?)))
        };
        Ok(told.text().lines().filter_map(size).collect())
    }

    /// Objects as they are stored, without git's own head; one that is not here is left out.
    pub fn objects(&self, oids: &[&str]) -> Result<BTreeMap<String, Vec<u8>>> {
        let asked = by_line(oids);
        let told = self.program().args(["cat-file", "--batch"]).stdin_bytes(asked).run(LOCAL_DEADLINE)?;
        if !told.success() {
            return Err(complaint("read objects", &told));
        }
        let mut left = told.stdout.as_slice();
        let mut found = BTreeMap::new();
        while let Some(end) = left.iter().position(|byte| *byte == b'\n') {
            let head = String::from_utf8_lossy(&left[..end]).into_owned();
            left = &left[end + 1..];
            let mut words = head.split(' ');
            let (oid, size) = (words.next(), words.nth(1));
            let Some(size) = size.and_then(|size| size.parse::<usize>().ok()) else { continue };
            let bytes = left.get(..size).ok_or_else(not_understood)?;
            found.insert(oid.unwrap_or_default().to_owned(), bytes.to_vec());
            left = left.get(size + 1..).unwrap_or_default();
        }
        Ok(found)
    }

    /// Whether one of these byte sequences stands in a file of a commit. They go to git by its stdin: nobody sees them.
    pub fn has_text(&self, sha: &str, pieces: &[Vec<u8>]) -> Result<bool> {
        let one_line = |piece: &&Vec<u8>| !piece.is_empty() && !piece.contains(&b'\n') && !piece.contains(&0);
        let lines: Vec<&[u8]> = pieces.iter().filter(one_line).map(Vec::as_slice).collect();
        if lines.is_empty() {
            return Ok(false);
        }
        let args =
            ["grep", "--quiet", "--text", "--fixed-strings", "--no-recurse-submodules", "-f", "-", sha, "--"];
        let told = self.program().args(args).stdin_bytes(lines.join(&b'\n')).run(LOCAL_DEADLINE)?;
        match told.exit {
            0 => Ok(true),
            1 => Ok(false),
            _ => Err(complaint("search the base", &told)),
        }
    }
}

fn not_understood() -> Error {
    Error::new(Kind::Internal, "what git says of the commits cannot be understood")
}

/// Names for git to read; it passes over a line without an end.
fn by_line(names: &[&str]) -> String {
    names.iter().flat_map(|name| [*name, "\n"]).collect()
}

/// What stands between NULs.
fn parts(told: &[u8]) -> impl Iterator<Item = &[u8]> {
    told.strip_suffix(b"\0").unwrap_or(told).split(|byte| *byte == 0).filter(|part| !part.is_empty())
}

/// The differences to each parent, by commit: a commit's name, then each path that differs.
fn by_commit(told: &[u8]) -> Result<BTreeMap<String, Vec<Change>>> {
    let mut found: BTreeMap<String, Vec<Change>> = BTreeMap::new();
    let mut now = String::new();
    let mut parts = parts(told);
    while let Some(part) = parts.next() {
        match part.strip_prefix(b":") {
            Some(raw) => found.entry(now.clone()).or_default().push(change(raw, parts.next())?),
            None => {
                now = String::from_utf8_lossy(part).into_owned();
                found.entry(now.clone()).or_default();
            }
        }
    }
    Ok(found)
}

/// `100644 100644 OID OID M`, and the path.
fn change(raw: &[u8], path: Option<&[u8]>) -> Result<Change> {
    let raw = String::from_utf8_lossy(raw);
    let words: Vec<&str> = raw.split(' ').collect();
    let ([old_mode, new_mode, old, new, ..], Some(path)) = (words.as_slice(), path) else {
        return Err(not_understood());
    };
    let entry = |mode: &str, oid: &str| -> Result<Option<Entry>> {
        let mode =
            u32::from_str_radix(mode, 8).or_fail(Kind::Internal, || "git told of a mode that is none")?;
        Ok((mode != 0).then(|| Entry { mode, oid: oid.to_owned() }))
    };
    Ok(Change { path: path.to_vec(), old: entry(old_mode, old)?, new: entry(new_mode, new)?, lines: None })
}

/// `added`, `removed` and the path, with tabs between; `-` for a binary file.
fn numbers(part: &[u8]) -> Result<(&[u8], Option<u64>)> {
    let mut columns = part.splitn(3, |byte| *byte == b'\t');
    let mut number = || columns.next().map(|text| String::from_utf8_lossy(text).parse::<u64>().ok());
    let (added, removed) = (number().ok_or_else(not_understood)?, number().ok_or_else(not_understood)?);
    let path = columns.next().ok_or_else(not_understood)?;
    Ok((path, added.zip(removed).map(|(added, removed)| added + removed)))
}

/// A commit with what differs from all of its parents: what is as one of them has it came from there.
fn whole(sha: &str, parents: usize, differences: Vec<Change>) -> Commit {
    let mut by_path: BTreeMap<Vec<u8>, Vec<Change>> = BTreeMap::new();
    let mut before = BTreeSet::new();
    for change in differences {
        before.extend(change.old.iter().filter(|old| old.is_blob()).map(|old| old.oid.clone()));
        by_path.entry(change.path.clone()).or_default().push(change);
    }
    let of_all = by_path.into_values().filter(|changes| changes.len() >= parents.max(1));
    let changes = of_all.filter_map(|changes| changes.into_iter().next()).collect();
    Commit { sha: sha.to_owned(), changes, before: before.into_iter().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "78981922613b2afb6025042ff6bd878ac1994e85";
    const B: &str = "975fbec8256d3e8a3797e7a3611380f27c49f4ac";
    const NO: &str = "0000000000000000000000000000000000000000";

    #[test]
    fn paths_may_hold_anything() {
        let told = format!(
            "c1\0:100644 100755 {A} {B} M\0a \"b\"\nc\t:d\0:000000 120000 {NO} {A} A\0\u{fc}/l\0c2\0:160000 000000 {A} {NO} D\0sub\0"
        );
        let found = by_commit(told.as_bytes()).unwrap();
        assert_eq!(found["c1"].len(), 2);
        let first = &found["c1"][0];
        assert_eq!(first.path, b"a \"b\"\nc\t:d");
        assert_eq!(first.old, Some(Entry { mode: 0o100_644, oid: A.to_owned() }));
        assert_eq!(first.new, Some(Entry { mode: 0o100_755, oid: B.to_owned() }));
        assert_eq!(found["c1"][1].new.as_ref().unwrap().mode, Entry::LINK);
        assert_eq!(
            (found["c2"][0].old.as_ref().unwrap().mode, &found["c2"][0].new),
            (Entry::SUBMODULE, &None)
        );
        assert!(by_commit(b"c\0:100644\0p\0").is_err());
    }

    #[test]
    fn lines_are_counted_but_of_binary_files() {
        assert_eq!(numbers(b"3\t4\ta\tb").unwrap(), (&b"a\tb"[..], Some(7)));
        assert_eq!(numbers(b"-\t-\tp.png").unwrap(), (&b"p.png"[..], None));
        assert!(numbers(b"3").is_err());
    }

    /// A merge has what no parent has, and nothing that came from one of them.
    #[test]
    fn of_a_merge_only_what_is_its_own_counts() {
        let change = |path: &str, old: &str| Change {
            path: path.into(),
            old: Some(Entry { mode: 0o100_644, oid: old.to_owned() }),
            new: Some(Entry { mode: 0o100_644, oid: "n".to_owned() }),
            lines: None,
        };
        let differences = vec![change("theirs", "o1"), change("both", "o2"), change("both", "o3")];
        let commit = whole("m", 2, differences.clone());
        assert_eq!(commit.changes, [change("both", "o2")]);
        assert_eq!(commit.before, ["o1", "o2", "o3"]);
        assert_eq!(whole("c", 1, differences).changes.len(), 2);
        assert_eq!(whole("root", 0, vec![change("a", "o")]).changes.len(), 1);
    }
}
