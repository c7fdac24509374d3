//! What `codex exec --json` says: a thread, turns in it, items in these. `turn.completed` and `turn.failed` end a run;
//! an `error` on its way there may be a connection that is tried again, and an item of that name only a warning.

use serde_json::Value;

use super::{Conversation, Final, Said, Usage, inner_message, plain, refused, shown};

/// Understands one event.
pub(super) fn read(event: &Value, so_far: &mut Conversation) -> Said {
    let mut said = Said::default();
    let item = &event["item"];
    match event["type"].as_str() {
        Some("thread.started") => {
            said.session_id = event["thread_id"].as_str().map(str::to_owned);
            said.lines.push("session started".to_owned());
        }
        Some("turn.started") => so_far.add_turn(),
        Some("item.started") => said.lines.extend(begun(item)),
        Some("item.completed") => {
            if item["type"] == "agent_message" {
                so_far.say(item["text"].as_str().unwrap_or_default());
            }
            said.lines.extend(completed(item));
        }
        Some("error") => said.lines.push(format!("< error: {}", shown(&inner_message(&event["message"])))),
        Some("turn.completed") => said.end = Some(done(&event["usage"], so_far)),
        Some("turn.failed") => said.end = Some(failed(&event["error"]["message"], so_far)),
        _ => {}
    }
    said
}

/// The tokens are the thread's from its beginning, also where it was resumed.
fn done(usage: &Value, so_far: &mut Conversation) -> Final {
    let number = |key: &str| usage[key].as_u64().unwrap_or_default();
    let usage = usage.is_object().then(|| Usage {
        input: number("input_tokens"),
        output: number("output_tokens"),
        cache_read: number("cached_input_tokens"),
        cache_creation: number("cache_write_input_tokens"),
    });
    so_far.progress.tokens = usage.map(Usage::tokens);
    Final { usage, tokens_are_cumulative: true, ..so_far.success("success") }
}

fn failed(message: &Value, so_far: &Conversation) -> Final {
    Final {
        api_error_status: refused(&plain(message)),
        ..so_far.failure("turn.failed", &inner_message(message))
    }
}

fn begun(item: &Value) -> Option<String> {
    let (name, detail) = match item["type"].as_str()? {
        "command_execution" => ("shell", item["command"].as_str()?.to_owned()),
        "mcp_tool_call" => ("mcp", format!("{} {}", plain(&item["server"]), plain(&item["tool"]))),
        "web_search" => ("search", item["query"].as_str()?.to_owned()),
        _ => return None,
    };
    Some(format!("> {name} {}", shown(&detail)).trim_end().to_owned())
}

fn completed(item: &Value) -> Option<String> {
    match item["type"].as_str()? {
        "agent_message" => Some(shown(item["text"].as_str()?)),
        "error" => Some(format!("< error: {}", shown(&plain(&item["message"])))),
        "file_change" => {
            let changes = item["changes"].as_array()?.iter();
            let paths: Vec<&str> = changes.filter_map(|change| change["path"].as_str()).collect();
            Some(format!("> edit {}", shown(&paths.join(", "))))
        }
        "command_execution" if item["exit_code"].as_i64().is_some_and(|exit| exit != 0) => Some(format!(
            "< error: exit status {}: {}",
            item["exit_code"],
            shown(&plain(&item["aggregated_output"]))
        )),
        _ => None,
    }
}
