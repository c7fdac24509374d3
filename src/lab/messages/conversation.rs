//! What a request says: whether the API would take it, and where in its script the conversation stands.
//!
//! Nothing is remembered between requests. The number of prompts, the answers since the last of them, the issue
//! and the attempt that the prompts name decide what comes next, so that a session which is resumed, by another
//! process or against another rehearsal, goes on where it stood.

use std::collections::BTreeSet;

use serde_json::Value;

use super::failure::Failure;

/// A request, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Conversation {
    pub model: String,
    /// Whether the answer is to come as server-sent events.
    pub stream: bool,
    /// The issue that the first prompt names with `#`; `0` where it names none.
    pub issue: String,
    /// The attempt that the last prompt names, or how many prompts there are, whichever is more.
    pub attempt: u32,
    /// How many answers were given since the last prompt.
    pub turn: usize,
    /// The folder that the client works in, as it or the prompt says; empty where neither does.
    pub directory: String,
    /// How long the request is, in bytes: all of it, and what the last answer had already been given for.
    pub length: usize,
    pub known: usize,
}

impl Conversation {
    /// Reads a request, or refuses it as the API would.
    pub(super) fn read(body: &Value) -> Result<Self, Failure> {
        let Some(model) = body["model"].as_str().filter(|model| !model.is_empty()) else {
            return Err(Failure::invalid("model: Field required"));
        };
        match &body["max_tokens"] {
            Value::Null => return Err(Failure::invalid("max_tokens: Field required")),
            tokens if tokens.as_u64().is_none_or(|tokens| tokens == 0) => {
                return Err(Failure::invalid("max_tokens: Input should be greater than or equal to 1"));
            }
            _ => {}
        }
        let messages = body["messages"].as_array().ok_or_else(|| missing("messages"))?;
        if messages.is_empty() {
            return Err(Failure::invalid("messages: at least one message is required"));
        }
        for (at, message) in messages.iter().enumerate() {
            check(at, message)?;
        }
        paired(messages)?;
        Ok(Self::place(model, body, messages))
    }

    fn place(model: &str, body: &Value, messages: &[Value]) -> Self {
        let prompts: Vec<(usize, &str)> = messages
            .iter()
            .enumerate()
            .filter(|(_, message)| message["role"] == "user")
            .flat_map(|(at, message)| texts(message).map(move |text| (at, text)))
            .filter(|(_, text)| is_prompt(text))
            .collect();
        let asked = prompts.last().map_or(0, |(at, _)| *at);
        let issue = prompts.iter().find_map(|(_, text)| number_after(text, "#"));
        let named = prompts.last().and_then(|(_, text)| attempt_in(text)).unwrap_or(1);
        let counted = u32::try_from(prompts.len()).unwrap_or(u32::MAX);
        let answered = |message: &&Value| message["role"] == "assistant";
        let last_answer = messages.iter().rposition(|message| answered(&message));
        let length = body.to_string().len();
        let known = last_answer.map_or(0, |at| {
            let since: usize = messages[at..].iter().map(|message| message.to_string().len()).sum();
            length.saturating_sub(since)
        });
        let everywhere = prompts.iter().map(|(_, text)| *text);
        let mut everywhere =
            everywhere.chain(texts_of(&body["system"])).chain(messages.iter().flat_map(texts));
        Self {
            model: model.to_owned(),
            stream: body["stream"] == true,
            issue: issue.map_or_else(|| "0".to_owned(), |issue| issue.to_string()),
            attempt: named.max(counted),
            turn: messages[asked..].iter().filter(answered).count(),
            directory: everywhere.find_map(directory_in).unwrap_or_default().to_owned(),
            length,
            known,
        }
    }
}

fn missing(field: &str) -> Failure {
    Failure::invalid(format!("{field}: Field required"))
}

/// Each message has a role and a content: a text, or blocks that say what they are.
fn check(at: usize, message: &Value) -> Result<(), Failure> {
    let role = message["role"].as_str().ok_or_else(|| missing(&format!("messages.{at}.role")))?;
    // Newer clients give instructions between the turns as well.
    if !["user", "assistant", "system"].contains(&role) {
        let text =
            format!("messages: Unexpected role \"{role}\". Allowed roles are \"user\" or \"assistant\".");
        return Err(Failure::invalid(text));
    }
    match &message["content"] {
        Value::String(text) if !text.is_empty() => Ok(()),
        Value::Array(blocks) if !blocks.is_empty() => {
            for (index, block) in blocks.iter().enumerate() {
                if block["type"].as_str().is_none() {
                    return Err(missing(&format!("messages.{at}.content.{index}.type")));
                }
                if block["type"] == "text" && block["text"].as_str().is_none_or(str::is_empty) {
                    return Err(Failure::invalid("messages: text content blocks must be non-empty"));
                }
            }
            Ok(())
        }
        Value::Null => Err(missing(&format!("messages.{at}.content"))),
        _ => Err(Failure::invalid(format!("messages.{at}: user messages must have non-empty content"))),
    }
}

/// Every use of a tool is answered by the next message of the user, and nothing else is.
fn paired(messages: &[Value]) -> Result<(), Failure> {
    let spoken: Vec<(usize, &Value)> =
        messages.iter().enumerate().filter(|(_, message)| message["role"] != "system").collect();
    let mut used = BTreeSet::new();
    for (at, message) in spoken {
        let answers = ids(message, "tool_result", "tool_use_id");
        if let Some(stray) = answers.difference(&used).next() {
            let text = format!(
                "messages.{at}.content.0: unexpected `tool_use_id` found in `tool_result` blocks: {stray}. Each \
                 `tool_result` block must have a corresponding `tool_use` block in the previous message."
            );
            return Err(Failure::invalid(text));
        }
        let open: Vec<&str> = used.difference(&answers).copied().collect();
        if !open.is_empty() {
            let text = format!(
                "messages.{at}: `tool_use` ids were found without `tool_result` blocks immediately after: {}. Each \
                 `tool_use` block must have a corresponding `tool_result` block in the next message.",
                open.join(", ")
            );
            return Err(Failure::invalid(text));
        }
        used = ids(message, "tool_use", "id");
    }
    Ok(())
}

