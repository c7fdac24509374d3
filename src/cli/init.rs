//! `cq-init`: configuration, state, templates.

use clap::Parser;

use super::{Arguments, Common, Page, arguments_of};
use crate::environment::UsedBy;
use crate::error::{Result, Tally};
use crate::session::Session;
use crate::upkeep::init;

/// Make the configuration, the state directory and the templates
///
/// Runs in a clone of the repository. What is there already is left as it is.
#[derive(Debug, Parser)]
#[command(name = "cq-init", version)]
pub struct Init {
    /// The branch that work starts from [default: what origin/HEAD says, else main]
    #[arg(long, value_name = "BRANCH")]
    base: Option<String>,
    /// Also make the labels on GitHub: claude-ready, claude-in-progress, claude-blocked
    #[arg(long)]
    labels: bool,
    /// Say what would be made, and make nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    common: Common,
}

pub(super) const PAGE: Page = Page {
    name: "cq-init",
    arguments: arguments_of::<Init>,
    reads: "flags",
    writes: "what it made",
    examples: &[
        ("cq-init --repo acme/widgets", "set up in the current folder, a clone of acme/widgets"),
        ("cq-init --labels", "the same, and make the labels on GitHub"),
    ],
    variables: &[UsedBy::GitHub],
};

impl Arguments for Init {
    const PAGE: &'static Page = &PAGE;

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(&self, session: &Session) -> Result<Tally> {
        init::run(
            session,
            &init::Wish { base: self.base.clone(), labels: self.labels, dry_run: self.dry_run },
        )
    }
}
