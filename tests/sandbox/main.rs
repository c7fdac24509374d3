//! Agents in a sandbox, end to end: what they cannot reach, what they cannot break, and that their work gets out.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test starts programs itself, and may panic"
)]

#[path = "../support/mod.rs"]
mod support;

mod account;
mod collect;
mod line;
mod tamper;
mod tiers;

use serde_json::{Value, json};
use support::house::{House, Plan};
use support::skip::bubblewrap_works;

/// A house whose agents are in a sandbox, or a skipped test.
fn sandboxed(test: &str, script: Value) -> Option<House> {
    if !bubblewrap_works(test) {
        return None;
    }
    let house = House::new(&Plan { script, ..Plan::default() });
    house.configure(|config| config["sandbox"] = json!("required"));
    Some(house)
}

/// What git itself finds wrong with the owner's repository: nothing.
#[track_caller]
fn assert_sound(house: &House) {
    let found = house.program("git").args(["fsck", "--full", "--strict"]).run().good();
    let wrong = |line: &&str| !line.starts_with("dangling ");
    let wrong: Vec<&str> = found.stdout.lines().filter(wrong).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}
