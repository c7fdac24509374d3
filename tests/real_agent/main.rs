//! The real Claude Code, driven by the pipeline: GitHub and the model are the rehearsal's, on loopback; the key is
//! nobody's. `CQ_REAL_CLAUDE` names the binary (`scripts/test --real-agent` fetches it); without it each test says
//! that it was skipped.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test starts programs itself, and may panic"
)]

#[path = "../support/mod.rs"]
mod support;

mod costs;
mod hostile;
mod place;
mod refused;
mod resumed;
mod work;
