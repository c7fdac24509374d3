//! What `gemini -o stream-json` says. Texts come in pieces (`delta`), which are one message until something else comes.

use serde_json::Value;

use super::{Conversation, Final, Said, Usage, inner_message, plain, refused, shown, tool};

/// Understands one event.
pub(super) fn read(event: &Value, so_far: &mut Conversation) -> Said {
    let mut said = Said::default();
    let kind = event["type"].as_str();
    if kind == Some("message") && event["role"] == "assistant" {
        begin_turn(so_far);
        let piece = event["content"].as_str().unwrap_or_default();
        if event["delta"] == true && so_far.speaking {
            so_far.say_more(piece);
        } else {
            so_far.say(piece);
        }
        so_far.speaking = true;
        said.lines.extend(so_far.complete_lines(piece));
        return said;
    }
    so_far.speaking = false;
    said.lines.extend(so_far.rest_of_line());
    match kind {
        Some("init") => {
            said.session_id = event["session_id"].as_str().map(str::to_owned);
            so_far.note_model(&event["model"]);
            said.lines.push(format!("session started, model {}", plain(&event["model"])));
        }
        Some("tool_use") => {
            begin_turn(so_far);
            said.lines.push(tool(&plain(&event["tool_name"]), &event["parameters"]));
        }
        Some("tool_result") => {
            so_far.in_turn = false;
            if event["status"] == "error" {
                let message = event["error"]["message"].as_str().or(event["output"].as_str());
                said.lines.push(format!("< error: {}", shown(message.unwrap_or_default())));
            }
        }
        // Not the end: loops that were noticed, warnings.
        Some("error") => said.lines.push(format!("< error: {}", shown(&plain(&event["message"])))),
        Some("result") => said.end = Some(result(event, so_far)),
        _ => {}
    }
    said
}

/// One answer of the model is a turn: its texts and tool calls, until these tools' results.
fn begin_turn(so_far: &mut Conversation) {
    if !so_far.in_turn {
        so_far.in_turn = true;
        so_far.add_turn();
    }
}

fn result(event: &Value, so_far: &mut Conversation) -> Final {
    let used = &event["stats"];
    let number = |key: &str| used[key].as_u64().unwrap_or_default();
    let usage = used.is_object().then(|| Usage {
        input: number("input_tokens"),
        output: number("output_tokens"),
        cache_read: number("cached"),
        cache_creation: 0,
    });
    so_far.progress.tokens = usage.map(Usage::tokens);
    let end = match event["status"].as_str() {
        Some("success") => so_far.success("success"),
        status => {
            let message = &event["error"]["message"];
            let subtype = event["error"]["type"].as_str().or(status).unwrap_or("error");
            let status = refused(&plain(message));
            Final { api_error_status: status, ..so_far.failure(subtype, &inner_message(message)) }
        }
    };
    Final { usage, ..end }
}