fn ids<'m>(message: &'m Value, kind: &str, key: &str) -> BTreeSet<&'m str> {
    let blocks = message["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    blocks.iter().filter(|block| block["type"] == kind).filter_map(|block| block[key].as_str()).collect()
}

/// The texts of a message.
fn texts(message: &Value) -> impl Iterator<Item = &str> {
    texts_of(&message["content"])
}

fn texts_of(content: &Value) -> impl Iterator<Item = &str> {
    let blocks = content.as_array().map(Vec::as_slice).unwrap_or_default();
    let blocks =
        blocks.iter().filter(|block| block["type"] == "text").filter_map(|block| block["text"].as_str());
    content.as_str().into_iter().chain(blocks)
}

/// What a person, or cq, asked for; not what the client adds of its own.
fn is_prompt(text: &str) -> bool {
    let text = text.trim_start();
    !text.is_empty() && !text.starts_with("<system-reminder>") && !text.starts_with("[Request interrupted")
}

/// The first number that stands right after a word.
fn number_after(text: &str, word: &str) -> Option<u64> {
    text.match_indices(word).find_map(|(at, _)| {
        let digits = text[at + word.len()..].bytes().take_while(u8::is_ascii_digit).count();
        text[at + word.len()..][..digits].parse().ok()
    })
}

/// `Attempt: 2` at the start of a line, as cq's templates have it, else the first `attempt 2`.
fn attempt_in(text: &str) -> Option<u32> {
    let line = text.lines().find_map(|line| line.strip_prefix("Attempt: "));
    let stated = line.and_then(|rest| rest.trim().parse().ok());
    stated.or_else(|| number_after(&text.to_ascii_lowercase(), "attempt ")?.try_into().ok())
}

/// The folder after `Working directory: `, to the line's end.
fn directory_in(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("orking directory: ")?;
    rest.lines().next().map(str::trim_end)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(messages: &Value) -> Value {
        json!({"model": "m", "max_tokens": 10, "stream": true, "messages": messages})
    }

    #[test]
    fn the_conversation_says_where_it_stands() {
        let prompt = json!({"role": "user", "content": [
            {"type": "text", "text": "<system-reminder>attempt 9 at #9</system-reminder>"},
            {"type": "text", "text": "Issue #7 of a/b.\nAttempt: 1\nWorking directory: /a b/c\n"},
        ]});
        let tools = json!({"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "Bash", "input": {}}]});
        let result = json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "ok"}]});
        let interrupted = json!({"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "t", "content": "ok"}, {"type": "text", "text": "Go on."},
        ]});
        let system = json!({"role": "system", "content": "Be good. attempt 5"});
        let again = json!({"role": "user", "content": "Attempt: 3\nGo on."});
        let said = json!({"role": "assistant", "content": "Fine."});
        let cases = [
            (json!([prompt]), 1, 0),
            (json!([prompt, system]), 1, 0),
            (json!([prompt, tools, result]), 1, 1),
            (json!([prompt, tools, interrupted]), 2, 0),
            (json!([prompt, tools, interrupted, said, again]), 3, 0),
            (json!([prompt, prompt]), 2, 0),
        ];
        for (messages, attempt, turn) in cases {
            let read = Conversation::read(&request(&messages)).unwrap();
            assert_eq!((read.attempt, read.turn), (attempt, turn), "{messages}");
            assert_eq!((read.issue.as_str(), read.directory.as_str()), ("7", "/a b/c"));
            assert!(read.known < read.length);
        }
        let plain = Conversation::read(&request(&json!([{"role": "user", "content": "Hello"}]))).unwrap();
        assert_eq!((plain.issue.as_str(), plain.attempt, plain.directory.as_str()), ("0", 1, ""));
    }

    #[test]
    fn what_the_api_would_not_take_is_refused() {
        let user = |content: Value| json!({"role": "user", "content": content});
        let tools = json!({"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "Bash", "input": {}}]});
        let cases = [
            (json!({}), "model: Field required"),
            (json!({"model": "m"}), "max_tokens: Field required"),
            (json!({"model": "m", "max_tokens": 0}), "max_tokens: Input should be greater"),
            (json!({"model": "m", "max_tokens": 1}), "messages: Field required"),
            (request(&json!([])), "at least one message"),
            (request(&json!([{"role": "robot", "content": "x"}])), "Unexpected role \"robot\""),
            (request(&json!([{"role": "user"}])), "messages.0.content: Field required"),
            (request(&json!([user(json!([]))])), "non-empty"),
            (request(&json!([user(json!([{"type": "text", "text": ""}]))])), "non-empty"),
            (request(&json!([user(json!([{"text": "x"}]))])), "messages.0.content.0.type"),
            (request(&json!([user(json!("x")), tools, user(json!("y"))])), "without `tool_result`"),
            (
                request(&json!([user(
                    json!([{"type": "tool_result", "tool_use_id": "t9", "content": "x"}])
                )])),
                "unexpected `tool_use_id` found in `tool_result` blocks: t9",
            ),
        ];
        for (body, expected) in cases {
            let failure = Conversation::read(&body).unwrap_err();
            assert_eq!(failure.status, 400);
            assert!(failure.message.contains(expected), "{body}: {failure:?}");
        }
    }
}
