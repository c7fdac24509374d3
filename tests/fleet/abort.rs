//! cq-stop --abort: rescue, comment, release.

use std::fs;

use serde_json::{Value, json};

use crate::support::wait::until;
use crate::{House, kill_supervisor, marker};

/// An agent that has changed, made and removed files, committed one of them, and hangs.
fn messy() -> House {
    let make = "printf '\\000\\377\\r\\n' > 'odd name\n.bin'; echo changed >> README.md; rm src/widget.txt; \
                mkdir -p .deep/er; echo hidden > .deep/er/.file; ln -s /etc/passwd link; touch ../done";
    let house = House::with_steps(&json!([
        {"write": {"path": "committed.txt", "content": "1"}}, {"commit": "Half of it"},
        {"run": ["sh", "-c", make]}, {"hang": true},
    ]));
    house.work_detached(1);
    until("the mess", || house.workspace(1).join("done").exists().then_some(()));
    house
}

fn comments(house: &House) -> Vec<String> {
    let listed = house.lab.call("GET", "/repos/acme/widgets/issues/1/comments", &Value::Null);
    listed.as_array().unwrap().iter().map(|comment| comment["body"].as_str().unwrap().to_owned()).collect()
}

/// Every byte of the mess is beneath this ref.
fn holds_everything(house: &House, rescued: &str) {
    let back = house.place("back");
    house.git(&["worktree", "add", "--quiet", "--detach", back.to_str().unwrap(), rescued]);
    assert_eq!(fs::read(back.join("odd name\n.bin")).unwrap(), b"\0\xff\r\n");
    assert_eq!(fs::read_to_string(back.join("README.md")).unwrap(), "# Widgets\nchanged\n");
    assert_eq!(fs::read_to_string(back.join(".deep/er/.file")).unwrap(), "hidden\n");
    assert_eq!(fs::read_link(back.join("link")).unwrap().to_str(), Some("/etc/passwd"));
    assert_eq!(fs::read_to_string(back.join("committed.txt")).unwrap(), "1");
    assert!(!back.join("src/widget.txt").exists());
}

#[test]
fn an_abort_rescues_every_byte_tells_the_issue_once_and_gives_it_back() {
    let house = messy();
    let claim = marker(&house, 1);
    let dry = house.cq("stop").args(["--abort", "--dry-run"]).run().good().record();
    assert_eq!((&dry["action"], house.status(1).as_str()), (&json!("to end"), "in-progress"));

    let told = house.cq("stop").args(["--abort"]).run().good().record();
    assert_eq!(
        told,
        json!({"instance": "claude-instance-1", "issue": 1, "action": "released",
        "rescued": "refs/cq/rescue/1/1"})
    );
    assert!(House::processes_with(&claim).is_empty());
    assert!(house.status(1).is_empty() && !house.workspace(1).exists());
    assert_eq!(house.git(&["branch", "--list", "claude/*"]), "");
    let archived = fs::read_to_string(house.state_dir().join("archive/1.1.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&archived).unwrap()["outcome"], "cancelled");
    let said = comments(&house);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].contains("was stopped by an operator") && said[0].contains("`refs/cq/rescue/1/1`"),
        "{said:?}"
    );
    holds_everything(&house, "refs/cq/rescue/1/1");

    // Again: harmless, and nothing more to say. Nobody takes the issue before the stop is lifted.
    assert_eq!(house.cq("stop").args(["--abort"]).run().good().stdout, "");
    assert_eq!(comments(&house).len(), 1);
    house.cq("claim").args(["1"]).run().ends(75, "stopped since");
    house.cq("stop").args(["--thaw"]).run().good();
    assert_eq!(house.claim(1)["claim"]["attempt"], 1);
}

/// Killed after each of its steps: the next abort finishes it, and nothing is told twice.
#[test]
fn an_abort_that_was_killed_is_finished_by_the_next() {
    let house = messy();
    house.lab.break_with(
        &json!([{"method": "GET", "path": "/repos/*/*/issues/1/comments", "hang": true, "times": 99}]),
    );
    house.configure(|config| config["github"]["timeoutSeconds"] = json!(600));
    let mut first = house.cq("stop").args(["--abort"]).start();
    until("the rescue", || (!house.git(&["for-each-ref", "refs/cq/rescue"]).is_empty()).then_some(()));
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(house.status(1), "failed");
    house.lab.mend();
    let told = house.cq("stop").args(["--abort"]).run().good().record();
    assert_eq!(told["action"], "released");
    assert_eq!(comments(&house).len(), 1);
    holds_everything(&house, told["rescued"].as_str().unwrap());
    assert!(house.status(1).is_empty());
}

#[test]
fn an_abort_needs_neither_supervisor_nor_github_nor_comments() {
    // Its supervisor is dead: the abort does its work.
    let house = messy();
    let claim = marker(&house, 1);
    kill_supervisor(&house, 1);
    let told = house.cq("stop").args(["--abort", "--no-comment"]).run().good().record();
    assert_eq!(told["action"], "released");
    assert!(House::processes_with(&claim).is_empty());
    assert!(comments(&house).is_empty());
    holds_everything(&house, told["rescued"].as_str().unwrap());

    // GitHub is away: what it would have been told is lost, which is said; the work is not.
    let house = messy();
    house.lab.break_with(&json!([{"path": "/", "status": 503, "times": 100_000}]));
    let ran = house.cq("stop").args(["--abort"]).run().ends(69, "GitHub");
    assert_eq!(ran.record()["action"], "released");
    assert!(house.status(1).is_empty());
    holds_everything(&house, ran.record()["rescued"].as_str().unwrap());

    // Without a token there is nobody to tell.
    let house = messy();
    house.cq("stop").args(["--abort", "-v"]).without("GITHUB_TOKEN").run().ends(0, "the issue is not told");
    assert!(house.status(1).is_empty());
}

/// An agent that does not listen: it is said what is waited for.
#[test]
fn while_it_waits_it_says_what_for() {
    let house = House::with_steps(&json!([
        {"ignore_sigterm": true}, {"write": {"path": "begun.txt", "content": "1"}}, {"hang": true},
    ]));
    house.work_detached(1);
    until("the agent's first file", || house.workspace(1).join("widgets/begun.txt").exists().then_some(()));
    let ran = house.cq("stop").args(["--abort"]).run();
    let ran =
        ran.ends(0, "waiting for claude-instance-1 (issue #1); an agent has 10 s to end before it is killed");
    assert_eq!(ran.record()["action"], "released");
}

/// With a configuration that cannot be read, a workspace that is elsewhere is not given up.
#[test]
fn a_workspace_that_is_not_where_the_defaults_have_it_is_kept() {
    let house = House::with_steps(&json!([{"hang": true}]));
    house.configure(|config| config["workspace"]["baseDir"] = json!("./elsewhere"));
    house.work_detached(1);
    let file = house.clone().join("orchestrator-config.json");
    let good = fs::read_to_string(&file).unwrap();
    fs::write(&file, "{,").unwrap();
    let ran = house.cq("stop").args(["--abort"]).run().ends(78, "its workspace is '");
    assert_eq!(
        (ran.record()["action"].as_str(), house.status(1).as_str()),
        (Some("ended, not released"), "failed")
    );
    fs::write(&file, good).unwrap();
    assert_eq!(house.cq("stop").args(["--abort"]).run().good().record()["action"], "released");
}
