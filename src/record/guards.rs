//! What was found in a change before it was pushed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Extra;
use crate::clock::Timestamp;

/// What the guards said of one commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Guarded {
    /// The commit.
    pub sha: String,
    /// When.
    pub at: Timestamp,
    /// Whether it is kept back until a person has decided.
    #[serde(default)]
    pub withheld: bool,
    /// What was found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// The marks of findings that a person has let through, of this change and of earlier ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permitted: Vec<String>,
    /// Fields cq does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// What kind of thing.
    pub kind: FindingKind,
    /// Whether it keeps the change back; else the pull request names it.
    #[serde(default)]
    pub refused: bool,
    /// The path, as it may be shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The line in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The commit that brought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// What it is, for people; never a secret.
    pub says: String,
    /// What it is known by again: of a secret the fingerprint that allows it, else what a person's word is about.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mark: String,
    /// Fields cq does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Kinds of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// More than a change may be.
    Size,
    /// A path that decides what runs, or who has a say.
    Protected,
    /// A link that leads out of the tree.
    OutsideLink,
    /// Another repository in this one.
    Submodule,
    /// A secret.
    Secret,
}
