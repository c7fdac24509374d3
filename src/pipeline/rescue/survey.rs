//! Looks through a folder and keeps what is in it: every file, link and mode, by descriptor and without following a link.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, Stat, openat, readlinkat};

use super::manifest::{self, Manifest};
use super::stream::{Line, Stream};
use crate::error::{Kind, OrFail, Result};
use crate::git::keep::Entry;
use crate::state::folder;

/// Each level costs a descriptor and some stack. What is deeper is no work, and is not removed unseen either.
const DEEPEST: usize = 400;
/// An ignored folder with more entries is none that somebody wrote.
const MOST_IGNORED: u64 = 5_000;
/// Ignored folders of these names are made again by their tools.
const MADE_AGAIN: [&[u8]; 3] = [b"node_modules", b"__pycache__", b".venv"];
/// In folders whose content can be made again (<https://bford.info/cachedir/>).
const CACHE_TAG: &str = "CACHEDIR.TAG";

/// What is ignored, and how much of it is kept.
#[derive(Debug, Default)]
pub(super) struct Ignored {
    /// Paths; folders without the slash at their end.
    pub(super) paths: HashSet<Vec<u8>>,
    /// An ignored file or folder of more bytes is left out.
    pub(super) most_bytes: u64,
    /// The owner's checkout: an ignored file that is the same there is no work.
    pub(super) checkout: Option<OwnedFd>,
}

/// What is found.
#[derive(Debug)]
pub(super) struct Survey<'s> {
    pub(super) stream: &'s mut Stream,
    /// The last commit's files, by path.
    pub(super) known: &'s HashMap<Vec<u8>, Entry>,
    /// Their contents' names.
    pub(super) contents: &'s HashSet<&'s str>,
    /// Any object's name, to make such names.
    pub(super) like: &'s str,
    pub(super) ignored: &'s Ignored,
    /// Files, by path.
    pub(super) lines: BTreeMap<Vec<u8>, Line>,
    /// Files that no tree takes, and their mode.
    pub(super) odd: Vec<Line>,
    /// Every mode, by path: of files, of executable ones, of folders.
    modes: [BTreeMap<Vec<u8>, u32>; 3],
    empty: Vec<Vec<u8>>,
    pub(super) left: Vec<String>,
    /// Bytes of what is not in the last commit.
    pub(super) bytes: u64,
    pub(super) files: u64,
}

impl<'s> Survey<'s> {
    pub(super) fn new(
        stream: &'s mut Stream,
        known: &'s HashMap<Vec<u8>, Entry>,
        contents: &'s HashSet<&'s str>,
        like: &'s str,
        ignored: &'s Ignored,
    ) -> Self {
        Self {
            stream,
            known,
            contents,
            like,
            ignored,
            lines: BTreeMap::new(),
            odd: Vec::new(),
            modes: Default::default(),
            empty: Vec::new(),
            left: Vec::new(),
            bytes: 0,
            files: 0,
        }
    }

    /// Keeps everything below a folder, `skip` at its top left out.
    pub(super) fn folder(&mut self, dir: &OwnedFd, prefix: &[u8], skip: &[&OsStr]) -> Result<()> {
        let failed = |path: &[u8]| format!("cannot read '{}'", String::from_utf8_lossy(path));
        let mut path = prefix.to_vec();
        let skipped: BTreeSet<&OsStr> = skip.iter().copied().collect();
        let done = self.below(dir.as_fd(), &mut path, 0, false, &skipped);
        done.map(drop).or_fail(Kind::Failed, || failed(&path))
    }

    /// Gives whether something in it was kept. On an error `path` is where that was.
    fn below(
        &mut self,
        dir: BorrowedFd<'_>,
        path: &mut Vec<u8>,
        depth: usize,
        ignored: bool,
        skip: &BTreeSet<&OsStr>,
    ) -> io::Result<bool> {
        let mut names = folder::names(dir)?;
        names.sort();
        let mut some = false;
        for name in names.iter().filter(|name| !skip.contains(name.as_os_str())) {
            let Some(about) = folder::look(dir, name)? else { continue };
            let length = path.len();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend(name.as_bytes());
            some |= self.entry(dir, name, &about, path, depth, ignored)?;
            path.truncate(length);
        }
        Ok(some)
    }

