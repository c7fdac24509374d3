//! Checks: green, red, and those that say nothing.

use std::fs;

use serde_json::{Value, json};

use crate::{House, Plan};

fn gate(command: &[&str]) -> Value {
    json!([{"name": "the check", "command": command}])
}

#[test]
fn a_red_check_sends_the_agent_back_with_its_last_lines() {
    let script = json!({"default": {
        "1": [{"write": {"path": "state.txt", "content": "broken\n"}}, {"commit": "Break it"}],
        "2": [{"dump_prompt": "../prompt.2"}, {"write": {"path": "state.txt", "content": "whole\n"}},
              {"commit": "Mend it"}],
    }});
    let check = "for n in $(seq 100); do echo line $n; done; cat state.txt; ! grep -q broken state.txt";
    let house = House::new(&Plan { script, gates: gate(&["sh", "-c", check]), ..Plan::default() });
    house.work(1).good();
    let ran = house.cq("gate").args(["1"]).run().ends(1, "issue #1: checks failed: the check (see '");
    assert_eq!(ran.record()["gates"]["verdict"], "failed");

    let record = house.record(1);
    assert_eq!((&record["status"], &record["outcome"]), (&json!("queued"), &json!("gate-failed")));
    assert_eq!(record["claim"]["attempt"], 2);
    let feedback = record["feedback"][0]["text"].as_str().unwrap();
    assert!(feedback.contains("line 100\nbroken"), "{feedback}");
    assert!(!feedback.contains("line 1\n"), "only the last lines: {feedback}");

    // Too early it is left alone, without an error.
    let early = house.cq("spawn").args(["--wait", "1"]).run().ends(0, "issue #1 is not due before");
    assert_eq!((early.stdout.as_str(), house.lab.pulls().len()), ("", 0));
    let later = "2199-01-01T00:00:00Z";
    let line = "cq-monitor | cq-spawn --wait | cq-gate | cq-pr";
    assert_eq!(house.shell(line).at(later).run().quietly().record()["status"], "pr-ready");
    let prompt = fs::read_to_string(house.workspace(1).join("prompt.2")).unwrap();
    assert!(prompt.contains("line 100\nbroken") && prompt.contains("This is attempt 2."), "{prompt}");
    let pulls = house.lab.pulls();
    assert_eq!(
        (pulls.len(), &pulls[0]["head"]["ref"]),
        (1, &record["claim"]["branch"]),
        "one branch for all"
    );
}

#[test]
fn red_until_the_attempts_are_used_up() {
    let house =
        House::new(&Plan { gates: gate(&["test", "!", "-e", "cq-lab/issue-1.md"]), ..Plan::default() });
    house.configure(|config| config["queue"]["retryAttempts"] = json!(2));
    house.work(1).good();
    house.cq("gate").args(["1"]).run().ends(1, "checks failed");
    let line = "cq-spawn --wait 1 | cq-gate";
    house.shell(line).at("2199-01-01T00:00:00Z").run().ends(1, "checks failed");
    let record = house.record(1);
    assert_eq!((&record["status"], &record["claim"]["attempt"]), (&json!("failed"), &json!(2)));
    house.cq("pr").args(["1"]).run().ends(0, "issue #1 is failed: no pull request is opened");
    assert!(house.lab.pulls().is_empty() && house.lab.branches().is_empty());
    let why = house.cq("status").args(["--explain", "1"]).run().quietly().stdout;
    assert!(why.contains("all attempts are used up") && why.contains("cq-claim --retry 1"), "{why}");
    assert_eq!(house.cq("claim").args(["--retry", "1"]).run().quietly().record()["claim"]["attempt"], 1);
}

/// 126, 127, a signal: nothing was learned about the change, so it is neither red nor green. What is missing is a person's to
/// put there; what a signal ended may come to its end at the next try.
#[test]
fn a_check_that_cannot_run_is_not_red() {
    for (command, exit, status) in [
        (&["/nonexistent/check"][..], 127, "failed"),
        (&["sh", "-c", "exit 127"], 127, "failed"),
        (&["sh", "-c", "exit 126"], 126, "failed"),
        (&["sh", "-c", "kill -SEGV $$"], 139, "testing"),
    ] {
        let house = House::new(&Plan { gates: gate(command), ..Plan::default() });
        house.work(1).good();
        let ran = house.cq("gate").args(["1"]).run().ends(1, "checks could not be evaluated: the check");
        assert_eq!(ran.record()["gates"]["checks"][0]["exit"], exit, "{command:?}");
        let record = house.record(1);
        assert_eq!((&record["status"], &record["gates"]["verdict"]), (&json!(status), &json!("unevaluated")));
        assert_eq!((&record["claim"]["attempt"], record["feedback"].as_array()), (&json!(1), None));
        house.cq("pr").args(["1"]).run().ends(77, "its checks could not be evaluated");
        assert!(house.lab.pulls().is_empty() && house.lab.branches().is_empty());

        // Once the operator has mended the check, the same tree is checked.
        house.configure(|config| config["qualityGates"] = gate(&["true"]));
        house.cq("gate").args(["1"]).run().quietly();
        house.cq("pr").args(["1"]).run().quietly();
        assert_eq!(house.lab.pulls().len(), 1);
    }
}

/// What the agent left lying about uncommitted is not part of the tree, and cannot make a check pass.
#[test]
fn the_tree_is_checked_and_not_the_workspace() {
    let script = json!({"default": [
        {"write": {"path": ".gitignore", "content": "answer.txt\n"}}, {"commit": "Ignore it"},
        {"write": {"path": "answer.txt", "content": "yes"}},
    ]});
    let gates = gate(&["sh", "-c", "test ! -e .gitignore || test -e answer.txt"]);
    let house = House::new(&Plan { script, gates, ..Plan::default() });
    house.work(1).good();
    house.cq("gate").args(["1"]).run().ends(1, "checks failed");
}

/// A file that git does not know is soon cleaned away: then nothing is checked, labelled or guarded by the defaults.
#[test]
fn without_a_configuration_nothing_is_checked_or_delivered() {
    let house = House::usual();
    house.work(1).good();
    let green = house.cq("gate").args(["1"]).run().quietly().record()["gates"].clone();
    let file = house.clone().join("orchestrator-config.json");
    fs::rename(&file, house.place("kept.json")).unwrap();
    for command in ["gate", "pr"] {
        let state = house.state_dir();
        let ran = house
            .cq(command)
            .args(["--state-dir", state.to_str().unwrap(), "--repo", "acme/widgets", "1"])
            .run();
        ran.ends(78, "there is no configuration here that says what must be checked");
    }
    assert_eq!(house.record(1)["gates"], green);
    assert!(house.lab.pulls().is_empty());
    fs::rename(house.place("kept.json"), file).unwrap();
    house.cq("pr").args(["1"]).run().quietly();
}
