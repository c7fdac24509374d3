//! `cq-lab`: the rehearsal.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use super::{Arguments, Common, Page, arguments_of};
use crate::clock::Clock;
use crate::environment::Environment;
use crate::error::{Error, Kind, OrFail, Result, Tally};
use crate::lab::{self, AgentOptions, MessagesOptions, ServeOptions};
use crate::output;
use crate::session::{self, Session};

/// Rehearse: a GitHub on this machine, an agent that follows a script, a model for a real agent
#[derive(Debug, Parser)]
#[command(name = "cq-lab", version, disable_help_subcommand = true)]
pub struct Lab {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

pub(super) const PAGE: Page = Page {
    name: "cq-lab",
    arguments: arguments_of::<Lab>,
    reads: "a seed, a script",
    writes: "where it listens; the agent's events",
    examples: &[
        ("cq-lab serve --seed seed.json --ready-file ready.json", "be a GitHub until SIGTERM"),
        (
            "cq-lab messages --listen 127.0.0.1:8765",
            "be the model of a real Claude Code, for ANTHROPIC_BASE_URL",
        ),
        ("scripts/demo", "the whole pipeline against it, with no account and no network"),
        ("cq-lab serve --help", "the seed, how to play reviewers and CI, what can go wrong: as above"),
    ],
    variables: &[],
};

impl Arguments for Lab {
    const PAGE: &'static Page = &PAGE;

    fn common(&self) -> &Common {
        &self.common
    }

    /// The rehearsal stands outside: no configuration, no state.
    fn run_alone(&self, environment: &Environment) -> Option<Result<Tally>> {
        let run = || {
            let clock = session::clock(environment)?;
            match &self.command {
                Command::Serve(serve) => {
                    let options = serve.clone().options(environment.clone(), clock);
                    lab::serve(&options, &mut |line| output::print(&format!("{line}\n")))?;
                    Ok(Tally::default())
                }
                Command::Messages(messages) => {
                    lab::messages(&messages.clone().options(), &mut |line| {
                        output::print(&format!("{line}\n"))
                    })?;
                    Ok(Tally::default())
                }
                Command::Agent(agent) => {
                    let folder = std::env::current_dir();
                    let folder = folder.or_fail(Kind::Config, || "cannot tell the current folder")?;
                    let options = agent.clone().options(folder, environment.clone(), clock);
                    let status = lab::agent(&options, std::io::stdin().lock(), output::Stdout)?;
                    Ok(Tally::ending_with(status))
                }
            }
        };
        Some(run())
    }

    fn run(&self, _: &Session) -> Result<Tally> {
        Err(Error::new(Kind::Internal, "the rehearsal runs alone"))
    }
}

/// What `cq-lab` can play.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Be a GitHub: its REST API and its git server, on a loopback address, until SIGTERM or SIGINT.
    #[command(after_long_help = include_str!("lab/serve.txt"))]
    Serve(Serve),
    /// Be an agent: read a prompt, follow a script, speak stream-json.
    #[command(after_long_help = include_str!("lab/agent.txt"))]
    Agent(Agent),
    /// Be the model of a real agent: the Messages API, on a loopback address, until SIGTERM or SIGINT.
    #[command(after_long_help = include_str!("lab/messages.txt"))]
    Messages(Messages),
}

/// `cq-lab serve`.
#[derive(Debug, Clone, Args)]
pub(super) struct Serve {
    /// What the GitHub holds at the start (JSON)
    #[arg(long, value_name = "FILE")]
    seed: PathBuf,
    /// The loopback address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The only token that is let in
    #[arg(long, default_value = "lab-token")]
    token: String,
    /// Written once the server listens: its addresses, token and process id (JSON)
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Wait this long before each answer of the API
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    delay_ms: u64,
    /// Where the bare repositories are made [default: a temporary folder, removed at the end]
    #[arg(long, value_name = "DIR")]
    git_root: Option<PathBuf>,
}

/// `cq-lab agent`.
#[derive(Debug, Clone, Args)]
pub(super) struct Agent {
    /// What to do, by issue and attempt (JSON) [default: one line in one file, committed]
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// The options of Claude Code; only --session-id and --resume are looked at
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "CLAUDE OPTION")]
    arguments: Vec<String>,
}

/// `cq-lab messages`.
#[derive(Debug, Clone, Args)]
pub(super) struct Messages {
    /// What to answer, by issue, attempt and turn (JSON) [default: a file is written and committed]
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// The loopback address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The only key that is let in [default: any]
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Written once the server listens: its address and process id (JSON)
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

impl Messages {
    /// What the library needs to know.
    fn options(self) -> MessagesOptions {
        let Self { script, listen, key, ready_file } = self;
        MessagesOptions { script, listen, key, ready_file }
    }
}

impl Serve {
    /// What the library needs to know.
    fn options(self, environment: Environment, clock: Clock) -> ServeOptions {
        ServeOptions {
            seed: self.seed,
            listen: self.listen,
            token: self.token,
            ready_file: self.ready_file,
            delay: Duration::from_millis(self.delay_ms),
            git_root: self.git_root,
            environment,
            clock,
        }
    }
}

impl Agent {
    /// What the library needs to know; `directory` is the worktree.
    fn options(self, directory: PathBuf, environment: Environment, clock: Clock) -> AgentOptions {
        AgentOptions { script: self.script, arguments: self.arguments, directory, environment, clock }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_takes_the_options_of_claude_code() {
        let line = "cq-lab agent --script s.json -p --output-format stream-json --verbose --session-id X \
                    --setting-sources user --strict-mcp-config";
        let lab = Lab::try_parse_from(line.split_whitespace()).unwrap();
        let Command::Agent(agent) = lab.command else { panic!("not the agent") };
        assert_eq!(agent.script.unwrap().to_str(), Some("s.json"));
        assert_eq!(agent.arguments[..3], ["-p", "--output-format", "stream-json"]);
    }

    #[test]
    fn the_agent_needs_no_script_and_ignores_a_double_dash() {
        for line in ["cq-lab agent -p --resume Y", "cq-lab agent -- -p --resume Y"] {
            let lab = Lab::try_parse_from(line.split_whitespace()).unwrap();
            let Command::Agent(agent) = lab.command else { panic!("not the agent") };
            assert_eq!(agent.arguments, ["-p", "--resume", "Y"], "{line}");
        }
    }
}
