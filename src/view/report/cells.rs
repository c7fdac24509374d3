//! The columns of a report: in words for people, in plain numbers for spreadsheets.

use super::issue::Issue;
use super::totals::{By, Group, Spread, cents};
use crate::clock::{span, stamp};
use crate::output::Format;
use crate::record::Status;
use crate::sanitize;

const ISSUES: &[&str] = &[
    "ISSUE", "STATUS", "TRIES", "AGENT", "QUEUED", "AT WORK", "TESTING", "REVIEW", "GATES", "COST", "TITLE",
];
const GROUPS: &[&str] = &[
    "GROUP",
    "ISSUES",
    "MERGED",
    "FAILED",
    "OPEN",
    "TRIES",
    "SUCCESS",
    "FIRST PASS",
    "TO PR",
    "TO MERGE",
    "COST",
    "PER MERGED",
];
const ISSUES_CSV: &[&str] = &[
    "issue",
    "repo",
    "title",
    "url",
    "labels",
    "status",
    "agent",
    "model",
    "week",
    "claimed_at",
    "changed_at",
    "attempts",
    "runs",
    "setbacks",
    "queued_seconds",
    "in_progress_seconds",
    "testing_seconds",
    "pr_ready_seconds",
    "failed_seconds",
    "gates_passed",
    "gates_failed",
    "cost_usd",
    "pull_request",
    "first_pass",
    "to_pull_request_seconds",
    "to_merge_seconds",
];
const GROUPS_CSV: &[&str] = &[
    "by",
    "group",
    "issues",
    "merged",
    "failed",
    "released",
    "open",
    "attempts",
    "runs",
    "gates_passed",
    "gates_failed",
    "success_rate",
    "first_pass_rate",
    "to_pull_request_median_seconds",
    "to_pull_request_p90_seconds",
    "to_merge_median_seconds",
    "to_merge_p90_seconds",
    "in_progress_median_seconds",
    "in_progress_p90_seconds",
    "cost_usd",
    "cost_per_merged_usd",
];

/// The columns' names.
pub(super) fn columns(by: Option<By>, format: Format) -> &'static [&'static str] {
    match (by, format) {
        (None, Format::Csv) => ISSUES_CSV,
        (None, _) => ISSUES,
        (Some(_), Format::Csv) => GROUPS_CSV,
        (Some(_), _) => GROUPS,
    }
}

/// An issue's cells.
pub(super) fn of_issue(issue: &Issue, format: Format) -> Vec<String> {
    if format == Format::Csv {
        return plain_issue(issue);
    }
    let time = |status: Status| {
        issue.seconds.get(status.name()).map_or_else(|| "-".to_owned(), |seconds| span(*seconds))
    };
    let gates = match (issue.gates.passed, issue.gates.failed) {
        (0, 0) => "-".to_owned(),
        (passed, 0) => format!("{passed} green"),
        (passed, failed) => format!("{passed} green, {failed} red"),
    };
    vec![
        format!("#{}", issue.number),
        issue.status.to_owned(),
        issue.attempts.to_string(),
        issue.agent.clone().unwrap_or_else(|| "-".to_owned()),
        time(Status::Queued),
        time(Status::InProgress),
        time(Status::Testing),
        time(Status::PrReady),
        gates,
        dollars(issue.cost_usd),
        sanitize::clip(&issue.title, 50).into_owned(),
    ]
}

fn plain_issue(issue: &Issue) -> Vec<String> {
    let time = |status: Status| text(issue.seconds.get(status.name()));
    let setbacks = issue.setbacks.iter().map(|(name, times)| format!("{name} {times}"));
    let first_pass = issue.first_pass.map(|first| if first { "yes" } else { "no" });
    vec![
        issue.number.to_string(),
        issue.repo.clone(),
        issue.title.clone(),
        issue.url.clone(),
        issue.labels.join("; "),
        issue.status.to_owned(),
        text(issue.agent.as_ref()),
        text(issue.model.as_ref()),
        issue.week.clone(),
        stamp(issue.claimed_at),
        stamp(issue.changed_at),
        issue.attempts.to_string(),
        issue.runs.to_string(),
        setbacks.collect::<Vec<_>>().join("; "),
        time(Status::Queued),
        time(Status::InProgress),
        time(Status::Testing),
        time(Status::PrReady),
        time(Status::Failed),
        issue.gates.passed.to_string(),
        issue.gates.failed.to_string(),
        text(issue.cost_usd.map(cents).as_ref()),
        text(issue.pull_request.as_ref()),
        text(first_pass.as_ref()),
        text(issue.to_pull_request_seconds.as_ref()),
        text(issue.to_merge_seconds.as_ref()),
    ]
}

