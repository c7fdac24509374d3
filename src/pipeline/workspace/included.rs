//! `.worktreeinclude`: ignored files of the owner's checkout that a new worktree needs too, such as a local `.env`.
//!
//! The list is the base commit's, in gitignore's syntax; nothing that an agent wrote says what is copied. Only what git
//! ignores and the list names is, plain files alone, and neither way is a link followed: not out of the checkout, not
//! out of the worktree. What is cq's own is left out whatever the list says.

use std::fmt::Write as _;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{Mode, OFlags, mkdirat, open, openat};
use rustix::io::Errno;

use crate::error::{Kind, OrFail, Result};
use crate::git::PrivateGit;
use crate::session::Session;

/// The list's name.
const LIST: &str = ".worktreeinclude";

/// What was copied.
#[derive(Debug, Default, PartialEq, Eq)]
struct Copied {
    files: u64,
    bytes: u64,
    /// Of those, files that share their blocks with the original.
    shared: u64,
    /// Named, and no plain file, or there already.
    left: u64,
}

/// Copies what the base's list names into a new worktree; says in a line what that was, where there is a list.
pub(super) fn copy(
    session: &Session,
    private: &PrivateGit,
    base_sha: &str,
    worktree: &Path,
) -> Result<Option<String>> {
    let Some(Some(list)) = private.texts_at(base_sha, &[LIST])?.pop() else { return Ok(None) };
    let checkout = session.loaded.repository(&session.environment)?;
    if checkout.join(".git").symlink_metadata().is_err() {
        return Ok(Some(format!("'{LIST}': '{}' is no checkout: nothing is copied", checkout.display())));
    }
    let mut own = vec![
        session.loaded.workspaces(&session.environment)?,
        session.loaded.logs(),
        session.state.dir().to_owned(),
    ];
    own.extend(session.loaded.file.clone());
    let named = private.ignored_and_named(&checkout, base_sha, &list)?;
    let named = named.iter().map(Path::new).filter(|name| {
        let path = checkout.join(name);
        !own.iter().any(|own| path.starts_with(own))
    });
    let copied = copy_all(&checkout, worktree, named)?;
    let mut told = format!("'{LIST}': {} ignored files copied, {} bytes", copied.files, copied.bytes);
    if copied.shared > 0 {
        let _ = write!(told, " ({} by reflink)", copied.shared);
    }
    if copied.left > 0 {
        let _ = write!(told, ", {} left out", copied.left);
    }
    session.detail(&told);
    Ok(Some(told))
}

fn copy_all<'n>(from: &Path, to: &Path, names: impl Iterator<Item = &'n Path>) -> Result<Copied> {
    let root = |path: &Path| {
        open(path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .or_fail(Kind::CannotWrite, || format!("cannot open '{}'", path.display()))
    };
    let (from, to) = (root(from)?, root(to)?);
    let mut copied = Copied::default();
    for name in names {
        match copy_one(&from, &to, name) {
            Ok(Some((bytes, shared))) => {
                copied.files += 1;
                copied.bytes += bytes;
                copied.shared += u64::from(shared);
            }
            Ok(None) => copied.left += 1,
            Err(error) => {
                return Err(error).or_fail(Kind::CannotWrite, || format!("cannot copy '{}'", name.display()));
            }
        }
    }
    Ok(copied)
}

/// One file: its bytes, and whether it shares its blocks. None where either side is no plain file, or not free.
fn copy_one(from: &OwnedFd, to: &OwnedFd, name: &Path) -> std::io::Result<Option<(u64, bool)>> {
    let (Some(folder), Some(file)) = (name.parent(), name.file_name()) else { return Ok(None) };
    let Some(source) = descend(from, folder, false)? else { return Ok(None) };
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let source = match openat(&source, file, flags, Mode::empty()) {
        Ok(source) => File::from(source),
        Err(Errno::LOOP | Errno::NOENT | Errno::ACCESS | Errno::NXIO) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let about = source.metadata()?;
    if !about.is_file() {
        return Ok(None);
    }
    let Some(target) = descend(to, folder, true)? else { return Ok(None) };
    let mode = Mode::from_raw_mode(rustix::fs::fstat(&source)?.st_mode & 0o700);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut target = match openat(&target, file, flags, mode | Mode::WUSR) {
        Ok(target) => File::from(target),
        Err(Errno::EXIST) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let shared = fill(&source, &mut target)?;
    Ok(Some((about.len(), shared)))
}

/// Gives an empty file another one's content; whether the two share their blocks now.
pub(crate) fn fill(mut source: &File, target: &mut File) -> std::io::Result<bool> {
    // Where the file system cannot share blocks, or the two are on different ones.
    let shared = rustix::fs::ioctl_ficlone(&*target, source).is_ok();
    if !shared {
        std::io::copy(&mut source, target)?;
    }
    Ok(shared)
}

/// The folder at a relative path; none where a part of it is a link, or something else, or leads upwards.
pub(crate) fn descend(root: &OwnedFd, folder: &Path, make: bool) -> std::io::Result<Option<OwnedFd>> {
    let mut at = root.as_fd().try_clone_to_owned()?;
    for part in folder.components() {
        let Component::Normal(name) = part else { return Ok(None) };
        if make {
            match mkdirat(&at, name, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        at = match openat(&at, name, flags, Mode::empty()) {
            Ok(next) => next,
            Err(Errno::LOOP | Errno::NOTDIR | Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
    }
    Ok(Some(at))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::state::{durable, make_private};

    #[test]
    fn plain_files_are_copied_and_no_link_is_followed_either_way() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| {
            make_private(at(name).parent().unwrap()).unwrap();
            durable::replace_cheaply(&at(name), text.as_bytes()).unwrap();
        };
        write("from/.env", "KEY=1");
        write("from/deep/er/file", "deep");
        write("from/bent/file", "must not get out");
        write("from/there", "new");
        write("to/there", "old");
        write("outside/secret", "secret");
        symlink(at("outside/secret"), at("from/link")).unwrap();
        symlink(at("outside"), at("from/way")).unwrap();
        symlink(at("outside"), at("to/bent")).unwrap();
        let names =
            [".env", "deep/er/file", "bent/file", "there", "link", "way/secret", "../outside/secret", "gone"];
        let copied = copy_all(&at("from"), &at("to"), names.iter().map(Path::new)).unwrap();
        assert_eq!((copied.files, copied.bytes, copied.left), (2, 9, 6));
        let text = |name: &str| std::fs::read_to_string(at(name)).ok();
        assert_eq!(text("to/.env").as_deref(), Some("KEY=1"));
        assert_eq!(text("to/deep/er/file").as_deref(), Some("deep"));
        assert_eq!(text("to/there").as_deref(), Some("old"));
        assert_eq!((text("outside/file"), text("to/link"), text("to/way/secret")), (None, None, None));
    }
}
