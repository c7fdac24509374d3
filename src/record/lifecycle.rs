//! The lifecycle: which status may follow which. One function owns the table.

use super::{Extra, Outcome, Record, Status, Transition};
use crate::clock::Timestamp;
use crate::error::{Error, Kind, Result};

/// Whether a record may go from one status to another. `None` is an issue nobody has claimed.
#[expect(clippy::unnested_or_patterns, reason = "one line per arrow reads like the drawing")]
pub const fn may_follow(from: Option<Status>, to: Status) -> bool {
    use Status::{Completed, Failed, InProgress, PrReady, Queued, Testing};
    matches!(
        (from, to),
        // cq-claim
        (None, Queued)
        // cq-spawn; the agent ended with commits; checks passed and the pull request is open; merged
        | (Some(Queued), InProgress)
        | (Some(InProgress), Testing)
        | (Some(Testing), PrReady)
        | (Some(PrReady), Completed)
        // merged by a person although its last round had failed, or while it was under way
        | (Some(Failed | Testing), Completed)
        // a person let through what was withheld, or mended what kept the checks from judging it
        | (Some(Failed), PrReady)
        // another attempt: a retryable end, a red check, a change request; the operator's --retry and --revert
        | (Some(InProgress | Testing | PrReady | Completed | Failed), Queued)
        // attempts used up, a permanent failure, closed unmerged
        | (Some(Queued | InProgress | Testing | PrReady), Failed)
    )
}

impl Record {
    /// Whether its pull request waits for a person, and for no agent. That of a failed round is open as ever.
    pub fn waits_for_people(&self) -> bool {
        let is_open = self.pull_request.as_ref().is_some_and(|pull| pull.state == "open");
        self.status == Some(Status::PrReady) || self.status == Some(Status::Failed) && is_open
    }

    /// Whether its checks cannot judge its change before a person has mended something.
    pub fn is_unevaluated(&self) -> bool {
        self.status == Some(Status::Failed) && self.outcome == Some(Outcome::Unevaluated)
    }

    /// Whether its change is there, and kept back until a person has decided, or mended something: then cq-gate and cq-pr
    /// go on from there.
    pub fn is_kept_back(&self) -> bool {
        self.status == Some(Status::Failed)
            && matches!(self.outcome, Some(Outcome::Withheld | Outcome::Unevaluated))
    }

    /// Where it stands, for people.
    pub fn standing(&self) -> &'static str {
        self.status.map_or("unclaimed", Status::name)
    }

    /// The same issue as one that nobody has claimed.
    #[must_use]
    pub fn unclaimed(self) -> Self {
        Self {
            claim: None,
            status: None,
            revert: None,
            cleaned: None,
            spent_usd: None,
            feedback: Vec::new(),
            history: Vec::new(),
            ..self.without_work()
        }
    }

    /// Changes the status and writes the history; refuses what the table does not have.
    pub fn transition(&mut self, to: Status, by: &str, why: impl Into<String>, at: Timestamp) -> Result<()> {
        if !may_follow(self.status, to) {
            let from = self.standing();
            let message = format!("issue #{} cannot go from {from} to {}", self.number, to.name());
            return Err(Error::new(Kind::Failed, message));
        }
        let (by, why) = (by.to_owned(), why.into());
        self.history.push(Transition { at, from: self.status, to, by, why, extra: Extra::new() });
        self.status = Some(to);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Issue, Record};
    use super::*;

    #[test]
    fn the_whole_table() {
        // Rows: from; columns: queued, in-progress, testing, pr-ready, completed, failed.
        let table = [
            (None, "x....."),
            (Some(Status::Queued), ".x...x"),
            (Some(Status::InProgress), "x.x..x"),
            (Some(Status::Testing), "x..xxx"),
            (Some(Status::PrReady), "x...xx"),
            (Some(Status::Completed), "x....."),
            (Some(Status::Failed), "x..xx."),
        ];
        for (from, row) in table {
            for (to, cell) in Status::ALL.into_iter().zip(row.chars()) {
                assert_eq!(may_follow(from, to), cell == 'x', "{from:?} -> {to:?}");
            }
        }
    }

    #[test]
    fn an_open_pull_request_waits_for_people_unless_an_agent_is_at_it() {
        // Without a pull request, with an open one, with one that is over.
        let table = [
            (Status::Queued, "..."),
            (Status::InProgress, "..."),
            (Status::Testing, "..."),
            (Status::PrReady, "xxx"),
            (Status::Completed, "..."),
            (Status::Failed, ".x."),
        ];
        for (status, row) in table {
            for (state, cell) in [None, Some("open"), Some("closed")].into_iter().zip(row.chars()) {
                let pull = state
                    .map(|state| format!(r#"{{"number":7,"url":"","head_sha":"0b","state":"{state}"}}"#));
                let mut record = Record::new("o/r", 1, Issue::default());
                record.status = Some(status);
                record.pull_request = pull.map(|pull| serde_json::from_str(&pull).unwrap());
                assert_eq!(record.waits_for_people(), cell == 'x', "{status:?} {state:?}");
            }
        }
    }

    #[test]
    fn a_refused_change_leaves_the_record_as_it_was() {
        let mut record = Record::new("o/r", 1, Issue::default());
        let now = Timestamp::UNIX_EPOCH;
        record.transition(Status::Queued, "cq-claim", "", now).unwrap();
        let before = record.clone();
        let error = record.transition(Status::Completed, "cq-pr", "", now).unwrap_err();
        assert_eq!(error.to_string(), "issue #1 cannot go from queued to completed");
        assert_eq!(record, before);
    }
}
