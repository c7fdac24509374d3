//! Upkeep: what surrounds the pipeline.

pub mod doctor;
pub mod init;
pub mod monitor;
pub mod stop;
pub mod token;
pub mod umbrella;
