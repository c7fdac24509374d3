//! What GitHub really sends.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::{Delivery, House, Receiver};

fn recorded(event: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/github/webhooks/{event}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Answers by status: how many.
type Count = BTreeMap<u16, usize>;

fn deliver(receiver: &Receiver, event: &str, payloads: &[Value]) -> Count {
    let mut count = Count::new();
    for payload in payloads {
        *count.entry(Delivery::new(event, payload).send(&receiver.url).0).or_default() += 1;
    }
    count
}

#[test]
fn every_recorded_payload_is_a_record_or_dropped_for_a_reason() {
    let house = House::usual();
    house.configure(|config| config["github"]["labels"] = serde_json::json!(["bug"]));
    let receiver = Receiver::start(&house, &["--repo", "codertocat/hello-world"]);
    let issues = recorded("issues");
    // Dropped: 4 milestones (of pull requests), 2 locked, a pin and its end, a deleted issue; refused: a transfer in
    // another repository.
    assert_eq!(deliver(&receiver, "issues", &issues), Count::from([(200, 19), (202, 9), (403, 1)]));
    assert_eq!(deliver(&receiver, "issue_comment", &recorded("issue_comment")), Count::from([(200, 9)]));
    let records = receiver.lines();
    assert_eq!(records.len(), 28);
    for record in &records {
        let read = cq::record::Record::from_json(&record.to_string()).unwrap();
        assert_eq!((read.repo.as_str(), read.number, read.trust), ("codertocat/hello-world", 1, None));
        assert_eq!((read.issue.labels, read.issue.author.as_str()), (vec!["bug".to_owned()], "Codertocat"));
    }
    for event in ["label", "pull_request"] {
        let payloads = recorded(event);
        assert_eq!(deliver(&receiver, event, &payloads), Count::from([(202, payloads.len())]), "{event}");
    }
    assert_eq!(receiver.lines().len(), 28);
    receiver.says("of octo-org/octo-repo");
}

#[test]
fn a_ping_is_answered_and_its_events_are_told() {
    let house = House::usual();
    let receiver = Receiver::start(&house, &["--repo", "Octocoders/Hello-World"]);
    assert_eq!(deliver(&receiver, "ping", &recorded("ping")), Count::from([(200, 4)]));
    receiver.says("GitHub's hook is set up for the events ");
    assert!(receiver.lines().is_empty());
    drop(receiver);
    let receiver = Receiver::start(&house, &[]);
    // The last one is of an organisation's hook, and names no repository.
    assert_eq!(deliver(&receiver, "ping", &recorded("ping")), Count::from([(200, 1), (403, 3)]));
}

#[test]
fn a_form_says_the_same_as_json() {
    let house = House::usual();
    let receiver = Receiver::start(&house, &[]);
    let payload = crate::issue("labeled", 11).to_string();
    let form = url::form_urlencoded::Serializer::new(String::new()).append_pair("payload", &payload).finish();
    let delivery = Delivery::of_bytes("issues", form.into_bytes())
        .with("content-type", "application/x-www-form-urlencoded");
    assert_eq!(delivery.send(&receiver.url), (200, "written\n".to_owned()));
    assert_eq!(receiver.numbers(), [11]);
}

#[test]
fn only_what_may_be_worked_on_is_written_unless_all_is_asked_for() {
    let house = House::usual();
    house.claim(1);
    let changed = |number: u64, action: &str, change: &dyn Fn(&mut Value)| {
        let mut payload = crate::issue(action, number);
        change(&mut payload["issue"]);
        Delivery::new("issues", &payload)
    };
    let deliveries = [
        changed(11, "opened", &|_| {}),
        changed(12, "closed", &|issue| issue["state"] = "closed".into()),
        changed(13, "unlabeled", &|issue| issue["labels"] = serde_json::json!([])),
        changed(14, "labeled", &|issue| issue["labels"] = serde_json::json!(["claude-ready", "blocked"])),
        changed(15, "deleted", &|_| {}),
        changed(16, "transferred", &|_| {}),
        changed(1, "edited", &|_| {}),
    ];
    let receiver = Receiver::start(&house, &[]);
    let statuses = deliveries.each_ref().map(|delivery| delivery.send(&receiver.url).0);
    assert_eq!(statuses, [200, 202, 202, 202, 202, 202, 202]);
    assert_eq!(receiver.numbers(), [11]);
    assert_eq!(receiver.lines()[0]["priority"], 1);
    receiver.says("issue #1 is left alone: held by claude-instance-1 (queued)");
    drop(receiver);
    let receiver = Receiver::start(&house, &["--all"]);
    for delivery in &deliveries {
        assert_eq!(delivery.send(&receiver.url).0, 200);
    }
    // 11 was written before.
    assert_eq!(receiver.numbers(), [11, 12, 13, 14, 15, 16, 1]);
    for record in &receiver.lines()[1..] {
        assert_eq!(record["reasons"].as_array().unwrap().len(), 1, "{record}");
    }
}
