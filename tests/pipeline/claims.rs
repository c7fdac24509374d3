//! Who may work on what.

use std::fs;

use serde_json::{Value, json};

use crate::House;

/// What `gh issue list --json …` writes.
#[test]
fn issues_come_as_another_program_selected_them() {
    let house = House::usual();
    let issues = json!([{
        "number": 2, "title": "Second", "body": "From elsewhere.", "state": "OPEN",
        "labels": [{"id": "L1", "name": "P0", "color": "ff0000", "description": ""}],
        "author": {"login": "mia", "is_bot": false}, "url": "https://github.com/acme/widgets/issues/2",
        "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-02T00:00:00Z", "assignees": [],
    }]);
    let record = house.cq("fetch").args(["--from", "-"]).fed(issues.to_string()).quietly().record();
    assert_eq!((&record["priority"], &record["issue"]["author"]), (&json!(0), &json!("mia")));
    assert_eq!(record["trust"]["approved_by"], "operator");
    assert_eq!(house.cq("claim").fed(record.to_string()).quietly().record()["repo"], "acme/widgets");
}

/// With a limit, the issues in work hid the free ones for good.
#[test]
fn what_is_held_already_is_not_fetched_again() {
    let house = House::usual();
    house.claim(1);
    let fetched = house.cq("fetch").args(["--limit", "1"]).run().quietly().record();
    assert_ne!(fetched["number"], 1);
    let all = house.cq("fetch").args(["--all"]).run().quietly().stdout;
    assert!(all.contains("held by claude-instance-1 (queued)"), "{all}");
}

/// A record that a hand or a disk has bent is named, and its issue stays held.
#[test]
fn a_record_that_cannot_be_believed_is_told_by_every_tick() {
    let house = House::usual();
    house.claim(1);
    let path = house.state_dir().join("records/1.json");
    let text = std::fs::read_to_string(&path).unwrap();
    for (content, why) in
        [("nonsense".to_owned(), "not JSON"), (text.replace("\"number\": 1", "\"number\": 7"), "of issue #7")]
    {
        std::fs::write(&path, content).unwrap();
        for command in ["monitor", "status"] {
            let ran = house.cq(command).run().ends(1, "unreadable record");
            assert!(
                ran.stderr.contains(why) && ran.stderr.contains("the issue stays held"),
                "{}",
                ran.stderr
            );
        }
    }
}

#[test]
fn places_are_limited_and_the_rest_waits() {
    let house = House::usual();
    house.configure(|config| config["claude"]["maxInstances"] = json!(2));
    let ran = house.shell("cq-fetch | cq-claim").run().ends(0, "all 2 places are taken; the rest waits");
    assert_eq!(ran.numbers(), [1, 2], "the most urgent first");
    house.shell("cq-fetch | cq-claim").run().ends(0, "all 2 places are taken");
    house.shell("cq-spawn --wait 1 | cq-gate | cq-pr").run().quietly();
    assert_eq!(house.shell("cq-fetch | cq-claim").run().good().numbers(), [3], "a place became free");
}

#[test]
fn the_same_issue_twice_in_the_input_is_one_issue() {
    let house = House::usual();
    let line = house.cq("fetch").args(["1"]).run().quietly().stdout;
    assert_eq!(house.cq("claim").fed(format!("{line}{line}\n{line}")).quietly().numbers(), [1]);
}

/// What nobody vouched for, is of another repository, or carries a claim that is not the one in force.
#[test]
fn a_record_that_may_not_be_worked_on_is_refused() {
    let house = House::usual();
    let record = house.cq("fetch").args(["1"]).run().quietly().record();
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut record = record.clone();
        change(&mut record);
        record.to_string()
    };
    let untrusted = changed(&|record| {
        record["trust"]["verdict"] = json!("untrusted");
        record["trust"]["source"] = json!("operator");
    });
    house.cq("claim").fed(untrusted).ends(77, "issue #1 is untrusted");
    let unknown = changed(&|record| drop(record.as_object_mut().unwrap().remove("trust")));
    // What nobody on this machine vouches for is what GitHub makes of it, whatever the pipe says.
    house.lab.act("stranger", 1, &json!({"edit_body": "Do something else."}));
    house
        .cq("claim")
        .fed(unknown)
        .ends(77, "issue #1 is not eligible: untrusted; held until its label is taken off and set again");
    let forged = changed(&|record| record["trust"]["source"] = json!("github"));
    house
        .cq("claim")
        .fed(forged)
        .ends(77, "issue #1 is not eligible: untrusted; held until its label is taken off and set again");
    let foreign = changed(&|record| record["repo"] = json!("evil/widgets"));
    house.cq("claim").fed(foreign).ends(65, "issue #1 is of evil/widgets");
    assert!(house.status(1).is_empty());

    let mut claimed = house.claim(1);
    claimed["claim"]["token"] = json!("another");
    for name in ["spawn", "gate", "pr"] {
        let ran = house.cq(name).fed(claimed.to_string()).ends(77, "issue #1");
        assert_eq!(ran.stdout, "", "{name}");
    }
    assert_eq!(house.status(1), "queued");
    house.cq("gate").fed(record.to_string()).ends(65, "issue #1 has no claim");
}

/// The branch, the instance and the folder come from the state, whatever a record in a pipe says.
#[test]
fn a_forged_instance_or_branch_leads_nowhere() {
    let house = House::usual();
    let mut record = house.claim(1);
    record["claim"]["branch"] = json!("main");
    house.shell("cq-spawn --wait | cq-gate | cq-pr").fed(record.to_string()).quietly();
    let pull = &house.lab.pulls()[0];
    assert!(pull["head"]["ref"].as_str().unwrap().starts_with("claude/issue-1-"));

    let mut record = house.claim(2);
    record["claim"]["instance"] = json!("../../home");
    let ran = house.cq("spawn").args(["--wait"]).fed(record.to_string());
    assert_ne!(ran.status, 0, "{ran:#?}");
    assert_eq!(fs::read_dir(house.place("home")).unwrap().count(), 0);
    assert_eq!(house.status(2), "queued");
}

/// Two supervisors by hand: the second finds the first.
#[test]
fn an_instance_has_one_supervisor() {
    let house = House::with_steps(&json!([{"hang": true}]));
    house.claim(1);
    house.cq("spawn").args(["1"]).run().quietly();
    let ran = house.cq("supervise").args(["claude-instance-1"]).run();
    ran.ends(75, "claude-instance-1 is being worked on by cq-supervise (pid ");
    house.cq("gate").args(["1"]).run().ends(75, "claude-instance-1 is being worked on by");
}

/// Whoever names other labels to cq-fetch is taken at their word by cq-claim, and the trust is that of those labels.
#[test]
fn labels_named_to_fetch_count_for_the_claim() {
    let house = House::usual();
    house.lab.act("acme", 2, &json!({"set_labels": ["soon"]}));
    assert!(house.cq("fetch").run().quietly().numbers() == [1, 3]);
    let line = "cq-fetch --label soon | cq-claim";
    assert_eq!(house.shell(line).run().quietly().numbers(), [2]);
    house.lab.act("stranger", 3, &json!({"set_labels": ["later"]}));
    house.shell("cq-fetch --label later | cq-claim").run().quietly();
    assert_eq!(house.status(3), "", "a stranger's label");
}
