//! Agents that nobody watches: silent ones, hostile ones, and supervisors that are killed. Afterwards nothing runs on,
//! nothing is lost, and the outcome is the right one.
//!
//! `CQ_TEST_LONG=1` takes each many times, and the flood to a gigabyte.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test starts programs itself, says what it saw, and may panic"
)]

#[path = "../support/mod.rs"]
mod support;

mod hostile;
mod killed;
mod silence;
mod tree;

use serde_json::Value;

use support::house::House;

/// Whether the tests that take minutes are wanted.
fn long() -> bool {
    std::env::var_os("CQ_TEST_LONG").is_some()
}

/// The marker that every process of an issue's claim carries.
fn marker(house: &House, number: u64) -> String {
    format!("CQ_CLAIM={}", house.record(number)["claim"]["token"].as_str().unwrap())
}

/// Why a record is what it is.
fn why(record: &Value) -> &str {
    record["history"].as_array().unwrap().last().unwrap()["why"].as_str().unwrap()
}
