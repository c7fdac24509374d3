//! GitHub: one client, and what cq asks of it.

use url::Url;

use crate::environment::{self, Environment, Variable};
use crate::error::{Error, Kind, OrFail, Result};
use crate::git::Remote;
use crate::session::Session;

pub mod client;
pub mod issues;
pub mod labels;
mod links;
pub mod pulls;
pub mod signature;
pub mod webhook;

pub use client::Client;

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
        Ok(Self {
            api: address(&environment::GITHUB_API_URL, "https://api.github.com")?,
            graphql: address(&environment::GITHUB_GRAPHQL_URL, "https://api.github.com/graphql")?,
            server: address(&environment::GITHUB_SERVER_URL, "https://github.com")?,
        })
    }

    /// The git address of a repository.
    pub fn git(&self, repo: &str) -> String {
        format!("{}/{repo}.git", self.server.as_str().trim_end_matches('/'))
    }
}

/// The token: the configuration's, else GITHUB_TOKEN, else GH_TOKEN.
pub fn token(session: &Session) -> Result<Option<String>> {
    let environment = &session.environment;
    match &session.loaded.config.github.token {
        Some(text) => text.resolve("github.token", environment).map(Some),
        None => {
            let found = environment
                .get(&environment::GITHUB_TOKEN)
                .or_else(|| environment.get(&environment::GH_TOKEN));
            Ok(found.map(str::to_owned))
        }
    }
}

/// The token, where nothing can be done without one.
pub fn token_for(session: &Session, what: &str) -> Result<String> {
    token(session)?.ok_or_else(|| {
        Error::new(Kind::NotPermitted, format!("cannot {what}: no GitHub token"))
            .hint("set GITHUB_TOKEN, or github.token in the configuration")
    })
}

/// The remote of a repository: the configuration's, else its address on GitHub, with the token if there is one.
pub fn remote(session: &Session, repo: &str) -> Result<Remote> {
    let endpoints = Endpoints::of(&session.environment)?;
    let address = match &session.loaded.config.git.remote {
        Some(text) => text.resolve("git.remote", &session.environment)?,
        None => endpoints.git(repo),
    };
    Ok(match token(session)? {
        Some(token) => Remote::with_token(address, &endpoints.server, &token),
        None => Remote::plain(address),
    })
}
