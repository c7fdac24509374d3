//! Upkeep: what surrounds the pipeline.

pub mod doctor;
pub mod init;
mod mirror;
pub mod monitor;
mod questions;
pub mod run;
pub mod stop;
pub mod token;
pub mod umbrella;
