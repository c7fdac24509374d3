//! What cq-init makes of a repository's files.

use std::fs;

use serde_json::{Value, json};

use crate::{House, Plan};

fn configuration(house: &House) -> Value {
    let text = fs::read_to_string(house.clone().join("orchestrator-config.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_new_configuration_has_the_checks_and_an_existing_one_is_left_alone() {
    let files = json!({"Cargo.toml": "[workspace]\nmembers = []\n", "go.mod": "module x\n"});
    let house = House::new(&Plan { seed: json!({"widgets": {"files": files}}), ..Plan::default() });
    let file = house.clone().join("orchestrator-config.json");
    let before = fs::read_to_string(&file).unwrap();
    let ran = house.cq("init").run();
    let offer = r#"found Cargo.toml: qualityGates could have {"command":["cargo","test","--workspace"],"name":"cargo test"}"#;
    let ran = ran.ends(0, offer);
    assert!(ran.stderr.contains("found go.mod: "), "{}", ran.stderr);
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
    assert!(!ran.stdout.contains("cargo test"), "{}", ran.stdout);

    fs::remove_file(&file).unwrap();
    let made = house.cq("init").run().good();
    let told = |row: &Value| {
        row["what"] == "check 'cargo test --workspace' (found Cargo.toml)" && row["made"] == true
    };
    assert!(made.records().iter().any(told), "{}", made.stdout);
    let config = configuration(&house);
    let commands: Vec<&Value> =
        config["qualityGates"].as_array().unwrap().iter().map(|gate| &gate["command"]).collect();
    let expected = [
        json!(["cargo", "test", "--workspace"]),
        json!(["go", "vet", "./..."]),
        json!(["go", "test", "./..."]),
    ];
    assert_eq!(commands, expected.iter().collect::<Vec<_>>());
    assert!(config["gate"]["caches"].as_array().unwrap().contains(&json!("target")));
    // With everything it could have, nothing is offered.
    house.cq("init").run().quietly();
}

/// A package.json that is no JSON looked like one without scripts.
#[test]
fn a_file_that_cannot_be_read_is_told() {
    let files = json!({"package.json": "{\"scripts\": {\"test\": \"x\"},}", "README.md": "x"});
    let house = House::new(&Plan { seed: json!({"widgets": {"files": files}}), ..Plan::default() });
    let told = "cq-init: package.json tells of no checks: it is not a JSON object (trailing comma at line 1";
    let ran = house.cq("init").run().ends(0, told);
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    fs::write(house.clone().join("package.json"), "{}").unwrap();
    house.cq("init").run().quietly();
}

#[test]
fn the_doctor_misses_a_checks_program() {
    let house = House::usual();
    let found = |house: &House| -> Vec<Value> {
        let all = house.cq("doctor").run().records();
        all.into_iter().filter(|found| found["check"] == "checks").collect()
    };
    assert_eq!(found(&house)[0]["verdict"], "ok");
    house.configure(|config| {
        config["qualityGates"] = json!([
            {"name": "own", "command": ["./src/widget.txt"]}, {"name": "there", "command": ["true"]},
            {"name": "gone", "command": ["no-such-program"]},
        ]);
    });
    let what: Vec<Value> = found(&house).iter().map(|found| found["what"].clone()).collect();
    let expected = [
        "own: program './src/widget.txt' is not there, or not executable",
        "gone: program 'no-such-program' is not on PATH, or not executable",
    ];
    assert_eq!(what, expected);
    house.configure(|config| config["qualityGates"] = json!([]));
    assert!(found(&house)[0]["what"].as_str().unwrap().starts_with("none are configured"));
}
