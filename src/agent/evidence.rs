//! How a run ended, decided from evidence: the last result, the exit status, the commits, and what cq itself did.
//!
//! None of them alone: Claude Code was seen to say `success` for an API error, to exit 0 after SIGINT, and to
//! exit 0 having done nothing.

use super::events::Final;
use super::refusal::{self, Refusal};
use crate::config::Parser;
use crate::record::Outcome;

/// Why cq ended a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// The time was up.
    TimedOut,
    /// No sign of life for too long.
    Stalled,
    /// It cost more than it may.
    OverBudget,
    /// Its processes took more memory than they may; also where the kernel ended them for it.
    OutOfMemory,
    /// A program that prepares the workspace failed; no agent was started.
    SetupFailed,
    /// The repository around the worktree was changed.
    Tampered,
    /// The operator said so.
    Cancelled,
    /// The claim was somebody else's.
    LostClaim,
    /// It had given its result and did not end.
    Lingered,
    /// The supervisor itself was told to end, by a shutdown and not by a person.
    Interrupted,
}

/// What is known when a run is over.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The exit status, 128 + n for signal n; none if nobody saw the end.
    pub exit: Option<i32>,
    /// The last result.
    pub last: Option<Final>,
    /// Whether and why cq ended it.
    pub stopped: Option<Stopped>,
    /// More about that, for people, such as what was tampered with.
    pub detail: Option<String>,
    /// The last line that it wrote to stderr.
    pub complaint: Option<String>,
    /// Commits ahead of the base.
    pub commits: u64,
}

/// How an agent asks for information: its last message begins with this.
const NEEDS_INFO: &str = "NEEDS-INFO:";

/// What an agent asks, if this, its last message, is a question.
pub fn question(said: &str) -> Option<&str> {
    said.trim_start().strip_prefix(NEEDS_INFO).map(str::trim)
}

/// Decides, and says why.
pub fn judge(parser: Parser, evidence: &Evidence) -> (Outcome, String) {
    let (outcome, why) = match evidence.stopped {
        Some(Stopped::TimedOut) => match judge_itself(parser, evidence) {
            (Outcome::Success, why) => return (Outcome::Success, format!("{why}; then the time was up")),
            _ => (Outcome::TimedOut, "the time was up"),
        },
        Some(Stopped::Stalled) => (Outcome::Stalled, "it gave no sign of life for too long"),
        Some(Stopped::OutOfMemory) => (Outcome::OutOfMemory, "it took more memory than it may"),
        Some(Stopped::Tampered) => (Outcome::Tampered, "the repository around the worktree was changed"),
        Some(Stopped::SetupFailed) => (Outcome::AgentError, "the workspace could not be set up"),
        Some(Stopped::Cancelled) => (Outcome::Cancelled, "stopped by the operator"),
        Some(Stopped::LostClaim) => (Outcome::LostClaim, "the claim was lost"),
        Some(Stopped::Interrupted) => (Outcome::Crashed, "interrupted"),
        Some(Stopped::OverBudget) => match judge_itself(parser, evidence) {
            // Work that is done is not thrown away for what it cost.
            (Outcome::Success, why) => return (Outcome::Success, format!("{why}; it cost more than it may")),
            _ => (Outcome::OverBudget, "it cost more than it may"),
        },
        Some(Stopped::Lingered) | None => return judge_itself(parser, evidence),
    };
    match &evidence.detail {
        Some(detail) => (outcome, format!("{why}: {detail}")),
        None => (outcome, why.to_owned()),
    }
}

/// How it ended by itself, or would have.
fn judge_itself(parser: Parser, evidence: &Evidence) -> (Outcome, String) {
    if parser == Parser::ExitCode { judge_exit(evidence) } else { judge_result(evidence) }
}

fn judge_exit(evidence: &Evidence) -> (Outcome, String) {
    match evidence.exit {
        None => (Outcome::Crashed, "nobody saw its end".to_owned()),
        Some(0) => done(evidence, &[]),
        Some(exit @ 129..) => (Outcome::Crashed, format!("ended by signal {}", exit - 128)),
        Some(exit) => (Outcome::AgentError, complaining(evidence, format!("exit status {exit}"))),
    }
}

