//! The checks: what they run in, what is believed of them, and that a red one sends the agent back; with real projects.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test starts programs itself, and may panic"
)]

#[path = "../support/mod.rs"]
mod support;

mod base;
mod caches;
mod ends;
mod init;
mod kinds;
mod receipts;
mod sandbox;
mod together;

use std::fs;

use serde_json::{Value, json};
use support::house::{House, Plan};

/// After every wait of a retry.
const LATER: &str = "2199-01-01T00:00:00Z";

/// A house with one check, a line for the shell.
fn checked_by(line: &str) -> House {
    House::new(&Plan { gates: json!([shell("the check", line)]), ..Plan::default() })
}

fn shell(name: &str, line: &str) -> Value {
    json!({"name": name, "command": ["sh", "-c", line]})
}

/// A check that counts how often it runs, in a file outside of everything, and then does what a line says.
fn counting(house: &House, then: &str) -> Value {
    shell("count", &format!("echo x >> '{}'; {then}", house.text_of("counted")))
}

fn count(house: &House) -> usize {
    fs::read_to_string(house.place("counted")).unwrap_or_default().lines().count()
}

/// What a check of a record says.
fn check<'r>(record: &'r Value, name: &str) -> &'r Value {
    let checks = record["gates"]["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("{record:#}"))
}

fn log_of(check: &Value) -> String {
    fs::read_to_string(check["log"].as_str().unwrap()).unwrap()
}

/// The tree at the end of a branch.
fn tree_of(house: &House, record: &Value) -> String {
    house.git(&["rev-parse", &format!("{}^{{tree}}", record["claim"]["branch"].as_str().unwrap())])
}

/// A command that takes a day, and that no other test has.
fn nap() -> String {
    format!("sleep 86421.{}", std::process::id())
}

/// How many such naps are being taken.
fn sleepers() -> usize {
    let lines = fs::read_dir("/proc").unwrap().flatten();
    let lines = lines.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let line = format!("{}\0", nap().replace(' ', "\0"));
    lines.filter(|found| found == line.as_bytes()).count()
}
