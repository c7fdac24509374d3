//! `cq-gate`: the checks.

use clap::Parser;

use super::{Arguments, Common, Page, arguments_of};
use crate::environment::UsedBy;
use crate::error::{Result, Tally};
use crate::input::{self, IssueNumber};
use crate::pipeline::gate;
use crate::session::Session;

/// Run the configured checks on the exact tree that the agent committed
///
/// In a clean checkout, within the limits and in the sandbox of an agent, without keys. Each verdict is passed, failed or
/// unevaluated: what could not run, or is red on the base as well, says nothing of the change. A tree that has a verdict
/// is not checked again, whichever issue has it.
///
/// Red sends the agent back. Unevaluated makes the issue failed (unevaluated), with its workspace kept and its place free:
/// at once where a program is missing (126, 127) or the base is red, else after queue.retryAttempts tries, a lease apart. A
/// person mends what it is and runs cq-gate again; after a red base, cq-claim --retry lets the agent merge the mended one.
#[derive(Debug, Parser)]
#[command(name = "cq-gate", version)]
pub struct Gate {
    /// Check these issues; without any, records are read from stdin
    #[arg(value_name = "ISSUE")]
    issues: Vec<IssueNumber>,
    /// Check again, even a tree that has a verdict; the base, too, and without caches
    #[arg(long)]
    again: bool,
    /// Say what would be checked, and check nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    common: Common,
}

pub(super) const PAGE: Page = Page {
    name: "cq-gate",
    arguments: arguments_of::<Gate>,
    reads: "records in testing",
    writes: "records with gates",
    examples: &[
        ("cq-gate 123 | cq-pr", "check issue 123 and open its pull request"),
        ("cq-spawn --wait | cq-gate | cq-pr", "the end of the job in the foreground"),
    ],
    variables: &[UsedBy::Agents],
};

impl Arguments for Gate {
    const PAGE: &'static Page = &PAGE;

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(&self, session: &Session) -> Result<Tally> {
        let wish = gate::Wish { again: self.again, dry_run: self.dry_run };
        if self.issues.is_empty() {
            gate::run(session, &wish, input::stdin_or_usage()?)
        } else {
            let numbers = self.issues.iter().map(|issue| issue.0);
            gate::run(session, &wish, numbers.map(|number| session.in_flight(number)))
        }
    }
}
