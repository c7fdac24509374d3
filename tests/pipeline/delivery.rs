//! Push, pull request, and what it is dressed in: each once, whatever GitHub and others do in between.

use std::fs;

use serde_json::{Value, json};

use crate::House;

const PULLS: &str = "/repos/*/*/pulls$";

/// A house in which issue #1 is checked; with its branch.
fn checked() -> (House, String) {
    let house = House::usual();
    house.work(1).good();
    let record = house.cq("gate").args(["1"]).run().good().record();
    let branch = record["claim"]["branch"].as_str().unwrap().to_owned();
    (house, branch)
}

/// The comments on issue #1.
fn comments(house: &House) -> Vec<String> {
    let listed = house.lab.call("GET", "/repos/acme/widgets/issues/1/comments", &Value::Null);
    listed.as_array().unwrap().iter().map(|one| one["body"].as_str().unwrap().to_owned()).collect()
}

/// Takes the branch away on GitHub.
fn delete_branch(house: &House, branch: &str) {
    house.lab.call("DELETE", &format!("/repos/acme/widgets/git/refs/heads/{branch}"), &Value::Null);
}

#[test]
fn a_pull_request_is_dressed_as_configured() {
    let (house, _) = checked();
    house.lab.act("mia", 0, &json!({"set_permission": {"user": "mia", "permission": "write"}}));
    house.configure(|config| {
        config["pullRequest"] = json!({"labels": ["by-cq"], "assignees": ["mia", "stranger"]});
    });
    house.cq("pr").args(["1"]).run().ends(0, "pull request #4: stranger cannot be assigned");
    let pull = &house.lab.pulls()[0];
    assert_eq!(pull["labels"][0]["name"], "by-cq");
    assert_eq!(pull["assignees"].as_array().unwrap().len(), 1);
    let url = pull["html_url"].as_str().unwrap();
    assert_eq!(
        comments(&house),
        [format!("The pull request for this issue: {url}\n\n<!-- cq:pull-request:4 -->")]
    );
    let delivery = &house.record(1)["delivery"];
    assert_eq!((&delivery["step"], &delivery["sha"]), (&json!("done"), &pull["head"]["sha"]));
}

#[test]
fn the_comment_is_found_on_whatever_page_it_is_and_may_be_left_out() {
    let (house, branch) = checked();
    house.lab.break_with(
        &json!([{"method": "POST", "path": "/repos/*/*/issues/1/comments", "times": 4, "after_effect": true},
        {"method": "GET", "path": "/repos/*/*/issues/1/comments", "skip": 1, "times": 4, "status": 502}]),
    );
    house.cq("pr").args(["1"]).run().ends(69, "GitHub is in trouble");
    assert_eq!(house.record(1)["delivery"]["step"], "dress");
    for number in 0..250 {
        house.lab.act("mia", 1, &json!({"comment": format!("Comment {number}")}));
    }
    // The one that cq made is the last now.
    let ours = house.lab.call("GET", "/repos/acme/widgets/issues/1/comments", &Value::Null)[0].clone();
    house.lab.act("mia", 1, &json!({"delete_comment": {"id": ours["id"]}}));
    house.lab.act("mia", 1, &json!({"comment": ours["body"]}));
    house.forget_github();
    house.lab.call("DELETE", "/_lab/faults", &Value::Null);
    house.cq("pr").args(["1"]).run().quietly();
    let issue = house.lab.repository()["issues"][0].clone();
    assert_eq!(issue["comments"].as_array().unwrap().len(), 251);
    assert_eq!(house.lab.branches(), [branch]);

    house.configure(|config| config["pullRequest"] = json!({"comment": false}));
    house.shell("cq-claim 2 | cq-spawn --wait | cq-gate | cq-pr").run().quietly();
    let issue = house.lab.repository()["issues"][1].clone();
    assert_eq!(issue["comments"], json!([]));
}

