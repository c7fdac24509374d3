//! Upkeep: what surrounds the pipeline.

pub mod init;
mod mirror;
pub mod monitor;
pub mod stop;
pub mod umbrella;
