//! Files that are either old or new, never half: temp file, fsync, rename, directory fsync.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::error::{Kind, OrFail, Result};

/// Temp files begin with this, so that those of killed processes can be found and swept.
pub(crate) const TEMP_PREFIX: &str = ".tmp-";

/// Replaces a file for good: after this returns, a power cut leaves the new content.
pub fn replace(path: &Path, content: &[u8]) -> Result<()> {
    put(path, content)?;
    sync_folder(folder_of(path))
}

/// The same but for the last step: until [`sync_folder`] a power cut may bring the old content back, whole.
pub(super) fn put(path: &Path, content: &[u8]) -> Result<()> {
    let failed = || format!("cannot write '{}'", path.display());
    let mut temp = temp_in(folder_of(path)).or_fail(Kind::CannotWrite, failed)?;
    temp.write_all(content).and_then(|()| temp.as_file().sync_all()).or_fail(Kind::CannotWrite, failed)?;
    temp.persist(path).or_fail(Kind::CannotWrite, failed).map(drop)
}

/// Replaces a file that can be made again: whole or old, but not forced to the disk.
pub fn replace_cheaply(path: &Path, content: &[u8]) -> Result<()> {
    let failed = || format!("cannot write '{}'", path.display());
    let mut temp = temp_in(folder_of(path)).or_fail(Kind::CannotWrite, failed)?;
    temp.write_all(content).or_fail(Kind::CannotWrite, failed)?;
    temp.persist(path).or_fail(Kind::CannotWrite, failed).map(drop)
}

/// Writes a file unless there is one already; whichever of two writers comes first wins.
pub fn write_new(path: &Path, content: &[u8]) -> Result<bool> {
    let failed = || format!("cannot write '{}'", path.display());
    let mut temp = temp_in(folder_of(path)).or_fail(Kind::CannotWrite, failed)?;
    temp.write_all(content).or_fail(Kind::CannotWrite, failed)?;
    match temp.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error).or_fail(Kind::CannotWrite, failed),
    }
}

/// Copies an open file, its mode with it: whole or not at all, but not forced to the disk.
pub fn copy(mut from: File, to: &Path) -> Result<()> {
    let failed = || format!("cannot write '{}'", to.display());
    let mut temp = temp_in(folder_of(to)).or_fail(Kind::CannotWrite, failed)?;
    std::io::copy(&mut from, temp.as_file_mut()).or_fail(Kind::CannotWrite, failed)?;
    let mode = from.metadata().or_fail(Kind::CannotWrite, failed)?.permissions();
    temp.as_file().set_permissions(mode).or_fail(Kind::CannotWrite, failed)?;
    temp.persist(to).or_fail(Kind::CannotWrite, failed).map(drop)
}

/// Moves a file for good.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    let renamed = std::fs::rename(from, to);
    renamed
        .or_fail(Kind::CannotWrite, || format!("cannot move '{}' to '{}'", from.display(), to.display()))?;
    sync_folder(folder_of(to))?;
    if folder_of(from) == folder_of(to) { Ok(()) } else { sync_folder(folder_of(from)) }
}

/// Removes a file for good; one that is not there is removed already.
pub fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => {
            result.or_fail(Kind::CannotWrite, || format!("cannot remove '{}'", path.display()))?;
            sync_folder(folder_of(path))
        }
    }
}

/// Reads a file; none where there is none.
pub fn read(path: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).or_fail(Kind::CannotWrite, || format!("cannot read '{}'", path.display())),
    }
}

pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

/// Mode 0600 whatever the umask; removed again unless it is persisted.
fn temp_in(folder: &Path) -> std::io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(TEMP_PREFIX).tempfile_in(folder)
}

/// What was renamed in a folder stays so.
pub(super) fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .or_fail(Kind::CannotWrite, || format!("cannot write the folder '{}'", folder.display()))
}
