//! What holds for every record, whoever wrote it.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::lifecycle::may_follow;
use super::{Issue, Outcome, Record, Status};
use crate::clock::Timestamp;

/// A record in which every field that cq knows is set.
fn full() -> Value {
    let at = "2026-01-02T03:04:05Z";
    json!({
        "cq": 1, "repo": "o/r", "number": 7,
        "issue": {"title": "t", "body": "b", "labels": ["l"], "author": "a", "author_association": "MEMBER",
            "url": "u", "state": "open", "assignees": ["m"], "created_at": at, "updated_at": at,
            "comments": [{"author": "m", "body": "b", "created_at": at}]},
        "priority": 1, "blocked_by": [3, "Owner/Name#4"],
        "trust": {"verdict": "trusted", "source": "operator", "approved_by": "m", "approved_at": at, "content_sha256": "0", "reasons": ["r"]},
        "reasons": ["r"], "status": "in-progress", "outcome": "crashed",
        "claim": {"token": "t", "host": "h", "instance": "claude-instance-1", "branch": "b", "base": "main",
            "base_sha": "0", "attempt": 2, "claimed_at": at, "lease_expires_at": at, "not_before": at},
        "run": {"pid": 1, "supervisor": {"host": "h", "boot_id": "b", "pid": 2, "started": 3}, "agent": "claude",
            "started_at": at, "told": 2, "deadline": at, "workspace": "/w", "log": "/l", "git_dir": "/g", "session_id": "s",
            "ended_at": at, "exit": 0, "turns": 1, "tokens": {"input": 1, "output": 2, "cache_read": 3, "cache_creation": 4},
            "cost_usd": 0.25, "last_event_at": at, "head_sha": "0", "commits": 1, "summary": "s"},
        "gates": {"tree": "0", "verdict": "failed", "checks": [
            {"name": "n", "command": ["c"], "verdict": "failed", "why": "w", "exit": 1, "base_exit": 1, "seconds": 0.5, "log": "/l",
             "log_sha256": "0"}],
            "base": "0", "at": at, "sandbox": "none", "tools": [{"name": "n", "version": "v"}], "caches": ["c"],
            "checked_for": 6},
        "delivery": {"branch": "b", "sha": "0", "expected": "1", "step": "dress", "at": at},
        "pull_request": {"number": 8, "url": "u", "head_sha": "0", "state": "open", "draft": false, "checks": "c",
            "review": "r"},
        "rounds": {"ci": 1, "review": 2, "attempts_before": 1, "over": "o", "heard": [{"key": "k", "print": "p", "at": at,
            "head": "0", "round": 1, "by": "m", "thread": 9, "look_again": true, "answered_at": at}]},
        "revert": {"of": 8, "reason": "r", "log": "l", "step": "reopen", "at": at, "branch": "b", "number": 9, "url": "u"},
        "feedback": [{"from": "gate", "text": "t", "at": at}],
        "history": [{"at": at, "from": "queued", "to": "in-progress", "by": "cq-spawn", "why": "w"}],
    })
}

/// Fields that are left out where they have no value.
const OPTIONAL: [&str; 16] = [
    "/trust",
    "/status",
    "/claim",
    "/run",
    "/gates",
    "/delivery",
    "/delivery/expected",
    "/pull_request",
    "/rounds",
    "/rounds/heard/0/thread",
    "/revert",
    "/revert/branch",
    "/feedback",
    "/issue/created_at",
    "/claim/base_sha",
    "/run/supervisor",
];

/// JSON that somebody else may have put in.
fn foreign() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i32>().prop_map(|number| Value::from(f64::from(number) / 4.0)),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(".{0,6}", inner, 0..3)
                .prop_map(|map| Value::from(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Gives every object of the record a field more, in turn.
fn add_everywhere(value: &mut Value, fields: &mut impl Iterator<Item = (String, Value)>) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(|inner| add_everywhere(inner, fields));
            map.extend(fields.next().map(|(name, value)| (format!("x-{name}"), value)));
        }
        Value::Array(list) => list.iter_mut().for_each(|inner| add_everywhere(inner, fields)),
        _ => {}
    }
}

proptest! {
    #[test]
    fn a_record_is_passed_on_whole(
        fields in prop::collection::vec((".{0,8}", foreign()), 16),
        left_out in prop::collection::vec(any::<bool>(), OPTIONAL.len()),
    ) {
        let mut record = full();
        for (path, _) in OPTIONAL.iter().zip(left_out).filter(|(_, left_out)| *left_out) {
            let (parent, name) = path.rsplit_once('/').unwrap();
            if let Some(Value::Object(parent)) = record.pointer_mut(parent) {
                parent.remove(name);
            }
        }
        add_everywhere(&mut record, &mut fields.into_iter());
        let read = Record::from_json(&record.to_string()).unwrap();
        prop_assert_eq!(&serde_json::to_value(&read).unwrap(), &record);
        let again = Record::from_json(&serde_json::to_string_pretty(&read).unwrap()).unwrap();
        prop_assert_eq!(again, read);
    }

    #[test]
    fn no_line_makes_the_reader_panic(line in ".{0,200}", fields in foreign()) {
        let _ = Record::from_json(&line);
        let _ = Record::from_json(&fields.to_string());
    }

    #[test]
    fn no_sequence_of_changes_leaves_the_table(
        steps in prop::collection::vec((0..Status::ALL.len(), 0..Outcome::ALL.len(), any::<bool>()), 0..40),
        jitter in 0.0..1.0,
    ) {
        const ATTEMPTS: u32 = 3;
        let now = Timestamp::UNIX_EPOCH;
        let mut record = Record::new("o/r", 7, Issue::default());
        record.claim = Record::from_json(&full().to_string()).unwrap().claim;
        for (status, outcome, ends) in steps {
            let (before, outcome) = (record.clone(), Outcome::ALL[outcome]);
            let changed = if ends {
                record.end_attempt(outcome, "why", ATTEMPTS, "test", now, jitter).map(drop)
            } else {
                record.transition(Status::ALL[status], "test", "why", now)
            };
            if changed.is_err() {
                prop_assert_eq!(&record, &before, "a refused change changes nothing");
                continue;
            }
            prop_assert_eq!(record.history.len(), before.history.len() + 1);
            let last = record.history.last().unwrap();
            prop_assert!(may_follow(before.status, last.to));
            prop_assert_eq!((last.from, Some(last.to)), (before.status, record.status));
            prop_assert!(record.claim.as_ref().unwrap().attempt <= ATTEMPTS);
        }
    }
}
