//! What an agent says while it runs: one JSON object a line in its client's own shape, or plain lines.
//!
//! Unknown events are passed over: a client's next version has more of them. The last final word counts.

use std::borrow::Cow;
use std::ops::Add;

use serde::Deserialize;
use serde_json::Value;

use crate::config::Parser;
use crate::record::{Extra, Tokens};
use crate::sanitize;

mod claude;
mod codex;
mod cut;
mod gemini;
mod opencode;
#[cfg(test)]
mod tests;

pub use cut::Line;

/// The final word of a run, whichever client says it. A later one replaces an earlier one, and sums up both.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Final {
    /// The client's word for the kind of end: `success`, `error_max_turns`, …; `success` alone means nothing.
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
    /// Whether these dollars are those of the session from its beginning, earlier runs in it included.
    #[serde(skip)]
    pub cost_is_cumulative: bool,
    /// The same for the tokens.
    #[serde(skip)]
    pub tokens_are_cumulative: bool,
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

impl Usage {
    fn tokens(self) -> Tokens {
        Tokens {
            input: self.input,
            output: self.output,
            cache_read: self.cache_read,
            cache_creation: self.cache_creation,
            extra: Extra::new(),
        }
    }
}

impl Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            input: self.input + other.input,
            output: self.output + other.output,
            cache_read: self.cache_read + other.cache_read,
            cache_creation: self.cache_creation + other.cache_creation,
        }
    }
}

impl Final {
    /// Tokens used.
    pub fn tokens(&self) -> Option<Tokens> {
        self.usage.map(Usage::tokens)
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

/// What a run has used so far, as far as its client tells before the end.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// Turns.
    pub turns: Option<u64>,
    /// Tokens.
    pub tokens: Option<Tokens>,
    /// US dollars.
    pub cost_usd: Option<f64>,
    /// The model, as the client names it.
    pub model: Option<String>,
}

/// The longest text shown of one event.
const LONGEST: usize = 2_000;
/// The longest name of a model, in characters.
const LONGEST_MODEL: usize = 100;
/// The longest last message that is kept, in bytes.
const LONGEST_MESSAGE: usize = 16 << 10;

/// Understands an agent's output, line after line. Each run needs one of its own.
#[derive(Debug)]
pub struct Reader {
    parser: Parser,
    so_far: Conversation,
}

impl Reader {
    /// At the output's beginning.
    pub fn new(parser: Parser) -> Self {
        Self { parser, so_far: Conversation::default() }
    }

    /// Understands one line, which may be anything.
    pub fn read(&mut self, line: &[u8]) -> Said {
        let text = String::from_utf8_lossy(line);
        let understand = match self.parser {
            Parser::ExitCode => None,
            Parser::Claude => Some(claude::read as fn(&Value, &mut Conversation) -> Said),
            Parser::Codex => Some(codex::read as _),
            Parser::Gemini => Some(gemini::read as _),
            Parser::Opencode => Some(opencode::read as _),
        };
        let event = || serde_json::from_str::<Value>(&text).ok().filter(Value::is_object);
        let Some((understand, event)) = understand.and_then(|understand| Some((understand, event()?))) else {
            let told = (!text.trim().is_empty()).then(|| shown(&text));
            return Said { lines: told.into_iter().collect(), ..Said::default() };
        };
        let mut said = understand(&event, &mut self.so_far);
        if let Some(end) = &mut said.end {
            let progress = &mut self.so_far.progress;
            end.num_turns = end.num_turns.or(progress.turns);
            end.total_cost_usd = end.total_cost_usd.or(progress.cost_usd);
            let model = progress.model.take();
            *progress =
                Progress { turns: end.num_turns, tokens: end.tokens(), cost_usd: end.total_cost_usd, model };
            let verdict = if end.is_error { "error" } else { "done" };
            said.lines.push(format!("{verdict}: {}", shown(&end.text())));
            self.so_far.ended = Some(end.clone());
        }
        said
    }

    /// What was said and not yet told, once nothing more will come.
    pub fn finish(&mut self) -> Option<String> {
        self.so_far.rest_of_line()
    }

