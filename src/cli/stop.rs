//! `cq-stop`: one sentinel every command honours.

use clap::{ArgGroup, Parser};

use super::{Arguments, Common, Page, arguments_of};
use crate::environment::UsedBy;
use crate::error::{Result, Tally};
use crate::session::Session;
use crate::state::stop::Mode;
use crate::upkeep::stop;

/// Stop everything, or go on
///
/// While a stop is in force nothing is claimed, started, checked, pushed or opened: the commands that would do it say
/// so and end with 75. cq-monitor still ends what has lost its supervisor.
#[derive(Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
#[command(name = "cq-stop", version, group = ArgGroup::new("what").required(true))]
pub struct Stop {
    /// Start nothing new; running agents finish
    #[arg(long, group = "what")]
    drain: bool,
    /// Start nothing new, end the running agents, and return when they have; their work stays in their workspaces
    #[arg(long, group = "what")]
    abort: bool,
    /// Lift the stop
    #[arg(long, group = "what")]
    thaw: bool,
    /// Why, for whoever meets the stop
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    /// Say what would be stopped, and stop nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    common: Common,
}

pub(super) const PAGE: Page = Page {
    name: "cq-stop",
    arguments: arguments_of::<Stop>,
    reads: "flags",
    writes: "what it stopped",
    examples: &[
        ("cq-stop --drain --reason 'release day'", "let running agents finish, start no more"),
        ("cq-stop --abort", "end every agent now"),
        ("cq-stop --thaw", "go on"),
    ],
    variables: &[UsedBy::GitHub],
};

impl Arguments for Stop {
    const PAGE: &'static Page = &PAGE;
    const DEFIES_CONFIGURATION: bool = true;

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(&self, session: &Session) -> Result<Tally> {
        let mode = match (self.drain, self.abort) {
            (true, _) => Some(Mode::Drain),
            (_, true) => Some(Mode::Abort),
            _ => None,
        };
        stop::run(session, mode, &self.reason, self.dry_run)
    }
}
