//! What follows an attempt that did not succeed: another one, later, or a person.

use chrono::TimeDelta;

use super::{Outcome, Record, Status};
use crate::clock::{Timestamp, span};
use crate::error::Result;

/// The first wait after a transient end.
const FIRST_WAIT_SECONDS: i64 = 10;
/// No transient end waits longer.
const LONGEST_WAIT_SECONDS: i64 = 300;
/// How long the fleet rests after a usage limit or a refused login that names no end.
const PARKED_SECONDS: i64 = 900;

/// What to do after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Once more, not before this moment; the attempt counts.
    Again(Timestamp),
    /// Once more, not before this moment; the attempt does not count and the whole fleet rests.
    Park(Timestamp),
    /// A person must look at it.
    GiveUp(&'static str),
}

/// Decides from the outcome alone. `attempt` is the one that ended (1 for the first), `attempts` how many
/// there may be; `jitter` is a number from 0 to 1, drawn by the caller.
pub fn decide(outcome: Outcome, attempt: u32, attempts: u32, now: Timestamp, jitter: f64) -> Next {
    match outcome {
        Outcome::UsageLimit | Outcome::Auth => Next::Park(now + TimeDelta::seconds(PARKED_SECONDS)),
        Outcome::NoChange => Next::GiveUp("the agent changed nothing"),
        Outcome::NeedsInfo => Next::GiveUp("the agent asks for information"),
        Outcome::OverBudget => Next::GiveUp("the budget is spent"),
        Outcome::Tampered => Next::GiveUp("the repository was tampered with"),
        Outcome::LostClaim => Next::GiveUp("the claim was lost"),
        Outcome::Cancelled => Next::GiveUp("stopped by the operator"),
        Outcome::Success
        | Outcome::GateFailed
        | Outcome::AgentError
        | Outcome::TimedOut
        | Outcome::Stalled
        | Outcome::Crashed
        | Outcome::OutOfMemory => {
            if attempt >= attempts {
                Next::GiveUp("all attempts are used up")
            } else {
                Next::Again(now + wait(attempt, jitter))
            }
        }
    }
}

/// 10 s · 2^(attempt − 1), at most 5 min, ± 30 %.
fn wait(attempt: u32, jitter: f64) -> TimeDelta {
    let doublings = attempt.saturating_sub(1).min(16);
    let seconds = (FIRST_WAIT_SECONDS << doublings).min(LONGEST_WAIT_SECONDS);
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "at most 390,000 ms")]
    let milliseconds = (seconds as f64 * 1000.0 * (0.7 + 0.6 * jitter.clamp(0.0, 1.0))).round() as i64;
    TimeDelta::milliseconds(milliseconds)
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
        let attempt = self.claimed()?.attempt;
        let next = decide(outcome, attempt, attempts, now, jitter);
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

    #[test]
    fn each_outcome_has_its_rule() {
        let now = Timestamp::UNIX_EPOCH;
        for outcome in Outcome::ALL {
            let first = decide(outcome, 1, 3, now, 0.5);
            let last = decide(outcome, 3, 3, now, 0.5);
            let expected = match outcome {
                Outcome::UsageLimit | Outcome::Auth => ("park", "park"),
                Outcome::Success
                | Outcome::GateFailed
                | Outcome::AgentError
                | Outcome::TimedOut
                | Outcome::Stalled
                | Outcome::Crashed
                | Outcome::OutOfMemory => ("again", "give up"),
                _ => ("give up", "give up"),
            };
            let name = |next| match next {
                Next::Again(_) => "again",
                Next::Park(_) => "park",
                Next::GiveUp(_) => "give up",
            };
            assert_eq!((name(first), name(last)), expected, "{outcome:?}");
        }
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
