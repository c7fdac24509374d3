//! One look at the server, whatever it answers: for whoever finds out what is wrong.

use chrono::TimeDelta;
use serde_json::Value;
use ureq::http::HeaderMap;
use url::{Origin, Url};

use super::super::verdict::{date, judge};
use super::super::wire::Sent;
use super::Client;
use crate::clock::Clock;
use crate::error::{Error, Kind, Result};

/// An answer as it came, refusals included.
#[derive(Debug)]
pub struct Probe {
    /// The HTTP status.
    pub status: u16,
    /// The body; null where it is not JSON.
    pub body: Value,
    /// By how much the server's clock is ahead of this machine's, where it tells the time.
    pub skew: Option<TimeDelta>,
    /// What it comes to; none for an answer that is none of an error.
    pub error: Option<Error>,
    headers: HeaderMap,
}

impl Probe {
    /// A header of the answer, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Client {
    /// Reads once: no cache, no second try, no wait for a limit. An error means that there was no answer.
    pub fn probe(&self, url: &Url) -> Result<Probe> {
        let token = self.credential.token()?;
        let servers: [Origin; 1] = [self.endpoints.api.origin()];
        let sent = Sent {
            method: "GET",
            url,
            body: None,
            known: None,
            version: &self.version,
            bearer: token.as_deref().map(|token| (token, servers.as_slice())),
        };
        let began = Clock::System.now();
        let reply = self.wire.send(&sent);
        let reply = reply.map_err(|error| Error::because(Kind::Unavailable, error, "no answer"))?;
        let reply = reply.masked(&self.redactor);
        let (verdict, _) = judge(&reply, token.is_some(), Clock::System.now_exact());
        Ok(Probe {
            status: reply.status,
            body: serde_json::from_slice(&reply.body).unwrap_or_default(),
            skew: date(&reply.headers).map(|date| date - began),
            error: verdict.error(),
            headers: reply.headers,
        })
    }
}
