//! The whole job with a sandbox, and what becomes of it when somebody dies.

use std::fs;

use serde_json::json;

use crate::support::wait::until;
use crate::{House, assert_sound, sandboxed};

const LATER: &str = "2199-01-01T00:00:00Z";

#[test]
fn the_whole_line_from_a_sandbox_to_pull_requests() {
    let Some(house) = sandboxed("the whole line", json!({})) else { return };
    let before = house.owners_view();
    let ran = house.shell("cq-fetch | cq-claim | cq-spawn --wait | cq-gate | cq-pr").run().quietly();
    assert_eq!(ran.numbers().len(), 3);
    assert_eq!(house.lab.pulls().len(), 3);
    for issue in [1, 2, 3] {
        let record = house.record(issue);
        assert_eq!(
            (&record["status"], &record["run"]["sandbox"]),
            (&json!("pr-ready"), &json!("bubblewrap"))
        );
        let branch = record["claim"]["branch"].as_str().unwrap();
        let file = format!("{branch}:cq-lab/issue-{issue}.md");
        assert_eq!(house.git(&["show", &file]), format!("Attempt 1 at issue {issue}."));
        let worktree = house.clone().join("workspaces").join(record["claim"]["instance"].as_str().unwrap());
        assert_eq!(house.git_in(&worktree.join("widgets"), &["status", "--porcelain"]), "");
    }
    assert_eq!(house.owners_view(), before);
    assert_sound(&house);
}

/// What was not committed is committed by cq, and the next attempt goes on from there.
#[test]
fn attempts_go_on_from_one_another() {
    let script = json!({"default": {
        "1": [{"write": {"path": "first.txt", "content": "1"}}, {"commit": "First"},
              {"run": ["sh", "-c", "echo kept > \"$HOME/note\"; echo x > /tmp/gone; echo half > second.txt"]},
              {"exit": 1}],
        "2": [{"run": ["sh", "-c", "test -f /tmp/gone && echo > bad.txt; cat \"$HOME/note\" >> second.txt; \
               git log --format=%s >> second.txt; git status --porcelain >> second.txt"]}],
    }});
    let Some(house) = sandboxed("attempts go on", script) else { return };
    house.work(1).good();
    assert_eq!(house.record(1)["outcome"], "agent-error");
    house.shell("cq-spawn --wait 1 | cq-gate | cq-pr").at(LATER).run().quietly();
    let branch = house.record(1)["claim"]["branch"].as_str().unwrap().to_owned();
    assert_eq!(house.git(&["log", "--format=%s", &format!("main..{branch}")]), "Work on #1\nFirst");
    let seen = house.git(&["show", &format!("{branch}:second.txt")]);
    let lines: Vec<&str> = seen.lines().collect();
    assert_eq!(
        (&lines[..3], lines.last()),
        (&["half", "kept", "First"][..], Some(&"?? second.txt")),
        "{seen}"
    );
    assert!(!seen.contains("D  "), "the index is that of the branch: {seen}");
    assert_eq!(house.lab.pulls().len(), 1);
    assert_sound(&house);
}

/// The supervisor dies, the agent's commits are in quarantine: cq-monitor gets them out.
#[test]
fn a_killed_supervisors_agent_is_ended_and_its_commits_are_collected() {
    let script = json!({"default": [
        {"write": {"path": "new.txt", "content": "x"}}, {"commit": "Add a file"},
        {"leave_child": {"setsid": true, "double_fork": true}},
        // Without the marker; only its namespace gives it away.
        {"run": ["sh", "-c", "env -i setsid /bin/sleep 86413.5 >/dev/null 2>&1 &"]},
        {"hang_after_result": true},
    ]});
    let Some(house) = sandboxed("a killed supervisor", script) else { return };
    house.claim(1);
    let record = house.cq("spawn").args(["1"]).run().quietly().record();
    let claim = format!("CQ_CLAIM={}", record["claim"]["token"].as_str().unwrap());
    until("the agent's result", || {
        let logs = fs::read_dir(house.clone().join("logs/claude-instance-1")).unwrap().flatten();
        let mut texts = logs.filter_map(|entry| fs::read_to_string(entry.path()).ok());
        texts.any(|text| text.contains("\"type\":\"result\"")).then_some(())
    });
    let pid = record["run"]["supervisor"]["pid"].to_string();
    house.program("kill").args(["-KILL", &pid]).run().quietly();
    until("the lock", || {
        let held = house.cq("status").args(["--explain", "1"]).run().good().stdout;
        held.contains("its supervisor is gone").then_some(())
    });
    assert!(
        House::processes_with(&claim).len() >= 3,
        "bubblewrap, the agent and its child are found from outside"
    );
    assert_eq!(sleepers(), 1);
    let branch = record["claim"]["branch"].as_str().unwrap();
    let head = format!("refs/heads/{branch}");
    assert_eq!(house.git(&["rev-parse", &head]), house.git(&["rev-parse", "main"]), "in quarantine");
    house.cq("monitor").run().good();
    assert!(House::processes_with(&claim).is_empty());
    until("the end of what has no marker", || (sleepers() == 0).then_some(()));
    assert_eq!(house.record(1)["status"], "testing");
    assert_eq!(house.git(&["log", "--format=%s", &format!("main..{branch}")]), "Add a file");
    house.shell("cq-gate 1 | cq-pr").run().quietly();
    assert_eq!(house.lab.pulls().len(), 1);
    assert_sound(&house);
}

/// How many processes there are of the one that has no marker.
fn sleepers() -> usize {
    let lines = fs::read_dir("/proc").unwrap().flatten();
    let lines = lines.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| line.as_slice() == b"/bin/sleep\x0086413.5\x00").count()
}

/// Whatever an agent leaves behind ends with it.
#[test]
fn nothing_outlives_a_sandbox() {
    let script = json!({"default": [
        {"run": ["sh", "-c", "for i in 1 2 3; do setsid sh -c 'trap \"\" TERM; sleep 300' >/dev/null 2>&1 & done; echo $!"]},
        {"leave_child": {"setsid": true, "double_fork": true}},
        {"write": {"path": "new.txt", "content": "x"}}, {"commit": "Add a file"},
    ]});
    let Some(house) = sandboxed("nothing outlives a sandbox", script) else { return };
    let claim = house.claim(1);
    let claim = format!("CQ_CLAIM={}", claim["claim"]["token"].as_str().unwrap());
    house.cq("spawn").args(["--wait", "1"]).run().quietly();
    assert!(House::processes_with(&claim).is_empty());
    assert_eq!(house.status(1), "testing");
}
