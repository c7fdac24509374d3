//! What cq-monitor shows on GitHub.

use serde_json::{Value, json};

use crate::{House, Plan};

/// The labels of an issue, sorted, and its assignees.
fn shown(house: &House, number: u64) -> (Vec<String>, Vec<String>) {
    let issue = house.lab.call("GET", &format!("/repos/acme/widgets/issues/{number}"), &Value::Null);
    let names = |list: &str, key: &str| -> Vec<String> {
        let list = issue[list].as_array().unwrap();
        let mut names: Vec<_> = list.iter().map(|one| one[key].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    (names("labels", "name"), names("assignees", "login"))
}

fn labels(house: &House, number: u64) -> Vec<String> {
    shown(house, number).0
}

/// Only reads count, of issues.
fn requests(house: &House, method: &str) -> Vec<u64> {
    let requests = house.lab.state()["requests"].clone();
    let of_issues = |one: &&Value| {
        one["method"] == method && one["target"].as_str().unwrap().starts_with("/repos/acme/widgets/issues/")
    };
    requests.as_array().unwrap().iter().filter(of_issues).map(|one| one["status"].as_u64().unwrap()).collect()
}

#[test]
fn an_issue_shows_where_it_stands() {
    let script = json!({"issues": {"2": [{"say": "NEEDS-INFO: which one?"}]}});
    let house = House::new(&Plan { script, ..Plan::default() });
    house.lab.act("bot", 0, &json!({"set_permission": {"user": "bot", "permission": "write"}}));
    house.configure(|config| config["github"]["assignee"] = json!("bot"));
    house.claim(1);
    house.work(2).good();
    house.claim(3);
    let dry = house.cq("monitor").args(["--dry-run"]).run();
    dry.ends(0, "would put 'claude-in-progress' on issue #1");
    assert_eq!(labels(&house, 1), ["P1", "claude-ready"]);

    house.cq("monitor").run().ends(0, "issue #2: asked at");
    let ours = |labels: &[&str], assignees: &[&str]| {
        let strings = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        (strings(labels), strings(assignees))
    };
    assert_eq!(shown(&house, 1), ours(&["P1", "claude-in-progress", "claude-ready"], &["bot"]));
    assert_eq!(shown(&house, 2), ours(&["P2", "claude-blocked", "claude-ready"], &[]));

    // Nothing new: nothing is written, and what is read costs nothing.
    house.cq("monitor").run().quietly();
    house.lab.call("DELETE", "/_lab/requests", &Value::Null);
    house.cq("monitor").run().quietly();
    assert_eq!((requests(&house, "POST").len(), requests(&house, "DELETE").len()), (0, 0));
    // The three issues, and the answers to the question.
    assert_eq!(requests(&house, "GET"), [304, 304, 304, 304]);

    // Its own labels keep nobody from trying again, and a label that somebody took off comes back.
    house.cq("claim").args(["--retry", "2"]).run().good();
    house.lab.act("mia", 1, &json!({"unlabel": "claude-in-progress"}));
    house.cq("claim").args(["--release", "3"]).run().good();
    // The list is older than the label, and what claim looks at is not.
    let early = house.cq("claim").args(["3"]).run().ends(77, "the label claude-in-progress is set");
    assert!(early.stderr.contains("cq-monitor takes its labels off"), "{}", early.stderr);
    house.cq("monitor").run().quietly();
    assert_eq!(labels(&house, 2), ["P2", "claude-in-progress", "claude-ready"]);
    assert_eq!(labels(&house, 1), ["P1", "claude-in-progress", "claude-ready"]);
    assert_eq!(shown(&house, 3), ours(&["P3", "claude-ready"], &[]), "it was let go");
    house.shell("cq-spawn --wait 1 | cq-gate | cq-pr").run().quietly();
    house.cq("monitor").run().quietly();
    assert_eq!(shown(&house, 1), ours(&["P1", "claude-ready"], &[]));

    // Who may work on what rests on claude-ready: cq never set it.
    let issue = house.lab.repository()["issues"][0].clone();
    let set = |event: &&Value| event["subject"] == "claude-ready" && event["actor"] != "mia";
    let events = issue["events"].as_array().unwrap();
    assert!(!events.is_empty());
    assert!(events.iter().filter(set).count() <= 1, "{events:?}");
}

#[test]
fn a_label_that_a_person_set_stays() {
    let house = House::usual();
    house.claim(1);
    house.lab.act("mia", 1, &json!({"label": "claude-blocked"}));
    house.cq("monitor").run().quietly();
    assert_eq!(labels(&house, 1), ["P1", "claude-blocked", "claude-in-progress", "claude-ready"]);
}

#[test]
fn without_a_token_or_by_wish_nothing_is_shown() {
    let house = House::usual();
    house.claim(1);
    house.lab.call("DELETE", "/_lab/requests", &Value::Null);
    house.cq("monitor").without("GITHUB_TOKEN").run().quietly();
    house
        .cq("monitor")
        .without("GITHUB_TOKEN")
        .args(["-v"])
        .run()
        .ends(0, "no GitHub token: labels and assignees stay");
    house.configure(|config| config["github"]["mirror"] = json!(false));
    house.cq("monitor").run().quietly();
    assert_eq!(house.lab.state()["requests"], json!([]));
    assert_eq!(labels(&house, 1), ["P1", "claude-ready"]);
}

/// GitHub's trouble is told and counted; what is due is offered all the same, and the next tick makes it good.
#[test]
fn trouble_with_github_keeps_no_tick_from_its_work() {
    let house = House::usual();
    house.claim(1);
    house.claim(2);
    let path = "/repos/*/*/issues/1";
    house.lab.break_with(&json!([{"method": "GET", "path": path, "status": 410, "times": 2, "body": {"message": "This issue was deleted"}}]));
    let ran = house.cq("monitor").at("2199-01-01T00:00:00Z").run().ends(1, "This issue was deleted");
    assert_eq!(ran.numbers(), [1, 2]);
    assert_eq!(labels(&house, 2), ["P2", "claude-in-progress", "claude-ready"], "the others are shown");
    house.lab.break_with(
        &json!([{"method": "POST", "path": "/repos/*/*/issues/1/labels", "status": 502, "times": 4}]),
    );
    let ran = house.cq("monitor").at("2199-01-01T00:00:00Z").run().ends(69, "GitHub is in trouble");
    assert_eq!(ran.numbers(), [1, 2]);
    house.forget_github();
    house.cq("monitor").run().quietly();
    assert_eq!(labels(&house, 1), ["P1", "claude-in-progress", "claude-ready"]);
}

#[test]
fn an_assignee_whom_nobody_can_assign_is_told_and_not_tried() {
    let house = House::usual();
    house.configure(|config| config["github"]["assignee"] = json!("stranger"));
    house.claim(1);
    house.claim(2);
    let ran = house.cq("monitor").run().ends(78, "'stranger' cannot be assigned to issues of acme/widgets");
    assert_eq!(ran.stderr.matches("stranger").count(), 1, "{}", ran.stderr);
    let requests = house.lab.state()["requests"].clone();
    let tried = |one: &&Value| one["target"].as_str().unwrap().ends_with("/assignees");
    assert_eq!(requests.as_array().unwrap().iter().filter(tried).count(), 0);
    assert_eq!(labels(&house, 1), ["P1", "claude-in-progress", "claude-ready"]);
}

#[test]
fn one_tick_writes_so_much_and_the_next_goes_on() {
    let issue = |number: u64| json!({"number": number, "title": "t", "labels": ["claude-ready"]});
    let issues: Vec<Value> = (1..=40).map(issue).collect();
    let house = House::new(&Plan { issues: json!(issues), ..Plan::default() });
    house.configure(|config| config["queue"]["maxConcurrentIssues"] = json!(40));
    house.shell("cq-fetch --limit 40 | cq-claim").run().quietly();
    let in_progress = || (1..=40).filter(|number| labels(&house, *number).len() == 2).count();
    let mut seen = Vec::new();
    for _ in 0..3 {
        house.cq("monitor").run().quietly();
        seen.push(in_progress());
    }
    assert_eq!(seen, [30, 40, 40]);
}

#[test]
fn labels_are_made_once_and_left_as_they_are() {
    let house = House::usual();
    let dry = house.cq("init").args(["--labels", "--dry-run"]).run().quietly();
    let lines = |stdout: &str| -> Vec<(String, bool)> {
        let rows = stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let labels = rows.filter(|row| row["what"].as_str().unwrap().starts_with("label "));
        labels.map(|row| (row["what"].as_str().unwrap()[6..].to_owned(), row["made"] == true)).collect()
    };
    let of = |name: &str| format!("{name} of acme/widgets");
    let expected =
        [(of("claude-ready"), false), (of("claude-in-progress"), true), (of("claude-blocked"), true)];
    assert_eq!(lines(&dry.stdout), expected);
    let all = || house.lab.repository()["labels"].clone();
    let about = |name: &str| {
        all().as_array().unwrap().iter().filter(|label| label["name"] == name).cloned().collect::<Vec<_>>()
    };
    assert!(about("claude-blocked").is_empty());
    let before = about("claude-ready");
    assert_ne!(before[0]["color"], "0e8a16");

    // Two at once, and the answer to one of them is lost.
    house.lab.break_with(&json!([{"method": "POST", "path": "/repos/*/*/labels", "after_effect": true}]));
    house.shell("cq-init --labels > /dev/null & cq-init --labels > /dev/null & wait").run().quietly();
    for (name, color, text) in [
        ("claude-in-progress", "fbca04", "Currently being worked on by Claude"),
        ("claude-blocked", "d93f0b", "Blocked, requires human intervention"),
    ] {
        let found = about(name);
        assert_eq!(found.len(), 1, "{name}");
        assert_eq!((&found[0]["color"], &found[0]["description"]), (&json!(color), &json!(text)));
    }
    assert_eq!(about("claude-ready"), before, "what is there is left as it is");
    let made: Vec<bool> = lines(&house.cq("init").args(["--labels"]).run().quietly().stdout)
        .into_iter()
        .map(|row| row.1)
        .collect();
    assert_eq!(made, [false; 3]);
}
