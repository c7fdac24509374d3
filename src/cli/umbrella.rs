//! `cq`: the umbrella.

use clap::Parser;

use super::{Arguments, Common, Page, arguments_of};
use crate::environment::Environment;
use crate::error::{Error, Kind, Result, Tally};
use crate::session::Session;
use crate::upkeep::umbrella;

/// Turn a GitHub issue queue into reviewed pull requests
///
/// `cq fetch` runs `cq-fetch`, and any program called `cq-NAME` on PATH can be run as `cq NAME`.
#[derive(Debug, Parser)]
#[command(name = "cq", version, disable_help_subcommand = true, subcommand_precedence_over_arg = false)]
pub struct Umbrella {
    /// List the commands
    #[arg(long)]
    list: bool,
    /// The command and its arguments
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
    #[command(flatten)]
    common: Common,
}

pub(super) const PAGE: Page = Page {
    name: "cq",
    arguments: arguments_of::<Umbrella>,
    reads: "nothing",
    writes: "what the command it runs writes",
    examples: &[
        ("cq fetch | cq claim | cq spawn", "start work on what is ready, and return"),
        ("cq --list", "say which commands there are"),
        ("cq help claim", "show the manual page of cq-claim"),
    ],
    variables: &[],
};

impl Arguments for Umbrella {
    const PAGE: &'static Page = &PAGE;

    fn common(&self) -> &Common {
        &self.common
    }

    /// Finding a command needs no configuration, and a broken one must not hide the help.
    fn run_alone(&self, environment: &Environment) -> Option<Result<Tally>> {
        let commands: Vec<(&str, String)> = super::PAGES
            .iter()
            .filter_map(|page| Some((page.name.strip_prefix("cq-")?, page.about())))
            .collect();
        Some(umbrella::run(environment, if self.list { &[] } else { &self.command }, &commands))
    }

    fn run(&self, _: &Session) -> Result<Tally> {
        Err(Error::new(Kind::Internal, "the umbrella runs alone"))
    }
}
