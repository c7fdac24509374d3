//! What an agent's run leaves in the record.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Extra;
use crate::clock::Timestamp;

/// A process that cannot be mistaken for a later one with the same number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Owner {
    /// The machine's name.
    pub host: String,
    /// The kernel's boot id: another one means that the machine was started again.
    pub boot_id: String,
    /// The process id.
    pub pid: u32,
    /// The process's start, in clock ticks since boot (field 22 of `/proc/PID/stat`).
    pub started: u64,
    /// Fields cq does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One run of an agent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// The agent's process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The supervisor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supervisor: Option<Owner>,
    /// The profile that started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// When the agent was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it will be ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// The workspace folder, absolute.
    #[serde(default)]
    pub workspace: String,
    /// The redacted log, absolute.
    #[serde(default)]
    pub log: String,
    /// The worktree's administrative folder in the repository, absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_dir: Option<String>,
    /// The agent's session, chosen by cq.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The agent's exit status; 128 + n where signal n ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// Turns of the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns: Option<u64>,
    /// Tokens used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
    /// US dollars, as the agent reports them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// The agent's last sign of life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_event_at: Option<Timestamp>,
    /// The commit at the end of the branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_sha: Option<String>,
    /// Commits ahead of the base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commits: Option<u64>,
    /// The agent's last words, redacted and cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// Fields cq does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Tokens, as the agent counts them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tokens {
    /// Read.
    pub input: u64,
    /// Written.
    pub output: u64,
    /// Read from the cache.
    #[serde(default)]
    pub cache_read: u64,
    /// Put into the cache.
    #[serde(default)]
    pub cache_creation: u64,
    /// Fields cq does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
