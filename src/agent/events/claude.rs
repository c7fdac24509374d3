//! Claude Code's stream-json. The first event need not be `init`, and a `result` need not be the last: a background
//! task brings another one, whose turns and tokens are its own while its cost counts from the session's start.

use serde_json::Value;

use super::{Conversation, Final, Said, plain, shown, tool};

/// Understands one event.
pub(super) fn read(event: &Value, so_far: &mut Conversation) -> Said {
    let session_id = event["session_id"].as_str().map(str::to_owned);
    let mut said = Said { session_id, ..Said::default() };
    match (event["type"].as_str(), event["subtype"].as_str()) {
        (Some("system"), Some("init")) => {
            so_far.note_model(&event["model"]);
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
        (Some("assistant"), _) => {
            count(event, so_far);
            said.lines = blocks(event).filter_map(assistant).collect();
        }
        (Some("user"), _) => said.lines = blocks(event).filter_map(tool_result).collect(),
        (Some("result"), _) => said.end = Some(result(event, so_far)),
        _ => {}
    }
    said
}

/// A turn is one message of the model; its blocks come as one event each. Subagents' messages are not the
/// conversation's, and `<synthetic>` is the client's own voice. Its `usage` is a placeholder until the result.
fn count(event: &Value, so_far: &mut Conversation) {
    let message = &event["message"];
    let is_turn = event["parent_tool_use_id"].is_null() && message["model"] != "<synthetic>";
    let id = message["id"].as_str().unwrap_or_default();
    if is_turn && so_far.current != id {
        id.clone_into(&mut so_far.current);
        so_far.add_turn();
    }
}

fn result(event: &Value, so_far: &mut Conversation) -> Final {
    let mut end: Final = serde_json::from_value(event.clone()).unwrap_or_default();
    // 2.1.330 counts the cost of a session that goes on from its beginning; 2.1.197, without this key, does not.
    end.cost_is_cumulative = event.get("model_usage_since_last_result").is_some();
    if let Some(earlier) = &so_far.ended {
        end.num_turns = sum(end.num_turns, earlier.num_turns, |a, b| a + b);
        end.usage = sum(end.usage, earlier.usage, |a, b| a + b);
    }
    end
}

fn sum<T>(a: Option<T>, b: Option<T>, add: impl Fn(T, T) -> T) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(add(a, b)),
        (a, b) => a.or(b),
    }
}

fn blocks(event: &Value) -> impl Iterator<Item = &Value> {
    event["message"]["content"].as_array().map(Vec::as_slice).unwrap_or_default().iter()
}

fn assistant(block: &Value) -> Option<String> {
    match block["type"].as_str()? {
        "text" => Some(shown(block["text"].as_str()?)),
        "tool_use" => Some(tool(&plain(&block["name"]), &block["input"])),
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
