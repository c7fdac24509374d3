//! cq.
pub mod clock;
pub mod environment;
pub mod error;
pub mod record;
pub mod redact;
pub mod sanitize;
