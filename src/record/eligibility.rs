//! Which issues may be worked on, and in which order. Pure.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::{Record, Verdict};

/// The priority of an issue whose labels say nothing about it.
pub const DEFAULT_PRIORITY: u8 = 2;

/// What a label's words say of its priority, 0 being the most urgent.
const LEVELS: [(&str, u8); 20] = [
    ("p0", 0),
    ("p1", 1),
    ("p2", 2),
    ("p3", 3),
    ("p4", 4),
    ("0", 0),
    ("1", 1),
    ("2", 2),
    ("3", 3),
    ("4", 4),
    ("critical", 0),
    ("urgent", 0),
    ("highest", 0),
    ("high", 1),
    ("medium", 2),
    ("normal", 2),
    ("low", 3),
    ("lowest", 4),
    ("trivial", 4),
    ("backlog", 4),
];
/// Levels that need no `priority` beside them.
const CLEAR_ALONE: [&str; 7] = ["p0", "p1", "p2", "p3", "p4", "critical", "urgent"];
/// Words that make a level of the one beside them.
const PRIORITY_WORDS: [&str; 2] = ["priority", "prio"];

/// The priority that a label stands for where the configuration has no map of its own: `P0`, `p0-critical`,
/// `priority: high`, `priority/high`, `Prio_High`, `high priority`, whatever the case and the separators.
pub fn built_in_priority(label: &str) -> Option<u8> {
    let words = words(label);
    let (named, rest): (Vec<&str>, Vec<&str>) =
        words.iter().map(String::as_str).partition(|word| PRIORITY_WORDS.contains(word));
    let level = |word: &str| LEVELS.iter().find(|(name, _)| *name == word).map(|(_, priority)| *priority);
    match (named.as_slice(), rest.as_slice()) {
        ([_], [word]) => level(word),
        ([], [word]) if CLEAR_ALONE.contains(word) => level(word),
        // The code counts; the word beside it explains it.
        ([] | [_], [code, word]) if code.starts_with('p') && level(word).is_some() => level(code),
        _ => None,
    }
}

/// A label's words in small letters, without what separates them.
fn words(label: &str) -> Vec<String> {
    let label = label.to_lowercase();
    label.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// What the configuration asks of labels.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// At least one of these must be there; empty means any issue.
    pub labels: Vec<String>,
    /// None of these may be.
    pub exclude: Vec<String>,
    /// Label → priority; empty means [`built_in_priority`].
    pub priorities: BTreeMap<String, u8>,
}

impl Rules {
    /// The most urgent priority any label asks for.
    pub fn priority(&self, labels: &[String]) -> u8 {
        let own = |label: &String| {
            // A label's own spelling comes first, for maps in which two differ only by that.
            let exact = self.priorities.iter().find(|(name, _)| same(name, label));
            let found =
                exact.or_else(|| self.priorities.iter().find(|(name, _)| words(name) == words(label)));
            found.map(|(_, priority)| *priority)
        };
        let of = |label: &String| {
            if self.priorities.is_empty() { built_in_priority(label) } else { own(label) }
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
            let new = trust.reasons.iter().filter(|reason| !reasons.contains(reason)).cloned();
            reasons.extend(new.collect::<Vec<_>>());
        }
        reasons
    }
}

/// GitHub compares label names without case. The small form of a few letters outside ASCII is an ASCII letter
/// (U+212A, the Kelvin sign, is one): a label with one of those is another label.
pub(crate) fn same(a: &str, b: &str) -> bool {
    a.is_ascii() == b.is_ascii() && a.to_lowercase() == b.to_lowercase()
}

/// Best first: by priority, then the older, then the lower number.
pub fn order(a: &Record, b: &Record) -> Ordering {
    let key = |record: &Record| (record.priority, record.issue.created_at, record.number);
    key(a).cmp(&key(b))
}

#[cfg(test)]
mod tests {
    use super::super::{Extra, Issue, Source, Trust};
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
            source: Source::GitHub,
            approved_by: None,
            approved_at: None,
            content_sha256: None,
            labels: Vec::new(),
            reasons: vec!["labelled by a stranger".into()],
            hidden: None,
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
        let priorities = [("now", 0), ("not-now", 4), ("not now", 3)].map(|(name, at)| (name.to_owned(), at));
        let own = Rules { priorities: priorities.into(), ..Rules::default() };
        let cases = [("P0", 2), ("NOW", 0), ("Not Now", 3), ("not-now", 4), ("not/now", 3), ("no", 2)];
        for (label, expected) in cases {
            assert_eq!(
                own.priority(&[label.into()]),
                expected,
                "an own map replaces the built-in one: {label}"
            );
        }
    }

    #[test]
    fn priorities_are_understood_however_they_are_written() {
        let cases: [(&[&str], Option<u8>); 9] = [
            (&["P0", "p0", "P0-critical", "p0: critical", "priority: P0", "Priority/P0 (urgent)"], Some(0)),
            (&["critical", "Urgent", "priority: critical", "critical-priority", "priority-0"], Some(0)),
            (&["priority:high", "priority/high", "Priority: High", "prio-high", "PRIO_HIGH"], Some(1)),
            (
                &["high priority", "High-Prio", "priority::high", "🔥 priority: high", "P1", "p1-high"],
                Some(1),
            ),
            (&["P2", "priority: medium", "prio.normal", "priority: 2"], Some(2)),
            (&["P3", "low priority", "priority=low"], Some(3)),
            (&["P4", "priority: lowest", "priority/trivial", "prio-backlog"], Some(4)),
            // A level alone may be about something else, and so may what only looks like one.
            (&["high", "low", "medium", "trivial", "backlog", "3", "p5", "p10", "p2p", "p", "P1 api"], None),
            (&["", "priority", "priority: prio: high", "high low", "low p1", "priorityhigh", "not p0"], None),
        ];
        for (labels, expected) in cases {
            for label in labels {
                assert_eq!(built_in_priority(label), expected, "{label}");
            }
        }
    }

    #[test]
    fn labels_are_compared_without_case_and_only_that() {
        let cases = [
            ("Claude-Ready", "claude-ready", true),
            ("ПРИВЕТ", "привет", true),
            ("claude-ready", "claude-ready ", false),
            ("claude-ready", "claude\u{200b}-ready", false),
            ("claude-ready", "cl\u{430}ude-ready", false),
            ("work", "wor\u{212a}", false),
        ];
        for (a, b, expected) in cases {
            assert_eq!(same(a, b), expected, "{a} {b}");
        }
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
