//! How a run ended, decided from evidence: the last result, the exit status, the commits, and what cq itself did.
//!
//! None of them alone: Claude Code was seen to say `success` for an API error, to exit 0 after SIGINT, and to
//! exit 0 having done nothing.

use super::events::Final;
use crate::config::Parser;
use crate::record::Outcome;

/// Why cq ended a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// The time was up.
    TimedOut,
    /// The operator said so.
    Cancelled,
    /// The claim was somebody else's.
    LostClaim,
    /// It had given its result and did not end.
    Lingered,
    /// The supervisor itself was told to end (a shutdown, an interrupt).
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
    /// Commits ahead of the base.
    pub commits: u64,
}

/// How an agent asks for information: its last message begins with this.
const NEEDS_INFO: &str = "NEEDS-INFO:";

/// Decides, and says why.
pub fn judge(parser: Parser, evidence: &Evidence) -> (Outcome, String) {
    match evidence.stopped {
        Some(Stopped::TimedOut) => return (Outcome::TimedOut, "the time was up".to_owned()),
        Some(Stopped::Cancelled) => return (Outcome::Cancelled, "stopped by the operator".to_owned()),
        Some(Stopped::LostClaim) => return (Outcome::LostClaim, "the claim was lost".to_owned()),
        Some(Stopped::Interrupted) => return (Outcome::Crashed, "interrupted".to_owned()),
        Some(Stopped::Lingered) | None => {}
    }
    let lingered = evidence.stopped == Some(Stopped::Lingered);
    match parser {
        Parser::ExitCode => judge_exit(evidence),
        Parser::Claude | Parser::Codex | Parser::Gemini | Parser::Opencode => {
            judge_claude(evidence, lingered)
        }
    }
}

fn judge_exit(evidence: &Evidence) -> (Outcome, String) {
    match evidence.exit {
        None => (Outcome::Crashed, "nobody saw its end".to_owned()),
        Some(0) => done(evidence.commits),
        Some(exit @ 129..) => (Outcome::Crashed, format!("ended by signal {}", exit - 128)),
        Some(exit) => (Outcome::AgentError, format!("exit status {exit}")),
    }
}

fn judge_claude(evidence: &Evidence, lingered: bool) -> (Outcome, String) {
    let Some(last) = &evidence.last else {
        return match evidence.exit {
            Some(exit @ 129..) => {
                (Outcome::Crashed, format!("ended by signal {} without a result", exit - 128))
            }
            Some(exit) => (Outcome::AgentError, format!("exit status {exit} without a result")),
            None => (Outcome::Crashed, "vanished without a result".to_owned()),
        };
    };
    let said = last.text();
    let said = said.lines().next().unwrap_or_default();
    if last.is_error {
        return match last.api_error_status {
            Some(401 | 403) => (Outcome::Auth, format!("the agent could not log in: {said}")),
            Some(429) => (Outcome::UsageLimit, format!("usage limit: {said}")),
            _ if last.subtype == "error_max_budget_usd" => (Outcome::OverBudget, said.to_owned()),
            _ if said.contains("/login") || said.starts_with("Credit balance") => {
                (Outcome::Auth, said.to_owned())
            }
            _ => (Outcome::AgentError, if said.is_empty() { last.subtype.clone() } else { said.to_owned() }),
        };
    }
    if last.text().trim_start().starts_with(NEEDS_INFO) {
        return (Outcome::NeedsInfo, said.to_owned());
    }
    match evidence.exit {
        // A supervisor that died did not see the exit; the result and the commits are evidence enough.
        Some(0) | None => done(evidence.commits),
        Some(_) if lingered => done(evidence.commits),
        Some(exit) => (Outcome::AgentError, format!("exit status {exit} after its result")),
    }
}

fn done(commits: u64) -> (Outcome, String) {
    match commits {
        0 => (Outcome::NoChange, "the agent changed nothing".to_owned()),
        1 => (Outcome::Success, "1 commit".to_owned()),
        more => (Outcome::Success, format!("{more} commits")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "it stands in the table beside None")]
    fn last(is_error: bool, status: Option<u16>, text: &str) -> Option<Final> {
        Some(Final {
            subtype: "success".into(),
            is_error,
            api_error_status: status,
            result: Some(text.into()),
            ..Final::default()
        })
    }

    #[test]
    fn no_piece_of_evidence_counts_alone() {
        let claude = Parser::Claude;
        let plain = Parser::ExitCode;
        let cases = [
            (claude, Some(0), last(false, None, "ok"), None, 2, Outcome::Success),
            (claude, Some(0), last(false, None, "ok"), None, 0, Outcome::NoChange),
            (claude, Some(1), last(false, None, "ok"), None, 2, Outcome::AgentError),
            (claude, Some(1), last(true, None, "boom"), None, 2, Outcome::AgentError),
            (claude, Some(0), last(true, None, ""), None, 2, Outcome::AgentError),
            (claude, Some(1), last(true, Some(401), "no"), None, 0, Outcome::Auth),
            (claude, Some(1), last(true, None, "Not logged in · Please run /login"), None, 0, Outcome::Auth),
            (claude, Some(1), last(true, None, "Credit balance is too low"), None, 0, Outcome::Auth),
            (claude, Some(1), last(true, Some(429), "limit"), None, 0, Outcome::UsageLimit),
            (claude, Some(1), last(true, Some(529), "overloaded"), None, 0, Outcome::AgentError),
            (claude, Some(0), None, None, 2, Outcome::AgentError),
            (claude, Some(143), None, None, 2, Outcome::Crashed),
            (claude, None, None, None, 2, Outcome::Crashed),
            (claude, None, last(false, None, "ok"), None, 1, Outcome::Success),
            (claude, Some(143), last(false, None, "ok"), Some(Stopped::Lingered), 1, Outcome::Success),
            (claude, Some(143), None, Some(Stopped::TimedOut), 1, Outcome::TimedOut),
            (claude, Some(0), last(false, None, "NEEDS-INFO: which?"), None, 0, Outcome::NeedsInfo),
            (claude, Some(143), None, Some(Stopped::Cancelled), 1, Outcome::Cancelled),
            (claude, Some(143), None, Some(Stopped::LostClaim), 1, Outcome::LostClaim),
            (plain, Some(0), None, None, 1, Outcome::Success),
            (plain, Some(0), None, None, 0, Outcome::NoChange),
            (plain, Some(3), None, None, 1, Outcome::AgentError),
            (plain, Some(137), None, None, 1, Outcome::Crashed),
            (plain, None, None, None, 1, Outcome::Crashed),
        ];
        for (parser, exit, last, stopped, commits, expected) in cases {
            let evidence = Evidence { exit, last, stopped, commits };
            assert_eq!(judge(parser, &evidence).0, expected, "{evidence:?}");
        }
    }
}
