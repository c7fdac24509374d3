//! How workspaces go: nothing outside is touched, nothing in them is lost, whatever is swapped, linked, mounted or
//! killed meanwhile.
//!
//! `CQ_TEST_SEED=N` draws the random moments and messes of an earlier run again; `CQ_TEST_LONG=1` takes more of them.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test starts programs itself, says what it saw, and may panic"
)]

#[path = "../support/mod.rs"]
mod support;

mod branches;
mod bytes;
mod in_hand;
mod killed;
mod mess;
mod races;
mod rescues;
mod speed;
mod stale;
mod traps;
mod used;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use support::house::{House, Plan};

const LATER: &str = "2199-01-01T00:00:00Z";

fn long() -> bool {
    std::env::var_os("CQ_TEST_LONG").is_some()
}

/// Where random moments come from; the seed is printed, so that a failure can be played again.
fn dice(test: &str) -> fastrand::Rng {
    let seed = std::env::var("CQ_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("{test}: CQ_TEST_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

/// A house with so many failed issues, each in an instance of its own: what is in their workspaces is the test's.
fn failed(issues: u64) -> House {
    failed_in(issues, &json!({}))
}

/// The same, with these files in the repository.
fn failed_in(issues: u64, files: &Value) -> House {
    let list: Vec<Value> = (1..=issues)
        .map(|number| json!({"number": number, "title": format!("Issue {number}"), "body": "Do it.", "labels": ["claude-ready"]}))
        .collect();
    let mut all = json!({"README.md": "# Widgets\n", "src/widget.txt": "a widget\n", "src/deep/er.txt": "deep\n",
                         "tool.sh": "#!/bin/sh\n", ".gitignore": "*.log\n/out/\n/node_modules/\n/cache/\n"});
    all.as_object_mut().unwrap().extend(files.as_object().unwrap().clone());
    let house = House::new(&Plan {
        issues: json!(list),
        script: json!({"default": [{"write": {"path": "committed.txt", "content": "committed\n"}}, {"commit": "Half of it"}, {"exit": 1}]}),
        seed: json!({"widgets": {"files": all}}),
        ..Plan::default()
    });
    house.configure(|config| {
        config["queue"]["maxConcurrentIssues"] = json!(issues);
        config["claude"]["maxInstances"] = json!(issues);
        config["queue"]["retryAttempts"] = json!(1);
    });
    let numbers: Vec<String> = (1..=issues).map(|number| number.to_string()).collect();
    house.cq("claim").args(&numbers).run().good();
    house.cq("spawn").args(["--wait"]).args(&numbers).run();
    for number in 1..=issues {
        assert_eq!(house.status(number), "failed", "{}", house.record(number));
    }
    house
}

/// The number of an issue's instance.
fn instance(house: &House, issue: u64) -> u32 {
    let record = house.record(issue);
    record["claim"]["instance"].as_str().unwrap().strip_prefix("claude-instance-").unwrap().parse().unwrap()
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Nothing is on its way out any more.
fn assert_all_gone(house: &House) {
    let workspaces = house.clone().join("workspaces");
    for folder in [workspaces.join(".leaving"), workspaces.join(".trash")] {
        assert_eq!(names(&folder), BTreeSet::new(), "{}", folder.display());
    }
    // A half-written one is swept when it is a minute old.
    let foreign = |name: &String| name != "lock" && !name.starts_with(".tmp-");
    let notes: Vec<String> = names(&house.state_dir().join("leaving")).into_iter().filter(foreign).collect();
    assert_eq!(notes, Vec::<String>::new());
    assert_eq!(house.git(&["for-each-ref", "refs/cq/leaving"]), "");
}
