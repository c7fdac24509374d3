//! What is looked at before anything is pushed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::globs;
use crate::error::Result;

/// What must not be pushed without a person's word, or not at all.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Guards {
    /// The most files that a change may touch; 0 is no limit.
    pub max_files: u64,
    /// The most lines that it may add and remove, those of lock files left out; 0 is no limit.
    pub max_lines: u64,
    /// The most that its new files may take together, those of commits in between too, in megabytes; 0 is no limit.
    pub max_megabytes: u64,
    /// Pattern of paths → what becomes of a change to one of them. Adds to the built-in patterns, and where one
    /// of these here fits, no built-in one counts. `*` and `?` stay within a folder, `**` does not; case does not
    /// matter, and neither does what some systems leave out of names.
    pub protected: BTreeMap<String, Protection>,
    /// What becomes of a symbolic link that leads out of the tree.
    pub outside_links: Protection,
    /// What becomes of a submodule that is added or moved.
    pub submodules: Protection,
    /// Secrets that are none: fingerprints, as cq-pr tells them, and patterns of paths in which no vendor's format is
    /// looked for. A value that cq itself knows is let through by its fingerprint alone.
    pub allow_secrets: Vec<String>,
}

/// What becomes of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protection {
    /// Nothing.
    Allow,
    /// The pull request names it.
    Flag,
    /// It is not pushed without a person's word.
    Refuse,
}

impl Default for Guards {
    fn default() -> Self {
        Self {
            max_files: 300,
            max_lines: 10_000,
            max_megabytes: 10,
            protected: BTreeMap::new(),
            outside_links: Protection::Refuse,
            submodules: Protection::Refuse,
            allow_secrets: Vec::new(),
        }
    }
}

impl Guards {
    /// Refuses patterns that are none. A fingerprint is one, too: it fits no path.
    pub(super) fn refuse_odd(&self) -> Result<()> {
        self.protected.keys().try_for_each(|glob| globs::refuse_odd("guards.protected", glob))?;
        self.allow_secrets.iter().try_for_each(|glob| globs::refuse_odd("guards.allowSecrets", glob))
    }
}
