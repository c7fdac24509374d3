//! What follows a run, besides the checks: pull request, feedback, history.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Extra, Status};
use crate::clock::Timestamp;

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
    /// CI's verdict, as last seen: `passed`, `failed`, `pending`, `none` or `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<String>,
    /// The reviewers' verdict, as last seen: `approved` or `changes-requested`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<String>,
    /// Fields cq does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// How far a branch is on its way to its pull request. Written before each step, so that whoever comes after a crash
/// goes on from there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Delivery {
    /// The branch that is pushed.
    pub branch: String,
    /// The commit that is pushed.
    pub sha: String,
    /// What the remote's branch was before: only that is replaced. Absent where there was no such branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The step that was begun last.
    pub step: DeliveryStep,
    /// When it was begun.
    pub at: Timestamp,
    /// Fields cq does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The steps of a delivery, in their order. Each may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryStep {
    /// The branch goes to the remote.
    Push,
    /// The pull request is opened, or the one that is there is adopted.
    Open,
    /// Labels, assignees, reviewers, and the comment on the issue.
    Dress,
    /// Nothing is left to do.
    Done,
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
    /// Fields cq does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What an agent asks of people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Question {
    /// What it asks; untrusted text.
    pub text: String,
    /// When it asked.
    pub at: Timestamp,
    /// The address of the comment that cq-monitor put it into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// When somebody answered whose word counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<Timestamp>,
    /// Fields cq does not know.
    #[serde(flatten)]
    pub extra: Extra,
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
    /// The change was merged, and taken back.
    Revert,
    /// An answer to the agent's question.
    Answer,
    /// How the last run ended, where that was not well.
    Run,
    /// What keeps changes from being pushed.
    Guard,
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
    /// Fields cq does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
