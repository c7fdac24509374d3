//! `cq-webhook`: issues as they happen.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

use super::{Arguments, Common, Page, arguments_of};
use crate::environment::UsedBy;
use crate::error::{Result, Tally};
use crate::pipeline::webhook;
use crate::pipeline::webhook::door::{self, Range};
use crate::session::Session;

/// Receive GitHub's webhooks, and write the issues they tell of as they happen
///
/// Listens on a loopback address, for a reverse proxy or a tunnel in front of it, until SIGTERM, or until nobody reads
/// stdout. A delivery counts when it comes from GitHub's addresses and is signed with the hook's secret; it is answered
/// when its line is written, so that what was not written can be redelivered. The hook on GitHub needs the events
/// "Issues" and, if comments matter, "Issue comments".
#[derive(Debug, Parser)]
#[command(name = "cq-webhook", version)]
pub struct Webhook {
    /// The address to listen on; port 0 takes a free one [default: webhook.listen, else 127.0.0.1:8477]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// The only path that is answered [default: webhook.path, else /webhook]
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// Listen on an address that other machines can reach; there is no TLS
    #[arg(long)]
    public: bool,
    /// Let these addresses in besides GitHub's own
    #[arg(long, value_name = "CIDR")]
    allow: Vec<Range>,
    /// Let every address in: only the signature counts
    #[arg(long, conflicts_with_all = ["allow", "trusted_proxy"])]
    allow_any: bool,
    /// Believe these addresses when they say in X-Forwarded-For for whom they speak
    #[arg(long, value_name = "CIDR")]
    trusted_proxy: Vec<Range>,
    /// Write the ineligible too, each with its reasons
    #[arg(long)]
    all: bool,
    /// End after N records were written
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    exit_after: Option<u64>,
    /// Written once it listens and knows GitHub's addresses, or that they are not to be had: its address and process id (JSON)
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

pub(super) const PAGE: Page = Page {
    name: "cq-webhook",
    arguments: arguments_of::<Webhook>,
    reads: "GitHub's webhooks",
    writes: "issue records as they happen, one JSON object a line",
    examples: &[
        ("cq-webhook | cq-claim | cq-spawn", "work on issues as they become ready"),
        ("cq-webhook --trusted-proxy 127.0.0.1", "behind a reverse proxy on this machine"),
        ("cq-webhook --all | jq -r '[.number, .issue.title] | @tsv'", "watch what happens to issues"),
    ],
    variables: &[UsedBy::GitHub, UsedBy::Webhook],
};

impl Arguments for Webhook {
    const PAGE: &'static Page = &PAGE;

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(&self, session: &Session) -> Result<Tally> {
        let wish = webhook::Wish {
            listen: self.listen,
            path: self.path.clone(),
            public: self.public,
            door: door::Rules {
                allow: self.allow.clone(),
                allow_any: self.allow_any,
                proxies: self.trusted_proxy.clone(),
            },
            all: self.all,
            exit_after: self.exit_after,
            ready_file: self.ready_file.clone(),
        };
        webhook::run(session, &wish)
    }
}
