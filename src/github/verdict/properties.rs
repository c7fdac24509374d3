//! No answer is too strange to be judged, and those that the real service once gave are judged as they were meant.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const NOW: Timestamp = DateTime::UNIX_EPOCH;

fn number_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        (-5..9_i64).prop_map(|number| number.to_string()),
        Just("1507651200000".to_owned()),
        Just("99999999999999999999".to_owned()),
        "[ -~]{0,12}",
    ]
}

fn status() -> impl Strategy<Value = u16> {
    let known = [200, 204, 304, 400, 401, 403, 404, 408, 410, 422, 429, 500, 502, 503];
    prop_oneof![4 => prop::sample::select(known.to_vec()), 1 => any::<u16>()]
}

fn date_text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("Tue, 10 Oct 2017 16:00:00 GMT".to_owned()),
        Just("Fri, 31 Dec 9999 23:59:59 +0000".to_owned()),
        Just("Sat, 01 Jan 0000 00:00:00 GMT".to_owned()),
        "[ -~]{0,30}",
    ]
}

fn headers() -> impl Strategy<Value = HeaderMap> {
    let one = |name: &'static str| (Just(name), number_text());
    let pair = prop_oneof![
        one("x-ratelimit-remaining"),
        one("x-ratelimit-reset"),
        one("retry-after"),
        (Just("date"), date_text()),
        (Just("x-accepted-github-permissions"), "[ -~]{0,20}"),
    ];
    prop::collection::vec(pair, 0..6).prop_map(|pairs| {
        let value = |text: String| text.parse().ok();
        let pairs = pairs.into_iter().filter_map(|(name, text)| Some((name.parse().ok()?, value(text)?)));
        pairs.collect()
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<i64>().prop_map(|number| json!(number)),
        "(RATE_LIMIT|rate limit|secondary rate limit|NOT_FOUND|.{0,9})".prop_map(|text| json!(text)),
    ];
    let value = leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| json!(items)),
            prop::collection::btree_map("(message|errors|type|field|code|data)", inner, 0..5)
                .prop_map(|object| json!(object)),
        ]
    });
    prop_oneof![
        4 => value.prop_map(|value| value.to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..64),
    ]
}

proptest! {
    #[test]
    fn every_answer_is_judged(
        status in status(), headers in headers(), body in body(), signed_in in any::<bool>(),
        seconds in -4_000_000_000_i64..4_000_000_000,
    ) {
        let now = NOW + TimeDelta::seconds(seconds);
        let (verdict, lesson) = judge(&Reply { status, headers, body }, signed_in, now);
        match &verdict {
            Verdict::Good(_) => prop_assert!((200..300).contains(&status)),
            Verdict::Unchanged => prop_assert_eq!(status, 304),
            Verdict::NotSignedIn(_) => prop_assert_eq!(status, 401),
            Verdict::Limited(error) => {
                prop_assert!(matches!(status, 200..300 | 403 | 429));
                prop_assert_eq!(error.kind, Kind::TryAgain);
            }
            Verdict::Trouble(_) => prop_assert!(matches!(status, 200..300 | 408 | 500..)),
            Verdict::Refused(_) => prop_assert!(!(200..300).contains(&status) && status < 500),
        }
        // Nobody waits for ever.
        let longest = TimeDelta::seconds(LONGEST_SECONDS);
        match lesson {
            Lesson::Primary(reset) => prop_assert!(reset > now && reset - now <= longest),
            Lesson::Answered(Some(quota)) => prop_assert!(quota.reset - now <= longest),
            Lesson::Secondary(Some(seconds)) => prop_assert!((0..=LONGEST_SECONDS).contains(&seconds)),
            Lesson::Answered(None) | Lesson::Secondary(None) | Lesson::Failed => {}
        }
    }
}

/// Exchanges with the real service (tests/data/github/recorded).
const RECORDED: [&str; 11] = [
    include_str!("../../../tests/data/github/recorded/add-labels-to-issue.json"),
    include_str!("../../../tests/data/github/recorded/branch-protection.json"),
    include_str!("../../../tests/data/github/recorded/create-status.json"),
    include_str!("../../../tests/data/github/recorded/errors.json"),
    include_str!("../../../tests/data/github/recorded/get-repository.json"),
    include_str!("../../../tests/data/github/recorded/git-refs.json"),
    include_str!("../../../tests/data/github/recorded/labels.json"),
    include_str!("../../../tests/data/github/recorded/lock-issue.json"),
    include_str!("../../../tests/data/github/recorded/paginate-issues.json"),
    include_str!("../../../tests/data/github/recorded/rename-repository.json"),
    include_str!("../../../tests/data/github/recorded/search-issues.json"),
];

#[test]
fn recorded_answers_are_judged_as_they_were_meant() {
    let exchanges: Vec<Value> =
        RECORDED.iter().flat_map(|text| serde_json::from_str::<Vec<Value>>(text).unwrap()).collect();
    let mut count = 0;
    for exchange in &exchanges {
        let case = format!("{} {}", exchange["method"], exchange["path"]);
        let status = u16::try_from(exchange["status"].as_u64().unwrap()).unwrap();
        let pair = |(name, value): (&String, &Value)| {
            (name.parse::<ureq::http::HeaderName>().unwrap(), value.as_str().unwrap().parse().unwrap())
        };
        let headers: HeaderMap = exchange["headers"].as_object().unwrap().iter().map(pair).collect();
        let body = match &exchange["response"] {
            Value::String(text) => text.clone().into_bytes(),
            value => value.to_string().into_bytes(),
        };
        // In these recordings `x-ratelimit-reset` is in milliseconds, tens of thousands of years away.
        let now: Timestamp = "2026-01-31T09:30:00Z".parse().unwrap();
        let (verdict, lesson) = judge(&Reply { status, headers, body }, true, now);
        let longest = TimeDelta::seconds(LONGEST_SECONDS);
        let Lesson::Answered(Some(quota)) = lesson else { panic!("{case}: {lesson:?}") };
        assert!(quota.reset > now && quota.reset - now <= longest, "{case}: {quota:?}");
        match (status, verdict) {
            (204, Verdict::Good(Value::Null)) => {}
            (200 | 201, Verdict::Good(body)) => assert_eq!(body, exchange["response"], "{case}"),
            // Followed before anything is judged; where it is not, it is no success.
            (301 | 307, Verdict::Refused(error)) => assert_eq!(error.kind, Kind::Failed, "{case}"),
            (404, Verdict::Refused(error)) => {
                let refusal = error.cause::<Refusal>().unwrap();
                assert_eq!((error.kind, &*refusal.message), (Kind::NotPermitted, "Branch not protected"));
            }
            (422, Verdict::Refused(error)) => {
                let refusal = error.cause::<Refusal>().unwrap();
                assert_eq!(
                    (error.kind, &*refusal.message),
                    (Kind::Failed, "Validation Failed: color: invalid")
                );
            }
            (_, verdict) => panic!("{case} {status}: {verdict:?}"),
        }
        count += 1;
    }
    assert_eq!(count, 35);
}
