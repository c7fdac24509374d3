//! The pipeline: one file per command, each with its whole story, in the order a record meets them.

pub mod claim;
pub mod cleanup;
pub mod fetch;
pub mod gate;
pub mod pull_request;
pub mod spawn;
pub mod supervise;
pub(crate) mod workspace;
