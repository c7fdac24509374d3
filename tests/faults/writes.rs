//! `cq-pr` and `cq-init --labels`: whatever becomes of an answer, a thing is done once.

use serde_json::{Value, json};

use crate::Plan;
use crate::table::{LABELS, Labels, PULLS, Play as _, Pull, SET, always, house, once, play, row};

fn said(status: u16, message: &str) -> Value {
    json!({"status": status, "body": {"message": message}})
}

fn after(mut fault: Value) -> Value {
    fault["after_effect"] = json!(true);
    fault
}

/// Trouble before anything was done: for good, it is told; once, nobody hears of it. Trouble after it was done: what
/// was done is found.
#[test]
fn a_pull_request_is_opened_once_whatever_happens() {
    let mut rows = Vec::new();
    let faults = [
        ("500", json!({"status": 500}), "GitHub is in trouble"),
        ("502", json!({"status": 502, "body": "<html>"}), "GitHub is in trouble"),
        ("504", json!({"status": 504}), "GitHub is in trouble"),
        ("408", json!({"status": 408}), "GitHub is in trouble"),
        ("reset", json!({"reset": true}), "no answer"),
        ("a page with 200", json!({"status": 200, "body": "<html>"}), "not JSON"),
    ];
    for (name, fault, why) in faults {
        rows.push(row(name, always("POST", PULLS, fault.clone()), 69, why));
        rows.push(row(name, once("POST", PULLS, fault.clone()), 0, "").made(1));
        rows.push(row(name, once("POST", PULLS, after(fault.clone())), 0, "").made(1));
        rows.push(row(name, always("POST", PULLS, after(fault)), 0, "").made(1));
    }
    play(&Pull::new(), rows);
}

#[test]
fn a_pull_request_whose_answer_is_spoilt_is_found() {
    let rows = vec![
        row("dropped", once("POST", PULLS, after(json!({}))), 0, "").made(1),
        row("dropped for good", always("POST", PULLS, json!({})), 69, "no answer"),
        row("503", once("POST", PULLS, after(json!({"status": 503}))), 0, "").made(1),
        row("no answer", once("POST", PULLS, json!({"hang": true})), 0, "").made(1),
        row("no answer, but done", once("POST", PULLS, after(json!({"hang": true}))), 0, "").made(1),
        row("byte by byte", always("POST", PULLS, json!({"drip_ms": 200})), 0, "").made(1),
        row("broken off", once("POST", PULLS, json!({"truncate": 9})), 0, "").made(1),
        row("a bomb", always("POST", PULLS, json!({"gzip_bomb": true})), 69, "longer than 10 MiB").made(1),
        row(
            "something else",
            once("POST", PULLS, after(json!({"status": 201, "body": {}}))),
            69,
            "not a pull request",
        )
        .made(1),
        row(
            "there already",
            once("POST", PULLS, after(said(422, "A pull request already exists for acme:x."))),
            0,
            "",
        )
        .made(1),
        row("the look fails", always("GET", PULLS, json!({"status": 500})), 69, "GitHub is in trouble"),
        row("the look fails once", once("GET", PULLS, json!({"status": 500})), 0, "").made(1),
        row("the look sees nothing", once("GET", PULLS, json!({"status": 200, "body": []})), 0, "").made(1),
    ];
    play(&Pull::new(), rows);
}

