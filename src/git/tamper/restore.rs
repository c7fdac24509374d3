//! Copies of what is watched, out of an agent's way, and their way back.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::{Change, Snapshot, Thing, about, open};
use crate::error::{Error, Kind, OrFail, Result};
use crate::state::{durable, make_private};

/// Copies what a snapshot found in `root` to the same paths below `into`: contents, modes, links as links.
pub fn keep(snapshot: &Snapshot, root: &Path, into: &Path) -> Result<()> {
    keep_again(snapshot, root, into, &Snapshot::default(), into)
}

/// The same, where an earlier copy has most of it: a file that is as it was there becomes one more name of the earlier
/// copy's. Copies are never written to.
pub fn keep_again(
    snapshot: &Snapshot,
    root: &Path,
    into: &Path,
    earlier: &Snapshot,
    copy: &Path,
) -> Result<()> {
    make_private(into)?;
    // Sorted by path: a folder comes before what is in it.
    snapshot.0.iter().try_for_each(|(path, thing)| {
        let same = matches!(thing, Thing::File { .. }) && earlier.0.get(path) == Some(thing);
        let named = same && std::fs::hard_link(copy.join(path), into.join(path)).is_ok();
        if named { Ok(()) } else { copy_one(&root.join(path), &into.join(path)) }
    })
}

/// Puts back what changed, from the copy that [`keep`] made; what was there instead goes below `kept`, so that a
/// person can look at it. Returns whether everything could be put back: a folder full of the owner's data that was
/// replaced by a link is only reported.
pub fn put_back(changes: &[Change], root: &Path, copy: &Path, kept: &Path) -> Result<bool> {
    let mut done: Vec<PathBuf> = Vec::new();
    let mut whole = true;
    for change in changes {
        let unit = unit(&change.path);
        if done.iter().any(|done| unit.starts_with(done)) {
            continue;
        }
        let is_data = !unit.ends_with("hooks") && !unit.ends_with("info");
        if is_data && matches!(about(&copy.join(&unit))?, Some(Thing::Folder)) {
            whole = false;
            continue;
        }
        replace(&root.join(&unit), &copy.join(&unit), &kept.join(&unit))?;
        done.push(unit);
    }
    Ok(whole)
}

/// What is put back at once: all hooks, or one file.
fn unit(path: &Path) -> PathBuf {
    let hooks = path.ancestors().filter(|folder| folder.ends_with("hooks")).last();
    hooks.unwrap_or(path).to_owned()
}

/// One unit: out of the way, and its copy in its place.
fn replace(live: &Path, copy: &Path, kept: &Path) -> Result<()> {
    // A configuration is never missing, not for a moment: the owner may be at work.
    if matches!(about(live)?, Some(Thing::File { .. })) && matches!(about(copy)?, Some(Thing::File { .. })) {
        make_parent(kept)?;
        copy_tree(live, kept)?;
        return copy_one(copy, live);
    }
    if live.symlink_metadata().is_ok() {
        make_parent(kept)?;
        // Another file system cannot be moved to; copied, a folder is removed without following links.
        if durable::rename(live, kept).is_err() {
            copy_tree(live, kept)?;
            remove(live)?;
        }
    }
    if copy.symlink_metadata().is_err() {
        return Ok(());
    }
    make_parent(live)?;
    copy_tree(copy, live)
}

fn make_parent(path: &Path) -> Result<()> {
    let parent = path.parent().unwrap_or(path);
    let made = DirBuilder::new().recursive(true).mode(0o755).create(parent);
    made.or_fail(Kind::CannotWrite, || format!("cannot make the folder '{}'", parent.display()))
}

fn remove(path: &Path) -> Result<()> {
    let is_folder = path.symlink_metadata().is_ok_and(|about| about.is_dir());
    let removed = if is_folder { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    removed.or_fail(Kind::CannotWrite, || format!("cannot remove '{}'", path.display()))
}

/// A file, a link, or a folder with everything in it. Pipes and devices are left out.
fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    match about(from)? {
        Some(Thing::Folder) => {
            copy_one(from, to)?;
            super::names(from)?.into_iter().try_for_each(|name| copy_tree(&from.join(&name), &to.join(&name)))
        }
        Some(Thing::Other) | None => Ok(()),
        Some(_) => copy_one(from, to),
    }
}

fn copy_one(from: &Path, to: &Path) -> Result<()> {
    let failed = || format!("cannot copy '{}' to '{}'", from.display(), to.display());
    match about(from)? {
        None => Ok(()),
        Some(Thing::Folder) => {
            let made = DirBuilder::new().recursive(true).mode(0o755).create(to);
            made.or_fail(Kind::CannotWrite, failed)
        }
        Some(Thing::Link(target)) => {
            if to.symlink_metadata().is_ok() {
                remove(to)?;
            }
            std::os::unix::fs::symlink(target, to).or_fail(Kind::CannotWrite, failed)
        }
        Some(Thing::File { .. }) => durable::copy(open(from).or_fail(Kind::Failed, failed)?, to),
        Some(Thing::Other) => {
            let message =
                format!("'{}' cannot be read, so nobody could tell whether it changes", from.display());
            Err(Error::new(Kind::Config, message).hint("make it readable to you, or remove it"))
        }
    }
}
