//! What a rescue needs of git: trees, what is ignored, what is staged; commits made of bytes as they are, and their
//! files back. No filter, no attribute and no index of the folder has a say in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};

use super::{LOCAL_DEADLINE, PrivateGit, complaint};
use crate::digest::hex;
use crate::error::{Error, Kind, OrFail, Result};
use crate::process::Program;
use crate::state::{durable, make_private};

/// An entry of a tree or of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// As git writes it: 100644, 100755, 120000 or 160000.
    pub mode: String,
    /// The object.
    pub oid: String,
    /// The path, any bytes.
    pub path: Vec<u8>,
}

/// Counts up the name that git gives to a file's content.
pub struct BlobHash(Context);

impl std::fmt::Debug for BlobHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BlobHash")
    }
}

impl BlobHash {
    /// Of a file of so many bytes, in a repository whose names look like `oid`.
    pub fn new(oid: &str, size: u64) -> Self {
        let mut context = Context::new(if oid.len() == 64 { &SHA256 } else { &SHA1_FOR_LEGACY_USE_ONLY });
        context.update(format!("blob {size}\0").as_bytes());
        Self(context)
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The name.
    pub fn finish(self) -> String {
        hex(self.0.finish().as_ref())
    }
}

impl PrivateGit {
    /// The files of a commit.
    pub fn files_of(&self, sha: &str) -> Result<Vec<Entry>> {
        let listed =
            self.run("list files", &["ls-tree", "-r", "-z", "--full-tree", "--end-of-options", sha])?;
        // <mode> SP <type> SP <oid> TAB <path>
        Ok(entries(&listed.stdout, |head| head.split(' ').nth(2)))
    }

    /// What an index has ready for the next commit; conflicts are left out. None where git cannot read it.
    pub fn staged(&self, index: &Path) -> Result<Option<Vec<Entry>>> {
        let listed = self
            .program()
            .args(["-c", "core.fsmonitor=false", "ls-files", "--stage", "-z"])
            .env("GIT_INDEX_FILE", index.display().to_string())
            .run(LOCAL_DEADLINE)?;
        if !listed.success() {
            return Ok(None);
        }
        // <mode> SP <oid> SP <stage> TAB <path>
        Ok(Some(entries(&listed.stdout, |head| head.strip_suffix(" 0")?.split(' ').nth(1))))
    }

    /// What git ignores in a folder that has the files of a commit: files, and with a slash at their end folders that
    /// are ignored as a whole.
    pub fn ignored(&self, folder: &Path, sha: &str) -> Result<Vec<Vec<u8>>> {
        let scratch = self.scratch()?;
        let index = scratch.path().join("index");
        self.refresh_index(&index, sha)?;
        let done = self
            .program()
            .args(["-C".to_owned(), folder.display().to_string()])
            .args(["-c", "core.bare=false", "-c", "core.fsmonitor=false", "-c", "core.untrackedCache=false"])
            .args(["ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z"])
            .env("GIT_WORK_TREE", folder.display().to_string())
            .env("GIT_INDEX_FILE", index.display().to_string())
            .run(LOCAL_DEADLINE)?;
        if !done.success() {
            return Err(complaint(&format!("list ignored files of '{}'", folder.display()), &done));
        }
        Ok(done.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect())
    }

    /// Makes what a stream of `git fast-import` describes, in the repository's objects. Returns its marks.
    pub fn import(&self, stream: File) -> Result<BTreeMap<u64, String>> {
        let scratch = self.scratch()?;
        // A git directory of its own: refs, and what is left of a failure, go with it.
        let dir = scratch.path().join("git");
        for folder in ["objects", "refs"] {
            make_private(&dir.join(folder))?;
        }
        for file in ["config", "HEAD"] {
            let text = durable::read(&self.dir().join(file))?.unwrap_or_default();
            durable::replace_cheaply(&dir.join(file), text.as_bytes())?;
        }
        let marks = scratch.path().join("marks");
        let done = self
            .program()
            .env("GIT_DIR", dir.display().to_string())
            // What is kept is kept through a power cut too; and odd names are only odd elsewhere.
            .args([
                "-c",
                "core.fsync=objects",
                "-c",
                "fastimport.unpackLimit=20",
                "-c",
                "core.protectNTFS=false",
            ])
            .args(["fast-import", "--quiet", "--done", "--force"])
            .args([format!("--export-marks={}", marks.display())])
            .stdin_file(stream)
            .run(LOCAL_DEADLINE)?;
        if !done.success() {
            return Err(complaint("keep what is in a workspace", &done));
        }
        let text = durable::read(&marks)?.unwrap_or_default();
        let mark = |line: &str| -> Option<(u64, String)> {
            let (number, oid) = line.strip_prefix(':')?.split_once(' ')?;
            Some((number.parse().ok()?, oid.to_owned()))
        };
        Ok(text.lines().filter_map(mark).collect())
    }

    /// Which of these objects the repository has.
    pub fn known(&self, oids: &BTreeSet<&str>) -> Result<BTreeSet<String>> {
        let names = oids.iter().fold(String::new(), |all, oid| all + oid + "\n");
        let check = self.program().args(["cat-file", "--batch-check"]).stdin_bytes(names);
        let done = check.run(LOCAL_DEADLINE)?;
        if !done.success() {
            return Err(complaint("look for objects", &done));
        }
        Ok(done.text().lines().filter_map(line).map(|(oid, ..)| oid).collect())
    }

