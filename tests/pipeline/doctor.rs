//! cq-doctor: what is wrong is found, named, and answered with what to do.

use std::fs;

use serde_json::{Value, json};

use crate::acme_app::{AcmeApp, Wish};
use crate::support::ran::Ran;
use crate::{House, Plan};

/// The findings that are not ok: check and verdict.
fn troubles(ran: &Ran) -> Vec<String> {
    // What the machine can do is not the house's doing: see limits.rs and tests/sandbox.
    let of_the_machine = |check: &str| check.starts_with("limits") || check == "sandbox";
    let bad = |found: &Value| found["verdict"] != "ok" && !of_the_machine(found["check"].as_str().unwrap());
    let name = |found: Value| {
        assert!(found["fix"].is_string(), "nothing to do about {found}");
        format!("{} {}", found["check"].as_str().unwrap(), found["verdict"].as_str().unwrap())
    };
    ran.records().into_iter().filter(bad).map(name).collect()
}

#[test]
fn a_good_house_has_nothing_wrong() {
    let house = House::usual();
    house.cq("init").args(["--labels"]).run().good();
    let ran = house.cq("doctor").run().quietly();
    assert!(troubles(&ran).is_empty(), "{ran:?}");
    let checks: Vec<Value> = ran.records().into_iter().map(|found| found["check"].clone()).collect();
    for check in [
        "configuration",
        "git",
        "agent",
        "templates",
        "disk",
        "state.filesystem",
        "state",
        "policy",
        "github",
        "github.clock",
        "token",
        "github.rate",
        "repository",
        "repository.labels",
    ] {
        assert!(checks.contains(&json!(check)), "{check} is not in {checks:?}");
    }
    let table = house.cq("doctor").args(["--format", "table"]).run().quietly().stdout;
    assert!(table.contains("GITHUB_TOKEN") && !table.contains(crate::support::lab::TOKEN), "{table}");
}

#[test]
fn each_trouble_is_found() {
    let house = House::usual();
    let ran = house.cq("doctor").run().quietly();
    assert_eq!(troubles(&ran), ["repository.labels warning"], "{ran:?}");
    let ran = house.cq("doctor").env("GH_TOKEN", "another").run().quietly();
    assert_eq!(troubles(&ran), ["token.others warning", "repository.labels warning"]);
    let wrong = house.cq("doctor").env("GITHUB_TOKEN", "wrong-token").run().ends(1, "");
    assert_eq!(troubles(&wrong), ["token error"]);
    let nobody = house.cq("doctor").without("GITHUB_TOKEN").env("PATH", "/nowhere").run().ends(1, "");
    assert_eq!(troubles(&nobody)[0], "git error");
    assert!(troubles(&nobody).contains(&"token error".to_owned()));
    let gone = house.cq("doctor").env("GITHUB_API_URL", "http://127.0.0.1:9").run().ends(1, "");
    assert_eq!(troubles(&gone), ["github error"]);
    let other = house.cq("doctor").args(["--repo", "acme/other"]).run().ends(1, "");
    assert_eq!(troubles(&other), ["repository error"]);

    house.configure(|config| config["git"]["base"] = json!("trunk"));
    assert_eq!(troubles(&house.cq("doctor").run())[0], "repository warning");
    house.configure(|config| config["github"]["apiVersion"] = json!("1999-01-01"));
    let ran = house.cq("doctor").run();
    assert!(ran.status == 0 || troubles(&ran) == ["github.version error"], "{ran:?}");
    fs::write(house.clone().join("orchestrator-config.json"), "{\"githup\":1}").unwrap();
    let broken = house.cq("doctor").args(["--repo", "acme/widgets"]).run().ends(1, "unknown key");
    assert_eq!(troubles(&broken)[0], "configuration error");
}

/// Nobody said so before there was a pull request.
#[test]
fn who_cannot_be_asked_is_told_before_there_is_a_pull_request() {
    let people = ["mia", "acme"].map(|login| json!({"login": login, "permission": "write"}));
    let seed = json!({"users": people, "viewer": "acme"});
    let house = House::new(&Plan { seed, ..Plan::default() });
    house.cq("init").args(["--labels"]).run().good();
    house.configure(|config| {
        config["pullRequest"] = json!({"reviewers": ["Mia"], "assignees": ["mia"]});
    });
    let ran = house.cq("doctor").run().quietly();
    assert!(troubles(&ran).is_empty() && ran.stdout.contains("mia, Mia can be asked"), "{ran:?}");
    house.configure(|config| {
        config["pullRequest"] = json!({
            "reviewers": ["mia", "stranger", "acme"], "assignees": ["nobody"], "teamReviewers": ["core"],
        });
    });
    let ran = house.cq("doctor").run().quietly();
    assert_eq!(troubles(&ran), ["pull-request.people warning"; 4], "{ran:?}");
    for part in [
        "nobody cannot be assigned in acme/widgets",
        "stranger cannot be asked for a review in acme/widgets",
        "acme cannot be asked for a review: the pull requests are opened in that name",
        "the teams core cannot be asked for a review: acme is no organization",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {ran:?}");
    }
}

#[test]
fn a_classic_token_is_judged_by_its_scopes() {
    for (scopes, status, expected) in [
        (json!(["repo"]), 0, vec![]),
        (json!(["repo", "delete_repo"]), 0, vec!["token.scopes warning"]),
        (json!(["gist"]), 1, vec!["token.scopes error", "token.scopes warning"]),
    ] {
        let house = House::new(&Plan { seed: json!({"scopes": scopes}), ..Plan::default() });
        let ran = house.cq("doctor").run().ends(status, "");
        let scoped: Vec<String> =
            troubles(&ran).into_iter().filter(|found| found.starts_with("token.")).collect();
        assert_eq!(scoped, expected, "{scopes}: {ran:?}");
    }
}

