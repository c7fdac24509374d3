//! What an agent must not change of the repository around its worktree: whatever can make somebody else's git run
//! a program, or look elsewhere.
//!
//! Before a run [`keep`] copies these files out of the agent's way; after it [`Snapshot::read`] reads copy and
//! repository alike, [`changes`] says what differs, and [`put_back`] restores it. Nothing is ever followed: a link
//! is compared, kept and put back as a link.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};

use crate::error::{Kind, OrFail, Result};

mod restore;
mod settings;

pub use restore::{keep, keep_again, put_back};
pub use settings::{Settings, harmful};

/// Files that stand once in a git directory, its own and a submodule's.
const FILES: [&str; 6] = [
    "config",
    "config.worktree",
    "info/attributes",
    "info/grafts",
    "objects/info/alternates",
    "objects/info/http-alternates",
];
/// Folders that lead to them: a link in the place of one leads elsewhere.
const FOLDERS: [&str; 5] = ["info", "objects", "objects/info", "worktrees", "modules"];
/// Parts of each worktree's administrative folder. `gitdir` is not among them: the owner may move a worktree. The last
/// two make it a repository by itself, which no worktree's is.
const OF_WORKTREE: [&str; 4] = [COMMON_DIR, "config.worktree", "config", "objects"];
/// Without it a worktree is half made, or half removed.
const COMMON_DIR: &str = "commondir";
/// Git directories of submodules lie below `modules`, at any depth, and these are parts of one.
const NO_MODULES: [&str; 6] = ["hooks", "info", "lfs", "logs", "objects", "refs"];
/// Modules within modules, folders within `hooks`: no repository goes deeper.
const DEEPEST: usize = 16;

/// Something at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Thing {
    /// A file: the SHA-256 of its content, and whether it can be executed.
    File {
        /// Of the content.
        sha256: [u8; 32],
        /// By anybody.
        executable: bool,
    },
    /// A link, and what it says.
    Link(PathBuf),
    /// A folder.
    Folder,
    /// A pipe, a device, something that cannot be read.
    Other,
}

/// The watched part of a git directory, by path within it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<PathBuf, Thing>);

/// A difference that is none of the owner's usual business.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// The path within the git directory.
    pub path: PathBuf,
    /// What differs, where it is a configuration: its keys.
    pub keys: Vec<String>,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.path.display())?;
        if self.keys.is_empty() { Ok(()) } else { write!(f, " ({})", self.keys.join(", ")) }
    }
}

impl Snapshot {
    /// Reads a git directory, or a copy that [`keep`] made.
    pub fn read(root: &Path) -> Result<Self> {
        let mut found = Self::default();
        found.git_dir(root, Path::new(""), 0)?;
        for name in names(&root.join("worktrees"))? {
            let folder = Path::new("worktrees").join(name);
            if found.note(root, &folder)? == Some(Thing::Folder) {
                for file in OF_WORKTREE {
                    found.note(root, &folder.join(file))?;
                }
            }
        }
        Ok(found)
    }

    /// Some files of a folder, nothing else: what is one run's alone.
    pub fn of_files(root: &Path, files: &[&str]) -> Result<Self> {
        let mut found = Self::default();
        for file in files {
            found.note(root, Path::new(file))?;
        }
        Ok(found)
    }

    fn git_dir(&mut self, root: &Path, at: &Path, depth: usize) -> Result<()> {
        let mut closed: Vec<PathBuf> = Vec::new();
        for folder in FOLDERS.map(|folder| at.join(folder)) {
            if closed.iter().any(|closed| folder.starts_with(closed)) {
                continue;
            }
            if !matches!(self.note(root, &folder)?, Some(Thing::Folder)) {
                closed.push(folder);
            }
        }
        for file in FILES.map(|file| at.join(file)) {
            if !closed.iter().any(|closed| file.starts_with(closed)) {
                self.note(root, &file)?;
            }
        }
        self.hooks(root, &at.join("hooks"), 0)?;
        let modules = at.join("modules");
        if closed.contains(&modules) { Ok(()) } else { self.modules(root, &modules, depth) }
    }

    fn hooks(&mut self, root: &Path, at: &Path, depth: usize) -> Result<()> {
        if self.note(root, at)? == Some(Thing::Folder) && depth < DEEPEST {
            for name in names(&root.join(at))? {
                self.hooks(root, &at.join(name), depth + 1)?;
            }
        }
        Ok(())
    }

    /// `modules/a/b` may be the submodule `a/b`, or the submodule `b` of the submodule `a`.
    fn modules(&mut self, root: &Path, at: &Path, depth: usize) -> Result<()> {
        if depth >= DEEPEST {
            return Ok(());
        }
        for name in names(&root.join(at))? {
            if NO_MODULES.iter().any(|part| OsStr::new(part) == name) {
                continue;
            }
            let folder = at.join(name);
            match about(&root.join(&folder))? {
                Some(Thing::Folder) => {}
                Some(Thing::Link(to)) => {
                    self.0.insert(folder, Thing::Link(to));
                    continue;
                }
                _ => continue,
            }
            if about(&root.join(&folder).join("HEAD"))?.is_some()
                || about(&root.join(&folder).join("config"))?.is_some()
            {
                self.0.insert(folder.clone(), Thing::Folder);
                self.git_dir(root, &folder, depth + 1)?;
            } else {
                self.modules(root, &folder, depth + 1)?;
            }
        }
        Ok(())
    }

    fn note(&mut self, root: &Path, path: &Path) -> Result<Option<Thing>> {
        let thing = about(&root.join(path))?;
        if let Some(thing) = &thing {
            self.0.insert(path.to_owned(), thing.clone());
        }
        Ok(thing)
    }
}