/// A group's cells.
pub(super) fn of_group(group: &Group, format: Format) -> Vec<String> {
    if format == Format::Csv {
        return plain_group(group);
    }
    vec![
        group.name.clone(),
        group.issues.to_string(),
        group.merged.to_string(),
        group.failed.to_string(),
        group.open.to_string(),
        group.attempts.to_string(),
        percent(group.success_rate),
        percent(group.first_pass_rate),
        spread(group.to_pull_request_seconds),
        spread(group.to_merge_seconds),
        dollars(Some(group.cost_usd)),
        dollars(group.cost_per_merged_usd),
    ]
}

fn plain_group(group: &Group) -> Vec<String> {
    let by = match group.by {
        None => "",
        Some(By::Label) => "label",
        Some(By::Agent) => "agent",
        Some(By::Model) => "model",
        Some(By::Week) => "week",
    };
    let mut cells = vec![by.to_owned(), group.name.clone()];
    let counts = [group.issues, group.merged, group.failed, group.released, group.open];
    cells.extend(counts.iter().map(ToString::to_string));
    let counts = [group.attempts, group.runs, group.gates_passed, group.gates_failed];
    cells.extend(counts.iter().map(ToString::to_string));
    cells.extend([group.success_rate, group.first_pass_rate].map(|rate| text(rate.as_ref())));
    for spread in [group.to_pull_request_seconds, group.to_merge_seconds, group.in_progress_seconds] {
        cells.push(text(spread.map(|spread| spread.median).as_ref()));
        cells.push(text(spread.map(|spread| spread.p90).as_ref()));
    }
    cells.extend([Some(group.cost_usd), group.cost_per_merged_usd].map(|cost| text(cost.as_ref())));
    cells
}

/// The total, in a line for people.
pub(super) fn summary(all: &Group) -> String {
    format!(
        "{} issues: {} merged, {} failed, {} open; success {}, first pass {}; to the pull request {} (median / 90 %), \
         to the merge {}; {} in all, {} for each that was merged",
        all.issues,
        all.merged,
        all.failed,
        all.open,
        percent(all.success_rate),
        percent(all.first_pass_rate),
        spread(all.to_pull_request_seconds),
        spread(all.to_merge_seconds),
        dollars(Some(all.cost_usd)),
        dollars(all.cost_per_merged_usd)
    )
}

fn text<T: ToString>(value: Option<&T>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

fn dollars(cost: Option<f64>) -> String {
    cost.map_or_else(|| "-".to_owned(), |cost| format!("${cost:.2}"))
}

fn percent(rate: Option<f64>) -> String {
    rate.map_or_else(|| "-".to_owned(), |rate| format!("{:.0} %", rate * 100.0))
}

fn spread(spread: Option<Spread>) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "seconds")]
    let time = |seconds: f64| span(seconds.round() as i64);
    spread.map_or_else(|| "-".to_owned(), |spread| format!("{} / {}", time(spread.median), time(spread.p90)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A column without a cell, or a cell without a column, would shift all that follow.
    #[test]
    fn each_column_has_its_cell() {
        let life = r#"{"cq":1,"repo":"o/r","number":7,"issue":{"title":"t"},"status":"queued",
            "history":[{"at":"2026-01-01T00:00:00Z","to":"queued","by":"cq-claim"}]}"#;
        let life = super::super::history::Life::from_json(life).unwrap();
        let now = "2026-01-01T01:00:00Z".parse().unwrap();
        let issue = super::super::issue::of(7, vec![life], &[], now).unwrap();
        let mut totals = super::super::totals::Totals::new(Some(By::Label));
        totals.add(&issue);
        for format in [Format::Table, Format::Csv] {
            assert_eq!(columns(None, format).len(), of_issue(&issue, format).len());
            for group in totals.groups() {
                assert_eq!(columns(Some(By::Label), format).len(), of_group(&group, format).len());
            }
        }
    }
}
