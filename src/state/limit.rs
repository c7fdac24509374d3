//! The fleet's rest, `limit.json`: after a usage limit or a refused login nobody starts an agent before it ends.
//!
//! A usage limit ends by itself, at the moment that the client named. A login that was refused is an operator's to
//! mend: until somebody has, one agent at a time tries it, less and less often, and the others wait for what it finds.

use std::fmt::{Display, Formatter};

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::lock::{self, Guard};
use super::{State, durable};
use crate::clock::{Timestamp, stamp};
use crate::error::{Error, Kind, OrFail, Result};

/// The first rest after a refused login; each further refusal doubles it.
const FIRST_LOGIN_REST: TimeDelta = TimeDelta::minutes(15);
/// No rest after a refused login is longer.
const LONGEST_LOGIN_REST: TimeDelta = TimeDelta::hours(6);
/// How long the others wait for the one that tries the login: a client needs three minutes to give up.
const TRIAL: TimeDelta = TimeDelta::minutes(10);

/// Why and until when no agent is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// When agents may be started again.
    pub until: Timestamp,
    /// What was said.
    pub reason: String,
    /// What has to happen before that is worth while.
    #[serde(default)]
    pub kind: Cause,
    /// How often in a row the login was refused.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refusals: u32,
    /// The run that tries the login while the others wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
}

/// What the fleet rests for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// A usage limit: time passes.
    #[default]
    UsageLimit,
    /// A refused login, or an account without money: an operator mends it.
    Auth,
}

/// One run tries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// The issue it works on.
    pub issue: u64,
    /// How long the others wait for it.
    pub until: Timestamp,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Display for Limit {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match &self.trial {
            Some(Trial { issue, .. }) => {
                write!(f, "no agent is started while that of issue #{issue} tries the login: {}", self.reason)
            }
            None => write!(f, "no agent is started before {}: {}", stamp(self.until), self.reason),
        }
    }
}

impl Limit {
    /// Whether it keeps other issues than `issue` from starting, or this one too.
    fn binds(&self, issue: Option<u64>, now: Timestamp) -> bool {
        let others = |trial: &Trial| trial.until > now && Some(trial.issue) != issue;
        self.until > now || self.trial.as_ref().is_some_and(others)
    }

    /// The rest after one more refused login. Of several refusals at once only the first counts: the others were
    /// under way when it came.
    fn after_refusal(known: Option<Self>, reason: &str, now: Timestamp) -> Self {
        let refusals = match known {
            Some(known) if known.kind == Cause::Auth && known.until > now => return known,
            Some(known) if known.kind == Cause::Auth => known.refusals + 1,
            _ => 1,
        };
        let rest = FIRST_LOGIN_REST * (1 << (refusals - 1).min(8));
        let until = now + rest.min(LONGEST_LOGIN_REST);
        Self { until, reason: reason.to_owned(), kind: Cause::Auth, refusals, trial: None }
    }

    /// The rest until a usage limit ends, unless a longer one is in force.
    fn after_limit(known: Option<Self>, until: Timestamp, reason: &str) -> Self {
        known.filter(|known| known.until >= until).unwrap_or_else(|| Self {
            until,
            reason: reason.to_owned(),
            kind: Cause::UsageLimit,
            refusals: 0,
            trial: None,
        })
    }
}

impl State {
    /// The rest in force, if there is one.
    pub fn limit(&self) -> Result<Option<Limit>> {
        Ok(self.known_limit()?.filter(|limit| limit.binds(None, self.clock.now())))
    }

    /// What the file says, also where it is over.
    fn known_limit(&self) -> Result<Option<Limit>> {
        let Some(text) = durable::read(&self.path("limit.json"))? else { return Ok(None) };
        // Unreadable is treated as over: the next refusal writes it again.
        Ok(serde_json::from_str(&text).ok())
    }

    /// Lets the whole fleet rest until a usage limit ends; gives the end of the rest.
    pub fn rest_until(&self, until: Timestamp, reason: &str) -> Result<Timestamp> {
        self.rest(|known| Limit::after_limit(known, until, reason))
    }

    /// Lets the whole fleet rest after a refused login; gives the end of the rest.
    pub fn rest_for_login(&self, reason: &str) -> Result<Timestamp> {
        let now = self.clock.now();
        self.rest(|known| Limit::after_refusal(known, reason, now))
    }

    fn rest(&self, decide: impl FnOnce(Option<Limit>) -> Limit) -> Result<Timestamp> {
        let _lock = self.limit_lock()?;
        let known = self.known_limit()?;
        let limit = decide(known.clone());
        if known.as_ref() != Some(&limit) {
            self.write_limit(&limit)?;
        }
        Ok(limit.until)
    }

    /// Refuses to start an agent while the fleet rests.
    pub fn refuse_while_resting(&self) -> Result<()> {
        self.limit()?.map_or(Ok(()), |limit| Err(self.resting(&limit)))
    }

