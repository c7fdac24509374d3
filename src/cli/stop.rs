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
/// so and end with 75. cq-monitor still ends what has lost its supervisor. A new stop takes the place of the one in
/// force; doing a thing twice is harmless.
#[derive(Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
#[command(name = "cq-stop", version, group = ArgGroup::new("what").required(true))]
pub struct Stop {
    /// Start nothing new, and let no running agent move: their claims are kept, and the time does not count for their
    /// timeouts. A check that runs goes on to its end
    #[arg(long, group = "what")]
    freeze: bool,
    /// Lift any stop: frozen agents go on where they were
    #[arg(long, group = "what")]
    thaw: bool,
    /// Start nothing new; running agents finish
    #[arg(long, group = "what")]
    drain: bool,
    /// Start nothing new and end the running agents; what they did goes to refs/cq/rescue/ISSUE/ATTEMPT, their
    /// workspaces go, their claims are released, and a comment on each issue says so
    #[arg(long, group = "what")]
    abort: bool,
    /// Say what is in force: a stop, or a rest after a usage limit
    #[arg(long, group = "what")]
    status: bool,
    /// With --abort: no comments
    #[arg(long, requires = "abort", conflicts_with_all = ["freeze", "thaw", "drain", "status"])]
    no_comment: bool,
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
        ("cq-stop --freeze", "hold everything where it is"),
        ("cq-stop --abort", "end every agent now, and give their issues back"),
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
        if self.status {
            return stop::status(session);
        }
        let modes = [(self.freeze, Mode::Freeze), (self.drain, Mode::Drain), (self.abort, Mode::Abort)];
        let mode = modes.into_iter().find_map(|(asked, mode)| asked.then_some(mode));
        let (reason, comment) = (self.reason.clone(), !self.no_comment);
        stop::run(session, &stop::Wish { mode, reason, comment, dry_run: self.dry_run })
    }
}
