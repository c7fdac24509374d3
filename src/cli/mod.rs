//! Every command's arguments, declared once. The man pages, the completions and the README's table of
//! commands are made from these declarations.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgAction, Args, CommandFactory, Parser, ValueEnum};

use crate::environment::{Environment, UsedBy};
use crate::error::{Kind, Result, Tally};
use crate::output::Format;
use crate::process;
use crate::redact::Redactor;
use crate::session::{self, Options, Session};

mod claim;
mod cleanup;
mod doctor;
mod fetch;
mod gate;
mod init;
mod lab;
mod logs;
pub mod manual;
mod monitor;
mod pr;
mod prepare;
mod report;
mod run;
mod spawn;
mod status;
mod stop;
mod supervise;
mod token;
mod umbrella;
mod webhook;

pub use claim::Claim;
pub use cleanup::Cleanup;
pub use doctor::Doctor;
pub use fetch::Fetch;
pub use gate::Gate;
pub use init::Init;
pub use lab::Lab;
pub use logs::Logs;
pub use monitor::Monitor;
pub use pr::Pr;
pub use prepare::Prepare;
pub use report::Report;
pub use run::Run;
pub use spawn::Spawn;
pub use status::Status;
pub use stop::Stop;
pub use supervise::Supervise;
pub use token::Token;
pub use umbrella::Umbrella;
pub use webhook::Webhook;

/// What the manual says of a command beyond its arguments.
#[derive(Debug)]
pub struct Page {
    /// The binary.
    pub name: &'static str,
    /// Its arguments.
    pub arguments: fn() -> clap::Command,
    /// What it reads.
    pub reads: &'static str,
    /// What it writes to stdout.
    pub writes: &'static str,
    /// Command lines and what they do.
    pub examples: &'static [(&'static str, &'static str)],
    /// Which groups of variables matter to it, besides those that matter to all.
    pub variables: &'static [UsedBy],
}

impl Page {
    /// What the command does, in one line.
    pub fn about(&self) -> String {
        (self.arguments)().get_about().map(ToString::to_string).unwrap_or_default()
    }
}

/// Every command, in the order the data visits them.
pub const PAGES: [&Page; 20] = [
    &umbrella::PAGE,
    &init::PAGE,
    &doctor::PAGE,
    &fetch::PAGE,
    &webhook::PAGE,
    &claim::PAGE,
    &spawn::PAGE,
    &prepare::PAGE,
    &supervise::PAGE,
    &gate::PAGE,
    &pr::PAGE,
    &monitor::PAGE,
    &run::PAGE,
    &cleanup::PAGE,
    &status::PAGE,
    &logs::PAGE,
    &report::PAGE,
    &stop::PAGE,
    &token::PAGE,
    &lab::PAGE,
];

/// The options every command has.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Common options")]
pub struct Common {
    /// The configuration file [default: orchestrator-config.json here or in a folder above]
    #[arg(long, value_name = "FILE", env = "CQ_CONFIG", hide_env_values = true, global = true)]
    config: Option<PathBuf>,
    /// The state directory [default: .cq beside the configuration]
    #[arg(long, value_name = "DIR", env = "CQ_STATE_DIR", hide_env_values = true, global = true)]
    state_dir: Option<PathBuf>,
    /// The repository on GitHub
    #[arg(long, value_name = "OWNER/NAME", env = "CQ_REPO", hide_env_values = true, global = true)]
    repo: Option<String>,
    /// How stdout is written [default: a table on a terminal, JSON Lines in a pipe]
    #[arg(long, value_name = "FORMAT", value_enum, global = true)]
    format: Option<FormatName>,
    /// Only errors on stderr
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// More on stderr
    #[arg(short, long, global = true, action = ArgAction::SetTrue)]
    verbose: bool,
    /// Wait at most so long for GitHub's limits, then end with 75 [default: github.maxWaitSeconds]
    #[arg(long, value_name = "SECONDS", env = "CQ_MAX_WAIT", hide_env_values = true, global = true)]
    max_wait: Option<u64>,
}

/// The names of the formats.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum FormatName {
    /// For people
    Table,
    /// One JSON object a line, as soon as it is known
    Jsonl,
    /// One JSON array, at the end
    Json,
    /// The table's columns, comma-separated, for spreadsheets
    Csv,
}

impl Common {
    /// The options as plain values.
    fn options(&self) -> Options {
        Options {
            // A variable that is set to nothing is not set.
            config: self.config.clone().filter(|path| !path.as_os_str().is_empty()),
            state_dir: self.state_dir.clone().filter(|path| !path.as_os_str().is_empty()),
            repo: self.repo.clone().filter(|repo| !repo.is_empty()),
            format: self.format.map(|name| match name {
                FormatName::Table => Format::Table,
                FormatName::Jsonl => Format::Jsonl,
                FormatName::Json => Format::Json,
                FormatName::Csv => Format::Csv,
            }),
            quiet: self.quiet,
            verbose: self.verbose,
            max_wait: self.max_wait.map(Duration::from_secs),
            without_configuration: false,
        }
    }
}

/// A command's arguments.
pub trait Arguments: Parser {
    /// What the manual says of it.
    const PAGE: &'static Page;

    /// The common ones.
    fn common(&self) -> &Common;

    /// Whether it must work even while the configuration is broken.
    const DEFIES_CONFIGURATION: bool = false;

    /// Does it without a session, where the command needs neither configuration nor state.
    fn run_alone(&self, _environment: &Environment) -> Option<Result<Tally>> {
        None
    }

    /// Does it.
    fn run(&self, session: &Session) -> Result<Tally>;
}

/// The whole of a binary: parse, open the session, run, map the error to the exit status.
pub fn main<A: Arguments>() -> ExitCode {
    process::hide();
    let environment = Environment::of_process();
    let arguments = match A::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    let result = match arguments.run_alone(&environment) {
        Some(result) => result.map_err(|error| (error, Redactor::default())),
        None => Session::open(A::PAGE.name, environment, options_of(&arguments))
            .map_err(|error| (error, Redactor::default()))
            .and_then(|session| arguments.run(&session).map_err(|error| (error, session.redactor()))),
    };
    match result {
        Ok(tally) => ExitCode::from(tally.status()),
        Err((error, redactor)) => {
            session::complain(A::PAGE.name, &error, &redactor);
            ExitCode::from(error.kind.status())
        }
    }
}

fn options_of<A: Arguments>(arguments: &A) -> Options {
    Options { without_configuration: A::DEFIES_CONFIGURATION, ..arguments.common().options() }
}

/// clap's own messages; help and version are not errors, and a closed pipe is none either.
fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(Kind::Usage.status()) } else { ExitCode::SUCCESS }
}

/// The arguments of a command, for its page.
fn arguments_of<A: CommandFactory>() -> clap::Command {
    A::command()
}
