//! Histories, and what a person with a pencil makes of them.

use serde_json::{Value, json};

use super::*;

/// Seconds after the beginning.
fn at(seconds: i64) -> Timestamp {
    "2026-03-02T00:00:00Z".parse::<Timestamp>().unwrap() + TimeDelta::seconds(seconds)
}

/// A record with these changes of status: when, to what, by whom.
fn life(steps: &[(i64, Status, &str)], more: Value) -> Life {
    let mut from = Value::Null;
    let mut history = Vec::new();
    for (seconds, to, by) in steps {
        history.push(json!({"at": at(*seconds), "from": from, "to": to, "by": by}));
        from = json!(to);
    }
    let mut record = json!({
        "cq": 1, "repo": "o/r", "number": 7, "issue": {"title": "Title", "labels": ["bug"]},
        "status": from, "history": history,
    });
    let Value::Object(more) = more else { panic!("{more}") };
    record.as_object_mut().unwrap().extend(more);
    let mut life = Life::from_json(&record.to_string()).unwrap();
    life.archived = false;
    life
}

fn end(seconds: i64, from: Status, to: Status, outcome: Outcome) -> End {
    End { at: at(seconds), from, to, outcome }
}

fn told(lives: Vec<Life>, ends: &[End], now: i64) -> Issue {
    of(7, lives, ends, at(now)).unwrap()
}

use Status::{Completed, Failed, InProgress, PrReady, Queued, Testing};

#[test]
fn a_straight_way_is_a_first_pass() {
    let steps = [
        (0, Queued, "cq-claim"),
        (10, InProgress, "cq-supervise"),
        (110, Testing, "cq-supervise"),
        (140, PrReady, "cq-pr"),
        (1140, Completed, "cq-pr"),
    ];
    let more = json!({
        "spent_usd": 0.25, "run": {"agent": "claude", "model": "m-1", "cost_usd": 0.25},
        "pull_request": {"number": 9, "url": "https://x/9", "head_sha": "s", "state": "merged"},
        "gates": {"tree": "t", "verdict": "passed", "checks": [
            {"name": "tests", "command": ["x"], "verdict": "passed", "seconds": 1.5, "log": "l"}]},
    });
    let issue = told(vec![life(&steps, more)], &[], 999_999);
    assert_eq!((issue.status, issue.attempts, issue.runs, issue.first_pass), ("completed", 1, 1, Some(true)));
    let seconds =
        [("queued", 10), ("in-progress", 100), ("testing", 30), ("pr-ready", 1000), ("completed", 0)];
    assert_eq!(issue.seconds, seconds.into());
    assert_eq!((issue.to_pull_request_seconds, issue.to_merge_seconds), (Some(140), Some(1140)));
    assert_eq!((issue.gates.passed, issue.gates.failed, issue.gates.last.len()), (1, 0, 1));
    assert_eq!(
        (issue.cost_usd, issue.agent.as_deref(), issue.model.as_deref()),
        (Some(0.25), Some("claude"), Some("m-1"))
    );
    assert_eq!((issue.week.as_str(), issue.pull_request.as_deref()), ("2026-W10", Some("https://x/9")));
    assert!(issue.setbacks.is_empty());
}

/// Red, then out of time, then a usage limit that is no attempt, then good: three attempts in four runs.
#[test]
fn setbacks_are_counted_by_what_the_feed_knows() {
    let steps = [
        (0, Queued, "cq-claim"),
        (10, InProgress, "cq-supervise"),
        (20, Testing, "cq-supervise"),
        (30, Queued, "cq-gate"),
        (50, InProgress, "cq-supervise"),
        (60, Queued, "cq-supervise"),
        (100, InProgress, "cq-supervise"),
        (105, Queued, "cq-supervise"),
        (200, InProgress, "cq-supervise"),
        (230, Testing, "cq-supervise"),
        (240, PrReady, "cq-pr"),
    ];
    let ends = [
        end(20, InProgress, Testing, Outcome::Success),
        end(31, Testing, Queued, Outcome::GateFailed),
        end(60, InProgress, Queued, Outcome::TimedOut),
        end(106, InProgress, Queued, Outcome::UsageLimit),
        end(230, InProgress, Testing, Outcome::Success),
        end(240, Testing, PrReady, Outcome::Success),
    ];
    let lives = || vec![life(&steps, json!({"outcome": "success"}))];
    let issue = told(lives(), &ends, 300);
    assert_eq!((issue.attempts, issue.runs, issue.first_pass), (3, 4, Some(false)));
    assert_eq!(issue.setbacks, [("gate-failed", 1), ("timed-out", 1), ("usage-limit", 1)].into());
    assert_eq!((issue.gates.passed, issue.gates.failed), (1, 1));
    let seconds = [
        ("queued", 10 + 20 + 40 + 95),
        ("in-progress", 10 + 10 + 5 + 30),
        ("testing", 10 + 10),
        ("pr-ready", 60),
    ];
    assert_eq!(issue.seconds, seconds.into(), "where it stands counts until now");

    // A feed that is lost or torn costs the names, and what depends on them.
    let without = told(lives(), &[], 300);
    assert_eq!((without.attempts, without.setbacks), (4, [("gate-failed", 1), ("unknown", 2)].into()));
    let torn: Vec<End> = ends.iter().filter(|end| end.outcome != Outcome::TimedOut).copied().collect();
    assert_eq!(
        told(lives(), &torn, 300).setbacks,
        [("gate-failed", 1), ("unknown", 1), ("usage-limit", 1)].into()
    );
}

