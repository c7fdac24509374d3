//! The rehearsal's answers against GitHub's own description of its API (tests/data/github).
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test starts programs itself, and may panic"
)]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

const VERSIONS: [(&str, &str); 2] = [
    ("2022-11-28", include_str!("data/github/openapi-2022-11-28.json")),
    ("2026-03-10", include_str!("data/github/openapi-2026-03-10.json")),
];

fn description(text: &str) -> Value {
    let mut description = serde_json::from_str(text).unwrap();
    modernise(&mut description);
    description
}

/// OpenAPI 3.0's `nullable` as JSON Schema says it.
fn modernise(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(modernise),
        Value::Object(object) => {
            object.values_mut().for_each(modernise);
            if object.remove("nullable") != Some(json!(true)) {
                return;
            }
            if let Some(kind @ Value::String(_)) = object.get_mut("type") {
                *kind = json!([kind.clone(), "null"]);
            } else {
                let rest = Value::Object(std::mem::take(object));
                object.insert("anyOf".to_owned(), json!([rest, {"type": "null"}]));
            }
            if let Some(Value::Array(values)) = object.get_mut("enum") {
                values.push(Value::Null);
            }
        }
        _ => {}
    }
}

struct Lab {
    child: std::process::Child,
    _folder: tempfile::TempDir,
    api: String,
    http: ureq::Agent,
    version: &'static str,
    description: Value,
    wrong: Vec<String>,
}

impl Drop for Lab {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

impl Lab {
    /// Asks, and compares the answer with what the description promises for `route`.
    fn check(&mut self, method: &str, route: &str, path: &str, body: Option<&Value>, status: u16) -> Value {
        let request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.api));
        let token = if route.starts_with("/app") || route.ends_with("/installation") {
            signed()
        } else {
            "lab-token".to_owned()
        };
        let request = request.header("authorization", format!("Bearer {token}"));
        let request = request.header("x-github-api-version", self.version);
        let body = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
        let mut response = self.http.run(request.body(body).unwrap()).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        assert_eq!(response.status().as_u16(), status, "{method} {path}: {text}");
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        if path.starts_with("/_lab/") {
            return answer;
        }
        let promised =
            &self.description["paths"][route][method.to_lowercase()]["responses"][status.to_string()];
        let promised = match promised["$ref"].as_str() {
            Some(name) => self.description.pointer(name.trim_start_matches('#')).unwrap().clone(),
            None => promised.clone(),
        };
        assert!(promised.is_object(), "the description knows no {status} for {method} {route}");
        let content = &promised["content"]["application/json"]["schema"];
        if content.is_null() {
            return answer;
        }
        let mut schema = content.clone();
        schema["components"] = self.description["components"].clone();
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let errors = validator.iter_errors(&answer).take(4);
        let errors = errors.map(|error| {
            format!("{} {method} {path} {status}: {error} at '{}'", self.version, error.instance_path())
        });
        self.wrong.extend(errors.collect::<Vec<_>>());
        answer
    }
}