#[test]
fn a_no_to_a_pull_request_is_told_once() {
    let permission = json!({
        "status": 403, "body": {"message": "Resource not accessible by integration"},
        "headers": {"x-accepted-github-permissions": "pull_requests=write"},
    });
    let custom = json!({"status": 422, "body": {"message": "Validation Failed", "errors": [
        {"resource": "PullRequest", "code": "custom", "message": "No commits between main and x"},
    ]}});
    let secondary = "You have exceeded a secondary rate limit.";
    let rows = vec![
        row("401", always("POST", PULLS, said(401, "Bad credentials")), 77, "not signed in"),
        row("403", always("POST", PULLS, permission), 77, "accepted here: pull_requests=write"),
        row(
            "403, a secondary limit",
            always("POST", PULLS, said(403, secondary)),
            75,
            "a secondary rate limit",
        ),
        row("429", always("POST", PULLS, said(429, "Too many")), 75, "a secondary rate limit"),
        row("404", always("POST", PULLS, said(404, "Not Found")), 77, "not visible to this token"),
        row("410", always("POST", PULLS, said(410, "Gone")), 1, "Gone"),
        row("422", always("POST", PULLS, custom), 1, "No commits between main and x"),
        row("409", always("POST", PULLS, said(409, "Conflict")), 1, "Conflict"),
        row(
            "400",
            always("POST", PULLS, said(400, "v3 is not a supported version")),
            78,
            "github.apiVersion",
        ),
    ];
    play(&Pull::new(), rows);
}

#[test]
fn labels_of_a_pull_request_are_set_once() {
    let trouble = json!({"status": 502});
    let rows = vec![
        row("502", always("POST", SET, trouble.clone()), 69, "GitHub is in trouble").made(1),
        row("502 once", once("POST", SET, trouble.clone()), 0, "").made(1),
        row("502, but done", once("POST", SET, after(trouble)), 0, "").made(1),
        row("reset, but done", once("POST", SET, after(json!({"reset": true}))), 0, "").made(1),
    ];
    play(&Pull::new(), rows);
}

/// What will stay a no is told; it does not keep the pull request from being reviewed.
#[test]
fn labels_that_are_refused_for_good_hold_nothing_back() {
    for (refusal, status, why) in [
        (said(403, "Resource not accessible"), 77, "not permitted"),
        (said(422, "Validation Failed"), 1, "Validation Failed"),
    ] {
        let pull = Pull::new();
        pull.house().lab.break_with(&always("POST", SET, refusal));
        pull.run().ends(status, why);
        assert_eq!((pull.house().status(1).as_str(), pull.made()), ("pr-ready", 1));
    }
}

#[test]
fn labels_of_the_repository_are_made_once() {
    let there = json!({"status": 422, "body": {"message": "Validation Failed", "errors": [
        {"resource": "Label", "code": "already_exists", "field": "name"},
    ]}});
    let invalid = json!({"status": 422, "body": {"message": "Validation Failed", "errors": [
        {"resource": "Label", "code": "invalid", "field": "color"},
    ]}});
    let rows = vec![
        row("502", always("POST", LABELS, json!({"status": 502})), 69, "GitHub is in trouble"),
        row("502 once", once("POST", LABELS, json!({"status": 502})), 0, "").made(2),
        row("502, but done", once("POST", LABELS, after(json!({"status": 502}))), 0, "").made(2),
        row("reset, but done", once("POST", LABELS, after(json!({"reset": true}))), 0, "").made(2),
        row("no answer, but done", once("POST", LABELS, after(json!({"hang": true}))), 0, "").made(2),
        row("broken off", once("POST", LABELS, json!({"truncate": 5})), 0, "").made(2),
        row("made by somebody else", once("POST", LABELS, after(there)), 0, "").made(2),
        row("invalid", always("POST", LABELS, invalid), 1, "color: invalid"),
        row("403", always("POST", LABELS, said(403, "Resource not accessible")), 77, "not permitted"),
        row("404", always("POST", LABELS, said(404, "Not Found")), 77, "not visible to this token"),
        row("429", always("POST", LABELS, said(429, "Too many")), 75, "a secondary rate limit"),
        row("401 at the look", always("GET", LABELS, said(401, "Bad credentials")), 77, "not signed in"),
        row(
            "403 at the look",
            always("GET", LABELS, said(403, "Resource not accessible")),
            77,
            "not permitted",
        ),
        row("500 at the look", always("GET", LABELS, json!({"status": 500})), 69, "GitHub is in trouble"),
    ];
    play(&Labels(house(&Plan::default())), rows);
}
