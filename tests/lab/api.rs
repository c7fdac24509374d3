//! The REST API.

use std::fs;
use std::process::Command;

use serde_json::json;

use super::{LAB, Rehearsal, link};

#[test]
fn a_long_list_is_read_to_its_end() {
    for cursors in [false, true] {
        let lab = Rehearsal::start(&json!({"repositories": [{
            "owner": "acme", "name": "widgets", "cursor_pagination": cursors,
            "issues": [{"title": "other"}], "generate": {"issues": 230, "pull_requests": 4},
        }]}));
        let mut next =
            Some("/repos/acme/widgets/issues?labels=CLAUDE-ready&per_page=100&direction=asc".to_owned());
        let (mut numbers, mut pages, mut pulls) = (Vec::new(), 0, 0);
        while let Some(path) = next {
            let got = lab.get(&path);
            assert_eq!(got.status, 200);
            pages += 1;
            for issue in got.body.as_array().unwrap() {
                numbers.push(issue["number"].as_u64().unwrap());
                pulls += usize::from(issue.get("pull_request").is_some());
            }
            assert_eq!(link(&got, "last").is_some(), !cursors && pages < 3);
            next = link(&got, "next");
        }
        assert_eq!((pages, pulls), (3, 4));
        assert_eq!(numbers, (2..=235).collect::<Vec<u64>>());
    }
}

#[test]
fn a_large_list_has_no_page_after_its_last() {
    let lab = Rehearsal::start(&json!({"repositories": [{
        "owner": "acme", "name": "widgets", "generate": {"issues": 1000},
    }]}));
    let status = |page| lab.get(&format!("/repos/acme/widgets/issues?per_page=100&page={page}")).status;
    assert_eq!([status(1), status(10), status(11)], [200, 200, 422]);
}

#[test]
fn what_is_known_already_costs_nothing() {
    let lab = Rehearsal::acme(&json!([{"number": 7, "labels": ["claude-ready"]}]));
    let first = lab.get("/repos/acme/widgets/issues");
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with("W/\""), "{tag}");
    let headers = [("authorization", "token lab-token"), ("if-none-match", tag.as_str())];
    let again = lab.send("GET", "/repos/acme/widgets/issues", None, &headers);
    assert_eq!((again.status, &again.body), (304, &json!("")));
    assert_eq!(again.header("x-ratelimit-used"), first.header("x-ratelimit-used"));
    lab.call("POST", "/repos/acme/widgets/issues/7/comments", &json!({"body": "hello"}));
    let changed = lab.send("GET", "/repos/acme/widgets/issues", None, &headers);
    assert_eq!((changed.status, changed.body[0]["comments"].as_u64()), (200, Some(1)));
}

#[test]
fn refusals_are_githubs() {
    let lab = Rehearsal::acme(&json!([{"number": 7}]));
    let token = ("authorization", "Bearer lab-token");
    let label = json!({"name": "Claude-Ready"});
    let cases = [
        ("GET", "/repos/acme/widgets", None, vec![("authorization", "Bearer no")], 401, "Bad credentials"),
        ("GET", "/repos/acme/widgets", None, vec![("user-agent", "")], 403, "User-Agent"),
        ("GET", "/repos/acme/gadgets", None, vec![token], 404, "Not Found"),
        ("GET", "/user", None, vec![], 401, "Requires authentication"),
        ("POST", "/repos/acme/widgets/labels", Some(&label), vec![], 401, "Requires authentication"),
        ("POST", "/repos/acme/widgets/labels", Some(&label), vec![token], 422, "Validation Failed"),
        ("DELETE", "/repos/acme/widgets/issues/7/labels/x", None, vec![token], 404, "Label does not exist"),
        (
            "GET",
            "/repos/acme/widgets/collaborators/nobody/permission",
            None,
            vec![token],
            404,
            "nobody is not a user",
        ),
        ("GET", "/repos/acme/widgets/commits/nothing/check-runs", None, vec![token], 422, "No commit found"),
    ];
    for (method, path, body, headers, status, message) in cases {
        let got = lab.send(method, path, body, &headers);
        assert_eq!(got.status, status, "{method} {path}: {}", got.body);
        assert!(got.body["message"].as_str().unwrap().contains(message), "{method} {path}: {}", got.body);
    }
    let got = lab.call("POST", "/repos/acme/widgets/labels", &label);
    assert_eq!(got.body["errors"][0]["code"], "already_exists");
}

