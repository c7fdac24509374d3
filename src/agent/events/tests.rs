//! Every recorded run (tests/data/agents), read from its first line to its last.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::*;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/agents")
}

fn parser_of(client: &str) -> Parser {
    match client {
        "codex" => Parser::Codex,
        "gemini" => Parser::Gemini,
        "opencode" => Parser::Opencode,
        _ => Parser::Claude,
    }
}

/// What a reader makes of a whole output.
#[derive(Debug, Default)]
struct Heard {
    lines: Vec<String>,
    session_id: Option<String>,
    last: Option<Final>,
    so_far: Progress,
}

fn hear(parser: Parser, output: &[u8]) -> Heard {
    let (mut reader, mut heard) = (Reader::new(parser), Heard::default());
    for line in output.split(|byte| *byte == b'\n') {
        let said = reader.read(line);
        heard.lines.extend(said.lines);
        heard.session_id = said.session_id.or(heard.session_id);
        heard.last = said.end.or(heard.last);
    }
    heard.lines.extend(reader.finish());
    heard.so_far = reader.so_far().clone();
    heard
}

fn recorded(case: &str) -> Heard {
    let client = case.split_once('/').unwrap().0;
    hear(parser_of(client), &fs::read(folder().join(format!("{case}.jsonl"))).unwrap())
}

/// A case; then of its final word: kind, whether it is an error, the API's status, turns, input tokens, US dollars.
type Case = (&'static str, Option<(&'static str, bool, Option<u16>, u64, Option<u64>, Option<f64>)>);

#[expect(clippy::unreadable_literal, reason = "as it was recorded")]
const RECORDED: [Case; 37] = [
    ("claude-2.1.197/background_task_killed", Some(("success", false, None, 3, Some(3900), Some(0.0265)))),
    ("claude-2.1.197/error_401", Some(("success", true, Some(401), 1, Some(0), Some(0.0)))),
    (
        "claude-2.1.197/kill_int_tool",
        Some(("error_during_execution", true, None, 4, Some(2700), Some(0.0185))),
    ),
    ("claude-2.1.197/kill_term_tool", None),
    ("claude-2.1.197/max_turns", Some(("error_max_turns", true, None, 4, Some(300000), Some(2.25)))),
    ("claude-2.1.197/success", Some(("success", false, None, 3, Some(5100), Some(0.0325)))),
    (
        "claude-2.1.330/background_task_two_results",
        Some(("success", false, None, 4, Some(5100), Some(0.0276))),
    ),
    ("claude-2.1.330/big_output", Some(("success", false, None, 21, Some(25200), Some(0.1344)))),
    ("claude-2.1.330/error_400_credit", Some(("success", true, Some(400), 1, Some(0), Some(0.0)))),
    ("claude-2.1.330/error_401", Some(("success", true, Some(401), 1, Some(0), Some(0.0)))),
    ("claude-2.1.330/error_404_model", Some(("success", true, Some(404), 1, Some(0), Some(0.0)))),
    ("claude-2.1.330/error_429", Some(("success", true, Some(429), 1, Some(0), Some(0.0)))),
    ("claude-2.1.330/error_429_retry_after_600", Some(("success", true, Some(429), 1, Some(0), Some(0.0)))),
    ("claude-2.1.330/error_529", Some(("success", true, Some(529), 1, Some(0), Some(0.0)))),
    ("claude-2.1.330/error_after_work", Some(("success", true, Some(500), 2, Some(1500), Some(0.0084)))),
    ("claude-2.1.330/error_then_ok", Some(("success", false, None, 3, Some(5100), Some(0.0255)))),
    (
        "claude-2.1.330/kill_int_api",
        Some(("error_during_execution", true, None, 3, Some(1500), Some(0.0084))),
    ),
    (
        "claude-2.1.330/kill_int_tool",
        Some(("error_during_execution", true, None, 4, Some(2700), Some(0.0148))),
    ),
    ("claude-2.1.330/kill_kill_tool", None),
    ("claude-2.1.330/kill_term_api", None),
    ("claude-2.1.330/kill_term_tool", None),
    ("claude-2.1.330/leaves_daemon", Some(("success", false, None, 3, Some(3900), Some(0.0212)))),
    ("claude-2.1.330/max_budget", Some(("error_max_budget_usd", true, None, 2, Some(100000), Some(1.2)))),
    ("claude-2.1.330/max_turns", Some(("error_max_turns", true, None, 4, Some(300000), Some(1.8)))),
    ("claude-2.1.330/permission_denied", Some(("success", false, None, 3, Some(5100), Some(0.0255)))),
    ("claude-2.1.330/resume_unknown", Some(("error_during_execution", true, None, 0, Some(0), Some(0.0)))),
    ("claude-2.1.330/says_done_does_nothing", Some(("success", false, None, 1, Some(1200), Some(0.0064)))),
    ("claude-2.1.330/success", Some(("success", false, None, 3, Some(5100), Some(0.0255)))),
    ("claude-2.1.330/uncommitted", Some(("success", false, None, 2, Some(2700), Some(0.0148)))),
    ("claude-2.1.330/weird_text", Some(("success", false, None, 1, Some(1200), Some(0.0064)))),
    ("claude-2.1.330/writes_outside_denied", Some(("success", false, None, 2, Some(2400), Some(0.0128)))),
    ("codex/error_400", Some(("turn.failed", true, None, 1, None, None))),
    ("codex/success", Some(("success", false, None, 1, Some(3600), None))),
    ("gemini/error_400", Some(("unknown", true, Some(400), 0, Some(0), None))),
    ("gemini/success", Some(("success", false, None, 3, Some(3600), None))),
    ("opencode/error_400", Some(("APIError", true, Some(400), 0, None, None))),
    ("opencode/success", Some(("stop", false, None, 3, Some(3600), Some(0.0144)))),
];

