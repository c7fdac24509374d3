//! `cq-monitor`: one tick.

use clap::Parser;

use super::{Arguments, Common, Page, arguments_of};
use crate::environment::UsedBy;
use crate::error::{Result, Tally};
use crate::session::Session;
use crate::upkeep::monitor;

/// Find the dead and the due: one tick
///
/// Ends what lost its supervisor, decides what follows, and writes the records that need an agent again. With a token
/// it also shows on GitHub what is known of each issue: claude-in-progress, claude-blocked, the assignee.
#[derive(Debug, Parser)]
#[command(name = "cq-monitor", version)]
pub struct Monitor {
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    common: Common,
}

pub(super) const PAGE: Page = Page {
    name: "cq-monitor",
    arguments: arguments_of::<Monitor>,
    reads: "state",
    writes: "records due for an agent again",
    examples: &[
        ("cq-monitor | cq-spawn", "start again what died or is due"),
        ("* * * * * cd /srv/widgets && cq-monitor | cq-spawn", "the same from cron, every minute"),
    ],
    variables: &[UsedBy::GitHub, UsedBy::Agents],
};

impl Arguments for Monitor {
    const PAGE: &'static Page = &PAGE;

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(&self, session: &Session) -> Result<Tally> {
        monitor::run(session, self.dry_run)
    }
}
