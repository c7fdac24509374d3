//! GitHub, as the configuration and the environment want it spoken to.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::Session;
use crate::config::{self, AppId};
use crate::environment;
use crate::error::{Error, Kind, Result};
use crate::git::Remote;
use crate::github::app::{self, App, Key};
use crate::github::credential::{Credential, Held, Source};
use crate::github::{Access, Client, Endpoints, permissions, sources};

impl Session {
    /// A client.
    pub fn github(&self) -> Result<Client> {
        let seconds = self.loaded.config.github.max_wait_seconds;
        self.client(self.options.max_wait.unwrap_or(Duration::from_secs(seconds.into())))
    }

    /// A client that waits for no limit, for whoever can do without an answer.
    pub fn github_at_once(&self) -> Result<Client> {
        self.client(Duration::ZERO)
    }

    fn client(&self, patience: Duration) -> Result<Client> {
        let github = &self.loaded.config.github;
        Client::new(Access {
            endpoints: self.endpoints()?,
            version: github.api_version.clone(),
            credential: self.credential()?,
            redactor: self.redactor(),
            cache: self.state.cache(),
            timeout: self.github_timeout(),
            pause: Duration::from_millis(github.write_pause_milliseconds.into()),
            patience,
            told_by: self.told_by(),
        })
    }

    /// Where GitHub is.
    pub fn endpoints(&self) -> Result<Endpoints> {
        Endpoints::of(&self.environment)
    }

    fn github_timeout(&self) -> Duration {
        Duration::from_secs(self.loaded.config.github.timeout_seconds.max(1).into())
    }

    fn told_by(&self) -> Option<&'static str> {
        (!self.options.quiet).then_some(self.command)
    }

    /// Who asks: found out once, and then kept, so that `gh` is asked once and an App mints once.
    pub fn credential(&self) -> Result<Arc<Credential>> {
        let mut kept = self.credential.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(credential) = kept.as_ref() {
            return Ok(Arc::clone(credential));
        }
        let found = Arc::new(self.find_credential()?);
        if let Credential::Token(held) = found.as_ref() {
            self.redactor.learn(held.token());
        }
        Ok(Arc::clone(kept.insert(found)))
    }

    fn find_credential(&self) -> Result<Credential> {
        if let Some(app) = &self.loaded.config.github.app {
            return self.app(app).map(|app| Credential::App(Box::new(app)));
        }
        let found = match self.tokens_set()?.into_iter().next() {
            Some(found) => Some(found),
            None => {
                sources::gh(&self.environment, &self.endpoints()?.server).map(|token| (Source::Gh, token))
            }
        };
        match found {
            Some((source, token)) => Held::new(token, source).map(Credential::Token),
            None => Ok(Credential::Anonymous),
        }
    }

    /// The tokens that are set: the configuration's, GITHUB_TOKEN, GH_TOKEN. The first one counts.
    pub fn tokens_set(&self) -> Result<Vec<(Source, String)>> {
        let configured = self.loaded.config.github.token.as_ref();
        let configured =
            configured.map(|text| text.resolve("github.token", &self.environment)).transpose()?;
        let inherited = |variable| self.environment.get(variable).map(str::to_owned);
        Ok([
            (Source::Configuration, configured),
            (Source::GitHubToken, inherited(&environment::GITHUB_TOKEN)),
            (Source::GhToken, inherited(&environment::GH_TOKEN)),
        ]
        .into_iter()
        .filter_map(|(source, token)| Some((source, token?)))
        .collect())
    }

    fn app(&self, app: &config::App) -> Result<App> {
        let resolve = |text: &config::Text, key| text.resolve(key, &self.environment);
        let key = match (&app.private_key_file, &app.private_key) {
            (Some(file), None) => {
                Key::read(&self.loaded.root.join(resolve(file, "github.app.privateKeyFile")?))?
            }
            (None, Some(text)) => Key::parse(&resolve(text, "github.app.privateKey")?)?,
            _ => {
                let message = "'github.app' needs privateKeyFile or privateKey, and not both";
                return Err(Error::new(Kind::Config, message));
            }
        };
        let identity = app::Identity {
            id: match &app.id {
                AppId::Number(id) => id.to_string(),
                AppId::Client(text) => resolve(text, "github.app.id")?,
            },
            key,
            installation: app.installation_id,
            repo: self.repo()?,
            permissions: app.permissions.clone().unwrap_or_else(permissions::needed),
        };
        let version = self.loaded.config.github.api_version.clone();
        let door = app::Door::new(self.endpoints()?, version, self.github_timeout(), self.told_by());
        App::new(identity, door, self.state.cache(), self.redactor())
    }

    /// Whether there is a token; nothing is minted to find out.
    pub fn has_token(&self) -> Result<bool> {
        Ok(!self.credential()?.is_anonymous())
    }

    /// Refuses what cannot be done without a token.
    pub fn needs_token(&self, what: &str) -> Result<()> {
        if self.has_token()? {
            return Ok(());
        }
        Err(Error::new(Kind::NotPermitted, format!("cannot {what}: no GitHub token")).hint(
            "set GITHUB_TOKEN, github.token or github.app in the configuration, or sign in with gh auth login",
        ))
    }

    /// The address of a repository's remote: the configuration's, else the one on GitHub.
    pub fn remote_address(&self, repo: &str) -> Result<String> {
        match &self.loaded.config.git.remote {
            Some(text) => text.resolve("git.remote", &self.environment),
            None => Ok(self.endpoints()?.git(repo)),
        }
    }

    /// The remote of a repository, with the token if there is one that belongs to its server.
    pub fn remote(&self, repo: &str) -> Result<Remote> {
        let (address, server) = (self.remote_address(repo)?, self.endpoints()?.server);
        if !Remote::is_of(&address, &server) {
            return Ok(Remote::plain(address));
        }
        Ok(Remote::signed(address, &server, self.credential()?))
    }
}