#[test]
fn a_branch_that_vanishes_before_the_pull_request_is_pushed_again_once() {
    let (house, branch) = checked();
    let gone = json!([{"method": "POST", "path": PULLS, "status": 422, "body": {"message": "Validation Failed",
        "errors": [{"resource": "PullRequest", "field": "head", "code": "invalid"}]}, "times": 2}]);
    house.lab.break_with(&gone);
    let ran = house.cq("pr").args(["1"]).run();
    ran.ends(1, &format!("issue #1: '{branch}' was pushed, and acme/widgets does not have it"));
    assert_eq!(house.record(1)["delivery"]["step"], "open");
    delete_branch(&house, &branch);
    house.cq("pr").args(["1"]).run().quietly();
    assert_eq!((house.lab.pulls().len(), house.lab.branches()), (1, vec![branch]));
}

#[test]
fn a_closed_pull_request_is_not_adopted_and_one_opened_again_is() {
    let (house, branch) = checked();
    let testing = fs::read_to_string(house.state_dir().join("records/1.json")).unwrap();
    let again = || fs::write(house.state_dir().join("records/1.json"), &testing).unwrap();
    house.cq("pr").args(["1"]).run().quietly();
    let set = |state: &str| {
        house.lab.call("PATCH", "/repos/acme/widgets/pulls/4", &json!({"state": state}));
    };
    set("closed");
    again();
    let ran = house.cq("pr").args(["1"]).run();
    ran.ends(0, &format!("pull request #4 of '{branch}' is closed and is not adopted; a new one is opened"));
    assert_eq!((house.record(1)["pull_request"]["number"].as_u64(), house.lab.pulls().len()), (Some(5), 2));
    assert_eq!(comments(&house).len(), 2, "each has a comment of its own");

    house.lab.call("PATCH", "/repos/acme/widgets/pulls/5", &json!({"state": "closed"}));
    set("open");
    again();
    house.cq("pr").args(["1"]).run().quietly();
    assert_eq!((house.record(1)["pull_request"]["number"].as_u64(), house.lab.pulls().len()), (Some(4), 2));
    assert_eq!(comments(&house).len(), 2);
}

/// Somebody merges while cq-pr is dead: there is nothing to open, and the issue is done.
#[test]
fn a_pull_request_that_was_merged_in_between_completes_the_issue() {
    let (house, _) = checked();
    house.lab.break_with(&json!([{"method": "POST", "path": PULLS, "times": 4, "after_effect": true},
        {"method": "GET", "path": PULLS, "skip": 1, "times": 4}]));
    house.cq("pr").args(["1"]).run().ends(69, "");
    house.lab.call("DELETE", "/_lab/faults", &Value::Null);
    house.lab.merge(4);
    house.forget_github();
    let record = house.cq("pr").args(["1"]).run().quietly().record();
    assert_eq!((&record["pull_request"]["state"], &record["status"]), (&json!("merged"), &json!("pr-ready")));
    assert_eq!(house.cq("pr").args(["--sync"]).run().quietly().record()["status"], "completed");
    assert_eq!(house.lab.pulls().len(), 1);
}

/// Another base than the claim's: the base was renamed, or a person chose another.
#[test]
fn a_pull_request_to_another_base_is_the_branchs_all_the_same() {
    let (house, branch) = checked();
    house.git(&[
        "push",
        "--quiet",
        &format!("http://x:{}@{}/acme/widgets.git", crate::support::lab::TOKEN, house.lab.authority()),
        &format!("{branch}:refs/heads/{branch}"),
        "main:refs/heads/next",
    ]);
    let new = json!({"title": "By hand", "head": branch, "base": "next"});
    house.lab.call("POST", "/repos/acme/widgets/pulls", &new);
    house.cq("pr").args(["1"]).run().quietly();
    assert_eq!((house.lab.pulls().len(), house.record(1)["pull_request"]["number"].as_u64()), (1, Some(4)));
}

#[test]
fn a_repository_that_was_renamed_after_the_push_is_followed() {
    let (house, _) = checked();
    let there = format!("/repositories/{}/pulls", house.lab.repository()["id"]);
    house.lab.break_with(&json!([
        {"method": "GET", "path": PULLS, "status": 301, "redirect_to": format!("{there}?state=all&head=acme:none")},
        {"method": "POST", "path": PULLS, "status": 307, "redirect_to": there},
    ]));
    house.cq("pr").args(["1"]).run().quietly();
    assert_eq!((house.lab.pulls().len(), house.status(1).as_str()), (1, "pr-ready"));
}

