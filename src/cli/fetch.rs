//! `cq-fetch`: eligible issues, best first.

use clap::Parser;

use super::{Arguments, Common, Page, arguments_of};
use crate::environment::UsedBy;
use crate::error::{Result, Tally};
use crate::input::IssueNumber;
use crate::pipeline::fetch;
use crate::session::Session;

/// List the issues that may be worked on, best first
///
/// From GitHub, or from a file or stream of issues as GitHub's REST API or `gh issue list --json` writes them.
#[derive(Debug, Parser)]
#[command(name = "cq-fetch", version)]
pub struct Fetch {
    /// Only these issues
    #[arg(value_name = "ISSUE")]
    issues: Vec<IssueNumber>,
    /// Read issues from FILE (`-`: stdin) instead of GitHub; whoever runs the command vouches for their text
    #[arg(long, value_name = "FILE")]
    from: Option<String>,
    /// An issue needs at least one of these labels (replaces github.labels)
    #[arg(long, value_name = "LABEL")]
    label: Vec<String>,
    /// Leave issues with this label alone (replaces github.excludeLabels)
    #[arg(long, value_name = "LABEL")]
    exclude_label: Vec<String>,
    /// Show the ineligible too, each with its reasons
    #[arg(long)]
    all: bool,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    #[command(flatten)]
    common: Common,
}

pub(super) const PAGE: Page = Page {
    name: "cq-fetch",
    arguments: arguments_of::<Fetch>,
    reads: "GitHub, or --from FILE",
    writes: "eligible issue records, best first",
    examples: &[
        ("cq-fetch | cq-claim | cq-spawn", "start work on what is ready, and return"),
        ("cq-fetch --all --format table", "show every open issue, and why it is not taken"),
        (
            "gh issue list --json number,title,body,labels | cq-fetch --from -",
            "take what another program selected",
        ),
    ],
    variables: &[UsedBy::GitHub],
};

impl Arguments for Fetch {
    const PAGE: &'static Page = &PAGE;

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(&self, session: &Session) -> Result<Tally> {
        let replaced = |names: &[String]| (!names.is_empty()).then(|| names.to_vec());
        let wish = fetch::Wish {
            issues: self.issues.iter().map(|issue| issue.0).collect(),
            from: self.from.clone(),
            labels: replaced(&self.label),
            exclude: replaced(&self.exclude_label),
            all: self.all,
            limit: self.limit,
        };
        fetch::run(session, &wish)
    }
}
