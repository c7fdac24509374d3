//! `cq-supervise`: plumbing; one agent from start to end.

use std::path::PathBuf;

use clap::Parser;

use super::{Arguments, Common, Page, arguments_of};
use crate::environment::{Environment, UsedBy};
use crate::error::{Result, Tally};
use crate::pipeline::supervise;
use crate::session::Session;

/// Run one instance to its end (plumbing, started by cq-spawn)
///
/// Holds the instance's lock while it lives: a free lock means a dead supervisor.
#[derive(Debug, Parser)]
#[command(name = "cq-supervise", version)]
pub struct Supervise {
    /// The instance, such as claude-instance-1
    #[arg(value_name = "INSTANCE", required_unless_present = "launch")]
    instance: Option<String>,
    /// Take the instance's lock over from stdin
    #[arg(long)]
    lock_on_stdin: bool,
    /// Go on with cq-gate and cq-pr when the agent is done
    #[arg(long)]
    onward: bool,
    /// With --launch: enter this control group first
    #[arg(long, hide = true, value_name = "DIR")]
    enter: Vec<PathBuf>,
    /// With --launch: say in this file which control groups that are
    #[arg(long, hide = true, value_name = "FILE")]
    arrived: Option<PathBuf>,
    /// With --launch: keep this variable from the program
    #[arg(long, hide = true, value_name = "NAME")]
    forget: Vec<String>,
    /// The agent profile to use, instead of the one that the labels or the configuration name
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// Become the leader of a new session, then the program that follows
    #[arg(long, hide = true, num_args = 1.., allow_hyphen_values = true, value_name = "PROGRAM")]
    launch: Vec<String>,
    #[command(flatten)]
    common: Common,
}

pub(super) const PAGE: Page = Page {
    name: "cq-supervise",
    arguments: arguments_of::<Supervise>,
    reads: "state",
    writes: "the finished record",
    examples: &[(
        "cq-supervise --onward claude-instance-1",
        "run a queued instance to its pull request, in the foreground",
    )],
    variables: &[UsedBy::GitHub, UsedBy::Agents],
};

impl Arguments for Supervise {
    const PAGE: &'static Page = &PAGE;

    fn common(&self) -> &Common {
        &self.common
    }

    /// The launcher has the agent's environment and folder: no configuration found there is ours.
    fn run_alone(&self, environment: &Environment) -> Option<Result<Tally>> {
        if self.launch.is_empty() {
            return None;
        }
        let before = supervise::Before {
            enter: self.enter.clone(),
            arrived: self.arrived.clone(),
            forget: self.forget.clone(),
        };
        Some(Err(supervise::launch(environment, &before, &self.launch)))
    }

    fn run(&self, session: &Session) -> Result<Tally> {
        let instance = self.instance.as_deref().unwrap_or_default();
        supervise::run(session, instance, self.lock_on_stdin, self.onward, self.agent.as_deref())
    }
}
