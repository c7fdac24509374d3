//! A GitHub App: tokens of its installation, minted when needed, narrowed to one repository, shared by the
//! processes of one state directory.
//!
//! A token lives for an hour. It is kept sealed in `.cq/cache` and read by whoever needs one; a lock lets one
//! process mint while the others wait for what it gets. That lock is held while GitHub is asked.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::TimeDelta;
use serde_json::Value;

use super::credential::digest;
use super::permissions::Permissions;
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, Kind, Result};
use crate::redact::Redactor;
use crate::state::{durable, lock};

mod key;
mod mint;
mod sealed;

pub use key::Key;
pub use mint::{Door, Installation};
pub use sealed::Minted;

/// Tokens are good for GitHub's time, which is the machine's, whatever the rehearsal's clock says.
const CLOCK: Clock = Clock::System;
/// A token that ends sooner is not begun with: a push may take a while.
const MARGIN: TimeDelta = TimeDelta::minutes(5);

/// An App, as the configuration names it.
#[derive(Debug)]
pub struct Identity {
    /// Its id or client id.
    pub id: String,
    /// Its private key.
    pub key: Key,
    /// The installation; none to look up the repository's.
    pub installation: Option<u64>,
    /// `owner/name`: all that its tokens are good for.
    pub repo: String,
    /// What its tokens may do.
    pub permissions: Permissions,
}

/// An App that signs requests.
#[derive(Debug)]
pub struct App {
    identity: Identity,
    door: Door,
    /// `.cq/cache`, where there is a state directory.
    folder: Option<PathBuf>,
    redactor: Redactor,
    held: Mutex<Option<Minted>>,
}

impl App {
    /// An App; nothing is asked yet. `folder` is `.cq/cache`, where there is a state directory.
    pub fn new(identity: Identity, door: Door, folder: Option<PathBuf>, redactor: Redactor) -> Result<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if identity.id.is_empty() || !identity.id.bytes().all(plain) {
            return Err(Error::new(Kind::Config, format!("'github.app.id': '{}' is no id", identity.id))
                .hint("it is a number such as 12345, or a client id such as Iv23liAbCdEfGhIjKlMn"));
        }
        Ok(Self { identity, door, folder, redactor, held: Mutex::default() })
    }

    /// A token that lasts for five minutes at least.
    pub fn token(&self) -> Result<Minted> {
        let mut held = self.held();
        if let Some(minted) = held.as_ref().filter(|minted| lasts(minted)) {
            return Ok(minted.clone());
        }
        let minted = match self.kept() {
            Some(minted) => minted,
            None => self.alone(|| self.kept().map_or_else(|| self.mint(), Ok))?,
        };
        Ok(self.hold(&mut held, minted))
    }

    /// Another token than the one that GitHub refused: what another process has got in the meantime, or a new one.
    pub fn renew(&self, refused: &str) -> Result<()> {
        let mut held = self.held();
        let minted = self.alone(|| match self.kept().filter(|kept| kept.token != refused) {
            Some(minted) => Ok(minted),
            None => self.mint(),
        })?;
        self.hold(&mut held, minted);
        Ok(())
    }

    /// `app-ID-INSTALLATION`: who has a budget of its own at GitHub.
    pub fn identity(&self) -> Result<String> {
        let installation = match self.identity.installation {
            Some(installation) => installation,
            None => self.token()?.installation,
        };
        Ok(format!("app-{}-{installation}", self.identity.id))
    }

    /// What the App's tokens are asked to be able to do.
    pub fn wanted(&self) -> &Permissions {
        &self.identity.permissions
    }

    /// The installation as GitHub describes it, with all that it was granted.
    pub fn installation(&self) -> Result<Installation> {
        self.door.installation(&self.identity, &self.redactor)
    }

    /// Drops the token that is kept, so that the next one is minted; if `only` is given, no other than that one.
    /// Returns whether there was one.
    pub fn forget(&self, only: Option<&str>) -> Result<bool> {
        let mut held = self.held();
        self.alone(|| match self.found().filter(|kept| only.is_none_or(|only| only == kept.token)) {
            Some(_) => {
                *held = None;
                self.remove().map(|()| true)
            }
            None => Ok(false),
        })
    }

    /// Makes the token that is kept worthless, and drops it. Returns whether there was one.
    pub fn revoke(&self) -> Result<bool> {
        let mut held = self.held();
        self.alone(|| {
            let Some(kept) = self.found() else { return Ok(false) };
            self.redactor.learn(&kept.token);
            self.door.revoke(&kept.token, &self.redactor)?;
            *held = None;
            self.remove().map(|()| true)
        })
    }

    fn held(&self) -> MutexGuard<'_, Option<Minted>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(&self, held: &mut Option<Minted>, minted: Minted) -> Minted {
        self.redactor.learn(&minted.token);
        held.insert(minted).clone()
    }

    fn mint(&self) -> Result<Minted> {
        let minted = self.door.mint(&self.identity, &self.redactor)?;
        self.redactor.learn(&minted.token);
        if let Some(file) = self.file() {
            durable::replace_cheaply(&file, &sealed::seal(&minted, &self.identity)?)?;
        }
        Ok(minted)
    }

    /// What is kept and lasts.
    fn kept(&self) -> Option<Minted> {
        self.found().filter(lasts)
    }

    /// What is kept, whether or not it lasts. Unreadable or foreign is as good as nothing.
    fn found(&self) -> Option<Minted> {
        let text = durable::read(&self.file()?).ok()??;
        sealed::open(&text, &self.identity)
    }

    fn remove(&self) -> Result<()> {
        self.file().map_or(Ok(()), |file| durable::remove(&file))
    }

    fn file(&self) -> Option<PathBuf> {
        let Identity { id, installation, repo, permissions, .. } = &self.identity;
        let api = &self.door.endpoints.api;
        let name = digest(&format!("{api}\n{id}\n{installation:?}\n{repo}\n{permissions:?}"));
        self.folder.as_deref().map(|folder| folder.join(format!("app-token-{name:032x}.sealed")))
    }

    /// Does something that no other process does at the same time.
    fn alone<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let lock = self.folder.as_deref().map(|folder: &Path| folder.join("app-token.lock"));
        let _guard = lock.map(|path| lock::take(&path, lock::PATIENCE, CLOCK.now())).transpose()?;
        work()
    }
}

fn lasts(minted: &Minted) -> bool {
    minted.lasts(CLOCK.now(), MARGIN)
}

/// An App's id as a claim: a number where it is one.
fn issuer(id: &str) -> Value {
    id.parse::<u64>().map_or_else(|_| Value::from(id), Value::from)
}

/// GitHub's time, by how far it is from this machine's.
fn github_time(skew: TimeDelta) -> Timestamp {
    CLOCK.now() + skew
}
