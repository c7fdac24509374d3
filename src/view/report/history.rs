//! What a report needs of a record and of the event feed, and nothing else: an archive is read fast that way.

use serde::Deserialize;

use crate::clock::Timestamp;
use crate::record::{self, GateVerdict, Outcome, Record, Status};

/// One claim of an issue, from its beginning to where it stands or ended.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Life {
    cq: u32,
    pub(super) repo: String,
    pub(super) issue: Brief,
    #[serde(default)]
    pub(super) status: Option<Status>,
    #[serde(default)]
    pub(super) outcome: Option<Outcome>,
    #[serde(default)]
    claim: Option<Claim>,
    #[serde(default)]
    pub(super) run: Option<Run>,
    #[serde(default)]
    pub(super) gates: Option<Gates>,
    #[serde(default)]
    pub(super) pull_request: Option<PullRequest>,
    #[serde(default)]
    spent_usd: Option<f64>,
    #[serde(default)]
    pub(super) history: Vec<Step>,
    /// It went to the archive.
    #[serde(skip)]
    pub(super) archived: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Brief {
    pub(super) title: String,
    #[serde(default)]
    pub(super) labels: Vec<String>,
    #[serde(default)]
    pub(super) url: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Claim {
    token: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Run {
    #[serde(default)]
    pub(super) agent: Option<String>,
    #[serde(default)]
    pub(super) model: Option<String>,
    #[serde(default)]
    cost_usd: Option<f64>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Gates {
    #[serde(default)]
    pub(super) checks: Vec<Check>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Check {
    pub(super) name: String,
    pub(super) verdict: GateVerdict,
    #[serde(default)]
    pub(super) seconds: f64,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct PullRequest {
    #[serde(default)]
    pub(super) url: String,
}

/// A change of status.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Step {
    pub(super) at: Timestamp,
    #[serde(default)]
    pub(super) from: Option<Status>,
    pub(super) to: Status,
    #[serde(default)]
    pub(super) by: String,
}

impl Life {
    /// An archived record; what is wrong with one that is none.
    pub(super) fn from_json(text: &str) -> Result<Self, String> {
        let life: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if life.cq != record::VERSION {
            return Err(format!("record version {} is not one this cq knows", life.cq));
        }
        Ok(Self { archived: true, ..life })
    }

    /// Whether it is of the same claim as another.
    pub(super) fn is_same_claim(&self, other: &Self) -> bool {
        self.claim.is_some() && self.claim == other.claim
    }

    /// Whether it is what became of another, which a revert had brought back from the archive under a new claim: it has all
    /// of the other's history and costs.
    pub(super) fn goes_on_from(&self, other: &Self) -> bool {
        other.status == Some(Status::Completed) && self.history.starts_with(&other.history)
    }

    /// When its status last changed.
    pub(super) fn changed_at(&self) -> Option<Timestamp> {
        self.history.last().map(|step| step.at)
    }

    /// US dollars so far. What a run costs that has not ended is not yet among what was spent.
    pub(super) fn cost_usd(&self) -> Option<f64> {
        let run = self.run.as_ref().and_then(|run| run.cost_usd);
        match self.spent_usd {
            None => run,
            Some(spent) if self.status == Some(Status::InProgress) => Some(spent + run.unwrap_or_default()),
            spent => spent,
        }
    }
}

impl From<&Record> for Life {
    fn from(record: &Record) -> Self {
        let issue = &record.issue;
        let check = |check: &record::Check| Check {
            name: check.name.clone(),
            verdict: check.verdict,
            seconds: check.seconds,
        };
        let step = |step: &record::Transition| Step {
            at: step.at,
            from: step.from,
            to: step.to,
            by: step.by.clone(),
        };
        let run = |run: &record::Run| Run {
            agent: run.agent.clone(),
            model: run.model.clone(),
            cost_usd: run.cost_usd,
        };
        Self {
            cq: record.cq,
            repo: record.repo.clone(),
            issue: Brief { title: issue.title.clone(), labels: issue.labels.clone(), url: issue.url.clone() },
            status: record.status,
            outcome: record.outcome,
            claim: record.claim.as_ref().map(|claim| Claim { token: claim.token.clone() }),
            run: record.run.as_ref().map(run),
            gates: record
                .gates
                .as_ref()
                .map(|gates| Gates { checks: gates.checks.iter().map(check).collect() }),
            pull_request: record.pull_request.as_ref().map(|pull| PullRequest { url: pull.url.clone() }),
            spent_usd: record.spent_usd,
            history: record.history.iter().map(step).collect(),
            archived: false,
        }
    }
}

/// How the feed says that an attempt ended, or went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    pub(super) at: Timestamp,
    pub(super) from: Status,
    pub(super) to: Status,
    pub(super) outcome: Outcome,
}

impl End {
    /// The end of a work on an issue that an event tells of. Torn lines and other events tell of none.
    pub(super) fn of_event(line: &[u8]) -> Option<(u64, Self)> {
        #[derive(Deserialize)]
        struct Event {
            at: Timestamp,
            issue: u64,
            from: Status,
            to: Status,
            outcome: Outcome,
        }
        const KIND: &[u8] = br#""event":"transition""#;
        // Much of a feed is something else, and need not be understood.
        memchr::memmem::find(line, KIND)?;
        let event: Event = serde_json::from_slice(line).ok()?;
        let ends = matches!(event.from, Status::InProgress | Status::Testing | Status::PrReady);
        let Event { at, issue, from, to, outcome } = event;
        ends.then_some((issue, Self { at, from, to, outcome }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_ends_of_work_are_taken_from_the_feed() {
        let event = |text: &str| End::of_event(text.as_bytes()).map(|(issue, end)| (issue, end.outcome));
        let cases = [
            (
                r#"{"at":"2026-01-01T00:00:00.123Z","command":"c","event":"transition","issue":7,"from":"in-progress","to":"queued","outcome":"timed-out","why":"w"}"#,
                Some((7, Outcome::TimedOut)),
            ),
            (
                r#"{"at":"2026-01-01T00:00:00Z","command":"c","event":"transition","issue":7,"from":"queued","to":"in-progress","outcome":"success"}"#,
                None,
            ),
            (
                r#"{"at":"2026-01-01T00:00:00Z","command":"c","event":"transition","issue":7,"to":"queued"}"#,
                None,
            ),
            (r#"{"at":"2026-01-01T00:00:00Z","command":"c","event":"push","issue":7}"#, None),
            (r#"{"at":"2026-01-01T00:00:00Z","command":"c","event":"transition","iss"#, None),
            ("", None),
        ];
        for (line, expected) in cases {
            assert_eq!(event(line), expected, "{line}");
        }
    }

    /// Records of all times are reported on; a version that is not known is not guessed at.
    #[test]
    fn a_life_is_read_from_any_record() {
        let old = r#"{"cq":1,"repo":"o/r","number":7,"issue":{"title":"t"},"run":{"cost_usd":0.5}}"#;
        assert_eq!(Life::from_json(old).unwrap().cost_usd(), Some(0.5));
        let spent = old.replace("\"run\"", "\"spent_usd\":2.0,\"status\":\"testing\",\"run\"");
        assert_eq!(Life::from_json(&spent).unwrap().cost_usd(), Some(2.0));
        let running = spent.replace("testing", "in-progress");
        assert_eq!(Life::from_json(&running).unwrap().cost_usd(), Some(2.5));
        assert!(Life::from_json(&old.replace("\"cq\":1", "\"cq\":9")).unwrap_err().contains("version 9"));
        assert!(Life::from_json("{").is_err());
    }
}