/// With what it said last on stderr.
fn complaining(evidence: &Evidence, why: String) -> String {
    match &evidence.complaint {
        Some(complaint) => format!("{why}: {complaint}"),
        None => why,
    }
}

fn without_result(evidence: &Evidence) -> (Outcome, String) {
    let refused = evidence.complaint.as_deref().and_then(|said| refusal::of(None, said));
    match (evidence.exit, refused) {
        (Some(1..=128), Some(refused)) => {
            of_refusal(refused, evidence.complaint.as_deref().unwrap_or_default())
        }
        (Some(exit @ 129..), _) => {
            (Outcome::Crashed, format!("ended by signal {} without a result", exit - 128))
        }
        (Some(exit), _) => {
            (Outcome::AgentError, complaining(evidence, format!("exit status {exit} without a result")))
        }
        (None, _) => (Outcome::Crashed, "vanished without a result".to_owned()),
    }
}

fn of_refusal(refused: Refusal, said: &str) -> (Outcome, String) {
    match refused {
        Refusal::Auth => (Outcome::Auth, format!("the agent could not log in: {said}")),
        Refusal::UsageLimit => (Outcome::UsageLimit, format!("usage limit: {said}")),
    }
}

fn judge_result(evidence: &Evidence) -> (Outcome, String) {
    let Some(last) = &evidence.last else { return without_result(evidence) };
    let text = last.text();
    let said = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    if last.is_error {
        return failed(last, said);
    }
    if refusal::is_limit(&text) {
        return of_refusal(Refusal::UsageLimit, said);
    }
    if question(&text).is_some() {
        return (Outcome::NeedsInfo, said.to_owned());
    }
    match evidence.exit {
        // A supervisor that died did not see the exit; the result and the commits are evidence enough. One that
        // ended the run after its result has caused the exit itself.
        Some(0) | None => done(evidence, &last.denied_tools()),
        Some(_) if evidence.stopped.is_some() => done(evidence, &last.denied_tools()),
        Some(exit) => {
            (Outcome::AgentError, complaining(evidence, format!("exit status {exit} after its result")))
        }
    }
}

/// What the client itself calls an error.
fn failed(last: &Final, said: &str) -> (Outcome, String) {
    let or = |otherwise: &str| if said.is_empty() { otherwise.to_owned() } else { said.to_owned() };
    match (last.subtype.as_str(), last.terminal_reason.as_deref()) {
        ("error_max_turns", _) | (_, Some("max_turns")) => {
            return (Outcome::AgentError, format!("it used up its turns: {}", or("no more are allowed")));
        }
        ("error_max_budget_usd", _) | (_, Some("budget_exhausted")) => {
            return (Outcome::OverBudget, or("it cost more than it may"));
        }
        (_, Some("prompt_too_long")) => {
            return (Outcome::AgentError, format!("the conversation is too long: {}", or("no more fits")));
        }
        (_, Some("aborted_streaming" | "aborted_tools")) => {
            return (Outcome::Crashed, "the agent was interrupted".to_owned());
        }
        _ => {}
    }
    match refusal::of(last.api_error_status, said) {
        Some(refused) => of_refusal(refused, said),
        None => (Outcome::AgentError, or(&last.subtype)),
    }
}

fn done(evidence: &Evidence, denied: &[String]) -> (Outcome, String) {
    match (evidence.commits, denied) {
        (0, []) => (Outcome::NoChange, "the agent changed nothing".to_owned()),
        (0, denied) => {
            (Outcome::NoChange, format!("the agent changed nothing; it was denied {}", denied.join(", ")))
        }
        (1, _) => (Outcome::Success, "1 commit".to_owned()),
        (more, _) => (Outcome::Success, format!("{more} commits")),
    }
}

#[cfg(test)]
mod tests;
