//! What dies half-way, and what is put away.

use std::fs;

use serde_json::{Value, json};

use crate::support::wait::{until, until_ended};
use crate::{House, Plan};

const LATER: &str = "2199-01-01T00:00:00Z";

/// Starts the agent of issue #1, and kills its supervisor once `ready`.
fn orphaned(steps: &Value, ready: impl Fn(&House) -> bool) -> (House, String) {
    orphaned_as(steps, ready, |_| {})
}

/// The same in a house that is configured.
fn orphaned_as(
    steps: &Value,
    ready: impl Fn(&House) -> bool,
    configure: impl FnOnce(&House),
) -> (House, String) {
    let house = House::with_steps(steps);
    configure(&house);
    house.claim(1);
    let record = house.cq("spawn").args(["1"]).run().quietly().record();
    until("the agent's work", || ready(&house).then_some(()));
    let claim = format!("CQ_CLAIM={}", record["claim"]["token"].as_str().unwrap());
    let pid = record["run"]["supervisor"]["pid"].to_string();
    house.program("kill").args(["-KILL", &pid]).run().quietly();
    until_ended(&pid);
    assert!(!House::processes_with(&claim).is_empty(), "the agent outlives its supervisor");
    assert_eq!(house.status(1), "in-progress");
    (house, claim)
}

#[test]
fn a_run_that_lost_its_supervisor_is_ended_and_tried_again() {
    let steps = json!([{"write": {"path": "begun.txt", "content": "begun"}}, {"hang": true}]);
    let begun = |house: &House| house.workspace(1).join("widgets/begun.txt").exists();
    let (house, claim) = orphaned(&steps, begun);
    let told = house.cq("status").args(["--explain", "1"]).run().quietly().stdout;
    assert!(told.contains("its supervisor is gone: cq-monitor decides what follows"), "{told}");

    // Two ticks at once do it once.
    house.shell("cq-monitor 2>/dev/null & cq-monitor 2>/dev/null; wait").run().quietly();
    assert!(House::processes_with(&claim).is_empty());
    let record = house.record(1);
    assert_eq!((&record["status"], &record["outcome"]), (&json!("queued"), &json!("crashed")));
    assert_eq!((&record["claim"]["attempt"], record["history"].as_array().unwrap().len()), (&json!(2), 3));

    // When it is due, the next tick starts one agent, and the tick after that none.
    house.shell("cq-monitor | cq-spawn").at(LATER).run().quietly();
    house.shell("cq-monitor | cq-spawn").at(LATER).run().quietly();
    assert_eq!(House::processes_with(&claim).len(), 1);
    assert_eq!((house.status(1).as_str(), begun(&house)), ("in-progress", true));
}

/// What took the marker out of its environment is known by its family, also when that is asked to end first.
#[test]
fn a_child_without_the_marker_does_not_outlive_a_run_that_lost_its_supervisor() {
    let child =
        "env -i sh -c 'trap \"\" TERM; echo $$ >pid.new; mv pid.new pid; sleep 300; sleep 300' & wait";
    let started = |house: &House| house.workspace(1).join("widgets/pid").exists();
    let steps = json!([{"run": ["sh", "-c", child]}, {"hang": true}]);
    let (house, claim) = orphaned_as(&steps, started, |house| {
        house.configure(|config| config["limits"]["mechanism"] = json!("watchdog"));
    });
    let pid = fs::read_to_string(house.workspace(1).join("widgets/pid")).unwrap();
    assert!(fs::exists(format!("/proc/{}", pid.trim())).unwrap());
    house.cq("monitor").run().good();
    assert!(House::processes_with(&claim).is_empty());
    until_ended(pid.trim());
}

