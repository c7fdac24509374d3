//! Where an issue stands, and how an attempt ended.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where an issue stands: the six states of the design document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Claimed, not started.
    Queued,
    /// An agent works on it.
    InProgress,
    /// The agent is done; the checks run.
    Testing,
    /// The pull request is open and waits for people.
    PrReady,
    /// Merged.
    Completed,
    /// A person must look at it.
    Failed,
}

impl Status {
    /// All of them, in the order of the lifecycle.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::InProgress, Self::Testing, Self::PrReady, Self::Completed, Self::Failed];

    /// The name used in JSON and on the screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InProgress => "in-progress",
            Self::Testing => "testing",
            Self::PrReady => "pr-ready",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    /// Whether it takes one of the `maxConcurrentIssues` places.
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Queued | Self::InProgress | Self::Testing)
    }

    /// Whether nothing more will happen to it by itself.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

/// How an attempt ended, decided from evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The agent said it is done, and there are commits.
    Success,
    /// The agent said it is done, and nothing changed.
    NoChange,
    /// The agent asks a question.
    NeedsInfo,
    /// A check was red.
    GateFailed,
    /// The agent ended with an error.
    AgentError,
    /// `timeoutMinutes` were over.
    TimedOut,
    /// No sign of life for too long.
    Stalled,
    /// The agent or its supervisor vanished.
    Crashed,
    /// Its processes together took more memory than they may.
    OutOfMemory,
    /// The account's usage limit is reached.
    UsageLimit,
    /// The agent could not log in.
    Auth,
    /// The budget is spent.
    OverBudget,
    /// The repository around the worktree was changed.
    Tampered,
    /// Somebody else holds the claim.
    LostClaim,
    /// Stopped by the operator.
    Cancelled,
    /// The change must not be pushed without a person's word.
    Withheld,
    /// The checks cannot judge the change before a person has mended something.
    Unevaluated,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Success,
        Self::NoChange,
        Self::NeedsInfo,
        Self::GateFailed,
        Self::AgentError,
        Self::TimedOut,
        Self::Stalled,
        Self::Crashed,
        Self::OutOfMemory,
        Self::UsageLimit,
        Self::Auth,
        Self::OverBudget,
        Self::Tampered,
        Self::LostClaim,
        Self::Cancelled,
        Self::Withheld,
        Self::Unevaluated,
    ];

    /// The name used in JSON and on the screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::NoChange => "no-change",
            Self::NeedsInfo => "needs-info",
            Self::GateFailed => "gate-failed",
            Self::AgentError => "agent-error",
            Self::TimedOut => "timed-out",
            Self::Stalled => "stalled",
            Self::Crashed => "crashed",
            Self::OutOfMemory => "out-of-memory",
            Self::UsageLimit => "usage-limit",
            Self::Auth => "auth",
            Self::OverBudget => "over-budget",
            Self::Tampered => "tampered",
            Self::LostClaim => "lost-claim",
            Self::Cancelled => "cancelled",
            Self::Withheld => "withheld",
            Self::Unevaluated => "unevaluated",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_json() {
        for status in Status::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.name());
        }
        for outcome in Outcome::ALL {
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.name());
        }
    }
}
