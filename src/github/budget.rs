//! What may be sent when: GitHub's limits as one value that every process with the same token shares. Pure.
//!
//! The numbers are GitHub's own, from its pages on rate limits and best practices for the REST API: a primary
//! limit for each resource, told in the headers of each answer; secondary limits on points a minute, on what
//! creates content, and on writes in quick succession, told only by refusing.

use std::collections::VecDeque;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// Content creations allowed in a minute.
const CREATIONS_A_MINUTE: usize = 80;
/// Content creations allowed in an hour.
const CREATIONS_AN_HOUR: usize = 500;
/// Points allowed in a minute of REST: a read is 1, a write 5.
const REST_POINTS_A_MINUTE: u32 = 900;
/// Points allowed in a minute of GraphQL.
const GRAPHQL_POINTS_A_MINUTE: u32 = 2000;
/// The rest after a secondary limit that names no time; doubled each time it comes again.
const SECONDARY_SECONDS: i64 = 60;
/// No secondary limit is rested for longer, unless GitHub says so.
const LONGEST_SECONDARY_SECONDS: i64 = 3600;
/// A secondary limit counts as new when the last one is this long over.
const FORGIVEN_SECONDS: i64 = 600;
/// Failures in a row after which nothing is sent for a while.
const FAILURES: u32 = 5;
/// The first such while; doubled with every failed probe.
const OPEN_SECONDS: i64 = 30;
/// The longest.
const LONGEST_OPEN_SECONDS: i64 = 600;
/// A probe that says nothing for this long was killed: another may be sent.
const PROBE_SECONDS: i64 = 150;
/// How soon whoever waits for a probe may ask what it found.
pub const PROBE_POLL_SECONDS: i64 = 2;

/// What GitHub counts separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// REST.
    Core,
    /// GraphQL.
    GraphQl,
}

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    Read,
    /// Changes something that exists.
    Write,
    /// Makes something that people are told about: an issue, a comment, a pull request.
    Create,
}

/// A request that wants to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// On whose account.
    pub resource: Resource,
    /// To what effect.
    pub effect: Effect,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lesson {
    /// An answer, whatever it says; with what its headers tell of the primary limit.
    Answered(Option<Quota>),
    /// The primary limit is used up until then.
    Primary(Timestamp),
    /// A secondary limit; for so many seconds, where GitHub says it.
    Secondary(Option<i64>),
    /// No answer, or a server's error.
    Failed,
}

/// What is left of a primary limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Requests, or points.
    pub remaining: u64,
    /// When it is full again.
    pub reset: Timestamp,
}

/// A request's place in time: kept from the first question to the last, so that waiting does not lose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Turn(Option<Timestamp>);

/// An answer to "may I?".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// Send it.
    Granted,
    /// Ask again then; until then it is forbidden, for this reason.
    NotBefore(Timestamp, Why),
}

/// Why a request has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The primary limit.
    Primary,
    /// A secondary limit that GitHub named.
    Secondary,
    /// Secondary limits that are kept without being told.
    Pace,
    /// GitHub has failed several times in a row.
    Trouble,
}

impl Why {
    /// For people, after "GitHub: ".
    pub const fn text(self) -> &'static str {
        match self {
            Self::Primary => "the rate limit is used up",
            Self::Secondary => "a secondary rate limit is in force",
            Self::Pace => "writes are spaced out",
            Self::Trouble => "has failed several times in a row",
        }
    }
}

/// What is known of one token's limits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Budget {
    core: Account,
    graphql: Account,
    /// Nothing at all before then.
    secondary_until: Option<Timestamp>,
    /// How often in a row.
    secondary_times: u32,
    /// The first moment that no write has been promised.
    next_write: Option<Timestamp>,
    /// When the last write was sent.
    last_write: Option<Timestamp>,
    /// When content was created in the last hour.
    creations: VecDeque<Timestamp>,
    /// In a row.
    failures: u32,
    failed_at: Option<Timestamp>,
    /// Nothing but one probe before the circuit closes again; that one not before then.
    open_until: Option<Timestamp>,
    probe_since: Option<Timestamp>,
}

