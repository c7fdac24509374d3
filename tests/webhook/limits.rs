//! Too large, too slow, at the wrong place.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::{Delivery, House, Receiver};

const CAP: usize = 25 << 20;

/// A payload of exactly so many bytes.
fn padded(number: u64, size: usize) -> Delivery {
    let mut payload = crate::issue("labeled", number);
    payload["padding"] = "".into();
    let short = payload.to_string().len();
    payload["padding"] = "x".repeat(size - short).into();
    let body = payload.to_string().into_bytes();
    assert_eq!(body.len(), size);
    Delivery::of_bytes("issues", body)
}

fn head(delivery: &Delivery, more: &str) -> String {
    let line = |(name, value): (String, String)| format!("{name}: {value}\r\n");
    let headers = delivery.all_headers().into_iter().map(line).collect::<Vec<_>>().concat();
    format!("POST /webhook HTTP/1.1\r\nhost: x\r\n{headers}{more}\r\n")
}

#[test]
fn the_largest_payload_passes_and_one_byte_more_does_not() {
    let house = House::usual();
    let receiver = Receiver::start(&house, &[]);
    assert_eq!(padded(11, CAP).send(&receiver.url), (200, "written\n".to_owned()));
    let larger = padded(12, CAP + 1);
    // Announced: refused before a byte of it is read.
    let answer = receiver.raw(head(&larger, &format!("content-length: {}\r\n", CAP + 1)).as_bytes());
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    // Not announced: refused when it has become too large.
    let mut request = head(&larger, "transfer-encoding: chunked\r\n").into_bytes();
    request.extend(format!("{:x}\r\n", CAP + 1).into_bytes());
    request.extend(&larger.body);
    request.extend(b"\r\n0\r\n\r\n");
    let answer = receiver.raw(&request);
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert_eq!(receiver.numbers(), [11]);
}

/// Sends the beginning, then a byte now and then; what comes back, and after how long the connection has ended.
fn trickle(authority: &str, beginning: &str) -> (String, Duration) {
    let started = Instant::now();
    let mut stream = TcpStream::connect(authority).unwrap();
    stream.write_all(beginning.as_bytes()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let (mut answer, mut buffer) = (Vec::new(), [0; 1024]);
    while started.elapsed() < Duration::from_secs(20) {
        let _ = stream.write(b"x");
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => answer.extend(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
    (String::from_utf8(answer).unwrap(), started.elapsed())
}

#[test]
fn who_sends_slowly_is_cut_off_and_nobody_else_notices() {
    let house = House::usual();
    let receiver = Receiver::start(&house, &[]);
    let delivery = Delivery::of_issue(11);
    let slow_body = head(&delivery, "content-length: 100000\r\n");
    std::thread::scope(|scope| {
        let authority = receiver.authority();
        let heads = [0; 20].map(|_| scope.spawn(|| trickle(authority, "POST /webhook HTTP/1.1\r\nhost: ")));
        let bodies = [0; 4].map(|_| scope.spawn(|| trickle(authority, &slow_body)));
        std::thread::sleep(Duration::from_secs(1));
        let started = Instant::now();
        assert_eq!(delivery.send(&receiver.url).0, 200);
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
        for (answer, took) in heads.map(|thread| thread.join().unwrap()) {
            assert!(answer.is_empty() && took < Duration::from_secs(8), "{answer} {took:?}");
        }
        for (answer, took) in bodies.map(|thread| thread.join().unwrap()) {
            assert!(
                answer.starts_with("HTTP/1.1 408 ") && took < Duration::from_secs(10),
                "{answer} {took:?}"
            );
        }
    });
    assert_eq!(receiver.numbers(), [11]);
}

#[test]
fn only_what_github_sends_to_the_path_is_taken() {
    let house = House::usual();
    let receiver = Receiver::start(&house, &["--path", "/hooks/github"]);
    assert!(receiver.url.ends_with("/hooks/github"));
    let good = Delivery::of_issue(11);
    for method in ["GET", "PUT", "DELETE", "OPTIONS", "BREW"] {
        assert_eq!(good.send_as(method, &receiver.url).0, 405, "{method}");
    }
    for path in ["/", "/hooks/github/", "/hooks/github/x", "/webhook", "//hooks/github", "/hooks/%67ithub"] {
        let url = format!("http://{}{path}", receiver.authority());
        assert_eq!(good.send(&url).0, 404, "{path}");
    }
    let bent = |change: &dyn Fn(&mut Delivery)| {
        let mut delivery = good.clone();
        change(&mut delivery);
        delivery.send(&receiver.url).0
    };
    assert_eq!(bent(&|delivery| delivery.headers.clear()), 415);
    assert_eq!(good.clone().with("content-type", "text/plain").send(&receiver.url).0, 415);
    assert_eq!(bent(&|delivery| delivery.id = "7".to_owned()), 400);
    assert_eq!(bent(&|delivery| delivery.event = "Issues!".to_owned()), 400);
    for body in [
        "",
        "null",
        "{",
        "{}",
        "[]",
        "{\"repository\":{\"full_name\":\"acme/widgets\"},\"action\":\"opened\"}",
    ] {
        let delivery = Delivery::of_bytes("issues", body.as_bytes().to_vec());
        assert_eq!(delivery.send(&receiver.url).0, 400, "{body}");
    }
    let mut elsewhere = crate::issue("labeled", 12);
    elsewhere["repository"]["full_name"] = "acme/gadgets".into();
    assert_eq!(Delivery::new("issues", &elsewhere).send(&receiver.url).0, 403);
    receiver.says("it is of acme/gadgets");
    assert!(receiver.lines().is_empty());
    assert_eq!(good.with("content-type", "Application/JSON; charset=utf-8").send(&receiver.url).0, 200);
}
