//! What GraphQL does not tell of a label: the App through which a person set or removed it. REST's events do.

use serde_json::Value;

use super::Client;
use super::client::Answer;
use super::verdict::LATER;
use crate::clock::Timestamp;
use crate::error::{Error, Kind, Result};
use crate::record::eligibility::same;
use crate::record::trust::Evidence;

/// How many pages of a hundred events are read before the history counts as too long to be judged.
const PAGES: usize = 20;

/// Notes in the evidence which labels were set or removed through an App.
pub(super) fn note_apps(client: &Client, repo: &str, number: u64, evidence: &mut Evidence) -> Result<()> {
    let path = format!("repos/{repo}/issues/{number}/events");
    let mut next = Some(client.address(&path, &[("per_page", "100")])?);
    for _ in 0..PAGES {
        let Some(url) = next else { return Ok(()) };
        let Answer { body, next: after, .. } = client.get(&url)?;
        let events = body.as_array();
        let events =
            events.ok_or_else(|| Error::new(Kind::Unavailable, "the answer is not a list").hint(LATER))?;
        for event in events {
            note(evidence, event);
        }
        next = after;
    }
    evidence.complete &= next.is_none();
    Ok(())
}

fn note(evidence: &mut Evidence, event: &Value) {
    let slug = |app: &Value| app["slug"].as_str().unwrap_or("without a name").to_owned();
    let app = &event["performed_via_github_app"];
    let (Some(label), Some(at)) = (event["label"]["name"].as_str(), event["created_at"].as_str()) else {
        return;
    };
    let at: Option<Timestamp> = at.parse().ok();
    let added = event["event"] == "labeled";
    // Several in one second: whichever it was, an App had a hand in it.
    for known in &mut evidence.label_events {
        if app.is_object() && known.added == added && Some(known.at) == at && same(&known.label, label) {
            known.app = Some(slug(app));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::record::trust::LabelEvent;

    #[test]
    fn an_app_is_noted_where_it_had_a_hand_in() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let first = "2026-01-01T00:00:00Z";
        let label = |label: &str, added, when: &str| LabelEvent {
            label: label.to_owned(),
            added,
            actor: None,
            app: None,
            at: at(when),
            order: 0,
        };
        let mut evidence = Evidence {
            author: None,
            created_at: at(first),
            title: String::new(),
            body: String::new(),
            labels: Vec::new(),
            locked: false,
            lock_reason: None,
            transferred: Vec::new(),
            label_events: vec![
                label("ready", true, first),
                label("ready", false, first),
                label("other", true, first),
                label("Ready", true, "2026-01-01T00:00:01Z"),
            ],
            titles: Vec::new(),
            edits: Vec::new(),
            last_edit: None,
            comments: Vec::new(),
            complete: true,
        };
        let event = |app: Value, when: &str| json!({"event": "labeled", "created_at": when, "label": {"name": "READY"}, "performed_via_github_app": app});
        note(&mut evidence, &event(Value::Null, first));
        assert!(evidence.label_events.iter().all(|event| event.app.is_none()));
        note(&mut evidence, &event(json!({"slug": "helper"}), first));
        let apps: Vec<_> = evidence.label_events.iter().map(|event| event.app.as_deref()).collect();
        assert_eq!(apps, [Some("helper"), None, None, None]);
        note(&mut evidence, &event(json!({}), "2026-01-01T00:00:01Z"));
        assert_eq!(evidence.label_events[3].app.as_deref(), Some("without a name"));
    }
}
