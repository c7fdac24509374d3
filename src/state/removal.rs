//! Removes folders by descriptor: whatever is renamed, swapped or linked meanwhile, nothing outside is touched.
//!
//! A folder is entered only as a folder, never through a link and never across a mount; a file is only unlinked, never
//! opened and never changed, so that a hard link leaves the other names what they were.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, Mode, chmodat, fchmod, fstat, renameat, unlinkat};
use rustix::io::Errno;

use super::folder::{self, Identity};

/// Deeper folders are moved up before they are emptied: each level costs a descriptor and some stack.
const DEEPEST: usize = 48;
/// A folder that is filled faster than it is emptied is given up after so many rounds.
const ROUNDS: usize = 10_000;

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Freed {
    /// Files, links and folders.
    pub entries: u64,
    /// Bytes of the disk that are free now. What has other names still frees none.
    pub bytes: u64,
}

impl std::ops::AddAssign for Freed {
    fn add_assign(&mut self, more: Self) {
        self.entries += more.entries;
        self.bytes += more.bytes;
    }
}

/// Why something could not be removed.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The name means something else than was to be removed.
    #[error("it is not what was to be removed")]
    Another,
    /// At this path below it.
    #[error("at '{0}': {1}")]
    At(String, #[source] io::Error),
    /// By itself.
    #[error(transparent)]
    Itself(#[from] io::Error),
}

/// Removes what a name in an open folder means, if that is the one expected. What is gone already is removed.
pub fn remove(parent: impl AsFd, name: impl AsRef<OsStr>, expected: Identity) -> Result<Freed, Refused> {
    let (parent, name) = (parent.as_fd(), name.as_ref());
    let Some(about) = folder::look(parent, name)? else { return Ok(Freed::default()) };
    if Identity::at(parent, name)? != Some(expected) {
        return Err(Refused::Another);
    }
    if !folder::is_folder(&about) {
        let freed = weight(&about);
        unlinkat(parent, name, AtFlags::empty()).map_err(io::Error::from)?;
        return Ok(freed);
    }
    let top = match enter(parent, name) {
        // Another command has just removed it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Freed::default()),
        top => top?,
    };
    // From here on it is this folder, whatever its name means.
    if Identity::of(&top)? != expected {
        return Err(Refused::Another);
    }
    let mut removal = Removal { top: top.as_fd(), moved_up: 0, freed: Freed::default() };
    removal.empty(top.as_fd(), 0, &mut Vec::new())?;
    let mut freed = removal.freed;
    let own = fstat(&top).map_err(io::Error::from)?;
    match Identity::at(parent, name)? {
        None => return Ok(freed),
        Some(now) if now != expected => return Err(Refused::Another),
        Some(_) => {}
    }
    // Should the name have changed its meaning just now: only an empty folder can be removed like this.
    unlinkat(parent, name, AtFlags::REMOVEDIR).map_err(io::Error::from)?;
    freed += weight(&own);
    Ok(freed)
}

fn weight(about: &rustix::fs::Stat) -> Freed {
    let last = folder::is_folder(about) || about.st_nlink <= 1;
    let bytes = u64::try_from(about.st_blocks).unwrap_or_default() * 512;
    Freed { entries: 1, bytes: if last { bytes } else { 0 } }
}

/// Opens a folder that will be emptied, and sees to it that it can be.
fn enter(parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<OwnedFd> {
    let opened = match folder::step(parent, name) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let unread = folder::step_unread(parent, name)?;
            // The folder that is open, by the only name that cannot come to mean another.
            let path = format!("/proc/self/fd/{}", unread.as_raw_fd());
            chmodat(CWD, path, Mode::RWXU, AtFlags::empty())?;
            folder::step(parent, name)?
        }
        opened => opened?,
    };
    if fstat(&opened)?.st_mode & 0o700 != 0o700 {
        fchmod(&opened, Mode::RWXU)?;
    }
    Ok(opened)
}

struct Removal<'t> {
    top: BorrowedFd<'t>,
    moved_up: u64,
    freed: Freed,
}

