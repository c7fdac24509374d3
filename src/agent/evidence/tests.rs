//! Every end, as a table.

use super::*;
use serde_json::json;

fn last(is_error: bool, status: Option<u16>, text: &str) -> Option<Final> {
    of(json!({ "subtype": "success", "is_error": is_error, "api_error_status": status, "result": text }))
}

#[expect(clippy::unnecessary_wraps, reason = "it stands in a table beside None")]
fn of(result: serde_json::Value) -> Option<Final> {
    Some(serde_json::from_value(result).unwrap())
}

fn ok() -> Option<Final> {
    last(false, None, "ok")
}

#[test]
fn no_piece_of_evidence_counts_alone() {
    let claude = Parser::Claude;
    let plain = Parser::ExitCode;
    let cases = [
        (claude, Some(0), ok(), None, 2, Outcome::Success),
        (claude, Some(0), ok(), None, 0, Outcome::NoChange),
        (claude, Some(1), ok(), None, 2, Outcome::AgentError),
        (claude, Some(1), last(true, None, "boom"), None, 2, Outcome::AgentError),
        (claude, Some(0), last(true, None, ""), None, 2, Outcome::AgentError),
        (claude, Some(1), last(true, Some(401), "no"), None, 0, Outcome::Auth),
        (claude, Some(1), last(true, Some(403), "no"), None, 0, Outcome::Auth),
        (claude, Some(1), last(true, None, "Not logged in · Please run /login"), None, 0, Outcome::Auth),
        (claude, Some(1), last(true, Some(400), "Credit balance is too low"), None, 0, Outcome::Auth),
        (claude, Some(1), last(true, Some(429), "limit"), None, 0, Outcome::UsageLimit),
        (
            claude,
            Some(1),
            last(true, None, "Claude AI usage limit reached|1764000000"),
            None,
            2,
            Outcome::UsageLimit,
        ),
        (
            claude,
            Some(0),
            last(false, None, "5-hour limit reached ∙ resets 3pm"),
            None,
            2,
            Outcome::UsageLimit,
        ),
        (
            claude,
            Some(0),
            last(false, None, "The usage limit reached text is fixed"),
            None,
            2,
            Outcome::Success,
        ),
        (claude, Some(1), last(true, Some(529), "overloaded"), None, 0, Outcome::AgentError),
        (claude, Some(1), last(true, Some(404), "no such model"), None, 0, Outcome::AgentError),
        (claude, Some(1), last(true, None, "Connection error: ECONNREFUSED"), None, 0, Outcome::AgentError),
        (claude, Some(0), None, None, 2, Outcome::AgentError),
        (claude, Some(1), None, None, 2, Outcome::AgentError),
        (claude, Some(143), None, None, 2, Outcome::Crashed),
        (claude, Some(137), None, None, 2, Outcome::Crashed),
        (claude, None, None, None, 2, Outcome::Crashed),
        (claude, None, ok(), None, 1, Outcome::Success),
        (claude, Some(143), ok(), Some(Stopped::Lingered), 1, Outcome::Success),
        (claude, Some(0), last(false, None, "NEEDS-INFO: which?"), None, 0, Outcome::NeedsInfo),
        (claude, Some(0), last(false, None, "\n NEEDS-INFO:\nwhich?"), None, 3, Outcome::NeedsInfo),
        (claude, Some(143), None, Some(Stopped::TimedOut), 1, Outcome::TimedOut),
        (claude, Some(143), None, Some(Stopped::Stalled), 1, Outcome::Stalled),
        (claude, Some(137), None, Some(Stopped::OutOfMemory), 1, Outcome::OutOfMemory),
        (claude, Some(0), ok(), Some(Stopped::Tampered), 1, Outcome::Tampered),
        (claude, Some(143), None, Some(Stopped::OverBudget), 1, Outcome::OverBudget),
        (claude, Some(143), ok(), Some(Stopped::OverBudget), 0, Outcome::OverBudget),
        (claude, Some(143), ok(), Some(Stopped::OverBudget), 1, Outcome::Success),
        (claude, Some(143), None, Some(Stopped::Cancelled), 1, Outcome::Cancelled),
        (claude, Some(143), None, Some(Stopped::LostClaim), 1, Outcome::LostClaim),
        (claude, Some(143), None, Some(Stopped::Interrupted), 1, Outcome::Crashed),
        (plain, Some(0), None, None, 1, Outcome::Success),
        (plain, Some(0), None, None, 0, Outcome::NoChange),
        (plain, Some(3), None, None, 1, Outcome::AgentError),
        (plain, Some(137), None, None, 1, Outcome::Crashed),
        (plain, None, None, None, 1, Outcome::Crashed),
        (plain, Some(143), None, Some(Stopped::Stalled), 1, Outcome::Stalled),
        (plain, Some(143), None, Some(Stopped::OverBudget), 1, Outcome::OverBudget),
    ];
    for (parser, exit, last, stopped, commits, expected) in cases {
        let evidence = Evidence { exit, last, stopped, commits, ..Evidence::default() };
        assert_eq!(judge(parser, &evidence).0, expected, "{evidence:?}");
    }
}

