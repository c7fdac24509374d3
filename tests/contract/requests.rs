//! Every request of every command, against GitHub's descriptions; and the whole line in both versions of the API.

use std::collections::BTreeSet;
use std::fs;

use apollo_compiler::request::coerce_variable_values;
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Schema};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::description::{Description, versions};
use crate::support::wait::until;
use crate::{House, Plan};

/// What cq asks of GitHub, all of it.
const OPERATIONS: [&str; 43] = [
    "DELETE /installation/token",
    "DELETE /repos/{owner}/{repo}/issues/{issue_number}/assignees",
    "DELETE /repos/{owner}/{repo}/issues/{issue_number}/labels/{name}",
    "GET /app/installations/{installation_id}",
    "GET /meta",
    "GET /rate_limit",
    "GET /repos/acme/widgets/actions/jobs/JOB/logs",
    "GET /repos/acme/widgets/contents",
    "GET /repos/{owner}/{repo}",
    "GET /repos/{owner}/{repo}/assignees/{assignee}",
    "GET /repos/{owner}/{repo}/collaborators/{username}",
    "GET /repos/{owner}/{repo}/collaborators/{username}/permission",
    "GET /repos/{owner}/{repo}/installation",
    "GET /repos/{owner}/{repo}/issues",
    "GET /repos/{owner}/{repo}/issues/{issue_number}",
    "GET /repos/{owner}/{repo}/issues/{issue_number}/comments",
    "GET /repos/{owner}/{repo}/issues/{issue_number}/events",
    "GET /repos/{owner}/{repo}/labels/{name}",
    "GET /repos/{owner}/{repo}/pulls",
    "GET /repos/{owner}/{repo}/pulls/{pull_number}",
    "GET /repos/{owner}/{repo}/pulls/{pull_number}/comments",
    "GET /repos/{owner}/{repo}/pulls/{pull_number}/reviews",
    "GET /user",
    "PATCH /repos/{owner}/{repo}/issues/{issue_number}",
    "PATCH /repos/{owner}/{repo}/pulls/{pull_number}",
    "POST /app/installations/{installation_id}/access_tokens",
    "POST /graphql AutoMerge",
    "POST /graphql Blockers",
    "POST /graphql Details",
    "POST /graphql Enqueue",
    "POST /graphql Failure",
    "POST /graphql More",
    "POST /graphql Progress",
    "POST /graphql Revert",
    "POST /graphql States",
    "POST /repos/{owner}/{repo}/issues/{issue_number}/assignees",
    "POST /repos/{owner}/{repo}/issues/{issue_number}/comments",
    "POST /repos/{owner}/{repo}/issues/{issue_number}/labels",
    "POST /repos/{owner}/{repo}/labels",
    "POST /repos/{owner}/{repo}/pulls",
    "POST /repos/{owner}/{repo}/pulls/{pull_number}/comments/{comment_id}/replies",
    "POST /repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers",
    "PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge",
];

/// What the descriptions here leave out: the end of an App's token, which is GitHub's `apps/revoke-installation-access-
/// token`, the folder at the top, which is `contents/{path}` without a path, and the log of a job, which is `actions/
/// download-job-logs-for-workflow-run`.
const UNDESCRIBED: [&str; 3] = [
    "DELETE /installation/token",
    "GET /repos/acme/widgets/actions/jobs/JOB/logs",
    "GET /repos/acme/widgets/contents",
];

/// A house with more issues than a page, one of them with a long history, and some that wait for others.
fn house(version: &str) -> House {
    let mut issues = vec![
        json!({"number": 1, "title": "First", "body": "Do it.", "labels": ["claude-ready", "P1"]}),
        json!({"number": 2, "title": "Second", "body": "Blocked by #3\nBlocked by acme/other#4\nBlocked by #4000000000",
               "labels": ["claude-ready", "P2"]}),
        json!({"number": 3, "title": "Third", "body": "Blocked by #130", "labels": ["claude-ready", "P3"],
               "comments": vec![json!({"body": "hm"}); 120]}),
    ];
    issues.extend((4..=230).map(|number| json!({"number": number, "title": format!("Another {number}")})));
    // Between two pages, where a reader may have missed somebody.
    issues[100]["state"] = json!("closed");
    let app = json!({
        "id": 4321, "public_key_pem": include_str!("../data/github-app.pub.pem"),
        "installations": [{"id": 98765, "permissions": {
            "metadata": "read", "issues": "write", "pull_requests": "write", "contents": "write"}}],
    });
    let house = House::new(&Plan {
        issues: json!(issues),
        seed: json!({"apps": [app], "users": [{"login": "mia", "permission": "write"}], "widgets": {"teams": ["core"]}}),
        ..Plan::default()
    });
    house.configure(|config| {
        config["feedback"]["quietSeconds"] = json!(0);
        config["github"]["apiVersion"] = json!(version);
        config["github"]["assignee"] = json!("acme");
        config["pullRequest"]["draft"] = json!(true);
        config["pullRequest"]["labels"] = json!(["by a machine", "needs/review"]);
        config["pullRequest"]["reviewers"] = json!(["mia"]);
        config["pullRequest"]["teamReviewers"] = json!(["core"]);
    });
    house.lab.call("DELETE", "/_lab/requests", &Value::Null);
    house
}

