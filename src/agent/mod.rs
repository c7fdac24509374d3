//! Agents: how one is started, what it may see, what it says, how its end is judged.

pub mod budget;
pub mod environment;
pub mod events;
pub mod evidence;
pub mod policy;
pub mod profile;
pub mod prompt;
pub mod refusal;
pub mod reset;
pub mod templates;
