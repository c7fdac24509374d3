//! A GitHub of one's own: `cq-lab serve` as a child that ends with the test.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

/// The token that the lab lets in. No vendor's prefix: cq must know it by its value.
pub(crate) const TOKEN: &str = "lab-secret-d41d8cd98f00b204";

/// A GitHub that runs.
pub(crate) struct Lab {
    child: Child,
    ready: Value,
    http: ureq::Agent,
}

impl Lab {
    /// `now` makes its clock stand still.
    pub(crate) fn start(seed_file: &Path, path: &str, home: &Path, now: Option<&str>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cq-lab"));
        command.args(["serve", "--token", TOKEN, "--seed"]).arg(seed_file);
        command.env_clear().env("PATH", path).env("HOME", home);
        command.envs(now.map(|now| ("CQ_NOW", now)));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let http = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
        Self { child, ready: serde_json::from_str(&line).unwrap(), http }
    }

    /// Where it listens: `http://127.0.0.1:port`.
    pub(crate) fn address(&self) -> &str {
        self.ready["server_url"].as_str().unwrap()
    }

    /// Where its bare repositories are.
    pub(crate) fn git_root(&self) -> std::path::PathBuf {
        self.ready["git_root"].as_str().unwrap().into()
    }

    /// Its `host:port`.
    pub(crate) fn authority(&self) -> &str {
        self.address().trim_start_matches("http://")
    }

    pub(crate) fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    /// One request with the token; panics unless it is granted.
    pub(crate) fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.address()));
        let request = request.header("authorization", format!("Bearer {TOKEN}"));
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let mut response = self.http.run(request.body(body).unwrap()).unwrap();
        let text = response.body_mut().with_config().limit(64 << 20).read_to_string().unwrap();
        assert!(response.status().is_success(), "{method} {path}: {} {text}", response.status());
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// Everything it holds.
    pub(crate) fn state(&self) -> Value {
        self.call("GET", "/_lab/state", &Value::Null)
    }

    /// The repository `acme/widgets`, as it stands.
    pub(crate) fn repository(&self) -> Value {
        self.state()["repositories"][0].clone()
    }

    /// The pull requests there are, oldest first.
    pub(crate) fn pulls(&self) -> Vec<Value> {
        let listed = self.call("GET", "/repos/acme/widgets/pulls?state=all&per_page=100", &Value::Null);
        let mut pulls = listed.as_array().unwrap().clone();
        pulls.sort_by_key(|pull| pull["number"].as_u64());
        pulls
    }

    /// The names of the branches that were pushed.
    pub(crate) fn branches(&self) -> Vec<String> {
        let repository = self.repository();
        let names = repository["refs"].as_object().unwrap().keys();
        names
            .filter_map(|name| name.strip_prefix("refs/heads/"))
            .filter(|name| *name != "main")
            .map(str::to_owned)
            .collect()
    }

    pub(crate) fn merge(&self, pull: u64) {
        self.call("PUT", &format!("/repos/acme/widgets/pulls/{pull}/merge"), &json!({}));
    }

    /// How many requests of a method have come, git's own included.
    pub(crate) fn requests_of(&self, method: &str) -> usize {
        let requests = self.state()["requests"].clone();
        requests.as_array().unwrap().iter().filter(|request| request["method"] == method).count()
    }

    /// Somebody does something to an issue behind cq's back (see `POST /_lab/act`).
    pub(crate) fn act(&self, by: &str, number: u64, deed: &Value) {
        self.call("POST", "/_lab/act", &json!({"by": by, "number": number, "do": deed}));
    }

    /// Nothing goes wrong any more.
    pub(crate) fn mend(&self) {
        self.call("DELETE", "/_lab/faults", &Value::Null);
    }

    /// Lets requests fail.
    pub(crate) fn break_with(&self, faults: &Value) {
        self.call("POST", "/_lab/faults", faults);
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // SIGTERM, so that it removes its folder.
        let _ = rustix::process::kill_process(self.pid(), rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}
