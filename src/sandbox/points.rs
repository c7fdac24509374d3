//! The places in an agent's private folders that something is mounted on.
//!
//! bubblewrap would make them, but it follows links; and what an agent left in its home is the agent's word.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::layout::Mount;
use crate::error::{Kind, OrFail, Result};
use crate::state::make_private;

/// Whether what is mounted there is a folder.
pub(super) fn is_folder(mount: &Mount) -> bool {
    match mount {
        Mount::ReadOnly { from, .. } | Mount::Writable { from, .. } => from.is_dir(),
        Mount::Empty { .. } => true,
        Mount::Link { .. } => false,
    }
}

/// Makes a place beneath a folder: plain folders, and at its end a folder or an empty file. Whatever else an agent
/// put in the way is removed. Nobody works in the folder meanwhile.
pub(super) fn make(folder: &Path, place: &Path, as_folder: bool) -> Result<()> {
    let mut path: PathBuf = folder.to_owned();
    let last = place.components().count();
    for (number, part) in (1..).zip(place.components()) {
        path.push(part);
        let wants_folder = number < last || as_folder;
        let failed = || format!("cannot make '{}'", path.display());
        let there = path.symlink_metadata().ok();
        if there.as_ref().is_some_and(|about| if wants_folder { about.is_dir() } else { about.is_file() }) {
            continue;
        }
        if let Some(about) = there {
            let remove = if about.is_dir() { std::fs::remove_dir_all } else { std::fs::remove_file };
            remove(&path).or_fail(Kind::CannotWrite, failed)?;
        }
        if wants_folder {
            make_private(&path)?;
        } else {
            File::create_new(&path).or_fail(Kind::CannotWrite, failed)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_in_the_way_is_removed_and_no_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (home, outside) = (folder.path().join("home"), folder.path().join("outside"));
        std::fs::create_dir_all(home.join("a/file")).unwrap();
        std::fs::create_dir(&outside).unwrap();
        symlink(&outside, home.join("link")).unwrap();
        symlink(outside.join("made"), home.join("a/end")).unwrap();
        for (place, as_folder) in [("link/x/y", true), ("a/end", false), ("a/file", false), ("new/f", false)]
        {
            make(&home, Path::new(place), as_folder).unwrap();
            let about = home.join(place).symlink_metadata().unwrap();
            assert_eq!((about.is_dir(), about.is_file()), (as_folder, !as_folder), "{place}");
            make(&home, Path::new(place), as_folder).unwrap();
        }
        assert_eq!(std::fs::read_dir(outside).unwrap().count(), 0);
    }
}
