//! Workspaces of nobody's: what is there, and in no record.

use super::Wish;
use crate::error::Result;
use crate::record::Record;
use crate::session::Session;
use crate::state::instances;

/// Named instances, or with `--all` folders, that belong to no record.
pub(super) fn find(session: &Session, wish: &Wish, records: &[Record]) -> Result<Vec<String>> {
    let known = |name: &String| records.iter().any(|record| record.instance() == name);
    let workspaces = session.loaded.workspaces(&session.environment)?;
    let mut names: Vec<String> = wish.instances.clone();
    if wish.all
        && let Ok(entries) = std::fs::read_dir(&workspaces)
    {
        let name = |entry: std::fs::DirEntry| entry.file_name().into_string().ok();
        names.extend(entries.flatten().filter_map(name).filter(|name| instances::number(name).is_some()));
    }
    names.retain(|name| !known(name) && workspaces.join(name).symlink_metadata().is_ok());
    Ok(names)
}