/// The JWT of the seed's App.
fn signed() -> String {
    let pem = include_str!("data/github-app.pem");
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let key = ring::rsa::KeyPair::from_der(&STANDARD.decode(body).unwrap()).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = part(json!({"alg": "RS256", "typ": "JWT"}));
    let signed = format!("{head}.{}", part(json!({"iss": "77", "iat": now - 60, "exp": now + 540})));
    let mut signature = vec![0; key.public().modulus_len()];
    let random = ring::rand::SystemRandom::new();
    key.sign(&ring::signature::RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn answers_are_what_github_describes() {
    for (version, text) in VERSIONS {
        check_all(version, description(text));
    }
}

#[expect(clippy::too_many_lines, reason = "one request after the other")]
fn check_all(version: &'static str, description: Value) {
    let folder = tempfile::tempdir().unwrap();
    let seed = folder.path().join("seed.json");
    let installation = json!({"id": 5, "permissions": {"issues": "write"}, "repositories": ["acme/widgets"]});
    let content = json!({"apps": [{
        "id": 77, "public_key_pem": include_str!("data/github-app.pub.pem"), "installations": [installation],
    }], "users": [{"login": "mia", "permission": "write"}], "repositories": [{"teams": ["core"],
        "owner": "acme", "name": "widgets", "labels": [{"name": "bug"}], "issues": [
            {"number": 7, "labels": ["bug"], "assignees": ["mia"], "comments": [{"body": "hm"}],
             "blocked_by": [10], "sub_issues": [8], "locked": true, "lock_reason": "spam", "events": [
                {"event": "renamed", "from": "a", "to": "b", "actor": "mia"},
                {"event": "locked", "reason": "spam", "app": "cq"}, {"event": "transferred", "from": "acme/old"}]},
            {"number": 10, "title": "blocker"},
            {"number": 8, "state": "closed"}, {"number": 9, "pull_request": true}],
    }]});
    fs::write(&seed, content.to_string()).unwrap();
    let root = folder.path().join("git");
    let mut command = Command::new(env!("CARGO_BIN_EXE_cq-lab"));
    command.args(["serve", "--seed"]).arg(&seed).arg("--git-root").arg(&root).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    let api = ready["api_url"].as_str().unwrap().to_owned();
    let http = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
    let mut lab = Lab { child, _folder: folder, api, http, version, description, wrong: Vec::new() };

    // A branch that differs from main, made behind the server's back.
    let bare = root.join("acme/widgets.git");
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=t", "-c", "user.email=t@t", "--git-dir"]).arg(&bare).args(arguments);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let commit = git(&["commit-tree", "main^{tree}", "-p", "main", "-m", "Change"]);
    git(&["update-ref", "refs/heads/topic", &commit]);

    let repository = "/repos/{owner}/{repo}";
    let mut check = |method: &str, route: &str, path: &str, body: Option<Value>, status: u16| {
        let (route, path) = match route.strip_prefix('~') {
            Some(rest) => (format!("{repository}{rest}"), format!("/repos/acme/widgets{path}")),
            None => (route.to_owned(), path.to_owned()),
        };
        lab.check(method, &route, &path, body.as_ref(), status)
    };
    check("GET", "/rate_limit", "/rate_limit", None, 200);
    check("GET", "/user", "/user", None, 200);
    check("GET", "/meta", "/meta", None, 200);
    check("GET", "~", "", None, 200);
    check("GET", "~/issues", "/issues?state=all", None, 200);
    check("POST", "~/issues", "/issues", Some(json!({"title": "New"})), 201);
    check("GET", "~/issues/{issue_number}", "/issues/8", None, 200);
    check("PATCH", "~/issues/{issue_number}", "/issues/8", Some(json!({"state": "open"})), 200);
    check("GET", "~/issues/{issue_number}/comments", "/issues/7/comments", None, 200);
    check("POST", "~/issues/{issue_number}/comments", "/issues/7/comments", Some(json!({"body": "x"})), 201);
    check("GET", "~/issues/{issue_number}/labels", "/issues/7/labels", None, 200);
    check("POST", "~/issues/{issue_number}/labels", "/issues/7/labels", Some(json!({"labels": ["x"]})), 200);
    check("DELETE", "~/issues/{issue_number}/labels/{name}", "/issues/7/labels/x", None, 200);
    check("DELETE", "~/issues/{issue_number}/labels/{name}", "/issues/7/labels/x", None, 404);
    let mia = json!({"assignees": ["mia"]});
    check("POST", "~/issues/{issue_number}/assignees", "/issues/8/assignees", Some(mia.clone()), 201);
    check("DELETE", "~/issues/{issue_number}/assignees", "/issues/8/assignees", Some(mia), 200);
    check("GET", "~/issues/{issue_number}/events", "/issues/7/events", None, 200);
    check("GET", "~/issues/{issue_number}/events", "/issues/8/events", None, 200);
    check("GET", "~/labels", "/labels", None, 200);
    check("POST", "~/labels", "/labels", Some(json!({"name": "new", "color": "ff0000"})), 201);
    check("POST", "~/labels", "/labels", Some(json!({"name": "new"})), 422);
    check("GET", "~/labels/{name}", "/labels/new", None, 200);
    check("GET", "~/collaborators/{username}/permission", "/collaborators/mia/permission", None, 200);
    check("GET", "~/collaborators", "/collaborators", None, 200);
    check("GET", "~/collaborators/{username}", "/collaborators/mia", None, 204);
    check("GET", "~/collaborators/{username}", "/collaborators/nobody", None, 404);
    check("GET", "~/assignees/{assignee}", "/assignees/mia", None, 204);
    check("GET", "~/assignees/{assignee}", "/assignees/nobody", None, 404);
    check("GET", "~/collaborators/{username}/permission", "/collaborators/nobody/permission", None, 404);
    check("GET", "~/issues/{issue_number}/timeline", "/issues/7/timeline", None, 200);
    check(
        "GET",
        "~/issues/{issue_number}/dependencies/blocked_by",
        "/issues/7/dependencies/blocked_by",
        None,
        200,
    );
    check(
        "GET",
        "~/issues/{issue_number}/dependencies/blocking",
        "/issues/10/dependencies/blocking",
        None,
        200,
    );
    check("GET", "~/issues/{issue_number}/sub_issues", "/issues/7/sub_issues", None, 200);
    check("GET", "~/issues/{issue_number}/parent", "/issues/8/parent", None, 200);
    check("GET", "~/issues/{issue_number}", "/issues/7", None, 200);
    let reason = json!({"lock_reason": "resolved"});
    check("PUT", "~/issues/{issue_number}/lock", "/issues/8/lock", Some(reason), 204);
    check("DELETE", "~/issues/{issue_number}/lock", "/issues/8/lock", None, 204);
    let comment = check("GET", "~/issues/{issue_number}/comments", "/issues/7/comments", None, 200);
    let comment = format!("/issues/comments/{}", comment[0]["id"]);
    check("GET", "~/issues/comments/{comment_id}", &comment, None, 200);
    check("PATCH", "~/issues/comments/{comment_id}", &comment, Some(json!({"body": "y"})), 200);
    check("GET", "/app", "/app", None, 200);
    // Not the list of installations: its description wants an account that is a user and an enterprise at once.
    check("GET", "/app/installations/{installation_id}", "/app/installations/5", None, 200);
    check("GET", "~/installation", "/installation", None, 200);
    let tokens = "/app/installations/{installation_id}/access_tokens";
    check("POST", tokens, "/app/installations/5/access_tokens", None, 201);
    let pull = json!({"title": "t", "head": "topic", "base": "main"});
    check("POST", "~/pulls", "/pulls", Some(pull.clone()), 201);
    check("POST", "~/pulls", "/pulls", Some(pull), 422);
    check("GET", "~/pulls", "/pulls", None, 200);
    check("GET", "~/pulls/{pull_number}", "/pulls/12", None, 200);
    check("PATCH", "~/pulls/{pull_number}", "/pulls/12", Some(json!({"title": "u"})), 200);
    let said = json!({"repository": "acme/widgets", "number": 12, "user": "mia", "state": "CHANGES_REQUESTED",
        "body": "no", "comments": [{"path": "README.md", "line": 1, "body": "here"}, {"path": "a", "body": "gone"}]});
    let made = check("POST", "/_lab/reviews", "/_lab/reviews", Some(said), 200);
    let reply = format!("/pulls/12/comments/{}/replies", made["comments"][0]);
    let replies = "~/pulls/{pull_number}/comments/{comment_id}/replies";
    check("POST", replies, &reply, Some(json!({"body": "done"})), 201);
    check("GET", "~/pulls/{pull_number}/comments", "/pulls/12/comments", None, 200);
    let asked = json!({"reviewers": ["mia"]});
    check(
        "POST",
        "~/pulls/{pull_number}/requested_reviewers",
        "/pulls/12/requested_reviewers",
        Some(asked),
        201,
    );
    check("GET", "~/pulls/{pull_number}/reviews", "/pulls/12/reviews", None, 200);
    let (route, path) = ("~/pulls/{pull_number}/requested_reviewers", "/pulls/12/requested_reviewers");
    let reviewers = json!({"reviewers": ["mia"], "team_reviewers": ["core"]});
    check("POST", route, path, Some(reviewers.clone()), 201);
    check("POST", route, path, Some(json!({"reviewers": ["nobody"]})), 422);
    check("GET", route, path, None, 200);
    check("GET", "~/pulls/{pull_number}", "/pulls/12", None, 200);
    check("DELETE", route, path, Some(reviewers), 200);
    check("GET", "~/git/ref/{ref}", "/git/ref/heads/topic", None, 200);
    check("GET", "~/commits/{ref}/check-runs", "/commits/topic/check-runs", None, 200);
    check("GET", "~/commits/{ref}/status", "/commits/topic/status", None, 200);
    check("PUT", "~/pulls/{pull_number}/merge", "/pulls/12/merge", Some(json!({"sha": "0"})), 409);
    check("PUT", "~/pulls/{pull_number}/merge", "/pulls/12/merge", Some(json!({"sha": commit})), 200);
    check("PUT", "~/pulls/{pull_number}/merge", "/pulls/12/merge", None, 405);
    check("GET", "~/pulls/{pull_number}", "/pulls/12", None, 200);
    check("DELETE", "~/git/refs/{ref}", "/git/refs/heads/topic", None, 204);
    check("GET", "~", "", None, 200);
    assert!(lab.wrong.is_empty(), "{}", lab.wrong.join("\n"));
}
