//! Checks in the agent's sandbox: what they cannot see, and that no agent was in their home before.

use std::fs;

use serde_json::{Value, json};

use crate::support::skip::bubblewrap_works;
use crate::{House, Plan, check, log_of, nap, shell, sleepers};

fn sandboxed(test: &str, script: Value, gates: Value) -> Option<House> {
    if !bubblewrap_works(test) {
        return None;
    }
    let house = House::new(&Plan { script, gates, ..Plan::default() });
    house.configure(|config| config["sandbox"] = json!("required"));
    Some(house)
}

#[test]
fn a_check_sees_its_checkout_and_an_empty_home() {
    let script = json!({"default": [
        {"write": {"path": "new.txt", "content": "x"}}, {"commit": "Add a file"},
        {"run": ["sh", "-c", "echo poison > \"$HOME/.profile\"; echo poison > ../left.txt"]},
    ]});
    // Beside the house: what else is in the folder of temporary files is nobody's business here.
    let stranger = tempfile::NamedTempFile::new().unwrap();
    let look = "ls -A \"$HOME\"; pwd; echo made > made.txt; cat README.md; ls ..; \
        for path in \"$STATE\" \"$HOME/.ssh/id\" \"$STRANGER\"; do test -e \"$path\" && echo \"sees $path\"; done; exit 0";
    let Some(house) = sandboxed("a check's view", script, json!([])) else { return };
    fs::create_dir(house.place("home/.ssh")).unwrap();
    fs::write(house.place("home/.ssh/id"), "secret").unwrap();
    let records = house.state_dir().join("records/1.json");
    let look = look.replace("$STATE", records.to_str().unwrap());
    let look = look.replace("$STRANGER", stranger.path().to_str().unwrap());
    house.configure(|config| config["qualityGates"] = json!([shell("look", &look)]));
    house.work(1).good();
    let record = house.cq("gate").args(["1"]).run().quietly().record();
    assert_eq!(record["gates"]["sandbox"], "bubblewrap");
    let said = log_of(check(&record, "look"));
    let checkout = house.workspace(1).join("gate/widgets");
    assert_eq!(said, format!("{}\n# Widgets\nwidgets\n", checkout.display()));
    house.cq("pr").args(["1"]).run().quietly();
    let body = house.lab.pulls()[0]["body"].as_str().unwrap().to_owned();
    assert!(body.contains("in a sandbox (bubblewrap)"), "{body}");
}

#[test]
fn red_and_green_are_told_apart_in_a_sandbox_and_nothing_outlives_it() {
    let gates = json!([
        shell("green", &format!("env -i setsid {} & exit 0", nap())),
        shell("red", "test ! -e cq-lab/issue-1.md"),
        {"name": "missing", "command": ["no-such-program"]},
    ]);
    let Some(house) = sandboxed("verdicts in a sandbox", json!({}), gates) else { return };
    house.work(1).good();
    let record = house.cq("gate").args(["1"]).run().ends(1, "issue #1: checks failed: red").record();
    let verdicts: Vec<&Value> =
        record["gates"]["checks"].as_array().unwrap().iter().map(|check| &check["verdict"]).collect();
    assert_eq!(verdicts, ["passed", "failed", "unevaluated"]);
    assert_eq!(sleepers(), 0);
}

#[test]
fn without_the_required_sandbox_nothing_is_checked() {
    let house = House::usual();
    house.work(1).good();
    house.configure(|config| config["sandbox"] = json!("required"));
    let path = house.place("few programs");
    fs::create_dir(&path).unwrap();
    for program in ["git", "true", "test"] {
        let found =
            house.program("sh").args(["-c", &format!("command -v {program} || echo /usr/bin/{program}")]);
        let found = found.run().good().stdout;
        let real = if found.trim().starts_with('/') {
            found.trim().to_owned()
        } else {
            format!("/usr/bin/{program}")
        };
        std::os::unix::fs::symlink(real, path.join(program)).unwrap();
    }
    house.cq("gate").args(["1"]).env("PATH", &path).run().ends(78, "'sandbox' asks for a sandbox, but");
    assert_eq!(house.record(1).get("gates"), None);
}
