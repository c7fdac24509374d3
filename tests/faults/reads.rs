//! `cq-fetch`: reading lists, details and permissions.

use serde_json::json;

use crate::Plan;
use crate::table::{Fetch, LIST, PERSON, QUERY, always, house, once, play, row};

/// The same trouble for good, and once: then it is asked for again, and nobody hears of it.
#[test]
fn trouble_is_met_again_and_then_told() {
    let page = "<html><h1>Unicorn!</h1></html>";
    let trouble = "GitHub is in trouble";
    let rows = [
        ("500", json!({"status": 500}), trouble),
        ("502", json!({"status": 502, "body": page}), trouble),
        ("503", json!({"status": 503, "headers": {"retry-after": "1"}}), trouble),
        (
            "504",
            json!({"status": 504, "body": {"message": "We couldn't respond to your request in time."}}),
            trouble,
        ),
        ("408", json!({"status": 408}), trouble),
        ("599", json!({"status": 599}), trouble),
        ("a dropped connection", json!({}), "no answer"),
        ("a reset connection", json!({"reset": true}), "no answer"),
        ("a body that breaks off", json!({"truncate": 40}), "no answer"),
        ("half of a document", json!({"status": 200, "body": "[{\"number\":"}), "not JSON"),
        ("a page instead of an answer", json!({"status": 200, "body": page}), "not JSON"),
    ];
    let on = Fetch(house(&Plan::default()));
    let both = rows.into_iter().flat_map(|(name, fault, said)| {
        [row(name, always("GET", LIST, fault.clone()), 69, said), row(name, once("GET", LIST, fault), 0, "")]
    });
    play(&on, both.collect());
}

#[test]
fn what_takes_for_ever_is_given_up() {
    let rows = vec![
        row("no answer at all", always("GET", LIST, json!({"hang": true})), 69, "no answer"),
        row("no answer once", once("GET", LIST, json!({"hang": true})), 0, ""),
        row(
            "an answer that comes late",
            always("GET", LIST, json!({"pass": true, "delay_ms": 3000})),
            69,
            "no answer",
        ),
        row("byte by byte", always("GET", LIST, json!({"drip_ms": 200})), 69, "no answer"),
        row("byte by byte once", once("POST", QUERY, json!({"drip_ms": 200})), 0, ""),
    ];
    play(&Fetch(house(&Plan::default())), rows);
}

#[test]
fn what_is_not_an_answer_of_githubs_is_told() {
    let long = " ".repeat(11 << 20);
    let rows = vec![
        row("packed, unasked", always("GET", LIST, json!({"gzip": true})), 0, ""),
        row("a bomb", always("GET", LIST, json!({"gzip_bomb": true})), 69, "longer than 10 MiB"),
        row(
            "a bomb of GraphQL's",
            always("POST", QUERY, json!({"gzip_bomb": true})),
            69,
            "longer than 10 MiB",
        ),
        row(
            "longer than anything",
            always("GET", LIST, json!({"status": 200, "body": long})),
            69,
            "longer than 10 MiB",
        ),
        row("an empty answer", always("GET", LIST, json!({"status": 200})), 69, "not a list"),
        row(
            "an object for a list",
            always("GET", LIST, json!({"status": 200, "body": {}})),
            69,
            "not a list",
        ),
        row(
            "a list of no issues",
            always("GET", LIST, json!({"status": 200, "body": [7]})),
            69,
            "not an issue",
        ),
        row("as before what was never seen", always("GET", LIST, json!({"status": 304})), 69, "not modified"),
    ];
    play(&Fetch(house(&Plan::default())), rows);
}

#[test]
fn a_no_is_told_once() {
    let said = |status: u16, message: &str| json!({"status": status, "body": {"message": message}});
    let lacking = json!({
        "status": 403, "body": {"message": "Resource not accessible by personal access token"},
        "headers": {"x-accepted-github-permissions": "issues=read"},
    });
    let version = "The version you specified in the \"X-GitHub-Api-Version\" request header, \"v3\", is not a supported version.";
    let hostile = format!("Bad\n\nthings\u{1b}[2J {} {}", crate::TOKEN, "x".repeat(9000));
    let rows = vec![
        row("401", always("GET", LIST, said(401, "Bad credentials")), 77, "not signed in"),
        row("401 in mid-run", always("POST", QUERY, said(401, "Bad credentials")), 77, "set GITHUB_TOKEN"),
        row("401 at the end", always("GET", PERSON, said(401, "Bad credentials")), 77, "not signed in"),
        row("403 that names the permission", always("GET", LIST, lacking), 77, "accepted here: issues=read"),
        row(
            "403 as a page",
            always("GET", LIST, json!({"status": 403, "body": "<html>"})),
            77,
            "not permitted",
        ),
        row("404", always("GET", LIST, said(404, "Not Found")), 77, "not visible to this token"),
        row("404 of GraphQL", always("POST", QUERY, said(404, "Not Found")), 77, "not visible to this token"),
        row(
            "410",
            always("GET", LIST, said(410, "Issues are disabled for this repo")),
            1,
            "Issues are disabled",
        ),
        row(
            "422",
            always("GET", LIST, said(422, "Invalid request.\n\nNo subschema matches.")),
            1,
            "Invalid request. No",
        ),
        row("415", always("GET", LIST, said(415, "Must accept 'application/json'")), 1, "Must accept"),
        row("400 for the version", always("GET", LIST, said(400, version)), 78, "check github.apiVersion"),
        row(
            "400 for something else",
            always("GET", LIST, said(400, "Problems parsing JSON")),
            1,
            "parsing JSON",
        ),
        row("a message that does what it wants", always("GET", LIST, said(418, &hostile)), 1, "Bad things"),
    ];
    play(&Fetch(house(&Plan::default())), rows);
}

