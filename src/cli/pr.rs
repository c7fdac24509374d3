//! `cq-pr`: push and pull request, and what follows.

use std::path::PathBuf;

use clap::Parser;

use super::{Arguments, Common, Page, arguments_of};
use crate::environment::UsedBy;
use crate::error::{Error, Kind, Result, Tally};
use crate::input::{self, IssueNumber};
use crate::pipeline::pull_request::{self, Wish};
use crate::session::Session;

/// Push the branch and open the pull request, once
///
/// Only a tree whose checks passed is pushed, only to the claim's own branch, and only if nobody else changed it.
/// Before that, everything that would be published is looked at: protected paths, links, submodules, sizes, and every
/// commit for secrets. What must not be pushed makes the issue failed (withheld), until a person decides. Interrupted at
/// any moment and run again, it goes on from there: one pull request, one comment on the issue. Where that of an ISSUE is open
/// already, assignees and reviewers who are missing are asked for once more; records from stdin pass as they are, so that
/// nobody comes back whom people took off. Another machine that has claimed the same issue is told lost-claim (77); for an
/// issue that was closed meanwhile nothing is pushed (77).
///
/// With --sync it reads what became of open pull requests. Red CI, change requests and comments in reviews by people with
/// write access, and a conflict with the base send the agent back: such records are queued and written to stdout, for
/// cq-spawn. A merged pull request completes its issue, a closed one fails it.
#[derive(Debug, Parser)]
#[command(name = "cq-pr", version)]
#[expect(clippy::struct_excessive_bools, reason = "an option each")]
pub struct Pr {
    /// Open these issues' pull requests, or sync or merge them; without any, records are read from stdin, or all that
    /// wait for people are meant
    #[arg(value_name = "ISSUE")]
    issues: Vec<IssueNumber>,
    /// Ask GitHub what became of open pull requests, and queue those whose agent has to go on
    #[arg(long, group = "what")]
    sync: bool,
    /// Merge what people have approved and CI has passed, where merge.enabled says so
    #[arg(long, group = "what")]
    merge: bool,
    /// Open a pull request that takes the merged change of this one issue back, open the issue again, and queue it. Merge
    /// that pull request before an agent starts, which else begins at a base that still has the change
    #[arg(long, group = "what", requires = "reason")]
    revert: bool,
    /// Why a change is taken back, for people and for the agent
    #[arg(long, value_name = "TEXT", requires = "revert")]
    reason: Option<String>,
    /// The log that shows it; its end is told
    #[arg(long, value_name = "FILE", requires = "revert")]
    log: Option<PathBuf>,
    /// Open it even where the checks of its tree have not passed, or could not judge it; the pull request says so
    #[arg(long, conflicts_with = "what")]
    unchecked: bool,
    /// Push although the change touches protected paths, or is larger than the guards let through: your word as a
    /// person, noted in the record and told in the pull request. Secrets are never let through by it
    #[arg(long, requires = "issues", conflicts_with = "what")]
    allow_protected: bool,
    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    common: Common,
}

pub(super) const PAGE: Page = Page {
    name: "cq-pr",
    arguments: arguments_of::<Pr>,
    reads: "gated records",
    writes: "records pr-ready; with --sync and --revert those whose agent goes on, and what ended",
    examples: &[
        ("cq-gate 123 | cq-pr", "check issue 123 and open its pull request"),
        ("cq-pr --allow-protected 123", "push a change to the workflows, say, in your own name"),
        (
            "cq-pr --sync | cq-spawn",
            "let agents deal with red CI and reviews; note what was merged or closed",
        ),
        ("cq-pr --merge", "merge what is approved and green"),
        (
            "cq-pr --revert 123 --reason 'breaks the login' --log ci.txt",
            "take the change back; once that is merged, cq-spawn 123 lets the agent try again",
        ),
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
        let wish = Wish {
            dry_run: self.dry_run,
            unchecked: self.unchecked,
            allow_protected: self.allow_protected,
            named: !numbers.is_empty(),
        };
        if self.sync {
            pull_request::sync(session, &numbers, self.dry_run)
        } else if self.merge {
            pull_request::merge(session, &numbers, self.dry_run)
        } else if self.revert {
            let [number] = numbers[..] else {
                return Err(Error::new(Kind::Usage, "--revert wants one issue"));
            };
            let reason = self.reason.clone().filter(|reason| !reason.trim().is_empty());
            let reason = reason.ok_or_else(|| Error::new(Kind::Usage, "--reason is empty"))?;
            let wish = pull_request::Revert { number, reason, log: self.log.clone(), dry_run: self.dry_run };
            pull_request::revert(session, &wish)
        } else if numbers.is_empty() {
            pull_request::run(session, wish, input::stdin_or_usage()?)
        } else {
            pull_request::run(session, wish, numbers.into_iter().map(|number| session.in_flight(number)))
        }
    }
}
