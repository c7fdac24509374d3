//! The pipelines, and when each is due. Decisions only: times are spans since the machine was started.

use std::time::Duration;

/// A pipeline of commands.
#[derive(Debug)]
pub(super) struct Plan {
    /// What it is called in words and output.
    pub(super) name: &'static str,
    /// The commands, each with its arguments.
    pub(super) commands: &'static [&'static [&'static str]],
    /// Its period, in intervals.
    pub(super) intervals: u32,
    /// How many of its commands start nothing, and are run while a stop is in force.
    pub(super) while_stopped: usize,
    /// The same while the fleet rests.
    pub(super) while_resting: usize,
}

/// The pipeline that is only run where the configuration merges.
const MERGE: &str = "merge";

/// Those that a configuration wants, in the order of `--once`.
pub(super) fn wanted(merges: bool) -> impl Iterator<Item = &'static Plan> {
    PLANS.iter().filter(move |plan| merges || plan.name != MERGE)
}

/// All of them.
const PLANS: [Plan; 5] = [
    Plan {
        name: "due",
        commands: &[&["cq-monitor"], &["cq-spawn"]],
        intervals: 1,
        while_stopped: 1,
        while_resting: 1,
    },
    Plan {
        name: "new",
        commands: &[&["cq-fetch"], &["cq-claim"], &["cq-spawn"]],
        intervals: 1,
        while_stopped: 0,
        while_resting: 0,
    },
    Plan {
        name: "sync",
        commands: &[&["cq-pr", "--sync"], &["cq-spawn"]],
        intervals: 2,
        while_stopped: 0,
        while_resting: 1,
    },
    Plan {
        name: MERGE,
        commands: &[&["cq-pr", "--merge"]],
        intervals: 2,
        while_stopped: 0,
        while_resting: 1,
    },
    Plan { name: "cleanup", commands: &[&["cq-cleanup"]], intervals: 10, while_stopped: 1, while_resting: 1 },
];

impl Plan {
    /// As a person would write it.
    pub(super) fn line(&self, commands: usize) -> String {
        let commands: Vec<String> = self.commands[..commands].iter().map(|words| words.join(" ")).collect();
        commands.join(" | ")
    }
}

/// What the exit statuses of a pipeline mean for its next turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It does its work, whatever became of single records.
    Works,
    /// Not now: a rate limit, a busy lock (75).
    Later,
    /// A person must mend the configuration (78) or the token (77).
    Broken,
}

/// 77 counts of the first command only, which asks for all: a later one refuses single records with it.
pub(super) fn verdict(exits: &[i32]) -> Verdict {
    if exits.contains(&78) || exits.first() == Some(&77) {
        Verdict::Broken
    } else if exits.contains(&75) {
        Verdict::Later
    } else {
        Verdict::Works
    }
}

/// The status that says most of several.
pub(super) fn worst(exits: impl IntoIterator<Item = i32>) -> u8 {
    // From what passes by itself to what somebody must look into.
    const ORDER: [i32; 10] = [0, 75, 1, 65, 69, 77, 78, 2, 73, 70];
    let rank = |exit: i32| ORDER.iter().position(|known| *known == exit).unwrap_or(ORDER.len());
    let worst = exits.into_iter().max_by_key(|exit| rank(*exit)).unwrap_or(0);
    u8::try_from(worst).unwrap_or(70)
}

/// No pipeline that is in trouble waits longer, unless its period is longer.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// How long until the first turn: one after the other, so that they do not all ask at once. `jitter` is from 0 to 1.
pub(super) fn first(at: usize, interval: Duration, jitter: f64) -> Duration {
    if at == 0 {
        return Duration::ZERO;
    }
    let steps = u32::try_from(at).unwrap_or(u32::MAX);
    let step = (interval / 8).min(Duration::from_secs(5));
    step * steps + step.mul_f64(jitter.clamp(0.0, 1.0) / 2.0)
}

