//! `cq-cleanup`: workspaces that are done.

use std::path::PathBuf;

use clap::Parser;

use super::{Arguments, Common, Page, arguments_of};
use crate::error::{Error, Kind, Result, Tally};
use crate::pipeline::cleanup;
use crate::pipeline::cleanup::rescues::{self, Which};
use crate::session::Session;

/// Remove finished workspaces; rescue first
///
/// What is in a workspace and nowhere else goes to refs/cq/rescue/ISSUE/ATTEMPT before anything is removed: commits that
/// were not pushed, and every file as it is, byte by byte, untracked and ignored ones included. Of what git ignores, files
/// and folders larger than cleanup.rescueIgnoredMegabytes are left out, and what its tool makes again (node_modules,
/// caches); the rescue names them. --restore brings a rescue back; a later rescue never replaces an earlier one.
///
/// A workspace is removed only if it is the very folder that cq made, by device and inode, never through a link and never
/// across a mount. Without --force it stays while a process works in it or writes a file in it. Once a pull request is
/// merged or closed, its branch on GitHub goes too, if it still ends in what cq pushed
/// (cleanup.deleteRemoteBranches).
///
/// Without INSTANCE, receipts of checks go that are older than 30 days and that no issue in flight needs, and caches
/// (gate.caches) that were not used for 30 days or that the configuration does not name any more; with --all --force all
/// caches.
#[derive(Debug, Parser)]
#[command(name = "cq-cleanup", version)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Cleanup {
    /// These instances, such as claude-instance-1, finished or not; with --list-rescues and --prune these issues: ISSUE or
    /// ISSUE/ATTEMPT
    #[arg(value_name = "INSTANCE")]
    operands: Vec<String>,
    /// Every finished workspace, however fresh
    #[arg(long, conflicts_with = "operands")]
    all: bool,
    /// Also what still runs: it is ended first
    #[arg(long)]
    force: bool,
    /// Show what was rescued, and remove nothing
    #[arg(long, conflicts_with_all = ["all", "force"])]
    list_rescues: bool,
    /// Bring back what was rescued of an issue, the latest unless an attempt is named, in a new worktree
    #[arg(long, value_name = "ISSUE[/ATTEMPT]", conflicts_with_all = ["operands", "all", "force", "list_rescues"])]
    restore: Option<Which>,
    /// Where --restore makes the worktree [default: workspaces/rescue-ISSUE-ATTEMPT]; nothing may be there
    #[arg(long, value_name = "DIR", requires = "restore")]
    to: Option<PathBuf>,
    /// Remove rescues older than cleanup.rescueDays, or those that are named
    #[arg(long, conflicts_with_all = ["all", "force", "list_rescues", "restore"])]
    prune: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    common: Common,
}

pub(super) const PAGE: Page = Page {
    name: "cq-cleanup",
    arguments: arguments_of::<Cleanup>,
    reads: "state",
    writes: "what it removed, and how many bytes that freed; rescues; what it brought back",
    examples: &[
        ("cq-cleanup", "remove what ended more than workspace.cleanupAfterHours ago"),
        ("cq-cleanup claude-instance-2", "remove one workspace now"),
        ("cq-cleanup --all --force", "the emergency form: end and remove everything, rescue first"),
        ("cq-cleanup --list-rescues", "what was rescued"),
        ("cq-cleanup --restore 123", "undo: a worktree with everything that was rescued of issue 123 last"),
        ("cq-cleanup --prune 123/1", "remove a rescue; it is said how to undo that until git gc"),
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
        let which = || -> Result<Vec<Which>> {
            let parsed =
                self.operands.iter().map(|text| text.parse().map_err(|why| Error::new(Kind::Usage, why)));
            parsed.collect()
        };
        if self.list_rescues {
            return rescues::list(session, &which()?);
        }
        if self.prune {
            return rescues::prune(session, &which()?, self.dry_run);
        }
        if let Some(which) = &self.restore {
            return rescues::restore(session, which, self.to.as_deref(), self.dry_run);
        }
        let wish = cleanup::Wish {
            instances: self.operands.clone(),
            all: self.all,
            force: self.force,
            dry_run: self.dry_run,
        };
        cleanup::run(session, &wish)
    }
}
