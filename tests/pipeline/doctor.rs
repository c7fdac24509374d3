//! cq-doctor: what is wrong is found, named, and answered with what to do.

use std::fs;

use serde_json::{Value, json};

use crate::acme_app::{AcmeApp, Wish};
use crate::support::ran::Ran;
use crate::{House, Plan};

/// The findings that are not ok: check and verdict.
fn troubles(ran: &Ran) -> Vec<String> {
    // What the machine can do is not the house's doing: see limits.rs.
    let of_the_machine = |found: &Value| found["check"].as_str().unwrap().starts_with("limits");
    let bad = |found: &Value| found["verdict"] != "ok" && !of_the_machine(found);
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
    for check in
        ["configuration", "github", "github.clock", "token", "github.rate", "repository", "repository.labels"]
    {
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
    assert_eq!(troubles(&nobody)[0], "token error");
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