/// The results that clients were seen to give, with the exit status and the number of commits that went with them.
#[test]
fn recorded_ends() {
    let cases = [
        (
            json!({"subtype": "error_max_turns", "is_error": true, "terminal_reason": "max_turns",
                   "errors": ["Reached maximum number of turns (3)"]}),
            (1, 0),
            (Outcome::AgentError, "it used up its turns: Reached maximum number of turns (3)"),
        ),
        (
            json!({"subtype": "error_max_budget_usd", "is_error": true, "terminal_reason": "budget_exhausted",
                   "errors": ["Reached maximum budget ($1)"]}),
            (1, 0),
            (Outcome::OverBudget, "Reached maximum budget ($1)"),
        ),
        (
            json!({"subtype": "success", "is_error": true, "terminal_reason": "prompt_too_long",
                   "api_error_status": 400, "result": "Prompt is too long"}),
            (1, 0),
            (Outcome::AgentError, "the conversation is too long: Prompt is too long"),
        ),
        // SIGINT: exit status 0.
        (
            json!({"subtype": "error_during_execution", "is_error": true, "terminal_reason": "aborted_tools",
                   "errors": ["[ede_diagnostic] result_type=user last_content_type=n/a stop_reason=tool_use"]}),
            (0, 1),
            (Outcome::Crashed, "the agent was interrupted"),
        ),
        (
            json!({"subtype": "success", "is_error": false, "terminal_reason": "completed", "result": "I could not.",
                   "permission_denials": [{"tool_name": "Write"}, {"tool_name": "Bash"}, {"tool_name": "Write"}]}),
            (0, 0),
            (Outcome::NoChange, "the agent changed nothing; it was denied Write, Bash"),
        ),
        (
            json!({"subtype": "success", "is_error": false, "terminal_reason": "completed", "result": "Done.",
                   "permission_denials": [{"tool_name": "WebFetch"}]}),
            (0, 2),
            (Outcome::Success, "2 commits"),
        ),
        (
            json!({"subtype": "error_during_execution", "is_error": true,
                   "errors": ["No conversation found with session ID: 1"]}),
            (1, 0),
            (Outcome::AgentError, "No conversation found with session ID: 1"),
        ),
    ];
    for (result, (exit, commits), (outcome, why)) in cases {
        let evidence = Evidence { exit: Some(exit), last: of(result), commits, ..Evidence::default() };
        assert_eq!(judge(Parser::Claude, &evidence), (outcome, why.to_owned()));
    }
}

#[test]
fn what_was_said_on_stderr_explains_an_end_without_a_result() {
    let cases = [
        (
            Parser::Claude,
            1,
            "error: unknown option",
            Outcome::AgentError,
            "exit status 1 without a result: error: unknown option",
        ),
        (Parser::Claude, 1, "Invalid API key", Outcome::Auth, "the agent could not log in: Invalid API key"),
        (
            Parser::Claude,
            0,
            "Invalid API key",
            Outcome::AgentError,
            "exit status 0 without a result: Invalid API key",
        ),
        (Parser::Claude, 143, "usage limit", Outcome::Crashed, "ended by signal 15 without a result"),
        // Any program may speak of limits: of a plain one only the exit status counts.
        (Parser::ExitCode, 2, "rate limit reached", Outcome::AgentError, "exit status 2: rate limit reached"),
    ];
    for (parser, exit, complaint, outcome, why) in cases {
        let complaint = Some(complaint.to_owned());
        let evidence = Evidence { exit: Some(exit), complaint, ..Evidence::default() };
        assert_eq!(judge(parser, &evidence), (outcome, why.to_owned()));
    }
}

#[test]
fn whoever_ends_a_run_may_say_more() {
    let detail = Some("hooks/pre-push is new".to_owned());
    let evidence = Evidence { stopped: Some(Stopped::Tampered), detail, ..Evidence::default() };
    let why = "the repository around the worktree was changed: hooks/pre-push is new";
    assert_eq!(judge(Parser::Claude, &evidence), (Outcome::Tampered, why.to_owned()));
}

#[test]
fn a_question_is_what_follows_the_word() {
    let cases = [
        ("NEEDS-INFO: which?", Some("which?")),
        ("  NEEDS-INFO:\n- a?\n- b?\n", Some("- a?\n- b?")),
        ("NEEDS-INFO:", Some("")),
        ("I write NEEDS-INFO: which?", None),
        ("", None),
    ];
    for (said, expected) in cases {
        assert_eq!(question(said), expected, "{said}");
    }
}
