//! What became of one issue, out of everything that is known of it. Pure.

use std::collections::BTreeMap;

use chrono::{Datelike, TimeDelta};
use serde::Serialize;

use super::history::{End, Life, Step};
use crate::clock::Timestamp;
use crate::record::retry::{self, Rule};
use crate::record::{GateVerdict, Outcome, Status};

/// An event follows its change within this time: whoever writes both may have waited for the lock.
const LATE: TimeDelta = TimeDelta::seconds(60);
/// A change is dated to the second, an event to the millisecond.
const EARLY: TimeDelta = TimeDelta::seconds(1);
/// The status of a claim that was given back, which no record in flight has.
pub(super) const RELEASED: &str = "released";

/// What became of one issue.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Issue {
    #[serde(rename = "issue")]
    pub(super) number: u64,
    pub(super) repo: String,
    /// Untrusted text, as all of these.
    pub(super) title: String,
    pub(super) url: String,
    pub(super) labels: Vec<String>,
    /// Where it stands; `released` where its last claim was given back.
    pub(super) status: &'static str,
    /// The agent profile of its last run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) agent: Option<String>,
    /// The model of its last run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) model: Option<String>,
    /// The week of its last change of status, ISO 8601.
    pub(super) week: String,
    pub(super) claimed_at: Timestamp,
    pub(super) changed_at: Timestamp,
    /// Attempts that were begun.
    pub(super) attempts: u32,
    /// Agents that were started: attempts, and runs that did not count as one.
    pub(super) runs: u32,
    /// How attempts ended that led to no pull request, and how often.
    pub(super) setbacks: BTreeMap<&'static str, u32>,
    /// Seconds in each status; where it stands counts until now, unless that is its end.
    pub(super) seconds: BTreeMap<&'static str, i64>,
    pub(super) gates: Gates,
    /// US dollars that its agents report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cost_usd: Option<f64>,
    /// The pull request's page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pull_request: Option<String>,
    /// Whether its first attempt came to a pull request; absent while that is not decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) first_pass: Option<bool>,
    /// From the claim to the first pull request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) to_pull_request_seconds: Option<i64>,
    /// From the claim to the merge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) to_merge_seconds: Option<i64>,
}

/// What cq's own checks said.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Gates {
    /// Trees that went on to a pull request.
    pub(super) passed: u32,
    /// Trees that were sent back.
    pub(super) failed: u32,
    /// The last tree's checks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) last: Vec<Check>,
}

/// One check of the last tree.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Check {
    pub(super) name: String,
    pub(super) verdict: GateVerdict,
    pub(super) seconds: f64,
}

/// Without those that went on in another.
fn each_once(lives: Vec<Life>) -> Vec<Life> {
    let mut left: Vec<Life> = Vec::with_capacity(lives.len());
    for life in lives {
        left.retain(|one| !life.goes_on_from(one));
        if !left.iter().any(|one| one.goes_on_from(&life)) {
            left.push(life);
        }
    }
    left
}

/// Tells what became of an issue: `lives` are its claims, `ends` what the feed says of it in the feed's order. None
/// where nothing was ever claimed.
pub(super) fn of(number: u64, mut lives: Vec<Life>, ends: &[End], now: Timestamp) -> Option<Issue> {
    lives.retain(|life| !life.history.is_empty());
    lives.sort_by_key(|life| (life.history.first().map(|step| step.at), !life.archived));
    let lives = each_once(lives);
    let claimed_at = lives.first()?.history.first()?.at;
    let last = lives.last()?.clone();
    let changed_at = last.changed_at()?;
    let mut told = Told::default();
    let mut ends = Ends { ends };
    for life in &lives {
        told.add(life, &mut ends, now);
    }
    let iso = changed_at.iso_week();
    let costs: Vec<f64> = lives.iter().filter_map(Life::cost_usd).collect();
    let is_final = last.status.is_some_and(Status::is_final);
    let run = lives.iter().rev().find_map(|life| life.run.as_ref());
    let checks = last.gates.iter().flat_map(|gates| &gates.checks);
    let check = |check: &super::history::Check| Check {
        name: check.name.clone(),
        verdict: check.verdict,
        seconds: check.seconds,
    };
    told.gates.last = checks.map(check).collect();
    Some(Issue {
        number,
        status: if last.archived && !is_final {
            RELEASED
        } else {
            last.status.map_or("unclaimed", Status::name)
        },
        agent: run.and_then(|run| run.agent.clone()),
        model: run.and_then(|run| run.model.clone()),
        week: format!("{:04}-W{:02}", iso.year(), iso.week()),
        claimed_at,
        changed_at,
        attempts: told.attempts,
        runs: told.runs,
        first_pass: told.first_pass(last.status),
        setbacks: told.setbacks,
        seconds: told.seconds,
        gates: told.gates,
        cost_usd: (!costs.is_empty()).then(|| costs.iter().sum()),
        pull_request: lives
            .iter()
            .rev()
            .find_map(|life| life.pull_request.as_ref())
            .map(|pull| pull.url.clone()),
        to_pull_request_seconds: told.to_pull_request,
        to_merge_seconds: told.to_merge,
        repo: last.repo,
        title: last.issue.title,
        url: last.issue.url,
        labels: last.issue.labels,
    })
}

