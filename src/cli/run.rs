//! `cq-run`: the orchestrator.

use clap::Parser;

use super::{Arguments, Common, Page, arguments_of};
use crate::environment::UsedBy;
use crate::error::{Result, Tally};
use crate::session::Session;
use crate::upkeep::run;

/// Run the other commands, again and again: what is due, what is new, what became of pull requests, what can go
///
/// Pipelines of real commands: cq-monitor | cq-spawn and cq-fetch | cq-claim | cq-spawn every interval, cq-pr --sync |
/// cq-spawn every second one, cq-cleanup every tenth. None overlaps with itself. SIGTERM lets those that run end (a
/// second one ends them at once); agents go on in any case, and the next cq-run finds them. While a stop or a rest is
/// in force only what starts nothing is run. A pipeline that ends with 75, 77 or 78 is run less and less often, at
/// least every 15 minutes, and says so once.
#[derive(Debug, Parser)]
#[expect(clippy::struct_field_names, reason = "--dry-run is called so everywhere")]
#[command(name = "cq-run", version)]
pub struct Run {
    /// Seconds between two looks at what is due and what is new [default: run.intervalSeconds, else 60]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    interval: Option<f64>,
    /// Each pipeline once, in order, for cron; the exit status is the worst of all
    #[arg(long, conflicts_with = "interval")]
    once: bool,
    /// Say what would be run, and run nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    common: Common,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 86400.0 => Ok(seconds),
        _ => Err("more than 0 and at most a day (86400)".to_owned()),
    }
}

pub(super) const PAGE: Page = Page {
    name: "cq-run",
    arguments: arguments_of::<Run>,
    reads: "configuration",
    writes: "one line per pipeline that ended: its commands' exit statuses, how many records it wrote, when it is next due",
    examples: &[
        ("cq-run", "everything, until SIGTERM"),
        ("cq-run --once", "everything once, for cron and systemd timers"),
        ("cq-run --format jsonl | jq -r 'select(.records > 0).pipeline'", "watch what happens"),
    ],
    variables: &[UsedBy::GitHub, UsedBy::Agents, UsedBy::Orchestrator],
};

impl Arguments for Run {
    const PAGE: &'static Page = &PAGE;

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(&self, session: &Session) -> Result<Tally> {
        run::run(session, &run::Wish { interval: self.interval, once: self.once, dry_run: self.dry_run })
    }
}