/// The whole life of an issue, and every other reason to ask GitHub; gives the records that were written.
fn everything(house: &House) -> Vec<Value> {
    let at = "2026-01-31T09:30:00Z";
    let cq = |name: &str, args: &[&str]| house.cq(name).args(args).at(at).run();
    let mut records = Vec::new();
    cq("init", &["--labels"]).good();
    records.extend(cq("fetch", &[]).quietly().records());
    // Somebody is at work while the pages are read: as the commands' clock has it, it is not over yet.
    house.lab.call("POST", "/repos/acme/widgets/issues/50/comments", &json!({"body": "hm"}));
    records.extend(cq("fetch", &["--all"]).quietly().records());
    records.extend(cq("fetch", &["1"]).quietly().records());
    rename(house);
    records.extend(cq("fetch", &["--repo", "acme/gadgets", "1"]).quietly().records());
    cq("status", &["--explain", "2"]).good();
    records.extend(cq("claim", &["1"]).quietly().records());
    cq("monitor", &[]).good();
    records.extend(cq("spawn", &["--wait", "1"]).quietly().records());
    records.extend(cq("gate", &["1"]).quietly().records());
    let no_drafts = json!({"message": "Draft pull requests are not supported in this repository."});
    house.lab.break_with(&json!([
        {"method": "POST", "path": "/repos/acme/widgets/pulls$", "status": 422, "body": no_drafts}]));
    records.extend(cq("pr", &["1"]).quietly().records());
    cq("monitor", &[]).good();
    cq("status", &[]).good();
    records.extend(reviewed(house));
    records.extend(merged(house));
    records.extend(cq("cleanup", &["claude-instance-1"]).good().records());
    cq("pr", &["--revert", "1", "--reason", "It breaks the login."]).good();
    receive(house);
    cq("doctor", &[]).good();
    as_an_app(house);
    records
}

/// The end of the only pull request's branch.
fn head(house: &House) -> Value {
    house.lab.pulls()[0]["head"]["sha"].clone()
}

/// What CI says of that, and somebody who may write.
fn say(house: &House, conclusion: Option<&str>, state: &str) {
    let check = json!({"repository": "acme/widgets", "sha": head(house), "conclusion": conclusion,
        "log": "2026-01-01T00:00:00.0000000Z ##[error]no\n"});
    house.lab.call("POST", "/_lab/checks", &check);
    let review = json!({"repository": "acme/widgets", "number": house.lab.pulls()[0]["number"], "user": "mia",
        "state": state, "at": "2026-01-01T00:00:00Z", "comments": [{"path": "README.md", "line": 1, "body": "hm"}]});
    house.lab.call("POST", "/_lab/reviews", &review);
}

/// Somebody asks for changes and CI is red: the agent is sent back.
fn reviewed(house: &House) -> Vec<Value> {
    house.lab.act("acme", 0, &json!({"set_permission": {"user": "mia", "permission": "write"}}));
    say(house, Some("failure"), "CHANGES_REQUESTED");
    let line = "cq-pr --sync | cq-spawn --wait | cq-gate | cq-pr";
    house.shell(line).at("2026-01-31T09:30:00Z").run().quietly().records()
}

