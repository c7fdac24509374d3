//! What CI says of a commit. Pure.

use chrono::TimeDelta;

use crate::clock::Timestamp;

/// While others still run, a red check waits for them, for so long.
const PATIENCE: TimeDelta = TimeDelta::minutes(10);

/// How one check stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Light {
    /// Passed, or neutral, or skipped.
    Green,
    /// Failed, or timed out.
    Red,
    /// Waits, runs, was cancelled, or wants somebody to act: it says nothing about the change yet.
    Amber,
}

/// A check run or a commit status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckSeen {
    /// Its name: a status's context.
    pub name: String,
    /// Who ran it: others may have checks of the same name.
    pub source: Source,
    /// How it stands.
    pub light: Light,
    /// Whether the base's protection wants it green.
    pub required: bool,
    /// When it came to that.
    pub at: Option<Timestamp>,
    /// GitHub's node id of a check run; none for a status, which has no more to tell.
    pub run: Option<String>,
    /// What a status says of itself; empty for a check run.
    pub said: String,
}

/// Who ran a check; nothing is known of a status.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// The short name of the app.
    pub app: Option<String>,
    /// The name of the workflow, where it is one of GitHub's own CI.
    pub workflow: Option<String>,
    /// What started that: `push`, `pull_request`…
    pub event: Option<String>,
}

impl CheckSeen {
    /// Whether another is the same check, looked at elsewhere: a base is pushed to, whatever starts it at a change.
    fn is_same(&self, other: &Self) -> bool {
        let of = |one: &Self| (one.name.clone(), one.source.app.clone(), one.source.workflow.clone());
        of(self) == of(other)
    }
}

/// Everything that was seen at one commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checks {
    /// The newest of each name and source.
    pub seen: Vec<CheckSeen>,
    /// Names that the base's protection wants, reported or not.
    pub required: Vec<String>,
    /// Why they are not, or not all, known.
    pub unknown: Option<String>,
}

/// All of them together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All that counts is green.
    Passed,
    /// Something that counts is red.
    Failed,
    /// Something that counts has not come to its end, or has not been heard of.
    Pending,
    /// There are none.
    None,
    /// They cannot be read.
    Unknown,
}

impl Verdict {
    /// As the record says it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Pending => "pending",
            Self::None => "none",
            Self::Unknown => "unknown",
        }
    }
}

impl Checks {
    /// Whether the base's protection names any.
    pub fn any_required(&self) -> bool {
        !self.required.is_empty() || self.seen.iter().any(|check| check.required)
    }

    /// Those that count: the required ones where there are any, else all.
    pub fn that_count(&self) -> impl Iterator<Item = &CheckSeen> {
        let any = self.any_required();
        self.seen.iter().filter(move |check| !any || check.required || self.names(&check.name))
    }

    fn names(&self, name: &str) -> bool {
        self.required.iter().any(|required| required == name)
    }

    /// All of them together. Red outranks what runs, and what runs outranks what cannot be read.
    pub fn verdict(&self) -> Verdict {
        let any = |light| self.that_count().any(|check| check.light == light);
        let missing = self.required.iter().any(|name| !self.seen.iter().any(|check| check.name == *name));
        if any(Light::Red) {
            Verdict::Failed
        } else if any(Light::Amber) {
            Verdict::Pending
        } else if self.unknown.is_some() {
            Verdict::Unknown
        } else if missing {
            Verdict::Pending
        } else if self.that_count().next().is_none() {
            Verdict::None
        } else {
            Verdict::Passed
        }
    }

    /// The names of the red ones that count.
    pub fn red(&self) -> Vec<&CheckSeen> {
        self.that_count().filter(|check| check.light == Light::Red).collect()
    }

    /// Whether what is red is worth telling by now: nothing runs any more that could be red as well, or it has been red
    /// for long enough.
    pub fn is_settled(&self, now: Timestamp) -> bool {
        let runs = self.that_count().any(|check| check.light == Light::Amber);
        let first = self.red().iter().filter_map(|check| check.at).min();
        !runs || first.is_some_and(|at| at + PATIENCE <= now)
    }