#[test]
fn every_recorded_run_is_understood() {
    for (case, expected) in RECORDED {
        let heard = recorded(case);
        assert!(heard.session_id.is_some(), "{case}");
        assert!(!heard.lines.is_empty(), "{case}");
        let last = heard.last.as_ref();
        let turns = last.and_then(|last| last.num_turns).unwrap_or_default();
        let input = last.and_then(Final::tokens).map(|tokens| tokens.input);
        // Sums of doubles: a hundredth of a cent is exact enough.
        let cost = last.and_then(|last| last.total_cost_usd).map(|cost| (cost * 1e4).round() / 1e4);
        let found = last
            .map(|last| (last.subtype.as_str(), last.is_error, last.api_error_status, turns, input, cost));
        assert_eq!(found, expected, "{case}");
    }
}

#[test]
fn no_recorded_run_is_left_out() {
    let mut found = BTreeSet::new();
    for client in fs::read_dir(folder()).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        for case in fs::read_dir(client.path()).unwrap().flatten() {
            let (client, case) = (client.file_name(), case.path());
            found.insert(format!(
                "{}/{}",
                client.to_str().unwrap(),
                case.file_stem().unwrap().to_str().unwrap()
            ));
        }
    }
    assert_eq!(found, RECORDED.iter().map(|(case, _)| (*case).to_owned()).collect());
}

/// Summing up what is cumulative would count it twice, and the other way round runs would be forgotten.
#[test]
fn what_counts_from_the_sessions_beginning_is_known() {
    for (case, _) in RECORDED {
        let Some(last) = recorded(case).last else { continue };
        let newer = case.starts_with("claude-2.1.330/") && case != "claude-2.1.330/resume_unknown";
        assert_eq!(last.cost_is_cumulative, newer, "{case}");
        assert_eq!(last.tokens_are_cumulative, case == "codex/success", "{case}");
    }
}

