//! Upkeep: what surrounds the pipeline.

pub mod init;
pub mod monitor;
pub mod stop;
pub mod umbrella;