#[test]
fn what_checks_could_not_judge_is_a_setback_and_not_red() {
    let steps = [
        (0, Queued, "cq-claim"),
        (10, InProgress, "cq-supervise"),
        (20, Testing, "cq-supervise"),
        (30, Failed, "cq-gate"),
    ];
    let issue = told(vec![life(&steps, json!({"outcome": "unevaluated"}))], &[], 40);
    assert_eq!((issue.setbacks, issue.gates.failed), ([("unevaluated", 1)].into(), 0));
}

/// Changes of status, what the feed says of them; attempts, and whether the first came through.
type Case<'a> = (Vec<(i64, Status, &'a str)>, Vec<End>, u32, Option<bool>);

#[test]
fn a_first_pass_is_decided_when_the_first_attempt_is_over() {
    let began = [(0, Queued, "c"), (10, InProgress, "s")];
    let with = |more: &[(i64, Status, &'static str)]| [&began[..], more].concat();
    let limit = end(20, InProgress, Queued, Outcome::UsageLimit);
    let asks = end(20, InProgress, Failed, Outcome::NeedsInfo);
    let error = end(20, InProgress, Queued, Outcome::AgentError);
    let cases: [Case<'_>; 9] = [
        (vec![(0, Queued, "c")], vec![], 0, None),
        (with(&[]), vec![], 1, None),
        (with(&[(20, Testing, "s")]), vec![], 1, None),
        (with(&[(20, Testing, "s"), (30, PrReady, "p")]), vec![], 1, Some(true)),
        (with(&[(20, Queued, "s")]), vec![error], 1, Some(false)),
        (with(&[(20, Queued, "s"), (30, InProgress, "s")]), vec![error], 2, Some(false)),
        (with(&[(20, Queued, "s")]), vec![limit], 0, None),
        (with(&[(20, Failed, "s")]), vec![asks], 0, None),
        (
            with(&[
                (20, Queued, "s"),
                (30, InProgress, "s"),
                (40, Testing, "s"),
                (50, PrReady, "p"),
                (60, Queued, "p"),
                (70, InProgress, "s"),
            ]),
            vec![limit],
            2,
            Some(true),
        ),
    ];
    for (steps, ends, attempts, first_pass) in cases {
        let issue = told(vec![life(&steps, json!({}))], &ends, 100);
        assert_eq!((issue.attempts, issue.first_pass), (attempts, first_pass), "{steps:?}");
    }
}

/// Given back, claimed again, failed, and claimed once more: one issue.
#[test]
fn the_claims_of_an_issue_add_up() {
    let archived = |steps: &[(i64, Status, &str)], more| {
        let mut life = life(steps, more);
        life.archived = true;
        life
    };
    let released = archived(&[(0, Queued, "c")], json!({}));
    let failed = archived(
        &[(1000, Queued, "c"), (1010, InProgress, "s"), (1050, Failed, "s")],
        json!({"spent_usd": 1.0, "outcome": "over-budget", "run": {"agent": "old"}}),
    );
    let now = life(
        &[(5000, Queued, "c"), (5005, InProgress, "s")],
        json!({"spent_usd": 0.5, "run": {"agent": "new", "cost_usd": 0.25}}),
    );
    let only = told(vec![released.clone()], &[], 9000);
    assert_eq!((only.status, only.seconds["queued"]), (RELEASED, 0), "when it was given back is not known");
    let two = told(vec![failed.clone(), released.clone()], &[], 9000);
    assert_eq!(
        (two.status, two.claimed_at, two.setbacks.clone()),
        ("failed", at(0), [("over-budget", 1)].into())
    );
    let issue = told(vec![now, failed, released], &[], 5105);
    assert_eq!((issue.status, issue.attempts, issue.agent.as_deref()), ("in-progress", 2, Some("new")));
    assert_eq!(issue.cost_usd, Some(1.75), "what runs costs already");
    assert_eq!(issue.seconds, [("queued", 15), ("in-progress", 140), ("failed", 0)].into());
    assert_eq!(issue.first_pass, Some(false));
}

/// A revert keeps history and costs under a new claim, and the copy in the archive stays.
#[test]
fn what_a_revert_brought_back_counts_once() {
    let mut steps = vec![(0, Queued, "c"), (5, InProgress, "s"), (50, PrReady, "p"), (90, Completed, "p")];
    let mut archived = life(&steps, json!({"spent_usd": 1.0, "claim": {"token": "old"}}));
    archived.archived = true;
    steps.extend([(200, Queued, "p"), (210, InProgress, "s")]);
    let now = life(&steps, json!({"spent_usd": 1.0, "claim": {"token": "new"}}));
    for lives in [vec![archived.clone(), now.clone()], vec![now.clone(), archived.clone(), archived.clone()]]
    {
        let issue = told(lives, &[], 300);
        assert_eq!((issue.status, issue.runs, issue.cost_usd), ("in-progress", 2, Some(1.0)));
    }
    assert_eq!(told(vec![archived.clone(), archived], &[], 300).cost_usd, Some(1.0));
}

#[test]
fn a_record_without_a_history_says_nothing() {
    assert_eq!(of(7, vec![life(&[], json!({}))], &[], at(0)), None);
    assert_eq!(of(7, vec![], &[], at(0)), None);
    let backwards = told(vec![life(&[(100, Queued, "c"), (50, InProgress, "s")], json!({}))], &[], 0);
    assert_eq!(backwards.seconds, [("queued", 0), ("in-progress", 0)].into(), "a clock was set back");
}