#[test]
fn graphql_has_errors_of_its_own() {
    let errors = |kind: &str| json!({"status": 200, "body": {"data": null, "errors": [{"type": kind, "message": "So."}]}});
    let undefined = json!({"status": 200, "body": {"errors": [{
        "extensions": {"code": "undefinedField"}, "message": "Field 'blockedBy' doesn't exist on type 'Issue'",
    }]}});
    let wrong = json!({"status": 200, "body": {"data": null, "errors": [{"message": "Something went wrong while executing your query."}]}});
    let unlike =
        json!({"status": 200, "body": {"data": {"nodes": [{"__typename": "Issue", "number": "one"}]}}});
    let rows = vec![
        row("FORBIDDEN", always("POST", QUERY, errors("FORBIDDEN")), 77, "GraphQL says: So."),
        row(
            "INSUFFICIENT_SCOPES",
            always("POST", QUERY, errors("INSUFFICIENT_SCOPES")),
            77,
            "GraphQL says: So.",
        ),
        row("NOT_FOUND", always("POST", QUERY, errors("NOT_FOUND")), 77, "GraphQL says: So."),
        row("another type", always("POST", QUERY, errors("UNPROCESSABLE")), 1, "GraphQL says: So."),
        row("an older server", always("POST", QUERY, undefined), 78, "'blockedBy' doesn't exist"),
        row("something went wrong", always("POST", QUERY, wrong), 69, "Something went wrong"),
        row(
            "no data",
            always("POST", QUERY, json!({"status": 200, "body": {"data": null}})),
            69,
            "without data",
        ),
        row("empty", always("POST", QUERY, json!({"status": 200})), 69, "without data"),
        row("not what the schema says", always("POST", QUERY, unlike), 69, "not what its schema says"),
        row(
            "502",
            always("POST", QUERY, json!({"status": 502, "body": "<html>"})),
            69,
            "GitHub is in trouble",
        ),
        row("502 once", once("POST", QUERY, json!({"status": 502, "body": "<html>"})), 0, ""),
    ];
    play(&Fetch(house(&Plan::default())), rows);
}

/// What could not be read counts against the issue; it is not guessed, and it is not taken from an earlier time.
#[test]
fn what_is_partly_missing_is_not_offered() {
    let house = house(&Plan::default());
    let missing = json!({"status": 200, "body": {
        "data": {"nodes": [null, null, null]}, "errors": [{"type": "NOT_FOUND", "message": "Could not resolve"}],
    }});
    let unknown = json!({"status": 403, "body": {"message": "Must have push access"}});
    let cases = [
        (always("POST", QUERY, missing), "its history could not be read"),
        (always("GET", PERSON, unknown), "could not be read"),
        (always("GET", PERSON, json!({"status": 404, "body": {"message": "acme is not a user"}})), "acme"),
        (always("GET", PERSON, json!({"status": 200, "body": {"permission": "admin"}})), "could not be read"),
    ];
    for (fault, why) in cases {
        house.forget_github();
        house.lab.break_with(&fault);
        let ran = house.cq("fetch").args(["--all"]).run().quietly();
        let records = ran.records();
        assert_eq!(records.len(), 3);
        for record in records {
            assert!(record["reasons"].to_string().contains(why), "{why}: {record}");
        }
        house.lab.mend();
    }
    house.forget_github();
    assert_eq!(house.cq("fetch").run().quietly().numbers(), [1, 2, 3]);
}

/// The second page: by its number where the last is known, by a cursor where it is not.
#[test]
fn a_page_in_the_middle_may_fail() {
    for cursors in [false, true] {
        let widgets = json!({"cursor_pagination": cursors, "generate": {"issues": 250}});
        let on = Fetch(house(&Plan { seed: json!({ "widgets": widgets }), ..Plan::default() }));
        let page = "/repositories/*/issues$";
        let beyond = "Pagination with the page parameter is not supported for large datasets";
        let cases = [
            (once("GET", page, json!({"status": 502})), 0, ""),
            (once("GET", page, json!({"truncate": 999})), 0, ""),
            (always("GET", page, json!({"status": 503})), 69, "GitHub is in trouble"),
            (
                always("GET", page, json!({"status": 401, "body": {"message": "Bad credentials"}})),
                77,
                "not signed in",
            ),
            (always("GET", page, json!({"status": 422, "body": {"message": beyond}})), 1, "large datasets"),
        ];
        for (fault, status, said) in cases {
            on.0.forget_github();
            on.0.lab.break_with(&fault);
            let ran = on.0.cq("fetch").run().ends(status, said);
            let expected: Vec<u64> = if status == 0 { (1..=253).collect() } else { Vec::new() };
            let mut numbers = ran.numbers();
            numbers.sort_unstable();
            assert_eq!(numbers, expected, "{fault}");
            assert!(on.0.lab.state()["faults_left"].as_u64() < Some(99), "the fault was met: {fault}");
            on.0.lab.mend();
        }
    }
}
