//! cq-prepare: a workspace without an agent, by hand and for a supervisor.

use std::fs::{self, File};
use std::process::{Child, Stdio};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::House;
use crate::ends::spending;
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

/// A cq-spawn whose cq-prepare fetches, and hangs.
fn hanging(house: &House, arguments: &[&str]) -> Child {
    house.lab.break_with(&json!([{"path": "/acme/widgets.git", "hang": true}]));
    let spawn = house.cq("spawn").args(arguments).start_into(Stdio::null(), Stdio::piped());
    // Not before: the fault would be the next fetch's.
    until("a fetch that hangs", || (house.lab.state()["faults_left"] == 0).then_some(()));
    spawn
}

/// The same in the foreground, and told to end by this signal: its exit status, its words, the record.
fn told_to_end(house: &House, signal: Signal) -> (Option<i32>, String, Value) {
    let spawn = hanging(house, &["--wait", "1"]);
    kill_process(Pid::from_child(&spawn), signal).unwrap();
    let ended = spawn.wait_with_output().unwrap();
    let busy = ["cq-supervise", "cq-prepare", "git", "git-remote-http"];
    until("the end of all", || house.named(&busy).is_empty().then_some(()));
    (ended.status.code(), String::from_utf8(ended.stderr).unwrap(), house.record(1))
}

/// The supervisor noted signals only when the workspace was there: it died of this one without a word, and cq-monitor had
/// the agent run after all.
#[test]
fn ctrl_c_while_the_workspace_is_made_cancels_the_attempt() {
    let house = House::usual();
    house.configure(|config| config["budget"] = json!({"perDayUsd": 9, "perRunUsd": 5}));
    house.claim(1);
    let (exit, told, record) = told_to_end(&house, Signal::INT);
    assert!(exit == Some(130) && !told.contains("without a word"), "{exit:?} {told}");
    assert_eq!((&record["status"], &record["outcome"]), (&json!("failed"), &json!("cancelled")));
    assert_eq!((&record["claim"]["attempt"], &record["run"]), (&json!(1), &json!(null)));
    assert_eq!(spending(&house)["reserved"], json!(null), "given back");
    house.shell("cq-monitor | cq-spawn --wait").at("2199-01-01T00:00:00Z").run().quietly();
    assert_eq!(house.record(1)["history"], record["history"]);
    // Whatever there is of a workspace is no obstacle.
    house.cq("claim").args(["--retry", "1"]).run().good();
    house.cq("spawn").args(["--wait", "1"]).run().quietly();
    assert_eq!(
        (house.status(1), house.record(1)["claim"]["attempt"].clone()),
        ("testing".to_owned(), json!(1))
    );
}

/// The workspace is there, and the supervisor waits for its turn to note how the repository is.
#[test]
fn ctrl_c_between_workspace_and_agent_starts_none() {
    let house = House::usual();
    house.claim(1);
    let guard = house.state_dir().join("guard");
    fs::create_dir_all(&guard).unwrap();
    let lock = File::create(guard.join("lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let mut spawn = house.cq("spawn").args(["--wait", "1"]).start();
    let is_made = || house.workspace(1).join("prompt.md").exists() && house.named(&["cq-prepare"]).is_empty();
    until("the workspace", || is_made().then_some(()));
    let supervisor = house.named(&["cq-supervise"])[0];
    // As cq-spawn passes it on.
    kill_process(Pid::from_raw(supervisor).unwrap(), Signal::INT).unwrap();
    drop(lock);
    assert_eq!(spawn.wait().unwrap().code(), Some(0));
    let record = house.record(1);
    assert_eq!((&record["outcome"], &record["run"]), (&json!("cancelled"), &json!(null)));
    assert!(fs::read_dir(guard.join("runs")).unwrap().next().is_none(), "no run is under way");
}

#[test]
fn a_claim_that_was_cancelled_before_its_agent_started_is_given_up_as_it_is() {
    let house = House::usual();
    house.claim(1);
    told_to_end(&house, Signal::INT);
    fs::create_dir_all(house.workspace(1)).unwrap();
    house.cq("claim").args(["--release", "1"]).run().good();
    assert!(!house.workspace(1).exists());
    house.work(1).quietly();
}

/// A shutdown is nobody's wish that the issue be left.
#[test]
fn a_shutdown_while_the_workspace_is_made_leaves_the_issue_queued() {
    let house = House::usual();
    let claimed = house.claim(1);
    let (exit, told, record) = told_to_end(&house, Signal::TERM);
    assert!(
        exit == Some(143) && told.contains("issue #1: interrupted before its agent was started"),
        "{told}"
    );
    assert_eq!((&record["status"], &record["history"]), (&json!("queued"), &claimed["history"]));
    house.cq("spawn").args(["--wait", "1"]).run().quietly();
    assert_eq!(house.status(1), "testing");
}

/// A fetch that hangs, say: nobody is left who holds the instance.
#[test]
fn a_supervisor_that_is_killed_takes_it_along() {
    let house = House::usual();
    house.claim(1);
    let mut spawn = hanging(&house, &["1"]);
    assert_eq!(house.named(&["cq-prepare"]).len(), 1);
    let supervisor = house.named(&["cq-supervise"])[0].to_string();
    house.program("kill").args(["-KILL", &supervisor]).run().quietly();
    spawn.wait().unwrap();
    until("the end of cq-prepare", || house.named(&["cq-prepare"]).is_empty().then_some(()));
    house.cq("spawn").args(["--wait", "1"]).run().quietly();
    assert_eq!(house.status(1), "testing");
}
