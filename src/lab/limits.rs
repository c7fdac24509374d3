//! GitHub's limits, so that a client that ignores them is found out: what was used, until when nothing may be
//! asked, and who asked all the same.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::answer::{Failure, respond};

/// The limits of a seed. What is absent is not enforced.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    /// Requests of the REST API in a window.
    core: Option<u64>,
    /// Points of GraphQL in a window.
    graphql: Option<u64>,
    #[serde(default = "hour")]
    window_s: u64,
    secondary_writes_per_minute: Option<usize>,
    /// How long that minute is.
    #[serde(default = "minute")]
    secondary_window_s: u64,
    /// What `retry-after` says; 0 leaves it out, and a minute is meant.
    #[serde(default = "minute")]
    retry_after_s: u64,
    /// 403 or 429.
    #[serde(default = "forbidden")]
    status: u16,
}

const fn hour() -> u64 {
    3600
}
const fn minute() -> u64 {
    60
}
const fn forbidden() -> u16 {
    403
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            core: None,
            graphql: None,
            window_s: hour(),
            secondary_writes_per_minute: None,
            secondary_window_s: minute(),
            retry_after_s: minute(),
            status: forbidden(),
        }
    }
}

/// Which limit a request counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Resource {
    Core,
    Graphql,
}

impl Resource {
    pub(super) fn of(path: &str) -> Self {
        if path == "/graphql" { Self::Graphql } else { Self::Core }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Graphql => "graphql",
        }
    }
}

/// A request that should have waited.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Violation {
    method: String,
    path: String,
    /// `primary` or `secondary`.
    limit: &'static str,
    /// How much too early it came.
    early_ms: u128,
}

/// What was used, and what is forbidden.
#[derive(Debug)]
pub(super) struct Meter {
    limits: Limits,
    window: Instant,
    used: BTreeMap<Resource, u64>,
    writes: VecDeque<Instant>,
    /// After a secondary limit was hit: nothing at all until then.
    resting: Option<Instant>,
    /// Resources whose end was said to the client.
    told: Vec<Resource>,
    pub violations: Vec<Violation>,
}

