//! Answers that break on the wire.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Rehearsal;

/// One request by hand: what came, and how it ended.
fn raw(lab: &Rehearsal, wait: Duration) -> (Vec<u8>, std::io::Result<usize>) {
    let address = lab.ready["server_url"].as_str().unwrap().trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.set_read_timeout(Some(wait)).unwrap();
    let request = format!(
        "GET http://api.github.localhost/user HTTP/1.1\r\nhost: {address}\r\nuser-agent: t\r\nconnection: close\r\n\
         authorization: Bearer lab-token\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut got = Vec::new();
    let end = stream.read_to_end(&mut got);
    (got, end)
}

fn broken(fault: &serde_json::Value) -> Rehearsal {
    let lab = Rehearsal::acme(&json!([]));
    assert_eq!(lab.call("POST", "/_lab/faults", &json!([fault])).status, 204);
    lab
}

#[test]
fn connections_hang_reset_and_end_too_early() {
    let second = Duration::from_secs(1);
    let (got, end) = raw(&broken(&json!({"path": "/user", "hang": true})), second);
    assert!(got.is_empty() && end.unwrap_err().kind() == std::io::ErrorKind::WouldBlock);
    let (got, end) = raw(&broken(&json!({"path": "/user", "reset": true})), second);
    assert!(got.is_empty(), "{}", String::from_utf8_lossy(&got));
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    let (got, _) = raw(&broken(&json!({"path": "/user", "truncate": 10})), second);
    let text = String::from_utf8(got).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert_eq!(body.len(), 10, "{text}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert!(length.parse::<usize>().unwrap() > 100);
    let begun = Instant::now();
    let fault = json!({"path": "/user", "status": 200, "body": "abcdef", "drip_ms": 50});
    let (got, _) = raw(&broken(&fault), second);
    assert!(got.ends_with(b"abcdef") && begun.elapsed() >= Duration::from_millis(300));
}

#[test]
fn answers_come_compressed_skewed_and_from_elsewhere() {
    let lab = broken(&json!({"path": "/user", "gzip": true, "headers": {"x-more": "1"}}));
    let got = lab.get("/user");
    assert_eq!((&got.body["login"], got.header("x-more")), (&json!("cq-bot"), "1"));
    let lab = broken(&json!({"path": "/user", "gzip_bomb": true}));
    let mut response = lab.http.get(lab.url("/user")).call().unwrap();
    response.body_mut().with_config().limit(1 << 20).read_to_string().unwrap_err();
    let lab = broken(&json!({"path": "/user", "date_skew_s": -86400}));
    let got = lab.get("/user");
    let date = chrono::DateTime::parse_from_rfc2822(got.header("date")).unwrap();
    let skew = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now()) - date.to_utc();
    assert_eq!((got.status, skew.num_hours()), (200, 24));
    let lab = broken(&json!({"path": "/user", "redirect_to": "http://127.0.0.1:1/x"}));
    let no_follow: ureq::Agent = ureq::Agent::config_builder()
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .build()
        .into();
    let got = no_follow.get(lab.url("/user")).call().unwrap();
    assert_eq!(
        (got.status().as_u16(), got.headers()["location"].to_str().unwrap()),
        (302, "http://127.0.0.1:1/x")
    );
    let lab = broken(&json!({"path": "/user", "status": 304}));
    assert_eq!(lab.get("/user").status, 304);
}
