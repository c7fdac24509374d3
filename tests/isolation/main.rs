//! What stands between an agent and the repository: traps in the shared `.git`, tampering, clones, and how fresh
//! workspaces come about.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test starts programs itself, and may panic"
)]

#[path = "../support/mod.rs"]
mod support;

mod battery;
mod clones;
mod fresh;
mod tampering;
mod traps;

use support::house::{House, Plan};
