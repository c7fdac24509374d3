//! What `opencode run --format json` says. There is no last event: a step that finished because the model had no more
//! to do (`stop`) is the end, until another step follows.

use serde_json::Value;

use super::{Conversation, Final, Said, Usage, plain, shown, tool};

/// Understands one event.
pub(super) fn read(event: &Value, so_far: &mut Conversation) -> Said {
    let session_id = event["sessionID"].as_str().map(str::to_owned);
    let mut said = Said { session_id, ..Said::default() };
    let part = &event["part"];
    match event["type"].as_str() {
        Some("step_start") => so_far.add_turn(),
        Some("text") => {
            let text = part["text"].as_str().unwrap_or_default();
            so_far.say(text);
            said.lines.push(shown(text));
        }
        Some("tool_use") => {
            let state = &part["state"];
            said.lines.push(tool(&plain(&part["tool"]), &state["input"]));
            if state["status"] == "error" {
                said.lines.push(format!("< error: {}", shown(&plain(&state["error"]))));
            }
        }
        Some("step_finish") => said.end = step_finish(part, so_far),
        Some("error") => said.end = Some(error(&event["error"], so_far)),
        _ => {}
    }
    said
}

fn step_finish(part: &Value, so_far: &mut Conversation) -> Option<Final> {
    let number = |key: &str| part["tokens"][key].as_u64().unwrap_or_default();
    let cache = |key: &str| part["tokens"]["cache"][key].as_u64().unwrap_or_default();
    let step = Usage {
        input: number("input"),
        output: number("output"),
        cache_read: cache("read"),
        cache_creation: cache("write"),
    };
    let usage = so_far.usage.map_or(step, |before| before + step);
    so_far.usage = Some(usage);
    so_far.progress.tokens = Some(usage.tokens());
    if let Some(cost) = part["cost"].as_f64() {
        so_far.progress.cost_usd = Some(so_far.progress.cost_usd.unwrap_or_default() + cost);
    }
    match part["reason"].as_str() {
        Some("stop") => Some(Final { usage: Some(usage), ..so_far.success("stop") }),
        // Its tools' results are to follow, and a step after them.
        Some("tool-calls" | "unknown") | None => None,
        Some(reason) => Some(Final {
            usage: Some(usage),
            ..so_far.failure(reason, &format!("the model stopped: {reason}"))
        }),
    }
}

fn error(error: &Value, so_far: &Conversation) -> Final {
    let name = error["name"].as_str().unwrap_or("error");
    let (data, sign_in) = (&error["data"], (name == "ProviderAuthError").then_some(401));
    let status = data["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok());
    let message = data["message"].as_str().unwrap_or(name);
    Final { usage: so_far.usage, api_error_status: status.or(sign_in), ..so_far.failure(name, message) }
}
