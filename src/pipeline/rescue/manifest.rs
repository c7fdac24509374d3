//! What a rescue says of itself: one line of JSON in its commit's message, and for what git's trees cannot say a
//! manifest beside it.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};
use serde::{Deserialize, Serialize};

/// What a rescue holds, in brief.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Summary {
    pub(crate) issue: u64,
    pub(crate) attempt: u32,
    pub(crate) instance: String,
    pub(crate) branch: String,
    /// Files and links that are not in the last commit, or are different there.
    pub(crate) files: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Files of the last commit that were deleted.
    pub(crate) deleted: u64,
    /// Commits that were nowhere else.
    pub(crate) commits: u64,
    /// What was left out, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) left: Vec<String>,
}

/// The line of a message that holds the summary begins with this.
const MARK: &str = "cq-rescue: ";

impl Summary {
    /// The message of the rescue's commit.
    pub(crate) fn message(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_default();
        let left = self.left.iter().fold(String::new(), |all, one| all + "Left out: " + one + "\n");
        format!(
            "Rescued from {} (issue #{}, attempt {})\n\n{}.\n{left}\n{MARK}{json}\n",
            self.instance,
            self.issue,
            self.attempt,
            self.what()
        )
    }

    /// Reads it out of a commit's text.
    pub(crate) fn of_commit(text: &str) -> Option<Self> {
        let line = text.lines().rev().find_map(|line| line.strip_prefix(MARK))?;
        serde_json::from_str(line).ok()
    }

    /// What is in it, for people.
    pub(crate) fn what(&self) -> String {
        let count = |number: u64, one: &str| match number {
            0 => None,
            1 => Some(format!("1 {one}")),
            more => Some(format!("{more} {one}s")),
        };
        let deleted = count(self.deleted, "file").map(|files| format!("{files} deleted"));
        let parts = [count(self.files, "file"), deleted, count(self.commits, "commit")];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() { "nothing but the branch".to_owned() } else { parts.join(", ") }
    }
}

/// What a tree cannot say. Paths are percent-encoded: they may hold any bytes.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Manifest {
    /// The usual mode of files, of executable ones, and of folders.
    pub(crate) usual: [u32; 3],
    /// Modes that are not usual.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) modes: BTreeMap<String, u32>,
    /// Folders with nothing in them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) empty: Vec<String>,
    /// Files that git takes into no tree under their own names: `odd/<number>` beside this file → the path.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) odd: BTreeMap<String, String>,
    /// Paths of which the index held another version than the last commit, and its mode: it is below `staged/`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) staged: BTreeMap<String, String>,
    /// Paths of the last commit that the index did not have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) unstaged: Vec<String>,
}

/// What git makes of modes.
pub(crate) const USUAL: [u32; 3] = [0o644, 0o755, 0o755];

impl Manifest {
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }
}

/// Letters, digits and common punctuation stay as they are.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%').add(b'"').add(b'\\').add(0x7f);

/// A path as text.
pub(crate) fn encode(path: &[u8]) -> String {
    percent_encode(path, ESCAPED).to_string()
}

/// And back.
pub(crate) fn decode(text: &str) -> Vec<u8> {
    percent_decode_str(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_read_back_from_a_message() {
        let summary = Summary {
            issue: 7,
            attempt: 2,
            instance: "claude-instance-1".to_owned(),
            branch: "claude/issue-7".to_owned(),
            files: 1,
            bytes: 12,
            deleted: 2,
            commits: 3,
            left: vec!["node_modules/ (is made again)".to_owned()],
        };
        assert_eq!(summary.what(), "1 file, 2 files deleted, 3 commits");
        let commit = format!("tree 0\nauthor x\n\n{}", summary.message());
        assert_eq!(Summary::of_commit(&commit), Some(summary));
        assert_eq!(Summary::of_commit("tree 0\n\nSomething else\n"), None);
    }

    #[test]
    fn any_bytes_survive_as_a_path() {
        let path: Vec<u8> = (1..=255).collect();
        assert_eq!(decode(&encode(&path)), path);
        assert_eq!(encode(b"a b/c-d.txt"), "a b/c-d.txt");
    }
}
