//! An answer of the Messages API: as one object, and as the server-sent events that a stream makes of it.

use std::time::Duration;

use serde_json::{Value, json};

use super::conversation::Conversation;
use super::script::Step;

/// A piece of a stream.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    /// An event: its data, which names it.
    Event(Value),
    Wait(Duration),
    Hang,
}

/// About so many bytes are a token.
const BYTES_A_TOKEN: usize = 4;
/// A text comes in pieces of about so many bytes.
const DELTA: usize = 24;

/// An answer whose steps are known.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    pub id: String,
    pub conversation: &'a Conversation,
    pub steps: &'a [Step],
}

impl Answer<'_> {
    /// Tokens: what is new, what was new once and is kept now, what was kept before. Prompt caching as clients use
    /// it: everything up to the last answer was kept.
    fn usage(&self, output: usize) -> Value {
        let tokens = |bytes: usize| bytes.div_ceil(BYTES_A_TOKEN);
        let (read, all) = (tokens(self.conversation.known), tokens(self.conversation.length));
        let fresh = 4.min(all - read);
        json!({
            "input_tokens": fresh, "cache_creation_input_tokens": all - read - fresh,
            "cache_read_input_tokens": read, "output_tokens": output, "service_tier": "standard",
        })
    }

    /// The content blocks, each with the place of its step.
    fn blocks(&self) -> Vec<(usize, Value)> {
        let block = |(at, step): (usize, &Step)| match step {
            Step::Say(text) => Some((at, json!({"type": "text", "text": text}))),
            Step::Tool(tool) => {
                let id = format!("toolu_{}{at:02}", self.id.trim_start_matches("msg_"));
                Some((at, json!({"type": "tool_use", "id": id, "name": tool.name, "input": tool.input})))
            }
            _ => None,
        };
        self.steps.iter().enumerate().filter_map(block).collect()
    }

    fn stop_reason(&self) -> String {
        let stated = self.steps.iter().find_map(|step| match step {
            Step::End(reason) => Some(reason.clone()),
            _ => None,
        });
        let tools = self.steps.iter().any(|step| matches!(step, Step::Tool(_)));
        stated.unwrap_or_else(|| if tools { "tool_use" } else { "end_turn" }.to_owned())
    }

    fn output_tokens(&self) -> usize {
        let length = |(_, block): &(usize, Value)| match block["text"].as_str() {
            Some(text) => text.len(),
            None => block["input"].to_string().len(),
        };
        1 + self.blocks().iter().map(length).sum::<usize>().div_ceil(BYTES_A_TOKEN)
    }

    fn message(&self, content: &[Value], stop: Option<&str>, output: usize) -> Value {
        json!({
            "id": self.id, "type": "message", "role": "assistant", "model": self.conversation.model,
            "content": content, "stop_reason": stop, "stop_sequence": null, "usage": self.usage(output),
        })
    }

    /// The answer of a request that does not want a stream.
    pub(super) fn whole(&self) -> Value {
        let content: Vec<Value> = self.blocks().into_iter().map(|(_, block)| block).collect();
        self.message(&content, Some(&self.stop_reason()), self.output_tokens())
    }

    /// The stream: `message_start`; for each block start, deltas and stop; `message_delta`; `message_stop`.
    pub(super) fn pieces(&self) -> Vec<Piece> {
        let start = json!({"type": "message_start", "message": self.message(&[], None, 1)});
        let mut pieces = vec![Piece::Event(start), Piece::Event(json!({"type": "ping"}))];
        let blocks = self.blocks();
        for (at, step) in self.steps.iter().enumerate() {
            match step {
                Step::WaitMs(milliseconds) => pieces.push(Piece::Wait(Duration::from_millis(*milliseconds))),
                Step::Hang(true) => {
                    pieces.push(Piece::Hang);
                    return pieces;
                }
                Step::Status(refusal) => {
                    pieces.push(Piece::Event(refusal.failure().body(None)));
                    return pieces;
                }
                Step::Hang(false) | Step::End(_) => {}
                Step::Say(_) | Step::Tool(_) => {
                    if let Some(index) = blocks.iter().position(|(place, _)| *place == at) {
                        pieces.extend(block_events(index, &blocks[index].1).map(Piece::Event));
                    }
                }
            }
        }
        pieces.push(Piece::Event(json!({
            "type": "message_delta", "delta": {"stop_reason": self.stop_reason(), "stop_sequence": null},
            "usage": {"output_tokens": self.output_tokens()},
        })));
        pieces.push(Piece::Event(json!({"type": "message_stop"})));
        pieces
    }
}

