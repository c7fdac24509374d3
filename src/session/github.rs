//! GitHub, as the configuration and the environment want it spoken to.

use std::time::Duration;

use super::Session;
use crate::environment;
use crate::error::{Error, Kind, Result};
use crate::git::Remote;
use crate::github::credential::Credential;
use crate::github::{Access, Client, Endpoints};

impl Session {
    /// A client.
    pub fn github(&self) -> Result<Client> {
        let github = &self.loaded.config.github;
        let patience = self.options.max_wait.unwrap_or(Duration::from_secs(github.max_wait_seconds.into()));
        Ok(Client::new(Access {
            endpoints: Endpoints::of(&self.environment)?,
            version: github.api_version.clone(),
            credential: self.credential()?,
            cache: self.state.cache(),
            timeout: Duration::from_secs(github.timeout_seconds.max(1).into()),
            pause: Duration::from_millis(github.write_pause_milliseconds.into()),
            patience,
            told_by: (!self.options.quiet).then_some(self.command),
        }))
    }

    /// Who asks.
    fn credential(&self) -> Result<Credential> {
        Ok(self.token()?.map_or(Credential::Anonymous, Credential::Token))
    }

    /// The token: the configuration's, else GITHUB_TOKEN, else GH_TOKEN.
    pub fn token(&self) -> Result<Option<String>> {
        let environment = &self.environment;
        match &self.loaded.config.github.token {
            Some(text) => text.resolve("github.token", environment).map(Some),
            None => {
                let found = environment
                    .get(&environment::GITHUB_TOKEN)
                    .or_else(|| environment.get(&environment::GH_TOKEN));
                Ok(found.map(str::to_owned))
            }
        }
    }

    /// Refuses what cannot be done without a token.
    pub fn needs_token(&self, what: &str) -> Result<()> {
        match self.token()? {
            Some(_) => Ok(()),
            None => Err(Error::new(Kind::NotPermitted, format!("cannot {what}: no GitHub token"))
                .hint("set GITHUB_TOKEN, or github.token in the configuration")),
        }
    }

    /// The remote of a repository: the configuration's, else its address on GitHub, with the token if there is one.
    pub fn remote(&self, repo: &str) -> Result<Remote> {
        let endpoints = Endpoints::of(&self.environment)?;
        let address = match &self.loaded.config.git.remote {
            Some(text) => text.resolve("git.remote", &self.environment)?,
            None => endpoints.git(repo),
        };
        Ok(match self.token()? {
            Some(token) => Remote::with_token(address, &endpoints.server, &token),
            None => Remote::plain(address),
        })
    }
}
