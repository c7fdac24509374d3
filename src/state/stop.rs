//! The stop: one file, `stop`, that every command honours before it starts something new.

use std::fmt::{Display, Formatter};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{State, durable};
use crate::clock::{Timestamp, stamp};
use crate::error::{Error, Kind, OrFail, Result};

/// A stop in force.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Stop {
    /// How much is stopped.
    pub mode: Mode,
    /// Since when.
    pub at: Timestamp,
    /// Why, in the operator's words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

impl Display for Stop {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let colon = if self.reason.is_empty() { "" } else { ": " };
        let what = if self.mode == Mode::Freeze { "frozen" } else { "stopped" };
        write!(f, "{what} since {}{colon}{}", stamp(self.at), self.reason)
    }
}

/// How much is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Nothing new is claimed or started, and running agents stand still, where they are.
    Freeze,
    /// Nothing new is claimed or started; what runs goes on to its pull request.
    Drain,
    /// The same, and running agents were told to end.
    Abort,
}

impl Mode {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Freeze => "freeze",
            Self::Drain => "drain",
            Self::Abort => "abort",
        }
    }
}

impl State {
    /// The stop in force, if there is one. An unreadable file stops everything: better too much than too little.
    pub fn stop(&self) -> Result<Option<Stop>> {
        let path = self.path("stop");
        let Some(text) = durable::read(&path)? else { return Ok(None) };
        let stop = serde_json::from_str(&text)
            .or_fail(Kind::TryAgain, || format!("stopped: '{}' is there, but unreadable", path.display()));
        stop.map(Some).map_err(|error| error.hint("cq-stop --thaw removes it"))
    }

    /// Puts a stop in force, or lifts it.
    pub fn set_stop(&self, stop: Option<&Stop>) -> Result<()> {
        self.create()?;
        let path = self.path("stop");
        match stop {
            None => durable::remove(&path),
            Some(stop) => {
                let text =
                    serde_json::to_vec_pretty(stop).or_fail(Kind::Internal, || "cannot write the stop")?;
                durable::replace(&path, &text)
            }
        }
    }

    /// Whether running agents are to stand still. A stop that cannot be read moves no agent: neither way.
    pub fn freezes(&self) -> Option<bool> {
        self.stop().ok().map(|stop| stop.is_some_and(|stop| stop.mode == Mode::Freeze))
    }

    /// Refuses to start anything new while a stop is in force.
    pub fn refuse_when_stopped(&self) -> Result<()> {
        match self.stop()? {
            None => Ok(()),
            Some(stop) => Err(Error::new(Kind::TryAgain, stop).hint("cq-stop --thaw lifts the stop")),
        }
    }
}
