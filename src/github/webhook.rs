//! Webhooks: what a delivery says. Pure: headers and body in, a decision out.
//!
//! Nothing of a body is read before its [signature](super::signature) is verified. Sources: GitHub's pages "Validating webhook
//! deliveries", "Webhook events and payloads" and "Best practices for using webhooks".

use serde_json::Value;
use url::form_urlencoded;
use uuid::Uuid;

use super::{issues, lists};
use crate::error::Error;
use crate::record::Record;

/// GitHub's cap for a payload, bytes.
pub const LARGEST_BODY: usize = 25 << 20;

/// What `issues` events say of an issue that may have become ready, or no longer is. The others (`locked`, `pinned`,
/// `milestoned` and their opposites) change nothing that eligibility looks at.
const ACTIONS: [&str; 14] = [
    "opened",
    "edited",
    "labeled",
    "unlabeled",
    "reopened",
    "closed",
    "assigned",
    "unassigned",
    "unlocked",
    "typed",
    "untyped",
    "transferred",
    "deleted",
    // Of `issue_comment`, as are `edited` and `deleted`.
    "created",
];

/// Why a delivery is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No `X-Hub-Signature-256`.
    #[error("it is not signed: the hook has no secret")]
    Unsigned,
    /// Only the old `X-Hub-Signature`.
    #[error("it is signed with SHA-1 only")]
    OnlySha1,
    /// Not `sha256=` and 64 hexadecimal digits, once.
    #[error("its signature is malformed")]
    Malformed,
    /// Of another secret, or of another body.
    #[error("its signature is not that of the secret")]
    Forged,
    /// `X-GitHub-Event` or `X-GitHub-Delivery` is missing or malformed.
    #[error("'{0}' is missing or malformed")]
    Header(&'static str),
    /// Neither JSON nor a form.
    #[error("its content type is neither application/json nor application/x-www-form-urlencoded")]
    ContentType,
    /// The body is not what the event promises.
    #[error("its payload cannot be read: {0}")]
    Payload(String),
    /// Of a repository that this command is not for.
    #[error("it is of {0}")]
    Elsewhere(String),
}

impl Refusal {
    /// The HTTP status that says so.
    pub fn status(&self) -> u16 {
        match self {
            Self::Unsigned | Self::OnlySha1 | Self::Malformed | Self::Forged => 401,
            Self::Header(_) | Self::Payload(_) => 400,
            Self::ContentType => 415,
            Self::Elsewhere(_) => 403,
        }
    }
}

/// A delivery's id: a GUID, lower case. GitHub sends the same one again when it redelivers.
pub fn delivery_id(header: Option<&str>) -> Result<String, Refusal> {
    header
        .filter(|text| text.len() == 36 && Uuid::try_parse(text).is_ok())
        .map(str::to_ascii_lowercase)
        .ok_or(Refusal::Header("X-GitHub-Delivery"))
}

