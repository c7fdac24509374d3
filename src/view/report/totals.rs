//! Totals and rates of issues, together and in groups. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::issue::{Issue, RELEASED};
use crate::record::Status;

/// The group of issues that have no label, agent or model.
const NONE: &str = "(none)";
/// The name of what is added up over all groups.
const TOTAL: &str = "total";

/// What issues are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// Each of their labels.
    Label,
    /// The profile of the agent that worked last.
    Agent,
    /// Its model.
    Model,
    /// The week of the last change of status.
    Week,
}

impl By {
    /// The groups that an issue belongs to.
    fn groups(self, issue: &Issue) -> Vec<&str> {
        match self {
            Self::Label if issue.labels.is_empty() => vec![NONE],
            Self::Label => issue.labels.iter().map(String::as_str).collect(),
            Self::Agent => vec![issue.agent.as_deref().unwrap_or(NONE)],
            Self::Model => vec![issue.model.as_deref().unwrap_or(NONE)],
            Self::Week => vec![&issue.week],
        }
    }
}

/// Sums over issues, as they come.
#[derive(Debug, Default)]
struct Sums {
    issues: u64,
    merged: u64,
    failed: u64,
    released: u64,
    attempts: u64,
    runs: u64,
    gates_passed: u64,
    gates_failed: u64,
    first_passes: u64,
    first_decided: u64,
    cost_usd: f64,
    to_pull_request: Vec<u32>,
    to_merge: Vec<u32>,
    in_progress: Vec<u32>,
}

/// Totals, and those of each group.
#[derive(Debug)]
pub(super) struct Totals {
    by: Option<By>,
    all: Sums,
    groups: BTreeMap<String, Sums>,
}

/// What a group of issues comes to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Group {
    /// `label`, `agent`, `model`, `week`; absent for the total.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) by: Option<By>,
    #[serde(rename = "group")]
    pub(super) name: String,
    pub(super) issues: u64,
    pub(super) merged: u64,
    pub(super) failed: u64,
    /// Given back before anything came of them.
    pub(super) released: u64,
    /// Neither merged nor failed nor released.
    pub(super) open: u64,
    pub(super) attempts: u64,
    pub(super) runs: u64,
    pub(super) gates_passed: u64,
    pub(super) gates_failed: u64,
    /// Merged of merged and failed.
    pub(super) success_rate: Option<f64>,
    /// First attempts that came to a pull request, of those that are over.
    pub(super) first_pass_rate: Option<f64>,
    pub(super) to_pull_request_seconds: Option<Spread>,
    pub(super) to_merge_seconds: Option<Spread>,
    pub(super) in_progress_seconds: Option<Spread>,
    pub(super) cost_usd: f64,
    pub(super) cost_per_merged_usd: Option<f64>,
}

/// How durations spread.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) p90: f64,
}

impl Totals {
    pub(super) fn new(by: Option<By>) -> Self {
        Self { by, all: Sums::default(), groups: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, issue: &Issue) {
        self.all.add(issue);
        for name in self.by.map(|by| by.groups(issue)).into_iter().flatten() {
            match self.groups.get_mut(name) {
                Some(group) => group.add(issue),
                None => self.groups.entry(name.to_owned()).or_default().add(issue),
            }
        }
    }

    /// The groups in the order of their names, then all together.
    pub(super) fn groups(&self) -> impl Iterator<Item = Group> {
        let groups = self.groups.iter().map(|(name, sums)| sums.group(self.by, name));
        groups.chain(std::iter::once(self.all()))
    }

    /// All together.
    pub(super) fn all(&self) -> Group {
        self.all.group(None, TOTAL)
    }
}

impl Sums {
    fn add(&mut self, issue: &Issue) {
        self.issues += 1;
        self.merged += u64::from(issue.status == Status::Completed.name());
        self.failed += u64::from(issue.status == Status::Failed.name());
        self.released += u64::from(issue.status == RELEASED);
        self.attempts += u64::from(issue.attempts);
        self.runs += u64::from(issue.runs);
        self.gates_passed += u64::from(issue.gates.passed);
        self.gates_failed += u64::from(issue.gates.failed);
        self.first_decided += u64::from(issue.first_pass.is_some());
        self.first_passes += u64::from(issue.first_pass == Some(true));
        self.cost_usd += issue.cost_usd.unwrap_or_default();
        let note = |seconds: Option<i64>, all: &mut Vec<u32>| {
            all.extend(seconds.map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX)));
        };
        note(issue.to_pull_request_seconds, &mut self.to_pull_request);
        note(issue.to_merge_seconds, &mut self.to_merge);
        note(issue.seconds.get(Status::InProgress.name()).copied(), &mut self.in_progress);
    }

    fn group(&self, by: Option<By>, name: &str) -> Group {
        Group {
            by,
            name: name.to_owned(),
            issues: self.issues,
            merged: self.merged,
            failed: self.failed,
            released: self.released,
            open: self.issues - self.merged - self.failed - self.released,
            attempts: self.attempts,
            runs: self.runs,
            gates_passed: self.gates_passed,
            gates_failed: self.gates_failed,
            success_rate: share(self.merged, self.merged + self.failed),
            first_pass_rate: share(self.first_passes, self.first_decided),
            to_pull_request_seconds: spread(&self.to_pull_request),
            to_merge_seconds: spread(&self.to_merge),
            in_progress_seconds: spread(&self.in_progress),
            cost_usd: cents(self.cost_usd),
            cost_per_merged_usd: (self.merged > 0).then(|| cents(self.cost_usd / count(self.merged))),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "nobody has 2^53 issues")]
fn count(number: u64) -> f64 {
    number as f64
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| (count(part) / count(whole) * 1e4).round() / 1e4)
}

/// To a hundredth of a cent: what sums of fractions add beyond it is noise.
pub(super) fn cents(dollars: f64) -> f64 {
    (dollars * 1e4).round() / 1e4
}

/// Median and 90th percentile.
fn spread(values: &[u32]) -> Option<Spread> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    Some(Spread { median: percentile(&sorted, 0.5)?, p90: percentile(&sorted, 0.9)? })
}

/// Interpolated between the nearest of some sorted values; none of none.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place in a list"
)]
fn percentile(sorted: &[u32], share: f64) -> Option<f64> {
    let place = share * (sorted.len().checked_sub(1)? as f64);
    let (below, above) = (*sorted.get(place.floor() as usize)?, *sorted.get(place.ceil() as usize)?);
    let value = f64::from(below) + (f64::from(above) - f64::from(below)) * place.fract();
    Some((value * 10.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_interpolated() {
        let cases: [(&[u32], f64, f64); 4] = [
            (&[7], 7.0, 7.0),
            (&[10, 20], 15.0, 19.0),
            (&[30, 10, 20], 20.0, 28.0),
            (&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], 6.0, 10.0),
        ];
        for (values, median, p90) in cases {
            assert_eq!(spread(values), Some(Spread { median, p90 }), "{values:?}");
        }
        assert_eq!(spread(&[]), None);
    }

    #[test]
    fn rates_of_nothing_are_none() {
        assert_eq!((share(0, 0), share(0, 3), share(1, 3)), (None, Some(0.0), Some(0.3333)));
        let all = Totals::new(None).all();
        assert_eq!((all.issues, all.success_rate, all.cost_per_merged_usd), (0, None, None));
    }
}
