//! What is due, decided from the records alone.

use chrono::TimeDelta;

use super::{Wish, branches};
use crate::clock::Timestamp;
use crate::record::{Outcome, Record, RevertStep, Status};

/// Whether a record's workspace is removed now; `hours` are those that a finished one is kept.
pub(super) fn is_due(record: &Record, wish: &Wish, hours: u32, now: Timestamp) -> bool {
    if !wish.instances.is_empty() {
        return wish.instances.iter().any(|instance| instance == record.instance());
    }
    let ended = record.status.is_some_and(Status::is_final);
    if wish.all && wish.force {
        return true;
    }
    // What tampered, or is kept back, is kept for a person, who names it when it may go.
    if record.outcome == Some(Outcome::Tampered) || record.is_kept_back() {
        return false;
    }
    // cq-pr --revert has it in hand.
    if is_being_reverted(record) {
        return false;
    }
    if wish.all {
        return ended;
    }
    // An agent that waits for an answer goes on there.
    if record.open_question().is_some() {
        return false;
    }
    let last = record.history.last().map(|last| last.at);
    ended && last.is_none_or(|at| now - at >= TimeDelta::hours(i64::from(hours)))
}

/// Whether a revert is under way, which may have brought the record back from the archive.
pub(super) fn is_being_reverted(record: &Record) -> bool {
    record.revert.as_ref().is_some_and(|revert| revert.step != RevertStep::Done)
}

/// Whether neither an agent nor its checks are at work on a record, or about to be: its workspace goes without `--force`.
pub(crate) fn is_left_alone(record: &Record) -> bool {
    record.status.is_some_and(|status| status.is_final() || status == Status::PrReady)
}

/// Whether an instance's workspace is this record's. A failed record keeps the name of its instance, but once its
/// workspace is gone the name may be given to another issue: the living come first, then the latest.
pub(crate) fn owns_workspace(record: &Record, records: &[Record]) -> bool {
    let rank = |record: &Record| {
        let alive = !record.status.is_some_and(Status::is_final);
        let had_one = record.run.as_ref().is_some_and(|run| !run.workspace.is_empty());
        (alive || had_one).then(|| (alive, record.claim.as_ref().map(|claim| claim.claimed_at)))
    };
    let same = records.iter().filter(|other| other.instance() == record.instance());
    rank(record).is_some() && same.map(rank).all(|other| other <= rank(record))
}

/// Whether only the rest is left to do, the archive or the branch on GitHub: its workspace has gone before.
pub(super) fn is_without_workspace(record: &Record) -> bool {
    let gone = record.run.as_ref().is_none_or(|run| run.workspace.is_empty());
    let left = match record.status {
        Some(Status::Completed) => true,
        Some(status) => status.is_final() && branches::wanted(record).is_some(),
        None => false,
    };
    gone && left
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Claim, Extra, Issue, Question, Run, Transition};

    fn record(number: u64, status: Status, workspace: &str, minute: u32) -> Record {
        let mut record = Record::new("o/r", number, Issue::default());
        record.status = Some(status);
        let claim = format!(
            r#"{{"token":"t","host":"h","instance":"claude-instance-1","branch":"b","base":"main","attempt":1,
            "claimed_at":"2026-01-01T00:{minute:02}:00Z","lease_expires_at":"2026-01-01T00:00:00Z"}}"#
        );
        record.claim = Some(serde_json::from_str::<Claim>(&claim).unwrap());
        record.run = Some(Run { workspace: workspace.to_owned(), ..Run::default() });
        record
    }

    #[test]
    fn a_workspace_belongs_to_the_living_then_to_the_latest_that_still_had_one() {
        let gone = record(1, Status::Failed, "", 0);
        let failed = record(2, Status::Failed, "/w", 1);
        let later = record(3, Status::Failed, "/w", 2);
        let queued = record(4, Status::Queued, "", 3);
        let merged = record(5, Status::Completed, "", 4);
        let cases = [
            (vec![&gone], vec![]),
            (vec![&gone, &failed], vec![2]),
            (vec![&failed, &later], vec![3]),
            (vec![&gone, &failed, &queued], vec![4]),
            (vec![&merged, &failed], vec![2]),
        ];
        for (records, expected) in cases {
            let records: Vec<Record> = records.into_iter().cloned().collect();
            let owners = records.iter().filter(|record| owns_workspace(record, &records));
            assert_eq!(owners.map(|record| record.number).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn what_is_due_by_status_age_and_wish() {
        let now: Timestamp = "2026-01-03T00:00:00Z".parse().unwrap();
        let wish = |instances: &[&str], all, force| Wish {
            instances: instances.iter().map(|&name| name.to_owned()).collect(),
            all,
            force,
            dry_run: false,
        };
        let ended = |status, hours: i64| {
            let mut record = record(1, status, "/w", 0);
            let (at, by) = (now - TimeDelta::hours(hours), "cq-pr".to_owned());
            let why = String::new();
            record.history.push(Transition { at, from: None, to: status, by, why, extra: Extra::new() });
            record
        };
        let (old, fresh) = (ended(Status::Completed, 24), ended(Status::Failed, 23));
        let (open, runs) = (ended(Status::PrReady, 99), ended(Status::InProgress, 99));
        let mut tampered = ended(Status::Failed, 99);
        tampered.outcome = Some(Outcome::Tampered);
        let mut withheld = ended(Status::Failed, 99);
        withheld.outcome = Some(Outcome::Withheld);
        let mut unevaluated = ended(Status::Failed, 99);
        unevaluated.outcome = Some(Outcome::Unevaluated);
        let mut asks = ended(Status::Failed, 99);
        asks.outcome = Some(Outcome::NeedsInfo);
        let (text, at) = (String::new(), now);
        asks.question = Some(Question { text, at, url: None, answered_at: None, extra: Extra::new() });
        let reverting = |step: &str| {
            let revert = format!(r#"{{"of":7,"reason":"r","step":"{step}","at":"2026-01-01T00:00:00Z"}}"#);
            Record { revert: serde_json::from_str(&revert).unwrap(), ..old.clone() }
        };
        let (reverted, reverting) = (reverting("done"), reverting("reopen"));
        let wishes = [
            wish(&[], false, false),
            wish(&[], true, false),
            wish(&[], true, true),
            wish(&["claude-instance-1"], false, false),
        ];
        let table = [
            (&old, "xxxx"),
            (&fresh, ".xxx"),
            (&open, "..xx"),
            (&runs, "..xx"),
            (&tampered, "..xx"),
            (&withheld, "..xx"),
            (&unevaluated, "..xx"),
            (&asks, ".xxx"),
            (&reverting, "..xx"),
            (&reverted, "xxxx"),
        ];
        for (record, row) in table {
            let due: String =
                wishes.iter().map(|wish| if is_due(record, wish, 24, now) { 'x' } else { '.' }).collect();
            assert_eq!(due, row, "{:?} {:?}", record.status, record.outcome);
        }
        assert!(!is_due(&old, &wish(&["claude-instance-2"], false, false), 24, now));
    }
}
