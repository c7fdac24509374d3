//! What goes beside the tree of a rescue.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

use super::manifest::{Manifest, USUAL, encode};
use super::stream::{Commit, Line, Stream};
use crate::clock::Timestamp;

/// What goes beside the tree.
#[derive(Debug, Default)]
pub(super) struct Attic {
    pub(super) lines: Vec<Line>,
    pub(super) manifest: Manifest,
    /// A commit that is on no branch.
    pub(super) detached: Option<String>,
}

impl Attic {
    pub(super) fn put_odd(&mut self, odd: Vec<Line>, prefix: &str) {
        for mut line in odd {
            let number = (self.manifest.odd.len() + 1).to_string();
            self.manifest.odd.insert(number.clone(), format!("{prefix}{}", encode(&line.path)));
            line.path = format!("odd/{number}").into_bytes();
            self.lines.push(line);
        }
    }

    pub(super) fn is_needed(&self) -> bool {
        let Manifest { usual, modes, empty, unstaged, .. } = &self.manifest;
        !self.lines.is_empty()
            || self.detached.is_some()
            || *usual != USUAL
            || !modes.is_empty()
            || !empty.is_empty()
            || !unstaged.is_empty()
    }

    pub(super) fn write(mut self, stream: &mut Stream, at: Timestamp) -> std::io::Result<String> {
        let content = stream.blob(&serde_json::to_vec_pretty(&self.manifest)?)?;
        let (name, path) = (String::new(), b"manifest.json".to_vec());
        self.lines.push(Line { mode: "100644", content, name, path });
        let parents: Vec<String> = self.detached.into_iter().collect();
        let message = "What a tree cannot say\n";
        stream.commit(&Commit {
            reference: "refs/cq/attic",
            message,
            at,
            parents: &parents,
            lines: &self.lines,
        })
    }
}

/// What could not be collected out of a sandbox.
pub(super) fn kept_by_sandbox(workspace: &Path) -> BTreeSet<String> {
    let sandbox = workspace.join(".sandbox");
    if !sandbox.symlink_metadata().is_ok_and(|about| about.is_dir()) {
        return BTreeSet::new();
    }
    let entries = std::fs::read_dir(sandbox).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let names = folders.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.starts_with("kept-")).collect()
}

/// Opens a plain file, and nothing that a link leads to.
pub(super) fn plain_file(path: &Path) -> Option<File> {
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).ok()?;
    let file = File::options().read(true).custom_flags(flags).open(path).ok()?;
    file.metadata().is_ok_and(|about| about.is_file()).then_some(file)
}

pub(super) fn cannot_read(path: &Path) -> String {
    format!("cannot read '{}'", path.display())
}