#[test]
fn the_same_work_reads_alike_whoever_did_it() {
    let commit = "git add -A && git commit -m 'Fix #7: scripted change'";
    let cases = [
        (
            "claude-2.1.330/success",
            vec![
                "session started, model claude-opus-5-5".to_owned(),
                "I will write the fix for issue #7.".to_owned(),
                "> Write /w/fix-7.txt".to_owned(),
                "Committing.".to_owned(),
                format!("> Bash {commit}"),
                "Fixed issue #7: added fix-7.txt and committed it.".to_owned(),
                "done: Fixed issue #7: added fix-7.txt and committed it.".to_owned(),
            ],
        ),
        (
            "codex/success",
            vec![
                "session started".to_owned(),
                "< error: Model metadata for `gpt-5-codex` not found. Defaulting to fallback metadata; this can \
                 degrade performance and cause issues."
                    .to_owned(),
                "I will write the file.".to_owned(),
                "> shell /bin/bash -lc 'echo fixed > fix-7.txt'".to_owned(),
                "Committing.".to_owned(),
                format!("> shell /bin/bash -lc \"{commit}\""),
                "Done.".to_owned(),
                "done: Done.".to_owned(),
            ],
        ),
        (
            "gemini/success",
            vec![
                "session started, model gemini-2.5-flash".to_owned(),
                "I will write the file.".to_owned(),
                "> run_shell_command echo fixed > fix-7.txt".to_owned(),
                "Committing.".to_owned(),
                format!("> run_shell_command {commit}"),
                "Done.".to_owned(),
                "done: Done.".to_owned(),
            ],
        ),
        (
            "opencode/success",
            vec![
                "I will write the file.".to_owned(),
                "> bash echo fixed > fix-7.txt".to_owned(),
                "Committing.".to_owned(),
                format!("> bash {commit}"),
                "Done.".to_owned(),
                "done: Done.".to_owned(),
            ],
        ),
    ];
    for (case, lines) in cases {
        assert_eq!(recorded(case).lines, lines, "{case}");
    }
    for client in ["codex", "gemini", "opencode"] {
        let said = recorded(&format!("{client}/error_400")).last.unwrap().text();
        assert!(said.starts_with("Your credit balance is too low"), "{client}: {said}");
    }
}

#[test]
fn turns_are_known_before_the_end() {
    for (case, turns) in [("claude-2.1.330/kill_kill_tool", 2), ("claude-2.1.330/kill_term_api", 1)] {
        assert_eq!(recorded(case).so_far.turns, Some(turns), "{case}");
    }
    let steps = fs::read_to_string(folder().join("opencode/success.jsonl")).unwrap();
    let first: String = steps.lines().take(4).fold(String::new(), |all, line| all + line + "\n");
    let heard = hear(Parser::Opencode, first.as_bytes());
    let so_far = heard.so_far;
    assert_eq!((heard.last, so_far.turns, so_far.cost_usd), (None, Some(1), Some(0.0048)));
    assert_eq!(so_far.tokens.unwrap().output, 80);
}

#[test]
fn the_model_is_known_where_the_client_names_it() {
    let cases = [
        ("claude-2.1.330/success", Some("claude-opus-5-5")),
        ("claude-2.1.330/kill_term_api", Some("claude-opus-5-5")),
        ("gemini/success", Some("gemini-2.5-flash")),
        ("codex/success", None),
    ];
    for (case, model) in cases {
        assert_eq!(recorded(case).so_far.model.as_deref(), model, "{case}");
    }
}

