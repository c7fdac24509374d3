//! Clocks that differ, and what time does to tokens and answers.

use chrono::{SecondsFormat, TimeDelta, Utc};
use serde_json::json;

use crate::table::{LIST, always, house, once};
use crate::{House, Plan};

fn hours_from_now(hours: i64) -> String {
    (Utc::now() + TimeDelta::hours(hours)).to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The moments of a limit are the server's, whatever its clock says.
#[test]
fn a_limit_lasts_as_long_on_either_clock() {
    for hours in [-2, 2] {
        let house = house(&Plan::default());
        let reset = (Utc::now() + TimeDelta::hours(hours) + TimeDelta::minutes(10)).timestamp().to_string();
        house.lab.break_with(&once(
            "GET",
            LIST,
            json!({
                "status": 403, "body": {"message": "API rate limit exceeded"}, "date_skew_s": hours * 3600,
                "headers": {"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset},
            }),
        ));
        let ran = house.cq("fetch").run().ends(75, "the rate limit is used up until 20");
        let wait = ran.stderr.split("--max-wait ").nth(1).unwrap_or_else(|| panic!("{ran:#?}"));
        let wait: i64 = wait.trim().parse().unwrap();
        assert!((590..=610).contains(&wait), "{hours}: {wait} s");
    }
}

/// A machine whose clock is wrong sees what happens all the same, and claims it.
#[test]
fn a_machine_with_a_wrong_clock_sees_what_is_new() {
    for hours in [-2, 2] {
        let house = house(&Plan::default());
        let fetch = || house.cq("fetch").at(&hours_from_now(hours)).run().quietly();
        assert_eq!(fetch().numbers(), [1, 2, 3]);
        house.lab.act("acme", 0, &json!({"open": {"title": "Fourth", "labels": ["claude-ready"]}}));
        house.lab.act("acme", 1, &json!({"close": "completed"}));
        let fetched = fetch();
        assert_eq!(fetched.numbers(), [2, 4, 3], "{hours} h");
        let ran = house.cq("claim").at(&hours_from_now(hours)).fed(&fetched.stdout).good();
        assert_eq!(ran.numbers(), [2, 4, 3]);
    }
}

/// The Date header may lie for one answer without anything being missed afterwards.
#[test]
fn a_date_that_lies_hides_nothing() {
    for hours in [-2, 2] {
        let house = house(&Plan::default());
        house.lab.break_with(&always("GET", LIST, json!({"date_skew_s": hours * 3600})));
        assert_eq!(house.cq("fetch").run().quietly().numbers(), [1, 2, 3]);
        house.lab.act("acme", 1, &json!({"close": "completed"}));
        assert_eq!(house.cq("fetch").run().quietly().numbers(), [2, 3], "{hours} h");
    }
}

/// A token that ends in the middle ends the command, and the next token goes on.
#[test]
fn a_token_that_expires_between_two_requests_is_told() {
    const SHORT: &str = "lab-short-lived-0123456789";
    let token = json!([{"token": SHORT, "user": "cq-bot", "expires_at": (Utc::now() + TimeDelta::days(1)).to_rfc3339()}]);
    let house = house(&Plan { seed: json!({ "tokens": token }), ..Plan::default() });
    house.lab.break_with(&always("POST", "/graphql", json!({"pass": true, "delay_ms": 700})));
    std::thread::scope(|scope| {
        let run = scope.spawn(|| house.cq("fetch").env("GITHUB_TOKEN", SHORT).run());
        wait_for(&house, "GET /repos/{owner}/{repo}/issues");
        house.lab.call("POST", "/_lab/act", &json!({"by": "acme", "do": {"expire_token": SHORT}}));
        let ran = run.join().unwrap().ends(77, "not signed in");
        assert!(ran.stdout.is_empty() && !ran.stderr.contains(SHORT), "{ran:#?}");
    });
    house.lab.mend();
    assert_eq!(house.cq("fetch").run().quietly().numbers(), [1, 2, 3]);
}

fn wait_for(house: &House, route: &str) {
    for _ in 0..500 {
        if house.lab.state()["routes"][route].as_u64().is_some_and(|count| count >= 2) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("nobody asks for {route}");
}

/// What has not changed costs nothing; what was kept is given where the server says so.
#[test]
fn as_before_is_believed_where_something_is_known() {
    let house = house(&Plan::default());
    house.cq("fetch").run().quietly();
    let used = || house.lab.state()["used"].as_u64().unwrap();
    let before = used();
    assert_eq!(house.cq("fetch").run().quietly().numbers(), [1, 2, 3]);
    house.lab.break_with(&once("GET", LIST, json!({"status": 304})));
    assert_eq!(house.cq("fetch").run().quietly().numbers(), [1, 2, 3]);
    // The test's own question for the state is not one of the API's.
    assert_eq!(used(), before);
}
