//! `cq-claim`: one winner per issue.

use clap::Parser;

use super::{Arguments, Common, Page, arguments_of};
use crate::environment::UsedBy;
use crate::error::{Result, Tally};
use crate::input::{self, IssueNumber};
use crate::pipeline::{claim, fetch};
use crate::session::Session;

/// Claim issues: one winner each, a free place, an instance, a branch
///
/// An issue that somebody holds is passed over; one that this claim holds already is confirmed.
#[derive(Debug, Parser)]
#[command(name = "cq-claim", version)]
pub struct Claim {
    /// Claim these issues; without any, records are read from stdin
    #[arg(value_name = "ISSUE")]
    issues: Vec<IssueNumber>,
    /// Claim at most so many now
    #[arg(long, value_name = "N")]
    max: Option<usize>,
    /// Queue these failed issues again, with all their attempts; not one that is closed (77). Where checks were red on the base as well, it is fetched,
    /// and the agent told to merge what is new
    #[arg(long, requires = "issues", conflicts_with_all = ["max", "release"])]
    retry: bool,
    /// Give up the claim of these queued or failed issues
    #[arg(long, requires = "issues", conflicts_with = "max")]
    release: bool,
    /// Say what would be claimed, and claim nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    common: Common,
}

pub(super) const PAGE: Page = Page {
    name: "cq-claim",
    arguments: arguments_of::<Claim>,
    reads: "issue records",
    writes: "claimed records (queued)",
    examples: &[
        ("cq-fetch | jq -c 'select(.priority<=1)' | cq-claim --max 2", "claim two urgent issues"),
        ("cq-claim 123 | cq-spawn", "work on issue 123 now"),
        ("cq-claim --retry 123", "queue a failed issue again"),
    ],
    variables: &[UsedBy::GitHub],
};

impl Arguments for Claim {
    const PAGE: &'static Page = &PAGE;

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(&self, session: &Session) -> Result<Tally> {
        let numbers = self.issues.iter().map(|issue| issue.0);
        if self.retry || self.release {
            let mut output = session.records();
            let tally = session.for_each(numbers.map(Ok), |number| {
                let record = match (self.retry, self.dry_run) {
                    (_, true) => claim::would_change(session, number)?,
                    (true, false) => claim::retry(session, number)?,
                    (false, false) => {
                        let record = claim::release(session, number)?;
                        session.note(&format!("issue #{number} is released"));
                        record
                    }
                };
                output.record(&record)
            })?;
            output.finish()?;
            return Ok(tally);
        }
        let wish = claim::Wish { max: self.max, dry_run: self.dry_run, named: !self.issues.is_empty() };
        if self.issues.is_empty() {
            claim::run(session, &wish, input::stdin_or_usage()?)
        } else {
            claim::run(session, &wish, fetch::by_number(session, numbers.collect())?.into_iter())
        }
    }
}
