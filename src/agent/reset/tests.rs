//! What clients say, and the moment that is meant.

use super::*;

/// A Monday.
const NOW: &str = "2025-11-24T10:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn check(now: &str, local: Tz, cases: &[(&str, Option<&str>)]) {
    for (text, expected) in cases {
        assert_eq!(parse(text, at(now), local), expected.map(at), "{text}");
    }
}

#[test]
fn moments() {
    check(
        NOW,
        Tz::America__New_York,
        &[
            ("Claude AI usage limit reached|1764000000", Some("2025-11-24T16:00:00Z")),
            ("Claude AI usage limit reached|1764000000123", Some("2025-11-24T16:00:00.123Z")),
            ("5-hour limit reached ∙ resets 3pm (Europe/Berlin)", Some("2025-11-24T14:00:00Z")),
            ("You've hit your limit · resets 9am (Europe/Berlin)", Some("2025-11-25T08:00:00Z")),
            ("You've hit your session limit · resets 12am (UTC)", Some("2025-11-25T00:00:00Z")),
            ("You've hit your session limit · resets 12:30pm (UTC).", Some("2025-11-24T12:30:00Z")),
            ("resets at 14:30", Some("2025-11-24T19:30:00Z")),
            ("Your limit will reset at 3pm (America/Santiago).", Some("2025-11-24T18:00:00Z")),
            ("Weekly limit reached ∙ resets Nov 25, 3am", Some("2025-11-25T08:00:00Z")),
            ("resets Nov 25 at 3am (Asia/Kolkata)", Some("2025-11-24T21:30:00Z")),
            ("resets 25 November 3:15 PM UTC", Some("2025-11-25T15:15:00Z")),
            ("resets Nov 28", Some("2025-11-28T05:00:00Z")),
            ("or try again at Nov 26th, 2025 3:05 PM.", Some("2025-11-26T20:05:00Z")),
            ("try again at 3:05 PM.", Some("2025-11-24T20:05:00Z")),
            ("resets Thu 5:00 p.m. (UTC)", Some("2025-11-27T17:00:00Z")),
            ("resets Monday 9am UTC", Some("2025-12-01T09:00:00Z")),
            ("resets Tuesday, Nov 25, 9am UTC", Some("2025-11-25T09:00:00Z")),
            ("resets tomorrow at 9:00 (UTC)", Some("2025-11-25T09:00:00Z")),
            ("resets today at 9pm (UTC)", Some("2025-11-24T21:00:00Z")),
            ("quota resets at 2025-11-25T03:00:00+01:00.", Some("2025-11-25T02:00:00Z")),
            ("Your quota is available again 2025-11-25T03:00:00Z", Some("2025-11-25T03:00:00Z")),
            ("until 2025-11-25 03:00 UTC", Some("2025-11-25T03:00:00Z")),
            ("until 2025-11-25T03:00:30", Some("2025-11-25T08:00:30Z")),
        ],
    );
}

#[test]
fn waits() {
    check(
        NOW,
        Tz::UTC,
        &[
            ("retry after 600 seconds", Some("2025-11-24T10:10:00Z")),
            ("retry-after: 600", Some("2025-11-24T10:10:00Z")),
            ("Rate limited. Retry after 5 minutes", Some("2025-11-24T10:05:00Z")),
            ("try again in 5 hours", Some("2025-11-24T15:00:00Z")),
            ("Please try again in about 2 hours and 30 minutes.", Some("2025-11-24T12:30:00Z")),
            ("Try again in 4 days 20 hours 9 minutes.", Some("2025-11-29T06:09:00Z")),
            ("Your quota will reset after 13h21m4s.", Some("2025-11-24T23:21:04Z")),
            ("Please try again in 6m0s", Some("2025-11-24T10:06:00Z")),
            ("\"retryDelay\": \"34.5s\"", Some("2025-11-24T10:00:34.500Z")),
            ("resets in 45 min", Some("2025-11-24T10:45:00Z")),
            ("resets in 1 day", Some("2025-11-25T10:00:00Z")),
        ],
    );
}

#[test]
fn what_cannot_be_believed_is_no_moment() {
    check(
        NOW,
        Tz::UTC,
        &[
            ("", None),
            ("API Error: Request rejected (429) · rate limited", None),
            ("Claude AI usage limit reached", None),
            // In the past; too far away.
            ("Claude AI usage limit reached|1763900000", None),
            ("Claude AI usage limit reached|1999999999", None),
            ("Claude AI usage limit reached|99", None),
            ("resets at 2025-11-23T00:00:00Z", None),
            ("resets Nov 23 2025, 3am", None),
            ("resets Dec 25, 3am", None),
            ("try again in 30 days", None),
            ("try again in 99999999999999999999999999 hours", None),
            ("retry after 0 seconds", None),
            ("try again later", None),
            ("try again in a moment", None),
            ("reset 5", None),
            ("resets 25:99", None),
            ("resets 13pm", None),
            ("resets 3pmx", None),
            ("resets Feb 30, 3am", None),
            ("resets at 3pm (Nowhere/Atall) or so", Some("2025-11-24T15:00:00Z")),
            // Not about the limit's end.
            ("since 3pm 600 seconds", None),
            ("1764000000", None),
        ],
    );
}

#[test]
fn years_and_clocks_turn() {
    check(
        "2025-12-31T23:00:00Z",
        Tz::UTC,
        &[("resets Jan 2, 3am", Some("2026-01-02T03:00:00Z")), ("resets 1am", Some("2026-01-01T01:00:00Z"))],
    );
    // The clock is put forward at 2:00, and back at 3:00.
    check("2026-03-28T20:00:00Z", Tz::Europe__Berlin, &[("resets 2:30am", Some("2026-03-29T01:30:00Z"))]);
    check("2026-10-24T20:00:00Z", Tz::Europe__Berlin, &[("resets 2:30am", Some("2026-10-25T01:30:00Z"))]);
}

proptest::proptest! {
    #[test]
    fn nothing_panics_and_nothing_is_past_or_far(text in "(resets|try again in|retry after|until|limit\\|)?[ 0-9a-zA-Z:,./|()-]{0,40}") {
        let now = at(NOW);
        if let Some(moment) = parse(&text, now, Tz::Europe__Berlin) {
            proptest::prop_assert!(moment > now && moment <= now + Duration::days(8));
        }
    }
}
