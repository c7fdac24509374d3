//! The pipeline end to end: the real binaries against the rehearsal's GitHub, each test in a house of its own.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test starts programs itself, and may panic"
)]

#[path = "../support/mod.rs"]
mod support;

mod acme_app;
mod agents;
mod app;
mod claims;
mod closed;
mod delivery;
mod disk;
mod doctor;
mod ends;
mod gates;
mod hostile;
mod input;
mod leaks;
mod limits;
mod line;
mod mirror;
mod network;
mod outcomes;
mod pipes;
mod prepare;
mod pressure;
mod radar;
mod recovery;
mod refusals;
mod releases;
mod report;
mod silence;
mod stop;
mod sync;
mod token;
mod trust;
mod twice;
mod views;
mod waits;
mod wire;

use support::house::{House, Plan};
