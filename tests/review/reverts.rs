//! A merged change is taken back, and its issue gets another go.

use std::fs;

use serde_json::{Value, json};

use crate::House;
use crate::place::{PULL, opened, prompt, rules};
use crate::support::lab::TOKEN;

/// A house whose pull request was merged.
fn merged() -> House {
    let house = opened();
    house.lab.merge(PULL);
    assert_eq!(house.cq("pr").args(["--sync"]).run().quietly().record()["status"], "completed");
    house
}

fn log(house: &House) -> String {
    let lines = (0..70).map(|line| format!("line {line}\n")).collect::<Vec<_>>().concat();
    fs::write(house.place("ci.txt"), format!("{lines}the token is {TOKEN}\nit broke here\n")).unwrap();
    house.text_of("ci.txt")
}

fn revert(house: &House) -> crate::support::ran::Run {
    house.cq("pr").args(["--revert", "1", "--reason", "It breaks the login.", "--log", &log(house)])
}

fn comments(house: &House) -> Vec<String> {
    let listed = house.lab.call("GET", "/repos/acme/widgets/issues/1/comments", &Value::Null);
    let texts = listed.as_array().unwrap().iter().map(|one| one["body"].as_str().unwrap().to_owned());
    texts.filter(|text| text.contains("cq:revert")).collect()
}

/// The second pull request takes the first one back; the issue is open, told of it once, and queued anew.
#[track_caller]
fn is_taken_back(house: &House, record: &Value) {
    let pulls = house.lab.pulls();
    assert_eq!(pulls.len(), 2, "{pulls:#?}");
    let number = pulls[1]["number"].as_u64().unwrap();
    assert_eq!(pulls[1]["title"], "Revert \"First (#1)\"");
    let body = pulls[1]["body"].as_str().unwrap();
    assert!(body.contains("This takes #4 back, which was for #1.\n\nWhy: It breaks the login."), "{body}");
    let branch = pulls[1]["head"]["ref"].as_str().unwrap();
    let files = format!("http://x:{TOKEN}@{}/acme/widgets.git", house.lab.authority());
    house.git(&["fetch", "--quiet", &files, branch]);
    assert_eq!(
        house.git(&["diff", "--name-status", "main", "FETCH_HEAD"]),
        "",
        "nothing is left of the change"
    );

    let issue = house.lab.repository()["issues"][0].clone();
    assert_eq!((&issue["number"], &issue["state"]), (&json!(1), &json!("open")));
    let comments = comments(house);
    assert_eq!(comments.len(), 1, "{comments:#?}");
    let text = &comments[0];
    assert!(
        text.starts_with(&format!(
            "The change of #4 is taken back by #{number}.\n\nWhy: It breaks the login."
        )),
        "{text}"
    );
    assert!(
        text.contains("line 22\n") && text.contains("it broke here") && !text.contains("line 21\n"),
        "{text}"
    );
    assert!(!text.contains(TOKEN) && text.contains("the token is [redacted]"), "{text}");

    assert_eq!(
        (&record["status"], &record["revert"]["step"]),
        (&json!("queued"), &json!("done")),
        "{record:#}"
    );
    assert_eq!(record["revert"]["number"], json!(number));
    assert_eq!(record["claim"]["attempt"], 1);
    assert!(record.get("pull_request").is_none() && record.get("delivery").is_none(), "{record:#}");
    let told = record["feedback"].as_array().unwrap();
    assert_eq!((told.len(), &told[0]["from"]), (1, &json!("revert")));
}

#[test]
fn a_change_is_taken_back_and_the_agent_tries_again() {
    let house = merged();
    let old = house.record(1)["claim"]["branch"].clone();
    // It said that the change was taken back, when only this was opened, and named it nowhere.
    let ran = revert(&house).at("2031-01-01T00:00:00Z").run().ends(0, "cq-pr: issue #1: #5 (http");
    assert!(ran.stderr.contains(") takes #4 back; merge it first"), "{}", ran.stderr);
    let sent = ran.record();
    is_taken_back(&house, &sent);
    let last = sent["history"].as_array().unwrap().last().unwrap();
    assert_eq!(last["why"], "#5 takes #4 back: It breaks the login.");
    assert_ne!(sent["claim"]["branch"], old, "the old branch is merged");
    let again = house.cq("pr").args(["--revert", "1", "--reason", "Again."]).run();
    again.ends(0, "its change is taken back already by #5");
    house.lab.merge(house.lab.pulls()[1]["number"].as_u64().unwrap());
    house.shell("cq-spawn --wait 1 | cq-gate | cq-pr").at("2031-01-01T00:00:00Z").run().good();
    let told = prompt(&house, 1);
    assert!(told.contains("It breaks the login.") && told.contains("it broke here"), "{told}");
    assert_eq!((house.status(1).as_str(), house.lab.pulls().len()), ("pr-ready", 3));
}

/// The usual case, within a day of the merge: no cleanup has been there yet, and afterwards no record would lead one to
/// what the old claim left.
#[test]
fn a_revert_before_the_cleanup_leaves_no_orphans() {
    let house = merged();
    let old = house.record(1)["claim"]["branch"].as_str().unwrap().to_owned();
    fs::write(house.workspace(1).join("widgets/notes.txt"), "nowhere else\n").unwrap();
    assert_eq!(house.lab.branches(), std::slice::from_ref(&old));
    let ran = revert(&house).at("2031-01-01T00:00:00Z").run();
    let ran = ran.ends(0, "what its workspace held besides is in refs/cq/rescue/1/1");
    let sent = ran.record();
    is_taken_back(&house, &sent);
    assert_eq!(house.git(&["show", "refs/cq/rescue/1/1:notes.txt"]), "nowhere else");
    assert_eq!(house.git(&["for-each-ref", &format!("refs/heads/{old}")]), "");
    assert!(!house.lab.branches().contains(&old), "{:?}", house.lab.branches());
    assert_eq!(sent["claim"]["instance"], "claude-instance-1", "its name is free");
    assert!(house.workspace(1).symlink_metadata().is_err());
    house.cq("cleanup").args(["--all"]).run().quietly();
    assert_eq!(house.status(1), "queued");
}

