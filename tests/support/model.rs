//! A model of one's own: `cq-lab messages` as a child that ends with the test.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// A Messages API that runs.
pub(crate) struct Model {
    child: Child,
    address: String,
    http: ureq::Agent,
}

impl Model {
    /// With a script, and with a key that is the only one let in.
    pub(crate) fn start(script: Option<&Path>, key: Option<&str>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cq-lab"));
        command.arg("messages").env_clear();
        if let Some(script) = script {
            command.arg("--script").arg(script);
        }
        if let Some(key) = key {
            command.args(["--key", key]);
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let http = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
        Self { child, address: ready["base_url"].as_str().unwrap().to_owned(), http }
    }

    /// What `ANTHROPIC_BASE_URL` is to say.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// An answer's status, headers and text.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, ureq::http::HeaderMap, String) {
        let request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.address));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let mut response = self.http.run(request.body(body.to_owned()).unwrap()).unwrap();
        let text = response.body_mut().with_config().limit(64 << 20).read_to_string().unwrap();
        (response.status().as_u16(), response.headers().clone(), text)
    }

    /// The questions that came, oldest first.
    pub(crate) fn requests(&self) -> Vec<Value> {
        serde_json::from_str(&self.send("GET", "/_lab/requests", &[], "").2).unwrap()
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}
