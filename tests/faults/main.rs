//! Everything that GitHub, and the way to it, can do to a request: what a command then says, how it ends, how long it
//! takes, and that nothing is ever done twice.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test starts programs itself, says what it saw, and may panic"
)]

#[path = "../support/mod.rs"]
mod support;

mod claims;
mod clocks;
mod limits;
mod reads;
mod redirects;
mod table;
mod together;
mod writes;

use support::house::{House, Plan};
use support::lab::TOKEN;
