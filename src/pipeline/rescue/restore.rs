//! Brings a rescue back: a new worktree on the commit that the branch ended in, with the files as they were.
//!
//! Nothing is written over anything, and nothing through a link.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, fchmod, openat, symlinkat};
use rustix::io::Errno;

use super::manifest::{Manifest, USUAL, decode};
use crate::error::{Error, Kind, OrFail, Result};
use crate::git::keep::{self, Entry, unnamed_file};
use crate::git::{PrivateGit, Repository};
use crate::session::Session;
use crate::state::folder;

/// What was brought back.
#[derive(Debug, Default)]
pub(crate) struct Restored {
    /// Files and links.
    pub(crate) files: u64,
    /// Where what did not belong into the worktree is, if there was any.
    pub(crate) beside: Option<PathBuf>,
}

/// A file that is to be written: where to, and with which mode.
struct Wanted {
    entry: Entry,
    /// Below the worktree, or else beside it.
    inside: bool,
    path: Vec<u8>,
}

/// Makes the worktree `to` of the rescue `sha`.
pub(crate) fn restore(
    session: &Session,
    repository: &Repository,
    private: &PrivateGit,
    sha: &str,
    to: &Path,
) -> Result<Restored> {
    let parents = private.parents(sha)?;
    let head = parents.first().map_or(sha, String::as_str);
    let attic = match parents.get(1) {
        Some(attic) => private.files_of(attic)?,
        None => Vec::new(),
    };
    let manifest = manifest(private, parents.get(1))?;
    let beside = to.with_file_name(format!("{}.beside", to.file_name().unwrap_or_default().display()));
    let wanted = wanted(private.files_of(sha)?, attic, &manifest);
    let needs_beside = wanted.iter().any(|wanted| !wanted.inside);
    for place in [Some(to), needs_beside.then_some(beside.as_path())].into_iter().flatten() {
        refuse_taken(place)?;
    }
    // git says the same whatever is in its way: that a folder cannot be made is found out here.
    std::fs::create_dir_all(to).or_fail(Kind::CannotWrite, || format!("cannot make '{}'", to.display()))?;
    let worktree = {
        let _lock = private.worktree_lock(session.clock.now())?;
        repository.add_detached(to, head)?
    };
    let index = worktree.git_dir.join("index");
    private.refresh_index(&index, head)?;
    private.put_in_index(&index, &staged(&wanted, &manifest))?;
    let mut writer =
        Writer { inside: open(to)?, beside: None, manifest: &manifest, restored: Restored::default() };
    if needs_beside {
        std::fs::create_dir(&beside)
            .or_fail(Kind::CannotWrite, || format!("cannot make '{}'", beside.display()))?;
        writer.beside = Some(open(&beside)?);
        writer.restored.beside = Some(beside);
    }
    let files: Vec<Wanted> =
        wanted.into_iter().filter(|wanted| !wanted.path.starts_with(b"staged/")).collect();
    writer.write_all(session, private, &files)?;
    writer.folders(&files).or_fail(Kind::CannotWrite, || "cannot bring folders back")?;
    Ok(writer.restored)
}

fn open(path: &Path) -> Result<OwnedFd> {
    folder::open(path).or_fail(Kind::CannotWrite, || format!("cannot open '{}'", path.display()))
}

/// Nothing may be there, except an empty folder.
fn refuse_taken(place: &Path) -> Result<()> {
    let taken = match place.symlink_metadata() {
        // What is wrong with the way there is said when it is made.
        Err(_) => false,
        Ok(about) if about.is_dir() => {
            std::fs::read_dir(place).is_ok_and(|mut entries| entries.next().is_some())
        }
        _ => true,
    };
    if !taken {
        return Ok(());
    }
    Err(Error::new(Kind::Failed, format!("'{}' is there already", place.display()))
        .hint("nothing is written over files that are there; --to DIR says where else"))
}

fn manifest(private: &PrivateGit, attic: Option<&String>) -> Result<Manifest> {
    let Some(attic) = attic else { return Ok(Manifest { usual: USUAL, ..Manifest::default() }) };
    let text = private.texts_at(attic, &["manifest.json"])?.pop().flatten().unwrap_or_default();
    Manifest::parse(text.as_bytes())
        .ok_or_else(|| Error::new(Kind::Failed, "the rescue's manifest is not readable"))
}

/// The files of the tree, and those of the attic under the names that they had.
fn wanted(tree: Vec<Entry>, attic: Vec<Entry>, manifest: &Manifest) -> Vec<Wanted> {
    let inside = tree.into_iter().map(|entry| Wanted { path: entry.path.clone(), entry, inside: true });
    let of_attic = |entry: Entry| {
        if entry.path == b"manifest.json" {
            return None;
        }
        let number = entry.path.strip_prefix(b"odd/").and_then(|number| std::str::from_utf8(number).ok());
        let path = match number {
            Some(number) => decode(manifest.odd.get(number)?),
            None => entry.path.clone(),
        };
        Some(match path.strip_prefix(b"tree/") {
            Some(path) => Wanted { path: path.to_vec(), entry, inside: true },
            None => Wanted { path, entry, inside: false },
        })
    };
    inside.chain(attic.into_iter().filter_map(of_attic)).collect()
}