#[test]
fn labels_people_and_events() {
    let lab = Rehearsal::acme(&json!([{"number": 7, "labels": ["bug"], "labeled_by": "mia"}]));
    let issue = "/repos/acme/widgets/issues/7";
    let labels = lab.call("POST", &format!("{issue}/labels"), &json!({"labels": ["CLAUDE-READY", "a/b"]}));
    let names: Vec<&str> =
        labels.body.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["bug", "claude-ready", "a/b"]);
    assert_eq!(lab.call("DELETE", &format!("{issue}/labels/a%2Fb"), &json!({})).status, 200);
    let assigned = lab.call("POST", &format!("{issue}/assignees"), &json!({"assignees": ["mia", "eve"]}));
    assert_eq!(assigned.status, 201);
    assert_eq!(assigned.body["assignees"].as_array().unwrap().len(), 1);
    let closed = lab.call("PATCH", issue, &json!({"state": "closed", "state_reason": "not_planned"}));
    assert_eq!(
        (&closed.body["state"], &closed.body["state_reason"]),
        (&json!("closed"), &json!("not_planned"))
    );
    let events = lab.get(&format!("{issue}/events")).body;
    let told: Vec<String> = events
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            format!("{} {}", event["actor"]["login"].as_str().unwrap(), event["event"].as_str().unwrap())
        })
        .collect();
    let expected = [
        "mia labeled",
        "cq-bot labeled",
        "cq-bot labeled",
        "cq-bot unlabeled",
        "cq-bot assigned",
        "cq-bot closed",
    ];
    assert_eq!(told, expected);
    let permission = lab.get("/repos/acme/widgets/collaborators/mia/permission").body;
    assert_eq!((&permission["permission"], &permission["role_name"]), (&json!("write"), &json!("maintain")));
}

#[test]
fn faults_happen_as_scripted() {
    let lab = Rehearsal::acme(&json!([{"number": 7}]));
    let comments = "/repos/acme/widgets/issues/7/comments";
    let faults = json!([
        {"method": "GET", "path": "/repos/*/*/issues", "status": 503, "body": "<html>", "times": 2,
         "headers": {"retry-after": "1"}},
        {"method": "POST", "path": comments, "after_effect": true},
        {"path": "/rate_limit"},
    ]);
    assert_eq!(lab.call("POST", "/_lab/faults", &faults).status, 204);
    for expected in [503, 503, 200] {
        let got = lab.get("/repos/acme/widgets/issues");
        assert_eq!((got.status, got.header("retry-after").is_empty()), (expected, expected == 200));
    }
    let body = json!({"body": "said once"}).to_string();
    let request = lab.http.post(lab.url(comments)).header("authorization", "Bearer lab-token");
    request.send(body).expect_err("the connection is dropped");
    lab.http.get(lab.url("/rate_limit")).call().expect_err("the connection is dropped");
    assert_eq!(lab.get(comments).body[0]["body"], "said once");
    let state = lab.get("/_lab/state").body;
    assert_eq!(state["routes"]["GET /repos/{owner}/{repo}/issues"], 3);
    assert_eq!(state["faults_left"], 0);
}

#[test]
fn nobody_else_can_listen_in() {
    let folder = tempfile::tempdir().unwrap();
    let seed = folder.path().join("seed.json");
    fs::write(&seed, r#"{"repositories":[]}"#).unwrap();
    let seed = seed.to_str().unwrap();
    let output = Command::new(LAB).args(["serve", "--seed", seed, "--listen", "0.0.0.0:0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&output.stderr).contains("'0.0.0.0:0' is not a loopback address"));
}
