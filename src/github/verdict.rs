//! What an answer means. Pure.

use chrono::{DateTime, TimeDelta};
use serde_json::Value;
use ureq::http::HeaderMap;
use url::Url;

use super::budget::{Lesson, Quota};
use super::wire::Reply;
use crate::clock::{Timestamp, stamp};
use crate::error::{Error, Kind};
use crate::sanitize;

/// What to do about trouble.
pub(super) const LATER: &str = "run it again later; see https://www.githubstatus.com";
/// Where github.com says how it is.
const STATUS_PAGE: &str = "githubstatus.com";
/// No limit lasts longer, whatever a header says: GitHub's own windows are an hour.
const LONGEST_SECONDS: i64 = 24 * 3600;
/// No message of GitHub's is longer, in characters.
const LONGEST_MESSAGE: usize = 500;

/// What GitHub refused, for callers that know what to do about it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("GitHub answered {status}: {message}")]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The message, with what `errors` adds to it.
    pub message: String,
}

/// How an exchange ended.
#[derive(Debug)]
pub(super) enum Verdict {
    /// With an answer.
    Good(Value),
    /// With "as before".
    Unchanged,
    /// A limit: it was not done, and may be asked for again when the limit is over.
    Limited(Error),
    /// Trouble: it may have been done.
    Trouble(Error),
    /// The token is not accepted.
    NotSignedIn(Error),
    /// A no that will stay one.
    Refused(Error),
}

impl Verdict {
    /// What went wrong, for whoever asks once and no more; none of an answer.
    pub(super) fn error(self) -> Option<Error> {
        match self {
            Self::Good(_) | Self::Unchanged => None,
            Self::Limited(error) | Self::Trouble(error) | Self::NotSignedIn(error) | Self::Refused(error) => {
                Some(error)
            }
        }
    }
}

/// The same error, of a request to this address: of anybody's server but its own GitHub's page knows nothing.
pub(super) fn by_whose_server(error: Error, url: &Url) -> Error {
    let host = url.host_str().unwrap_or_default();
    let is_githubs = host == "github.com" || host.ends_with(".github.com") || host.ends_with(".ghe.com");
    if is_githubs || !error.hint.as_ref().is_some_and(|hint| hint.contains(STATUS_PAGE)) {
        return error;
    }
    let server = url.origin().ascii_serialization();
    error.hint(format!("see whether the server at {server} runs, and whether GITHUB_API_URL means it"))
}

/// Judges an answer; with what the budget learns from it. `sent` and `now` are this machine's clock; moments in the answer are
/// the server's, and are moved by the difference that its `Date` shows.
pub(super) fn judge(reply: &Reply, signed_in: bool, now: Timestamp) -> (Verdict, Lesson) {
    let headers = &reply.headers;
    let skew = date(headers).map_or(TimeDelta::zero(), |date| now - date);
    // The limits that come with a refused token are those of nobody.
    let quota = quota(headers, skew, now).filter(|_| reply.status != 401);
    let answered = Lesson::Answered(quota);
    let body: Option<Value> =
        if reply.body.is_empty() { Some(Value::Null) } else { serde_json::from_slice(&reply.body).ok() };
    let status = reply.status;
    if status == 304 {
        return (Verdict::Unchanged, answered);
    }
    if (200..300).contains(&status) {
        return match body {
            Some(body) => match limited_in_graphql(&body) {
                Some(message) => {
                    let refusal = Refusal { status, message };
                    limited(refusal, headers, quota, now)
                }
                None => (Verdict::Good(body), answered),
            },
            None => {
                let error = Error::new(Kind::Unavailable, "the answer is not JSON").hint(LATER);
                (Verdict::Trouble(error), Lesson::Failed)
            }
        };
    }
    let refusal = Refusal { status, message: message(body.as_ref()) };
    if status == 429 || (status == 403 && is_limit(&refusal.message, quota, headers)) {
        return limited(refusal, headers, quota, now);
    }
    let refused = |kind, refusal, what: &str, hint: Option<String>| {
        let error = Error::because(kind, refusal, what);
        Verdict::Refused(match hint {
            Some(hint) => error.hint(hint),
            None => error,
        })
    };
    let verdict = match status {
        408 | 500.. => {
            let error = Error::because(Kind::Unavailable, refusal, "GitHub is in trouble").hint(LATER);
            return (Verdict::Trouble(error), Lesson::Failed);
        }
        401 => Verdict::NotSignedIn(
            Error::because(Kind::NotPermitted, refusal, "not signed in")
                .hint("the token is wrong or has expired; set GITHUB_TOKEN"),
        ),
        403 => {
            let needed = headers.get("x-accepted-github-permissions").and_then(|value| value.to_str().ok());
            let hint = match needed {
                Some(needed) => format!("the token lacks a permission; accepted here: {needed}"),
                None => {
                    "the token needs 'issues', 'pull requests' and 'contents' of this repository".to_owned()
                }
            };
            refused(Kind::NotPermitted, refusal, "not permitted", Some(hint))
        }
        404 if !signed_in => refused(
            Kind::NotPermitted,
            refusal,
            "not there, or not public",
            Some("set GITHUB_TOKEN to read a private repository".to_owned()),
        ),
        404 => refused(
            Kind::NotPermitted,
            refusal,
            "not there, or not visible to this token",
            Some("check the repository's name (--repo) and the token's permissions".to_owned()),
        ),
        400 if refusal.message.contains("not a supported version") => refused(
            Kind::Config,
            refusal,
            "the version of the API is not known there",
            Some("check github.apiVersion".to_owned()),
        ),
        _ => refused(Kind::Failed, refusal, "refused", None),
    };
    (verdict, answered)
}

