//! cq.
pub mod claims;
pub mod clock;
pub mod config;
pub mod environment;
pub mod error;
pub mod git;
pub mod process;
pub mod record;
pub mod redact;
pub mod sanitize;
pub mod state;
