//! The stop, and what is ended by force.

use serde_json::json;

use crate::House;
use crate::support::wait::until;

#[test]
fn a_drain_stops_every_step_and_a_thaw_lifts_it() {
    let house = House::usual();
    let claimed = house.claim(1);
    house.cq("stop").args(["--drain", "--reason", "release day"]).run().ends(0, "nothing new starts");
    let record = claimed.to_string();
    for (name, args) in
        [("claim", &["2"][..]), ("spawn", &["1"]), ("gate", &["1"]), ("pr", &["1"]), ("pr", &["--sync"])]
    {
        let ran = house.cq(name).args(args).fed(&record).ends(75, ": release day\nhint: cq-stop --thaw");
        assert_eq!(ran.stdout, "", "{name}");
    }
    let told = house.cq("status").args(["--explain", "1"]).run().good().stdout;
    assert!(told.contains("release day"), "{told}");
    assert_eq!((house.status(1).as_str(), house.status(2).as_str()), ("queued", ""));
    // Reading goes on.
    house.cq("fetch").run().quietly();
    house.cq("monitor").at("2199-01-01T00:00:00Z").run().quietly();

    house.cq("stop").args(["--thaw"]).run().ends(0, "thawed");
    house.cq("stop").args(["--thaw"]).run().ends(0, "no stop was in force");
    house.shell("cq-spawn --wait 1 | cq-gate | cq-pr").run().quietly();
    assert_eq!(house.lab.pulls().len(), 1);
}

/// Somebody at 3 a.m.: the configuration is broken, the folder may be the wrong one, the sentinel is garbage.
#[test]
fn a_stop_needs_nothing_but_the_state() {
    let house = House::with_steps(&json!([{"hang": true}]));
    house.work_detached(1);
    std::fs::write(house.clone().join("orchestrator-config.json"), "{,").unwrap();
    std::fs::write(house.state_dir().join("stop"), "garbage").unwrap();
    let ran = house.cq("stop").args(["--abort"]).run().ends(0, "stopped: nothing new starts");
    assert!(ran.stderr.contains("not valid JSON"), "{}", ran.stderr);
    assert_eq!((house.status(1).as_str(), &ran.record()["action"]), ("", &json!("released")));
    std::fs::write(house.state_dir().join("stop"), "garbage").unwrap();
    house.cq("stop").args(["--thaw"]).run().ends(0, "thawed");
    assert!(!house.state_dir().join("stop").exists());

    let elsewhere = house.place("elsewhere");
    let none = elsewhere.join(".cq");
    house
        .cq("stop")
        .args(["--abort", "--state-dir", none.to_str().unwrap()])
        .run()
        .ends(78, "nothing is stopped");
    assert!(!none.exists());
}

/// An agent that does not listen to SIGTERM gets SIGKILL after its grace, here by the operator's force.
#[test]
fn a_stubborn_agent_is_ended_by_force_and_its_work_rescued() {
    let house = House::with_steps(&json!([
        {"ignore_sigterm": true}, {"write": {"path": "begun.txt", "content": "begun"}}, {"hang": true},
    ]));
    house.claim(1);
    let record = house.cq("spawn").args(["1"]).run().quietly().record();
    let claim = format!("CQ_CLAIM={}", record["claim"]["token"].as_str().unwrap());
    until("the agent's first file", || house.workspace(1).join("widgets/begun.txt").exists().then_some(()));
    house.cq("cleanup").args(["claude-instance-1"]).run().ends(1, "claude-instance-1 works on issue #1");
    assert!(!House::processes_with(&claim).is_empty());

    let removed =
        house.cq("cleanup").args(["--force", "claude-instance-1"]).run().ends(0, "ending cq-supervise");
    assert!(House::processes_with(&claim).is_empty());
    let record = house.record(1);
    assert_eq!((&record["status"], &record["outcome"]), (&json!("failed"), &json!("cancelled")));
    let rescued = removed.record()["rescued"].as_str().unwrap().to_owned();
    assert_eq!(rescued, "refs/cq/rescue/1/1");
    assert_eq!(house.git(&["show", &format!("{rescued}:begun.txt")]), "begun");
    assert!(!house.workspace(1).exists());
}

/// CI stops a foreground job with SIGTERM: the agents end, and the exit status says by which signal.
#[test]
fn a_foreground_spawn_that_is_told_to_end_takes_its_agents_along() {
    let house = House::with_steps(&json!([{"hang": true}]));
    house.claim(1);
    let line = "cq-spawn --wait 1 & spawn=$!; \
                until grep -q '\"pid\"' .cq/records/1.json; do sleep 0.05; done; kill -TERM $spawn; wait $spawn";
    let ran = house.shell(line).run().ends(143, "ending 1 agents");
    assert_eq!(ran.record()["number"], 1);
    let record = house.record(1);
    assert_ne!(record["status"], "in-progress");
    let claim = format!("CQ_CLAIM={}", record["claim"]["token"].as_str().unwrap());
    assert!(House::processes_with(&claim).is_empty());
}

/// Ctrl-C was taken for a crash, which used an attempt up and started the agent again.
#[test]
fn ctrl_c_cancels_what_runs_in_the_foreground() {
    let house = House::with_steps(&json!([{"hang": true}]));
    house.claim(1);
    let run = house.shell("cq-spawn --wait 1 | cq-gate | cq-pr").in_a_group();
    let mut line = run.start();
    until("the agent", || house.record(1)["run"]["pid"].is_u64().then_some(()));
    let group = rustix::process::Pid::from_child(&line);
    rustix::process::kill_process_group(group, rustix::process::Signal::INT).unwrap();
    line.wait().unwrap();
    let record = until("the end", || (house.status(1) != "in-progress").then(|| house.record(1)));
    assert_eq!((&record["status"], &record["outcome"]), (&json!("failed"), &json!("cancelled")));
    assert_eq!(record["claim"]["attempt"], 1);
    let claim = format!("CQ_CLAIM={}", record["claim"]["token"].as_str().unwrap());
    until("the end of all", || House::processes_with(&claim).is_empty().then_some(()));
    let again = house.cq("claim").args(["--retry", "1"]).run().good().record();
    assert_eq!((&again["status"], &again["claim"]["attempt"]), (&json!("queued"), &json!(1)));
}

/// Of two signals within one look the last one counted: who pressed Ctrl-C and closed the terminal got the agent again.
#[test]
fn a_ctrl_c_is_not_forgotten_when_the_terminal_closes() {
    use rustix::process::{Pid, Signal, kill_process};
    let house = House::with_steps(&json!([{"hang": true}]));
    house.claim(1);
    let mut spawn = house.cq("spawn").args(["--wait", "1"]).start();
    until("the agent", || house.record(1)["run"]["pid"].is_u64().then_some(()));
    for signal in [Signal::INT, Signal::HUP] {
        kill_process(Pid::from_child(&spawn), signal).unwrap();
    }
    assert_eq!(spawn.wait().unwrap().code(), Some(130));
    let record = house.record(1);
    assert_eq!((&record["status"], &record["outcome"]), (&json!("failed"), &json!("cancelled")));
}
