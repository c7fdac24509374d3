//! `cq-pr`: push and pull request.

use clap::Parser;

use super::{Arguments, Common, Page, arguments_of};
use crate::environment::UsedBy;
use crate::error::{Result, Tally};
use crate::input::{self, IssueNumber};
use crate::pipeline::pull_request::{self, Wish};
use crate::session::Session;

/// Push the branch and open the pull request, once
///
/// Only a tree whose checks passed is pushed, only to the claim's own branch, and only if nobody else changed it.
/// Before that, everything that would be published is looked at: protected paths, links, submodules, sizes, and every
/// commit for secrets. What must not be pushed makes the issue failed (withheld), until a person decides. Interrupted at any moment and run again, it goes on from there: one pull request, one comment on the issue.
#[derive(Debug, Parser)]
#[command(name = "cq-pr", version)]
pub struct Pr {
    /// Open these issues' pull requests; without any, records are read from stdin
    #[arg(value_name = "ISSUE")]
    issues: Vec<IssueNumber>,
    /// Ask GitHub what became of open pull requests: merged ones complete their issue, closed ones fail it
    #[arg(long)]
    sync: bool,
    /// Open it even where the checks of its tree have not passed; the pull request says so
    #[arg(long, conflicts_with = "sync")]
    unchecked: bool,
    /// Push although the change touches protected paths, or is larger than the guards let through: your word as a
    /// person, noted in the record and told in the pull request. Secrets are never let through by it
    #[arg(long, requires = "issues", conflicts_with = "sync")]
    allow_protected: bool,
    /// Say what would be pushed and opened, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    common: Common,
}

pub(super) const PAGE: Page = Page {
    name: "cq-pr",
    arguments: arguments_of::<Pr>,
    reads: "gated records",
    writes: "records pr-ready",
    examples: &[
        ("cq-gate 123 | cq-pr", "check issue 123 and open its pull request"),
        ("cq-pr --allow-protected 123", "push a change to the workflows, say, in your own name"),
        ("cq-pr --sync", "note which pull requests were merged or closed"),
    ],
    variables: &[UsedBy::GitHub],
};

impl Arguments for Pr {
    const PAGE: &'static Page = &PAGE;

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(&self, session: &Session) -> Result<Tally> {
        let numbers: Vec<u64> = self.issues.iter().map(|issue| issue.0).collect();
        let wish =
            Wish { dry_run: self.dry_run, unchecked: self.unchecked, allow_protected: self.allow_protected };
        if self.sync {
            pull_request::sync(session, &numbers, self.dry_run)
        } else if numbers.is_empty() {
            pull_request::run(session, wish, input::stdin_or_usage()?)
        } else {
            pull_request::run(session, wish, numbers.into_iter().map(|number| session.in_flight(number)))
        }
    }
}
