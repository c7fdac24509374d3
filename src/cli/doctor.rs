//! `cq-doctor`: whether everything is as cq needs it.

use clap::Parser;

use super::{Arguments, Common, Page, arguments_of};
use crate::environment::UsedBy;
use crate::error::{Result, Tally};
use crate::session::Session;
use crate::upkeep::doctor;

/// Say what is wrong with the configuration, the token and the repository, and what to do about it
///
/// Changes nothing. Ends with 1 if something is an error; warnings leave it at 0.
#[derive(Debug, Parser)]
#[command(name = "cq-doctor", version)]
pub struct Doctor {
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
        doctor::run(session)
    }
}
