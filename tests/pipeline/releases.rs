//! A claim that is given up, and what must not go with it.

use serde_json::json;

use crate::support::wait::until;
use crate::{House, Plan};

/// Issue #1 failed, and its workspace is gone; #2 is in work under the name of its instance.
fn reused() -> House {
    let script = json!({"issues": {"1": [{"exit": 1}], "2": [{"hang": true}]}});
    let house = House::new(&Plan { script, ..Plan::default() });
    house.configure(|config| config["queue"]["retryAttempts"] = json!(1));
    house.work(1).good();
    house.cq("cleanup").args(["--all", "--force"]).run().good();
    house.work_detached(2);
    until("the agent", || (house.status(2) == "in-progress").then_some(()));
    assert_eq!(house.record(1)["claim"]["instance"], house.record(2)["claim"]["instance"]);
    house
}

/// It was told to put away the workspace of the issue that has the name now.
#[test]
fn a_claim_whose_instance_has_another_issue_by_now_is_released_without_it() {
    let house = reused();
    let table = house.cq("status").args(["--format", "table"]).run().good().stdout;
    let row = |issue: &str| table.lines().find(|line| line.contains(issue)).unwrap().to_owned();
    assert!(row("#1").starts_with("- "), "{table}");
    assert!(row("#2").starts_with("claude-instance-1 "), "{table}");
    let record = house.cq("claim").args(["--release", "1"]).run().ends(0, "issue #1 is released").record();
    assert!(house.status(1).is_empty());
    assert_eq!(house.status(2), "in-progress");
    assert!(house.workspace(1).exists());
    // What was printed looked like a claim.
    for key in ["status", "claim"] {
        assert!(record.get(key).is_none_or(serde_json::Value::is_null), "{key}: {record:#}");
    }
}

/// The hint left out the option that the command then asked for, and what failed was held without a word of what to do.
#[test]
fn a_claim_whose_agent_is_at_work_is_told_how_it_is_given_up() {
    let house = reused();
    let refused = house.cq("claim").args(["--release", "2"]).run();
    let hint = "hint: cq-cleanup --force claude-instance-1 ends its work and puts it away, rescue first";
    refused.ends(1, hint);
    house.cq("cleanup").args(["--force", "claude-instance-1"]).run().good();
    let way = "cq-claim --retry 2 queues it again, cq-claim --release 2 gives it up";
    house.cq("claim").args(["2"]).run().ends(0, way);
    house.cq("claim").args(["--release", "2"]).run().ends(0, "issue #2 is released");
}
