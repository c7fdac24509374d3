//! `cq-spawn`: start agents.

use clap::Parser;

use super::{Arguments, Common, Page, arguments_of};
use crate::environment::UsedBy;
use crate::error::{Result, Tally};
use crate::input::{self, IssueNumber};
use crate::pipeline::spawn;
use crate::session::Session;

/// Start an agent for each claimed record, in a worktree of its own
///
/// Returns when the agents run; with --wait, when they have ended.
#[derive(Debug, Parser)]
#[command(name = "cq-spawn", version)]
pub struct Spawn {
    /// Start these claimed issues; without any, records are read from stdin
    #[arg(value_name = "ISSUE")]
    issues: Vec<IssueNumber>,
    /// Wait for the agents, and write each record as its agent ends
    #[arg(long)]
    wait: bool,
    /// The agent profile to use, instead of the one that the labels or the configuration name
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// Say what would be started, and start nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    common: Common,
}

pub(super) const PAGE: Page = Page {
    name: "cq-spawn",
    arguments: arguments_of::<Spawn>,
    reads: "claimed records",
    writes: "records in-progress; with --wait each record as it ends",
    examples: &[
        ("cq-fetch | cq-claim | cq-spawn", "start work, and return at once"),
        ("cq-fetch | cq-claim | cq-spawn --wait | cq-gate | cq-pr", "the whole job in the foreground"),
        ("cq-monitor | cq-spawn", "start again what is due"),
    ],
    variables: &[UsedBy::GitHub, UsedBy::Agents],
};

impl Arguments for Spawn {
    const PAGE: &'static Page = &PAGE;

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(&self, session: &Session) -> Result<Tally> {
        let named = !self.issues.is_empty();
        let wish = spawn::Wish { wait: self.wait, agent: self.agent.clone(), dry_run: self.dry_run, named };
        if self.issues.is_empty() {
            spawn::run(session, &wish, input::stdin_or_usage()?)
        } else {
            let numbers = self.issues.iter().map(|issue| issue.0);
            spawn::run(session, &wish, numbers.map(|number| session.in_flight(number)))
        }
    }
}