/// Auto-merge, then a queue, then a merge whose answer is lost.
fn merged(house: &House) -> Vec<Value> {
    let merge = || house.cq("pr").args(["--merge"]).at("2026-01-31T09:30:00Z").run().good().records();
    let rules = |rules: Value| house.lab.call("POST", "/_lab/rules", &rules);
    house.configure(|config| config["merge"]["enabled"] = json!(true));
    rules(json!({"required": ["ci"], "approvals": 1, "auto_merge": true}));
    say(house, None, "APPROVED");
    let mut records = merge();
    say(house, Some("success"), "APPROVED");
    rules(json!({"queue": true}));
    records.extend(merge());
    rules(json!({}));
    house.lab.break_with(&json!([
        {"method": "PUT", "path": "/repos/*/*/pulls/*/merge", "after_effect": true}]));
    records.extend(merge());
    records
}

/// Lets the repository have been called gadgets.
fn rename(house: &House) {
    let now = format!("{}/repositories/{}", house.lab.address(), house.lab.repository()["id"]);
    let redirect = |rest: &str| {
        let path = format!("/repos/acme/gadgets{rest}");
        json!({"path": format!("{path}$"), "status": 301, "redirect_to": format!("{now}{rest}")})
    };
    let paths = ["/issues/1", "/issues/1/events", "/collaborators/acme/permission", ""];
    house.lab.break_with(&json!(paths.map(redirect)));
}

/// What is asked on behalf of a GitHub App, from its first token to the end of the last.
fn as_an_app(house: &House) {
    let key = include_str!("../data/github-app.pem");
    cq::state::durable::replace(&house.place("app.pem"), key.as_bytes()).unwrap();
    let cq = |name: &str, args: &[&str]| house.cq(name).args(args).without("GITHUB_TOKEN").run();
    for installation in [Value::Null, json!(98765)] {
        house.configure(|config| {
            config["github"]["app"] = json!({"id": 4321, "privateKeyFile": "../app.pem"});
            if !installation.is_null() {
                config["github"]["app"]["installationId"] = installation.clone();
            }
        });
        cq("doctor", &[]);
        cq("fetch", &["1"]).good();
        cq("token", &["--revoke"]).good();
    }
}

/// Runs cq-webhook until it knows GitHub's addresses.
fn receive(house: &House) {
    let run = house.cq("webhook").env("CQ_WEBHOOK_SECRET", "correct horse battery staple");
    let mut child = run.args(["--listen", "127.0.0.1:0", "--ready-file", "../ready.json"]).start();
    until("a receiver that knows GitHub", || fs::metadata(house.place("ready.json")).ok());
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    child.wait().unwrap();
}

fn schema() -> Valid<Schema> {
    let text = include_str!("../data/github/schema.graphql");
    Schema::parse_and_validate(text, "schema.graphql").unwrap_or_else(|error| panic!("{}", error.errors))
}

