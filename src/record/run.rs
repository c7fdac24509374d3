//! What an agent's run leaves in the record.

use std::time::Duration;

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
    /// The model: the one that was asked for, then the one that the agent says it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// When the agent was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it will be ended, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// The same in milliseconds since the machine was started, suspend counted: what counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_since_boot_ms: Option<u64>,
    /// Whether it seems to be alive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liveness: Option<Liveness>,
    /// Since when nothing was seen of it, where `liveness` is `uncertain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_since: Option<Timestamp>,
    /// What it may use, and who sees to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<RunLimits>,
    /// The sandbox it is in: `bubblewrap` or `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// How many pieces of feedback there were when it began, without how runs ended: it was told of them, or had heard
    /// them before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<u32>,
    /// Whether it went on with an earlier run's session.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resumed: bool,
    /// Whether the next run can go on with this one's session: the agent has said something in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resumable: bool,
    /// The most memory its processes took together, in bytes: as the kernel counts it, or as a watchdog saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_peak_bytes: Option<u64>,
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
    /// US dollars that this run cost, as the agent reports them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// What its session had cost when it went on with it, in US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_before_usd: Option<f64>,
    /// What its session has cost in all, in US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_cost_usd: Option<f64>,
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

impl Run {
    /// When it will be ended, as time since the machine was started.
    pub fn deadline_since_boot(&self) -> Option<Duration> {
        self.deadline_since_boot_ms.map(Duration::from_millis)
    }
}

/// Whether a run seems to be alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Liveness {
    /// It writes events, or its processes work.
    Working,
    /// Neither was seen for a while; it is ended as stalled if that goes on.
    Uncertain,
    /// Its processes are frozen by `cq-stop --freeze`.
    Frozen,
}

/// What a run may use, and who sees to it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunLimits {
    /// `systemd-scope`, `cgroup-v2`, `cgroup-v1`, `watchdog` or `none`.
    pub mechanism: String,
    /// The control groups its processes are in, absolute; for `systemd-scope` the scope's unit comes first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Bytes of memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Processors' worth of time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<f64>,
    /// Processes and threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
    /// What of the configured limits is not in force, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lacking: Option<String>,
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
