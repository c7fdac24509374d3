//! Each delivery once, each line whole, and what happens when nobody reads them.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::receiver::{terminate, until_ready};
use crate::{Delivery, House, Receiver, SECRET};

#[test]
fn a_delivery_is_written_once_also_across_restarts() {
    let house = House::usual();
    let mut receiver = Receiver::start(&house, &[]);
    let delivery = Delivery::of_issue(11);
    assert_eq!(delivery.send(&receiver.url), (200, "written\n".to_owned()));
    let mut again = delivery.clone();
    again.id = again.id.to_uppercase();
    for delivery in [&delivery, &again] {
        assert_eq!(delivery.send(&receiver.url), (200, "already delivered\n".to_owned()));
    }
    // As with power that fails: no orderly end.
    receiver.child.kill().unwrap();
    receiver.child.wait().unwrap();
    let receiver = Receiver::start(&house, &[]);
    assert_eq!(delivery.send(&receiver.url), (200, "already delivered\n".to_owned()));
    assert_eq!(Delivery::of_issue(11).send(&receiver.url), (200, "written\n".to_owned()), "another delivery");
    assert_eq!(receiver.numbers(), [11, 11]);
    let kept = fs::read_to_string(house.state_dir().join("cache/deliveries.json")).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&kept).unwrap().as_array().unwrap().len(), 2);
}

#[test]
fn a_delivery_that_comes_many_times_at_once_is_written_once() {
    let house = House::usual();
    let receiver = Receiver::start(&house, &[]);
    let delivery = Delivery::of_issue(11);
    let answers = std::thread::scope(|scope| {
        let sent = [0; 12].map(|_| scope.spawn(|| delivery.send(&receiver.url)));
        sent.map(|thread| thread.join().unwrap())
    });
    assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
    assert_eq!(answers.iter().filter(|(_, said)| said == "written\n").count(), 1, "{answers:?}");
    assert_eq!(receiver.numbers(), [11]);
}

#[test]
fn lines_of_deliveries_at_once_do_not_mingle() {
    let house = House::usual();
    let receiver = Receiver::start(&house, &[]);
    let long = |number: u64| {
        let mut payload = crate::issue("labeled", number);
        payload["issue"]["body"] = "b".repeat(60_000).into();
        Delivery::new("issues", &payload)
    };
    std::thread::scope(|scope| {
        for number in 101..=132 {
            let (long, url) = (&long, &receiver.url);
            scope.spawn(move || assert_eq!(long(number).send(url).0, 200));
        }
    });
    let mut numbers = receiver.numbers();
    numbers.sort_unstable();
    assert_eq!(numbers, (101..=132).collect::<Vec<_>>());
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly_and_github_may_send_again() {
    let house = House::usual();
    let mut receiver = Receiver::start_into(&house, None, &[], Stdio::piped());
    drop(receiver.child.stdout.take());
    let delivery = Delivery::of_issue(11);
    assert_eq!(delivery.send(&receiver.url).0, 503);
    assert_eq!(receiver.status(), Some(0));
    assert!(!receiver.said().contains("hint:"), "{}", receiver.said());
    let receiver = Receiver::start(&house, &[]);
    assert_eq!(delivery.send(&receiver.url), (200, "written\n".to_owned()));
}

#[test]
fn a_reader_that_does_not_read_costs_an_answer_and_no_line() {
    let house = House::usual();
    let mut receiver = Receiver::start_into(&house, None, &[], Stdio::piped());
    let long = |number: u64| {
        let mut payload = crate::issue("labeled", number);
        payload["issue"]["body"] = "b".repeat(60_000).into();
        Delivery::new("issues", &payload)
    };
    // A pipe holds 64 KiB.
    assert_eq!(long(11).send(&receiver.url).0, 200);
    let (second, started) = (long(12), Instant::now());
    assert_eq!(second.send(&receiver.url).0, 503);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    let mut lines = BufReader::new(receiver.child.stdout.take().unwrap()).lines();
    for number in [11, 12] {
        let record: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(record["number"], number);
    }
    assert_eq!(second.send(&receiver.url), (200, "already delivered\n".to_owned()));
    assert_eq!(receiver.stop(), Some(0));
    assert!(lines.next().is_none());
}

#[test]
fn it_ends_on_a_signal_even_if_nobody_reads() {
    let house = House::usual();
    let mut receiver = Receiver::start_into(&house, None, &[], Stdio::piped());
    let mut payload = crate::issue("labeled", 11);
    payload["issue"]["body"] = "b".repeat(80_000).into();
    let delivery = Delivery::new("issues", &payload);
    std::thread::scope(|scope| {
        let sent = scope.spawn(|| delivery.try_send("POST", &receiver.url.clone()));
        // Until a part of the line is in the pipe: then the writer hangs.
        let stdout = receiver.child.stdout.as_ref().unwrap();
        let mut waiting = [rustix::event::PollFd::new(stdout, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut waiting, None).unwrap();
        let started = Instant::now();
        terminate(&receiver.child);
        let _ = sent.join().unwrap();
        assert!(started.elapsed() < Duration::from_secs(7), "{:?}", started.elapsed());
    });
    assert_eq!(receiver.status(), Some(0));
}

#[test]
fn a_pipe_with_jq_works() {
    let house = House::usual();
    let line =
        "cq-webhook --listen 127.0.0.1:0 --exit-after 2 --ready-file ../ready.json | jq -r .issue.title";
    let out = fs::File::create(house.place("out")).unwrap();
    let err = fs::File::create(house.place("err.txt")).unwrap();
    let mut child = house.shell(line).env("CQ_WEBHOOK_SECRET", SECRET).start_into(out, err);
    let url = until_ready(&house);
    assert_eq!(Delivery::of_issue(11).send(&url).0, 200);
    assert_eq!(Delivery::new("ping", &serde_json::json!({"hook": {"events": ["push"]}})).send(&url).0, 200);
    assert_eq!(Delivery::of_issue(12).send(&url).0, 200);
    assert!(child.wait().unwrap().success());
    assert_eq!(fs::read_to_string(house.place("out")).unwrap(), "Issue 11\nIssue 12\n");
    let said = fs::read_to_string(house.place("err.txt")).unwrap();
    assert!(said.contains("events push; without 'issues' it tells of no issue"), "{said}");
}
