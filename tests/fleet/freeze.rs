//! cq-stop --freeze and --thaw.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::wait::until;
use crate::{House, marker};

/// An agent that never rests: itself, a child in a session of its own, and a new child every moment, each of which
/// writes; until there is a file GO.
fn restless() -> House {
    let beside = "setsid sh -c 'until test -e GO; do echo b >>../beside; sleep 0.02; done' >/dev/null 2>&1 & \
                  until test -e GO; do sh -c 'echo t >>../ticks'; done; rm GO";
    let house = House::with_steps(&json!([
        {"run": ["sh", "-c", beside]}, {"append": {"path": "new.txt", "content": "x\n"}}, {"commit": "Add a file"},
    ]));
    house.work_detached(1);
    moves(&house);
    house
}

fn sizes(house: &House) -> [u64; 2] {
    ["ticks", "beside"].map(|name| fs::metadata(house.workspace(1).join(name)).map_or(0, |about| about.len()))
}

/// Waits until both write.
fn moves(house: &House) {
    let before = sizes(house);
    until("the agent's work", || {
        let now = sizes(house);
        (now[0] > before[0] && now[1] > before[1]).then_some(())
    });
}

#[test]
fn a_frozen_agent_stands_still_keeps_its_claim_and_goes_on_where_it_was() {
    let house = restless();
    // Less than it will be frozen for: neither the time nor the silence counts.
    house.configure(|config| config["claims"]["leaseMinutes"] = json!(1));
    let before = house.record(1);
    let frozen = house.cq("stop").args(["--freeze", "--reason", "lunch"]).run();
    let frozen = frozen.ends(0, "no agent moves, until cq-stop --thaw");
    assert_eq!((&frozen.record()["action"], &frozen.record()["issue"]), (&json!("frozen"), &json!(1)));
    let still = sizes(&house);
    let began = Instant::now();
    assert_eq!(house.record(1)["run"]["liveness"], "frozen");
    house.cq("stop").args(["--freeze", "--reason", "lunch"]).run().good();
    let shown = house.cq("status").args(["--format", "table"]).run().ends(0, "frozen since");
    assert!(shown.stdout.contains("frozen: cq-stop --thaw lets it go on"), "{}", shown.stdout);
    let status = house.cq("stop").args(["--status"]).run().quietly().record();
    assert_eq!((&status["in_force"], &status["reason"]), (&json!("freeze"), &json!("lunch")));
    house.cq("monitor").run().quietly();
    while began.elapsed() < Duration::from_secs(3) {
        assert_eq!(sizes(&house), still, "nothing is written");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(!House::processes_with(&marker(&house, 1)).is_empty());
    assert_eq!(house.status(1), "in-progress");

    let thawed = house.cq("stop").args(["--thaw"]).run().ends(0, "thawed");
    assert_eq!(thawed.record()["action"], "goes on");
    moves(&house);
    let after = house.record(1);
    assert_eq!((&after["run"]["liveness"], &after["claim"]["attempt"]), (&json!("working"), &json!(1)));
    let deadline = |record: &serde_json::Value| record["run"]["deadline_since_boot_ms"].as_u64().unwrap();
    assert!(deadline(&after) >= deadline(&before) + 3000, "{} {}", deadline(&before), deadline(&after));
    assert!(after["run"]["deadline"].as_str() > before["run"]["deadline"].as_str());
    fs::write(house.workspace(1).join("widgets/GO"), "").unwrap();
    until("the pull request", || (house.lab.pulls().len() == 1).then_some(()));
    assert_eq!(house.cq("stop").args(["--status"]).run().ends(0, "nothing is in force").stdout, "");
}

/// The run's whole time passes while it is frozen, and its lease is renewed.
#[test]
fn frozen_time_counts_for_nothing() {
    let wait = "until test -e GO; do sleep 0.1; done; rm GO";
    let house = House::with_steps(&json!([
        {"run": ["sh", "-c", wait]}, {"append": {"path": "new.txt", "content": "x\n"}}, {"commit": "Add a file"},
    ]));
    house.configure(|config| {
        config["queue"]["timeoutMinutes"] = json!(0.35);
        config["queue"]["stallMinutes"] = json!(0.2);
        config["claims"]["leaseMinutes"] = json!(1);
    });
    house.work_detached(1);
    let lease = || house.record(1)["claim"]["lease_expires_at"].as_str().unwrap().to_owned();
    let leased = lease();
    house.cq("stop").args(["--freeze"]).run().good();
    let began = Instant::now();
    until("the lease's renewal", || (lease() != leased).then_some(()));
    while began.elapsed() < Duration::from_secs(23) {
        std::thread::sleep(Duration::from_millis(200));
    }
    house.cq("monitor").run().quietly();
    assert_eq!(house.status(1), "in-progress", "21 s were its whole time");
    house.cq("stop").args(["--thaw"]).run().good();
    fs::write(house.workspace(1).join("widgets/GO"), "").unwrap();
    until("the pull request", || (house.lab.pulls().len() == 1).then_some(()));
    assert_eq!(house.record(1)["claim"]["attempt"], 1);
}

#[test]
fn a_frozen_agent_can_be_drained_aborted_and_buried() {
    // Another stop takes the freeze's place: the agents move again.
    let house = restless();
    house.cq("stop").args(["--freeze"]).run().good();
    assert_eq!(house.cq("stop").args(["--drain"]).run().good().record()["action"], "to finish");
    moves(&house);
    house.cq("stop").args(["--freeze"]).run().good();
    let asked = Instant::now();
    let aborted = house.cq("stop").args(["--abort"]).run().good().record();
    assert_eq!(aborted["action"], "released");
    assert!(asked.elapsed() < Duration::from_secs(20));
    assert!(house.status(1).is_empty());

    // Its supervisor dies: nothing that is left stands in the way for ever.
    let house = restless();
    house.cq("stop").args(["--freeze"]).run().good();
    let claim = marker(&house, 1);
    crate::kill_supervisor(&house, 1);
    assert_eq!(house.cq("stop").args(["--freeze"]).run().ends(1, "").record()["action"], "has no supervisor");
    house.cq("monitor").run().ends(0, "issue #1 had lost its supervisor; it is queued now");
    assert!(House::processes_with(&claim).is_empty());
}
