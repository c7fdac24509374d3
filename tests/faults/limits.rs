//! Limits: kept for as long as GitHub says, by every process, and told with their end.

use std::fs;

use serde_json::{Value, json};

use crate::Plan;
use crate::table::{Fetch, LIST, QUERY, always, house, once, play, row};

fn in_an_hour() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    (now.as_secs() + 3600).to_string()
}

fn limit(status: u16, message: &str, headers: &Value) -> Value {
    json!({"status": status, "body": {"message": message}, "headers": headers})
}

#[test]
fn every_limit_is_told_with_its_end() {
    let secondary =
        "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
    let used_up = json!({"x-ratelimit-remaining": "0", "x-ratelimit-reset": in_an_hour()});
    let left = json!({"x-ratelimit-remaining": "4000", "x-ratelimit-reset": in_an_hour()});
    let errors = |kind: &str| json!({"status": 200, "body": {"errors": [{"type": kind, "message": "API rate limit exceeded"}]}});
    let last = json!({"pass": true, "headers": used_up});
    let (spent, rest) = ("the rate limit is used up until 20", "a secondary rate limit is in force until 20");
    let rows = vec![
        row("403, primary", always("GET", LIST, limit(403, "API rate limit exceeded", &used_up)), 75, spent),
        row("429, primary", always("GET", LIST, limit(429, "API rate limit exceeded", &used_up)), 75, spent),
        row("403, secondary", always("GET", LIST, limit(403, secondary, &left)), 75, rest),
        row(
            "403, secondary, with a time",
            always("GET", LIST, limit(403, secondary, &json!({"retry-after": "90"}))),
            75,
            rest,
        ),
        row("403, secondary, all used up", always("GET", LIST, limit(403, secondary, &used_up)), 75, rest),
        row("429 without a word", always("GET", LIST, json!({"status": 429})), 75, rest),
        row(
            "429 with a time",
            always("GET", LIST, limit(429, "Slow down", &json!({"retry-after": "7"}))),
            75,
            rest,
        ),
        row(
            "the old name",
            always("GET", LIST, limit(403, "You have triggered an abuse detection mechanism", &left)),
            75,
            rest,
        ),
        row(
            "a time beyond all times",
            always("GET", LIST, limit(429, "", &json!({"retry-after": "9223372036854775807"}))),
            75,
            rest,
        ),
        row(
            "a time before now",
            always("GET", LIST, limit(429, "", &json!({"retry-after": "-60"}))),
            75,
            rest,
        ),
        row(
            "a time that is none",
            always("GET", LIST, limit(429, "", &json!({"retry-after": "soon"}))),
            75,
            rest,
        ),
        row("the last request", always("GET", LIST, last), 75, spent),
        row("RATE_LIMIT", always("POST", QUERY, errors("RATE_LIMIT")), 75, rest),
        row("RATE_LIMITED", always("POST", QUERY, errors("RATE_LIMITED")), 75, rest),
        row("403 of GraphQL", once("POST", QUERY, limit(403, secondary, &json!({}))), 75, rest),
    ];
    play(&Fetch(house(&Plan::default())), rows);
}

/// Whoever comes later asks nothing at all before the end, not even under another command's name.
#[test]
fn nobody_asks_before_the_end() {
    let house = house(&Plan::default());
    let record = house.cq("fetch").run().quietly().stdout;
    house.lab.break_with(&once("GET", LIST, limit(429, "Slow down", &json!({"retry-after": "600"}))));
    house.cq("fetch").run().ends(75, "a secondary rate limit is in force until 20");
    let asked = house.lab.requests_of("GET") + house.lab.requests_of("POST");
    house.cq("fetch").run().ends(75, "--max-wait ");
    house.cq("claim").fed(&record).ends(75, "a secondary rate limit is in force until 20");
    house.cq("init").args(["--labels"]).run().ends(75, "a secondary rate limit is in force until 20");
    assert_eq!(house.lab.requests_of("GET") + house.lab.requests_of("POST"), asked);
}

/// After an outage the first command that comes is the probe, and works.
#[test]
fn an_outage_brings_few_requests_and_ends_with_the_first_answer() {
    let house = house(&Plan::default());
    house.cq("fetch").run().quietly();
    house.lab.call("DELETE", "/_lab/requests", &Value::Null);
    house.lab.break_with(&always("GET", LIST, json!({"status": 503})));
    let asked = || {
        let requests = house.lab.state()["requests"].clone();
        requests.as_array().unwrap().iter().filter(|request| request["status"] == 503).count()
    };
    for _ in 0..3 {
        house.cq("fetch").run().ends(69, "");
    }
    let before = asked();
    assert!((5..=8).contains(&before), "{before}");
    for _ in 0..5 {
        house.cq("fetch").run().ends(69, "it is left alone until 20");
    }
    assert_eq!(asked(), before);
    house.lab.mend();
    // Half a minute later, as its file tells it.
    for entry in fs::read_dir(house.state_dir().join("cache")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("github-limits-") {
            let mut budget: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
            assert!(budget["open_until"].is_string(), "{budget}");
            budget["open_until"] = json!("2020-01-01T00:00:00Z");
            fs::write(&path, budget.to_string()).unwrap();
        }
    }
    // Read whole, it asks for several things at once: all but one wait for what that one finds.
    fs::read_dir(house.state_dir().join("cache")).unwrap().flatten().for_each(|entry| {
        if entry.file_name().to_str().unwrap().starts_with("issues-") {
            fs::remove_file(entry.path()).unwrap();
        }
    });
    assert_eq!(house.cq("fetch").run().quietly().numbers(), [1, 2, 3]);
}
