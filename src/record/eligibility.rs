//! Which issues may be worked on, and in which order. Pure.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::{Record, Verdict};

/// The priority of an issue whose labels say nothing about it.
pub const DEFAULT_PRIORITY: u8 = 2;

/// Labels that set a priority where the configuration has no map of its own (compared without case).
pub const PRIORITY_LABELS: [(&str, u8); 16] = [
    ("P0", 0),
    ("P1", 1),
    ("P2", 2),
    ("P3", 3),
    ("priority: critical", 0),
    ("priority: high", 1),
    ("priority: medium", 2),
    ("priority: low", 3),
    ("priority/critical", 0),
    ("priority/high", 1),
    ("priority/medium", 2),
    ("priority/low", 3),
    ("critical", 0),
    ("urgent", 0),
    ("high priority", 1),
    ("low priority", 3),
];

/// What the configuration asks of labels.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// At least one of these must be there; empty means any issue.
    pub labels: Vec<String>,
    /// None of these may be.
    pub exclude: Vec<String>,
    /// Label → priority; empty means [`PRIORITY_LABELS`].
    pub priorities: BTreeMap<String, u8>,
}

impl Rules {
    /// The most urgent priority any label asks for.
    pub fn priority(&self, labels: &[String]) -> u8 {
        let of = |label: &String| -> Option<u8> {
            if self.priorities.is_empty() {
                PRIORITY_LABELS.iter().find(|(name, _)| same(name, label)).map(|(_, priority)| *priority)
            } else {
                self.priorities.iter().find(|(name, _)| same(name, label)).map(|(_, priority)| *priority)
            }
        };
        labels.iter().filter_map(of).min().unwrap_or(DEFAULT_PRIORITY)
    }

    /// Why the issue may not be worked on; empty when it may.
    pub fn reasons(&self, record: &Record) -> Vec<String> {
        let mut reasons = Vec::new();
        if record.issue.state != "open" {
            reasons.push(format!("the issue is {}", record.issue.state));
        }
        let has = |name: &&String| record.issue.labels.iter().any(|label| same(label, name));
        if !self.labels.is_empty() && !self.labels.iter().any(|name| has(&name)) {
            reasons.push(format!("none of the labels {} is set", self.labels.join(", ")));
        }
        reasons.extend(self.exclude.iter().filter(has).map(|name| format!("the label {name} is set")));
        if let Some(trust) = &record.trust
            && trust.verdict == Verdict::Untrusted
        {
            reasons.push("untrusted".to_owned());
            reasons.extend(trust.reasons.iter().cloned());
        }
        reasons
    }
}

/// GitHub compares label names without case.
fn same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

/// Best first: by priority, then the older, then the lower number.
pub fn order(a: &Record, b: &Record) -> Ordering {
    let key = |record: &Record| (record.priority, record.issue.created_at, record.number);
    key(a).cmp(&key(b))
}

#[cfg(test)]
mod tests {
    use super::super::{Extra, Issue, Trust};
    use super::*;

    fn record(number: u64, labels: &[&str]) -> Record {
        let labels = labels.iter().map(|&label| label.to_owned()).collect();
        Record::new("o/r", number, Issue { state: "open".into(), labels, ..Issue::default() })
    }

    #[test]
    fn reasons_name_what_stands_in_the_way() {
        let rules = Rules {
            labels: vec!["claude-ready".into(), "good-first-issue".into()],
            exclude: vec!["blocked".into()],
            ..Rules::default()
        };
        let cases: [(&[&str], &[&str]); 5] = [
            (&["claude-ready"], &[]),
            (&["Claude-Ready", "bug"], &[]),
            (&["good-first-issue"], &[]),
            (&["bug"], &["none of the labels claude-ready, good-first-issue is set"]),
            (&["claude-ready", "BLOCKED"], &["the label blocked is set"]),
        ];
        for (labels, expected) in cases {
            assert_eq!(rules.reasons(&record(1, labels)), expected, "{labels:?}");
        }
        let mut closed = record(1, &["claude-ready"]);
        closed.issue.state = "closed".into();
        assert_eq!(rules.reasons(&closed), ["the issue is closed"]);
        let mut stranger = record(1, &["claude-ready"]);
        stranger.trust = Some(Trust {
            verdict: Verdict::Untrusted,
            approved_by: None,
            approved_at: None,
            content_sha256: None,
            reasons: vec!["labelled by a stranger".into()],
            extra: Extra::new(),
        });
        assert_eq!(rules.reasons(&stranger), ["untrusted", "labelled by a stranger"]);
    }

    #[test]
    fn the_most_urgent_label_wins() {
        let rules = Rules::default();
        let cases: [(&[&str], u8); 5] =
            [(&[], 2), (&["p0"], 0), (&["priority: low"], 3), (&["P3", "Priority: High"], 1), (&["bug"], 2)];
        for (labels, expected) in cases {
            assert_eq!(rules.priority(&record(1, labels).issue.labels), expected, "{labels:?}");
        }
        let own = Rules { priorities: BTreeMap::from([("now".to_owned(), 0)]), ..Rules::default() };
        assert_eq!(own.priority(&["P0".into()]), 2, "an own map replaces the built-in one");
        assert_eq!(own.priority(&["NOW".into()]), 0);
    }

    #[test]
    fn best_first_then_older_then_lower_number() {
        let made = |number, priority, created: &str| {
            let mut record = record(number, &[]);
            record.priority = priority;
            record.issue.created_at = Some(created.parse().unwrap());
            record
        };
        let mut records = [
            made(9, 2, "2026-01-02T00:00:00Z"),
            made(8, 2, "2026-01-01T00:00:00Z"),
            made(7, 0, "2026-01-03T00:00:00Z"),
            made(3, 2, "2026-01-02T00:00:00Z"),
        ];
        records.sort_by(order);
        assert_eq!(records.map(|record| record.number), [7, 8, 3, 9]);
    }
}
