//! Whether, and how, cq merges.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::record::merge::Terms;

/// Whether, and how, `cq-pr --merge` merges.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Merge {
    /// Whether it merges at all.
    pub enabled: bool,
    /// People with write access who must have approved the very commit; what the base's protection asks for counts if
    /// that is more.
    pub approvals: u32,
    /// How.
    pub method: MergeMethod,
    /// Whether at least one check must have passed.
    pub require_checks: bool,
    /// Whether GitHub is asked to merge what is approved and waits for its required checks, where the repository has
    /// that (auto-merge).
    pub auto: bool,
}

impl Default for Merge {
    fn default() -> Self {
        Self { enabled: false, approvals: 1, method: MergeMethod::Squash, require_checks: true, auto: true }
    }
}

/// How a pull request is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MergeMethod {
    /// With a commit that has both as parents.
    Merge,
    /// As one commit.
    #[default]
    Squash,
    /// Commit by commit.
    Rebase,
}

impl MergeMethod {
    /// As REST writes it; GraphQL's is the same in capitals.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::Squash => "squash",
            Self::Rebase => "rebase",
        }
    }
}

impl Merge {
    /// As decisions take it.
    pub fn terms(&self) -> Terms {
        Terms { approvals: self.approvals, require_checks: self.require_checks, auto: self.auto }
    }
}