/// How long from one turn's end to the next: the period, ± 10 %, doubled with each turn in a row that did not work.
pub(super) fn pause(period: Duration, strikes: u32, jitter: f64) -> Duration {
    let doubled = period.saturating_mul(1 << strikes.min(20)).min(LONGEST.max(period));
    doubled.mul_f64(0.9 + 0.2 * jitter.clamp(0.0, 1.0))
}

/// What a line says apart from numbers, times and spans: by it a line is known that was said before.
pub(super) fn gist(line: &str) -> String {
    let word = |word: &str| {
        let is_number = word.trim_start_matches(['(', '\'', '$']).starts_with(|c: char| c.is_ascii_digit());
        if is_number { "0".to_owned() } else { word.to_owned() }
    };
    line.split_ascii_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_decide_what_comes_next() {
        let cases: [(&[i32], Verdict, u8); 11] = [
            (&[0, 0], Verdict::Works, 0),
            (&[0, 1], Verdict::Works, 1),
            (&[69, 0, 0], Verdict::Works, 69),
            (&[75, 0, 0], Verdict::Later, 75),
            (&[0, 0, 75], Verdict::Later, 75),
            (&[77, 0, 0], Verdict::Broken, 77),
            (&[0, 77, 0], Verdict::Works, 77),
            (&[0, 0, 78], Verdict::Broken, 78),
            (&[75, 78, 1], Verdict::Broken, 78),
            (&[0, 1, 143], Verdict::Works, 143),
            (&[], Verdict::Works, 0),
        ];
        for (exits, expected, status) in cases {
            assert_eq!((verdict(exits), worst(exits.iter().copied())), (expected, status), "{exits:?}");
        }
    }

    #[test]
    fn turns_are_staggered_and_trouble_doubles_up_to_fifteen_minutes() {
        let minute = Duration::from_secs(60);
        let starts: Vec<u64> = (0..4).map(|at| first(at, minute, 0.0).as_secs()).collect();
        assert_eq!(starts, [0, 5, 10, 15]);
        assert!(first(3, minute, 1.0) < minute);
        for (strikes, seconds) in [(0, 60), (1, 120), (3, 480), (4, 900), (99, 900)] {
            assert_eq!(pause(minute, strikes, 0.5).as_secs(), seconds, "{strikes}");
        }
        assert_eq!(pause(minute * 60, 5, 0.5), minute * 60, "a longer period stays");
        assert_eq!((pause(minute, 0, 0.0).as_secs(), pause(minute, 0, 1.0).as_secs()), (54, 66));
    }

    #[test]
    fn a_line_is_known_whatever_the_time() {
        let same = [
            "cq-fetch: GitHub: rate limit until 2026-01-01T09:30:00Z",
            "cq-fetch: GitHub: rate limit until 2026-01-01T09:45:00Z",
        ];
        assert_eq!(gist(same[0]), gist(same[1]));
        assert_ne!(gist("issue #1 is failed"), gist("issue #2 is failed"));
    }

    #[test]
    fn nothing_is_merged_where_that_is_not_wanted() {
        let lines = |merges| wanted(merges).map(|plan| plan.line(plan.commands.len())).collect::<Vec<_>>();
        assert!(lines(true).contains(&"cq-pr --merge".to_owned()));
        assert!(lines(false).iter().all(|line| !line.contains("--merge")) && lines(false).len() == 4);
    }

    #[test]
    fn what_starts_something_is_not_run_while_it_would_be_refused() {
        for plan in &PLANS {
            for commands in [plan.while_stopped, plan.while_resting] {
                assert!(
                    !plan.line(commands).contains("cq-spawn") && !plan.line(commands).contains("cq-claim")
                );
            }
            assert!(!plan.line(plan.while_stopped).contains("cq-pr"), "cq-pr honours the stop itself");
        }
        assert_eq!(PLANS[1].line(3), "cq-fetch | cq-claim | cq-spawn");
    }
}
