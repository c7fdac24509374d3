//! GitHub: one client, and what cq asks of it.
//!
//! A request goes through [`client`]: the limiter lets it out ([`budget`] says when), `wire` sends it, `verdict`
//! says what the answer means, and `cache` keeps it. Who asks is the [`credential`]'s affair.

use url::Url;

use crate::environment::{self, Environment, Variable};
use crate::error::{Error, Kind, OrFail, Result};

pub mod app;
pub mod assignees;
pub mod blockers;
pub mod budget;
mod cache;
pub mod checks;
pub mod client;
pub mod comments;
pub mod credential;
pub mod details;
mod document;
mod events;
pub mod helper;
pub mod issues;
pub mod labels;
mod limiter;
mod links;
mod lists;
pub mod merges;
pub mod mirror;
mod parallel;
pub mod permissions;
pub mod pulls;
pub mod reviewers;
pub mod reviews;
pub mod roles;
pub mod signature;
pub mod snapshot;
pub mod sources;
pub mod sync;
mod verdict;
pub mod webhook;
mod wire;

pub use client::{Access, Client, Probe, Repeat};
pub use verdict::Refusal;

/// The addresses GitHub Actions sets, so that the same binaries run against github.com, GitHub Enterprise and a
/// test server.
#[derive(Debug, Clone)]
pub struct Endpoints {
    /// REST.
    pub api: Url,
    /// GraphQL.
    pub graphql: Url,
    /// Web pages and git.
    pub server: Url,
}

impl Endpoints {
    /// As the environment says, else github.com.
    pub fn of(environment: &Environment) -> Result<Self> {
        let address = |variable: &Variable, default: &str| -> Result<Url> {
            let text = environment.get(variable).unwrap_or(default);
            let url = Url::parse(text)
                .or_fail(Kind::Config, || format!("{}: '{text}' is no address", variable.name))?;
            if matches!(url.scheme(), "http" | "https") && url.has_host() {
                return Ok(url);
            }
            Err(Error::new(Kind::Config, format!("{}: '{text}' is neither http nor https", variable.name)))
        };
        let api = address(&environment::GITHUB_API_URL, "https://api.github.com")?;
        // GitHub Enterprise Server has REST below /api/v3 and GraphQL at /api/graphql.
        let beside = api.as_str().trim_end_matches('/').trim_end_matches("/v3").to_owned() + "/graphql";
        Ok(Self {
            graphql: address(&environment::GITHUB_GRAPHQL_URL, &beside)?,
            api,
            server: address(&environment::GITHUB_SERVER_URL, "https://github.com")?,
        })
    }

    /// The host of the web pages, which addresses in texts name.
    pub fn host(&self) -> &str {
        self.server.host_str().unwrap_or_default()
    }

    /// The git address of a repository.
    pub fn git(&self, repo: &str) -> String {
        format!("{}/{repo}.git", self.server.as_str().trim_end_matches('/'))
    }
}
