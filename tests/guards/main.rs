//! What is looked at before a push: nothing that must not be published arrives at the git server, and nothing that may
//! is kept back.
//!
//! `CQ_TEST_LONG=1` with `CQ_TEST_HISTORY=PATH` also counts false alarms over a real history: a git repository, or a
//! folder of patches.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test starts programs itself, says what it saw, and may panic"
)]

#[path = "../support/mod.rs"]
mod support;

mod dresses;
mod history;
mod protected;
mod pull;
mod seeded;
mod stream;

use support::house::{House, Plan};

/// That nothing was pushed: no branch, no push that was as much as begun.
#[track_caller]
fn assert_nothing_arrived(house: &House) {
    assert_eq!(house.lab.branches(), [""; 0]);
    let requests = house.lab.state()["requests"].clone();
    let pushes =
        requests.as_array().unwrap().iter().filter(|one| one["target"].to_string().contains("receive-pack"));
    assert_eq!(pushes.count(), 0, "{requests}");
}
