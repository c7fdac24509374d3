//! `cq-token`: the token, for other programs and for git.

use clap::Parser;

use super::{Arguments, Common, Page, arguments_of};
use crate::environment::UsedBy;
use crate::error::{Result, Tally};
use crate::session::Session;
use crate::upkeep::token::{self, Wish};

/// Print the GitHub token that cq works with, or answer git
///
/// Without an operand it prints the token. With get, store or erase it speaks git's credential-helper protocol, and
/// gives the token to the configured server only. Called by git as GIT_ASKPASS it answers git's question.
#[derive(Debug, Parser)]
#[command(name = "cq-token", version)]
pub struct Token {
    /// get, store, erase, or git's question: "Username for '...'", "Password for '...'"
    #[arg(value_name = "OPERATION", value_parser = operation, conflicts_with_all = ["plain", "revoke"])]
    operation: Option<String>,
    /// Only the token, also on a terminal
    #[arg(long, conflicts_with = "revoke")]
    plain: bool,
    /// Make the App's token that is kept worthless, and forget it
    #[arg(long)]
    revoke: bool,
    #[command(flatten)]
    common: Common,
}

pub(super) const PAGE: Page = Page {
    name: "cq-token",
    arguments: arguments_of::<Token>,
    reads: "with an operation, git's question on stdin",
    writes: "the token, its end, its permissions and its source; to git, its answer",
    examples: &[
        ("GH_TOKEN=$(cq-token --plain) gh issue list", "lend the token to another program"),
        ("git -c credential.helper='!cq-token' fetch", "let git ask for it"),
        ("GIT_ASKPASS=cq-token git fetch", "the same, for a git without helpers"),
        ("cq-token --revoke", "end the App's token before its hour is over"),
    ],
    variables: &[UsedBy::GitHub],
};

/// A question of git's is one operand, quotes and all.
fn operation(text: &str) -> Result<String, String> {
    let known = matches!(text, "get" | "store" | "erase")
        || text.starts_with("Username for ")
        || text.starts_with("Password for ");
    if known { Ok(text.to_owned()) } else { Err("expected get, store or erase".to_owned()) }
}

impl Arguments for Token {
    const PAGE: &'static Page = &PAGE;

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(&self, session: &Session) -> Result<Tally> {
        let wish = match self.operation.as_deref() {
            _ if self.revoke => Wish::Revoke,
            None => Wish::Print { plain: self.plain },
            Some("get") => Wish::Get,
            Some("store") => Wish::Store,
            Some("erase") => Wish::Erase,
            Some(question) => Wish::Answer(question.to_owned()),
        };
        token::run(session, &wish)
    }
}