    /// The red ones that are not red at the base as well: what the change itself has broken.
    pub fn to_blame<'a>(&'a self, base: &Checks) -> (Vec<&'a CheckSeen>, Vec<&'a str>) {
        let excused = |check: &&CheckSeen| {
            base.seen.iter().any(|other| other.is_same(check) && other.light == Light::Red)
        };
        let (excused, blamed): (Vec<_>, Vec<_>) = self.red().into_iter().partition(excused);
        (blamed, excused.into_iter().map(|check| check.name.as_str()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `name:light`, or `workflow/name:light`, with `!` where it is required.
    fn checks(text: &str, required: &[&str]) -> Checks {
        let one = |word: &str| {
            let (name, light) = word.trim_end_matches('!').split_once(':').unwrap();
            let light = match light {
                "green" => Light::Green,
                "red" => Light::Red,
                _ => Light::Amber,
            };
            let at = Some(Timestamp::UNIX_EPOCH);
            let (workflow, name) = name.split_once('/').map_or((None, name), |(of, name)| (Some(of), name));
            CheckSeen {
                name: name.into(),
                source: Source { workflow: workflow.map(str::to_owned), ..Source::default() },
                light,
                required: word.ends_with('!'),
                at,
                run: None,
                said: String::new(),
            }
        };
        let seen = text.split_whitespace().map(one).collect();
        Checks { seen, required: required.iter().map(|&name| name.to_owned()).collect(), unknown: None }
    }

    #[test]
    fn the_required_ones_count_where_there_are_any() {
        let cases: [(&str, &[&str], Verdict); 11] = [
            ("", &[], Verdict::None),
            ("a:green b:green", &[], Verdict::Passed),
            ("a:green b:red", &[], Verdict::Failed),
            ("a:green b:amber", &[], Verdict::Pending),
            ("a:red b:amber", &[], Verdict::Failed),
            ("a:green! b:red", &[], Verdict::Passed),
            ("a:red! b:green", &[], Verdict::Failed),
            ("a:green b:red", &["a"], Verdict::Passed),
            ("a:green", &["a", "b"], Verdict::Pending),
            ("", &["a"], Verdict::Pending),
            ("a:amber! b:red", &["a"], Verdict::Pending),
        ];
        for (text, required, expected) in cases {
            assert_eq!(checks(text, required).verdict(), expected, "{text} {required:?}");
        }
        let unknown = |text| Checks { unknown: Some("403".into()), ..checks(text, &[]) };
        assert_eq!(unknown("").verdict(), Verdict::Unknown);
        assert_eq!(unknown("a:green").verdict(), Verdict::Unknown);
        assert_eq!(unknown("a:red").verdict(), Verdict::Failed);
    }

    #[test]
    fn red_waits_for_what_still_runs_and_not_for_ever() {
        let at = |minutes| Timestamp::UNIX_EPOCH + TimeDelta::minutes(minutes);
        for (text, minutes, expected) in
            [("a:red b:green", 0, true), ("a:red b:amber", 9, false), ("a:red b:amber", 10, true)]
        {
            assert_eq!(checks(text, &[]).is_settled(at(minutes)), expected, "{text} {minutes}");
        }
    }

    #[test]
    fn what_is_red_at_the_base_too_is_not_the_changes_fault() {
        let head = checks("a:red b:red c:green", &[]);
        let cases: [(&str, &[&str], &[&str]); 4] = [
            ("", &["a", "b"], &[]),
            ("a:red b:green", &["b"], &["a"]),
            ("a:red b:red c:red", &[], &["a", "b"]),
            ("a:amber", &["a", "b"], &[]),
        ];
        for (base, blamed, excused) in cases {
            let (found, others) = head.to_blame(&checks(base, &[]));
            assert_eq!(found.iter().map(|check| check.name.as_str()).collect::<Vec<_>>(), blamed, "{base}");
            assert_eq!(others, excused, "{base}");
        }
    }

    #[test]
    fn a_namesake_neither_excuses_nor_hides() {
        let head = checks("ci/t:red", &[]);
        for (base, blamed) in [("ci/t:red", 0), ("docs/t:red", 1), ("t:red", 1), ("docs/t:red ci/t:red", 0)] {
            assert_eq!(head.to_blame(&checks(base, &[])).0.len(), blamed, "{base}");
        }
        // It is started by another event at the base.
        let at = |event: &str| {
            let mut one = checks("ci/t:red", &[]);
            one.seen[0].source.event = Some(event.to_owned());
            one
        };
        assert!(at("pull_request").to_blame(&at("push")).0.is_empty());
        assert_eq!(checks("ci/t:red docs/t:green", &["t"]).verdict(), Verdict::Failed);
    }
}