/// Somebody is in the old workspace: it stays theirs, and the revert goes on once they have left.
#[test]
fn a_revert_waits_for_whoever_is_in_the_old_workspace() {
    let house = merged();
    let mut command = std::process::Command::new("sleep");
    let mut sleeper = command.arg("600").current_dir(house.workspace(1).join("widgets")).spawn().unwrap();
    revert(&house).run().ends(1, "is not removed: sleep (pid ");
    assert_eq!(house.status(1), "completed");
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    let sent = revert(&house).at("2031-01-01T00:00:00Z").run().good().record();
    is_taken_back(&house, &sent);
    assert!(house.workspace(1).symlink_metadata().is_err());
}

/// The record had gone to the archive, and this GitHub makes no reverts.
#[test]
fn an_archived_change_is_taken_back_by_cqs_own_hand() {
    let house = merged();
    house.cq("cleanup").args(["claude-instance-1"]).run().good();
    assert_eq!(house.status(1), "");
    rules(&house, &json!({"no_reverts": true}));
    let sent = revert(&house).run().good().record();
    is_taken_back(&house, &sent);
    assert_eq!(house.lab.pulls()[1]["head"]["ref"], "claude/revert-1-4");
    assert_eq!(sent["revert"]["branch"], "claude/revert-1-4");
    let told = house.cq("report").run().good().record();
    assert_eq!((&told["runs"], &told["attempts"], &told["status"]), (&json!(1), &json!(1), &json!("queued")));
}

/// A lost answer, a broken server, a kill: at every step, and again from the start.
#[test]
fn a_revert_may_be_interrupted_anywhere() {
    for (own, faults) in [
        (
            false,
            json!([{"method": "POST", "path": "/graphql", "skip": 1, "times": 4, "after_effect": true},
            {"method": "GET", "path": "/repos/*/*/pulls", "skip": 1, "times": 4, "status": 502}]),
        ),
        (
            true,
            json!([{"method": "POST", "path": "/repos/*/*/pulls", "times": 4, "after_effect": true},
            {"method": "GET", "path": "/repos/*/*/pulls", "skip": 1, "times": 4, "status": 502}]),
        ),
        (
            false,
            json!([{"method": "PATCH", "path": "/repos/*/*/issues/1", "times": 4, "after_effect": true}]),
        ),
        (
            false,
            json!([{"method": "POST", "path": "/repos/*/*/issues/1/comments", "times": 4, "after_effect": true},
            {"method": "GET", "path": "/repos/*/*/issues/1/comments", "skip": 1, "times": 4, "status": 502}]),
        ),
    ] {
        let house = merged();
        rules(&house, &json!({"no_reverts": own}));
        house.lab.break_with(&faults);
        revert(&house).run().ends(69, "");
        assert_eq!(house.status(1), "completed", "{faults}");
        house.lab.mend();
        house.forget_github();
        let sent = revert(&house).run().good().record();
        is_taken_back(&house, &sent);
    }
}

#[test]
fn a_revert_that_is_killed_goes_on_where_it_was() {
    for own in [false, true] {
        let house = merged();
        rules(&house, &json!({"no_reverts": own}));
        for delay in 0..15_u64 {
            let mut child = revert(&house).start();
            std::thread::sleep(std::time::Duration::from_millis(delay * 15));
            let _ = child.kill();
            let _ = child.wait();
        }
        let sent = revert(&house).run().good().record();
        is_taken_back(&house, &sent);
    }
}

#[test]
fn what_cannot_be_taken_back_is_left_to_a_person() {
    let house = opened();
    let ran = revert(&house).run();
    ran.ends(1, "issue #1 is pr-ready: it has no merged pull request");
    let ran = house.cq("pr").args(["--revert", "7", "--reason", "x"]).run();
    ran.ends(1, "issue #7 has no record here, in flight or archived");
    house.cq("pr").args(["--revert", "1"]).run().ends(2, "--reason");
    house.cq("pr").args(["--revert", "1", "2", "--reason", "x"]).run().ends(2, "--revert wants one issue");
    house.lab.merge(PULL);
    house.cq("pr").args(["--sync"]).run().quietly();
    let log = house.cq("pr").args(["--revert", "1", "--reason", "x", "--log", "nowhere.txt"]).run();
    log.ends(2, "nowhere.txt': No such file or directory");
    let dry = house.cq("pr").args(["--revert", "1", "--reason", "x", "--dry-run"]).run();
    dry.ends(0, "would take #4 back, and queue issue #1 again");
    house.push_by_hand("main", "src/work.txt", "built upon it\n");
    let ran = revert(&house).run();
    ran.ends(1, "issue #1: #4 cannot be taken back: later changes stand on it");
    assert_eq!((house.status(1).as_str(), house.lab.pulls().len()), ("completed", 1));
    assert_eq!(house.lab.repository()["issues"][0]["state"], "closed");
}
