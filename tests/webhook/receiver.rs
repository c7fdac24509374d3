//! A `cq-webhook` that runs, and deliveries to it.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use ring::hmac;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::support::house::House;
use super::support::wait::DEADLINE;

/// The hook's secret.
pub(crate) const SECRET: &str = "correct horse battery staple";

/// Falls with the test.
pub(crate) struct Receiver {
    pub(crate) child: Child,
    pub(crate) url: String,
    out: PathBuf,
    err: PathBuf,
}

impl Receiver {
    /// For the house's own repository.
    pub(crate) fn start(house: &House, options: &[&str]) -> Self {
        Self::start_at(house, None, options)
    }

    /// At a fixed time.
    pub(crate) fn start_at(house: &House, now: Option<&str>, options: &[&str]) -> Self {
        let out = File::options().create(true).append(true).open(house.place("out.jsonl")).unwrap();
        Self::start_into(house, now, options, out)
    }

    pub(crate) fn start_into(
        house: &House,
        now: Option<&str>,
        options: &[&str],
        out: impl Into<std::process::Stdio>,
    ) -> Self {
        let ready = house.place("ready.json");
        let _ = fs::remove_file(&ready);
        let err = File::create(house.place("err.txt")).unwrap();
        let mut run = house.cq("webhook").env("CQ_WEBHOOK_SECRET", SECRET);
        run =
            run.args(["--listen", "127.0.0.1:0", "--verbose", "--ready-file", "../ready.json"]).args(options);
        if let Some(now) = now {
            run = run.at(now);
        }
        let child = run.start_into(out, err);
        let url = until_ready(house);
        Self { child, url, out: house.place("out.jsonl"), err: house.place("err.txt") }
    }

    pub(crate) fn authority(&self) -> &str {
        self.url.trim_start_matches("http://").split('/').next().unwrap()
    }

    /// What is on stdout by now.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.out).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'), "half a line: {text}");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.lines().iter().map(|record| record["number"].as_u64().unwrap()).collect()
    }

    /// What it said.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.err).unwrap()
    }

    /// Waits for a word on stderr, which is written after the answer.
    #[track_caller]
    pub(crate) fn says(&self, word: &str) {
        let started = Instant::now();
        while !self.said().contains(word) {
            assert!(started.elapsed() < DEADLINE, "'{word}' is not in: {}", self.said());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Its exit status, once it has ended by itself.
    pub(crate) fn status(&mut self) -> Option<i32> {
        let started = Instant::now();
        while started.elapsed() < DEADLINE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("it does not end: {}", self.said())
    }

    /// SIGTERM; its exit status.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        terminate(&self.child);
        self.status()
    }

    /// One request as it is; everything that comes back until the connection ends.
    pub(crate) fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.authority()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        // A server that has seen enough may close before everything is sent.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    }
}

/// SIGTERM.
pub(crate) fn terminate(child: &Child) {
    kill_process(Pid::from_child(child), Signal::TERM).unwrap();
}

/// Waits for the ready file; the address in it.
pub(crate) fn until_ready(house: &House) -> String {
    let started = Instant::now();
    loop {
        if let Ok(text) = fs::read_to_string(house.place("ready.json")) {
            let ready: Value = serde_json::from_str(&text).unwrap();
            return ready["url"].as_str().unwrap().to_owned();
        }
        let said = fs::read_to_string(house.place("err.txt")).unwrap_or_default();
        assert!(started.elapsed() < DEADLINE, "not ready: {said}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A delivery, as GitHub would send it; everything about it can be bent.
#[derive(Clone)]
pub(crate) struct Delivery {
    pub(crate) event: String,
    pub(crate) id: String,
    pub(crate) body: Vec<u8>,
    pub(crate) headers: Vec<(String, String)>,
    /// None: not signed.
    pub(crate) signature: Option<String>,
}

impl Delivery {
    pub(crate) fn new(event: &str, payload: &Value) -> Self {
        Self::of_bytes(event, payload.to_string().into_bytes())
    }

    pub(crate) fn of_bytes(event: &str, body: Vec<u8>) -> Self {
        let signature = Some(sign(SECRET, &body));
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { event: event.to_owned(), id: uuid::Uuid::new_v4().to_string(), body, headers, signature }
    }

    /// An issue of the house's repository that was labelled.
    pub(crate) fn of_issue(number: u64) -> Self {
        Self::new("issues", &issue("labeled", number))
    }

    pub(crate) fn signed(mut self, signature: Option<String>) -> Self {
        self.signature = signature;
        self
    }

    /// Sets a header.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(there, _)| there != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The status and the sentence.
    pub(crate) fn send(&self, url: &str) -> (u16, String) {
        self.send_as("POST", url)
    }

    pub(crate) fn send_as(&self, method: &str, url: &str) -> (u16, String) {
        self.try_send(method, url).unwrap()
    }

    /// An error where no answer comes.
    pub(crate) fn try_send(&self, method: &str, url: &str) -> Result<(u16, String), ureq::Error> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .proxy(None)
            .build()
            .into();
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in self.all_headers() {
            request = request.header(name, value);
        }
        let mut response = agent.run(request.body(self.body.clone()).unwrap())?;
        Ok((response.status().as_u16(), response.body_mut().read_to_string()?))
    }

    pub(crate) fn all_headers(&self) -> Vec<(String, String)> {
        let mut headers = self.headers.clone();
        headers.push(("x-github-event".to_owned(), self.event.clone()));
        headers.push(("x-github-delivery".to_owned(), self.id.clone()));
        headers.extend(self.signature.clone().map(|value| ("x-hub-signature-256".to_owned(), value)));
        headers
    }
}

/// `X-Hub-Signature-256`.
pub(crate) fn sign(secret: &str, body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body);
    let digits: Vec<String> = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={}", digits.concat())
}

/// An `issues` payload for the house's repository.
pub(crate) fn issue(action: &str, number: u64) -> Value {
    json!({
        "action": action,
        "repository": {"full_name": "acme/widgets"},
        "issue": {
            "number": number, "title": format!("Issue {number}"), "state": "open", "body": "Do it.",
            "labels": [{"name": "claude-ready"}, {"name": "P1"}], "user": {"login": "octocat"},
            "html_url": format!("https://github.com/acme/widgets/issues/{number}"),
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        },
    })
}
