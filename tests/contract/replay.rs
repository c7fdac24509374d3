//! A server that gives recorded answers again, each to the request that it was given to.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cq::github::credential::{Credential, Held, Source};
use cq::github::{Access, Client, Endpoints};
use cq::redact::Redactor;
use serde_json::Value;
use url::Url;

/// What the client is to send, and where.
pub(crate) const TOKEN: &str = "replayed-token";

/// A request that came.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    /// Such as `GET /repos/o/r?x=y`.
    pub(crate) line: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: Value,
}

/// Listens until the test program ends.
pub(crate) struct Replay {
    /// `http://127.0.0.1:port`.
    pub(crate) address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Replay {
    /// Gives the answers of these exchanges; where one says `https://api.github.com`, it says `place` (none stands for
    /// itself).
    pub(crate) fn of(exchanges: &[Value], place: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let text = serde_json::to_string(exchanges).unwrap();
        let text = text.replace("https://api.github.com", place.unwrap_or(&address));
        let exchanges: Vec<Value> = serde_json::from_str(&text).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let _ = serve(stream.unwrap(), &exchanges, &log);
            }
        });
        Self { address, seen }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The lines of the requests that came.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }

    /// A client that takes this for GitHub.
    pub(crate) fn client(&self) -> Client {
        let here = Url::parse(&self.address).unwrap();
        let held = Held::new(TOKEN.to_owned(), Source::GitHubToken).unwrap();
        let access = Access {
            endpoints: Endpoints { api: here.clone(), graphql: here.join("graphql").unwrap(), server: here },
            version: "2022-11-28".to_owned(),
            credential: Arc::new(Credential::Token(held)),
            redactor: Redactor::knowing([TOKEN]),
            cache: None,
            timeout: Duration::from_secs(5),
            pause: Duration::ZERO,
            patience: Duration::from_secs(1),
            told_by: None,
        };
        Client::new(access).unwrap()
    }
}

fn serve(stream: TcpStream, exchanges: &[Value], log: &Mutex<Vec<Seen>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length, mut authorization) = (String::new(), 0, None);
    reader.read_line(&mut line)?;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim().split_once(": ") else { break };
        match name.to_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "authorization" => authorization = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let line = line.trim().trim_end_matches(" HTTP/1.1").to_owned();
    let is_it = |exchange: &&Value| {
        format!("{} {}", exchange["method"].as_str().unwrap(), exchange["path"].as_str().unwrap()) == line
            && (body.is_null() || exchange["body"] == body)
    };
    let found = exchanges.iter().find(is_it);
    log.lock().unwrap().push(Seen { line, authorization, body });
    let mut stream = reader.into_inner();
    let Some(exchange) = found else {
        return stream
            .write_all(b"HTTP/1.1 418 Unrecorded\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    };
    let text = match &exchange["response"] {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    let mut answer = format!("HTTP/1.1 {} Recorded\r\nconnection: close\r\n", exchange["status"]);
    for (name, value) in exchange["headers"].as_object().unwrap() {
        answer.extend([name, ": ", value.as_str().unwrap(), "\r\n"]);
    }
    if exchange["status"] != 204 {
        answer.extend(["content-length: ", &text.len().to_string(), "\r\n"]);
    }
    answer.push_str("\r\n");
    answer.push_str(&text);
    stream.write_all(answer.as_bytes())
}
