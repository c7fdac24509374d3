//! `cq-prepare`: plumbing; a workspace.

use clap::Parser;

use super::{Arguments, Common, Page, arguments_of};
use crate::environment::UsedBy;
use crate::error::{Result, Tally};
use crate::pipeline::prepare;
use crate::session::Session;

/// Make the workspace of one instance, without an agent (plumbing, started by cq-supervise)
///
/// Fetches the base, makes the worktree or finds it as an earlier attempt left it, and writes the prompt. By hand it
/// shows what an agent would get; the run that follows makes it afresh.
#[derive(Debug, Parser)]
#[command(name = "cq-prepare", version)]
pub struct Prepare {
    /// The instance, such as claude-instance-1
    #[arg(value_name = "INSTANCE")]
    instance: String,
    /// Hold the instance by the lock on stdin, together with this process, and no longer than it
    #[arg(long, hide = true, value_name = "PID")]
    lock_of: Option<u32>,
    /// The agent profile to use, instead of the one that the labels or the configuration name
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    #[command(flatten)]
    common: Common,
}

pub(super) const PAGE: Page = Page {
    name: "cq-prepare",
    arguments: arguments_of::<Prepare>,
    reads: "state",
    writes: "where the worktree and the prompt are",
    examples: &[("cq-prepare claude-instance-1", "make the worktree and the prompt, and look at them")],
    variables: &[UsedBy::GitHub, UsedBy::Agents],
};

impl Arguments for Prepare {
    const PAGE: &'static Page = &PAGE;

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(&self, session: &Session) -> Result<Tally> {
        prepare::run(session, &self.instance, self.lock_of, self.agent.as_deref())
    }
}