#[test]
fn an_app_is_told_what_it_lacks_and_what_it_need_not_have() {
    let of = |granted: Value, ahead: i64| {
        let acme = AcmeApp::new(&Wish { granted, ahead, ..Wish::default() });
        // The owner's own token makes the labels.
        let app = json!(null);
        acme.house.configure(|config| config["github"]["app"] = app);
        acme.house.cq("init").args(["--labels"]).run().good();
        acme.house.configure(|config| config["github"]["app"] = crate::acme_app::configured());
        let ran = acme.cq("doctor").run();
        (ran.status, troubles(&ran))
    };
    let enough = Wish::default().granted;
    let strings = |all: &[&str]| all.iter().map(|&one| one.to_owned()).collect::<Vec<_>>();
    assert_eq!(of(enough.clone(), 0), (0, vec![]));
    assert_eq!(of(enough.clone(), 3600), (0, strings(&["github.clock warning"])));
    let mut more = enough.clone();
    more["administration"] = json!("write");
    assert_eq!(of(more, 0), (0, strings(&["app.permissions warning"])));
    let less = json!({"metadata": "read", "issues": "write", "contents": "write"});
    assert_eq!(of(less, 0), (1, strings(&["token error"])));
}

#[test]
fn what_agents_and_the_state_stand_on_is_looked_at() {
    let house = House::usual();
    house.cq("init").args(["--labels"]).run().good();
    house.configure(|config| config["agentLabels"] = json!({"other": "nobody"}));
    assert_eq!(troubles(&house.cq("doctor").run()), ["agent error"]);
    house.configure(|config| {
        config["agentLabels"] = json!({"other": "missing"});
        config["agents"]["missing"] = json!({"command": ["no-such-program"]});
    });
    assert_eq!(troubles(&house.cq("doctor").run()), ["agent error"]);
    house.configure(|config| {
        config["agentLabels"] = json!({});
        config["limits"]["freeDiskMegabytes"] = json!(1_u64 << 40);
    });
    assert_eq!(troubles(&house.cq("doctor").run()), ["disk error"]);
    house.configure(|config| config["limits"]["freeDiskMegabytes"] = json!(1));
    let template = house.clone().join("workspaces/shared/templates/claude-prompt-template.md");
    fs::write(&template, "Do {this}.").unwrap();
    let ran = house.cq("doctor").run().ends(1, "");
    assert_eq!(troubles(&ran), ["templates error"]);
    assert!(ran.stdout.contains("{this}") && ran.stdout.contains("{issue_title}"), "{ran:?}");
}

#[test]
fn events_that_a_crash_swallowed_are_told_again() {
    let house = House::usual();
    house.cq("init").args(["--labels"]).run().good();
    let fetched = house.cq("fetch").run().good();
    house.cq("claim").fed(&fetched.stdout).good();
    let feed = house.state_dir().join("events.jsonl");
    fs::write(&feed, "{\"torn").unwrap();
    let found = ["state.events warning", "state.events warning"];
    assert_eq!(troubles(&house.cq("doctor").run().good()), found);
    house.cq("doctor").args(["--repair"]).run().good();
    assert_eq!(troubles(&house.cq("doctor").run().good()), found[..1]);
    let told = fs::read_to_string(&feed).unwrap();
    assert_eq!(told.lines().filter(|line| line.contains("\"repaired\":true")).count(), 3, "{told}");
    fs::write(house.state_dir().join("records/2.json"), "{").unwrap();
    let ran = house.cq("doctor").run().ends(1, "");
    assert!(troubles(&ran).contains(&"state.records error".to_owned()), "{ran:?}");
}

#[test]
fn a_workspace_is_compared_with_its_record() {
    let house = House::usual();
    let fetched = house.cq("fetch").args(["1"]).run().good();
    let claimed = house.cq("claim").fed(&fetched.stdout).good();
    house.cq("spawn").args(["--wait"]).fed(&claimed.stdout).good();
    let one = || house.cq("doctor").args(["claude-instance-1"]).run();
    assert_eq!(troubles(&one().good()), [""; 0]);
    let workspace = house.clone().join("workspaces/claude-instance-1");
    fs::remove_file(workspace.join(".env")).unwrap();
    fs::write(workspace.join("widgets/.git"), "gitdir: /etc\n").unwrap();
    assert_eq!(troubles(&one().ends(1, "")), ["workspace error", "workspace error"]);
    let two = house.cq("doctor").args(["claude-instance-2"]).run().ends(1, "");
    assert_eq!(troubles(&two), ["workspace error"]);
    house.cq("doctor").args(["../x"]).run().ends(2, "is not an instance's name");
}

#[test]
fn a_repository_that_forbids_agents_needs_an_opt_in() {
    let files = json!({"README.md": "# Widgets\n", "AI_POLICY.md": "AI-generated contributions are not accepted: we do not accept them."});
    let house = House::new(&Plan { seed: json!({"widgets": {"files": files}}), ..Plan::default() });
    house.cq("init").args(["--labels"]).run().good();
    assert_eq!(troubles(&house.cq("doctor").run()), ["policy error"]);
    let fetched = house.cq("fetch").args(["1"]).run().good();
    let claimed = house.cq("claim").fed(&fetched.stdout).good();
    house.cq("spawn").args(["--wait"]).fed(&claimed.stdout).ends(77, "AI_POLICY.md does not allow it");
    house.configure(|config| config["trust"] = json!({"allowDespitePolicy": true}));
    assert_eq!(troubles(&house.cq("doctor").run()), ["policy warning"]);
    house.cq("spawn").args(["--wait"]).fed(&claimed.stdout).good();
}
