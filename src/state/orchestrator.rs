//! One orchestrator per state directory: a lock that `cq-run` holds while it lives. One merge at a time: another.

use std::time::Duration;

use super::{State, lock};
use crate::clock::span;
use crate::error::{Error, Kind, Result};

/// How long a merge waits for the one before it.
const PATIENCE: Duration = Duration::from_secs(10);

impl State {
    /// Takes the lock under which pull requests are merged: each is judged by a base that nobody here is changing.
    pub fn merging(&self) -> Result<lock::Guard> {
        self.create()?;
        let now = self.clock.now();
        let guard = lock::take(&self.path("merge.lock"), PATIENCE, now)?;
        guard.sign(&lock::Holder::here(self.command, now));
        Ok(guard)
    }

    /// Takes the orchestrator's lock, or says who holds it.
    pub fn orchestrate(&self) -> Result<lock::Guard> {
        self.create()?;
        let path = self.path("run.lock");
        let Some(guard) = lock::try_take(&path)? else {
            let by = lock::holder(&path).map_or_else(
                || "another process".to_owned(),
                |holder| {
                    let since = span((self.clock.now() - holder.since).num_seconds());
                    let owner = &holder.owner;
                    format!("{} (pid {} on {}) for {since}", holder.command, owner.pid, owner.host)
                },
            );
            let message = format!("'{}' is orchestrated already, by {by}", self.dir().display());
            return Err(Error::new(Kind::TryAgain, message).hint("one cq-run per state directory is enough"));
        };
        guard.sign(&lock::Holder::here(self.command, self.clock.now()));
        Ok(guard)
    }
}