#[test]
fn events_are_told_briefly_and_unknown_ones_not_at_all() {
    use Parser::{Claude, Codex, ExitCode, Gemini, Opencode};
    let cases: [(Parser, &str, &[&str]); 24] = [
        (
            Claude,
            r#"{"type":"system","subtype":"init","session_id":"s","model":"m"}"#,
            &["session started, model m"],
        ),
        (
            Claude,
            r#"{"type":"assistant","message":{"content":[{"type":"text","text":"Hi\u001b[1m"}]}}"#,
            &["Hi\\e[1m"],
        ),
        (
            Claude,
            r#"{"type":"assistant","message":{"content":[{"type":"tool_use","name":"Bash","input":{"command":"ls"}}]}}"#,
            &["> Bash ls"],
        ),
        (Claude, r#"{"type":"user","message":{"content":[{"type":"tool_result","content":"fine"}]}}"#, &[]),
        (
            Claude,
            r#"{"type":"user","message":{"content":[{"type":"tool_result","content":"bad","is_error":true}]}}"#,
            &["< error: bad"],
        ),
        (Claude, r#"{"type":"brand_new","x":1}"#, &[]),
        (Claude, r#"{"type":7}"#, &[]),
        (Claude, "not json", &["not json"]),
        (Claude, "[1,2]", &["[1,2]"]),
        (Claude, "", &[]),
        (Codex, r#"{"type":"error","message":"Reconnecting... 1/5"}"#, &["< error: Reconnecting... 1/5"]),
        (
            Codex,
            r#"{"type":"item.completed","item":{"type":"command_execution","exit_code":2,"aggregated_output":"no\n"}}"#,
            &["< error: exit status 2: no"],
        ),
        (
            Codex,
            r#"{"type":"item.completed","item":{"type":"file_change","changes":[{"path":"a"},{"path":"b"}]}}"#,
            &["> edit a, b"],
        ),
        (Codex, r#"{"type":"item.completed","item":{"type":"reasoning","text":"hm"}}"#, &[]),
        (Codex, r#"{"type":"brand.new"}"#, &[]),
        (Gemini, r#"{"type":"tool_result","status":"error","output":"denied"}"#, &["< error: denied"]),
        (Gemini, r#"{"type":"error","severity":"warning","message":"a loop"}"#, &["< error: a loop"]),
        (Gemini, r#"{"type":"message","role":"assistant","delta":true,"content":"one\ntwo"}"#, &["one"]),
        (Gemini, r#"{"type":"brand_new"}"#, &[]),
        (
            Opencode,
            r#"{"type":"tool_use","part":{"tool":"edit","state":{"status":"error","input":{"filePath":"a"},"error":"no"}}}"#,
            &["> edit a", "< error: no"],
        ),
        (Opencode, r#"{"type":"step_finish","part":{"reason":"tool-calls"}}"#, &[]),
        (
            Opencode,
            r#"{"type":"step_finish","part":{"reason":"length"}}"#,
            &["error: the model stopped: length"],
        ),
        (Opencode, r#"{"type":"brand_new"}"#, &[]),
        (ExitCode, r#"{"type":"result"}"#, &[r#"{"type":"result"}"#]),
    ];
    for (parser, line, expected) in cases {
        assert_eq!(Reader::new(parser).read(line.as_bytes()).lines, expected, "{parser:?} {line}");
    }
    for parser in [Claude, Codex, Gemini, Opencode, ExitCode] {
        assert_eq!(Reader::new(parser).read(b"\xff\xfe").lines, ["\u{fffd}\u{fffd}"]);
    }
    assert_eq!(Reader::new(ExitCode).read(br#"{"type":"result"}"#).end, None);
}

#[test]
fn pieces_of_a_message_are_one_message() {
    let piece =
        |text: &str| serde_json::json!({"type":"message","role":"assistant","delta":true,"content":text});
    let output = [piece("NEEDS-"), piece("INFO: which\nof "), piece("the two?")];
    let output = output.map(|event| event.to_string()).join("\n");
    let heard = hear(Parser::Gemini, output.as_bytes());
    assert_eq!(heard.lines, ["NEEDS-INFO: which", "of the two?"]);
    let ended = output + "\n{\"type\":\"result\",\"status\":\"success\"}";
    let last = hear(Parser::Gemini, ended.as_bytes()).last.unwrap();
    assert_eq!((last.text().as_str(), last.num_turns), ("NEEDS-INFO: which\nof the two?", Some(1)));
}

#[test]
fn a_refusals_status_is_found() {
    let cases = [
        ("unexpected status 401 Unauthorized: no key", Some(401)),
        ("exceeded retry limit, last status: 429 Too Many Requests", Some(429)),
        (r#"[API Error: {"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}]"#, Some(503)),
        ("You've hit your usage limit. Try again in 3 days.", Some(429)),
        ("You exceeded your current quota", Some(429)),
        (r#"{"error":{"code":null,"message":"too low"}}"#, None),
        ("exit status 1", None),
        ("status ü", None),
        ("", None),
    ];
    for (message, expected) in cases {
        assert_eq!(refused(message), expected, "{message}");
    }
}

#[test]
fn a_long_message_is_cut_where_a_letter_ends() {
    let text = "ü".repeat(LONGEST_MESSAGE);
    let event =
        serde_json::json!({"type": "item.completed", "item": {"type": "agent_message", "text": text}});
    let output = format!("{event}\n{}", r#"{"type":"turn.completed"}"#);
    let said = hear(Parser::Codex, output.as_bytes()).last.unwrap().text();
    assert_eq!(said.len(), LONGEST_MESSAGE);
}
