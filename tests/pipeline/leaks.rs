//! No token is ever where somebody else could read it: not in the state, a log, an output, an argument, however
//! long it is, and whoever sends it back.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::House;
use crate::acme_app::{AcmeApp, configured, long_token};
use crate::support::ran::Ran;

/// The beginning of every JWT that is signed with RS256.
const JWT: &str = "eyJhbGciOiJSUzI1NiI";

/// Where the test itself has written them.
const OURS: [&str; 2] = ["app.pem", "seed.json"];

/// What must be nowhere: a token, and the same as git sends it.
pub(crate) fn forms(token: &str) -> [String; 2] {
    [token.to_owned(), STANDARD.encode(format!("x-access-token:{token}"))]
}

/// Reads the arguments of every process until it is told to stop; gives those that held a secret.
pub(crate) struct Watch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<(Vec<String>, u64)>,
}

impl Watch {
    pub(crate) fn for_any_of(secrets: Vec<String>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let (mut found, mut commands) = (Vec::new(), 0);
            while !ended.load(Ordering::SeqCst) {
                for entry in fs::read_dir("/proc").unwrap().flatten() {
                    let Ok(line) = fs::read(entry.path().join("cmdline")) else { continue };
                    let line = String::from_utf8_lossy(&line).replace('\0', " ");
                    commands += u64::from(line.contains("cq-") || line.contains("git"));
                    if secrets.iter().any(|secret| line.contains(secret)) {
                        found.push(line);
                    }
                }
            }
            (found, commands)
        });
        Self { over, thread }
    }

    pub(crate) fn end(self) {
        self.over.store(true, Ordering::SeqCst);
        let (found, commands) = self.thread.join().unwrap();
        assert!(commands > 0, "no command was seen at all");
        assert!(found.is_empty(), "{found:?}");
    }
}

/// A server that fails, and sends back what it was sent.
fn echo(status: u16) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let answer = move |request: Request| async move {
        let signed = request.headers().get(header::AUTHORIZATION).cloned();
        let signed = signed.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
        let git = request.uri().path().contains(".git/");
        let kind = if git { "text/plain" } else { "application/json" };
        let body = if git {
            format!("you sent {signed}\n")
        } else {
            json!({"message": format!("you sent {signed}"), "errors": [signed]}).to_string()
        };
        (StatusCode::from_u16(status).unwrap(), [(header::CONTENT_TYPE, kind)], body)
    };
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, Router::new().fallback(answer)).await.unwrap();
        });
    });
    address
}

/// Every file below a folder whose content holds one of the secrets.
fn leaks_below(folder: &Path, secrets: &[String], found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            leaks_below(&path, secrets, found);
        } else if kind.is_file() && !OURS.iter().any(|name| path.ends_with(name)) {
            let content = fs::read(&path).unwrap_or_default();
            let text = String::from_utf8_lossy(&content);
            if secrets.iter().any(|secret| text.contains(secret)) {
                found.push(path.display().to_string());
            }
        }
    }
}

fn says_nothing(ran: &Ran, secrets: &[String], stdout_too: bool) {
    for secret in secrets {
        assert!(!ran.stderr.contains(secret), "on stderr of {}: {}", ran.name, ran.stderr);
        assert!(!(stdout_too && ran.stdout.contains(secret)), "on stdout of {}: {}", ran.name, ran.stdout);
    }
}

#[test]
fn no_token_is_left_anywhere() {
    let acme = AcmeApp::usual();
    let (house, long) = (&acme.house, long_token());
    assert!((510..=530).contains(&long.len()), "{}", long.len());
    // No vendor's prefix gives it away: it must be known.
    let wrong = "not-the-right-token-at-all".to_owned();
    let key = fs::read_to_string(house.place("app.pem")).unwrap().lines().nth(3).unwrap().to_owned();
    let mut secrets: Vec<String> = [forms(&long), forms(&wrong)].concat();
    secrets.extend([JWT.to_owned(), key]);

    let watch = Watch::for_any_of(secrets.clone());
    let mut all: Vec<Ran> = Vec::new();
    house.configure(|config| config["github"]["app"] = json!(null));
    let failing: Vec<String> = [401, 422].map(echo).to_vec();

    // The long token, and a whole run.
    let long_run = |line: &str| house.shell(line).env("GITHUB_TOKEN", &long).run();
    all.push(long_run("cq-fetch | cq-claim --max 1 | cq-spawn --wait -v | cq-gate | cq-pr -v").good());
    assert_eq!(house.lab.pulls().len(), 1);
    all.push(long_run("cq-claim 2 | cq-spawn --wait | cq-gate").good());
    for token in [&long, &wrong] {
        for line in ["cq-fetch -v", "cq-pr -v 2", "cq-doctor", "cq-init --labels", "cq-pr --sync"] {
            all.push(house.shell(line).env("GITHUB_TOKEN", token).run());
            for address in &failing {
                let run = house.shell(line).env("GITHUB_API_URL", address).env("GITHUB_TOKEN", token);
                all.push(run.env("CQ_MAX_WAIT", "0").run());
            }
        }
        // git's own words when its server sends the header back.
        for address in &failing {
            let run = house.shell("cq-pr -v 2").env("GITHUB_SERVER_URL", address);
            all.push(run.env("GITHUB_TOKEN", token).run());
        }
    }
    // Asked again and again, it sends it back each time.
    all.push(house.shell("cq-fetch -v").env("GITHUB_API_URL", echo(500)).env("GITHUB_TOKEN", &long).run());
    // An App, whose JWT comes back as well.
    house.configure(|config| config["github"]["app"] = configured());
    for line in ["cq-fetch -v", "cq-doctor", "cq-pr -v 2", "cq-token", "cq-token --revoke"] {
        for address in &failing {
            all.push(acme.shell(line).env("GITHUB_API_URL", address).env("CQ_MAX_WAIT", "0").run());
        }
    }
    let token = acme.cq("token").args(["--plain"]).run().quietly();
    secrets.extend(forms(token.stdout.trim_end()));
    all.push(acme.shell("cq-fetch -v; cq-doctor; cq-pr -v 2; cq-pr --sync").run());
    watch.end();

    assert!(all.iter().any(|ran| ran.stderr.contains("you sent Bearer [redacted]")), "nothing was sent back");
    for ran in &all {
        says_nothing(ran, &secrets, true);
    }
    says_nothing(&token, &secrets, false);
    let mut found = Vec::new();
    leaks_below(house.root(), &secrets, &mut found);
    assert!(found.is_empty(), "{found:?}");
}

/// Of those that cq only passes on, whatever they are called by.
#[test]
fn no_key_of_an_agents_own_gets_into_its_log() {
    let house = House::usual();
    let (passed, set) = (["0penai", "key", "of", "mine"].join("-"), ["an0ther", "t0ken"].join("-"));
    let script = "echo \"I have $OPENAI_API_KEY and $SERVICE_TOKEN.\"; echo x >new.txt";
    house.configure(|config| {
        config["agent"] = json!("teller");
        config["agents"]["teller"] = json!({
            "command": ["sh", "-c", script], "parser": "exit-code",
            "envPass": ["OPENAI_API_KEY"], "envSet": {"SERVICE_TOKEN": set},
        });
    });
    house.claim(1);
    house.cq("spawn").args(["--wait", "1"]).env("OPENAI_API_KEY", &passed).run().good();
    let record = house.record(1).to_string();
    let log = house.log(1);
    assert!(log.contains("I have [redacted] and [redacted]."), "{log}");
    assert!(!record.contains(&passed) && !record.contains(&set), "{record}");
}