    /// What the run has used so far.
    pub fn so_far(&self) -> &Progress {
        &self.so_far.progress
    }
}

/// What one line needs to know of those before it.
#[derive(Debug, Default)]
struct Conversation {
    progress: Progress,
    /// The tokens of the steps so far, where the client counts by step.
    usage: Option<Usage>,
    /// What the agent said last.
    message: String,
    /// The message that is being counted as a turn.
    current: String,
    in_turn: bool,
    /// Whether the last event was a piece of the message.
    speaking: bool,
    /// Pieces that are no whole line yet.
    untold: String,
    ended: Option<Final>,
}

impl Conversation {
    fn add_turn(&mut self) {
        self.progress.turns = Some(self.progress.turns.unwrap_or_default() + 1);
    }

    /// What a client says of its model when it begins.
    fn note_model(&mut self, model: &Value) {
        if let Some(name) = model.as_str().filter(|name| !name.is_empty()) {
            self.progress.model = Some(sanitize::clip(&sanitize::line(name), LONGEST_MODEL).into_owned());
        }
    }

    fn say(&mut self, text: &str) {
        self.message.clear();
        self.say_more(text);
    }

    fn say_more(&mut self, text: &str) {
        let room = LONGEST_MESSAGE.saturating_sub(self.message.len());
        let fits = |&(at, letter): &(usize, char)| at + letter.len_utf8() <= room;
        self.message.extend(text.char_indices().take_while(fits).map(|(_, letter)| letter));
    }

    /// The lines that a piece completes.
    fn complete_lines(&mut self, piece: &str) -> Option<String> {
        self.untold.push_str(piece);
        let end = self.untold.rfind('\n').or((self.untold.len() > LONGEST).then_some(self.untold.len()))?;
        let rest = self.untold.split_off(end);
        let told = std::mem::replace(&mut self.untold, rest.trim_start_matches('\n').to_owned());
        (!told.trim().is_empty()).then(|| shown(&told))
    }

    fn rest_of_line(&mut self) -> Option<String> {
        let told = std::mem::take(&mut self.untold);
        (!told.trim().is_empty()).then(|| shown(&told))
    }

    /// A good end, with the agent's last message.
    fn success(&self, subtype: &str) -> Final {
        Final { subtype: subtype.to_owned(), result: Some(self.message.clone()), ..Final::default() }
    }

    fn failure(&self, subtype: &str, message: &str) -> Final {
        let result = Some(message.to_owned());
        Final { subtype: subtype.to_owned(), is_error: true, result, usage: self.usage, ..Final::default() }
    }
}

/// A tool that is used: its name, and the one argument that says most.
fn tool(name: &str, input: &Value) -> String {
    let told = ["command", "file_path", "filePath", "path", "pattern", "url", "query", "description"];
    let detail = told.iter().find_map(|key| input[*key].as_str()).unwrap_or_default();
    format!("> {name} {}", shown(detail)).trim_end().to_owned()
}

/// The API's own message in one that quotes its JSON, else the whole.
fn inner_message(message: &Value) -> String {
    let text = plain(message);
    let inner = quoted_json(&text).and_then(|json| json["error"]["message"].as_str().map(str::to_owned));
    inner.unwrap_or_else(|| text.into_owned())
}

/// The API's status in an error message: `"code":400` of its JSON, `status: 429`, or words that mean one.
fn refused(message: &str) -> Option<u16> {
    let is_refusal = |status: &u16| (400..600).contains(status);
    let code = quoted_json(message).and_then(|json| json["error"]["code"].as_u64());
    let code = code.and_then(|code| u16::try_from(code).ok()).filter(is_refusal);
    let after_status = || {
        message.match_indices("status").find_map(|(at, word)| {
            let rest = message[at + word.len()..].trim_start_matches([' ', ':', '"']);
            rest.get(..3)?.parse().ok().filter(is_refusal)
        })
    };
    let words = || {
        let message = message.to_lowercase();
        let limited = ["usage limit", "rate limit", "quota", "resource_exhausted"];
        limited.iter().any(|word| message.contains(word)).then_some(429)
    };
    code.or_else(after_status).or_else(words)
}

fn quoted_json(text: &str) -> Option<Value> {
    let (from, to) = (text.find('{')?, text.rfind('}')?);
    serde_json::from_str(text.get(from..=to)?).ok()
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