impl Meter {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            window: Instant::now(),
            used: BTreeMap::new(),
            writes: VecDeque::new(),
            resting: None,
            told: Vec::new(),
            violations: Vec::new(),
        }
    }

    pub(super) fn limit(&self, resource: Resource) -> u64 {
        let limit = if resource == Resource::Core { self.limits.core } else { self.limits.graphql };
        limit.unwrap_or(5000)
    }

    pub(super) fn used(&self, resource: Resource) -> u64 {
        self.used.get(&resource).copied().unwrap_or(0)
    }

    pub(super) fn remaining(&self, resource: Resource) -> u64 {
        self.limit(resource).saturating_sub(self.used(resource))
    }

    /// Seconds until the window is over, rounded up.
    pub(super) fn resets_in(&self) -> i64 {
        let left = Duration::from_secs(self.limits.window_s).saturating_sub(self.window.elapsed());
        i64::try_from(left.as_secs() + u64::from(left.subsec_nanos() > 0)).unwrap_or(3600)
    }

    pub(super) fn count(&mut self, resource: Resource, points: u64) {
        *self.used.entry(resource).or_default() += points;
    }

    pub(super) fn is_enforced(&self, resource: Resource) -> bool {
        match resource {
            Resource::Core => self.limits.core.is_some(),
            Resource::Graphql => self.limits.graphql.is_some(),
        }
    }

    /// The refusal of a request that may not be answered. `now` is the epoch's seconds.
    pub(super) fn refuse(&mut self, method: &str, path: &str, now: i64) -> Option<Response> {
        let resource = Resource::of(path);
        if self.window.elapsed() >= Duration::from_secs(self.limits.window_s) {
            (self.window, self.used) = (Instant::now(), BTreeMap::new());
            self.told.clear();
        }
        let violation = |limit, early: Duration| {
            let (method, path, early_ms) = (method.to_owned(), path.to_owned(), early.as_millis());
            Violation { method, path, limit, early_ms }
        };
        if let Some(until) = self.resting {
            let early = until.saturating_duration_since(Instant::now());
            if !early.is_zero() {
                self.violations.push(violation("secondary", early));
                return Some(self.secondary());
            }
            self.resting = None;
        }
        if self.is_enforced(resource) && self.remaining(resource) == 0 {
            if self.told.contains(&resource) {
                let left = Duration::from_secs(u64::try_from(self.resets_in()).unwrap_or(0));
                self.violations.push(violation("primary", left));
            }
            self.told.push(resource);
            return Some(self.primary(resource, now));
        }
        let writes = resource == Resource::Core && !["GET", "HEAD"].contains(&method);
        if let Some(most) = self.limits.secondary_writes_per_minute.filter(|_| writes) {
            let window = Duration::from_secs(self.limits.secondary_window_s);
            while self.writes.front().is_some_and(|write| write.elapsed() >= window) {
                self.writes.pop_front();
            }
            if self.writes.len() >= most {
                let rest = if self.limits.retry_after_s == 0 { minute() } else { self.limits.retry_after_s };
                self.resting = Some(Instant::now() + Duration::from_secs(rest));
                return Some(self.secondary());
            }
            self.writes.push_back(Instant::now());
        }
        None
    }

    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.limits.status).unwrap_or(StatusCode::FORBIDDEN)
    }

    fn primary(&self, resource: Resource, now: i64) -> Response {
        let message = "API rate limit exceeded for user ID 1001.";
        let mut response = if resource == Resource::Graphql {
            let error = json!({"type": "RATE_LIMIT", "code": "graphql_rate_limit", "message": message});
            respond(StatusCode::OK, &json!({"errors": [error]}))
        } else {
            Failure::message(self.status(), message).into_response()
        };
        self.write(resource, now, response.headers_mut());
        response
    }

    fn secondary(&self) -> Response {
        let message =
            "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
        let mut response = Failure::message(self.status(), message).into_response();
        if self.limits.retry_after_s > 0 {
            response.headers_mut().insert("retry-after", HeaderValue::from(self.limits.retry_after_s));
        }
        response
    }

    /// The headers that tell a client where it stands.
    pub(super) fn write(&self, resource: Resource, now: i64, headers: &mut HeaderMap) {
        let numbers = [
            ("x-ratelimit-limit", self.limit(resource)),
            ("x-ratelimit-remaining", self.remaining(resource)),
            ("x-ratelimit-used", self.used(resource)),
            ("x-ratelimit-reset", u64::try_from(now + self.resets_in()).unwrap_or(0)),
        ];
        for (name, number) in numbers {
            headers.insert(name, HeaderValue::from(number));
        }
        headers.insert("x-ratelimit-resource", HeaderValue::from_static(resource.name()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(limits: serde_json::Value) -> Meter {
        Meter::new(serde_json::from_value(limits).unwrap())
    }

    #[test]
    fn who_goes_on_after_the_end_is_noted() {
        let mut meter = meter(json!({"core": 2}));
        for _ in 0..2 {
            assert!(meter.refuse("GET", "/user", 0).is_none());
            meter.count(Resource::Core, 1);
        }
        let refusal = meter.refuse("GET", "/user", 0).unwrap();
        assert_eq!((refusal.status(), meter.violations.len()), (StatusCode::FORBIDDEN, 0));
        assert_eq!(refusal.headers()["x-ratelimit-remaining"], "0");
        meter.refuse("GET", "/user", 0).unwrap();
        assert_eq!(meter.violations.len(), 1);
        assert!(meter.refuse("POST", "/graphql", 0).is_none());
    }

    #[test]
    fn writes_that_come_too_fast_end_in_a_rest_for_all() {
        let mut meter = meter(json!({"secondary_writes_per_minute": 1, "retry_after_s": 7, "status": 429}));
        assert!(meter.refuse("POST", "/x", 0).is_none());
        assert!(meter.refuse("GET", "/x", 0).is_none());
        let refusal = meter.refuse("POST", "/x", 0).unwrap();
        assert_eq!(
            (refusal.status().as_u16(), &refusal.headers()["retry-after"]),
            (429, &HeaderValue::from(7))
        );
        meter.refuse("GET", "/x", 0).unwrap();
        assert_eq!((meter.violations.len(), meter.violations[0].limit), (1, "secondary"));
    }
}
