//! `cq-status`: what runs.

use clap::Parser;

use super::{Arguments, Common, Page, arguments_of};
use crate::environment::UsedBy;
use crate::error::{Result, Tally};
use crate::input::IssueNumber;
use crate::session::Session;
use crate::view::{conflicts, status};

/// Show what runs, for how long, at what cost
#[derive(Debug, Parser)]
#[command(name = "cq-status", version)]
pub struct Status {
    /// Only these instances or issues
    #[arg(value_name = "INSTANCE|ISSUE")]
    only: Vec<String>,
    /// Say why an issue is not running
    #[arg(long, value_name = "ISSUE", conflicts_with = "watch")]
    explain: Option<IssueNumber>,
    /// Show which branches in work would conflict with each other or with the base as it was last fetched, in which
    /// files, and the order of merging with the fewest conflicts
    #[arg(long, conflicts_with_all = ["watch", "explain", "only"])]
    conflicts: bool,
    /// Show it again every so many seconds, until interrupted
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2")]
    watch: Option<u32>,
    #[command(flatten)]
    common: Common,
}

pub(super) const PAGE: Page = Page {
    name: "cq-status",
    arguments: arguments_of::<Status>,
    reads: "state",
    writes: "a table or records",
    examples: &[
        ("cq-status", "what runs, for how long, at what cost"),
        ("cq-status --explain 123", "why issue 123 is not running"),
        ("cq-status --conflicts", "which branches would conflict, and what to merge first"),
        ("cq-status --format jsonl | jq .pull_request.url", "the pull requests"),
    ],
    variables: &[UsedBy::GitHub],
};

impl Arguments for Status {
    const PAGE: &'static Page = &PAGE;

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(&self, session: &Session) -> Result<Tally> {
        if self.conflicts {
            return conflicts::run(session);
        }
        match self.explain {
            Some(issue) => status::explain(session, issue.0),
            None => status::run(session, &self.only, self.watch),
        }
    }
}
