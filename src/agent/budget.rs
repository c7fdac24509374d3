//! What a run may cost, and what it did. Pure.
//!
//! Agents say what they cost, if at all, when they are done with a part of the work: a cap is looked at then, and a run
//! may have gone beyond it by that part.

use super::events::Final;
use crate::config::Config;
use crate::record::{Record, Run};

/// US dollars that a run of an agent may cost: the smallest of `budget.perRunUsd`, its profile's `maxCostUsd`, and what
/// the issue has left of `budget.perIssueUsd`.
pub fn cap(config: &Config, record: &Record, agent: &str) -> Option<f64> {
    let profile = config.agents.get(agent).and_then(|profile| profile.max_cost_usd);
    let issue = config.budget.per_issue_usd.map(|all| (all - spent(record)).max(0.0));
    [config.budget.per_run_usd, profile, issue].into_iter().flatten().reduce(f64::min)
}

/// The cap as a client is told it, for a run whose record is complete. One that goes on with a session counts what that
/// has cost already, as [`of_run`] knows.
pub fn for_client(config: &Config, record: &Record) -> Option<f64> {
    let run = record.run.as_ref()?;
    let cap = cap(config, record, run.agent.as_deref().unwrap_or_default())?;
    Some(cap + run.cost_before_usd.unwrap_or_default())
}

/// Whether what the agent says of its cost, with its last result or while it works, is more than the cap.
pub fn exceeded(config: &Config, record: &Record, last: Option<&Final>, so_far: Option<f64>) -> bool {
    let Some(run) = &record.run else { return false };
    let Some(cap) = cap(config, record, run.agent.as_deref().unwrap_or_default()) else { return false };
    let said = last.and_then(|last| of_run(last, run.cost_before_usd));
    [said, so_far].into_iter().flatten().any(|cost| cost > cap)
}

/// What one run cost, of what its agent says; `before` is what the session had cost when it began.
fn of_run(last: &Final, before: Option<f64>) -> Option<f64> {
    let before = before.filter(|_| last.cost_is_cumulative).unwrap_or_default();
    last.total_cost_usd.map(|total| (total - before).max(0.0))
}

/// Puts what an agent says of its cost into its run.
pub fn note(run: &mut Run, last: &Final) {
    let Some(cost) = of_run(last, run.cost_before_usd) else { return };
    run.cost_usd = Some(cost);
    run.session_cost_usd = Some(run.cost_before_usd.unwrap_or_default() + cost);
}

/// A run that goes on with the session of the one before knows what that has cost.
pub fn carry(before: Option<&Run>, run: &mut Run) {
    let before = before.filter(|before| run.resumed && before.session_id == run.session_id);
    run.cost_before_usd = before.and_then(|before| before.session_cost_usd.or(before.cost_before_usd));
}

fn spent(record: &Record) -> f64 {
    record.spent_usd.unwrap_or_default()
}

/// Why no further run at the issue is paid for.
pub fn issue_is_spent(config: &Config, record: &Record) -> Option<String> {
    let all = config.budget.per_issue_usd.filter(|all| spent(record) >= *all)?;
    Some(format!("its budget of ${all:.2} is spent: ${:.2}", spent(record)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Issue;

    fn said(total: f64, cost_is_cumulative: bool) -> Final {
        Final { total_cost_usd: Some(total), cost_is_cumulative, ..Final::default() }
    }

    #[test]
    fn the_smallest_cap_counts() {
        let cases = [
            ("{}", 0.0, None),
            (r#"{"budget":{"perRunUsd":2}}"#, 9.0, Some(2.0)),
            (r#"{"budget":{"perRunUsd":2},"agents":{"claude":{"maxCostUsd":1.5}}}"#, 0.0, Some(1.5)),
            (r#"{"budget":{"perRunUsd":2,"perIssueUsd":5}}"#, 4.0, Some(1.0)),
            (r#"{"budget":{"perIssueUsd":5}}"#, 6.0, Some(0.0)),
            (r#"{"agents":{"other":{"command":["x"],"maxCostUsd":1}}}"#, 0.0, None),
        ];
        for (config, spent, expected) in cases {
            let mut record = Record::new("o/r", 1, Issue::default());
            record.spent_usd = Some(spent);
            assert_eq!(cap(&Config::parse(config).unwrap(), &record, "claude"), expected, "{config}");
        }
    }

    #[test]
    fn a_resumed_session_counts_only_what_was_added() {
        let first = said(1.0, true);
        let mut run = Run { session_id: Some("s".into()), ..Run::default() };
        note(&mut run, &first);
        assert_eq!((run.cost_usd, run.session_cost_usd), (Some(1.0), Some(1.0)));
        let next = |before: &Run| {
            let mut run = Run { session_id: Some("s".into()), resumed: true, ..Run::default() };
            carry(Some(before), &mut run);
            run
        };
        // One that was killed says nothing; the one after it counts for both.
        let killed = next(&run);
        assert_eq!((killed.cost_usd, killed.cost_before_usd), (None, Some(1.0)));
        let mut third = next(&killed);
        note(&mut third, &said(1.75, true));
        assert_eq!((third.cost_usd, third.session_cost_usd), (Some(0.75), Some(1.75)));
        // A version that counts each run by itself.
        let mut fourth = next(&third);
        note(&mut fourth, &said(0.5, false));
        assert_eq!((fourth.cost_usd, fourth.session_cost_usd), (Some(0.5), Some(2.25)));
        // Another session begins at nothing.
        let mut other = Run { session_id: Some("t".into()), ..Run::default() };
        carry(Some(&fourth), &mut other);
        note(&mut other, &said(0.25, true));
        assert_eq!(other.cost_usd, Some(0.25));
    }

    #[test]
    fn a_run_is_told_from_its_session_where_it_is_capped() {
        let config = Config::parse(r#"{"budget":{"perRunUsd":0.8}}"#).unwrap();
        let mut record = Record::new("o/r", 1, Issue::default());
        assert!(!exceeded(&config, &record, Some(&said(99.0, true)), Some(99.0)));
        record.run = Some(Run { cost_before_usd: Some(1.0), ..Run::default() });
        let cases = [
            (said(1.75, true), false),
            (said(1.85, true), true),
            (said(0.75, false), false),
            (said(0.85, false), true),
        ];
        for (last, expected) in cases {
            assert_eq!(exceeded(&config, &record, Some(&last), None), expected, "{last:?}");
        }
        assert!(!exceeded(&config, &record, None, Some(0.75)));
        assert!(exceeded(&config, &record, None, Some(0.85)), "said while it works");
        assert_eq!(for_client(&config, &record), Some(1.8));
        assert_eq!(for_client(&Config::default(), &record), None);
        assert!(!exceeded(&Config::default(), &record, Some(&said(99.0, true)), None));
    }

    #[test]
    fn an_issue_has_a_budget_over_all_runs() {
        let config = Config::parse(r#"{"budget":{"perIssueUsd":5}}"#).unwrap();
        let mut record = Record::new("o/r", 1, Issue::default());
        assert_eq!(issue_is_spent(&config, &record), None);
        record.spent_usd = Some(5.25);
        assert_eq!(issue_is_spent(&config, &record).unwrap(), "its budget of $5.00 is spent: $5.25");
        assert_eq!(issue_is_spent(&Config::default(), &record), None);
    }
}
