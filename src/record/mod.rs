//! The record: one JSON object per issue in flight, the same on pipes, in the state directory and in
//! every API. It grows as it flows. Nothing here does I/O.
//!
//! Fields that cq does not know are kept, at every level, and passed on (`extra`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::error::{Error, Kind, Result};

pub mod checks;
mod cleaned;
pub mod dependencies;
pub mod eligibility;
pub mod files;
mod gates;
mod guards;
pub mod lifecycle;
pub mod merge;
pub mod mirror;
#[cfg(test)]
mod properties;
mod reference;
mod results;
pub mod retry;
pub mod review;
mod rounds;
mod run;
mod status;
pub mod trust;

pub use cleaned::{Cleaned, RemoteBranch};
pub use gates::{Check, GateVerdict, Gates, Tool};
pub use guards::{Finding, FindingKind, Guarded};
pub use reference::{Reference, Remote};
pub use results::{Delivery, DeliveryStep, Feedback, FeedbackSource, PullRequest, Question, Transition};
pub use rounds::{Heard, Revert, RevertStep, Rounds};
pub use run::{Liveness, Owner, Run, RunLimits, Tokens};
pub use status::{Outcome, Status};

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
    pub blocked_by: Vec<Reference>,
    /// Whether the issue's text may reach an agent, and who says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<Trust>,
    /// Why the issue is not eligible (`cq-fetch --all`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// Files of the base that the issue's text names (`queue.avoidOverlap`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub named_files: Vec<String>,
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
    /// What was found in the change before it was pushed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guards: Option<Guarded>,
    /// How far the branch is on its way to the pull request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// The pull request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<PullRequest>,
    /// How often the pull request has sent the agent back, and by what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounds: Option<Rounds>,
    /// How far the merged change is on its way back out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revert: Option<Revert>,
    /// US dollars that all runs at this issue cost so far, as the agents report them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent_usd: Option<f64>,
    /// What the agent asks of people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<Question>,
    /// What the next attempt should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub feedback: Vec<Feedback>,
    /// What cq-cleanup did beyond this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleaned: Option<Cleaned>,
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
    /// Comments by people who may approve issues, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub comments: Vec<IssueComment>,
    /// Fields cq does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A comment that goes with the issue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IssueComment {
    /// The login of who wrote it.
    pub author: String,
    /// Untrusted text.
    pub body: String,
    /// When it was written.
    pub created_at: Timestamp,
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
    /// Who vouches. A login may be `operator` too, so `approved_by` cannot tell.
    #[serde(default)]
    pub source: Source,
    /// Who approved the text: a login, or `operator` for records that a person handed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_at: Option<Timestamp>,
    /// SHA-256 of the approved text, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_sha256: Option<String>,
    /// The labels of which one had to be set by somebody who may approve.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// What the decision rests on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// What the rendered issue does not show, and the agent will not be given, counted: `2 HTML comments`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden: Option<String>,
    /// Fields cq does not know.
    #[serde(flatten)]
    pub extra: Extra,
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

/// Who vouches for an issue's text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// People on GitHub, as far as its API shows; also where a record does not say, because it claims less.
    #[default]
    GitHub,
    /// Whoever ran the command on this machine.
    Operator,
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
    /// The newest commit of the base that the branch has in it, once the workspace exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_sha: Option<String>,
    /// SHA-256 of the text that was approved: what the agent gets is this text and no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_sha256: Option<String>,
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
            named_files: Vec::new(),
            status: None,
            outcome: None,
            claim: None,
            run: None,
            gates: None,
            guards: None,
            delivery: None,
            pull_request: None,
            rounds: None,
            revert: None,
            spent_usd: None,
            question: None,
            feedback: Vec::new(),
            cleaned: None,
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
                if let Ok(Version { cq }) = serde_json::from_str(text)
                    && cq != VERSION
                {
                    let message =
                        format!("record version {cq} is not one this cq knows (it knows {VERSION})");
                    return Err(Error::new(Kind::BadInput, message).hint("install the newer cq"));
                }
                let cause = match result {
                    Err(error) if error.is_data() => {
                        return Err(Error::because(Kind::BadInput, error, "not a record")
                            .hint("cq-fetch --from - makes records of issues"));
                    }
                    Err(error) => format!("not JSON: {error}"),
                    Ok(_) => "not a record".to_owned(),
                };
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

    /// The same without what the work of a claim left behind, from its run to its pull request. What it cost, what was
    /// said and what happened stays.
    #[must_use]
    pub fn without_work(self) -> Self {
        Self {
            outcome: None,
            run: None,
            gates: None,
            guards: None,
            delivery: None,
            pull_request: None,
            rounds: None,
            question: None,
            ..self
        }
    }

    /// What it waits for an answer to.
    pub fn open_question(&self) -> Option<&Question> {
        let waits = self.status == Some(Status::Failed) && self.outcome == Some(Outcome::NeedsInfo);
        self.question.as_ref().filter(|question| waits && question.answered_at.is_none())
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
