//! `cq-cleanup`: workspaces that are done.

use clap::Parser;

use super::{Arguments, Common, Page, arguments_of};
use crate::error::{Result, Tally};
use crate::pipeline::cleanup;
use crate::session::Session;

/// Remove finished workspaces; rescue first
///
/// Uncommitted files and commits that were not pushed go to refs/cq/rescue/ISSUE/ATTEMPT before anything is removed.
/// `git worktree add PATH refs/cq/rescue/ISSUE/ATTEMPT` brings them back.
#[derive(Debug, Parser)]
#[command(name = "cq-cleanup", version)]
pub struct Cleanup {
    /// These instances, such as claude-instance-1, finished or not
    #[arg(value_name = "INSTANCE")]
    instances: Vec<String>,
    /// Every finished workspace, however fresh
    #[arg(long, conflicts_with = "instances")]
    all: bool,
    /// Also what still runs: it is ended first
    #[arg(long)]
    force: bool,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    common: Common,
}

pub(super) const PAGE: Page = Page {
    name: "cq-cleanup",
    arguments: arguments_of::<Cleanup>,
    reads: "state",
    writes: "what it removed",
    examples: &[
        ("cq-cleanup", "remove what ended more than workspace.cleanupAfterHours ago"),
        ("cq-cleanup claude-instance-2", "remove one workspace now"),
        ("cq-cleanup --all --force", "the emergency form: end and remove everything, rescue first"),
        ("git log refs/cq/rescue/123/1", "look at what was rescued"),
    ],
    variables: &[],
};

impl Arguments for Cleanup {
    const PAGE: &'static Page = &PAGE;

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(&self, session: &Session) -> Result<Tally> {
        let wish = cleanup::Wish {
            instances: self.instances.clone(),
            all: self.all,
            force: self.force,
            dry_run: self.dry_run,
        };
        cleanup::run(session, &wish)
    }
}
