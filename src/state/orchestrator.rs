//! One orchestrator per state directory: a lock that `cq-run` holds while it lives.

use super::{State, lock};
use crate::clock::span;
use crate::error::{Error, Kind, Result};

impl State {
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
