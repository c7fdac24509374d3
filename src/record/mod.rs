//! The record: one JSON object per issue in flight, the same on pipes, in the state directory and in
//! every API. It grows as it flows. Nothing here does I/O.
//!
//! Fields that cq does not know are kept, at every level, and passed on (`extra`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::error::{Error, Kind, Result};

pub mod eligibility;
pub mod lifecycle;
pub mod retry;

/// The version of the record that this cq writes, and the newest that it reads.
pub const VERSION: u32 = 1;

/// Fields cq does not know, passed on untouched.
pub type Extra = Map<String, Value>;

/// One issue on its way to a pull request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// The record's version.
    pub cq: u32,
    /// `owner/name`.
    pub repo: String,
    /// The issue's number.
    pub number: u64,
    /// What GitHub says of the issue.
    pub issue: Issue,
    /// 0 is the most urgent; 2 where no label says otherwise.
    #[serde(default = "default_priority")]
    pub priority: u8,
    /// Issues that must be closed first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocked_by: Vec<u64>,
    /// Whether the issue's text may reach an agent, and who says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<Trust>,
    /// Why the issue is not eligible (`cq-fetch --all`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// Where the issue stands; absent until it is claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// How the last attempt ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Who works on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// The agent's last run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
    /// What the checks said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gates: Option<Gates>,
    /// The pull request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<PullRequest>,
    /// What the next attempt should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub feedback: Vec<Feedback>,
    /// Every change of status, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Transition>,
    /// Fields cq does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The issue as GitHub describes it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Issue {
    /// Untrusted text.
    pub title: String,
    /// Untrusted text; empty where GitHub has none.
    #[serde(default)]
    pub body: String,
    /// Label names.
    #[serde(default)]
    pub labels: Vec<String>,
    /// The login of who opened it; empty for a deleted account.
    #[serde(default)]
    pub author: String,
    /// GitHub's `author_association`, upper case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author_association: Option<String>,
    /// The issue's web page.
    #[serde(default)]
    pub url: String,
    /// `open` or `closed`.
    #[serde(default = "default_state")]
    pub state: String,
    /// Logins.
    #[serde(default)]
    pub assignees: Vec<String>,
    /// When it was opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When anything about it last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
    /// Fields cq does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

fn default_priority() -> u8 {
    eligibility::DEFAULT_PRIORITY
}

fn default_state() -> String {
    "open".to_owned()
}

/// Whether an issue's text may reach an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trust {
    /// The decision.
    pub verdict: Verdict,
    /// Who approved the text: a login, or `operator` for records that a person handed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_at: Option<Timestamp>,
    /// SHA-256 of the approved text, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_sha256: Option<String>,
    /// What the decision rests on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

/// The trust decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// May reach an agent.
    Trusted,
    /// May not.
    Untrusted,
}

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
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Success,
        Self::NoChange,
        Self::NeedsInfo,
        Self::GateFailed,
        Self::AgentError,
        Self::TimedOut,
        Self::Stalled,
        Self::Crashed,
        Self::UsageLimit,
        Self::Auth,
        Self::OverBudget,
        Self::Tampered,
        Self::LostClaim,
        Self::Cancelled,
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
            Self::UsageLimit => "usage-limit",
            Self::Auth => "auth",
            Self::OverBudget => "over-budget",
            Self::Tampered => "tampered",
            Self::LostClaim => "lost-claim",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Who works on an issue, on which branch, since when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Claim {
    /// Proves to later commands that they speak for this claim.
    pub token: String,
    /// The machine that holds it.
    pub host: String,
    /// `claude-instance-N`.
    pub instance: String,
    /// `claude/issue-<number>-<UTC yyyymmddhhmmss>`, chosen once; every retry keeps it.
    pub branch: String,
    /// The branch it starts from and goes back to.
    pub base: String,
    /// The base commit, once the workspace exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_sha: Option<String>,
    /// 1 for the first.
    pub attempt: u32,
    /// When the issue was claimed.
    pub claimed_at: Timestamp,
    /// Until when nobody may doubt that somebody works on it.
    pub lease_expires_at: Timestamp,
    /// Not to be started before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Fields cq does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
}

/// What the checks said of one tree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Gates {
    /// The git tree that was checked.
    pub tree: String,
    /// All checks together.
    pub verdict: GateVerdict,
    /// One by one.
    #[serde(default)]
    pub checks: Vec<Check>,
}

