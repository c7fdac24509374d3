//! Webhooks end to end: `cq-webhook` as a process, recorded payloads, signatures made here.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test starts programs itself, and may panic"
)]

#[path = "../support/mod.rs"]
mod support;

mod deliveries;
mod door;
mod limits;
mod payloads;
mod receiver;
mod refusals;
mod signatures;

use receiver::{Delivery, Receiver, SECRET, issue};
use support::house::House;
