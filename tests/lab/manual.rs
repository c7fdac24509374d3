//! What the manual says of the rehearsal is all that it understands, and holds.

use std::collections::BTreeSet;

use super::*;

const SERVE: &str = include_str!("../../src/cli/lab/serve.txt");
const AGENT: &str = include_str!("../../src/cli/lab/agent.txt");

/// What is indented under a heading.
fn blocks(text: &'static str, heading: &str) -> Vec<&'static str> {
    let (_, rest) = text.split_once(&format!("{heading}:\n\n")).unwrap();
    let is_heading = |block: &&str| !block.starts_with(' ') && block.ends_with(':');
    rest.split("\n\n").take_while(|block| !is_heading(block)).filter(|block| block.starts_with(' ')).collect()
}

/// The names that a refusal of an unknown one says are known.
fn known(refusal: &str) -> Vec<String> {
    let (_, names) = refusal.split_once(", expected ").unwrap_or_else(|| panic!("{refusal}"));
    names.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[track_caller]
fn assert_named(text: &str, refusal: &str, least: usize) {
    let words: BTreeSet<&str> = text.split(|c: char| !c.is_ascii_lowercase() && c != '_').collect();
    let known = known(refusal);
    let missing: Vec<&String> = known.iter().filter(|name| !words.contains(name.as_str())).collect();
    assert!(known.len() >= least && missing.is_empty(), "{missing:?} of {refusal}");
}

fn lab(args: &[&str], file: &str, text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(file), text).unwrap();
    let mut command = Command::new(LAB);
    let output = command.args(args).current_dir(folder.path()).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn every_field_of_the_seed_is_named() {
    let of_repository = |more: &str| format!(r#"{{"repositories":[{{"owner":"a","name":"b",{more}}}]}}"#);
    let of_issue = |more: &str| of_repository(&format!(r#""issues":[{{{more}}}]"#));
    let beside = |more: &str| format!(r#"{{"repositories":[],{more}}}"#);
    let cases = [
        (beside(r#""x":1"#), 7),
        (beside(r#""users":[{"x":1}]"#), 5),
        (beside(r#""tokens":[{"x":1}]"#), 4),
        (beside(r#""apps":[{"x":1}]"#), 7),
        (beside(r#""apps":[{"id":1,"public_key_pem":"","installations":[{"x":1}]}]"#), 4),
        (beside(r#""limits":{"x":1}"#), 7),
        (of_repository(r#""x":1"#), 14),
        (of_repository(r#""labels":[{"x":1}]"#), 3),
        (of_repository(r#""generate":{"x":1}"#), 3),
        (of_issue(r#""x":1"#), 23),
        (of_issue(r#""comments":[{"x":1}]"#), 6),
        (of_issue(r#""events":[{"x":1}]"#), 9),
        (of_issue(r#""edits":[{"x":1}]"#), 2),
    ];
    for (seed, least) in cases {
        assert_named(SERVE, &lab(&["serve", "--seed", "seed.json"], "seed.json", &seed), least);
    }
}

#[test]
fn every_step_of_a_script_is_named() {
    let refused = |step: &str| {
        lab(&["agent", "--script", "script.json"], "script.json", &format!(r#"{{"default":[{step}]}}"#))
    };
    let cases = [
        (r#"{"x":1}"#, 23),
        (r#"{"write":{"x":1}}"#, 2),
        (r#"{"flood":{"x":1}}"#, 2),
        (r#"{"error":{"x":1}}"#, 2),
        (r#"{"leave_child":{"x":1}}"#, 3),
        (r#"{"eat_memory":{"x":1}}"#, 3),
    ];
    for (step, least) in cases {
        assert_named(AGENT, &refused(step), least);
    }
}

#[test]
fn every_door_takes_what_is_named() {
    let rehearsal = Rehearsal::start(&serde_json::from_str(blocks(SERVE, "The seed")[0]).unwrap());
    let send = |method: &str, door: &str, body: &Value| rehearsal.send(method, door, Some(body), &[]);
    let x = json!({"x": 1});
    let deed = |what: Value| json!({"by": "mia", "number": 1, "do": what});
    let cases = [
        ("reviews", x.clone(), 7),
        ("reviews", json!({"repository": "a/b", "number": 1, "user": "a", "state": "b", "comments": [x]}), 3),
        ("checks", x.clone(), 8),
        ("rules", x.clone(), 5),
        ("act", x.clone(), 6),
        ("act", deed(x.clone()), 23),
        ("act", deed(json!({"open": x})), 3),
        ("act", deed(json!({"set_permission": x})), 3),
        ("faults", json!([x]), 18),
    ];
    for (door, body, least) in cases {
        let got = send("POST", &format!("/_lab/{door}"), &body);
        assert_named(SERVE, &got.body.to_string(), least);
    }

    // What it shows is taken as it stands.
    rehearsal.push("change", "hello.txt", "hello");
    let pull = json!({"title": "t", "head": "change", "base": "main"});
    assert_eq!(rehearsal.call("POST", "/repos/acme/widgets/pulls", &pull).body["number"], 2);
    let mut shown = 0;
    for block in blocks(SERVE, "What others do") {
        let door = block.split_whitespace().nth(1).unwrap();
        let Some((_, after)) = block.split_once("\n    ").filter(|(_, after)| after.starts_with(['{', '[']))
        else {
            continue;
        };
        let mut values = serde_json::Deserializer::from_str(after).into_iter::<Value>();
        let got = send("POST", door, &values.next().unwrap().unwrap());
        assert!([200, 204].contains(&got.status), "{block}: {}", got.body);
        shown += 1;
    }
    assert_eq!(shown, 5);
    for (method, door) in [("DELETE", "faults"), ("DELETE", "requests"), ("GET", "state")] {
        assert!(SERVE.contains(&format!("  {method} /_lab/{door} ")), "{door}");
        assert!(send(method, &format!("/_lab/{door}"), &Value::Null).status < 300, "{method} {door}");
    }
    let state = rehearsal.state();
    let (pull, check) = (&state["pulls"][0]["pull"], &state["checks"][0]);
    assert_eq!((&pull["reviews"][0]["user"], &check["conclusion"]), (&json!("mia"), &json!("failure")));
    assert_eq!(state["issues"][0]["comments"][0]["body"], "Also in German, please.");
    let log = format!("/_lab/log/{}", check["id"]);
    assert_eq!(rehearsal.send("GET", &log, None, &[]).body, "assertion failed");
}

/// The worked example, as a person would paste it.
#[test]
fn reviews_are_rehearsed_as_the_manual_says() {
    let has = |program: &str| Command::new(program).arg("--version").output().is_ok();
    if let Some(missing) = ["curl", "jq"].into_iter().find(|program| !has(program)) {
        return crate::support::skip::skip(
            "reviews_are_rehearsed_as_the_manual_says",
            &format!("there is no {missing}"),
        );
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("seed.json"), blocks(SERVE, "The seed")[0]).unwrap();
    let lines = blocks(SERVE, "Rehearse reviews").join("\n");
    fs::write(folder.path().join("script"), format!("set -e\ntrap 'kill %1' EXIT\n{lines}\n")).unwrap();
    let binaries = Path::new(LAB).parent().unwrap().display();
    let mut command = Command::new("bash");
    command.arg("script").current_dir(folder.path()).env_clear();
    command.env("HOME", folder.path()).env("PATH", format!("{binaries}:/usr/local/bin:/usr/bin:/bin"));
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = good(&output);
    let values = serde_json::Deserializer::from_str(&said).into_iter::<Value>().map(Result::unwrap);
    let records: Vec<Value> = values.filter(|value| value["cq"] == 1).collect();
    let statuses: Vec<&str> = records.iter().map(|record| record["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["pr-ready", "pr-ready", "pr-ready", "completed"]);
    let rounds = &records[3]["rounds"];
    assert_eq!((&rounds["review"], &rounds["ci"]), (&json!(1), &json!(1)));
}
