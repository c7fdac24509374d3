//! The fleet's rest, `limit.json`: after a usage limit or a refused login nobody starts an agent before it ends.

use std::fmt::{Display, Formatter};

use serde::{Deserialize, Serialize};

use super::{State, durable};
use crate::clock::{Timestamp, stamp};
use crate::error::{Error, Kind, OrFail, Result};

/// Why and until when no agent is started.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Limit {
    /// When agents may be started again.
    pub until: Timestamp,
    /// What was said.
    pub reason: String,
}

impl Display for Limit {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "no agent is started before {}: {}", stamp(self.until), self.reason)
    }
}

impl State {
    /// The rest in force, if there is one.
    pub fn limit(&self) -> Result<Option<Limit>> {
        let Some(text) = durable::read(&self.path("limit.json"))? else { return Ok(None) };
        // Unreadable is treated as over: the next refusal writes it again.
        let limit: Option<Limit> = serde_json::from_str(&text).ok();
        Ok(limit.filter(|limit| limit.until > self.clock.now()))
    }

    /// Lets the whole fleet rest until a moment, unless it rests for longer already.
    pub fn rest_until(&self, until: Timestamp, reason: &str) -> Result<()> {
        if self.limit()?.is_some_and(|limit| limit.until >= until) {
            return Ok(());
        }
        let text = serde_json::to_vec_pretty(&Limit { until, reason: reason.to_owned() })
            .or_fail(Kind::Internal, || "cannot write the limit")?;
        durable::replace(&self.path("limit.json"), &text)
    }

    /// Refuses to start an agent while the fleet rests.
    pub fn refuse_while_resting(&self) -> Result<()> {
        match self.limit()? {
            None => Ok(()),
            Some(limit) => Err(Error::new(Kind::TryAgain, limit)
                .hint(format!("remove '{}' to try sooner", self.path("limit.json").display()))),
        }
    }
}
