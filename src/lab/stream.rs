//! Claude Code's stream-json, as the scripted agent writes it.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use serde_json::{Map, Value, json};

use crate::clock::Clock;
use crate::error::{Kind, OrFail, Result};

const MODEL: &str = "cq-lab";

/// Tokens and dollars of one turn: round numbers that a test can add up.
const INPUT: u64 = 1000;
const OUTPUT: u64 = 100;
const COST_CENTS: u64 = 1;

/// The stream and what its result will sum up.
pub(super) struct Stream<W> {
    out: W,
    clock: Clock,
    pub session: String,
    turns: u64,
    last_said: String,
    begun: Instant,
}

impl<W: Write> Stream<W> {
    pub(super) fn new(out: W, clock: Clock, session: String) -> Self {
        Self { out, clock, session, turns: 0, last_said: String::new(), begun: Instant::now() }
    }

    /// One line, flushed: who follows the file sees it at once.
    pub(super) fn raw(&mut self, line: &str) -> Result<()> {
        let written = self.out.write_all(format!("{line}\n").as_bytes()).and_then(|()| self.out.flush());
        written.or_fail(Kind::ClosedPipe, || "cannot write to stdout")
    }

    fn event(&mut self, mut event: Value) -> Result<()> {
        event["session_id"] = json!(self.session);
        event["uuid"] = json!(uuid::Uuid::new_v4().to_string());
        self.raw(&event.to_string())
    }

    pub(super) fn init(&mut self, directory: &Path, permission_mode: &str, key: bool) -> Result<()> {
        self.event(json!({
            "type": "system", "subtype": "init", "cwd": directory, "tools": ["Bash", "Read", "Write"],
            "mcp_servers": [], "model": MODEL, "permissionMode": permission_mode, "slash_commands": [],
            "apiKeySource": if key { "ANTHROPIC_API_KEY" } else { "none" }, "output_style": "default",
            "claude_code_version": concat!("cq-lab ", env!("CARGO_PKG_VERSION")), "agents": [], "skills": [],
            "plugins": [],
        }))
    }

    fn assistant(&mut self, content: &Value, more: Map<String, Value>) -> Result<()> {
        let message = json!({
            "id": format!("msg_lab_{}", self.turns), "type": "message", "role": "assistant", "model": MODEL,
            "content": [content], "stop_reason": null, "stop_sequence": null,
            "usage": {
                "input_tokens": INPUT, "output_tokens": 1,
                "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
            },
        });
        let mut event = json!({
            "type": "assistant", "message": message, "parent_tool_use_id": null,
            "timestamp": self.clock.now_exact(),
        });
        if let Some(event) = event.as_object_mut() {
            event.extend(more);
        }
        self.event(event)
    }

    /// A turn that says something.
    pub(super) fn say(&mut self, text: &str) -> Result<()> {
        self.turns += 1;
        text.clone_into(&mut self.last_said);
        self.assistant(&json!({"type": "text", "text": text}), Map::new())
    }

    /// A turn that uses a tool.
    pub(super) fn tool(&mut self, name: &str, input: &Value) -> Result<()> {
        self.turns += 1;
        let id = format!("toolu_lab_{}", self.turns);
        self.assistant(&json!({"type": "tool_use", "id": id, "name": name, "input": input}), Map::new())
    }

    /// What the tool gave.
    pub(super) fn tool_result(&mut self, content: &str, is_error: bool) -> Result<()> {
        let id = format!("toolu_lab_{}", self.turns);
        let block =
            json!({"tool_use_id": id, "type": "tool_result", "content": content, "is_error": is_error});
        self.event(json!({
            "type": "user", "message": {"role": "user", "content": [block]}, "parent_tool_use_id": null,
            "timestamp": self.clock.now_exact(), "tool_use_result": {"stdout": content, "stderr": "", "interrupted": false},
        }))
    }

    /// The API's failure, said in the agent's own voice.
    pub(super) fn api_error(&mut self, status: u16, text: &str) -> Result<()> {
        let error = match status {
            401 | 403 => "authentication_failed",
            400 => "invalid_request",
            404 => "model_not_found",
            429 => "rate_limit",
            529 => "overloaded",
            500..=599 => "server_error",
            _ => "unknown",
        };
        let more = json!({"error": error, "is_api_error_message": true, "api_error_status": status});
        let more = if let Value::Object(more) = more { more } else { Map::new() };
        self.turns += 1;
        text.clone_into(&mut self.last_said);
        self.assistant(&json!({"type": "text", "text": text}), more)
    }

    /// The result; `fields` override what it would say by itself. Whether it tells of an error.
    pub(super) fn result(&mut self, fields: Map<String, Value>) -> Result<bool> {
        let subtype = fields.get("subtype").and_then(Value::as_str).unwrap_or("success").to_owned();
        let success = subtype == "success";
        let (input, output) = (self.turns * INPUT, self.turns * OUTPUT);
        // Cents are few: the conversion is exact.
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let cost = (self.turns * COST_CENTS) as f64 / 100.0;
        let milliseconds = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut event = json!({
            "type": "result", "subtype": subtype, "is_error": !success, "num_turns": self.turns,
            "duration_ms": milliseconds, "duration_api_ms": 0, "total_cost_usd": cost,
            "usage": {
                "input_tokens": input, "output_tokens": output,
                "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
            },
            "modelUsage": {MODEL: {
                "inputTokens": input, "outputTokens": output, "cacheReadInputTokens": 0,
                "cacheCreationInputTokens": 0, "costUSD": cost,
            }},
            "permission_denials": [], "stop_reason": "end_turn",
            "terminal_reason": if success { "completed" } else { subtype.trim_start_matches("error_") },
        });
        if success {
            event["result"] = json!(self.last_said);
            event["api_error_status"] = Value::Null;
        } else {
            event["errors"] = json!([self.last_said]);
        }
        if let Some(event) = event.as_object_mut() {
            event.extend(fields);
        }
        let is_error = event["is_error"] == json!(true);
        self.event(event)?;
        Ok(is_error)
    }
}
