//! Numbers that make no sense.

use super::Config;
use crate::error::{Error, Kind, Result};

impl Config {
    /// Fractions are allowed where nothing or less is not.
    pub(super) fn refuse_odd_numbers(&self) -> Result<()> {
        let positive = [
            ("queue.timeoutMinutes", Some(self.queue.timeout_minutes)),
            ("claude.timeoutMinutes", self.claude.timeout_minutes),
            ("run.intervalSeconds", Some(self.run.interval_seconds)),
            ("run.timeoutMinutes", Some(self.run.timeout_minutes)),
            ("workspace.setupTimeoutMinutes", Some(self.workspace.setup_timeout_minutes)),
            ("limits.cpus", self.limits.cpus),
            ("limits.maxLoadPerCpu", self.limits.max_load_per_cpu),
            ("budget.perRunUsd", self.budget.per_run_usd),
            ("budget.perIssueUsd", self.budget.per_issue_usd),
            ("budget.perDayUsd", self.budget.per_day_usd),
        ];
        let odd = |number: f64| number <= 0.0 || number > 1e9;
        if let Some((key, _)) = positive.into_iter().find(|(_, number)| number.is_some_and(odd)) {
            return Err(Error::new(Kind::Config, format!("'{key}' must be greater than 0")));
        }
        let whole = [
            ("limits.memoryMegabytes", self.limits.memory_megabytes),
            ("limits.processes", self.limits.processes),
            ("claims.leaseMinutes", Some(self.claims.lease_minutes.into())),
            ("queue.maxUnreviewed", self.queue.max_unreviewed.map(u64::from)),
        ];
        if let Some((key, _)) = whole.into_iter().find(|(_, number)| *number == Some(0)) {
            return Err(Error::new(Kind::Config, format!("'{key}' must be greater than 0")));
        }
        if self.queue.stall_minutes < 0.0 {
            return Err(Error::new(Kind::Config, "'queue.stallMinutes' must not be less than 0"));
        }
        Ok(())
    }
}
