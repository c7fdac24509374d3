//! A house with a pull request, #4, for issue #1; and what reviewers and CI do to it.

use std::fs;

use serde_json::{Value, json};

use crate::{House, Plan};

/// From a review to the pull request, as a person would write it.
pub(crate) const ROUND: &str = "cq-pr --sync | cq-spawn --wait | cq-gate | cq-pr";

/// The pull request's number.
pub(crate) const PULL: u64 = 4;

/// The script of an agent that shows its prompt and its arguments, and commits something at each attempt.
fn script(house: &House) -> Value {
    let file = |name: &str| house.text_of(&format!("{name}-{{issue}}-{{attempt}}.txt"));
    json!({"default": [
        {"dump_prompt": file("prompt")},
        {"dump_arguments": file("arguments")},
        {"append": {"path": "src/work.txt", "content": "attempt {attempt} at {issue}\n"}},
        {"commit": "Work on {issue}, attempt {attempt}"},
        {"say": "Done, attempt {attempt}."},
    ]})
}

/// A house whose agent can go on with its session, and whose reviewers are done as soon as they have spoken.
pub(crate) fn house() -> House {
    let seed = json!({"users": [
        {"login": "mia", "permission": "write"}, {"login": "max", "permission": "maintain"},
        {"login": "eve", "permission": "read"}, {"login": "tri", "permission": "triage"},
    ]});
    let house = House::new(&Plan { seed, ..Plan::default() });
    fs::write(house.place("script.json"), script(&house).to_string()).unwrap();
    house.configure(|config| {
        let command = config["agents"]["claude"]["command"].clone();
        let resumed = |argument: &Value| {
            if argument == "--session-id" { json!("--resume") } else { argument.clone() }
        };
        let resume: Vec<Value> = command.as_array().unwrap().iter().map(resumed).collect();
        config["agents"]["claude"]["resume"] = json!(resume);
        config["feedback"]["quietSeconds"] = json!(0);
    });
    house
}

/// The same, with the pull request.
pub(crate) fn opened() -> House {
    let house = house();
    house.shell("cq-claim 1 | cq-spawn --wait | cq-gate | cq-pr").run().good();
    assert_eq!(pull(&house)["number"], PULL);
    house
}

/// The only pull request there is.
pub(crate) fn pull(house: &House) -> Value {
    let mut pulls = house.lab.pulls();
    assert_eq!(pulls.len(), 1, "{pulls:#?}");
    pulls.remove(0)
}

/// The end of its branch.
pub(crate) fn head(house: &House) -> String {
    house.lab.call("GET", &format!("/repos/acme/widgets/pulls/{PULL}"), &Value::Null)["head"]["sha"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// The end of main.
pub(crate) fn base(house: &House) -> String {
    house.lab.repository()["refs"]["refs/heads/main"].as_str().unwrap().to_owned()
}

/// Somebody reviews the pull request; gives the ids of what they said at lines.
pub(crate) fn review(house: &House, by: &str, state: &str, body: &str, lines: &[&str]) -> Vec<u64> {
    let comments: Vec<Value> = lines
        .iter()
        .enumerate()
        .map(|(at, body)| json!({"path": "src/work.txt", "line": at + 1, "body": body}))
        .collect();
    let review = json!({"repository": "acme/widgets", "number": PULL, "user": by, "state": state, "body": body,
        "comments": comments});
    let made = house.lab.call("POST", "/_lab/reviews", &review);
    made["comments"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect()
}

/// CI says something of a commit.
pub(crate) fn check(house: &House, sha: &str, name: &str, conclusion: Option<&str>, log: Option<&str>) {
    let check = json!({"repository": "acme/widgets", "sha": sha, "name": name, "conclusion": conclusion,
        "summary": format!("{name} says so"), "log": log});
    house.lab.call("POST", "/_lab/checks", &check);
}

/// A job of GitHub's own CI, of a workflow, says something of a commit.
pub(crate) fn job(house: &House, sha: &str, (workflow, name): (&str, &str), conclusion: &str) {
    let check = json!({"repository": "acme/widgets", "sha": sha, "name": name, "conclusion": conclusion,
        "workflow": workflow, "summary": "a job"});
    house.lab.call("POST", "/_lab/checks", &check);
}

/// What the base's protection and the repository's settings say.
pub(crate) fn rules(house: &House, rules: &Value) {
    house.lab.call("POST", "/_lab/rules", rules);
}

/// What is said at lines of the pull request, oldest first: who, and what.
pub(crate) fn said_at_lines(house: &House) -> Vec<(String, String)> {
    let path = format!("/repos/acme/widgets/pulls/{PULL}/comments?per_page=100");
    let listed = house.lab.call("GET", &path, &Value::Null);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    listed.as_array().unwrap().iter().map(|one| (text(&one["user"]["login"]), text(&one["body"]))).collect()
}

/// What the agent of issue #1 was told at an attempt.
pub(crate) fn prompt(house: &House, attempt: u32) -> String {
    fs::read_to_string(house.place(&format!("prompt-1-{attempt}.txt"))).unwrap()
}

/// How it was started.
pub(crate) fn arguments(house: &House, attempt: u32) -> String {
    fs::read_to_string(house.place(&format!("arguments-1-{attempt}.txt"))).unwrap()
}
