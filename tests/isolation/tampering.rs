//! A run that changes the repository around its worktree: told, put back, kept for a person.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::wait::until;
use crate::{House, Plan};

const LATER: &str = "2199-01-01T00:00:00Z";

fn sh(script: &str) -> Value {
    json!({"run": ["sh", "-c", script]})
}

/// A house whose agents do these steps, by issue.
fn house(issues: &Value) -> House {
    House::new(&Plan { script: json!({ "issues": issues }), ..Plan::default() })
}

/// The files of the owner's `.git` that can run code, with their contents.
fn watched(house: &House) -> Vec<(PathBuf, Vec<u8>)> {
    let root = house.clone().join(".git");
    let mut files = vec![root.join("config"), root.join("info/attributes"), root.join("config.worktree")];
    let mut hooks: Vec<_> =
        fs::read_dir(root.join("hooks")).unwrap().map(|entry| entry.unwrap().path()).collect();
    hooks.sort();
    files.extend(hooks);
    files.into_iter().filter_map(|file| Some((file.clone(), fs::read(file).ok()?))).collect()
}

fn ends(house: &House, number: u64) -> (String, String) {
    let record = house.record(number);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&record["status"]), text(&record["outcome"]))
}

fn is(status: &str, outcome: &str) -> (String, String) {
    (status.to_owned(), outcome.to_owned())
}

fn why(house: &House, number: u64) -> String {
    house.record(number)["history"].as_array().unwrap().last().unwrap()["why"].as_str().unwrap().to_owned()
}

/// The only kept folder of an instance whose name holds this.
fn kept(house: &House, instance: u32, what: &str) -> PathBuf {
    let logs = fs::read_dir(house.clone().join(format!("logs/claude-instance-{instance}"))).unwrap();
    let mut kept =
        logs.flatten().map(|entry| entry.path()).filter(|path| path.to_string_lossy().contains(what));
    let found = kept.next().unwrap();
    assert_eq!(kept.next(), None);
    found
}

const PLANT: &str = r#"
    common=$(git rev-parse --git-common-dir)
    git config core.fsmonitor /evil
    printf '#!/bin/sh\n' > "$common/hooks/pre-push" && chmod +x "$common/hooks/pre-push"
    echo '* filter=evil' > "$common/info/attributes"
"#;

