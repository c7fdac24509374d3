//! The configuration of agents: profiles, and what their runs may use.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Text;

/// The name of an agent profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct AgentName(pub String);

impl Default for AgentName {
    fn default() -> Self {
        Self("claude".to_owned())
    }
}

/// How an agent is started and understood. What is left out of a built-in profile keeps its built-in value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Profile {
    /// The argument vector. `{session_id}` stands for the session, an argument `{options}` for what `model` and the
    /// like ask for (without one it goes to the end). Never run through a shell.
    pub command: Vec<String>,
    /// The argument vector that goes on with a session; without one every attempt is a new session. It starts the same
    /// program. A `command` of one's own needs its own.
    pub resume: Option<Vec<String>>,
    /// How the prompt is handed over.
    pub prompt: Option<PromptBy>,
    /// Which reader understands its output.
    pub parser: Option<Parser>,
    /// Where a session's id comes from.
    pub session: Option<SessionBy>,
    /// The model to ask for, where the agent lets one choose.
    pub model: Option<String>,
    /// Tools that the agent may use without being asked, in its own notation; replaces the built-in list.
    pub allowed_tools: Option<Vec<String>>,
    /// The agent's permission mode, in its own words.
    pub permission_mode: Option<String>,
    /// Turns that one run may take, where the agent can be told.
    pub max_turns: Option<u32>,
    /// US dollars that one run may cost, where the agent can be told or says what it costs.
    pub max_cost_usd: Option<f64>,
    /// Variables passed on from cq's own environment.
    pub env_pass: Vec<String>,
    /// Variables set for it.
    pub env_set: BTreeMap<String, Text>,
    /// Whether cq commits what the agent left uncommitted.
    pub commit_leftovers: Option<bool>,
}

/// How the prompt is handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PromptBy {
    /// Its stdin is the prompt's file.
    Stdin,
    /// The file's path stands for `{prompt_file}` in the argument vector; stdin is empty.
    File,
}

/// Where a session's id comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SessionBy {
    /// cq chooses it and says it in the argument vector.
    Assigned,
    /// The agent's output says it.
    Reported,
}

/// Which reader understands an agent's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Parser {
    /// Claude Code's stream-json.
    Claude,
    /// The events of `codex exec --json`.
    Codex,
    /// The events of `gemini -o stream-json`.
    Gemini,
    /// The events of `opencode run --format json`.
    Opencode,
    /// Plain output; only the exit status and the commits count.
    ExitCode,
}

/// What one instance may use, and each of its checks, and what must be free before one is started.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// Memory of an instance's processes together, in MiB; `null` is without limit.
    pub memory_megabytes: Option<u64>,
    /// Processors' worth of time, such as 1.5; `null` is without limit.
    pub cpus: Option<f64>,
    /// Processes and threads of an instance; `null` is without limit.
    pub processes: Option<u64>,
    /// Refuse to start an agent where the kernel cannot enforce these.
    pub required: bool,
    /// How they are enforced.
    pub mechanism: MechanismChoice,
    /// MiB of memory that must be free for an agent to be started.
    pub free_memory_megabytes: u64,
    /// MiB of disk, where the workspaces are, that must be free for each agent that is started.
    pub free_disk_megabytes: u64,
    /// The load average per processor above which no agent is started; `null` does not look.
    pub max_load_per_cpu: Option<f64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_megabytes: Some(4096),
            cpus: None,
            processes: Some(1024),
            required: false,
            mechanism: MechanismChoice::Auto,
            free_memory_megabytes: 1024,
            free_disk_megabytes: 2048,
            max_load_per_cpu: None,
        }
    }
}

/// How limits are enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MechanismChoice {
    /// The first of these that works here.
    #[default]
    Auto,
    /// A scope of the user's service manager.
    SystemdScope,
    /// A delegated cgroup of version 2.
    CgroupV2,
    /// A cgroup of version 1, as root.
    CgroupV1,
    /// cq looks at the processes' resident memory, and ends the run.
    Watchdog,
    /// Not at all.
    None,
}

/// US dollars that agents may cost, as they report them. `null` is without limit.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Budget {
    /// One run.
    pub per_run_usd: Option<f64>,
    /// All runs at one issue.
    pub per_issue_usd: Option<f64>,
    /// All runs of a day (UTC), those that still run counted with what they may cost.
    pub per_day_usd: Option<f64>,
}

/// What an agent in a sandbox can reach besides its worktree.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SandboxAccess {
    /// Whether it reaches the network.
    pub network: Network,
    /// More folders and files that it can read.
    pub read: Vec<Text>,
    /// More folders and files that it can write.
    pub write: Vec<Text>,
}

/// Whether there is a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sandbox {
    /// bubblewrap where it works, else none, which is said.
    #[default]
    Auto,
    /// The same as `required`.
    Bubblewrap,
    /// None.
    None,
    /// No agent is started without a sandbox that works.
    Required,
}

/// Whether the agent reaches the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// It does.
    #[default]
    Open,
    /// It has a loopback of its own and nothing else.
    None,
}
