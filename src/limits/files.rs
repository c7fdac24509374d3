//! The files of control groups: written, read and understood.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What cannot be done, in words for people.
pub(super) type Tried<T = ()> = Result<T, String>;

/// Writes a value into a group's file.
pub(super) fn put(group: &Path, name: &str, value: &str) -> Tried {
    let path = group.join(name);
    // Not created: a file that is not there is a controller that is not there.
    let written =
        File::options().write(true).open(&path).and_then(|mut file| file.write_all(value.as_bytes()));
    written.map_err(|error| format!("cannot write '{}': {error}", path.display()))
}

/// A group's file, without the line end; none where it cannot be read.
pub(super) fn get(group: &Path, name: &str) -> Option<String> {
    Some(std::fs::read_to_string(group.join(name)).ok()?.trim_end().to_owned())
}

/// A file that holds one number; none for `max`.
pub(super) fn number(group: &Path, name: &str) -> Option<u64> {
    get(group, name)?.parse().ok()
}

/// The number after a name, in a file of `name number` lines.
pub(super) fn field(text: &str, name: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.split_once(' ').filter(|(found, _)| *found == name)?.1.trim().parse().ok())
}

/// Makes a group. One of that name is of an earlier run, and its counters are; it must be empty.
pub(super) fn make(parent: &Path, name: &str) -> Tried<PathBuf> {
    let group = parent.join(name);
    let made = std::fs::create_dir(&group).or_else(|_| {
        remove(&group)?;
        std::fs::create_dir(&group)
    });
    made.map_err(|error| format!("cannot make '{}': {error}", group.display()))?;
    Ok(group)
}

/// Removes a group and those below it. Fails while there are processes in it; one that is gone is removed.
pub(super) fn remove(group: &Path) -> std::io::Result<()> {
    for below in below(group) {
        remove(&below)?;
    }
    match std::fs::remove_dir(group) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// The groups directly below one.
pub(super) fn below(group: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(group) else { return Vec::new() };
    let is_folder = |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    entries.flatten().filter(is_folder).map(|entry| entry.path()).collect()
}

/// The processes of a group and of those below it.
pub(super) fn members(group: &Path) -> Vec<u32> {
    let text = get(group, "cgroup.procs").unwrap_or_default();
    let mut pids: Vec<u32> = text.lines().filter_map(|line| line.trim().parse().ok()).collect();
    pids.extend(below(group).iter().flat_map(|below| members(below)));
    pids
}
