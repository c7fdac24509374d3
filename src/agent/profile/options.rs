//! What `model`, `allowedTools`, `permissionMode`, `maxTurns` and `maxCostUsd` are in each client's own words.

use crate::config::{Parser, Profile};
use crate::error::{Error, Kind, Result};

/// The options that a profile asks for, or the first key that its client cannot be told.
pub(super) fn options(name: &str, parser: Parser, profile: &Profile) -> Result<Vec<String>> {
    let refused = |key: &str, why: &str| {
        let message = format!("'agents.{name}.{key}': {why}");
        Err(Error::new(Kind::Config, message)
            .hint("leave it out, or say it in 'command' in the agent's own words"))
    };
    let mut options = Vec::new();
    if let Some(model) = &profile.model {
        match parser {
            Parser::Claude => options.extend(["--model".to_owned(), model.clone()]),
            Parser::Codex | Parser::Gemini | Parser::Opencode => {
                options.extend(["-m".to_owned(), model.clone()]);
            }
            Parser::ExitCode => return refused("model", UNKNOWN),
        }
    }
    if let Some(tools) = &profile.allowed_tools {
        // One argument: the option takes as many as follow.
        match parser {
            _ if tools.is_empty() => {}
            Parser::Claude => options.extend(["--allowedTools".to_owned(), tools.join(",")]),
            Parser::Gemini => options.extend(["--allowed-tools".to_owned(), tools.join(",")]),
            _ => return refused("allowedTools", UNKNOWN),
        }
    }
    if let Some(mode) = &profile.permission_mode {
        match (parser, mode.as_str()) {
            (Parser::Claude, _) => options.extend(["--permission-mode".to_owned(), mode.clone()]),
            (Parser::Codex, "bypass") => {
                options.push("--dangerously-bypass-approvals-and-sandbox".to_owned());
            }
            (Parser::Codex, _) => options.extend(["--sandbox".to_owned(), mode.clone()]),
            (Parser::Gemini, _) => options.extend(["--approval-mode".to_owned(), mode.clone()]),
            (Parser::Opencode, "auto") => options.push("--auto".to_owned()),
            (Parser::Opencode, _) => return refused("permissionMode", "opencode knows no mode but 'auto'"),
            (Parser::ExitCode, _) => return refused("permissionMode", UNKNOWN),
        }
    }
    match (profile.max_turns, parser) {
        (None, _) => {}
        (Some(0), _) => return refused("maxTurns", "must be at least 1"),
        (Some(turns), Parser::Claude) => options.extend(["--max-turns".to_owned(), turns.to_string()]),
        (Some(_), _) => return refused("maxTurns", UNKNOWN),
    }
    match (profile.max_cost_usd, parser) {
        (Some(dollars), _) if !(dollars > 0.0 && dollars.is_finite()) => {
            return refused("maxCostUsd", "must be greater than 0");
        }
        // Claude Code is told with each run, see `cap`. opencode cannot be told, but says after each step what that cost.
        (None, _) | (Some(_), Parser::Claude | Parser::Opencode) => {}
        (Some(_), _) => return refused("maxCostUsd", "this agent does not tell what it costs"),
    }
    Ok(options)
}

/// What a run may cost, for a client that can be told: it then ends by itself after the answer that goes beyond it.
pub(super) fn cap(parser: Parser, dollars: f64) -> Option<[String; 2]> {
    // It refuses nothing at all, and no cap is finer than this.
    let dollars = (dollars * 1e4).round().max(1.0) / 1e4;
    (parser == Parser::Claude).then(|| ["--max-budget-usd".to_owned(), dollars.to_string()])
}

const UNKNOWN: &str = "this agent cannot be told";
