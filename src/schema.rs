//! The JSON Schemas of the record and the configuration, made from the types.

use serde::Serialize;

use crate::config::Config;
use crate::record::Record;

/// Of one line of a pipe, and of a file in `records/`.
pub fn record() -> String {
    text(&schemars::schema_for!(Record))
}

/// Of `orchestrator-config.json`.
pub fn config() -> String {
    text(&schemars::schema_for!(Config))
}

fn text(schema: &impl Serialize) -> String {
    serde_json::to_string_pretty(schema).unwrap_or_default() + "\n"
}
