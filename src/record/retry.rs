//! What follows an attempt that did not succeed: another one, later, or a person.

use chrono::TimeDelta;

use super::{Extra, Feedback, FeedbackSource, Outcome, Record, Status};
use crate::clock::{Timestamp, span};
use crate::error::Result;

/// The first wait after a transient end.
const FIRST_WAIT_SECONDS: i64 = 10;
/// No transient end waits longer.
const LONGEST_WAIT_SECONDS: i64 = 300;
/// How long the fleet rests after a usage limit or a refused login that names no end.
const PARKED_SECONDS: i64 = 900;
/// After a rest the runs come back spread over so much time.
const SPREAD_SECONDS: f64 = 120.0;

/// What an outcome leads to, whatever the attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The attempt counts, and the next comes after a wait, while there are attempts left.
    Retry,
    /// The attempt does not count; the whole fleet rests, then the issue goes on.
    Rest,
    /// The issue waits for an answer on GitHub; the attempt does not count.
    Ask,
    /// A person must look at it. The workspace is kept, and nothing is pushed.
    Person(&'static str),
}

/// The one table of what follows an end; the README shows it.
pub const fn rule(outcome: Outcome) -> Rule {
    match outcome {
        // A success ends no attempt by itself: where it has to, the next one is worth a try.
        Outcome::Success
        | Outcome::GateFailed
        | Outcome::AgentError
        | Outcome::TimedOut
        | Outcome::Stalled
        | Outcome::Crashed
        | Outcome::OutOfMemory => Rule::Retry,
        Outcome::UsageLimit | Outcome::Auth => Rule::Rest,
        Outcome::NeedsInfo => Rule::Ask,
        Outcome::NoChange => Rule::Person("the agent changed nothing"),
        Outcome::OverBudget => Rule::Person("the budget is spent"),
        Outcome::Tampered => Rule::Person("the repository was tampered with"),
        Outcome::LostClaim => Rule::Person("the claim was lost"),
        Outcome::Cancelled => Rule::Person("stopped by the operator"),
        Outcome::Withheld => Rule::Person("a person must let the change through"),
        Outcome::Unevaluated => Rule::Person("its checks cannot judge the change"),
    }
}

/// What to do after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Once more, not before this moment; the attempt counts.
    Again(Timestamp),
    /// Once more, not before this moment; the attempt does not count and the whole fleet rests.
    Park(Timestamp),
    /// A person must look at it, or answer.
    GiveUp(&'static str),
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy)]
pub struct End<'a> {
    /// The outcome.
    pub outcome: Outcome,
    /// Why, for people.
    pub because: &'a str,
    /// When the fleet's rest ends, where it rests.
    pub rest: Option<Timestamp>,
}

/// Decides from the outcome alone. `attempt` is the one that ended (1 for the first), `attempts` how many
/// there may be; `jitter` is a number from 0 to 1, drawn by the caller.
pub fn decide(end: &End<'_>, attempt: u32, attempts: u32, now: Timestamp, jitter: f64) -> Next {
    match rule(end.outcome) {
        Rule::Retry if attempt >= attempts => Next::GiveUp("all attempts are used up"),
        Rule::Retry => Next::Again(now + wait(attempt, jitter)),
        Rule::Rest => {
            let rest = end.rest.unwrap_or(now + TimeDelta::seconds(PARKED_SECONDS));
            Next::Park(rest + milliseconds(SPREAD_SECONDS * jitter.clamp(0.0, 1.0)))
        }
        Rule::Ask => Next::GiveUp("the agent asks for information"),
        Rule::Person(reason) => Next::GiveUp(reason),
    }
}

/// 10 s · 2^(attempt − 1), at most 5 min, ± 30 %.
fn wait(attempt: u32, jitter: f64) -> TimeDelta {
    let doublings = attempt.saturating_sub(1).min(16);
    let seconds = (FIRST_WAIT_SECONDS << doublings).min(LONGEST_WAIT_SECONDS);
    #[expect(clippy::cast_precision_loss, reason = "at most 300")]
    milliseconds(seconds as f64 * (0.7 + 0.6 * jitter.clamp(0.0, 1.0)))
}

fn milliseconds(seconds: f64) -> TimeDelta {
    #[expect(clippy::cast_possible_truncation, reason = "at most 390 seconds")]
    TimeDelta::milliseconds((seconds * 1000.0).round() as i64)
}

/// Whether the next run should be told how this one ended. Checks say more themselves, and of a login or a claim an
/// agent need not know.
const fn is_told(outcome: Outcome) -> bool {
    matches!(
        outcome,
        Outcome::NoChange
            | Outcome::AgentError
            | Outcome::TimedOut
            | Outcome::Stalled
            | Outcome::Crashed
            | Outcome::OutOfMemory
            | Outcome::UsageLimit
            | Outcome::OverBudget
    )
}

impl Record {
    /// Ends the attempt: sets the outcome and moves the record to `queued` or `failed`.
    pub fn end_attempt(
        &mut self,
        outcome: Outcome,
        because: &str,
        attempts: u32,
        by: &str,
        now: Timestamp,
        jitter: f64,
    ) -> Result<Next> {
        self.end_run(&End { outcome, because, rest: None }, attempts, by, now, jitter)
    }