/// A block's start, empty; its content in deltas; its stop.
fn block_events(index: usize, block: &Value) -> impl Iterator<Item = Value> {
    let mut empty = block.clone();
    let (text, delta, key) = match block["text"].as_str() {
        Some(text) => {
            empty["text"] = json!("");
            (text.to_owned(), "text_delta", "text")
        }
        None => {
            empty["input"] = json!({});
            (block["input"].to_string(), "input_json_delta", "partial_json")
        }
    };
    let deltas: Vec<Value> = cut(&text)
        .map(|part| json!({"type": "content_block_delta", "index": index, "delta": {"type": delta, key: part}}))
        .collect();
    std::iter::once(json!({"type": "content_block_start", "index": index, "content_block": empty}))
        .chain(deltas)
        .chain(std::iter::once(json!({"type": "content_block_stop", "index": index})))
}

/// Pieces of a text, cut between characters.
fn cut(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = (DELTA..rest.len()).find(|at| rest.is_char_boundary(*at)).unwrap_or(rest.len());
        let (part, more) = rest.split_at(end);
        rest = more;
        Some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::messages::script::Tool;

    fn conversation() -> Conversation {
        let body =
            json!({"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "Hello"}]});
        Conversation::read(&body).unwrap()
    }

    /// What a client makes of a stream: the published way to put a message together again.
    fn assembled(pieces: &[Piece]) -> Value {
        let mut message = Value::Null;
        let mut partial = String::new();
        for piece in pieces {
            let Piece::Event(event) = piece else { continue };
            let index = || usize::try_from(event["index"].as_u64().unwrap()).unwrap();
            match event["type"].as_str().unwrap() {
                "message_start" => message = event["message"].clone(),
                "content_block_start" => {
                    assert_eq!(index(), message["content"].as_array().unwrap().len());
                    message["content"].as_array_mut().unwrap().push(event["content_block"].clone());
                    partial.clear();
                }
                "content_block_delta" => match event["delta"]["type"].as_str().unwrap() {
                    "text_delta" => {
                        let block = &mut message["content"][index()]["text"];
                        let text =
                            block.as_str().unwrap().to_owned() + event["delta"]["text"].as_str().unwrap();
                        *block = json!(text);
                    }
                    "input_json_delta" => partial += event["delta"]["partial_json"].as_str().unwrap(),
                    other => panic!("{other}"),
                },
                "content_block_stop" => {
                    if !partial.is_empty() {
                        message["content"][index()]["input"] = serde_json::from_str(&partial).unwrap();
                    }
                }
                "message_delta" => {
                    message["stop_reason"] = event["delta"]["stop_reason"].clone();
                    message["usage"]["output_tokens"] = event["usage"]["output_tokens"].clone();
                }
                "ping" | "message_stop" => {}
                other => panic!("{other}"),
            }
        }
        message
    }

    #[test]
    fn a_stream_and_an_object_say_the_same() {
        let conversation = conversation();
        let steps = [
            Step::Say("Ein längerer Satz über ein Wörterbuch, der in Stücken kommt.".to_owned()),
            Step::WaitMs(5),
            Step::Tool(Tool {
                name: "Write".to_owned(),
                input: json!({"file_path": "/ä", "content": "x".repeat(90)}),
            }),
        ];
        let answer = Answer { id: "msg_1".to_owned(), conversation: &conversation, steps: &steps };
        let (pieces, whole) = (answer.pieces(), answer.whole());
        assert_eq!(assembled(&pieces), whole);
        assert_eq!(whole["stop_reason"], "tool_use");
        assert!(pieces.contains(&Piece::Wait(Duration::from_millis(5))));
        let names: Vec<&str> = pieces
            .iter()
            .filter_map(|piece| if let Piece::Event(event) = piece { event["type"].as_str() } else { None })
            .collect();
        assert_eq!(
            (names[0], names[names.len() - 2], names[names.len() - 1]),
            ("message_start", "message_delta", "message_stop")
        );
    }

    #[test]
    fn a_stream_can_stay_open_fail_or_end_for_a_reason() {
        let conversation = conversation();
        let say = Step::Say("x".to_owned());
        let status = Step::Status(serde_json::from_value(json!({"code": 529})).unwrap());
        let cases = [
            (vec![say.clone(), Step::Hang(true), say.clone()], Piece::Hang),
            (
                vec![say.clone(), status],
                Piece::Event(
                    json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
                ),
            ),
            (vec![say, Step::End("max_tokens".to_owned())], Piece::Event(json!({"type": "message_stop"}))),
        ];
        for (steps, last) in cases {
            let answer = Answer { id: "msg_1".to_owned(), conversation: &conversation, steps: &steps };
            assert_eq!(answer.pieces().last(), Some(&last));
        }
        let steps = [Step::End("max_tokens".to_owned())];
        let answer = Answer { id: "msg_1".to_owned(), conversation: &conversation, steps: &steps };
        assert_eq!(answer.whole()["stop_reason"], "max_tokens");
    }
}
