//! The rehearsal's Messages API over HTTP: the shapes that are published, good answers and refusals.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test starts programs itself, and may panic"
)]

#[path = "../support/mod.rs"]
mod support;

use std::fs;

use serde_json::{Value, json};

use support::model::Model;

const KEY: (&str, &str) = ("x-api-key", "any");
const VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");
const SIGNED: [(&str, &str); 3] = [KEY, VERSION, ("content-type", "application/json")];

fn question(stream: bool) -> Value {
    let prompt = "Issue #7.\nAttempt: 1\nWorking directory: /work/tree\n";
    json!({"model": "claude-x", "max_tokens": 64, "stream": stream, "messages": [{"role": "user", "content": prompt}]})
}

/// Event names and their data, in order; every event is `event:`, `data:`, an empty line.
fn events(text: &str) -> Vec<(String, Value)> {
    let blocks = text.strip_suffix("\n\n").unwrap().split("\n\n");
    let event = |block: &str| {
        let (name, data) = block.split_once('\n').unwrap();
        let data = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        (name.strip_prefix("event: ").unwrap().to_owned(), data)
    };
    blocks.map(event).collect()
}

/// Exactly these fields.
#[track_caller]
fn has_only(value: &Value, fields: &[&str]) {
    let mut expected = fields.to_vec();
    expected.sort_unstable();
    let mut found: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    found.sort_unstable();
    assert_eq!(found, expected, "{value}");
}

const MESSAGE: [&str; 8] =
    ["id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"];
const USAGE: [&str; 5] = [
    "input_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
    "service_tier",
];

#[test]
fn a_stream_has_the_published_events() {
    let model = Model::start(None, None);
    let (status, headers, text) =
        model.send("POST", "/v1/messages?beta=true", &SIGNED, &question(true).to_string());
    assert_eq!(status, 200, "{text}");
    assert_eq!(headers["content-type"], "text/event-stream; charset=utf-8");
    assert!(headers["request-id"].to_str().unwrap().starts_with("req_"));
    let events = events(&text);
    for (name, data) in &events {
        assert_eq!(data["type"], name.as_str());
    }
    let (_, start) = &events[0];
    has_only(start, &["type", "message"]);
    has_only(&start["message"], &MESSAGE);
    has_only(&start["message"]["usage"], &USAGE);
    assert_eq!(start["message"]["content"], json!([]));
    assert_eq!(start["message"]["stop_reason"], Value::Null);
    let mut partial = String::new();
    for (name, data) in &events[1..] {
        match name.as_str() {
            "ping" | "message_stop" => has_only(data, &["type"]),
            "content_block_start" => has_only(data, &["type", "index", "content_block"]),
            "content_block_stop" => has_only(data, &["type", "index"]),
            "content_block_delta" => {
                has_only(data, &["type", "index", "delta"]);
                match data["delta"]["type"].as_str().unwrap() {
                    "text_delta" => has_only(&data["delta"], &["type", "text"]),
                    "input_json_delta" => partial += data["delta"]["partial_json"].as_str().unwrap(),
                    other => panic!("{other}"),
                }
            }
            "message_delta" => {
                has_only(data, &["type", "delta", "usage"]);
                assert_eq!(data["delta"], json!({"stop_reason": "tool_use", "stop_sequence": null}));
                assert!(data["usage"]["output_tokens"].as_u64().unwrap() > 1);
            }
            other => panic!("{other}"),
        }
    }
    let input: Value = serde_json::from_str(&partial).unwrap();
    assert_eq!(input["file_path"], "/work/tree/cq-lab/issue-7.md");
    let starts: Vec<&Value> =
        events.iter().filter(|event| event.0 == "content_block_start").map(|event| &event.1).collect();
    assert_eq!(starts[0]["content_block"], json!({"type": "text", "text": ""}));
    has_only(&starts[1]["content_block"], &["type", "id", "name", "input"]);
    assert_eq!((&starts[1]["index"], &starts[1]["content_block"]["input"]), (&json!(1), &json!({})));
    assert!(starts[1]["content_block"]["id"].as_str().unwrap().starts_with("toolu_"));
    let names: Vec<&str> = events.iter().rev().take(2).map(|event| event.0.as_str()).collect();
    assert_eq!(names, ["message_stop", "message_delta"]);
}

