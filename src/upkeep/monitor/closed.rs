//! The part of a tick that keeps agents from issues that were closed while they waited.

use crate::claims;
use crate::error::Result;
use crate::github::{Client, issues};
use crate::record::{Record, Status};
use crate::session::Session;
use crate::upkeep::mirror;

/// Asks GitHub about issues before they are offered, where the tick asks about them anyhow.
pub(super) struct Door<'a> {
    session: &'a Session,
    dry_run: bool,
    asks: bool,
    client: Option<Client>,
}

impl<'a> Door<'a> {
    pub(super) fn of(session: &'a Session, dry_run: bool) -> Self {
        Self { session, dry_run, asks: session.loaded.config.github.mirror, client: None }
    }

    /// Whether a queued record is not to be offered, because its issue was closed: it is failed then.
    pub(super) fn is_shut(&mut self, record: &Record) -> Result<bool> {
        if record.status != Some(Status::Queued) || !self.is_closed(record) {
            return Ok(false);
        }
        let (session, number) = (self.session, record.number);
        if self.dry_run {
            session.note(&format!("would fail issue #{number}: the issue was closed"));
            return Ok(true);
        }
        // Whoever has begun on it meanwhile has it.
        let Some(_lock) = session.state.try_hold(record.instance())? else { return Ok(true) };
        claims::update(&session.state, record.claimed()?, number, |record| {
            if record.status == Some(Status::Queued) {
                record.outcome = None;
                let why = "the issue was closed";
                record.transition(Status::Failed, session.command, why, session.clock.now())?;
            }
            Ok(())
        })?;
        session.note(&format!("issue #{number} was closed: no agent is started for it"));
        Ok(true)
    }

    /// What is not known shuts no door: whoever shows labels, later in the tick, tells of the trouble.
    fn is_closed(&mut self, record: &Record) -> bool {
        if !self.asks {
            return false;
        }
        self.ask(record).unwrap_or_else(|error| {
            self.asks = mirror::is_of_one_issue(&error);
            false
        })
    }

    fn ask(&mut self, record: &Record) -> Result<bool> {
        self.asks = self.session.has_token()?;
        if !self.asks {
            return Ok(false);
        }
        let client = match self.client.take() {
            Some(client) => client,
            None => self.session.github_at_once()?,
        };
        issues::is_closed(self.client.insert(client), &record.repo, record.number)
    }
}