#[test]
fn a_result_that_was_there_counts_although_the_supervisor_died() {
    let steps = json!([
        {"write": {"path": "new.txt", "content": "x"}}, {"commit": "Add a file"}, {"hang_after_result": true},
    ]);
    let result_is_there = |house: &House| {
        let logs = fs::read_dir(house.clone().join("logs/claude-instance-1")).unwrap().flatten();
        let raw =
            logs.map(|entry| entry.path()).find(|path| path.to_string_lossy().ends_with(".stdout.jsonl"));
        raw.is_some_and(|raw| fs::read_to_string(raw).unwrap().contains("\"type\":\"result\""))
    };
    let (house, claim) = orphaned(&steps, result_is_there);
    let ran = house.cq("monitor").run().ends(0, "issue #1 had lost its supervisor; it is testing now");
    assert!(House::processes_with(&claim).is_empty());
    assert_eq!(ran.record()["outcome"], "success");
    house.shell("cq-gate 1 | cq-pr").run().quietly();
    assert_eq!(house.lab.pulls().len(), 1);
}

/// Everything an agent can leave: committed, changed, new, hidden, executable, a link, odd names, any bytes.
#[test]
fn cleanup_rescues_every_byte_and_touches_nothing_of_the_owners() {
    let make = "printf '\\000\\377\\r\\n' > 'odd name\n.bin'; echo changed >> README.md; rm src/widget.txt; \
                mkdir -p .deep/er; echo hidden > .deep/er/.file; ln -s /etc/passwd link; \
                echo '#!/bin/sh' > tool; chmod +x tool";
    let house = House::with_steps(&json!([
        {"write": {"path": "committed.txt", "content": "1"}}, {"commit": "Half of it"},
        {"run": ["sh", "-c", make]}, {"exit": 1},
    ]));
    fs::write(house.clone().join("owners.txt"), "the owner works here too\n").unwrap();
    house.git(&["branch", "owners-branch"]);
    let before = (house.owners_view(), house.git(&["branch", "--list", "owners-*"]));
    house.work(1).good();
    let branch = house.record(1)["claim"]["branch"].as_str().unwrap().to_owned();

    let dry = house.cq("cleanup").args(["--force", "--dry-run", "claude-instance-1"]).run();
    dry.ends(0, "would remove '");
    let removed = house.cq("cleanup").args(["--force", "claude-instance-1"]).run().quietly().record();
    assert_eq!((&removed["rescued"], &removed["branch"]), (&json!("refs/cq/rescue/1/1"), &json!(branch)));
    assert!(!house.workspace(1).exists());
    assert_eq!(house.git(&["branch", "--list", "claude/*"]), "");
    assert_eq!(house.git(&["worktree", "list"]).lines().count(), 1);
    assert_eq!((house.owners_view(), house.git(&["branch", "--list", "owners-*"])), before);

    let back = house.place("back");
    house.git(&["worktree", "add", "--quiet", "--detach", back.to_str().unwrap(), "refs/cq/rescue/1/1"]);
    assert_eq!(fs::read(back.join("odd name\n.bin")).unwrap(), b"\0\xff\r\n");
    assert_eq!(fs::read_to_string(back.join("README.md")).unwrap(), "# Widgets\nchanged\n");
    assert_eq!(fs::read_to_string(back.join(".deep/er/.file")).unwrap(), "hidden\n");
    assert_eq!(fs::read_link(back.join("link")).unwrap().to_str(), Some("/etc/passwd"));
    assert_eq!(fs::read_to_string(back.join("committed.txt")).unwrap(), "1");
    assert!(!back.join("src/widget.txt").exists());
    house.program("test").args(["-x", back.join("tool").to_str().unwrap()]).run().quietly();

    // The name is free again, and the issue starts afresh when the operator says so.
    assert_eq!(house.claim(2)["claim"]["instance"], "claude-instance-1");
    let again = house.cq("claim").args(["--retry", "1"]).run().quietly().record();
    assert_eq!(again["claim"]["instance"], "claude-instance-2");
}

