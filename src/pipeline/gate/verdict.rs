//! What follows from what the checks said: cq-pr, the agent once more, another try, or a person.

use std::path::Path;

use super::log;
use crate::claims;
use crate::error::{Error, Kind, Result};
use crate::record::{Extra, Feedback, FeedbackSource, GateVerdict, Gates, Outcome, Record, Status};
use crate::session::Session;

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// cq-pr, or a person's word.
    Nothing,
    /// The agent goes on, and is told.
    SendBack,
    /// A person asked, and decides whether the agent goes on: what it will be told is noted.
    Note,
    /// The checks are tried again when the lease is over.
    TryAgain,
    /// A person must mend something first; nothing waits for that in a place of its own.
    GiveUp,
}

/// Decides. `most` is how often checks may come to no verdict before a person looks: a machine that is short of time or
/// memory has some by and by, but whoever waited for ever would keep others from working.
fn next(record: &Record, gates: &Gates, most: u32) -> Next {
    let testing = record.status == Some(Status::Testing);
    match gates.verdict {
        GateVerdict::Failed if testing => Next::SendBack,
        GateVerdict::Failed if record.is_unevaluated() => Next::Note,
        // A withheld change is a person's to mend: what is red of it sends nobody anywhere.
        GateVerdict::Unevaluated if !testing => Next::Nothing,
        GateVerdict::Unevaluated if gates.needs_person() || gates.tries.unwrap_or(1) >= most => Next::GiveUp,
        GateVerdict::Unevaluated => Next::TryAgain,
        GateVerdict::Failed | GateVerdict::Passed | GateVerdict::Skipped => Next::Nothing,
    }
}

/// The verdict goes into the record, with what follows from it.
pub(super) fn write_down(session: &Session, record: &Record, gates: Gates) -> Result<Record> {
    let (now, by) = (session.clock.now(), session.command);
    let attempts = session.loaded.config.queue.retry_attempts;
    let mut follows = Next::Nothing;
    let written = claims::update(&session.state, record.claimed()?, record.number, |record| {
        let known = record.gates.take();
        if known.as_ref().is_some_and(|known| known.verdict == GateVerdict::Failed) {
            take_back(record);
        }
        let gates = counted(gates, known);
        follows = next(record, &gates, attempts);
        if matches!(follows, Next::SendBack | Next::Note) {
            let (from, text) = (FeedbackSource::Gate, feedback(&gates));
            record.feedback.push(Feedback { from, text, at: now, extra: Extra::new() });
        }
        match follows {
            Next::Nothing | Next::TryAgain => {}
            Next::SendBack => {
                let why = red(&gates);
                record.end_attempt(Outcome::GateFailed, &why, attempts, by, now, fastrand::f64())?;
            }
            // Its outcome stays: what a person is mending is kept until it is named, and can be checked again.
            Next::Note => record.remark(by, red(&gates), now),
            Next::GiveUp => {
                let why = unjudged(&gates);
                record.end_attempt(Outcome::Unevaluated, &why, attempts, by, now, fastrand::f64())?;
            }
        }
        record.gates = Some(gates);
        Ok(())
    })?;
    if follows == Next::TryAgain {
        return session.claims().renew(written.number, &written.claimed()?.token);
    }
    Ok(written)
}

/// Takes back what was noted of red checks for an agent whom nobody has sent back since: another verdict takes its place.
fn take_back(record: &mut Record) {
    if record.is_unevaluated()
        && let Some(at) = record.feedback.iter().rposition(|known| known.from == FeedbackSource::Gate)
    {
        record.feedback.remove(at);
    }
}

/// Counts the tries of one tree on one base; what is said of another is another matter.
fn counted(gates: Gates, known: Option<Gates>) -> Gates {
    let known = known.filter(|known| known.tree == gates.tree && known.base == gates.base);
    let before = known.and_then(|known| known.tries).unwrap_or_default();
    let tries = (gates.verdict == GateVerdict::Unevaluated).then(|| before.saturating_add(1));
    Gates { tries, ..gates }
}

