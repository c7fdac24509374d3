//! cq-doctor: what is wrong is found, named, and answered with what to do.

use std::fs;

use serde_json::{Value, json};

use crate::House;
use crate::app_server::AppServer;
use crate::support::ran::Ran;

/// The findings that are not ok: check and verdict.
fn troubles(ran: &Ran) -> Vec<String> {
    let bad = |found: &Value| found["verdict"] != "ok";
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
fn an_app_is_told_what_it_lacks_and_what_it_need_not_have() {
    let house = House::usual();
    let server = AppServer::before(&house);
    house.cq("init").args(["--labels"]).run();
    server.run(house.cq("init")).args(["--labels"]).run().good();
    let ran = server.run(house.cq("doctor")).run().quietly();
    assert!(troubles(&ran).is_empty(), "{ran:?}");
    server.inside().ahead = 3600;
    server.inside().granted["administration"] = json!("write");
    let ran = server.run(house.cq("doctor")).run().good();
    assert_eq!(troubles(&ran), ["github.clock warning", "app.permissions warning"], "{ran:?}");
    server.inside().ahead = 0;
    server.inside().granted = json!({"metadata": "read", "issues": "write", "contents": "write"});
    let ran = server.run(house.cq("doctor")).run().ends(1, "");
    assert_eq!(troubles(&ran), ["app.permissions error"], "the token that is kept is older: {ran:?}");
    server.run(house.cq("token")).args(["--revoke"]).run().good();
    let ran = server.run(house.cq("doctor")).run().ends(1, "");
    assert_eq!(troubles(&ran), ["token error"], "{ran:?}");
}