    /// Writes objects one after the other into a file, each after a line `<oid> <type> <size>`, before a line end.
    pub fn contents(&self, oids: &[&str], into: File) -> Result<()> {
        let mut names = String::new();
        for oid in oids {
            names.push_str(oid);
            names.push('\n');
        }
        let done = self.cat_file().stdin_bytes(names).stdout_file(into).run(LOCAL_DEADLINE)?;
        if done.success() { Ok(()) } else { Err(complaint("read files", &done)) }
    }

    /// The text of each of these commits, from its tree to its message.
    pub fn commits(&self, shas: &[&str]) -> Result<Vec<String>> {
        let names = shas.iter().fold(String::new(), |all, sha| all + sha + "\n");
        let done = self.cat_file().stdin_bytes(names).run(LOCAL_DEADLINE)?;
        if !done.success() {
            return Err(complaint("read commits", &done));
        }
        let mut answer = done.stdout.as_slice();
        let mut texts = Vec::new();
        while let Some((_, kind, size)) = header(&mut answer) {
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            if kind != "commit" || size >= answer.len() {
                return Err(Error::new(Kind::Failed, "a rescue is no commit"));
            }
            texts.push(String::from_utf8_lossy(&answer[..size]).into_owned());
            answer = &answer[size + 1..];
        }
        if texts.len() == shas.len() {
            Ok(texts)
        } else {
            Err(Error::new(Kind::Failed, "a rescue is missing"))
        }
    }

    /// The parents of a commit.
    pub fn parents(&self, sha: &str) -> Result<Vec<String>> {
        let text = self.commits(&[sha])?.pop().unwrap_or_default();
        let head = text.lines().take_while(|line| !line.is_empty());
        Ok(head.filter_map(|line| line.strip_prefix("parent ")).map(str::to_owned).collect())
    }

    /// Puts entries into an index.
    pub fn put_in_index(&self, index: &Path, entries: &[Entry]) -> Result<()> {
        let mut lines = Vec::new();
        for Entry { mode, oid, path } in entries {
            lines.extend(format!("{mode} {oid}\t").bytes());
            lines.extend(path);
            lines.push(0);
        }
        if lines.is_empty() {
            return Ok(());
        }
        let done = self
            .program()
            .args(["update-index", "-z", "--add", "--index-info"])
            .env("GIT_INDEX_FILE", index.display().to_string())
            .stdin_bytes(lines)
            .run(LOCAL_DEADLINE)?;
        if done.success() { Ok(()) } else { Err(complaint("stage files", &done)) }
    }

    fn cat_file(&self) -> Program {
        self.program().args(["cat-file", "--batch"])
    }
}

/// Takes the line before an object off an answer of `cat-file --batch`.
fn header(answer: &mut &[u8]) -> Option<(String, String, u64)> {
    let end = answer.iter().position(|byte| *byte == b'\n')?;
    let line = String::from_utf8_lossy(&answer[..end]).into_owned();
    *answer = &answer[end + 1..];
    self::line(&line)
}

/// `<oid> <type> <size>`, as `cat-file --batch` writes it.
pub fn line(line: &str) -> Option<(String, String, u64)> {
    let mut words = line.trim_end().split(' ');
    let (oid, kind) = (words.next()?.to_owned(), words.next()?.to_owned());
    Some((oid, kind, words.next()?.parse().ok()?))
}

fn entries<'l>(listed: &'l [u8], oid: impl Fn(&'l str) -> Option<&'l str>) -> Vec<Entry> {
    let entry = |line: &'l [u8]| -> Option<Entry> {
        let tab = line.iter().position(|byte| *byte == b'\t')?;
        let head = std::str::from_utf8(&line[..tab]).ok()?;
        let mode = head.split(' ').next()?.to_owned();
        Some(Entry { mode, oid: oid(head)?.to_owned(), path: line[tab + 1..].to_vec() })
    };
    listed.split(|byte| *byte == 0).filter_map(entry).collect()
}

/// A file that nobody else sees, in a folder: gone with its last descriptor.
pub fn unnamed_file(folder: &Path) -> Result<File> {
    let made = tempfile::tempfile_in(folder);
    made.or_fail(Kind::CannotWrite, || format!("cannot make a temporary file in '{}'", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_named_as_git_names_it() {
        let mut hash = BlobHash::new("0123456789012345678901234567890123456789", 6);
        hash.update(b"hel");
        hash.update(b"lo\n");
        assert_eq!(hash.finish(), "ce013625030ba8dba906f756967f9e9ca394464a");
    }

    #[test]
    fn lists_are_read_with_any_bytes_in_their_names() {
        let tree = [b"100644 blob aa\ta\tb\xff\n\0".as_slice(), b"120000 blob bb\tc\0"].concat();
        let found = entries(&tree, |head| head.split(' ').nth(2));
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].oid.as_str(), found[0].path.as_slice()), ("aa", b"a\tb\xff\n".as_slice()));
        assert_eq!((found[1].mode.as_str(), found[1].path.as_slice()), ("120000", b"c".as_slice()));
        assert_eq!(line("aa blob 12\n"), Some(("aa".to_owned(), "blob".to_owned(), 12)));
        assert_eq!(line("aa missing"), None);
    }
}
