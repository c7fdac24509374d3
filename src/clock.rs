//! The only `now`.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, SubsecRound, Utc};

/// A moment, UTC. Written as RFC 3339.
pub type Timestamp = DateTime<Utc>;

/// Where the time comes from.
#[derive(Debug, Clone, Copy)]
pub enum Clock {
    /// The machine's.
    System,
    /// Stands still: tests and rehearsals (`CQ_NOW`).
    Fixed(Timestamp),
}

impl Clock {
    /// Now, in whole seconds: what records hold.
    pub fn now(&self) -> Timestamp {
        self.now_exact().trunc_subsecs(0)
    }

    /// Now, in milliseconds: what events and log lines hold.
    pub fn now_exact(&self) -> Timestamp {
        match self {
            #[expect(clippy::disallowed_methods, reason = "this is the one place")]
            Self::System => Utc::now().trunc_subsecs(3),
            Self::Fixed(moment) => *moment,
        }
    }
}

/// Time since the machine was started, suspend counted; nobody can set it. What a run may take is measured by it:
/// the wall clock may jump by days.
pub fn since_boot() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(now.tv_sec.try_into().unwrap_or_default(), now.tv_nsec.try_into().unwrap_or_default())
}

/// A moment for people, to the second: `2026-01-31T09:30:00Z`.
pub fn stamp(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// How long ago, or until when, for people: `41 s`, `12 min`, `3 h 05 min`, `2 d 04 h`.
pub fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {:02} h", seconds / 86400, seconds % 86400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn spans_read_naturally() {
        let cases =
            [(-4, "0 s"), (41, "41 s"), (150, "2 min"), (11_100, "3 h 05 min"), (187_300, "2 d 04 h")];
        for (seconds, expected) in cases {
            assert_eq!(span(seconds), expected);
        }
    }
}