/// What a request asks for, or everything that is wrong with it.
fn judge(description: &Description, schema: &Valid<Schema>, request: &Value) -> Result<String, Vec<String>> {
    let (method, target) = (request["method"].as_str().unwrap(), request["target"].as_str().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let body = &request["body"];
    let mut wrong = Vec::new();
    let mut expect = |name: &str, right: bool| {
        if !right {
            wrong.push(format!("{name}: {}", request[name]));
        }
    };
    expect("version", request["version"] == description.version);
    expect("accept", request["accept"] == "application/vnd.github+json");
    expect("user_agent", request["user_agent"].as_str().is_some_and(|agent| agent.starts_with("cq/")));
    expect("content_type", body.is_null() || request["content_type"] == "application/json");
    let name = if path == "/graphql" {
        match graphql(schema, body) {
            Ok(name) => format!("{method} {path} {name}"),
            Err(why) => {
                wrong.push(why);
                String::new()
            }
        }
    } else {
        // What GitHub's links lead to is not described; it is the same operations by a number.
        let path = match path.strip_prefix("/repositories/") {
            Some(rest) => {
                format!("/repos/acme/widgets{}", rest.trim_start_matches(|c: char| c.is_ascii_digit()))
            }
            None => path.to_owned(),
        };
        match description.operation(method, &path) {
            Some(operation) => {
                wrong.extend(description.complaints(&operation, query, body));
                operation.name
            }
            None => {
                let parts =
                    path.split('/').map(|part| if part.parse::<u64>().is_ok() { "JOB" } else { part });
                let name = format!("{method} {}", parts.collect::<Vec<_>>().join("/"));
                if UNDESCRIBED.contains(&&*name) && query.is_empty() && body.is_null() && wrong.is_empty() {
                    return Ok(name);
                }
                wrong.push("no such operation".to_owned());
                String::new()
            }
        }
    };
    if wrong.is_empty() { Ok(name) } else { Err(wrong) }
}

/// The name of a query that the schema takes with its variables.
fn graphql(schema: &Valid<Schema>, body: &Value) -> Result<String, String> {
    let keys: Vec<&str> = body.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
    if keys != ["query", "variables"] {
        return Err(format!("a body of {keys:?}"));
    }
    let text = body["query"].as_str().ok_or("no text")?;
    let document = ExecutableDocument::parse_and_validate(schema, text, "query")
        .map_err(|error| error.errors.to_string())?;
    let operation = document.operations.get(None).map_err(|_| "not one operation")?;
    let variables = serde_json::from_value(body["variables"].clone()).map_err(|error| error.to_string())?;
    coerce_variable_values(schema, operation, &variables).map_err(|error| error.message().to_string())?;
    Ok(operation.name.as_ref().map_or_else(String::new, ToString::to_string))
}

/// What cq itself asked of the API: not git, and not this test.
fn requests(house: &House) -> Vec<Value> {
    let state = house.lab.state();
    let all = state["requests"].as_array().unwrap().iter();
    let is_cqs = |request: &&Value| {
        let target = request["target"].as_str().unwrap();
        !target.contains(".git/")
            && request["user_agent"].as_str().is_none_or(|agent| !agent.starts_with("ureq"))
    };
    all.filter(is_cqs).cloned().collect()
}

/// A record without what differs by nature: moments, names made by chance, addresses, what was measured.
fn plain(value: &Value, house: &House) -> Value {
    let measured = [
        "pid",
        "started",
        "token",
        "session_id",
        "seconds",
        "duration_seconds",
        "deadline_since_boot_ms",
        "memory_peak_bytes",
        "groups",
        "key",
        "print",
        "thread",
    ];
    match value {
        Value::Array(items) => items.iter().map(|item| plain(item, house)).collect(),
        Value::Object(object) => {
            let kept = object.iter().filter(|(name, _)| !measured.contains(&name.as_str()));
            Value::Object(kept.map(|(name, value)| (name.clone(), plain(value, house))).collect())
        }
        Value::String(text) => {
            let text = text.replace(house.lab.address(), "GITHUB").replace(&house.text_of(""), "HOUSE/");
            if text.parse::<cq::clock::Timestamp>().is_ok() {
                return json!("MOMENT");
            }
            // Hashes, and what a log is called by chance.
            let is_hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
            let plain = |part: &str| {
                let word = part.trim_end_matches(['.', ':', ' ']);
                if [8, 10, 40, 64].contains(&word.len()) && is_hex(word) {
                    format!("HEX{}", &part[word.len()..])
                } else {
                    part.to_owned()
                }
            };
            json!(text.split_inclusive(['.', ':', ' ']).map(plain).collect::<String>())
        }
        other => other.clone(),
    }
}

#[test]
fn both_versions_are_asked_by_the_book_and_tell_the_same() {
    let schema = schema();
    let mut told = Vec::new();
    for description in versions() {
        let house = house(description.version);
        let records = everything(&house);
        let last = records.iter().rev().find(|record| record["number"] == 1).unwrap();
        assert_eq!(last["status"], "completed", "{}", description.version);
        let requests = requests(&house);
        let (mut asked, mut wrong) = (BTreeSet::new(), Vec::new());
        for request in &requests {
            match judge(&description, &schema, request) {
                Ok(name) => {
                    asked.insert(name);
                }
                Err(complaints) => wrong.push(format!(
                    "{} {} {}: {}",
                    request["method"],
                    request["target"],
                    request["body"],
                    complaints.join("; ")
                )),
            }
        }
        assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), requests.len(), wrong.join("\n"));
        let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
        assert_eq!(asked, OPERATIONS, "{}", description.version);
        println!("{}: {} requests, {} operations", description.version, requests.len(), asked.len());
        let pages =
            requests.iter().filter(|one| one["target"].as_str().unwrap().starts_with("/repositories/"));
        assert!(pages.count() > 0, "a list of more than a page");
        told.push(records.iter().map(|record| plain(record, &house)).collect::<Vec<_>>());
    }
    let [first, second] = told.as_slice() else { panic!() };
    assert_eq!(first.len(), second.len());
    for (first, second) in first.iter().zip(second) {
        assert_eq!(first, second);
    }
}
