//! What the answers of GitHub say about itself and the repository. Pure.

use chrono::TimeDelta;
use serde_json::Value;

use super::Finding;
use crate::clock::{Timestamp, span, stamp};

/// A clock that is off by less does no harm.
const CLOCK_OFF: i64 = 60;
const PUSH_FIX: &str = "use a token of somebody who may push, or an App with contents: write";

/// `skew` is by how much GitHub is ahead.
pub(super) fn clock(skew: Option<TimeDelta>) -> Finding {
    let check = "github.clock";
    let Some(skew) = skew.map(|skew| skew.num_seconds()) else {
        return Finding::warning(check, "the answer does not tell the time", "look at the proxy in between");
    };
    if skew.abs() <= CLOCK_OFF {
        return Finding::ok(check, "this machine's clock agrees with GitHub's");
    }
    let side = if skew > 0 { "behind" } else { "ahead of" };
    let what = format!("this machine's clock is {} {side} GitHub's", span(skew.abs()));
    Finding::warning(check, what, "set the clock, best by NTP")
}

/// The repository, as `GET /repos/O/R` describes it. `permissions` counts for people, not for an App.
pub(super) fn repository(body: &Value, base: &str, of_a_person: bool) -> Vec<Finding> {
    let name = body["full_name"].as_str().unwrap_or("the repository");
    let check = "repository";
    let yes = |key: &str| body[key].as_bool();
    let mut findings = Vec::new();
    if yes("archived") == Some(true) {
        findings.push(Finding::error(
            check,
            format!("{name} is archived"),
            "unarchive it, or choose another",
        ));
    }
    if yes("disabled") == Some(true) {
        findings.push(Finding::error(check, format!("{name} is disabled"), "ask GitHub's support"));
    }
    if yes("has_issues") == Some(false) {
        findings.push(Finding::error(
            check,
            format!("{name} has no issues"),
            "switch them on in its settings",
        ));
    }
    if yes("fork") == Some(true) {
        let parent = body["parent"]["full_name"].as_str().unwrap_or("another repository");
        let fix = format!("if {parent} is meant, set github.owner and github.repo");
        findings.push(Finding::warning(check, format!("{name} is a fork of {parent}"), fix));
    }
    if let Some(branch) = body["default_branch"].as_str().filter(|branch| *branch != base) {
        let what = format!("git.base is '{base}', the default branch of {name} is '{branch}'");
        findings.push(Finding::warning(check, what, "set git.base, unless this is meant"));
    }
    if of_a_person && body["permissions"]["push"].as_bool() == Some(false) {
        findings.push(Finding::error(
            "token.permissions",
            format!("the token may not push to {name}"),
            PUSH_FIX,
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(check, name));
    }
    findings
}

pub(super) fn labels(missing: &[&str]) -> Finding {
    let check = "repository.labels";
    if missing.is_empty() {
        return Finding::ok(check, "all are there");
    }
    Finding::warning(check, format!("missing: {}", missing.join(", ")), "cq-init --labels")
}

/// `resources.core` of `GET /rate_limit`.
pub(super) fn rate(core: &Value) -> Option<Finding> {
    let (limit, remaining) = (core["limit"].as_u64()?, core["remaining"].as_u64()?);
    let reset = Timestamp::from_timestamp(core["reset"].as_i64()?, 0)?;
    let (check, what) =
        ("github.rate", format!("{remaining} of {limit} requests left until {}", stamp(reset)));
    Some(if remaining * 10 < limit {
        Finding::warning(check, what, "wait until then, or use a GitHub App, which has a limit of its own")
    } else {
        Finding::ok(check, what)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Verdict;
    use super::*;

    /// The verdicts, and the first thing that was said.
    fn short(findings: impl IntoIterator<Item = Finding>) -> Vec<(Verdict, String)> {
        findings.into_iter().map(|finding| (finding.verdict, finding.what)).collect()
    }

    #[test]
    fn a_clock_may_be_off_by_a_minute() {
        let cases = [
            (Some(0), Verdict::Ok, "agrees"),
            (Some(60), Verdict::Ok, "agrees"),
            (Some(61), Verdict::Warning, "61 s behind"),
            (Some(-7200), Verdict::Warning, "2 h 00 min ahead of"),
            (None, Verdict::Warning, "does not tell"),
        ];
        for (skew, verdict, what) in cases {
            let found = clock(skew.map(TimeDelta::seconds));
            assert_eq!(found.verdict, verdict, "{skew:?}");
            assert!(found.what.contains(what), "{found:?}");
        }
    }

    #[test]
    fn a_repository_that_cannot_be_worked_on_is_told() {
        let good = json!({
            "full_name": "o/r", "archived": false, "disabled": false, "has_issues": true, "fork": false,
            "default_branch": "main", "permissions": {"pull": true, "push": true},
        });
        assert_eq!(short(repository(&good, "main", true)), [(Verdict::Ok, "o/r".to_owned())]);
        let cases = [
            ("archived", json!(true), Verdict::Error, "o/r is archived"),
            ("disabled", json!(true), Verdict::Error, "o/r is disabled"),
            ("has_issues", json!(false), Verdict::Error, "o/r has no issues"),
            ("fork", json!(true), Verdict::Warning, "o/r is a fork of another repository"),
            (
                "default_branch",
                json!("dev"),
                Verdict::Warning,
                "git.base is 'main', the default branch of o/r is 'dev'",
            ),
            ("permissions", json!({"push": false}), Verdict::Error, "the token may not push to o/r"),
        ];
        for (key, value, verdict, what) in cases {
            let mut body = good.clone();
            body[key] = value;
            assert_eq!(short(repository(&body, "main", true)), [(verdict, what.to_owned())], "{key}");
        }
        let no_push = json!({"full_name": "o/r", "permissions": {"push": false}});
        assert_eq!(short(repository(&no_push, "main", false))[0].0, Verdict::Ok, "an App is no person");
    }

    #[test]
    fn labels_and_limits() {
        assert_eq!(labels(&[]).verdict, Verdict::Ok);
        let found = labels(&["claude-ready"]);
        assert_eq!((found.verdict, found.fix.as_deref()), (Verdict::Warning, Some("cq-init --labels")));
        let core = |remaining: u64| json!({"limit": 5000, "remaining": remaining, "reset": 1_800_000_000});
        for (remaining, verdict) in
            [(5000, Verdict::Ok), (500, Verdict::Ok), (499, Verdict::Warning), (0, Verdict::Warning)]
        {
            assert_eq!(rate(&core(remaining)).unwrap().verdict, verdict, "{remaining}");
        }
        assert_eq!(rate(&json!(null)), None);
    }
}