/// What the claims of an issue add up to.
#[derive(Debug, Default)]
struct Told {
    runs: u32,
    attempts: u32,
    /// Attempts before the first pull request.
    until_first: Option<u32>,
    setbacks: BTreeMap<&'static str, u32>,
    seconds: BTreeMap<&'static str, i64>,
    gates: Gates,
    to_pull_request: Option<i64>,
    to_merge: Option<i64>,
}

impl Told {
    fn add(&mut self, life: &Life, ends: &mut Ends<'_>, now: Timestamp) {
        let Some(began) = life.history.first().map(|step| step.at) else { return };
        for (at, step) in life.history.iter().enumerate() {
            let until = match life.history.get(at + 1) {
                Some(next) => next.at,
                None if step.to.is_final() || life.archived => step.at,
                None => now,
            };
            // A clock may have been set back.
            *self.seconds.entry(step.to.name()).or_default() += (until - step.at).num_seconds().max(0);
            let is_last = at + 1 == life.history.len();
            self.step(step, ends.of(step).or(life.outcome.filter(|_| is_last)));
            let since_claim = (step.at - began).num_seconds().max(0);
            match step.to {
                Status::PrReady => {
                    self.until_first.get_or_insert(self.attempts);
                    self.to_pull_request.get_or_insert(since_claim);
                }
                Status::Completed => self.to_merge = Some(since_claim),
                _ => {}
            }
        }
    }

    fn step(&mut self, step: &Step, outcome: Option<Outcome>) {
        use Status::{Failed, InProgress, PrReady, Queued, Testing};
        match (step.from, step.to) {
            (_, InProgress) => {
                self.runs += 1;
                self.attempts += 1;
            }
            (Some(Testing), PrReady) => self.gates.passed += 1,
            (Some(from @ (InProgress | Testing)), Queued | Failed) => {
                // Nobody but cq-gate sends a tree back for what its checks said, whether the feed knows it or not; and only
                // what they could not judge is kept back by it unjudged.
                let is_red = step.by == "cq-gate" || outcome == Some(Outcome::GateFailed);
                let is_red = from == Testing && is_red && outcome != Some(Outcome::Unevaluated);
                self.gates.failed += u32::from(is_red);
                let outcome = if is_red { Some(Outcome::GateFailed) } else { outcome };
                *self.setbacks.entry(outcome.map_or("unknown", Outcome::name)).or_default() += 1;
                let counts =
                    outcome.is_none_or(|outcome| !matches!(retry::rule(outcome), Rule::Rest | Rule::Ask));
                self.attempts = self.attempts.saturating_sub(u32::from(!counts && from == InProgress));
            }
            _ => {}
        }
    }

    /// Decided by the first pull request, or by an attempt that ended without one.
    fn first_pass(&self, status: Option<Status>) -> Option<bool> {
        match self.until_first {
            Some(attempts) => Some(attempts <= 1),
            None if self.attempts == 0 => None,
            None => {
                let under_way = matches!(status, Some(Status::InProgress | Status::Testing));
                (self.attempts > 1 || !under_way).then_some(false)
            }
        }
    }
}

/// What the feed tells, taken step by step.
struct Ends<'e> {
    ends: &'e [End],
}

impl Ends<'_> {
    /// The outcome of a step. What came before it and was not taken is of a step that no record has any more.
    fn of(&mut self, step: &Step) -> Option<Outcome> {
        let is_this = |end: &End| {
            Some(end.from) == step.from
                && end.to == step.to
                && end.at >= step.at - EARLY
                && end.at <= step.at + LATE
        };
        let at = self.ends.iter().position(is_this)?;
        let outcome = self.ends[at].outcome;
        self.ends = &self.ends[at + 1..];
        Some(outcome)
    }
}

#[cfg(test)]
mod tests;