fn red(gates: &Gates) -> String {
    let red = gates.checks.iter().filter(|check| check.verdict == GateVerdict::Failed);
    format!("red: {}", red.map(|check| check.name.as_str()).collect::<Vec<_>>().join(", "))
}

fn unjudged(gates: &Gates) -> String {
    let told = gates.unevaluated().map(|check| match &check.why {
        Some(why) => format!("{}: {why}", check.name),
        None => check.name.clone(),
    });
    let told = told.collect::<Vec<_>>().join(", ");
    match gates.tries {
        Some(tries) if tries > 1 => format!("{told}; tried {tries} times"),
        _ => told,
    }
}

/// The ends of the red checks' output.
fn feedback(gates: &Gates) -> String {
    let red = gates.checks.iter().filter(|check| check.verdict == GateVerdict::Failed);
    let told = red.map(|check| {
        let exit =
            check.exit.map_or_else(|| "no exit status".to_owned(), |exit| format!("exit status {exit}"));
        format!(
            "The check '{}' failed ({}, {exit}):\n{}",
            check.name,
            check.command.join(" "),
            log::tail(Path::new(&check.log))
        )
    });
    told.collect::<Vec<_>>().join("\n\n")
}

/// What is said of checks that did not pass.
pub(super) fn complaint(record: &Record, how: &str) -> Error {
    let checks = record.gates.iter().flat_map(|gates| &gates.checks);
    let told: Vec<String> = checks
        .filter(|check| matches!(check.verdict, GateVerdict::Failed | GateVerdict::Unevaluated))
        .map(|check| format!("{} ({})", check.name, check.reason()))
        .collect();
    let message = format!("issue #{}: checks {how}: {}", record.number, told.join(", "));
    let error = Error::new(Kind::Failed, message);
    match way_on(record) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// What a person can do about a verdict that is none, or that came after all; none where nobody has to do anything.
///
/// Asking once more does not help where only the base was mended: the branch still has the old one underneath.
pub(crate) fn way_on(record: &Record) -> Option<String> {
    let (number, gates) = (record.number, record.gates.as_ref()?);
    match gates.verdict {
        GateVerdict::Unevaluated if record.status == Some(Status::Testing) => {
            Some("cq-monitor offers it again when its lease is over".to_owned())
        }
        GateVerdict::Unevaluated if gates.is_red_on_base() => Some(format!(
            "mend the base, then 'cq-claim --retry {number} | cq-spawn' lets its agent take that in; \
             cq-gate --again {number} asks once more without; cq-pr --unchecked {number} opens it as it is"
        )),
        GateVerdict::Unevaluated => Some(format!(
            "mend what the check lacks, then run 'cq-gate {number} | cq-pr'; \
             cq-pr --unchecked {number} opens it as it is"
        )),
        GateVerdict::Passed if record.is_unevaluated() => {
            Some(format!("its checks have passed since: cq-pr {number} opens its pull request"))
        }
        GateVerdict::Failed if record.is_unevaluated() => Some(format!(
            "cq-claim --retry {number} sends its agent back, who is told; \
             whoever mends it by hand then runs 'cq-gate {number} | cq-pr'"
        )),
        GateVerdict::Failed
            if (record.status, record.outcome) == (Some(Status::Failed), Some(Outcome::GateFailed)) =>
        {
            Some(format!("cq-claim --retry {number} sends its agent back, who is told"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Check, Issue};

    /// What one check said that ended so, here and on the base.
    fn said(verdict: GateVerdict, exit: Option<i32>, base_exit: Option<i32>) -> Gates {
        let why = Some("so it was".to_owned());
        let check = Check { name: "n".into(), verdict, exit, base_exit, why, ..Check::default() };
        Gates { tree: "t".into(), verdict, checks: vec![check], ..Gates::default() }
    }

    fn record(status: Status, outcome: Outcome) -> Record {
        let (status, outcome) = (Some(status), Some(outcome));
        Record { status, outcome, ..Record::new("o/r", 7, Issue::default()) }
    }

    #[test]
    fn nothing_waits_in_a_place_for_what_only_a_person_changes() {
        use GateVerdict::{Failed, Passed, Unevaluated};
        let testing = record(Status::Testing, Outcome::Success);
        let withheld = record(Status::Failed, Outcome::Withheld);
        let unevaluated = record(Status::Failed, Outcome::Unevaluated);
        let (late, missing) = (said(Unevaluated, None, None), said(Unevaluated, Some(127), None));
        let on_base = said(Unevaluated, Some(1), Some(1));
        let nth = |tries, gates: &Gates| Gates { tries: Some(tries), ..gates.clone() };
        let (green, red) = (said(Passed, Some(0), None), said(Failed, Some(1), None));
        let table = [
            (&testing, &green, Next::Nothing),
            (&testing, &red, Next::SendBack),
            (&testing, &nth(1, &on_base), Next::GiveUp),
            (&testing, &nth(1, &missing), Next::GiveUp),
            (&testing, &nth(1, &late), Next::TryAgain),
            (&testing, &nth(2, &late), Next::TryAgain),
            (&testing, &nth(3, &late), Next::GiveUp),
            (&withheld, &red, Next::Nothing),
            (&withheld, &late, Next::Nothing),
            (&unevaluated, &red, Next::Note),
            (&unevaluated, &green, Next::Nothing),
            (&unevaluated, &nth(9, &late), Next::Nothing),
            (&unevaluated, &on_base, Next::Nothing),
        ];
        for (record, gates, expected) in table {
            let (status, verdict, tries) = (record.status, gates.verdict, gates.tries);
            assert_eq!(next(record, gates, 3), expected, "{status:?} {verdict:?} {tries:?}");
        }
    }

    #[test]
    fn tries_are_counted_for_one_tree_on_one_base() {
        let late = said(GateVerdict::Unevaluated, None, None);
        let twice = Gates { tries: Some(2), ..late.clone() };
        let other = Gates { base: Some("another".into()), ..twice.clone() };
        let green = said(GateVerdict::Passed, Some(0), None);
        let cases = [
            (&late, None, Some(1)),
            (&late, Some(&twice), Some(3)),
            (&late, Some(&other), Some(1)),
            (&green, Some(&twice), None),
        ];
        for (gates, known, expected) in cases {
            assert_eq!(counted(gates.clone(), known.cloned()).tries, expected);
        }
        assert_eq!(unjudged(&late), "n: so it was");
        assert_eq!(unjudged(&twice), "n: so it was; tried 2 times");
    }

    #[test]
    fn a_person_is_told_what_really_helps() {
        let cases = [
            (Status::Testing, said(GateVerdict::Unevaluated, None, None), Some("cq-monitor offers it again")),
            (
                Status::Failed,
                said(GateVerdict::Unevaluated, Some(1), Some(1)),
                Some("'cq-claim --retry 7 | cq-spawn'"),
            ),
            (Status::Failed, said(GateVerdict::Unevaluated, None, None), Some("'cq-gate 7 | cq-pr'")),
            (Status::Failed, said(GateVerdict::Passed, Some(0), None), Some("cq-pr 7 opens")),
            (Status::Failed, said(GateVerdict::Failed, Some(1), None), Some("then runs 'cq-gate 7 | cq-pr'")),
            (Status::Testing, said(GateVerdict::Passed, Some(0), None), None),
            (Status::Testing, said(GateVerdict::Failed, Some(1), None), None),
        ];
        for (status, gates, expected) in cases {
            let told = way_on(&Record { gates: Some(gates), ..record(status, Outcome::Unevaluated) });
            match (&told, expected) {
                (Some(told), Some(expected)) => assert!(told.contains(expected), "{told}"),
                (told, expected) => assert_eq!((told.as_deref(), expected), (None, None)),
            }
        }
    }
}
