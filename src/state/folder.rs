//! Folders by descriptor. A name can come to mean something else between two looks at it; an open folder cannot.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags, ResolveFlags, Stat, StatxAttributes, StatxFlags,
    fstat, makedev, mkdirat, openat, openat2, renameat, renameat_with, statat, statx,
};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// To be opened, never through a link.
const PLAIN_FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// The kernel asks to try again where somebody renames beside it.
const TRIES: usize = 1000;

/// Which file or folder is meant, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// The device that its file system is on.
    pub device: u64,
    /// Its number there, which another one gets once it is gone.
    pub inode: u64,
    /// When it was made, in nanoseconds since 1970, where the file system knows.
    #[serde(default)]
    pub born: Option<i64>,
}

impl Identity {
    /// That of something open.
    pub fn of(open: impl AsFd) -> io::Result<Self> {
        Self::ask(open.as_fd(), OsStr::new(""), AtFlags::EMPTY_PATH)
    }

    /// That of what a name means now; a link is itself. None where there is nothing.
    pub fn at(folder: impl AsFd, name: impl AsRef<OsStr>) -> io::Result<Option<Self>> {
        match Self::ask(folder.as_fd(), name.as_ref(), AtFlags::SYMLINK_NOFOLLOW) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            found => found.map(Some),
        }
    }

    /// That of what a path means now; a link at its end is itself.
    pub fn at_path(path: &Path) -> io::Result<Option<Self>> {
        Self::at(CWD, path)
    }

    fn ask(folder: BorrowedFd<'_>, name: &OsStr, flags: AtFlags) -> io::Result<Self> {
        match statx(folder, name, flags, StatxFlags::BASIC_STATS | StatxFlags::BTIME) {
            Ok(about) => {
                let known = about.stx_mask & StatxFlags::BTIME.bits() != 0;
                let at = about.stx_btime;
                let born =
                    at.tv_sec.checked_mul(1_000_000_000).and_then(|ns| ns.checked_add(at.tv_nsec.into()));
                let device = makedev(about.stx_dev_major, about.stx_dev_minor);
                Ok(Self { device, inode: about.stx_ino, born: born.filter(|_| known) })
            }
            // Where a filter does not know the call.
            Err(Errno::NOSYS | Errno::PERM) => {
                let about = statat(folder, name, flags)?;
                Ok(Self { device: about.st_dev, inode: about.st_ino, born: None })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether this is what was noted before, perhaps before the machine was started again: devices get other numbers.
    pub fn is_noted(&self, noted: &Self, same_start: bool) -> bool {
        let born = noted.born.is_none() || self.born.is_none() || noted.born == self.born;
        noted.inode == self.inode && born && (noted.device == self.device || !same_start)
    }
}

/// Opens a folder by its path. Links on the way there are the operator's own.
pub fn open(path: &Path) -> io::Result<OwnedFd> {
    Ok(openat(CWD, path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// What a name in an open folder means now, a link as a link; none where there is nothing.
pub fn look(folder: impl AsFd, name: impl AsRef<OsStr>) -> io::Result<Option<Stat>> {
    match statat(folder, name.as_ref(), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(about) => Ok(Some(about)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether it is a folder.
pub fn is_folder(about: &Stat) -> bool {
    FileType::from_raw_mode(about.st_mode) == FileType::Directory
}

/// Opens a folder in an open one. A link is refused (`ENOTDIR` or `ELOOP`), and so is a folder on which something is
/// mounted, be it of the same file system (`EXDEV`).
pub fn step(folder: impl AsFd, name: impl AsRef<OsStr>) -> io::Result<OwnedFd> {
    step_with(folder.as_fd(), name.as_ref(), PLAIN_FOLDER)
}

/// [`step`] for a folder that may not be read: what is open can be changed, and not listed.
pub fn step_unread(folder: impl AsFd, name: impl AsRef<OsStr>) -> io::Result<OwnedFd> {
    step_with(folder.as_fd(), name.as_ref(), PLAIN_FOLDER | OFlags::PATH)
}

fn step_with(folder: BorrowedFd<'_>, name: &OsStr, flags: OFlags) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    for _ in 0..TRIES {
        match openat2(folder, name, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            // Before Linux 5.6, or where a filter does not know the call.
            Err(Errno::NOSYS | Errno::PERM) => return step_of_old(folder, name, flags),
            opened => return Ok(opened?),
        }
    }
    Err(Errno::AGAIN.into())
}

fn step_of_old(folder: BorrowedFd<'_>, name: &OsStr, flags: OFlags) -> io::Result<OwnedFd> {
    let opened = openat(folder, name, flags, Mode::empty())?;
    let mounted = statx(&opened, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS).is_ok_and(|about| {
        about.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)
            && about.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT)
    });
    if mounted || fstat(&opened)?.st_dev != fstat(folder)?.st_dev {
        return Err(Errno::XDEV.into());
    }
    Ok(opened)
}

/// Opens the folder at a relative path, step by step.
pub fn descend(folder: impl AsFd, path: &Path) -> io::Result<OwnedFd> {
    let mut at = folder.as_fd().try_clone_to_owned()?;
    for part in path.components() {
        let Component::Normal(name) = part else { return Err(Errno::INVAL.into()) };
        at = step(&at, name)?;
    }
    Ok(at)
}

/// Opens a folder in an open one, made where it is missing, for its owner alone.
pub fn step_or_make(folder: impl AsFd, name: impl AsRef<OsStr>) -> io::Result<OwnedFd> {
    let (folder, name) = (folder.as_fd(), name.as_ref());
    match mkdirat(folder, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => step(folder, name),
        Err(error) => Err(error.into()),
    }
}

/// The names in an open folder.
pub fn names(folder: impl AsFd) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(OsString::from_vec(name));
        }
    }
    Ok(names)
}

/// Moves something from one open folder to another, over nothing, and for good.
pub fn transfer(
    from: impl AsFd,
    name: impl AsRef<OsStr>,
    to: impl AsFd,
    new: impl AsRef<OsStr>,
) -> io::Result<()> {
    let (from, to, name, new) = (from.as_fd(), to.as_fd(), name.as_ref(), new.as_ref());
    match renameat_with(from, name, to, new, RenameFlags::NOREPLACE) {
        // The file system does not know the flag.
        Err(Errno::INVAL | Errno::NOSYS) if look(to, new)?.is_none() => renameat(from, name, to, new)?,
        moved => moved?,
    }
    for folder in [from, to] {
        rustix::fs::fsync(folder)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::state::make_private;

    #[test]
    fn a_step_follows_no_link_and_a_name_is_told_from_a_thing() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        make_private(&at("base/real/deep")).unwrap();
        make_private(&at("outside/deep")).unwrap();
        symlink(at("outside"), at("base/link")).unwrap();
        let base = open(&at("base")).unwrap();
        assert!(step(&base, "real").is_ok() && step_unread(&base, "real").is_ok());
        for refused in [step(&base, "link"), step(&base, ".."), descend(&base, Path::new("link/deep"))] {
            assert!(refused.is_err());
        }
        assert!(descend(&base, Path::new("../outside")).is_err());
        assert!(descend(&base, Path::new("real/deep")).is_ok());
        let real = Identity::at(&base, "real").unwrap();
        assert_eq!(real, Some(Identity::of(step(&base, "real").unwrap()).unwrap()));
        assert_ne!(
            Identity::at(&base, "link").unwrap(),
            Some(Identity::of(open(&at("outside")).unwrap()).unwrap())
        );
        assert_eq!(Identity::at(&base, "none").unwrap(), None);
        let outside = open(&at("outside")).unwrap();
        assert!(transfer(&base, "real", &outside, "deep").is_err(), "nothing is replaced");
        transfer(&base, "real", &outside, "moved").unwrap();
        assert_eq!(Identity::at(&outside, "moved").unwrap(), real);
        assert!(step_or_make(&base, "link").is_err() && step_or_make(&base, "new").is_ok());
        let mut found = names(&base).unwrap();
        found.sort();
        assert_eq!(found, ["link", "new"]);
    }
}