#[test]
fn without_a_stream_the_message_comes_whole() {
    let model = Model::start(None, None);
    let (status, _, text) = model.send("POST", "/v1/messages", &SIGNED, &question(false).to_string());
    let message: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(status, 200, "{message}");
    has_only(&message, &MESSAGE);
    has_only(&message["usage"], &USAGE);
    assert_eq!(
        (&message["type"], &message["role"], &message["stop_reason"]),
        (&json!("message"), &json!("assistant"), &json!("tool_use"))
    );
    assert_eq!(message["model"], "claude-x");
    let counted = model.send("POST", "/v1/messages/count_tokens", &SIGNED, &question(false).to_string()).2;
    assert!(
        serde_json::from_str::<Value>(&counted).unwrap()["input_tokens"].as_u64().unwrap() > 10,
        "{counted}"
    );
}

/// Method, path, headers, body; the status and the name of the refusal.
type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a str, u16, &'a str);

#[test]
fn refusals_have_the_published_shape() {
    let model = Model::start(None, Some("right"));
    let right = ("x-api-key", "right");
    let asked = question(true).to_string();
    let cases: [Case<'_>; 9] = [
        ("POST", "/v1/messages", &[VERSION], &asked, 401, "authentication_error"),
        ("POST", "/v1/messages", &[VERSION, ("x-api-key", "wrong")], &asked, 401, "authentication_error"),
        (
            "POST",
            "/v1/messages",
            &[VERSION, ("authorization", "Bearer wrong")],
            &asked,
            401,
            "authentication_error",
        ),
        ("POST", "/v1/messages", &[right], &asked, 400, "invalid_request_error"),
        ("POST", "/v1/messages", &[right, VERSION], "{", 400, "invalid_request_error"),
        ("POST", "/v1/messages", &[right, VERSION], "{}", 400, "invalid_request_error"),
        ("POST", "/v1/message", &[right, VERSION], &asked, 404, "not_found_error"),
        ("GET", "/v1/messages", &[right, VERSION], "", 405, "invalid_request_error"),
        ("POST", "/v1/messages/count_tokens", &[right, VERSION], "{}", 400, "invalid_request_error"),
    ];
    for (method, path, headers, body, expected, kind) in cases {
        let (status, headers, text) = model.send(method, path, headers, body);
        let error: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, &error["error"]["type"]), (expected, &json!(kind)), "{method} {path}: {error}");
        has_only(&error, &["type", "error", "request_id"]);
        has_only(&error["error"], &["type", "message"]);
        assert_eq!(error["request_id"].as_str(), headers["request-id"].to_str().ok());
    }
    let bearer = [VERSION, ("authorization", "Bearer right")];
    assert_eq!(model.send("POST", "/v1/messages", &bearer, &asked).0, 200);
    // What came is told, and no key with it.
    let told = model.send("GET", "/_lab/requests", &[], "").2;
    assert!(told.contains("claude-x") && !told.contains("right") && !told.contains("wrong"), "{told}");
    for (method, path) in [("HEAD", "/"), ("HEAD", "/api/hello"), ("GET", "/api/hello")] {
        assert_eq!(model.send(method, path, &[], "").0, 200, "{method} {path}");
    }
}

#[test]
fn a_script_refuses_waits_and_fails_within_the_stream() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script.json");
    let text = json!({
        "default": [{"status": {"code": 429, "headers": {"retry-after": "600"}}}],
        "issues": {"7": [[{"say": "Hm."}, {"wait_ms": 40}, {"status": {"code": 529}}]]},
    });
    fs::write(&script, text.to_string()).unwrap();
    let model = Model::start(Some(&script), None);
    let asked = question(true).to_string();
    let (status, headers, text) = model.send("POST", "/v1/messages", &SIGNED, &asked.replace("#7", "#8"));
    assert_eq!((status, headers["retry-after"].to_str().unwrap()), (429, "600"));
    assert!(text.contains("rate_limit_error"), "{text}");
    let started = std::time::Instant::now();
    let (status, _, text) = model.send("POST", "/v1/messages", &SIGNED, &asked);
    assert!(started.elapsed().as_millis() >= 40);
    let events = events(&text);
    assert_eq!((status, events.last().unwrap().0.as_str()), (200, "error"));
    assert_eq!(
        events.last().unwrap().1,
        json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
    );
}

#[test]
fn only_this_machine_is_let_near() {
    let mut lab = std::process::Command::new(env!("CARGO_BIN_EXE_cq-lab"));
    let output = lab.args(["messages", "--listen", "0.0.0.0:0"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78));
    assert!(said.contains("'0.0.0.0:0' is not a loopback address"), "{said}");
}
