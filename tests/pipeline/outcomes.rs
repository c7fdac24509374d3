//! How an agent's run can end, and what follows.

use serde_json::{Value, json};

use crate::support::lab::TOKEN;
use crate::{House, Plan};

/// The record after one attempt of an agent that does these steps.
fn after(steps: &Value) -> (House, Value) {
    let house = House::with_steps(steps);
    house.work(1).good();
    let record = house.record(1);
    (house, record)
}

fn brief(record: &Value) -> (&str, &str, u64) {
    let text = |name: &str| record[name].as_str().unwrap_or_default();
    (text("status"), text("outcome"), record["claim"]["attempt"].as_u64().unwrap())
}

fn why(record: &Value) -> &str {
    record["history"].as_array().unwrap().last().unwrap()["why"].as_str().unwrap()
}

#[test]
fn an_error_is_tried_again() {
    let (_house, record) = after(&json!([{"exit": 7}]));
    assert_eq!(brief(&record), ("queued", "agent-error", 2));
    assert!(
        why(&record).starts_with("exit status 7 without a result; attempt 2 of 3 in "),
        "{}",
        why(&record)
    );
}

#[test]
fn a_killed_agent_has_crashed() {
    let (_house, record) = after(&json!([{"say": "I will"}, {"kill_self": "KILL"}]));
    assert_eq!(brief(&record), ("queued", "crashed", 2));
    assert!(why(&record).contains("ended by signal 9 without a result"), "{}", why(&record));
}

#[test]
fn no_change_needs_a_person() {
    let (house, record) = after(&json!([{"say": "Nothing to do."}]));
    assert_eq!(brief(&record), ("failed", "no-change", 1));
    house.cq("gate").args(["1"]).run().good();
    house.cq("pr").args(["1"]).run().ends(0, "no pull request is opened");
    assert!(house.lab.pulls().is_empty());
}

#[test]
fn a_question_needs_a_person() {
    let (_house, record) = after(&json!([{"say": "NEEDS-INFO: which of the two widgets?"}]));
    assert_eq!(brief(&record), ("failed", "needs-info", 1));
    assert!(why(&record).contains("which of the two widgets?"), "{}", why(&record));
}

#[test]
fn a_refused_login_parks_the_fleet_and_costs_no_attempt() {
    let (house, record) = after(&json!([{"error": {"status": 401, "text": "Invalid API key"}}]));
    assert_eq!(brief(&record), ("queued", "auth", 1));
    let limit = std::fs::read_to_string(house.state_dir().join("limit.json")).unwrap();
    let until = serde_json::from_str::<Value>(&limit).unwrap()["until"].as_str().unwrap().to_owned();
    house.claim(2);
    let said = format!("no agent is started before {until}: the agent could not log in: Invalid API key");
    let ran = house.cq("spawn").args(["2"]).run().ends(75, &said);
    assert!(ran.stderr.contains("hint: mend the agent's login"), "{}", ran.stderr);
    assert_eq!(house.status(2), "queued");
    // Everything that starts no agent goes on.
    house.cq("status").run().ends(0, &until);
    house.cq("spawn").args(["--wait", "2"]).at("2199-01-01T00:00:00Z").run().good();
    assert_eq!(house.record(2)["outcome"], "auth", "after the rest it was tried");
}

#[test]
fn a_usage_limit_parks_the_fleet() {
    let (house, record) = after(&json!([{"error": {"status": 429, "text": "You have hit your limit"}}]));
    assert_eq!(brief(&record), ("queued", "usage-limit", 1));
    house.cq("spawn").args(["1"]).run().ends(75, "usage limit: You have hit your limit");
}

#[test]
fn leftovers_are_committed() {
    let (house, record) = after(&json!([
        {"write": {"path": "committed.txt", "content": "1"}}, {"commit": "Half of it"},
        {"write": {"path": "left/over.txt", "content": "2"}},
    ]));
    assert_eq!(brief(&record), ("testing", "success", 1));
    let branch = record["claim"]["branch"].as_str().unwrap();
    assert_eq!(house.git(&["log", "--format=%s|%an", "-1", branch]), "Work on #1|cq agent");
    assert_eq!(house.git(&["show", &format!("{branch}:left/over.txt")]), "2");
    assert_eq!(house.git_in(&house.workspace(1).join("widgets"), &["status", "--porcelain"]), "");
}