/// Lines for the index, which has the last commit: what was staged, and what was taken out of it (mode 0).
fn staged(wanted: &[Wanted], manifest: &Manifest) -> Vec<Entry> {
    let gone = manifest.unstaged.iter().map(|path| {
        let oid = "0".repeat(wanted.first().map_or(40, |wanted| wanted.entry.oid.len()));
        Entry { mode: "0".to_owned(), oid, path: decode(path) }
    });
    let entry = |wanted: &Wanted| {
        let path = wanted.path.strip_prefix(b"staged/").filter(|_| !wanted.inside)?;
        let mode = manifest.staged.get(&super::manifest::encode(path))?.clone();
        Some(Entry { mode, oid: wanted.entry.oid.clone(), path: path.to_vec() })
    };
    gone.chain(wanted.iter().filter_map(entry)).collect()
}

struct Writer<'m> {
    inside: OwnedFd,
    beside: Option<OwnedFd>,
    manifest: &'m Manifest,
    restored: Restored,
}

impl Writer<'_> {
    fn write_all(&mut self, session: &Session, private: &PrivateGit, files: &[Wanted]) -> Result<()> {
        let oids: Vec<&str> = files
            .iter()
            .filter(|file| file.entry.mode != "160000")
            .map(|file| file.entry.oid.as_str())
            .collect();
        let mut answer = unnamed_file(session.state.dir())?;
        let into = answer.try_clone().or_fail(Kind::Internal, || "cannot share a file")?;
        private.contents(&oids, into)?;
        answer.rewind().or_fail(Kind::CannotWrite, || "cannot read files of a rescue")?;
        let mut answer = BufReader::with_capacity(1 << 18, answer);
        for file in files {
            let name = String::from_utf8_lossy(&file.path);
            self.write(file, &mut answer)
                .or_fail(Kind::CannotWrite, || format!("cannot bring '{name}' back"))?;
            self.restored.files += 1;
        }
        Ok(())
    }

    fn write(&self, file: &Wanted, answer: &mut BufReader<File>) -> io::Result<()> {
        let (root, path) = (self.root(file.inside)?, as_path(&file.path));
        if file.entry.mode == "160000" {
            return make(root, path).map(drop);
        }
        let mut line = String::new();
        answer.read_line(&mut line)?;
        let size = match keep::line(&line) {
            Some((_, kind, size)) if kind == "blob" => size,
            _ => return Err(io::Error::other(format!("git says '{}'", line.trim_end()))),
        };
        let parent = make(root, path.parent().unwrap_or(Path::new("")))?;
        let name = path.file_name().filter(|name| *name != ".." && *name != ".");
        let name = name.ok_or_else(|| io::Error::from(Errno::INVAL))?;
        if file.entry.mode == "120000" {
            let mut target = Vec::new();
            answer.take(size).read_to_end(&mut target)?;
            symlinkat(OsStr::from_bytes(&target), &parent, name)?;
        } else {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mut new = File::from(openat(&parent, name, flags, Mode::RUSR | Mode::WUSR)?);
            io::copy(&mut answer.take(size), &mut new)?;
            let kind = usize::from(file.entry.mode == "100755");
            fchmod(&new, Mode::from_raw_mode(self.mode(file.inside, &file.path, kind)))?;
        }
        let mut end = [0];
        answer.read_exact(&mut end)
    }

    fn root(&self, inside: bool) -> io::Result<&OwnedFd> {
        let root = if inside { Some(&self.inside) } else { self.beside.as_ref() };
        root.ok_or_else(|| Errno::INVAL.into())
    }

    /// The mode of a file (0), of an executable one (1), or of a folder (2).
    fn mode(&self, inside: bool, path: &[u8], kind: usize) -> u32 {
        let prefix = if inside { "tree/" } else { "" };
        let name = format!("{prefix}{}", super::manifest::encode(path));
        self.manifest.modes.get(&name).copied().unwrap_or(self.manifest.usual[kind])
    }

    /// Folders with nothing in them, and the modes of all folders: the deepest first, because a mode may shut one.
    fn folders(&self, files: &[Wanted]) -> io::Result<()> {
        let place = |name: &String| match name.strip_prefix("tree/") {
            Some(path) => (true, decode(path)),
            None => (false, decode(name)),
        };
        let mut folders: BTreeSet<(bool, Vec<u8>)> = self.manifest.empty.iter().map(place).collect();
        for (inside, path) in &folders {
            make(self.root(*inside)?, as_path(path))?;
        }
        let mut parents = folders.clone();
        parents.extend(files.iter().map(|file| (file.inside, file.path.clone())));
        for (inside, path) in &parents {
            let above = as_path(path).ancestors().skip(1).filter(|path| !path.as_os_str().is_empty());
            folders.extend(above.map(|path| (*inside, path.as_os_str().as_bytes().to_vec())));
        }
        for (inside, path) in folders.iter().rev() {
            let folder = folder::descend(self.root(*inside)?, as_path(path))?;
            fchmod(folder, Mode::from_raw_mode(self.mode(*inside, path, 2)))?;
        }
        Ok(())
    }
}

fn as_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// Makes folders, step by step; refuses what leads elsewhere.
fn make(root: &OwnedFd, path: &Path) -> io::Result<OwnedFd> {
    let mut at = root.try_clone()?;
    for part in path.components() {
        let Component::Normal(name) = part else { return Err(Errno::INVAL.into()) };
        at = folder::step_or_make(&at, name)?;
    }
    Ok(at)
}