    /// The same, at the last moment before an issue's agent is started. After a refused login this issue's becomes the
    /// one that tries it.
    pub fn leave_rest(&self, issue: u64) -> Result<()> {
        if self.known_limit()?.is_none() {
            return Ok(());
        }
        let _lock = self.limit_lock()?;
        let now = self.clock.now();
        match self.known_limit()? {
            Some(limit) if limit.binds(Some(issue), now) => Err(self.resting(&limit)),
            Some(limit) if limit.kind == Cause::Auth => {
                let trial = Some(Trial { issue, until: now + TRIAL });
                self.write_limit(&Limit { trial, ..limit })
            }
            _ => Ok(()),
        }
    }

    /// The login is accepted: nobody has to wait for that any more.
    pub fn login_works(&self) -> Result<()> {
        let is_auth = |limit: Option<Limit>| limit.is_some_and(|limit| limit.kind == Cause::Auth);
        if !is_auth(self.known_limit()?) {
            return Ok(());
        }
        let _lock = self.limit_lock()?;
        if is_auth(self.known_limit()?) { durable::remove(&self.path("limit.json")) } else { Ok(()) }
    }

    fn limit_lock(&self) -> Result<Guard> {
        lock::take(&self.path("limit.lock"), lock::PATIENCE, self.clock.now())
    }

    fn write_limit(&self, limit: &Limit) -> Result<()> {
        let text = serde_json::to_vec_pretty(limit).or_fail(Kind::Internal, || "cannot write the limit")?;
        durable::replace(&self.path("limit.json"), &text)
    }

    fn resting(&self, limit: &Limit) -> Error {
        let file = self.path("limit.json");
        Error::new(Kind::TryAgain, limit).hint(match limit.kind {
            Cause::UsageLimit => format!("remove '{}' to try sooner", file.display()),
            Cause::Auth => format!(
                "mend the agent's login or account, and remove '{}'; otherwise one agent at a time tries it, less \
                 and less often",
                file.display()
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::minutes(minutes)
    }

    fn state(folder: &tempfile::TempDir, minutes: i64) -> State {
        State::at(folder.path(), Clock::Fixed(at(minutes)), "test")
    }

    #[test]
    fn refused_logins_rest_longer_and_longer() {
        let mut known = None;
        let mut now = at(0);
        for minutes in [15, 30, 60, 120, 240, 360, 360, 360] {
            let limit = Limit::after_refusal(known, "no", now);
            assert_eq!((limit.until - now).num_minutes(), minutes);
            // One that was under way when it came changes nothing.
            assert_eq!(Limit::after_refusal(Some(limit.clone()), "no", now + TimeDelta::minutes(3)), limit);
            now = limit.until;
            known = Some(limit);
        }
        let limit = Limit::after_limit(None, at(10), "limit");
        assert_eq!(Limit::after_refusal(Some(limit), "no", at(11)).refusals, 1);
    }

    #[test]
    fn the_longer_rest_counts() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(state(&folder, 0).rest_until(at(60), "long").unwrap(), at(60));
        assert_eq!(state(&folder, 0).rest_until(at(30), "short").unwrap(), at(60));
        assert_eq!(state(&folder, 59).limit().unwrap().unwrap().reason, "long");
        assert!(state(&folder, 59).leave_rest(1).is_err());
        assert_eq!(state(&folder, 60).limit().unwrap(), None);
        state(&folder, 60).leave_rest(1).unwrap();
        state(&folder, 60).leave_rest(2).unwrap();
    }

    #[test]
    fn one_run_tries_the_login_and_the_others_wait_for_it() {
        let folder = tempfile::tempdir().unwrap();
        state(&folder, 0).rest_for_login("refused").unwrap();
        let error = state(&folder, 14).leave_rest(1).unwrap_err();
        assert_eq!(error.kind, Kind::TryAgain);
        assert!(error.hint.unwrap().starts_with("mend the agent's login"));
        state(&folder, 15).leave_rest(1).unwrap();
        state(&folder, 16).leave_rest(1).unwrap();
        let error = state(&folder, 16).leave_rest(2).unwrap_err().to_string();
        assert_eq!(error, "no agent is started while that of issue #1 tries the login: refused");
        assert!(state(&folder, 16).refuse_while_resting().is_err());
        // It died without a word: another one tries.
        state(&folder, 26).leave_rest(2).unwrap();
        assert_eq!(state(&folder, 27).rest_for_login("again").unwrap(), at(57));
        state(&folder, 57).leave_rest(2).unwrap();
        state(&folder, 58).login_works().unwrap();
        state(&folder, 58).leave_rest(3).unwrap();
        assert_eq!(state(&folder, 58).known_limit().unwrap(), None);
    }

    #[test]
    fn a_login_that_works_ends_no_usage_limit() {
        let folder = tempfile::tempdir().unwrap();
        state(&folder, 0).rest_until(at(60), "limit").unwrap();
        state(&folder, 0).login_works().unwrap();
        assert!(state(&folder, 0).limit().unwrap().is_some());
    }
}