#[test]
fn what_failed_half_way_is_found_again_by_the_next_attempt() {
    let script = json!({"default": {
        "1": [{"write": {"path": "half.txt", "content": "half"}}, {"exit": 1}],
        "2": [{"run": ["cat", "half.txt"]}, {"append": {"path": "half.txt", "content": " and half"}}],
    }});
    let house = House::new(&Plan { script, ..Plan::default() });
    house.work(1).good();
    house.cq("spawn").args(["--wait", "1"]).at("2199-01-01T00:00:00Z").run().good();
    let record = house.record(1);
    assert_eq!(brief(&record), ("testing", "success", 2));
    let branch = record["claim"]["branch"].as_str().unwrap();
    assert_eq!(house.git(&["show", &format!("{branch}:half.txt")]), "half and half");
}

/// A git that is killed leaves its lock behind, and the next attempt's could not commit.
#[test]
fn the_lock_of_a_killed_git_does_not_stop_the_next_attempt() {
    let locks = "touch \"$(git rev-parse --git-dir)/index.lock\" \"$(git rev-parse --git-dir)/HEAD.lock\"";
    let script = json!({"default": {
        "1": [{"run": ["sh", "-c", locks]}, {"exit": 1}],
        "2": [{"write": {"path": "new.txt", "content": "x"}}, {"run": ["git", "add", "-A"]},
              {"run": ["git", "commit", "-q", "-m", "By the agent itself"]}],
    }});
    let house = House::new(&Plan { script, ..Plan::default() });
    house.work(1).good();
    house.cq("spawn").args(["--wait", "1"]).at("2199-01-01T00:00:00Z").run().good();
    let branch = house.record(1)["claim"]["branch"].as_str().unwrap().to_owned();
    assert_eq!(house.git(&["log", "-1", "--format=%s", &branch]).trim_end(), "By the agent itself");
}

#[test]
fn a_secret_that_an_agent_prints_is_masked() {
    let key = "sk-ant-api03-abcdefghijklmnopqrstuvwxyz";
    let steps = json!([
        {"print_secret": TOKEN}, {"print_secret": key}, {"print_stderr": TOKEN},
        {"write": {"path": "new.txt", "content": "x"}}, {"commit": "Add a file"}, {"print_secret": TOKEN},
    ]);
    let (house, _) = after(&steps);
    house.shell("cq-gate 1 | cq-pr").run().quietly();
    let log = house.log(1);
    let told = house.cq("logs").run().quietly().stdout;
    let record = house.record(1).to_string();
    let pull = house.lab.pulls()[0].to_string();
    let events = std::fs::read_dir(house.state_dir()).unwrap().flatten().map(|entry| entry.path());
    let events: String = events
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    for (place, text) in
        [("log", &log), ("logs", &told), ("record", &record), ("pull", &pull), ("events", &events)]
    {
        assert!(!text.contains(TOKEN) && !text.contains(key), "{place}: {text}");
        assert!(!text.is_empty());
    }
    assert!(log.contains("I found [redacted] lying about."), "{log}");
}

/// A daemon that called setsid and forked twice belongs to no group of ours; the claim's marker finds it.
#[test]
fn nothing_of_a_run_outlives_it() {
    let (_house, record) = after(&json!([
        {"leave_child": {"seconds": 300}},
        {"leave_child": {"seconds": 300, "setsid": true}},
        {"leave_child": {"seconds": 300, "setsid": true, "double_fork": true}},
        {"write": {"path": "new.txt", "content": "x"}}, {"commit": "Add a file"},
    ]));
    assert_eq!(brief(&record), ("testing", "success", 1));
    let claim = format!("CQ_CLAIM={}", record["claim"]["token"].as_str().unwrap());
    assert_eq!(House::processes_with(&claim), Vec::<i32>::new());
}
