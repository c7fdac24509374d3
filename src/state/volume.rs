//! What a folder is stored on.

use std::path::Path;

use rustix::fs::Access;

use crate::error::{Error, Kind, OrFail, Result};

/// File systems on which `flock` may hang or not be seen by other machines (`f_type`, statfs(2)).
const NETWORK: [(u64, &str); 7] = [
    (0x6969, "NFS"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB2"),
    (0x517B, "SMB"),
    (0x5346_414F, "AFS"),
    (0x00C3_6400, "Ceph"),
    (0x0102_1997, "9P"),
];

/// The folder itself, or the nearest one above it that exists.
fn existing(folder: &Path) -> &Path {
    folder.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/"))
}

/// The name of the network file system that a folder is on, or will be on; none for a local one.
pub fn network(folder: &Path) -> Result<Option<&'static str>> {
    let about = rustix::fs::statfs(existing(folder))
        .or_fail(Kind::CannotWrite, || format!("cannot examine '{}'", folder.display()))?;
    let is = |magic: u64| i64::try_from(magic).is_ok_and(|magic| magic == about.f_type);
    Ok(NETWORK.into_iter().find(|(magic, _)| is(*magic)).map(|(_, name)| name))
}

/// Why a file or folder cannot be written, or made where it is missing; none where it can.
pub fn refusal(path: &Path) -> Option<Error> {
    let place = if path.exists() { path } else { existing(path) };
    let wanted = if place.is_dir() { Access::WRITE_OK | Access::EXEC_OK } else { Access::WRITE_OK };
    let refused = rustix::fs::access(place, wanted).err()?;
    let error = Error::because(Kind::CannotWrite, refused, format!("'{}' cannot be written", path.display()));
    Some(error.hint("see whose it is, its modes, and whether its file system is mounted read-only"))
}

/// Bytes that this user may still write where a folder is, or will be.
pub fn free_bytes(folder: &Path) -> Result<u64> {
    let about = rustix::fs::statvfs(existing(folder))
        .or_fail(Kind::CannotWrite, || format!("cannot examine '{}'", folder.display()))?;
    Ok(about.f_bavail.saturating_mul(about.f_frsize))
}