    /// [`Record::end_attempt`] of a run after which the fleet may rest. How it ended becomes feedback for the next one,
    /// in the place of what an earlier run left.
    pub fn end_run(
        &mut self,
        end: &End<'_>,
        attempts: u32,
        by: &str,
        now: Timestamp,
        jitter: f64,
    ) -> Result<Next> {
        let End { outcome, because, .. } = *end;
        let attempt = self.claimed()?.attempt;
        let attempts = self.attempts_in_all(attempts);
        let next = decide(end, attempt, attempts, now, jitter);
        let (to, why) = match next {
            Next::Again(at) => (
                Status::Queued,
                format!(
                    "{because}; attempt {} of {attempts} in {}",
                    attempt + 1,
                    span((at - now).num_seconds())
                ),
            ),
            Next::Park(at) => {
                (Status::Queued, format!("{because}; again in {}", span((at - now).num_seconds())))
            }
            Next::GiveUp(reason) if reason == because => (Status::Failed, because.to_owned()),
            Next::GiveUp(reason) => (Status::Failed, format!("{because}; {reason}")),
        };
        self.transition(to, by, why, now)?;
        self.outcome = Some(outcome);
        self.feedback.retain(|known| known.from != FeedbackSource::Run);
        if is_told(outcome) {
            let text = format!("The last run ended with the outcome {}: {because}", outcome.name());
            self.feedback.push(Feedback { from: FeedbackSource::Run, text, at: now, extra: Extra::new() });
        }
        if let Some(claim) = &mut self.claim {
            match next {
                Next::Again(at) => {
                    claim.attempt += 1;
                    claim.not_before = Some(at);
                }
                Next::Park(at) => claim.not_before = Some(at),
                Next::GiveUp(_) => claim.not_before = None,
            }
        }
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(outcome: Outcome, rest: Option<Timestamp>) -> End<'static> {
        End { outcome, because: "so it was", rest }
    }

    #[test]
    fn each_outcome_has_its_rule() {
        let now = Timestamp::UNIX_EPOCH;
        // At the first attempt of three, and at the last.
        let table = [
            (Outcome::Success, "again", "give up"),
            (Outcome::NoChange, "give up", "give up"),
            (Outcome::NeedsInfo, "give up", "give up"),
            (Outcome::GateFailed, "again", "give up"),
            (Outcome::AgentError, "again", "give up"),
            (Outcome::TimedOut, "again", "give up"),
            (Outcome::Stalled, "again", "give up"),
            (Outcome::Crashed, "again", "give up"),
            (Outcome::OutOfMemory, "again", "give up"),
            (Outcome::UsageLimit, "park", "park"),
            (Outcome::Auth, "park", "park"),
            (Outcome::OverBudget, "give up", "give up"),
            (Outcome::Tampered, "give up", "give up"),
            (Outcome::LostClaim, "give up", "give up"),
            (Outcome::Cancelled, "give up", "give up"),
            (Outcome::Withheld, "give up", "give up"),
            (Outcome::Unevaluated, "give up", "give up"),
        ];
        assert_eq!(table.map(|(outcome, _, _)| outcome), Outcome::ALL);
        for (outcome, first, last) in table {
            let name = |attempt| match decide(&end(outcome, None), attempt, 3, now, 0.5) {
                Next::Again(_) => "again",
                Next::Park(_) => "park",
                Next::GiveUp(_) => "give up",
            };
            assert_eq!((name(1), name(3)), (first, last), "{outcome:?}");
        }
    }

    #[test]
    fn the_fleet_comes_back_spread_over_two_minutes() {
        let now = Timestamp::UNIX_EPOCH;
        let hour = TimeDelta::hours(1);
        let cases = [
            (None, 0.0, TimeDelta::minutes(15)),
            (Some(now + hour), 0.0, hour),
            (Some(now + hour), 0.5, hour + TimeDelta::minutes(1)),
            (Some(now + hour), 1.0, hour + TimeDelta::minutes(2)),
        ];
        for (rest, jitter, expected) in cases {
            let next = decide(&end(Outcome::UsageLimit, rest), 3, 3, now, jitter);
            assert_eq!(next, Next::Park(now + expected), "{rest:?} {jitter}");
        }
    }

    #[test]
    fn the_next_run_is_told_how_the_last_one_ended_and_no_more() {
        let now = Timestamp::UNIX_EPOCH;
        let mut record = Record::new("o/r", 1, crate::record::Issue::default());
        let claim = r#"{"token":"t","host":"h","instance":"claude-instance-1","branch":"b","base":"main","attempt":1,
            "claimed_at":"2026-01-01T00:00:00Z","lease_expires_at":"2026-01-01T00:00:00Z"}"#;
        record.claim = Some(serde_json::from_str(claim).unwrap());
        let mut told = |outcome| {
            record.status = Some(Status::InProgress);
            record.end_run(&end(outcome, None), 9, "test", now, 0.5).unwrap();
            record.feedback.iter().map(|one| one.text.clone()).collect::<Vec<_>>()
        };
        assert_eq!(told(Outcome::Crashed), ["The last run ended with the outcome crashed: so it was"]);
        assert_eq!(told(Outcome::TimedOut), ["The last run ended with the outcome timed-out: so it was"]);
        assert!(told(Outcome::Auth).is_empty());
        assert!(told(Outcome::GateFailed).is_empty());
    }

    #[test]
    fn waits_double_up_to_five_minutes_within_thirty_per_cent() {
        let cases = [(1, 10_000), (2, 20_000), (3, 40_000), (5, 160_000), (6, 300_000), (40, 300_000)];
        for (attempt, middle) in cases {
            assert_eq!(wait(attempt, 0.5).num_milliseconds(), middle, "attempt {attempt}");
            assert_eq!(wait(attempt, 0.0).num_milliseconds(), middle * 7 / 10);
            assert_eq!(wait(attempt, 1.0).num_milliseconds(), middle * 13 / 10);
        }
    }
}
