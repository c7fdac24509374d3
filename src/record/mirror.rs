//! What GitHub should show of an issue that cq works on: two labels and an assignee. Pure.
//!
//! `claude-ready` is a person's word, and trust rests on who gave it: cq neither sets nor removes it, whatever becomes
//! of the issue, nor any other label that approves issues here.

use super::eligibility::same;
use super::{Outcome, Record, Status};

/// On an issue that is in work.
pub const IN_PROGRESS: &str = "claude-in-progress";
/// On an issue that a person must look at.
pub const BLOCKED: &str = "claude-blocked";

/// What the configuration says of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terms<'a> {
    /// Labels that approve an issue: never touched.
    pub approving: &'a [String],
    /// Whom issues in work are assigned to.
    pub assignee: Option<&'a str>,
}

/// One difference between what GitHub shows and what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Put a label on the issue.
    Label(&'static str),
    /// Take it off.
    Unlabel(&'static str),
    /// Assign the issue to this login.
    Assign(String),
    /// Take the assignment back.
    Unassign(String),
}

/// What to change on an issue that has these labels and assignees. A record that is not in flight any more leaves
/// nothing behind.
///
/// A `claude-blocked` that cannot be of cq, because the issue never failed here, is a person's and stays. Who lost the claim
/// leaves the issue to whoever has it: two that each wrote what they know would write for ever.
pub fn changes(
    record: &Record,
    in_flight: bool,
    labels: &[String],
    assignees: &[String],
    terms: Terms<'_>,
) -> Vec<Change> {
    if record.outcome == Some(Outcome::LostClaim) {
        return Vec::new();
    }
    let status = record.status.filter(|_| in_flight);
    let in_work = status.is_some_and(Status::is_active);
    let has_failed = record.history.iter().any(|step| step.to == Status::Failed);
    let blocked = match status {
        Some(Status::Failed) => Some(true),
        _ if has_failed => Some(false),
        _ => None,
    };
    let mut changes = Vec::new();
    for (name, wanted) in [(IN_PROGRESS, Some(in_work)), (BLOCKED, blocked)] {
        let is_there = labels.iter().any(|label| same(label, name));
        match wanted {
            Some(wanted) if wanted == is_there || terms.approving.iter().any(|label| same(label, name)) => {}
            Some(true) => changes.push(Change::Label(name)),
            Some(false) => changes.push(Change::Unlabel(name)),
            None => {}
        }
    }
    if let Some(login) = terms.assignee {
        let is_there = assignees.iter().any(|one| one.eq_ignore_ascii_case(login));
        match (in_work, is_there) {
            (true, false) => changes.push(Change::Assign(login.to_owned())),
            (false, true) => changes.push(Change::Unassign(login.to_owned())),
            _ => {}
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::super::{Extra, Issue, Transition};
    use super::*;
    use crate::clock::Timestamp;

    fn record(status: Status, had: &[Status]) -> Record {
        let mut record = Record::new("o/r", 1, Issue::default());
        record.status = Some(status);
        let step = |to: &Status| Transition {
            at: Timestamp::UNIX_EPOCH,
            from: None,
            to: *to,
            by: "test".into(),
            why: String::new(),
            extra: Extra::new(),
        };
        record.history = had.iter().chain([&status]).map(step).collect();
        record
    }

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn what_github_shows_follows_from_the_record() {
        use Status::{Completed, Failed, InProgress, PrReady, Queued, Testing};
        // -: taken off where it is; +: put on where it is not; .: left. The columns: in progress, blocked, assignee.
        let table: [(Status, &[Status], bool, &str); 13] = [
            (Queued, &[], true, "+.+"),
            (InProgress, &[], true, "+.+"),
            (Testing, &[], true, "+.+"),
            (PrReady, &[], true, "-.-"),
            (Completed, &[], true, "-.-"),
            (Failed, &[], true, "-+-"),
            (Queued, &[Failed], true, "+-+"),
            (PrReady, &[Failed], true, "---"),
            (Queued, &[], false, "-.-"),
            (InProgress, &[], false, "-.-"),
            (Completed, &[], false, "-.-"),
            (Completed, &[Failed], false, "---"),
            (Failed, &[], false, "---"),
        ];
        let terms = Terms { approving: &strings(&["claude-ready"]), assignee: Some("cq-bot") };
        for (status, had, in_flight, expected) in table {
            let record = record(status, had);
            for (labels, assignees, sign) in [
                (&["Claude-Ready", "Claude-In-Progress", "CLAUDE-BLOCKED"][..], &["CQ-Bot"][..], '-'),
                (&["claude-ready"], &["mia"], '+'),
            ] {
                let found = changes(&record, in_flight, &strings(labels), &strings(assignees), terms);
                let all = if sign == '+' {
                    [Change::Label(IN_PROGRESS), Change::Label(BLOCKED), Change::Assign("cq-bot".into())]
                } else {
                    [
                        Change::Unlabel(IN_PROGRESS),
                        Change::Unlabel(BLOCKED),
                        Change::Unassign("cq-bot".into()),
                    ]
                };
                let wanted: Vec<Change> = all
                    .into_iter()
                    .zip(expected.chars())
                    .filter(|(_, cell)| *cell == sign)
                    .map(|(one, _)| one)
                    .collect();
                assert_eq!(found, wanted, "{status:?} {had:?} {in_flight} {sign}");
            }
        }
    }

    #[test]
    fn an_issue_whose_claim_was_lost_is_somebody_elses() {
        let mut record = record(Status::Failed, &[Status::Queued]);
        record.outcome = Some(Outcome::LostClaim);
        let terms = Terms { approving: &[], assignee: Some("cq-bot") };
        let labels = strings(&[IN_PROGRESS]);
        for in_flight in [true, false] {
            assert_eq!(changes(&record, in_flight, &labels, &strings(&["cq-bot"]), terms), []);
        }
    }

    #[test]
    fn nobody_is_assigned_unasked_and_no_approving_label_is_touched() {
        let record = record(Status::Queued, &[Status::Failed]);
        let approving = strings(&["Claude-In-Progress", "claude-blocked"]);
        let terms = Terms { approving: &approving, assignee: None };
        assert_eq!(changes(&record, true, &strings(&["claude-blocked"]), &strings(&["cq-bot"]), terms), []);
    }
}