impl Removal<'_> {
    /// Empties an open folder. Goes on past what cannot be removed, and says the first such thing.
    fn empty(&mut self, dir: BorrowedFd<'_>, depth: usize, path: &mut Vec<OsString>) -> Result<(), Refused> {
        for _ in 0..ROUNDS {
            let names = folder::names(dir).map_err(|error| at(path, error))?;
            let mut first = None;
            let mut removed = 0;
            for name in &names {
                path.push(name.clone());
                match self.entry(dir, name, depth, path) {
                    Ok(()) => removed += 1,
                    Err(refused) => first = first.or(Some(refused)),
                }
                path.pop();
            }
            match first {
                None if names.is_empty() => return Ok(()),
                Some(refused) if removed == 0 => return Err(refused),
                _ => {}
            }
        }
        Err(at(path, Errno::BUSY.into()))
    }

    fn entry(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &OsStr,
        depth: usize,
        path: &mut Vec<OsString>,
    ) -> Result<(), Refused> {
        let Some(about) = folder::look(dir, name).map_err(|error| at(path, error))? else { return Ok(()) };
        if folder::is_folder(&about) {
            match enter(dir, name) {
                Ok(inner) => return self.folder(dir, name, &inner, depth, path),
                // It was swapped for a link, or something else, since it was looked at.
                Err(error) if is_no_folder(&error) => {}
                Err(error) => return Err(at(path, error)),
            }
        }
        match unlinkat(dir, name, AtFlags::empty()) {
            Ok(()) => {
                self.freed += weight(&about);
                Ok(())
            }
            // Swapped the other way, or gone: the next round sees.
            Err(Errno::NOENT | Errno::ISDIR) => Ok(()),
            Err(error) => Err(at(path, error.into())),
        }
    }

    fn folder(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &OsStr,
        inner: &OwnedFd,
        depth: usize,
        path: &mut Vec<OsString>,
    ) -> Result<(), Refused> {
        if depth >= DEEPEST {
            self.moved_up += 1;
            let up = format!(".up-{}-{}", std::process::id(), self.moved_up);
            return renameat(dir, name, self.top, up).map_err(|error| at(path, error.into()));
        }
        let about = fstat(inner).map_err(|error| at(path, error.into()))?;
        self.empty(inner.as_fd(), depth + 1, path)?;
        match unlinkat(dir, name, AtFlags::REMOVEDIR) {
            Ok(()) => {
                self.freed += weight(&about);
                Ok(())
            }
            Err(Errno::NOENT | Errno::NOTDIR | Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
            Err(error) => Err(at(path, error.into())),
        }
    }
}

fn is_no_folder(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    [Errno::NOTDIR, Errno::LOOP, Errno::NOENT].iter().any(|errno| Some(errno.raw_os_error()) == code)
}

fn at(path: &[OsString], error: io::Error) -> Refused {
    let path = path.iter().map(|name| name.to_string_lossy()).collect::<Vec<_>>().join("/");
    Refused::At(path, error)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;
    use crate::state::{durable, make_private};

    fn whole(folder: &tempfile::TempDir, name: &str) -> Result<Freed, Refused> {
        let parent = folder::open(folder.path()).unwrap();
        let expected = Identity::at(&parent, name).unwrap().unwrap();
        remove(&parent, name, expected)
    }

    #[test]
    fn everything_goes_and_what_links_lead_to_stays() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        make_private(&at("outside")).unwrap();
        durable::replace_cheaply(&at("outside/file"), b"precious").unwrap();
        make_private(&at("tree/a/b")).unwrap();
        durable::replace_cheaply(&at("tree/a/b/file"), &[7; 9000]).unwrap();
        symlink(at("outside"), at("tree/a/way-out")).unwrap();
        symlink(at("outside/file"), at("tree/link")).unwrap();
        fs::hard_link(at("outside/file"), at("tree/hard")).unwrap();
        fs::set_permissions(at("tree/a/b"), fs::Permissions::from_mode(0o000)).unwrap();
        fs::set_permissions(at("tree/a"), fs::Permissions::from_mode(0o500)).unwrap();
        let mode = fs::metadata(at("outside/file")).unwrap().permissions().mode();
        let freed = whole(&folder, "tree").unwrap();
        assert_eq!(freed.entries, 7);
        assert!((9000..200_000).contains(&freed.bytes), "{freed:?}");
        assert!(!at("tree").exists());
        assert_eq!(fs::read_to_string(at("outside/file")).unwrap(), "precious");
        assert_eq!(fs::metadata(at("outside/file")).unwrap().permissions().mode(), mode);
    }

    #[test]
    fn what_another_one_is_called_now_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        make_private(&at("tree")).unwrap();
        make_private(&at("precious/deep")).unwrap();
        let parent = folder::open(folder.path()).unwrap();
        let expected = Identity::at(&parent, "tree").unwrap().unwrap();
        // Out of the way: what is gone gives its number to the next.
        durable::rename(&at("tree"), &at("moved")).unwrap();
        assert_eq!(remove(&parent, "tree", expected).unwrap(), Freed::default());
        symlink(at("precious"), at("tree")).unwrap();
        assert!(matches!(remove(&parent, "tree", expected), Err(Refused::Another)));
        assert!(matches!(remove(&parent, "precious", expected), Err(Refused::Another)));
        assert!(at("precious/deep").exists());
    }

    #[test]
    fn a_tree_deeper_than_any_path_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        make_private(&folder.path().join("tree")).unwrap();
        let mut at = folder::open(&folder.path().join("tree")).unwrap();
        for _ in 0..3000 {
            at = folder::step_or_make(&at, "a-folder").unwrap();
        }
        drop(at);
        assert_eq!(whole(&folder, "tree").unwrap().entries, 3001);
    }
}