/// One resource.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Account {
    quota: Option<Quota>,
    refused_at: Option<Timestamp>,
    minute_began: Option<Timestamp>,
    points: u32,
    /// When those were sent that nobody has told the end of.
    under_way: VecDeque<Timestamp>,
    /// When the quota was last told.
    answered_at: Option<Timestamp>,
}

impl Budget {
    /// Whether a request may be sent. A grant is counted at once, before its answer; a refusal that the asker
    /// will not wait for (`patience`) leaves nothing behind.
    pub fn ask(
        &mut self,
        demand: Demand,
        turn: &mut Turn,
        now: Timestamp,
        pause: TimeDelta,
        patience: TimeDelta,
    ) -> Leave {
        let (at, why) = self.earliest(demand, *turn, now, pause);
        if at - now > patience {
            return Leave::NotBefore(at, why);
        }
        if demand.effect != Effect::Read && turn.0.is_none() {
            // The place in the queue of writes is taken now; the sleep comes after.
            self.next_write = Some(at + pause);
            turn.0 = Some(at);
        }
        if at > now {
            return Leave::NotBefore(at, why);
        }
        self.count(demand, now);
        Leave::Granted
    }

    fn earliest(&mut self, demand: Demand, turn: Turn, now: Timestamp, pause: TimeDelta) -> (Timestamp, Why) {
        let mut earliest = (now, Why::Pace);
        let mut not_before = |at: Option<Timestamp>, why| {
            if let Some(at) = at.filter(|at| *at > earliest.0) {
                earliest = (at, why);
            }
        };
        not_before(self.trouble(now), Why::Trouble);
        not_before(self.secondary_until, Why::Secondary);
        not_before(self.account(demand.resource).used_up(now), Why::Primary);
        not_before(self.account(demand.resource).minute_is_full(demand, now), Why::Pace);
        if demand.effect != Effect::Read {
            not_before(turn.0.or(self.next_write), Why::Pace);
            // Those whose turns a limit delayed do not all go when it ends.
            not_before(self.last_write.map(|last| last + pause), Why::Pace);
        }
        if demand.effect == Effect::Create {
            not_before(self.room_for_creation(now), Why::Pace);
        }
        earliest
    }

    /// While the circuit is open nobody sends; then one probe goes, and the others wait for what it finds.
    fn trouble(&self, now: Timestamp) -> Option<Timestamp> {
        let open_until = self.open_until?;
        let probing = self.probe_since.map(|since| since + TimeDelta::seconds(PROBE_SECONDS));
        match probing.filter(|until| *until > now) {
            Some(until) => Some(until.min(now + TimeDelta::seconds(PROBE_POLL_SECONDS))),
            None => Some(open_until),
        }
    }

    fn account(&mut self, resource: Resource) -> &mut Account {
        match resource {
            Resource::Core => &mut self.core,
            Resource::GraphQl => &mut self.graphql,
        }
    }

    fn room_for_creation(&mut self, now: Timestamp) -> Option<Timestamp> {
        while self.creations.front().is_some_and(|at| now - *at >= TimeDelta::hours(1)) {
            self.creations.pop_front();
        }
        let window = |allowed: usize, length: TimeDelta| {
            let oldest = self.creations.len().checked_sub(allowed)?;
            Some(*self.creations.get(oldest)? + length)
        };
        let minute = window(CREATIONS_A_MINUTE, TimeDelta::minutes(1));
        minute.max(window(CREATIONS_AN_HOUR, TimeDelta::hours(1)))
    }

    fn count(&mut self, demand: Demand, now: Timestamp) {
        if self.open_until.is_some() {
            self.probe_since = Some(now);
        }
        if demand.effect != Effect::Read {
            self.last_write = Some(now);
        }
        if demand.effect == Effect::Create {
            self.creations.push_back(now);
        }
        let account = self.account(demand.resource);
        if let Some(quota) = &mut account.quota {
            quota.remaining = quota.remaining.saturating_sub(1);
        }
        account.points += points(demand);
        account.under_way.push_back(now);
    }

