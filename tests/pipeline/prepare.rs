//! cq-prepare: a workspace without an agent, by hand and for a supervisor.

use std::fs;

use serde_json::json;

use crate::House;
use crate::support::wait::until;

#[test]
fn by_hand_it_shows_what_an_agent_would_get() {
    let house = House::usual();
    house.claim(1);
    let said = house.cq("prepare").args(["claude-instance-1"]).run().quietly().stdout;
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&said["number"], &said["instance"]), (&json!(1), &json!("claude-instance-1")));
    let prompt = fs::read_to_string(said["prompt"].as_str().unwrap()).unwrap();
    assert!(prompt.contains("Do the first thing."), "{prompt}");
    let readme = format!("{}/README.md", said["worktree"]["path"].as_str().unwrap());
    assert_eq!(fs::read_to_string(readme).unwrap(), "# Widgets\n");
    assert_eq!(house.status(1), "queued");
    house.cq("spawn").args(["--wait", "1"]).run().quietly();
    assert_eq!(house.status(1), "testing");
    let table = house.cq("prepare").args(["claude-instance-1"]).run();
    table.ends(1, "issue #1 is not queued");
}

#[test]
fn what_cannot_be_prepared_is_said() {
    let house = House::with_steps(&json!([{"hang": true}]));
    let prepare = |arguments: &[&str]| house.cq("prepare").args(arguments).run();
    prepare(&["claude-instance-1"]).ends(1, "claude-instance-1 has no issue to work on");
    prepare(&["../x"]).ends(65, "'../x' is not an instance's name");
    house.work_detached(1);
    prepare(&["claude-instance-1"]).ends(75, "claude-instance-1 is being worked on by cq-supervise (pid ");
    prepare(&["--lock-of", "1", "claude-instance-1"]).ends(75, "process 1 did not start this, or has ended");
    let me = std::process::id().to_string();
    prepare(&["--lock-of", &me, "claude-instance-1"]).ends(2, "stdin is not the lock of claude-instance-1");
}

/// A fetch that hangs, say: nobody is left who holds the instance.
#[test]
fn a_supervisor_that_is_killed_takes_it_along() {
    let house = House::usual();
    house.claim(1);
    house.lab.break_with(&json!([{"path": "/acme/widgets.git", "hang": true}]));
    let mut spawn = house.cq("spawn").args(["1"]).start();
    // Not before: the fault would be the next fetch's.
    until("a fetch that hangs", || (house.lab.state()["faults_left"] == 0).then_some(()));
    assert_eq!(house.named(&["cq-prepare"]).len(), 1);
    let supervisor = house.named(&["cq-supervise"])[0].to_string();
    house.program("kill").args(["-KILL", &supervisor]).run().quietly();
    spawn.wait().unwrap();
    until("the end of cq-prepare", || house.named(&["cq-prepare"]).is_empty().then_some(()));
    house.cq("spawn").args(["--wait", "1"]).run().quietly();
    assert_eq!(house.status(1), "testing");
}
