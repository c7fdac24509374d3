//! `cq-claim` of an issue that GitHub's people approved: it is looked at again, and nothing is claimed on half a look.

use serde_json::json;

use crate::Plan;
use crate::table::{Claim, ISSUE, PERSON, QUERY, always, house, once, play, row};

#[test]
fn nothing_is_claimed_unseen() {
    let said = |status: u16, message: &str| json!({"status": status, "body": {"message": message}});
    let gone = json!({"status": 200, "body": {"data": {"nodes": [null]}, "errors": [{"type": "NOT_FOUND", "message": "m"}]}});
    let closed = json!({"status": 200, "body": {
        "number": 1, "title": "First", "state": "closed", "labels": [], "html_url": "https://x/acme/widgets/issues/1",
    }});
    let other = json!({"status": 200, "body": {"number": 7, "title": "Another", "state": "open"}});
    let mut rows = vec![
        row("502", always("GET", ISSUE, json!({"status": 502})), 69, "was looked at again: cannot read"),
        row("502 once", once("GET", ISSUE, json!({"status": 502})), 0, "").made(1),
        row("reset", always("GET", ISSUE, json!({"reset": true})), 69, "no answer"),
        row("no answer", always("GET", ISSUE, json!({"hang": true})), 69, "no answer"),
        row("a bomb", always("GET", ISSUE, json!({"gzip_bomb": true})), 69, "longer than 10 MiB"),
        row("401", always("GET", ISSUE, said(401, "Bad credentials")), 77, "not signed in"),
        row("403", always("GET", ISSUE, said(403, "Resource not accessible")), 77, "not permitted"),
        row("404", always("GET", ISSUE, said(404, "Not Found")), 77, "not visible to this token"),
        row(
            "410, deleted",
            always("GET", ISSUE, said(410, "This issue was deleted")),
            1,
            "This issue was deleted",
        ),
        row(
            "a secondary limit",
            always("GET", ISSUE, said(403, "You have exceeded a secondary rate limit.")),
            75,
            "a secondary rate limit is in force",
        ),
        row("an empty answer", always("GET", ISSUE, json!({"status": 200})), 69, "not an issue"),
        row("a list", always("GET", ISSUE, json!({"status": 200, "body": []})), 69, "not an issue"),
        row(
            "an issue without a title",
            always("GET", ISSUE, json!({"status": 200, "body": {"number": 1}})),
            69,
            "not an issue",
        ),
        row("another issue", always("GET", ISSUE, other), 1, "was transferred"),
        row("closed since", always("GET", ISSUE, closed), 77, "is not eligible: the issue is closed"),
        row("no history", always("POST", QUERY, gone), 77, "its history could not be read"),
        row("GraphQL in trouble", always("POST", QUERY, json!({"status": 502})), 69, "GitHub is in trouble"),
        row(
            "GraphQL's limit",
            always(
                "POST",
                QUERY,
                json!({"status": 200, "body": {"errors": [{"type": "RATE_LIMIT", "message": "m"}]}}),
            ),
            75,
            "in force",
        ),
        row(
            "nobody's permission is known",
            always("GET", PERSON, said(403, "Must have push access")),
            77,
            "could not be read",
        ),
        row(
            "permissions in trouble",
            always("GET", PERSON, json!({"status": 500})),
            69,
            "GitHub is in trouble",
        ),
    ];
    let events = "/repos/*/*/issues/*/events";
    rows.push(row(
        "events in trouble",
        always("GET", events, json!({"status": 500})),
        69,
        "GitHub is in trouble",
    ));
    rows.push(row("no list of events", always("GET", events, json!({"status": 200})), 69, "not a list"));
    play(&Claim::new(), rows);
}

/// A list that lags shows what is not so any more; the look before the claim does not.
#[test]
fn a_list_that_lags_gets_nobody_claimed() {
    let seed = json!({"widgets": {"list_lag_ms": 60_000}});
    for (deed, why) in [
        (json!({"unlabel": "claude-ready"}), "none of the labels claude-ready is set"),
        (json!({"close": "not_planned"}), "the issue is closed"),
        (json!({"label": "blocked"}), "blocked"),
    ] {
        let house = house(&Plan { seed: seed.clone(), ..Plan::default() });
        house.lab.act("acme", 1, &deed);
        let fetched = house.cq("fetch").run().quietly();
        let ran = house.cq("claim").fed(&fetched.stdout);
        assert!(!ran.numbers().contains(&1), "{deed}: {ran:#?}");
        assert_eq!(house.status(1), "", "{deed}");
        if fetched.numbers().contains(&1) {
            assert!(ran.status == 77 && ran.stderr.contains(why), "{deed}: {ran:#?}");
        }
        // Not through the list at all: a pipe that waited.
        let mut record = fetched.records().pop().unwrap();
        (record["number"], record["trust"]["content_sha256"]) = (json!(1), json!("0".repeat(64)));
        let ran = house.cq("claim").fed(record.to_string()).ends(77, why);
        assert_eq!((ran.stdout.as_str(), house.status(1).as_str()), ("", ""), "{deed}");
    }
}
