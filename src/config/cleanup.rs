//! What becomes of finished work.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What cq-cleanup keeps, and what it removes besides workspaces.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Cleanup {
    /// Megabytes up to which a file or folder that git ignores is rescued too; a larger one is left out, and so is what
    /// its tool makes again (`node_modules`, caches). 0 rescues only empty ones.
    pub rescue_ignored_megabytes: u32,
    /// Days after which `cq-cleanup --prune` removes a rescue.
    pub rescue_days: u32,
    /// Whether the branch on GitHub is deleted too, once its pull request is merged or closed, if it still ends in the
    /// commit that cq pushed.
    pub delete_remote_branches: bool,
}

impl Default for Cleanup {
    fn default() -> Self {
        Self { rescue_ignored_megabytes: 16, rescue_days: 30, delete_remote_branches: true }
    }
}
