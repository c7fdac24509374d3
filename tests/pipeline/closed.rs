//! An issue that somebody has closed wants no agent.

use serde_json::json;

use crate::{House, Plan};

const LATER: &str = "2199-01-01T00:00:00Z";

fn close(house: &House, issue: u64) {
    let path = format!("/repos/acme/widgets/issues/{issue}");
    house.lab.call("PATCH", &path, &json!({"state": "closed"}));
}

/// Issues #1 and #2, waiting for their second attempts; #3 claimed, and not started.
fn waiting() -> House {
    let house = House::with_steps(&json!([{"exit": 1}]));
    house.shell("cq-claim 1 2 | cq-spawn --wait").run().good();
    house.claim(3);
    assert_eq!([1, 2, 3].map(|issue| house.status(issue)), ["queued"; 3]);
    house
}

/// `--retry` queued it, and an agent was paid for.
#[test]
fn a_closed_issue_is_not_tried_again_by_hand() {
    let house = House::new(&Plan { script: json!({"default": [{"exit": 1}]}), ..Plan::default() });
    house.configure(|config| config["queue"]["retryAttempts"] = json!(1));
    house.work(1).good();
    close(&house, 1);
    let retry = || house.cq("claim").args(["--retry", "1"]);
    let ran = retry().run().ends(77, "issue #1 is not eligible: the issue is closed");
    assert!(ran.stderr.contains("cq-claim --release 1 gives it up"), "{}", ran.stderr);
    assert_eq!(house.status(1), "failed");
    // Nobody says so: the operator's word counts.
    let away = retry().env("GITHUB_API_URL", "http://127.0.0.1:9").run();
    away.ends(0, "whether issue #1 is still open is not known: ");
    assert_eq!(house.status(1), "queued");
}

/// The second attempt of an issue was started that had been closed after its first.
#[test]
fn a_closed_issue_is_not_offered_by_a_tick() {
    let house = waiting();
    close(&house, 1);
    close(&house, 3);
    let dry = house.cq("monitor").args(["--dry-run"]).at(LATER).run();
    assert_eq!(dry.ends(0, "would fail issue #1: the issue was closed").numbers(), [2]);
    assert_eq!(house.status(1), "queued");
    let ran = house.cq("monitor").at(LATER).run().ends(0, "issue #1 was closed: no agent is started for it");
    assert_eq!(ran.numbers(), [2]);
    for issue in [1, 3] {
        let record = house.record(issue);
        let last = record["history"].as_array().unwrap().last().unwrap();
        assert_eq!((&record["status"], &last["why"]), (&json!("failed"), &json!("the issue was closed")));
    }
    let ran = house.cq("monitor").at(LATER).run().quietly();
    assert_eq!(ran.numbers(), [2], "said once");
}

/// What is not known, or not asked, keeps nothing back.
#[test]
fn a_tick_that_does_not_ask_offers_what_is_due() {
    let house = waiting();
    close(&house, 1);
    let away = house.cq("monitor").env("GITHUB_API_URL", "http://127.0.0.1:9").at(LATER).run();
    let away = away.ends(69, "no answer: io: Connection refused");
    assert_eq!(away.numbers(), [1, 2, 3]);
    // The cause was told twice, and put down to github.com.
    assert!(away.stderr.matches("Connection refused").count() == away.stderr.matches("no answer").count());
    assert!(
        away.stderr.contains("hint: see whether the server at http://127.0.0.1:9 runs"),
        "{}",
        away.stderr
    );
    house.configure(|config| config["github"]["mirror"] = json!(false));
    house.lab.call("DELETE", "/_lab/requests", &serde_json::Value::Null);
    assert_eq!(house.cq("monitor").at(LATER).run().quietly().numbers(), [1, 2, 3]);
    assert_eq!(house.lab.state()["requests"], json!([]));
}
