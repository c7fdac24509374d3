//! A folder copied whole: files by reflink where the file system can, links as links, never through one.
//!
//! Times are kept. The files of a fresh checkout are younger than all that is copied into it, so that a build tool which
//! goes by times makes again what is made of the tree, and finds done what is made of dependencies.

use std::ffi::CStr;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_NOW, fchmod, fstat, futimens,
    mkdirat, open, openat, readlinkat, statat, symlinkat,
};
use rustix::io::Errno;

use crate::pipeline::workspace::included::{descend, fill};

/// No build is deeper; a folder open at each level is all that a walk needs.
const DEEPEST: u32 = 100;
/// No cache that is worth its copy has more files.
const MOST_FILES: u64 = 400_000;

/// What is left of what a folder may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) bytes: u64,
    files: u64,
}

impl Room {
    pub(super) fn of_megabytes(megabytes: u64) -> Self {
        Self { bytes: megabytes.saturating_mul(1 << 20), files: MOST_FILES }
    }

    fn take(&mut self, bytes: u64) -> std::io::Result<()> {
        let left = (self.bytes.checked_sub(bytes), self.files.checked_sub(1));
        let (Some(bytes), Some(files)) = left else {
            return Err(std::io::Error::other(
                "it is larger than gate.cacheMegabytes, or has too many files",
            ));
        };
        *self = Self { bytes, files };
        Ok(())
    }
}

/// A folder beneath another one; none where there is none, or where a part of the way is a link or something else.
pub(super) fn folder(root: &Path, place: &Path, make: bool) -> std::io::Result<Option<OwnedFd>> {
    descend(&open(root, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?, place, make)
}

/// Fails where a folder is larger than that.
pub(super) fn measure(folder: &OwnedFd, room: &mut Room) -> std::io::Result<()> {
    walk(folder, None, room, 0)
}

/// Copies what is in a folder into another one. What is there stays.
pub(super) fn copy(from: &OwnedFd, to: &OwnedFd, room: &mut Room) -> std::io::Result<()> {
    walk(from, Some(to), room, 0)
}

fn walk(from: &OwnedFd, to: Option<&OwnedFd>, room: &mut Room, depth: u32) -> std::io::Result<()> {
    if depth > DEEPEST {
        return Err(std::io::Error::other("it is too deep"));
    }
    for entry in Dir::read_from(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let about = statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(about.st_mode) {
            FileType::Directory => {
                room.take(0)?;
                below(from, to, name, room, depth)?;
            }
            FileType::RegularFile => {
                room.take(about.st_size.try_into().unwrap_or_default())?;
                if let Some(to) = to {
                    file(from, to, name)?;
                }
            }
            FileType::Symlink => {
                room.take(0)?;
                if let Some(to) = to {
                    link(from, to, name)?;
                }
            }
            // Sockets and the like were of processes that are gone.
            _ => {}
        }
    }
    Ok(())
}

fn below(
    from: &OwnedFd,
    to: Option<&OwnedFd>,
    name: &CStr,
    room: &mut Room,
    depth: u32,
) -> std::io::Result<()> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let source = openat(from, name, flags, Mode::empty())?;
    let Some(to) = to else { return walk(&source, None, room, depth + 1) };
    match mkdirat(to, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let target = match openat(to, name, flags, Mode::empty()) {
        Ok(target) => target,
        // The tree has something else there.
        Err(Errno::LOOP | Errno::NOTDIR) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    walk(&source, Some(&target), room, depth + 1)?;
    // Last: some are not to be written, and what is written in them changes their time.
    like(&target, &fstat(&source)?)
}

fn file(from: &OwnedFd, to: &OwnedFd, name: &CStr) -> std::io::Result<()> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let source = File::from(openat(from, name, flags, Mode::empty())?);
    let about = fstat(&source)?;
    if FileType::from_raw_mode(about.st_mode) != FileType::RegularFile {
        return Ok(());
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut target = match openat(to, name, flags, Mode::RUSR | Mode::WUSR) {
        Ok(target) => File::from(target),
        Err(Errno::EXIST) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    fill(&source, &mut target)?;
    like(&target, &about)
}

fn link(from: &OwnedFd, to: &OwnedFd, name: &CStr) -> std::io::Result<()> {
    let says = readlinkat(from, name, Vec::new())?;
    match symlinkat(&says, to, name) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Notes on a folder that it was of use just now.
pub(super) fn touch(folder: &OwnedFd) -> std::io::Result<()> {
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    Ok(futimens(folder, &Timestamps { last_access: now, last_modification: now })?)
}

/// Gives something another one's permissions and times. Neither set-user-ID nor the like is handed on.
fn like(target: impl AsFd, about: &Stat) -> std::io::Result<()> {
    fchmod(&target, Mode::from_raw_mode(about.st_mode & 0o777))?;
    let at =
        |tv_sec, nanoseconds: u64| Timespec { tv_sec, tv_nsec: nanoseconds.try_into().unwrap_or_default() };
    let times = Timestamps {
        last_access: at(about.st_atime, about.st_atime_nsec),
        last_modification: at(about.st_mtime, about.st_mtime_nsec),
    };
    Ok(futimens(&target, &times)?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_folder_is_copied_with_its_times_and_no_link_is_followed() {
        let top = tempfile::tempdir().unwrap();
        let at = |name: &str| top.path().join(name);
        for folder in ["from/deep/er", "to/deep", "outside"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        let write = |name: &str, text: &str| {
            crate::state::durable::replace_cheaply(&at(name), text.as_bytes()).unwrap();
        };
        write("from/deep/er/program", "x");
        write("from/there", "new");
        write("to/there", "the tree's");
        write("outside/secret", "secret");
        symlink(at("outside"), at("from/way")).unwrap();
        symlink(at("outside/secret"), at("from/deep/link")).unwrap();
        symlink(at("outside"), at("to/deep/er")).unwrap();
        let program = at("from/deep/er/program");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o6755)).unwrap();
        let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(86_400);
        File::open(at("from/there")).unwrap().set_modified(long_ago).unwrap();
        File::open(&program).unwrap().set_modified(long_ago).unwrap();

        let open = |name: &str| folder(top.path(), Path::new(name), false).unwrap();
        let from = open("from").unwrap();
        let plenty = || Room::of_megabytes(1);
        copy(&from, &open("to").unwrap(), &mut plenty()).unwrap();
        assert_eq!(fs::read_to_string(at("to/there")).unwrap(), "the tree's", "what is there stays");
        assert_eq!(fs::read_link(at("to/way")).unwrap(), at("outside"), "a link stays a link");
        assert_eq!(fs::read_dir(at("outside")).unwrap().count(), 1, "nothing was written through a link");

        fs::create_dir(at("new")).unwrap();
        copy(&from, &open("new").unwrap(), &mut plenty()).unwrap();
        let about = fs::metadata(at("new/deep/er/program")).unwrap();
        assert_eq!((about.mode() & 0o7777, about.modified().unwrap()), (0o755, long_ago));
        assert!(fs::symlink_metadata(at("new/deep/link")).unwrap().is_symlink());

        assert!(measure(&from, &mut plenty()).is_ok());
        let mut little = Room { bytes: 3, files: 100 };
        assert!(
            measure(&from, &mut little).unwrap_err().to_string().contains("larger than gate.cacheMegabytes")
        );
        assert!(open("from/way").is_none() && open("from/there").is_none() && open("gone").is_none());
    }
}
