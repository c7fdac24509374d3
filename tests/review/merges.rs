//! What is merged, by which way, and what is not.

use serde_json::{Value, json};

use crate::House;
use crate::place::{PULL, base, check, head, job, opened, review, rules};
use crate::support::wait;

/// A house with a pull request, where merging is on.
fn willing() -> House {
    let house = opened();
    house.configure(|config| config["merge"] = json!({"enabled": true}));
    house
}

/// Approved by mia, green.
fn ready() -> House {
    let house = willing();
    review(&house, "mia", "APPROVED", "", &[]);
    check(&house, &head(&house), "tests", Some("success"), None);
    house
}

/// Nothing is merged, and this is said.
#[track_caller]
fn not_merged(house: &House, status: i32, why: &str) {
    let ran = house.cq("pr").args(["--merge", "--verbose"]).run().ends(status, why);
    assert_eq!(ran.records(), Vec::<Value>::new());
    assert_eq!(house.status(1), "pr-ready");
    assert_eq!(house.lab.pulls()[0]["merged_at"], Value::Null);
}

/// The bodies of the requests that merged, or tried to.
fn merges(house: &House) -> Vec<Value> {
    let requests = house.lab.state()["requests"].clone();
    let of_merge =
        |one: &&Value| one["method"] == "PUT" && one["target"].as_str().unwrap().ends_with("/merge");
    requests.as_array().unwrap().iter().filter(of_merge).map(|one| one["body"].clone()).collect()
}

#[test]
fn merging_is_off_until_it_is_asked_for() {
    let house = opened();
    review(&house, "mia", "APPROVED", "", &[]);
    check(&house, &head(&house), "tests", Some("success"), None);
    not_merged(&house, 78, "merging is off (merge.enabled)");
}

#[test]
fn what_is_approved_and_green_is_merged_with_the_commit_that_was_judged() {
    let house = ready();
    let end = head(&house);
    let dry = house.cq("pr").args(["--merge", "--dry-run"]).run().ends(0, "issue #1: #4 would be merged");
    assert_eq!((dry.record()["status"].as_str(), merges(&house).len()), (Some("pr-ready"), 0));
    let record = house.cq("pr").args(["--merge"]).run().quietly().record();
    assert_eq!(
        (&record["status"], &record["pull_request"]["state"]),
        (&json!("completed"), &json!("merged"))
    );
    assert_eq!(merges(&house), [json!({"sha": end, "merge_method": "squash"})]);
    assert_ne!(house.lab.pulls()[0]["merged_at"], Value::Null);
    house.cq("pr").args(["--merge"]).run().quietly();
    assert_eq!(merges(&house).len(), 1);
}

#[test]
fn nothing_is_merged_without_the_word_of_people() {
    let house = willing();
    let end = head(&house);
    let none = |count: u32| format!("issue #1: not merged: {count} of 1 people have approved {}", &end[..10]);
    check(&house, &end, "tests", Some("success"), None);
    not_merged(&house, 0, &none(0));
    // Neither a stranger's word, nor a machine's, nor that of whoever opened it.
    for by in ["eve", "tri", "helper[bot]", "cq-bot"] {
        house.lab.act("acme", 0, &json!({"set_permission": {"user": "helper[bot]", "permission": "write"}}));
        review(&house, by, "APPROVED", "", &[]);
        not_merged(&house, 0, &none(0));
    }
    house.configure(|config| config["trust"] = json!({"trustedBots": ["helper"]}));
    not_merged(&house, 0, &none(0));
    // Somebody against it outranks somebody for it, until that somebody says otherwise.
    review(&house, "mia", "APPROVED", "", &[]);
    review(&house, "max", "CHANGES_REQUESTED", "No.", &[]);
    not_merged(&house, 0, "issue #1: not merged: changes are asked for by max");
    review(&house, "max", "COMMENTED", "Hm.", &[]);
    not_merged(&house, 0, "changes are asked for by max");
    review(&house, "max", "APPROVED", "Well.", &[]);
    house.configure(|config| config["merge"]["approvals"] = json!(3));
    not_merged(&house, 0, &format!("2 of 3 people have approved {}", &end[..10]));
    assert!(merges(&house).is_empty());
    house.configure(|config| config["merge"]["approvals"] = json!(2));
    assert_eq!(house.cq("pr").args(["--merge"]).run().quietly().record()["status"], "completed");
}

