//! `cq-doctor`: whether everything is as cq needs it.

use clap::Parser;

use super::{Arguments, Common, Page, arguments_of};
use crate::environment::UsedBy;
use crate::error::{Result, Tally};
use crate::session::Session;
use crate::upkeep::doctor;

/// Say what is wrong with the machine, the configuration, the state, the token and the repository, and what to do
///
/// Changes nothing unless it is asked to repair. Ends with 1 if something is an error; warnings leave it at 0.
#[derive(Debug, Parser)]
#[command(name = "cq-doctor", version)]
pub struct Doctor {
    /// Look at the workspaces of these instances only, such as claude-instance-1
    #[arg(value_name = "INSTANCE")]
    instances: Vec<String>,
    /// Mend what needs no person: tell the event feed what it missed, remove what killed commands left
    #[arg(long)]
    repair: bool,
    #[command(flatten)]
    common: Common,
}

pub(super) const PAGE: Page = Page {
    name: "cq-doctor",
    arguments: arguments_of::<Doctor>,
    reads: "flags",
    writes: "findings: the check, ok, warning or error, what was found, what to do",
    examples: &[
        ("cq-doctor", "look at everything"),
        ("cq-doctor --repair", "the same, and mend what can be mended"),
        ("cq-doctor claude-instance-1", "compare a workspace with its record"),
        ("cq-doctor --format jsonl | jq 'select(.verdict != \"ok\")'", "only what is not as it should be"),
    ],
    variables: &[UsedBy::GitHub],
};

impl Arguments for Doctor {
    const PAGE: &'static Page = &PAGE;
    const DEFIES_CONFIGURATION: bool = true;

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(&self, session: &Session) -> Result<Tally> {
        doctor::run(session, &doctor::Wish { repair: self.repair, instances: self.instances.clone() })
    }
}
