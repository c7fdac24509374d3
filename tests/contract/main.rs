//! What cq sends to GitHub and reads from it, against what GitHub has published: the OpenAPI descriptions of both
//! versions, the GraphQL schema, exchanges recorded from the real service (tests/data/github).
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test starts programs itself, and may panic"
)]

#[path = "../support/mod.rs"]
mod support;

mod description;
mod examples;
mod recorded;
mod replay;
mod requests;
mod sources;

use support::house::{House, Plan};