    fn entry(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &OsStr,
        about: &Stat,
        path: &mut Vec<u8>,
        depth: usize,
        ignored: bool,
    ) -> io::Result<bool> {
        let begins = !ignored && self.ignored.paths.contains(path.as_slice());
        if begins && let Some(why) = self.too_much(dir, name, about)? {
            self.left.push(format!("{} ({why})", String::from_utf8_lossy(path)));
            return Ok(true);
        }
        let ignored = ignored || begins;
        match FileType::from_raw_mode(about.st_mode) {
            FileType::Directory => self.directory(dir, name, about, path, depth, ignored),
            FileType::Symlink => {
                let target = readlinkat(dir, name, Vec::new())?.into_bytes();
                let content = self.stream.named(&target, self.like)?;
                self.keep("120000", content, path, target.len() as u64);
                Ok(true)
            }
            FileType::RegularFile => {
                let mut file = open_plain(dir, name)?;
                if ignored && self.is_the_owners(&mut file, path)? {
                    return Ok(true);
                }
                let executable = about.st_mode & 0o100 != 0;
                self.modes[usize::from(executable)].insert(path.clone(), about.st_mode & 0o7777);
                let known = |name: &str| self.contents.contains(name);
                let content = self.stream.file(&mut file, self.like, known)?;
                let mode = if executable { "100755" } else { "100644" };
                self.keep(mode, content, path, u64::try_from(about.st_size).unwrap_or_default());
                Ok(true)
            }
            // Pipes, sockets and devices hold nothing.
            _ => {
                self.left.push(format!("{} (neither file, link nor folder)", String::from_utf8_lossy(path)));
                Ok(true)
            }
        }
    }

    fn directory(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &OsStr,
        about: &Stat,
        path: &mut Vec<u8>,
        depth: usize,
        ignored: bool,
    ) -> io::Result<bool> {
        if depth >= DEEPEST {
            return Err(io::Error::other("folders within folders, too deep"));
        }
        let inner = folder::step(dir, name)?;
        let some = self.below(inner.as_fd(), path, depth + 1, ignored, &BTreeSet::new())?;
        match self.known.get(path.as_slice()) {
            // A submodule that nobody filled.
            Some(known) if known.mode == "160000" && !some => {
                self.lines.insert(path.clone(), Line::of_known("160000", known));
            }
            _ if ignored && !some => {}
            _ => {
                self.modes[2].insert(path.clone(), about.st_mode & 0o7777);
                if !some {
                    self.empty.push(path.clone());
                }
            }
        }
        Ok(true)
    }

    fn keep(&mut self, mode: &'static str, (content, name): (String, String), path: &[u8], size: u64) {
        let line = Line { mode, content, name, path: path.to_vec() };
        let same = |known: &Entry| known.mode == mode && known.oid == line.name;
        if !self.known.get(path).is_some_and(same) {
            self.files += 1;
            self.bytes += size;
        }
        if fits_a_tree(path, mode) {
            self.lines.insert(path.to_vec(), line);
        } else {
            self.odd.push(line);
        }
    }

