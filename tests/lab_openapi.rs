//! The rehearsal's answers against GitHub's own description of its API (tests/data/github).
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test starts programs itself, and may panic"
)]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

fn description() -> Value {
    let mut description = serde_json::from_str(include_str!("data/github/openapi-2022-11-28.json")).unwrap();
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
        let request = request.header("authorization", "Bearer lab-token");
        let body = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
        let mut response = self.http.run(request.body(body).unwrap()).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        assert_eq!(response.status().as_u16(), status, "{method} {path}: {text}");
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
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
        let errors =
            errors.map(|error| format!("{method} {path} {status}: {error} at '{}'", error.instance_path()));
        self.wrong.extend(errors.collect::<Vec<_>>());
        answer
    }
}

#[test]
fn answers_are_what_github_describes() {
    let folder = tempfile::tempdir().unwrap();
    let seed = folder.path().join("seed.json");
    let content = json!({"users": [{"login": "mia", "permission": "write"}], "repositories": [{
        "owner": "acme", "name": "widgets", "labels": [{"name": "bug"}], "issues": [
            {"number": 7, "labels": ["bug"], "assignees": ["mia"], "comments": [{"body": "hm"}]},
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
    let mut lab = Lab { child, _folder: folder, api, http, description: description(), wrong: Vec::new() };

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
    let pull = json!({"title": "t", "head": "topic", "base": "main"});
    check("POST", "~/pulls", "/pulls", Some(pull.clone()), 201);
    check("POST", "~/pulls", "/pulls", Some(pull), 422);
    check("GET", "~/pulls", "/pulls", None, 200);
    check("GET", "~/pulls/{pull_number}", "/pulls/11", None, 200);
    check("PATCH", "~/pulls/{pull_number}", "/pulls/11", Some(json!({"title": "u"})), 200);
    check("GET", "~/pulls/{pull_number}/reviews", "/pulls/11/reviews", None, 200);
    check("GET", "~/git/ref/{ref}", "/git/ref/heads/topic", None, 200);
    check("GET", "~/commits/{ref}/check-runs", "/commits/topic/check-runs", None, 200);
    check("GET", "~/commits/{ref}/status", "/commits/topic/status", None, 200);
    check("PUT", "~/pulls/{pull_number}/merge", "/pulls/11/merge", Some(json!({"sha": "0"})), 409);
    check("PUT", "~/pulls/{pull_number}/merge", "/pulls/11/merge", Some(json!({"sha": commit})), 200);
    check("PUT", "~/pulls/{pull_number}/merge", "/pulls/11/merge", None, 405);
    check("GET", "~/pulls/{pull_number}", "/pulls/11", None, 200);
    check("DELETE", "~/git/refs/{ref}", "/git/refs/heads/topic", None, 204);
    check("GET", "~", "", None, 200);
    assert!(lab.wrong.is_empty(), "{}", lab.wrong.join("\n"));
}