#[test]
fn a_run_that_plants_code_is_tampered_undone_and_kept_for_a_person() {
    let house = house(&json!({"1": [
        {"write": {"path": "good.txt", "content": "good"}}, {"commit": "Good work"},
        {"write": {"path": "left-over.txt", "content": "x"}}, sh(PLANT),
    ]}));
    let before = watched(&house);
    house.shell("cq-fetch 1 | cq-claim | cq-spawn --wait | cq-gate | cq-pr").run();
    assert_eq!(ends(&house, 1), is("failed", "tampered"));
    let why = why(&house, 1);
    for named in ["config (core.fsmonitor)", "hooks/pre-push", "info/attributes", "put back"] {
        assert!(why.contains(named), "{why}");
    }
    assert_eq!(watched(&house), before, "as it was");
    let kept = kept(&house, 1, "tampered");
    assert!(fs::read_to_string(kept.join("config")).unwrap().contains("/evil"));
    assert!(kept.join("hooks/pre-push").is_file() && kept.join("info/attributes").is_file());
    let events = fs::read_to_string(house.state_dir().join("events.jsonl")).unwrap();
    assert_eq!(events.lines().filter(|line| line.contains(r#""event":"tampered""#)).count(), 1);

    // Nothing went out, and nothing was added to what the agent had committed.
    assert!(house.lab.branches().is_empty() && house.lab.pulls().is_empty());
    let branch = house.record(1)["claim"]["branch"].as_str().unwrap().to_owned();
    assert_eq!(house.git(&["log", "--format=%s", &format!("main..{branch}")]), "Good work");
    house.cq("cleanup").args(["--all"]).at(LATER).run().quietly();
    assert!(house.workspace(1).join("widgets/left-over.txt").exists(), "for a person to look at");
    house.cq("cleanup").args(["claude-instance-1"]).run().good();
    assert!(!house.workspace(1).exists());
    assert_eq!(house.git(&["show", "refs/cq/rescue/1/1:left-over.txt"]), "x");
}

#[test]
fn what_the_owner_does_meanwhile_is_not_tampering() {
    let house = house(&json!({"1": [
        {"write": {"path": "good.txt", "content": "good"}}, {"commit": "Good work"},
        sh("touch ../../../../at-work; while [ ! -e ../../../../go-on ]; do sleep 0.05; done"),
    ]}));
    house.work_detached(1);
    until("the agent", || house.place("at-work").exists().then_some(()));
    house.git(&["config", "user.email", "owner@example.com"]);
    house.git(&["checkout", "--quiet", "-b", "mine", "--track", "origin/main"]);
    house.git(&["remote", "add", "fork", "https://github.com/me/widgets.git"]);
    house.git(&["worktree", "add", "--quiet", "--detach", &house.text_of("elsewhere")]);
    fs::write(house.place("go-on"), "").unwrap();
    until("the pull request", || (house.status(1) == "pr-ready").then_some(()));
    assert_eq!(house.git(&["config", "branch.mine.remote"]), "origin");
    assert_eq!(house.git(&["config", "remote.fork.url"]), "https://github.com/me/widgets.git");
}

/// Issue 1 plants; issue 2 begins afterwards and works. Only the first is to blame.
#[test]
fn a_run_that_began_after_the_change_is_not_blamed() {
    let wait = "touch ../../../../planted; while [ ! -e ../../../../go-on ]; do sleep 0.05; done";
    let house = house(&json!({
        "1": [sh(PLANT), sh(wait)],
        "2": [{"write": {"path": "good.txt", "content": "good"}}, {"commit": "Good work"}],
    }));
    let before = watched(&house);
    house.work_detached(1);
    until("the plant", || house.place("planted").exists().then_some(()));
    house.claim(2);
    house.shell("cq-spawn --wait 2 | cq-gate | cq-pr").run();
    assert_eq!(house.status(2), "pr-ready");
    assert_eq!(watched(&house), before, "put back before the second began");
    assert!(kept(&house, 2, "found").join("hooks/pre-push").is_file());
    fs::write(house.place("go-on"), "").unwrap();
    until("the end of the first", || (house.status(1) == "failed").then_some(()));
    assert_eq!(ends(&house, 1), is("failed", "tampered"));
    assert!(why(&house, 1).contains("hooks/pre-push"), "{}", why(&house, 1));
}

/// Both run; the one that plants ends first and is blamed, the other finds everything as it was.
#[test]
fn whoever_ends_first_after_the_change_is_blamed_and_nobody_else() {
    let house = house(&json!({
        "1": [sh("while [ ! -e ../../../../begun ]; do sleep 0.05; done"), sh(PLANT)],
        "2": [sh("touch ../../../../begun; while [ ! -e ../../../../go-on ]; do sleep 0.05; done"),
              {"write": {"path": "good.txt", "content": "good"}}, {"commit": "Good work"}],
    }));
    house.work_detached(1);
    house.work_detached(2);
    until("the end of the first", || (house.status(1) == "failed").then_some(()));
    assert_eq!(ends(&house, 1), is("failed", "tampered"));
    fs::write(house.place("go-on"), "").unwrap();
    until("the pull request of the second", || (house.status(2) == "pr-ready").then_some(()));
    assert!(!Path::new(&house.clone().join(".git/hooks/pre-push")).exists());
}

#[test]
fn a_change_whose_supervisor_was_killed_is_found_by_the_monitor() {
    let house = house(&json!({"1": [sh(PLANT), sh("touch ../../../../planted"), {"hang": true}]}));
    let before = watched(&house);
    house.claim(1);
    let record = house.cq("spawn").args(["1"]).run().quietly().record();
    until("the plant", || house.place("planted").exists().then_some(()));
    house.program("kill").args(["-KILL", &record["run"]["supervisor"]["pid"].to_string()]).run().quietly();
    until("the burial", || {
        house.cq("monitor").run();
        (house.status(1) == "failed").then_some(())
    });
    assert_eq!(ends(&house, 1), is("failed", "tampered"));
    assert_eq!(watched(&house), before);
}

/// A worktree whose pointer was bent leads cq nowhere, and gets its own back.
#[test]
fn a_bent_pointer_is_put_back() {
    let house = house(&json!({"1": [
        {"write": {"path": "work.txt", "content": "hours of work"}}, sh("echo 'gitdir: /nonexistent' > .git"),
    ]}));
    house.work(1);
    assert_eq!(ends(&house, 1), is("failed", "tampered"));
    assert!(why(&house, 1).contains(".git"), "{}", why(&house, 1));
    let worktree = house.workspace(1).join("widgets");
    assert_eq!(house.git_in(&worktree, &["status", "--porcelain"]), "?? work.txt");
    // A person has looked: the next attempt works in it again.
    fs::write(house.place("script.json"), "{}").unwrap();
    house.cq("claim").args(["--retry", "1"]).run().good();
    house.shell("cq-spawn --wait 1 | cq-gate | cq-pr").run().good();
    assert_eq!(house.status(1), "pr-ready");
}