    /// Takes note of what became of a request that was sent a while ago.
    pub fn learn(&mut self, resource: Resource, lesson: Lesson, sent: Timestamp, now: Timestamp) {
        let lost = now - TimeDelta::seconds(PROBE_SECONDS);
        let under_way = &mut self.account(resource).under_way;
        under_way.pop_front();
        // Whoever was killed tells nothing.
        while under_way.front().is_some_and(|at| *at < lost) {
            under_way.pop_front();
        }
        match lesson {
            // Requests that were under way together fail together, for one reason.
            Lesson::Failed if self.failed_at.is_some_and(|failed| sent <= failed) => return,
            Lesson::Failed => {
                self.failures += 1;
                (self.failed_at, self.probe_since) = (Some(now), None);
                if self.failures >= FAILURES {
                    let doublings = (self.failures - FAILURES).min(16);
                    let seconds = (OPEN_SECONDS << doublings).min(LONGEST_OPEN_SECONDS);
                    self.open_until = Some(now + TimeDelta::seconds(seconds));
                }
                return;
            }
            Lesson::Answered(quota) => {
                let account = self.account(resource);
                // What was on its way when another request was refused knows nothing of it.
                if account.refused_at.is_none_or(|refused| sent > refused) {
                    account.quota = account.left(quota, sent).or(account.quota);
                    account.answered_at = Some(now);
                }
                let forgiven = |until| now - until >= TimeDelta::seconds(FORGIVEN_SECONDS);
                if self.secondary_until.is_some_and(forgiven) {
                    (self.secondary_until, self.secondary_times) = (None, 0);
                }
            }
            Lesson::Primary(reset) => {
                let account = self.account(resource);
                (account.quota, account.refused_at) = (Some(Quota { remaining: 0, reset }), Some(now));
            }
            Lesson::Secondary(seconds) => {
                let doubled = SECONDARY_SECONDS << self.secondary_times.min(16);
                let seconds =
                    seconds.unwrap_or(doubled.min(LONGEST_SECONDARY_SECONDS)).max(SECONDARY_SECONDS);
                let until = now + TimeDelta::seconds(seconds);
                // Requests that were under way together are refused together, for one reason.
                if self.secondary_until.is_none_or(|known| known <= now) {
                    self.secondary_times += 1;
                }
                self.secondary_until = self.secondary_until.max(Some(until));
            }
        }
        // An answer, even a refusal, shows that GitHub is there.
        (self.failures, self.failed_at, self.open_until, self.probe_since) = (0, None, None, None);
    }
}

impl Account {
    /// What an answer leaves to those that are not under way: it knows nothing of these. Where it was asked for before
    /// another answer came, it may be the older of the two.
    fn left(&self, told: Option<Quota>, sent: Timestamp) -> Option<Quota> {
        let Quota { remaining, reset } = told?;
        let under_way = u64::try_from(self.under_way.len()).unwrap_or(u64::MAX);
        let remaining = remaining.saturating_sub(under_way);
        let same_window = |known: &Quota| (reset - known.reset).abs() < TimeDelta::minutes(1);
        let overtaken = self.answered_at.is_some_and(|answered| sent <= answered);
        let known = self.quota.filter(|known| overtaken && same_window(known));
        let remaining = known.map_or(remaining, |known| known.remaining.min(remaining));
        Some(Quota { remaining, reset })
    }

    fn used_up(&self, now: Timestamp) -> Option<Timestamp> {
        let quota = self.quota.filter(|quota| quota.remaining == 0 && quota.reset > now)?;
        // A second more: the moment is told in whole seconds.
        Some(quota.reset + TimeDelta::seconds(1))
    }

    fn minute_is_full(&mut self, demand: Demand, now: Timestamp) -> Option<Timestamp> {
        let minute = TimeDelta::minutes(1);
        let began = self.minute_began.filter(|began| (TimeDelta::zero()..minute).contains(&(now - *began)));
        let Some(began) = began else {
            (self.minute_began, self.points) = (Some(now), 0);
            return None;
        };
        let allowed = match demand.resource {
            Resource::Core => REST_POINTS_A_MINUTE,
            Resource::GraphQl => GRAPHQL_POINTS_A_MINUTE,
        };
        (self.points + points(demand) > allowed).then(|| began + minute)
    }
}

const fn points(demand: Demand) -> u32 {
    match demand.effect {
        Effect::Read => 1,
        Effect::Write | Effect::Create => 5,
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
