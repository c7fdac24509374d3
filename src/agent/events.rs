//! What an agent says while it runs: Claude Code's stream-json, one JSON object a line, or plain lines.
//!
//! Unknown events are passed over: a client's next version has more of them. The last `result` counts.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use crate::config::Parser;
use crate::record::{Extra, Tokens};
use crate::sanitize;

/// The final word of a run. A later one replaces an earlier one.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Final {
    /// `success`, `error_max_turns`, …; `success` alone means nothing.
    pub subtype: String,
    /// Whether the client itself calls it an error.
    pub is_error: bool,
    /// The API's status, where the API refused.
    pub api_error_status: Option<u16>,
    /// The last text, or the error's.
    pub result: Option<String>,
    /// Errors, where there is no `result`.
    pub errors: Vec<Value>,
    /// Turns.
    pub num_turns: Option<u64>,
    /// US dollars.
    pub total_cost_usd: Option<f64>,
    /// Whether `total_cost_usd` counts the earlier runs of the session too.
    #[serde(skip)]
    pub cost_is_cumulative: bool,
    /// How it came to this, in the client's own words: `completed`, `api_error`, `max_turns`, …
    pub terminal_reason: Option<String>,
    /// What the agent wanted to do and was not allowed to.
    pub permission_denials: Vec<Value>,
    pub(super) usage: Option<Usage>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Usage {
    #[serde(rename = "input_tokens")]
    input: u64,
    #[serde(rename = "output_tokens")]
    output: u64,
    #[serde(rename = "cache_read_input_tokens")]
    cache_read: u64,
    #[serde(rename = "cache_creation_input_tokens")]
    cache_creation: u64,
}

impl Final {
    /// Tokens used.
    pub fn tokens(&self) -> Option<Tokens> {
        self.usage.map(|usage| Tokens {
            input: usage.input,
            output: usage.output,
            cache_read: usage.cache_read,
            cache_creation: usage.cache_creation,
            extra: Extra::new(),
        })
    }