    /// Why something ignored is left out, if it is.
    fn too_much(&self, dir: BorrowedFd<'_>, name: &OsStr, about: &Stat) -> io::Result<Option<&'static str>> {
        let size = u64::try_from(about.st_size).unwrap_or_default();
        if !folder::is_folder(about) {
            return Ok((size > self.ignored.most_bytes).then_some("ignored and large"));
        }
        if MADE_AGAIN.contains(&name.as_bytes()) {
            return Ok(Some("ignored, and made again by its tool"));
        }
        let inner = folder::step(dir, name)?;
        if folder::look(&inner, CACHE_TAG)?.is_some() {
            return Ok(Some("ignored, and a cache by its own word"));
        }
        let (mut entries, mut bytes) = (0, 0);
        let fits = self.measure(inner.as_fd(), 0, &mut entries, &mut bytes)?;
        Ok((!fits).then_some("ignored and large"))
    }

    fn measure(
        &self,
        dir: BorrowedFd<'_>,
        depth: usize,
        entries: &mut u64,
        bytes: &mut u64,
    ) -> io::Result<bool> {
        for name in folder::names(dir)? {
            let Some(about) = folder::look(dir, &name)? else { continue };
            *entries += 1;
            let is_folder = folder::is_folder(&about);
            *bytes += if is_folder { 0 } else { u64::try_from(about.st_size).unwrap_or_default() };
            if *entries > MOST_IGNORED || *bytes > self.ignored.most_bytes || depth >= DEEPEST {
                return Ok(false);
            }
            if is_folder && !self.measure(folder::step(dir, &name)?.as_fd(), depth + 1, entries, bytes)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the owner's checkout has the same file: it was copied from there.
    fn is_the_owners(&self, file: &mut File, path: &[u8]) -> io::Result<bool> {
        let Some(checkout) = &self.ignored.checkout else { return Ok(false) };
        let path = Path::new(OsStr::from_bytes(path));
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(false) };
        let Ok(theirs) =
            folder::descend(checkout, parent).and_then(|parent| open_plain(parent.as_fd(), name))
        else {
            return Ok(false);
        };
        let same = theirs.metadata()?.len() == file.metadata()?.len() && same_bytes(&theirs, file)?;
        io::Seek::rewind(file)?;
        Ok(same)
    }

    /// The modes that most have, of files, of executable ones and of folders.
    pub(super) fn usual(&self) -> [u32; 3] {
        [0, 1, 2].map(|kind| most_common(&self.modes[kind]).unwrap_or(manifest::USUAL[kind]))
    }

    /// Adds what trees cannot say of it, its paths below `prefix`.
    pub(super) fn tell(&self, manifest: &mut Manifest, prefix: &str) {
        let named = |path: &[u8]| format!("{prefix}{}", manifest::encode(path));
        for (kind, all) in self.modes.iter().enumerate() {
            let unusual = all.iter().filter(|(_, mode)| **mode != manifest.usual[kind]);
            manifest.modes.extend(unusual.map(|(path, mode)| (named(path), *mode)));
        }
        manifest.empty.extend(self.empty.iter().map(|path| named(path)));
    }
}

fn most_common(modes: &BTreeMap<Vec<u8>, u32>) -> Option<u32> {
    let mut counted: BTreeMap<u32, usize> = BTreeMap::new();
    for mode in modes.values() {
        *counted.entry(*mode).or_default() += 1;
    }
    counted.into_iter().max_by_key(|(_, count)| *count).map(|(mode, _)| mode)
}

/// Opens a plain file, as it is now and never through a link.
fn open_plain(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(openat(dir, name, flags, Mode::empty())?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("no plain file any more")) }
}

fn same_bytes(a: &File, b: &File) -> io::Result<bool> {
    use io::Read as _;
    let (mut a, mut b) = (io::BufReader::new(a).bytes(), io::BufReader::new(b).bytes());
    loop {
        match (a.next().transpose()?, b.next().transpose()?) {
            (None, None) => return Ok(true),
            (one, other) if one != other => return Ok(false),
            _ => {}
        }
    }
}

/// Whether a path may be in a tree that is checked out one day: git refuses its own folder in any case, and links that it
/// would read as settings.
fn fits_a_tree(path: &[u8], mode: &str) -> bool {
    let mut parts = path.split(|byte| *byte == b'/');
    let is = |part: &[u8], name: &str| part.eq_ignore_ascii_case(name.as_bytes());
    let last = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let read_by_git = mode == "120000" && is(last, ".gitmodules");
    !read_by_git && !parts.any(|part| is(part, ".git") || is(part, "git~1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_s_own_names_fit_no_tree() {
        for (path, mode, fits) in [
            ("a/b", "100644", true),
            (".gitignore", "100644", true),
            ("nested/.git/HEAD", "100644", false),
            (".GIT", "100644", false),
            ("a/git~1", "100644", false),
            (".gitmodules", "100644", true),
            ("a/.gitmodules", "120000", false),
        ] {
            assert_eq!(fits_a_tree(path.as_bytes(), mode), fits, "{path} {mode}");
        }
    }

    #[test]
    fn the_usual_mode_is_the_most_common() {
        let modes = BTreeMap::from([(vec![1], 0o664), (vec![2], 0o664), (vec![3], 0o600)]);
        assert_eq!((most_common(&modes), most_common(&BTreeMap::new())), (Some(0o664), None));
    }
}
