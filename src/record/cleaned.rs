//! What cq-cleanup leaves in the record.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Extra;
use crate::clock::Timestamp;

/// What became of a branch on GitHub after its pull request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cleaned {
    /// The pull request.
    pub pull_request: u64,
    /// The branch.
    pub remote_branch: RemoteBranch,
    /// When that was seen.
    pub at: Timestamp,
    /// Fields cq does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Whether a branch is still on GitHub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RemoteBranch {
    /// cq deleted it.
    Deleted,
    /// Somebody else had deleted it.
    Gone,
    /// It is left: it does not end in what cq pushed, or GitHub did not let it go.
    Kept,
}

impl RemoteBranch {
    /// As the record has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Gone => "gone",
            Self::Kept => "kept",
        }
    }
}