    /// The names of the tools that were denied, each once, in the order of the first denial.
    pub fn denied_tools(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in self.permission_denials.iter().filter_map(|denial| denial["tool_name"].as_str()) {
            let name = sanitize::line(name).into_owned();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// What was said last, error texts included.
    pub fn text(&self) -> String {
        let errors = || self.errors.iter().map(plain).collect::<Vec<_>>().join("; ");
        self.result.clone().unwrap_or_else(errors)
    }
}

/// One line of an agent's output.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Said {
    /// What a person wants to read of it; empty for what is only noise.
    pub lines: Vec<String>,
    /// The session it belongs to.
    pub session_id: Option<String>,
    /// The final word, if it is one.
    pub end: Option<Final>,
}

/// The longest text shown of one event.
const LONGEST: usize = 2_000;

/// Understands one line.
pub fn read(parser: Parser, line: &[u8]) -> Said {
    let text = String::from_utf8_lossy(line);
    let event = match parser {
        Parser::ExitCode => None,
        Parser::Claude => serde_json::from_str::<Value>(&text).ok().filter(Value::is_object),
    };
    match event {
        Some(event) => claude(&event),
        None if text.trim().is_empty() => Said::default(),
        None => Said { lines: vec![shown(&text)], ..Said::default() },
    }
}

fn claude(event: &Value) -> Said {
    let session_id = event["session_id"].as_str().map(str::to_owned);
    let mut said = Said { session_id, ..Said::default() };
    match (event["type"].as_str(), event["subtype"].as_str()) {
        (Some("system"), Some("init")) => {
            said.lines.push(format!("session started, model {}", plain(&event["model"])));
        }
        (Some("system"), Some("api_retry")) => said.lines.push(format!(
            "the API answered {}, retry {} of {}",
            plain(&event["error_status"]),
            event["attempt"],
            event["max_retries"]
        )),
        (Some("system"), Some("permission_denied")) => {
            said.lines.push(format!("denied: {}", plain(&event["tool_name"])));
        }
        (Some("assistant"), _) => said.lines = blocks(event).filter_map(assistant).collect(),
        (Some("user"), _) => said.lines = blocks(event).filter_map(tool_result).collect(),
        (Some("result"), _) => {
            let end: Final = serde_json::from_value(event.clone()).unwrap_or_default();
            let verdict = if end.is_error { "error" } else { "done" };
            said.lines.push(format!("{verdict}: {}", shown(&end.text())));
            said.end = Some(end);
        }
        _ => {}
    }
    said
}

fn blocks(event: &Value) -> impl Iterator<Item = &Value> {
    event["message"]["content"].as_array().map(Vec::as_slice).unwrap_or_default().iter()
}

fn assistant(block: &Value) -> Option<String> {
    match block["type"].as_str()? {
        "text" => Some(shown(block["text"].as_str()?)),
        "tool_use" => {
            let input = &block["input"];
            let told = ["command", "file_path", "path", "pattern", "url", "description"];
            let detail = told.iter().find_map(|key| input[*key].as_str()).unwrap_or_default();
            Some(format!("> {} {}", plain(&block["name"]), shown(detail)).trim_end().to_owned())
        }
        _ => None,
    }
}

/// Results of tools are only told where they are errors; the rest is in the raw output.
fn tool_result(block: &Value) -> Option<String> {
    if block["is_error"].as_bool() != Some(true) {
        return None;
    }
    Some(format!("< error: {}", shown(&plain(&block["content"]))))
}

fn plain(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

fn shown(text: &str) -> String {
    sanitize::clip(&sanitize::lines(text.trim_end()), LONGEST).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_told_briefly_and_unknown_ones_not_at_all() {
        let cases = [
            (
                r#"{"type":"system","subtype":"init","session_id":"s","model":"m"}"#,
                vec!["session started, model m"],
            ),
            (
                r#"{"type":"assistant","message":{"content":[{"type":"text","text":"Hi\u001b[1m"}]}}"#,
                vec!["Hi\\e[1m"],
            ),
            (
                r#"{"type":"assistant","message":{"content":[{"type":"tool_use","name":"Bash","input":{"command":"ls"}}]}}"#,
                vec!["> Bash ls"],
            ),
            (r#"{"type":"user","message":{"content":[{"type":"tool_result","content":"fine"}]}}"#, vec![]),
            (
                r#"{"type":"user","message":{"content":[{"type":"tool_result","content":"bad","is_error":true}]}}"#,
                vec!["< error: bad"],
            ),
            (r#"{"type":"brand_new","x":1}"#, vec![]),
            ("not json", vec!["not json"]),
            ("[1,2]", vec!["[1,2]"]),
            ("", vec![]),
        ];
        for (line, expected) in cases {
            assert_eq!(read(Parser::Claude, line.as_bytes()).lines, expected, "{line}");
        }
        assert_eq!(read(Parser::ExitCode, b"{\"type\":\"result\"}").end, None);
        assert_eq!(read(Parser::Claude, b"\xff\xfe").lines, ["\u{fffd}\u{fffd}"]);
    }

    #[test]
    fn a_result_carries_what_is_counted() {
        let line = br#"{"type":"result","subtype":"success","is_error":false,"num_turns":3,"total_cost_usd":0.0255,
            "usage":{"input_tokens":5100,"output_tokens":230,"cache_read_input_tokens":2500},"result":"Fixed","session_id":"s"}"#;
        let said = read(Parser::Claude, line);
        let end = said.end.unwrap();
        assert_eq!(
            (end.num_turns, end.total_cost_usd, end.text().as_str()),
            (Some(3), Some(0.0255), "Fixed")
        );
        assert_eq!(end.tokens().unwrap().cache_read, 2500);
        assert_eq!(said.session_id.as_deref(), Some("s"));
    }
}
