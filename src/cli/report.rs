//! `cq-report`: what became of the issues.

use clap::{Parser, ValueEnum};

use super::{Arguments, Common, Page, arguments_of};
use crate::error::{Result, Tally};
use crate::session::Session;
use crate::view::report;

/// Report what became of the issues: attempts, times, checks and costs, one by one or in groups
///
/// Issues in flight and those in the archive count; how attempts ended is read from the event feed. The success rate is
/// the share of merged issues among those merged or failed. The first-pass rate is the share of issues whose first
/// attempt came to a pull request, among those whose first attempt is over; a run that ended at a usage limit, a refused
/// login or a question is no attempt. Medians and 90th percentiles are interpolated between the nearest values. An issue
/// belongs to the week (ISO 8601, UTC) of its last change of status, and to each of its labels.
#[derive(Debug, Parser)]
#[command(name = "cq-report", version)]
pub struct Report {
    /// Totals and rates of groups, and of all together, instead of issues
    #[arg(long, value_name = "WHAT", value_enum)]
    by: Option<ByName>,
    /// Only claims whose status has changed since: a time (2026-01-31T09:30:00Z) or a span (90s, 15m, 2h, 1d)
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// What issues are grouped by.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ByName {
    /// The labels, each
    Label,
    /// The agent profile of the last run
    Agent,
    /// The model of the last run
    Model,
    /// The week of the last change of status
    Week,
}

pub(super) const PAGE: Page = Page {
    name: "cq-report",
    arguments: arguments_of::<Report>,
    reads: "state: records, archive, event feed",
    writes: "an issue a line; with --by a group a line, then the total",
    examples: &[
        ("cq-report --since 7d", "what the last week's issues took and cost"),
        ("cq-report --by agent", "success rate and cost per merged pull request of each agent"),
        ("cq-report --by week --format csv > weeks.csv", "the same by week, for a spreadsheet"),
    ],
    variables: &[],
};

impl Arguments for Report {
    const PAGE: &'static Page = &PAGE;

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(&self, session: &Session) -> Result<Tally> {
        let by = self.by.map(|by| match by {
            ByName::Label => report::By::Label,
            ByName::Agent => report::By::Agent,
            ByName::Model => report::By::Model,
            ByName::Week => report::By::Week,
        });
        report::run(session, by, self.since.as_deref())
    }
}
