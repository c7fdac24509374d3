//! Rounds that came to nothing, and pull requests that were over before theirs.

use std::fs;

use serde_json::{Value, json};

use crate::place::{PULL, head, opened, pull, review};

/// An agent that came to nothing in a later round leaves a pull request that people may merge all the same.
#[test]
fn a_failed_round_is_over_when_its_pull_request_is() {
    for (end, expected) in [("merged", "completed"), ("closed", "failed")] {
        let house = opened();
        fs::write(house.place("script.json"), json!({"default": [{"exit": 1}]}).to_string()).unwrap();
        house.configure(|config| config["queue"]["retryAttempts"] = json!(1));
        review(&house, "mia", "CHANGES_REQUESTED", "In vain.", &[]);
        house.shell("cq-pr --sync | cq-spawn --wait").run().good();
        assert_eq!(house.status(1), "failed");
        assert_eq!(house.cq("pr").args(["--sync"]).run().quietly().records(), Vec::<Value>::new());
        if end == "merged" {
            house.lab.merge(PULL);
        } else {
            house.lab.call(
                "PATCH",
                &format!("/repos/acme/widgets/pulls/{PULL}"),
                &json!({"state": "closed"}),
            );
        }
        let told = house.cq("pr").args(["--sync"]).run().quietly().records().len();
        let record = house.record(1);
        assert_eq!((told, &record["status"]), (usize::from(end == "merged"), &json!(expected)));
        assert_eq!(record["pull_request"]["state"], end);
    }
}

/// A round came to nothing, and its pull request waits for a person as before: until that is over, or the issue let go.
#[test]
fn the_pull_request_of_a_failed_round_counts_as_waiting() {
    for end in ["closed", "released"] {
        let house = opened();
        fs::write(house.place("script.json"), json!({"default": [{"exit": 1}]}).to_string()).unwrap();
        house.configure(|config| {
            config["queue"]["retryAttempts"] = json!(1);
            config["queue"]["maxUnreviewed"] = json!(1);
        });
        review(&house, "mia", "CHANGES_REQUESTED", "In vain.", &[]);
        house.shell("cq-pr --sync | cq-spawn --wait").run().good();
        assert_eq!(house.status(1), "failed");
        let why = "1 pull request waits for a person, and queue.maxUnreviewed allows 1";
        let claim = || house.cq("claim").args(["2"]).run();
        assert_eq!(claim().ends(0, why).numbers(), [0; 0]);
        let told = house.cq("status").args(["--explain", "2"]).run().quietly().stdout;
        assert!(told.contains(why), "{told}");
        let said = "0 of 5 places taken, 1 in flight, 1 of at most 1 pull requests wait for a person";
        house.cq("status").args(["--format", "table"]).run().ends(0, said);
        if end == "closed" {
            let path = format!("/repos/acme/widgets/pulls/{PULL}");
            house.lab.call("PATCH", &path, &json!({"state": "closed"}));
            house.cq("pr").args(["--sync"]).run().quietly();
        } else {
            house.cq("cleanup").args(["claude-instance-1"]).run().good();
            assert_eq!(claim().ends(0, why).numbers(), [0; 0], "without a workspace it waits as well");
            house.cq("claim").args(["--release", "1"]).run().good();
        }
        assert_eq!(claim().quietly().numbers(), [2], "{end}");
    }
}

/// A round came to nothing and its workspace went with the cleanup: tried again, the agent goes on from what people look
/// at, and nothing of that is replaced.
#[test]
fn a_failed_round_is_tried_again_from_the_end_of_its_pull_request() {
    let (house, later) = (opened(), "2031-01-01T00:00:00Z");
    let script = fs::read(house.place("script.json")).unwrap();
    fs::write(house.place("script.json"), json!({"default": [{"exit": 1}]}).to_string()).unwrap();
    house.configure(|config| config["queue"]["retryAttempts"] = json!(1));
    review(&house, "mia", "CHANGES_REQUESTED", "In vain.", &[]);
    house.shell("cq-pr --sync | cq-spawn --wait").run().good();
    assert_eq!(house.status(1), "failed");
    let (seen, branch) = (head(&house), house.record(1)["claim"]["branch"].as_str().unwrap().to_owned());
    let removed =
        house.cq("cleanup").at(later).run().ends(0, "removed 1 receipt older than 30 days").record();
    assert!(removed.get("branch").is_none() && removed.get("remote_branch").is_none(), "{removed:#}");
    assert!(house.workspace(1).symlink_metadata().is_err());
    assert_eq!(house.git(&["rev-parse", &branch]), seen);
    fs::write(house.place("script.json"), script).unwrap();
    house.shell("cq-claim --retry 1 | cq-spawn --wait | cq-gate | cq-pr").at(later).run().good();
    assert_eq!(house.status(1), "pr-ready");
    assert_ne!(head(&house), seen);
    house.git(&["merge-base", "--is-ancestor", &seen, &head(&house)]);
}

/// Somebody closes or merges it while the agent is at it: what it says about the record, and no second pull request.
#[test]
fn a_pull_request_that_is_over_before_its_round_has_no_successor() {
    for (end, expected) in [("merged", "completed"), ("closed", "failed")] {
        let house = opened();
        let first = head(&house);
        review(&house, "mia", "COMMENTED", "Rather not.", &[]);
        house.shell("cq-pr --sync | cq-spawn --wait | cq-gate").run().good();
        let close = || {
            let path = format!("/repos/acme/widgets/pulls/{PULL}");
            house.lab.call("PATCH", &path, &json!({"state": "closed"}));
        };
        if end == "merged" {
            house.lab.merge(PULL);
        } else {
            close();
        }
        let why = format!("issue #1: pull request #{PULL} was {end} meanwhile; nothing is pushed");
        let record = house.cq("pr").args(["1"]).run().ends(0, &why).record();
        assert_eq!((&record["status"], &record["pull_request"]["state"]), (&json!(expected), &json!(end)));
        assert_eq!((pull(&house)["number"].as_u64(), head(&house)), (Some(PULL), first));
        if end == "closed" {
            // An operator who wants more of it, knowing that it is closed, gets a new one.
            house.cq("claim").args(["--retry", "1"]).run().good();
            house.shell("cq-spawn --wait 1 | cq-gate | cq-pr").run().ends(0, "a new one is opened");
            assert_eq!((house.status(1).as_str(), house.lab.pulls().len()), ("pr-ready", 2));
        }
    }
}