/// Whether GitHub says that there is no such thing, or none to be seen.
pub(super) fn is_missing(error: &Error) -> bool {
    error.cause::<Refusal>().is_some_and(|refusal| refusal.status == 404)
}

/// 403 is three things: no permission, the primary limit, a secondary one.
fn is_limit(message: &str, quota: Option<Quota>, headers: &HeaderMap) -> bool {
    quota.is_some_and(|quota| quota.remaining == 0)
        || headers.contains_key("retry-after")
        || message.to_lowercase().contains("rate limit")
        || message.contains("abuse detection")
}

fn limited(refusal: Refusal, headers: &HeaderMap, quota: Option<Quota>, now: Timestamp) -> (Verdict, Lesson) {
    // Secondary refusals usually leave some of the primary limit, and say what they are.
    let secondary = refusal.message.to_lowercase().contains("secondary");
    let used_up = number(headers, "x-ratelimit-remaining") == Some(0);
    let seconds = number(headers, "retry-after").map(|seconds| seconds.clamp(0, LONGEST_SECONDS));
    let after = seconds.map(|seconds| now + TimeDelta::seconds(seconds));
    let reset = quota.map(|quota| quota.reset).or(after).filter(|reset| *reset > now);
    let (lesson, until, what) = match reset {
        Some(reset) if used_up && !secondary => {
            (Lesson::Primary(reset), Some(reset), "the rate limit is used up")
        }
        _ => (Lesson::Secondary(seconds), after, "a secondary rate limit is in force"),
    };
    let error = Error::because(Kind::TryAgain, refusal, what);
    let error = match until {
        Some(until) => error.hint(format!("try again after {}", stamp(until))),
        None => error.hint("try again in a minute or more"),
    };
    (Verdict::Limited(error), lesson)
}

/// GraphQL tells of limits with status 200; the type has had two names.
fn limited_in_graphql(body: &Value) -> Option<String> {
    let errors = body.get("errors")?.as_array()?;
    let limit = errors.iter().find(|error| {
        let kind = error["type"].as_str().unwrap_or_default();
        matches!(kind, "RATE_LIMIT" | "RATE_LIMITED")
            || error["message"].as_str().is_some_and(|text| text.contains("secondary rate limit"))
    })?;
    Some(limit["message"].as_str().unwrap_or("rate limited").to_owned())
}

