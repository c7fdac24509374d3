//! The rehearsal, used as cq uses GitHub: over HTTP and with real git.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test starts programs itself, and may panic"
)]

#[path = "../support/mod.rs"]
mod support;

mod agent;
mod api;
mod apps;
mod behind;
mod broken;
mod git_server;
mod manual;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

const LAB: &str = env!("CARGO_BIN_EXE_cq-lab");

/// A rehearsal that runs, and a folder to work in.
struct Rehearsal {
    child: Child,
    folder: TempDir,
    ready: Value,
    http: ureq::Agent,
}

/// An answer, read to its end.
struct Got {
    status: u16,
    headers: ureq::http::HeaderMap,
    body: Value,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Rehearsal {
    fn start(seed: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("seed.json");
        fs::write(&file, seed.to_string()).unwrap();
        let ready_file = folder.path().join("ready.json");
        let mut command = Command::new(LAB);
        command.args(["serve", "--seed"]).arg(&file).arg("--ready-file").arg(&ready_file);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let written: Value = serde_json::from_str(&fs::read_to_string(ready_file).unwrap()).unwrap();
        assert_eq!(ready, written);
        let http = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
        Self { child, folder, ready, http }
    }

    fn acme(issues: &Value) -> Self {
        Self::start(&json!({
            "repositories": [{
                "owner": "acme", "name": "widgets", "files": {"README.md": "# Widgets\n", "run.sh": "#!/bin/sh\n"},
                "labels": [{"name": "claude-ready", "color": "0e8a16", "description": "For agents"}],
                "issues": issues,
            }],
            "users": [{"login": "mia", "permission": "maintain"}, {"login": "eve", "permission": "none"}],
        }))
    }

    fn url(&self, path: &str) -> String {
        if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}{path}", self.ready["api_url"].as_str().unwrap())
        }
    }

    fn send(&self, method: &str, path: &str, body: Option<&Value>, headers: &[(&str, &str)]) -> Got {
        let mut request = ureq::http::Request::builder().method(method).uri(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
        let mut response = self.http.run(request.body(body).unwrap()).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        Got {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
        }
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Got {
        self.send(method, path, Some(body), &[("authorization", "Bearer lab-token")])
    }

    fn get(&self, path: &str) -> Got {
        self.send("GET", path, None, &[("authorization", "Bearer lab-token")])
    }

    fn state(&self) -> Value {
        self.get("/_lab/state").body["repositories"][0].clone()
    }

    fn remote(&self, user: &str) -> String {
        let address = self.ready["server_url"].as_str().unwrap().trim_start_matches("http://").to_owned();
        format!("http://{user}{address}/acme/widgets.git")
    }

    fn git(&self, arguments: &[&str]) -> Output {
        git(self.folder.path(), arguments)
    }

    /// Clones, commits a file on a branch and pushes it; gives the commit.
    fn push(&self, branch: &str, file: &str, content: &str) -> String {
        let clone = format!("clone-{}", branch.replace('/', "-"));
        let remote = self.remote("x-access-token:lab-token@");
        if !self.folder.path().join(&clone).exists() {
            good(&self.git(&["clone", "-q", &remote, &clone]));
            good(&self.git(&["-C", &clone, "checkout", "-qb", branch]));
        }
        fs::write(self.folder.path().join(&clone).join(file), content).unwrap();
        good(&self.git(&["-C", &clone, "add", "-A"]));
        good(&self.git(&["-C", &clone, "commit", "-qm", "Change"]));
        good(&self.git(&["-C", &clone, "push", "-q", &remote, branch]));
        good(&self.git(&["-C", &clone, "rev-parse", "HEAD"]))
    }
}

impl Drop for Rehearsal {
    fn drop(&mut self) {
        // SIGTERM, so that the rehearsal removes its folder.
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

fn git(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("git");
    command.args(arguments).current_dir(folder).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.envs([
        ("HOME", "/nonexistent"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ]);
    command.envs([("GIT_TERMINAL_PROMPT", "0"), ("LC_ALL", "C")]);
    command.envs([("GIT_AUTHOR_NAME", "t"), ("GIT_AUTHOR_EMAIL", "t@t")]);
    command.envs([("GIT_COMMITTER_NAME", "t"), ("GIT_COMMITTER_EMAIL", "t@t")]);
    command.output().unwrap()
}

fn good(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The address that `Link` gives for `rel`.
fn link(got: &Got, rel: &str) -> Option<String> {
    let links = got.header("link").split(", ");
    let mut found = links.filter(|link| link.ends_with(&format!("rel=\"{rel}\"")));
    found.next().map(|link| link[1..link.find('>').unwrap()].to_owned())
}