#[test]
fn nothing_is_merged_with_checks_that_are_red_missing_or_at_work() {
    let house = willing();
    review(&house, "mia", "APPROVED", "", &[]);
    let end = head(&house);
    not_merged(&house, 0, "issue #1: not merged: no check has reported on it");
    check(&house, &end, "tests", None, None);
    not_merged(&house, 0, "issue #1: not merged: its checks have not come to their end");
    check(&house, &end, "tests", Some("failure"), None);
    not_merged(&house, 0, "issue #1: not merged: CI is red: tests");
    check(&house, &end, "tests", Some("success"), None);
    rules(&house, &json!({"required": ["tests", "build"]}));
    not_merged(&house, 0, "issue #1: not merged: its checks have not come to their end");
    check(&house, &end, "build", Some("success"), None);
    check(&house, &end, "optional", Some("failure"), None);
    rules(&house, &json!({"required": ["tests", "build"], "approvals": 2}));
    not_merged(&house, 0, "1 of 2 people have approved");
    assert!(merges(&house).is_empty());
    rules(&house, &json!({"required": ["tests", "build"]}));
    assert_eq!(house.cq("pr").args(["--merge"]).run().quietly().record()["status"], "completed");
}

/// A job of another workflow may have the same name, and be green, and later.
#[test]
fn nothing_is_merged_because_a_namesake_is_green() {
    let house = willing();
    review(&house, "mia", "APPROVED", "", &[]);
    let end = head(&house);
    job(&house, &end, ("tests", "build"), "failure");
    job(&house, &end, ("docs", "build"), "success");
    not_merged(&house, 0, "issue #1: not merged: CI is red: build");
    // Nor is it excused by one at the base.
    job(&house, &base(&house), ("docs", "build"), "failure");
    let sent = house.cq("pr").args(["--sync", "--dry-run"]).run().good();
    assert!(
        sent.stderr.contains("would send the agent of issue #1 back: CI is red: build"),
        "{}",
        sent.stderr
    );
    job(&house, &base(&house), ("docs", "build"), "success");
    job(&house, &end, ("tests", "build"), "success");
    assert_eq!(house.cq("pr").args(["--merge"]).run().quietly().record()["status"], "completed");
}

/// Somebody works on one instance, which is no reason to leave the others.
#[test]
fn a_busy_instance_keeps_no_other_from_its_merge() {
    let house = ready();
    house.shell("cq-claim 2 | cq-spawn --wait | cq-gate | cq-pr").run().good();
    let review =
        json!({"repository": "acme/widgets", "number": 5, "user": "mia", "state": "APPROVED", "body": ""});
    house.lab.call("POST", "/_lab/reviews", &review);
    let end = house.lab.pulls()[1]["head"]["sha"].as_str().unwrap().to_owned();
    check(&house, &end, "tests", Some("success"), None);
    let lock = house.state_dir().join("instances/claude-instance-1.lock");
    let held = std::fs::File::options().read(true).write(true).open(lock).unwrap();
    held.lock().unwrap();
    let ran = house.cq("pr").args(["--merge"]).run().ends(75, "claude-instance-1 is being worked on by");
    assert_eq!((&ran.record()["number"], &ran.record()["status"]), (&json!(2), &json!("completed")));
    assert_eq!(house.status(1), "pr-ready");
}

/// The agent was sent back between the look and the merge.
#[test]
fn nothing_is_merged_that_went_back_to_its_agent_meanwhile() {
    let house = ready();
    // What comes after the look.
    let path = "/repos/*/*/collaborators/*/permission";
    house.lab.break_with(&json!([{"method": "GET", "path": path, "pass": true, "delay_ms": 2000}]));
    let mut merging = house.cq("pr").args(["--merge"]).start();
    wait::until("the look", || {
        house.lab.state()["requests"].to_string().contains("query Progress").then_some(())
    });
    let mut record = house.record(1);
    record["status"] = json!("queued");
    std::fs::write(house.state_dir().join("records/1.json"), record.to_string()).unwrap();
    assert_eq!(merging.wait().unwrap().code(), Some(0));
    assert_eq!(house.status(1), "queued");
    assert!(merges(&house).is_empty());
}

/// Between the approval and the merge, and between the look and the merge.
#[test]
fn nothing_is_merged_that_nobody_has_seen() {
    let house = ready();
    let branch = house.record(1)["claim"]["branch"].as_str().unwrap().to_owned();
    let moved = json!({"message": "Head branch was modified. Review and try the merge again."});
    house.lab.break_with(
        &json!([{"method": "PUT", "path": "/repos/*/*/pulls/*/merge", "status": 409, "body": moved}]),
    );
    not_merged(&house, 0, "issue #1: not merged: its branch has moved; it is looked at again");
    let theirs = house.push_by_hand(&branch, "more.txt", "more\n");
    check(&house, &theirs, "tests", Some("success"), None);
    not_merged(&house, 0, &format!("0 of 1 people have approved {}", &theirs[..10]));
    review(&house, "mia", "APPROVED", "", &[]);
    not_merged(&house, 0, &format!("its branch ends with {}, which cq did not push", &theirs[..10]));
}

