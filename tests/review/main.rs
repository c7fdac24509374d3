//! What follows a pull request: reviews, CI and conflicts go back to the agent; merges; reverts. The real binaries against
//! the rehearsal's GitHub, each test in a house of its own.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test starts programs itself, and may panic"
)]

#[path = "../support/mod.rs"]
mod support;

mod ends;
mod merges;
mod place;
mod reverts;
mod rounds;

use support::house::{House, Plan};
