//! `cq-logs`: all logs, merged by time.

use clap::Parser;

use super::{Arguments, Common, Page, arguments_of};
use crate::error::{Result, Tally};
use crate::session::Session;
use crate::view::logs;

/// Show the instances' logs, merged by time
#[derive(Debug, Parser)]
#[command(name = "cq-logs", version)]
pub struct Logs {
    /// Only these instances, such as claude-instance-1
    #[arg(value_name = "INSTANCE")]
    instances: Vec<String>,
    /// Go on as the logs grow, until interrupted
    #[arg(short, long)]
    follow: bool,
    /// The agents' own output, unrendered and unredacted
    #[arg(long, conflicts_with = "follow")]
    raw: bool,
    /// Only what is younger: a time (2026-01-31T09:30:00Z) or a span (90s, 15m, 2h, 1d)
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    #[command(flatten)]
    common: Common,
}

pub(super) const PAGE: Page = Page {
    name: "cq-logs",
    arguments: arguments_of::<Logs>,
    reads: "logs",
    writes: "readable text",
    examples: &[
        ("cq-logs -f", "follow all agents"),
        ("cq-logs --since 15m claude-instance-2", "what one agent did lately"),
    ],
    variables: &[],
};

impl Arguments for Logs {
    const PAGE: &'static Page = &PAGE;
    const DEFIES_CONFIGURATION: bool = true;

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(&self, session: &Session) -> Result<Tally> {
        let wish = logs::Wish {
            instances: self.instances.clone(),
            follow: self.follow,
            raw: self.raw,
            since: self.since.clone(),
        };
        logs::run(session, &wish)
    }
}