fn number(headers: &HeaderMap, name: &str) -> Option<i64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// The server's clock.
pub(super) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get("date")?.to_str().ok()?;
    Some(DateTime::parse_from_rfc2822(text).ok()?.to_utc())
}

fn quota(headers: &HeaderMap, skew: TimeDelta, now: Timestamp) -> Option<Quota> {
    let remaining = u64::try_from(number(headers, "x-ratelimit-remaining")?).ok()?;
    let reset = Timestamp::from_timestamp(number(headers, "x-ratelimit-reset")?, 0)?;
    let reset = reset.checked_add_signed(skew)?.min(now + TimeDelta::seconds(LONGEST_SECONDS));
    Some(Quota { remaining, reset })
}

/// `message`, and the messages of `errors`, whose items are objects or plain strings.
fn message(body: Option<&Value>) -> String {
    let Some(body) = body else { return "an answer that is not JSON".to_owned() };
    let mut said = vec![body["message"].as_str().unwrap_or("no message").to_owned()];
    for error in body["errors"].as_array().into_iter().flatten() {
        let text = error.as_str().or_else(|| error["message"].as_str()).map(str::to_owned).or_else(|| {
            let (field, code) = (error["field"].as_str()?, error["code"].as_str()?);
            Some(format!("{field}: {code}"))
        });
        said.extend(text);
    }
    // One line, however GitHub breaks it.
    let said = said.join(": ").split_whitespace().collect::<Vec<_>>().join(" ");
    sanitize::clip(&said, LONGEST_MESSAGE).into_owned()
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> Reply {
        let pair = |(name, value): &(&str, &str)| {
            (name.parse::<ureq::http::HeaderName>().unwrap(), value.parse().unwrap())
        };
        Reply { status, headers: headers.iter().map(pair).collect(), body: body.as_bytes().to_vec() }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).unwrap()
    }

    type Case<'a> = (u16, &'a [(&'a str, &'a str)], &'a str, &'a str, Option<Kind>, Lesson);

    #[test]
    fn every_answer_has_one_meaning() {
        let spent = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1000")];
        let left = [("x-ratelimit-remaining", "9"), ("x-ratelimit-reset", "1000")];
        let quota = |remaining| Some(Quota { remaining, reset: at(1000) });
        let secondary = r#"{"message":"You have exceeded a secondary rate limit"}"#;
        let graphql = |kind: &str| format!(r#"{{"errors":[{{"type":"{kind}","message":"m"}}]}}"#);
        let (limit, limited) = (graphql("RATE_LIMIT"), graphql("RATE_LIMITED"));
        let (none, failed) = (Lesson::Answered(None), Lesson::Failed);
        let cases: Vec<Case<'_>> = vec![
            (200, &left, "{}", "good", None, Lesson::Answered(quota(9))),
            (204, &[], "", "good", None, none),
            (200, &spent, "{}", "good", None, Lesson::Answered(quota(0))),
            (200, &[], "<html>", "trouble", Some(Kind::Unavailable), failed),
            (200, &[], r#"{"a":"#, "trouble", Some(Kind::Unavailable), failed),
            (200, &spent, &limit, "limited", Some(Kind::TryAgain), Lesson::Primary(at(1000))),
            (200, &[], &limited, "limited", Some(Kind::TryAgain), Lesson::Secondary(None)),
            (200, &[], r#"{"errors":[{"type":"NOT_FOUND"}],"data":{}}"#, "good", None, none),
            (304, &[], "", "unchanged", None, none),
            (
                400,
                &[],
                r#"{"message":"v3 is not a supported version."}"#,
                "refused",
                Some(Kind::Config),
                none,
            ),
            (400, &[], r#"{"message":"Problems parsing JSON"}"#, "refused", Some(Kind::Failed), none),
            (401, &[], "{}", "not signed in", Some(Kind::NotPermitted), none),
            (403, &[], r#"{"message":"Resource not accessible"}"#, "refused", Some(Kind::NotPermitted), none),
            (403, &spent, "{}", "limited", Some(Kind::TryAgain), Lesson::Primary(at(1000))),
            (403, &[], secondary, "limited", Some(Kind::TryAgain), Lesson::Secondary(None)),
            (403, &left, secondary, "limited", Some(Kind::TryAgain), Lesson::Secondary(None)),
            (403, &spent, secondary, "limited", Some(Kind::TryAgain), Lesson::Secondary(None)),
            (
                403,
                &[("retry-after", "90")],
                "{}",
                "limited",
                Some(Kind::TryAgain),
                Lesson::Secondary(Some(90)),
            ),
            (403, &[], "<html>", "refused", Some(Kind::NotPermitted), none),
            (404, &[], "{}", "refused", Some(Kind::NotPermitted), none),
            (408, &[], "", "trouble", Some(Kind::Unavailable), failed),
            (410, &[], "{}", "refused", Some(Kind::Failed), none),
            (422, &[], "{}", "refused", Some(Kind::Failed), none),
            (429, &[], "", "limited", Some(Kind::TryAgain), Lesson::Secondary(None)),
            (429, &spent, "", "limited", Some(Kind::TryAgain), Lesson::Primary(at(1000))),
            (500, &[], "", "trouble", Some(Kind::Unavailable), failed),
            (502, &[], "<html>", "trouble", Some(Kind::Unavailable), failed),
            (503, &[], "{}", "trouble", Some(Kind::Unavailable), failed),
        ];
        for (status, headers, body, expected, kind, lesson) in cases {
            let (verdict, learnt) = judge(&reply(status, headers, body), true, at(500));
            let (name, error) = match verdict {
                Verdict::Good(_) => ("good", None),
                Verdict::Unchanged => ("unchanged", None),
                Verdict::Limited(error) => ("limited", Some(error)),
                Verdict::Trouble(error) => ("trouble", Some(error)),
                Verdict::NotSignedIn(error) => ("not signed in", Some(error)),
                Verdict::Refused(error) => ("refused", Some(error)),
            };
            let case = format!("{status} {headers:?} {body}");
            assert_eq!((name, error.map(|error| error.kind), learnt), (expected, kind, lesson), "{case}");
        }
    }

    /// A refused connection to a server of one's own was put down to github.com.
    #[test]
    fn the_status_page_is_named_for_github_alone() {
        let hint = |hint: &str, url: &str| {
            let error = Error::new(Kind::Unavailable, "no answer").hint(hint);
            by_whose_server(error, &Url::parse(url).unwrap()).hint.unwrap()
        };
        assert_eq!(hint(LATER, "https://api.github.com/x"), LATER);
        assert_eq!(hint(LATER, "https://acme.ghe.com/x"), LATER);
        assert_eq!(hint("another", "http://127.0.0.1:9/x"), "another");
        for url in ["http://127.0.0.1:9/x", "https://notgithub.com/x"] {
            let told = hint(LATER, url);
            assert!(
                told.starts_with(&format!("see whether the server at {} runs", &url[..url.len() - 2])),
                "{told}"
            );
        }
    }

    #[test]
    fn a_clock_that_is_off_is_allowed_for() {
        // The server's clock is an hour ahead: its reset is 100 s away all the same.
        let headers = [
            ("date", "Thu, 01 Jan 1970 01:00:00 GMT"),
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "3700"),
        ];
        let (_, lesson) = judge(&reply(403, &headers, "{}"), true, at(0));
        assert_eq!(lesson, Lesson::Primary(at(100)));
    }

    #[test]
    fn messages_of_every_shape_are_told() {
        let cases = [
            (json!({"message": "Not Found"}), "Not Found"),
            (
                json!({"message": "Validation Failed", "errors": [{"resource": "PullRequest", "code": "custom", "message": "A pull request already exists for o:b."}]}),
                "Validation Failed: A pull request already exists for o:b.",
            ),
            (json!({"message": "Validation Failed", "errors": ["plain"]}), "Validation Failed: plain"),
            (
                json!({"message": "Validation Failed", "errors": [{"field": "head", "code": "invalid"}]}),
                "Validation Failed: head: invalid",
            ),
            (json!([]), "no message"),
        ];
        for (body, expected) in cases {
            assert_eq!(message(Some(&body)), expected);
        }
    }
}
