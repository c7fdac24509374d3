//! Doing a thing twice is harmless.

use std::fs;

use serde_json::json;

use crate::{House, Plan};

#[test]
fn a_second_claim_is_confirmed_and_takes_no_place() {
    let house = House::usual();
    let first = house.claim(1);
    let again = house.cq("claim").fed(first.to_string()).quietly().record();
    assert_eq!(again["claim"]["token"], first["claim"]["token"]);
    assert_eq!(house.record(1)["history"].as_array().unwrap().len(), 1);

    // Somebody else, who does not know the token, gets nothing.
    let other = house.cq("claim").args(["1", "-v"]).run().ends(0, "issue #1 is held by");
    assert_eq!(other.stdout, "");
}

#[test]
fn a_tree_that_has_a_verdict_is_not_checked_again() {
    let house = House::usual();
    let counted = house.text_of("counted");
    house.configure(|config| {
        config["qualityGates"] =
            json!([{"name": "count", "command": ["sh", "-c", format!("echo x >> '{counted}'")]}]);
    });
    let count = || fs::read_to_string(&counted).unwrap().lines().count();
    house.work(1).good();
    let first = house.cq("gate").args(["1"]).run().quietly().record();
    let second = house.cq("gate").args(["1"]).run().quietly().record();
    assert_eq!((count(), &second["gates"]), (1, &first["gates"]));
    house.cq("gate").args(["--again", "1"]).run().quietly();
    assert_eq!(count(), 2);
}

#[test]
fn a_branch_gets_one_pull_request_however_often_it_is_asked_for() {
    let house = House::usual();
    house.work(1).good();
    let gated = house.cq("gate").args(["1"]).run().good().record();
    let first = house.cq("pr").fed(gated.to_string()).quietly().record();
    let second = house.cq("pr").fed(gated.to_string()).quietly().record();
    assert_eq!(first["pull_request"], second["pull_request"]);
    assert_eq!(house.lab.pulls().len(), 1);
    let repository = house.lab.repository();
    let pushes: Vec<&str> = repository["pushes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|push| push["reference"].as_str().unwrap())
        .collect();
    let branch = format!("refs/heads/{}", gated["claim"]["branch"].as_str().unwrap());
    assert_eq!(pushes, ["refs/cq/pulls/1", &branch]);
}

/// GitHub did what it was asked for, and the answer was lost: once, and then whenever cq looked again.
#[test]
fn a_pull_request_whose_answer_was_lost_is_adopted() {
    let house = House::usual();
    house.work(1).good();
    house.cq("gate").args(["1"]).run().good();
    let pulls = "/repos/*/*/pulls$";
    house.lab.break_with(&json!([
        {"method": "GET", "path": pulls, "status": 200, "body": []},
        {"method": "POST", "path": pulls, "after_effect": true},
        {"method": "GET", "path": pulls, "status": 502, "times": 4},
    ]));
    house.cq("pr").args(["1"]).run().ends(69, "GitHub is in trouble");
    assert_eq!((house.status(1).as_str(), house.lab.pulls().len()), ("testing", 1));
    house.forget_github();
    let record = house.cq("pr").args(["1"]).run().quietly().record();
    assert_eq!(record["pull_request"]["number"], house.lab.pulls()[0]["number"]);
    assert_eq!(house.lab.pulls().len(), 1);
}

#[test]
fn a_spawn_of_what_works_already_passes_it_on() {
    let script = json!({"default": [{"hang": true}]});
    let house = House::new(&Plan { script, ..Plan::default() });
    house.claim(1);
    let first = house.cq("spawn").args(["1"]).run().quietly().record();
    let second = house.cq("spawn").fed(first.to_string()).quietly().record();
    assert_eq!(first["run"]["pid"], second["run"]["pid"]);
    let claim = format!("CQ_CLAIM={}", first["claim"]["token"].as_str().unwrap());
    assert_eq!(House::processes_with(&claim).len(), 1, "one agent");
}