/// What checks can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GateVerdict {
    /// Green.
    Passed,
    /// Red.
    Failed,
    /// Could not run: missing (126, 127), ended by a signal, or out of time. Never called red.
    Unevaluated,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// Its name in the configuration.
    pub name: String,
    /// Its argument vector.
    pub command: Vec<String>,
    /// What it said.
    pub verdict: GateVerdict,
    /// Its exit status; none where it could not be started or ran out of time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// How long it took.
    pub seconds: f64,
    /// Its output, redacted: a file, absolute.
    pub log: String,
}

/// The pull request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// Its web page.
    pub url: String,
    /// The commit that was pushed.
    pub head_sha: String,
    /// `open`, `closed` or `merged`.
    pub state: String,
    /// Whether it is a draft.
    #[serde(default)]
    pub draft: bool,
    /// CI's verdict, as last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<String>,
    /// The reviewers' verdict, as last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<String>,
    /// Fields cq does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Something the next attempt should know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Feedback {
    /// Who says it.
    pub from: FeedbackSource,
    /// What is said; untrusted text.
    pub text: String,
    /// When.
    pub at: Timestamp,
}

/// Who gives feedback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FeedbackSource {
    /// cq's own checks.
    Gate,
    /// The repository's CI.
    Ci,
    /// A reviewer.
    Review,
    /// The base branch moved.
    Conflict,
}

/// A change of status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Transition {
    /// When.
    pub at: Timestamp,
    /// From; absent for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Status>,
    /// To.
    pub to: Status,
    /// The command that changed it.
    pub by: String,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

impl Record {
    /// A record as `cq-fetch` makes it.
    pub fn new(repo: impl Into<String>, number: u64, issue: Issue) -> Self {
        Self {
            cq: VERSION,
            repo: repo.into(),
            number,
            issue,
            priority: eligibility::DEFAULT_PRIORITY,
            blocked_by: Vec::new(),
            trust: None,
            reasons: Vec::new(),
            status: None,
            outcome: None,
            claim: None,
            run: None,
            gates: None,
            pull_request: None,
            feedback: Vec::new(),
            history: Vec::new(),
            extra: Extra::new(),
        }
    }

    /// Reads one record. A version this cq does not know is refused, not guessed at.
    pub fn from_json(text: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            cq: u32,
        }
        match serde_json::from_str::<Self>(text) {
            Ok(record) if record.cq == VERSION => Ok(record),
            result => {
                if let Ok(Version { cq }) = serde_json::from_str(text) && cq != VERSION {
                    let message = format!("record version {cq} is not one this cq knows (it knows {VERSION})");
                    return Err(Error::new(Kind::BadInput, message).hint("install the newer cq"));
                }
                let cause = result.err().map_or_else(|| "not a record".to_owned(), |error| error.to_string());
                Err(Error::new(Kind::BadInput, cause))
            }
        }
    }

    /// The claim; an error for a record nobody has claimed.
    pub fn claimed(&self) -> Result<&Claim> {
        self.claim.as_ref().ok_or_else(|| {
            Error::new(Kind::BadInput, format!("issue #{} has no claim", self.number))
                .hint("claim it first: cq-fetch | cq-claim")
        })
    }

    /// The instance that works on it, for messages.
    pub fn instance(&self) -> &str {
        self.claim.as_ref().map_or("-", |claim| &claim.instance)
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

    #[test]
    fn unknown_fields_survive_at_every_level() {
        let text = r#"{"cq":1,"repo":"o/r","number":7,"mine":{"a":[1]},
            "issue":{"title":"t","milestone":"m1"},"priority":1,
            "claim":{"token":"t","host":"h","instance":"claude-instance-1","branch":"b","base":"main",
                     "attempt":1,"claimed_at":"2026-01-01T00:00:00Z","lease_expires_at":"2026-01-01T00:00:00Z","x":1}}"#;
        let written = serde_json::to_value(Record::from_json(text).unwrap()).unwrap();
        assert_eq!(written["mine"]["a"][0], 1);
        assert_eq!(written["issue"]["milestone"], "m1");
        assert_eq!(written["claim"]["x"], 1);
    }

    #[test]
    fn a_newer_version_is_refused_by_name() {
        let error = Record::from_json(r#"{"cq":2,"repo":"o/r","number":"seven"}"#).unwrap_err();
        assert_eq!(error.kind, Kind::BadInput);
        assert!(error.to_string().contains("version 2"), "{error}");
    }
}
