//! What the API refuses is told apart, and soon.

use serde_json::{Value, json};

use crate::place::{Place, tell};
use crate::support::house::Plan;

/// The record after one attempt, and how long that took.
fn after(test: &str, answer: &Value) -> Option<(Place, Value, f64)> {
    let place = Place::new(test, &Plan::default(), &json!({"default": [answer]}))?;
    place.house.configure(|config| {
        // Left to itself the client tries for three minutes.
        config["agents"]["claude"]["envSet"]["CLAUDE_CODE_MAX_RETRIES"] = json!("0");
    });
    place.house.claim(1);
    let ran = place.cq("spawn").args(["--wait", "1"]).run().good();
    let record = place.house.record(1);
    Some((place, record, ran.took.as_secs_f64()))
}

fn rests(place: &Place, why: &str) {
    place.house.claim(2);
    let ran = place.cq("spawn").args(["2"]).run().ends(75, why);
    assert!(ran.stdout.is_empty(), "{}", ran.stdout);
}

#[test]
fn a_usage_limit_parks_the_fleet() {
    let limit = json!({"status": {"code": 429, "message": "This request would exceed your account's rate limit.",
                                  "headers": {"retry-after": "3600"}}});
    let Some((place, record, seconds)) = after("a_usage_limit_parks_the_fleet", &limit) else { return };
    assert_eq!(
        (&record["status"], &record["outcome"]),
        (&json!("queued"), &json!("usage-limit")),
        "{record}"
    );
    assert_eq!(record["claim"]["attempt"], 1, "it does not count");
    rests(&place, "usage limit");
    tell(&format!("429 with retry-after: usage-limit after {seconds:.1} s"));
}

#[test]
fn a_refused_key_parks_the_fleet() {
    let refused = json!({"status": {"code": 401}});
    let Some((place, record, seconds)) = after("a_refused_key_parks_the_fleet", &refused) else { return };
    assert_eq!((&record["status"], &record["outcome"]), (&json!("queued"), &json!("auth")), "{record}");
    assert_eq!(record["claim"]["attempt"], 1, "it does not count");
    rests(&place, "could not log in");
    tell(&format!("401: auth after {seconds:.1} s"));
}

#[test]
fn an_overloaded_api_is_tried_again() {
    let overloaded = json!({"status": {"code": 529}});
    let Some((_place, record, _)) = after("an_overloaded_api_is_tried_again", &overloaded) else { return };
    assert_eq!(
        (&record["status"], &record["outcome"]),
        (&json!("queued"), &json!("agent-error")),
        "{record}"
    );
    assert_eq!(record["claim"]["attempt"], 2);
}
