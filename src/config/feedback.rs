//! What sends an agent back to its pull request.

use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::record::review::Bounds;

/// What sends an agent back to its pull request, and how often.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Feedback {
    /// How often red CI sends it back; 0 never does.
    pub ci_rounds: u32,
    /// How often reviews, or a conflict with the base, send it back; 0 never do.
    pub review_rounds: u32,
    /// Seconds without a new word of theirs after which reviewers count as done.
    pub quiet_seconds: u32,
    /// Whether the threads it dealt with are answered, and whoever asked for changes is asked to look again.
    pub reply: bool,
}

impl Default for Feedback {
    fn default() -> Self {
        Self { ci_rounds: 2, review_rounds: 3, quiet_seconds: 60, reply: true }
    }
}

impl Feedback {
    /// As decisions take it.
    pub fn bounds(&self) -> Bounds {
        let quiet = TimeDelta::seconds(self.quiet_seconds.into());
        Bounds { ci: self.ci_rounds, review: self.review_rounds, quiet }
    }
}