/// The failed issue kept the instance's name, and its cleanup removed the other issue's work unrescued.
#[test]
fn a_workspace_that_was_given_to_another_issue_is_not_removed_with_the_first_ones_record() {
    let house = House::with_steps(&json!([{"write": {"path": "precious.txt", "content": "1"}}, {"exit": 1}]));
    house.work(1).good();
    house.cq("cleanup").args(["--force", "claude-instance-1"]).run().quietly();
    assert_eq!(house.work(2).good().record()["claim"]["instance"], "claude-instance-1");
    let precious = house.workspace(1).join("widgets/precious.txt");
    assert!(precious.exists());

    assert_eq!(house.cq("cleanup").args(["--all"]).at(LATER).run().quietly().stdout, "");
    house.cq("cleanup").args(["claude-instance-1"]).run().ends(1, "works on issue #2, which is queued");
    assert!(precious.exists());
    let removed = house.cq("cleanup").args(["--all", "--force"]).run().quietly().record();
    assert_eq!((&removed["issue"], &removed["rescued"]), (&json!(2), &json!("refs/cq/rescue/2/1")));
}

#[test]
fn a_merged_issue_is_completed_and_put_away() {
    let house = House::usual();
    let before = house.owners_view();
    house.shell("cq-fetch 1 | cq-claim | cq-spawn --wait | cq-gate | cq-pr").run().quietly();
    let branch = house.record(1)["claim"]["branch"].as_str().unwrap().to_owned();
    assert_eq!(house.cq("pr").args(["--sync"]).run().quietly().stdout, "", "nothing happened yet");
    house.cq("cleanup").args(["--all"]).run().quietly();
    assert!(house.workspace(1).exists(), "a pull request that waits for its review keeps its workspace");

    house.lab.merge(house.lab.pulls()[0]["number"].as_u64().unwrap());
    assert_eq!(house.cq("pr").args(["--sync"]).run().quietly().record()["status"], "completed");
    house.cq("cleanup").run().quietly();
    assert!(house.workspace(1).exists(), "it is kept for workspace.cleanupAfterHours");
    let removed = house.cq("cleanup").args(["--all"]).run().quietly().record();
    assert_eq!((&removed["archived"], &removed["branch"]), (&json!(true), &json!(branch)));
    assert!(removed.get("rescued").is_none(), "everything is on GitHub: {removed}");
    assert!(!house.workspace(1).exists() && house.status(1).is_empty());
    let archived = fs::read_to_string(house.state_dir().join("archive/1.1.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&archived).unwrap()["status"], "completed");
    assert_eq!(house.git(&["branch", "--list", "claude/*"]), "");
    assert_eq!(house.git(&["worktree", "list"]).lines().count(), 1);
    assert_eq!(house.owners_view(), before);
    assert_eq!(house.cq("cleanup").args(["--all"]).run().quietly().stdout, "", "twice is harmless");
    house.cq("claim").args(["1"]).run().ends(77, "issue #1 is not eligible: the issue is closed");
}

#[test]
fn a_pull_request_that_is_closed_fails_its_issue() {
    let house = House::usual();
    house.shell("cq-fetch 1 | cq-claim | cq-spawn --wait | cq-gate | cq-pr").run().quietly();
    let pull = house.lab.pulls()[0]["number"].as_u64().unwrap();
    house.lab.call("PATCH", &format!("/repos/acme/widgets/pulls/{pull}"), &json!({"state": "closed"}));
    let record = house.cq("pr").args(["--sync"]).run().quietly().record();
    assert_eq!((&record["status"], &record["pull_request"]["state"]), (&json!("failed"), &json!("closed")));
    house.cq("claim").args(["1", "-v"]).run().ends(0, "issue #1 is held by");
}

/// A claim whose workspace exists is not given up by mistake, and one without is.
#[test]
fn a_claim_is_released_once_its_workspace_is_put_away() {
    let house = House::new(&Plan { script: json!({"default": [{"say": "no"}]}), ..Plan::default() });
    house.work(1).good();
    let ran = house.cq("claim").args(["--release", "1"]).run().ends(1, "issue #1 still has a workspace");
    assert!(ran.stderr.contains("hint: cq-cleanup claude-instance-1 puts it away"), "{}", ran.stderr);
    house.cq("cleanup").args(["claude-instance-1"]).run().quietly();
    house.cq("claim").args(["--release", "1"]).run().ends(0, "issue #1 is released");
    assert!(house.status(1).is_empty());
    house.claim(1);
}