#[test]
fn what_github_will_not_have_is_said_in_words() {
    let (house, branch) = checked();
    let refuse = |field: &str| {
        let error = json!({"resource": "PullRequest", "field": field, "code": "invalid"});
        let body = json!({"message": "Validation Failed", "errors": [error]});
        house.lab.break_with(&json!([{"method": "POST", "path": PULLS, "status": 422, "body": body}]));
    };
    refuse("base");
    let ran = house.cq("pr").args(["1"]).run();
    ran.ends(78, "issue #1: acme/widgets has no branch 'main' to go to");
    let said = "No commits between main and it";
    house.lab.break_with(&json!([{"method": "POST", "path": PULLS, "status": 422,
        "body": {"message": "Validation Failed", "errors": [{"code": "custom", "message": said}]}}]));
    let ran = house.cq("pr").args(["1"]).run();
    ran.ends(1, &format!("issue #1: '{branch}' has nothing that 'main' of acme/widgets has not"));
    // What it is dressed in is not worth losing it: told, and counted.
    house.lab.break_with(&json!([{"method": "POST", "path": "/repos/*/*/issues/1/comments", "status": 403,
        "body": {"message": "Unable to create comment because issue is locked."}}]));
    let ran = house.cq("pr").args(["1"]).run().ends(77, "issue is locked");
    assert_eq!(ran.record()["status"], "pr-ready");
}

#[test]
fn a_protected_branch_is_told_by_githubs_own_word() {
    let (house, branch) = checked();
    let root = house.lab.git_root();
    let hook = root.join("acme/widgets.git/hooks/pre-receive");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    let rule = "GH013: Repository rule violations found for refs/heads/x.";
    fs::write(&hook, format!("#!/bin/sh\necho 'error: {rule}' >&2\nexit 1\n")).unwrap();
    house.program("chmod").args(["+x", hook.to_str().unwrap()]).run().good();
    let ran = house.cq("pr").args(["1"]).run().ends(77, rule);
    assert!(ran.stderr.contains("hint: the branch is protected on GitHub"), "{}", ran.stderr);
    assert!(ran.stderr.contains(&format!("cannot push '{branch}'")), "{}", ran.stderr);
    fs::remove_file(hook).unwrap();
    house.cq("pr").args(["1"]).run().quietly();
}

/// A claim that is lost between two steps: nothing more is touched.
#[test]
fn a_claim_that_is_lost_on_the_way_touches_nothing_more() {
    let (house, _) = checked();
    house.lab.break_with(&json!([{"method": "GET", "path": PULLS, "pass": true, "delay_ms": 1500}]));
    let child = house.cq("pr").args(["1"]).start();
    crate::support::wait::until("the push", || (house.lab.branches().len() == 1).then_some(()));
    crate::support::wait::until("the next step", || {
        (house.record(1)["delivery"]["step"] == "open").then_some(())
    });
    let mut record = house.record(1);
    record["claim"]["token"] = json!("somebody else's");
    fs::write(house.state_dir().join("records/1.json"), record.to_string()).unwrap();
    let mut child = child;
    assert_eq!(child.wait().unwrap().code(), Some(77));
    assert_eq!((house.status(1).as_str(), comments(&house).len()), ("testing", 0));
    assert!(house.lab.pulls().is_empty(), "{:?}", house.lab.pulls());
}

/// What cq did not push is not replaced, although the owner has fetched it.
#[test]
fn somebody_elses_push_is_kept() {
    let (house, branch) = checked();
    let address =
        format!("http://x:{}@{}/acme/widgets.git", crate::support::lab::TOKEN, house.lab.authority());
    let tree = house.git(&["rev-parse", &format!("{branch}^{{tree}}")]);
    let theirs = house.git(&["commit-tree", &tree, "-p", "main", "-m", "By hand"]);
    house.git(&["push", "--quiet", &address, &format!("{theirs}:refs/heads/{branch}")]);
    house.cq("pr").args(["1"]).run().ends(1, &format!("somebody else has pushed to '{branch}'"));
    assert_eq!(house.lab.repository()["refs"][format!("refs/heads/{branch}")], json!(theirs));
}