/// The names in a folder, sorted; none where it is no folder. A link to one is none.
fn names(folder: &Path) -> Result<BTreeSet<std::ffi::OsString>> {
    if !folder.symlink_metadata().is_ok_and(|about| about.is_dir()) {
        return Ok(BTreeSet::new());
    }
    let failed = || format!("cannot read '{}'", folder.display());
    let entries = std::fs::read_dir(folder).or_fail(Kind::Failed, failed)?;
    entries.map(|entry| entry.map(|entry| entry.file_name()).or_fail(Kind::Failed, failed)).collect()
}

/// What is at a path; none where there is nothing. What cannot be read is something else than what could.
fn about(path: &Path) -> Result<Option<Thing>> {
    let found = match path.symlink_metadata() {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        found => found.or_fail(Kind::Failed, || format!("cannot examine '{}'", path.display()))?,
    };
    if found.is_symlink() {
        let to = path.read_link().or_fail(Kind::Failed, || format!("cannot read '{}'", path.display()))?;
        return Ok(Some(Thing::Link(to)));
    }
    if found.is_dir() {
        return Ok(Some(Thing::Folder));
    }
    if !found.is_file() {
        return Ok(Some(Thing::Other));
    }
    let Ok(mut file) = open(path) else { return Ok(Some(Thing::Other)) };
    let mut hash = Context::new(&SHA256);
    let mut buffer = [0; 16 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => hash.update(&buffer[..read]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Ok(Some(Thing::Other)),
        }
    }
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(hash.finish().as_ref());
    Ok(Some(Thing::File { sha256, executable: found.mode() & 0o111 != 0 }))
}

/// Opens a file, and nothing else: neither a link nor a pipe that nobody writes to.
fn open(path: &Path) -> std::io::Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = std::fs::OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(ErrorKind::InvalidInput.into()) }
}

/// Whether a path is a configuration, whose content is compared by meaning.
fn is_configuration(path: &Path) -> bool {
    let parent = path.parent().and_then(Path::file_name);
    matches!(path.file_name().and_then(OsStr::to_str), Some("config" | "config.worktree"))
        && parent != Some(OsStr::new("hooks"))
}

/// The worktree or submodule that a path is of: its folder. Of nested submodules the outermost: a new one brings
/// its own along.
fn belongs_to<'p>(path: &'p Path, snapshot: &Snapshot) -> Option<&'p Path> {
    let all = path.ancestors();
    if path.starts_with("worktrees") {
        return all.filter(|folder| folder.parent() == Some(Path::new("worktrees"))).last();
    }
    let is_module = |folder: &&Path| folder.parent().is_some_and(|parent| parent.starts_with("modules"));
    all.filter(is_module).filter(|folder| snapshot.0.get(*folder) == Some(&Thing::Folder)).last()
}

/// What differs, and is not what an owner usually does at the same time. `parse` gives the settings of a
/// configuration before (false) and after (true); it is asked only where the bytes differ.
///
/// A worktree or submodule that came or went as a whole is none of an agent's traps: nothing leads to it unless
/// something else changed as well.
pub fn changes(
    before: &Snapshot,
    after: &Snapshot,
    mut parse: impl FnMut(&Path, bool) -> Result<Settings>,
) -> Result<Vec<Change>> {
    let mut found = Vec::new();
    let paths: BTreeSet<&PathBuf> = before.0.keys().chain(after.0.keys()).collect();
    for path in paths {
        let (was, is) = (before.0.get(path), after.0.get(path));
        if was == is || is_pass(path, before, after) {
            continue;
        }
        let folder = |thing: Option<&Thing>| matches!(thing, None | Some(Thing::Folder));
        // A folder that came holds nothing that is not found by itself; of those that went, only hooks matter.
        let matters = if is.is_none() { path.ends_with("hooks") } else { is_of_worktree(path, "objects") };
        if folder(was) && folder(is) && !matters {
            continue;
        }
        let file = |thing: Option<&Thing>| matches!(thing, None | Some(Thing::File { .. }));
        let mut keys = Vec::new();
        if is_configuration(path) && file(was) && file(is) {
            let old = if was.is_some() { parse(path, false)? } else { Settings::default() };
            // What git cannot read was not written by the owner's git: no keys, and a change all the same.
            let new = if is.is_some() { parse(path, true).ok() } else { Some(Settings::default()) };
            if let Some(new) = new {
                keys = harmful(&old, &new);
                if keys.is_empty() {
                    continue;
                }
            }
        }
        found.push(Change { path: path.clone(), keys });
    }
    Ok(found)
}

/// Whether a path belongs to a worktree or submodule that was not there before, or is there no more. Somebody may
/// just be making or removing a worktree.
fn is_pass(path: &Path, before: &Snapshot, after: &Snapshot) -> bool {
    let lacks =
        |whose: Option<&Path>, other: &Snapshot| whose.is_some_and(|whose| !other.0.contains_key(whose));
    let half = |snapshot: &Snapshot| {
        let worktree = belongs_to(path, snapshot).filter(|folder| folder.starts_with("worktrees"));
        worktree.is_some_and(|folder| !snapshot.0.contains_key(&folder.join(COMMON_DIR)))
    };
    lacks(belongs_to(path, after), before)
        || lacks(belongs_to(path, before), after)
        || half(before)
        || (half(after) && !after.0.contains_key(path))
}

fn is_of_worktree(path: &Path, name: &str) -> bool {
    path.starts_with("worktrees") && path.components().count() == 3 && path.ends_with(name)
}

#[cfg(test)]
mod tests;