#[test]
fn githubs_no_is_understood() {
    let answer = |message: &str, status: u16, times: u32| {
        json!([{"method": "PUT", "path": "/repos/*/*/pulls/*/merge", "status": status, "times": times,
            "body": {"message": message}}])
    };
    let house = ready();
    house.lab.break_with(&answer(
        "At least 1 approving review is required by reviewers with write access.",
        405,
        1,
    ));
    not_merged(&house, 1, "issue #1: cannot merge #4: ");
    house.lab.break_with(&answer("Squash merges are not allowed on this repository.", 405, 1));
    not_merged(&house, 78, "acme/widgets does not merge by 'squash' (merge.method)");
    house.lab.break_with(&answer("Validation Failed", 422, 1));
    not_merged(&house, 1, "issue #1: cannot merge #4: ");
    house.lab.break_with(&answer("Base branch was modified. Review and try the merge again.", 405, 3));
    not_merged(&house, 0, "issue #1: not merged: its base moves too fast");
    house.lab.break_with(&answer("Base branch was modified. Review and try the merge again.", 405, 1));
    // The answer is lost after the deed: it is looked for, and not done again.
    house.lab.break_with(
        &json!([{"method": "PUT", "path": "/repos/*/*/pulls/*/merge", "skip": 1, "after_effect": true}]),
    );
    let record = house.cq("pr").args(["--merge"]).run().good().record();
    assert_eq!(record["status"], "completed");
}

#[test]
fn a_red_base_halts_everything() {
    let house = ready();
    house.shell("cq-claim 2 | cq-spawn --wait | cq-gate | cq-pr").run().good();
    check(&house, &base(&house), "tests", Some("failure"), None);
    let ran = house.cq("pr").args(["--merge"]).run().ends(75, "nothing is merged: 'main' is red: tests");
    assert_eq!(ran.stderr.matches("nothing is merged").count(), 1, "{}", ran.stderr);
    assert!(merges(&house).is_empty());
    // What the base does not have to pass does not halt it.
    rules(&house, &json!({"required": ["build"]}));
    check(&house, &head(&house), "build", Some("success"), None);
    let ran = house.cq("pr").args(["--merge"]).run().ends(0, "issue #2: not merged");
    assert_eq!(ran.record()["status"], "completed");
}

#[test]
fn what_waits_for_its_checks_is_left_to_github_where_it_has_auto_merge() {
    let house = willing();
    review(&house, "mia", "APPROVED", "", &[]);
    rules(&house, &json!({"required": ["tests"], "approvals": 1}));
    not_merged(&house, 0, "its checks have not come to their end");
    rules(&house, &json!({"required": ["tests"], "approvals": 1, "auto_merge": true}));
    not_merged(&house, 0, "issue #1: GitHub merges #4 when its checks are green");
    not_merged(&house, 0, "issue #1: GitHub merges it when its checks are green");
    let pull = house.lab.repository()["pulls"][0]["pull"].clone();
    assert_eq!(pull["talk"]["auto_merge"], true);
    let asked = house.lab.state()["requests"].to_string().matches("mutation AutoMerge").count();
    assert_eq!(asked, 1);
    check(&house, &head(&house), "tests", Some("failure"), None);
    not_merged(&house, 0, "CI is red: tests");
}

#[test]
fn a_base_with_a_queue_is_merged_to_by_the_queue() {
    let house = ready();
    rules(&house, &json!({"queue": true}));
    not_merged(&house, 0, "issue #1: #4 is in the merge queue");
    not_merged(&house, 0, "issue #1: it is in the merge queue");
    assert_eq!(house.lab.repository()["pulls"][0]["pull"]["talk"]["queued"], true);
    assert!(merges(&house).is_empty());
}

/// Two at once: one after the other.
#[test]
fn one_merge_at_a_time() {
    let house = ready();
    house.lab.break_with(
        &json!([{"method": "PUT", "path": "/repos/*/*/pulls/*/merge", "pass": true, "delay_ms": 1500}]),
    );
    let children: Vec<_> = (0..2).map(|_| house.cq("pr").args(["--merge"]).start()).collect();
    for mut child in children {
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
    assert_eq!((merges(&house).len(), house.status(1).as_str()), (1, "completed"));
    let pull = &house.lab.call("GET", &format!("/repos/acme/widgets/pulls/{PULL}"), &Value::Null);
    assert_eq!(pull["merged"], true);
}
