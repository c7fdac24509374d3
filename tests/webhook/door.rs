//! Whom the door is opened.

use std::fs;

use serde_json::json;

use crate::{Delivery, House, Receiver};

const NOW: &str = "2026-06-08T00:00:00Z";

/// A house that was told GitHub's addresses at some time.
fn told(at: &str) -> House {
    let house = House::usual();
    fs::create_dir_all(house.state_dir().join("cache")).unwrap();
    let meta = json!({"fetched_at": at, "hooks": ["192.30.252.0/22", "2a0a:a440::/29"]});
    fs::write(house.state_dir().join("cache/meta.json"), meta.to_string()).unwrap();
    house
}

#[test]
fn a_header_opens_the_door_only_when_a_trusted_proxy_wrote_it() {
    let cases: [(&[&str], Option<&str>, u16); 12] = [
        (&[], None, 403),
        (&[], Some("192.30.252.1"), 403),
        (&["--trusted-proxy", "127.0.0.1"], None, 403),
        (&["--trusted-proxy", "127.0.0.1"], Some("192.30.252.1"), 200),
        (&["--trusted-proxy", "127.0.0.1"], Some("::ffff:192.30.252.1"), 200),
        (&["--trusted-proxy", "127.0.0.1"], Some("[2a0a:a440::1]:443"), 200),
        (&["--trusted-proxy", "127.0.0.1"], Some("192.30.252.1, 203.0.113.7"), 403),
        (&["--trusted-proxy", "127.0.0.1"], Some("192.30.252.1, nonsense"), 403),
        (&["--trusted-proxy", "10.0.0.0/8"], Some("192.30.252.1"), 403),
        (&["--allow", "127.0.0.0/8"], None, 200),
        (&["--allow", "127.0.0.0/8", "--trusted-proxy", "127.0.0.1"], Some("203.0.113.7"), 403),
        (&["--allow-any"], Some("203.0.113.7"), 200),
    ];
    let house = told("2026-06-07T12:00:00Z");
    for (number, (options, forwarded, expected)) in (100..).zip(cases) {
        let mut receiver = Receiver::start_at(&house, Some(NOW), options);
        let delivery = Delivery::of_issue(number);
        let delivery = match forwarded {
            Some(value) => delivery.with("x-forwarded-for", value),
            None => delivery,
        };
        assert_eq!(delivery.send(&receiver.url).0, expected, "{options:?} {forwarded:?}");
        if expected == 403 && forwarded.is_none() {
            receiver.says("127.0.0.1 is not an address of GitHub's webhooks");
        }
        assert_eq!(receiver.stop(), Some(0));
    }
}

#[test]
fn a_stranger_is_refused_whatever_it_asks_for() {
    let house = told("2026-06-07T12:00:00Z");
    let receiver = Receiver::start_at(&house, Some(NOW), &[]);
    let delivery = Delivery::of_issue(11);
    for (method, url) in [("GET", receiver.url.clone()), ("POST", receiver.url.replace("/webhook", "/"))] {
        assert_eq!(delivery.send_as(method, &url).0, 403, "{method} {url}");
    }
}

#[test]
fn old_addresses_are_good_for_a_week_and_then_nobody_is_let_in() {
    for (at, expected, said) in [
        ("2026-06-02T00:00:00Z", 200, "are used until 2026-06-09T00:00:00Z"),
        ("2026-05-31T00:00:00Z", 503, "every delivery is refused"),
    ] {
        let house = told(at);
        house.lab.break_with(&json!([{"path": "/meta", "status": 500, "times": 99}]));
        let options = ["--trusted-proxy", "127.0.0.1"];
        let receiver = Receiver::start_at(&house, Some(NOW), &options);
        let delivery = Delivery::of_issue(11).with("x-forwarded-for", "192.30.252.1");
        assert_eq!(delivery.send(&receiver.url).0, expected, "{at}");
        receiver.says(said);
    }
}

#[test]
fn where_nothing_is_known_only_those_get_in_that_were_named() {
    for (options, expected) in [(&[][..], 503), (&["--allow", "127.0.0.1"], 200), (&["--allow-any"], 200)] {
        let house = House::usual();
        house.lab.break_with(&json!([{"path": "/meta", "status": 500, "times": 99}]));
        let receiver = Receiver::start(&house, options);
        assert_eq!(Delivery::of_issue(11).send(&receiver.url).0, expected, "{options:?}");
        assert_eq!(receiver.lines().is_empty(), expected == 503);
    }
}

#[test]
fn the_answer_is_kept_for_the_next_start() {
    let house = House::usual();
    let mut receiver = Receiver::start(&house, &[]);
    assert_eq!(receiver.stop(), Some(0));
    let kept = fs::read_to_string(house.state_dir().join("cache/meta.json")).unwrap();
    assert!(kept.contains("127.0.0.0/8") && kept.contains("fetched_at"), "{kept}");
    house.lab.break_with(&json!([{"path": "/meta", "status": 500, "times": 99}]));
    let receiver = Receiver::start(&house, &[]);
    assert_eq!(Delivery::of_issue(11).send(&receiver.url).0, 200);
}