/// An event's name: lower case letters and `_`.
pub fn event_name(header: Option<&str>) -> Result<&str, Refusal> {
    let plain = |name: &&str| {
        (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    };
    header.filter(plain).ok_or(Refusal::Header("X-GitHub-Event"))
}

/// What a delivery says.
#[derive(Debug, PartialEq)]
pub enum Meaning {
    /// A hook was made, and sends these events.
    Ping(Vec<String>),
    /// An issue as it was when the event happened. Nobody has judged it: `trust` is absent. `reasons` holds what the
    /// event itself says against it.
    Issue(Box<Record>),
    /// An event that makes no issue ready, and why.
    Ignored(String),
}

/// Reads a delivery whose signature was verified. `repo` is the only repository that is listened to (compared
/// without case, as GitHub does).
pub fn read(event: &str, content_type: Option<&str>, body: &[u8], repo: &str) -> Result<Meaning, Refusal> {
    let payload = payload(content_type, body)?;
    let of = payload["repository"]["full_name"].as_str();
    match of {
        Some(of) if !of.eq_ignore_ascii_case(repo) => return Err(Refusal::Elsewhere(clean(of))),
        // The hook of an organisation pings without a repository.
        None if event != "ping" => return Err(Refusal::Payload("it names no repository".to_owned())),
        _ => {}
    }
    let action = payload["action"].as_str().unwrap_or_default();
    match event {
        "ping" => {
            let events = payload["hook"]["events"].as_array().into_iter().flatten();
            Ok(Meaning::Ping(events.filter_map(Value::as_str).map(clean).collect()))
        }
        "issues" | "issue_comment" => issue(event, action, &payload, repo),
        _ => Ok(Meaning::Ignored(format!("{event} events make no issue ready"))),
    }
}

fn issue(event: &str, action: &str, payload: &Value, repo: &str) -> Result<Meaning, Refusal> {
    if !ACTIONS.contains(&action) {
        return Ok(Meaning::Ignored(format!("'{event}: {}' makes no issue ready", clean(action))));
    }
    let mut issue = payload["issue"].clone();
    if lists::is_pull_request(&issue) {
        return Ok(Meaning::Ignored(format!("#{} is a pull request", issue["number"])));
    }
    // GitHub sends issues, never records: nobody may slip in one with a trust of its own.
    if let Some(issue) = issue.as_object_mut() {
        issue.remove("cq");
    }
    let unreadable = |error: Error| Refusal::Payload(error.to_string());
    let mut record = issues::from_json(&issue, Some(repo)).map_err(unreadable)?;
    match (event, action) {
        ("issues", "deleted") => record.reasons.push("the issue was deleted".to_owned()),
        ("issues", "transferred") => {
            let to =
                payload["changes"]["new_repository"]["full_name"].as_str().unwrap_or("another repository");
            record.reasons.push(format!("the issue was transferred to {}", clean(to)));
        }
        _ => {}
    }
    Ok(Meaning::Issue(Box::new(record)))
}

/// The JSON of a body, or of the field `payload` of a form.
fn payload(content_type: Option<&str>, body: &[u8]) -> Result<Value, Refusal> {
    let kind =
        content_type.and_then(|value| value.split(';').next()).map(|kind| kind.trim().to_ascii_lowercase());
    let value: serde_json::Result<Value> = match kind.as_deref() {
        Some("application/json") => serde_json::from_slice(body),
        Some("application/x-www-form-urlencoded") => {
            let mut payloads = form_urlencoded::parse(body).filter(|(name, _)| name == "payload");
            match (payloads.next(), payloads.next()) {
                (Some((_, text)), None) => serde_json::from_str(&text),
                _ => return Err(Refusal::Payload("the form has no field 'payload', or several".to_owned())),
            }
        }
        _ => return Err(Refusal::ContentType),
    };
    // Where the mistake stands, not what stands there.
    let place =
        |error: serde_json::Error| format!("not JSON at line {}, column {}", error.line(), error.column());
    let value = value.map_err(|error| Refusal::Payload(place(error)))?;
    if value.is_object() { Ok(value) } else { Err(Refusal::Payload("not a JSON object".to_owned())) }
}

/// A name from a payload, short enough for a sentence.
fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(140).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn headers_are_held_to_their_form() {
        let guid = "72D3162E-cc78-11e3-81ab-4c9367dc0958";
        assert_eq!(delivery_id(Some(guid)).unwrap(), guid.to_lowercase());
        for bad in [
            "",
            "1",
            "72d3162ecc7811e381ab4c9367dc0958",
            "{72d3162ecc7811e381ab4c9367dc09}",
            "../../../../etc/passwd-aaaaaaaaaaaaaa",
        ] {
            assert_eq!(delivery_id(Some(bad)), Err(Refusal::Header("X-GitHub-Delivery")), "{bad}");
        }
        assert_eq!(event_name(Some("issue_comment")), Ok("issue_comment"));
        for bad in [None, Some(""), Some("Issues"), Some("a b"), Some("a\u{1b}[2J")] {
            assert_eq!(event_name(bad), Err(Refusal::Header("X-GitHub-Event")), "{bad:?}");
        }
    }

    fn event(action: &str, issue: &Value) -> Vec<u8> {
        json!({"action": action, "issue": issue, "repository": {"full_name": "o/r"}}).to_string().into_bytes()
    }

    const JSON: Option<&str> = Some("application/json; charset=utf-8");

    #[test]
    fn json_and_form_say_the_same() {
        let body = event("opened", &json!({"number": 7, "title": "50% + ü&c", "state": "open"}));
        let form: String = form_urlencoded::Serializer::new(String::new())
            .append_pair("payload", std::str::from_utf8(&body).unwrap())
            .finish();
        let from_json = read("issues", JSON, &body, "O/R").unwrap();
        let from_form =
            read("issues", Some("application/x-www-form-urlencoded"), form.as_bytes(), "O/R").unwrap();
        assert_eq!(from_json, from_form);
        let Meaning::Issue(record) = from_json else { panic!("{from_json:?}") };
        assert_eq!((record.number, record.issue.title.as_str(), record.trust), (7, "50% + ü&c", None));
    }

    #[test]
    fn what_cannot_be_read_is_told_apart() {
        let issue = event("opened", &json!({"number": 7, "title": "t"}));
        let form = Some("application/x-www-form-urlencoded");
        let cases: [(Option<&str>, &[u8], &str, u16); 9] = [
            (None, &issue, "o/r", 415),
            (Some("text/plain"), &issue, "o/r", 415),
            (JSON, b"{", "o/r", 400),
            (JSON, b"[]", "o/r", 400),
            (JSON, b"{}", "o/r", 400),
            (form, b"payload={}&payload={}", "o/r", 400),
            (form, b"body={}", "o/r", 400),
            (JSON, &event("opened", &json!({"title": "no number"})), "o/r", 400),
            (JSON, &issue, "o/other", 403),
        ];
        for (kind, body, repo, status) in cases {
            let refusal = read("issues", kind, body, repo).unwrap_err();
            assert_eq!(refusal.status(), status, "{kind:?} {}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn what_makes_no_issue_ready_is_ignored_and_what_ends_one_is_a_reason() {
        let issue = json!({"number": 7, "title": "t", "state": "open"});
        let pull = json!({"number": 7, "title": "t", "pull_request": {"url": "u"}});
        let ignored = [
            ("issues", "pinned", &issue),
            ("issues", "locked", &issue),
            ("issues", "labeled", &pull),
            ("issue_comment", "created", &pull),
            ("push", "", &issue),
        ];
        for (name, action, issue) in ignored {
            let meaning = read(name, JSON, &event(action, issue), "o/r").unwrap();
            assert!(matches!(meaning, Meaning::Ignored(_)), "{name} {action}: {meaning:?}");
        }
        let reasons = [
            ("issues", "deleted", 1),
            ("issues", "transferred", 1),
            ("issues", "labeled", 0),
            ("issue_comment", "deleted", 0),
        ];
        for (name, action, count) in reasons {
            let Meaning::Issue(record) = read(name, JSON, &event(action, &issue), "o/r").unwrap() else {
                panic!("{name} {action}")
            };
            assert_eq!(record.reasons.len(), count, "{name} {action}");
        }
    }

    #[test]
    fn a_record_cannot_be_slipped_in() {
        let mut issue =
            serde_json::to_value(Record::new("evil/r", 9, crate::record::Issue::default())).unwrap();
        issue["trust"] = json!({"verdict": "trusted"});
        issue["title"] = json!("t");
        let Meaning::Issue(record) = read("issues", JSON, &event("opened", &issue), "o/r").unwrap() else {
            panic!()
        };
        assert_eq!((record.repo.as_str(), record.trust), ("o/r", None));
    }
}
