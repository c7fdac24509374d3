//! Text that is no JSON, and that another server may hold: the logs of GitHub's CI.

use url::{Origin, Url};

use super::super::budget::{Demand, Effect, Lesson, Resource};
use super::super::verdict::{LATER, by_whose_server, judge};
use super::super::wire::Sent;
use super::Client;
use crate::clock::Clock;
use crate::error::{Error, Kind, Result};

impl Client {
    /// Reads the end of a text, at most `keep` bytes of it. GitHub's answer leads to a server that holds it, for a few
    /// minutes and without a token: that one is sent none. Trouble is not met a second time: there is a next look.
    pub fn text(&self, url: &Url, keep: usize) -> Result<String> {
        let failed =
            |error| by_whose_server(error, url).context(format!("cannot read '{}'", super::shown(url)));
        self.limiter.enter(Demand { resource: Resource::Core, effect: Effect::Read }).map_err(failed)?;
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
        let began = Clock::System.now_exact();
        let reply = match self.wire.send_for_text(&sent, keep) {
            Ok(reply) => reply.masked(&self.redactor),
            Err(error) => {
                let error = Error::because(Kind::Unavailable, error, "no answer").hint(LATER);
                return Err(failed(error));
            }
        };
        if (200..300).contains(&reply.status) {
            return Ok(String::from_utf8_lossy(&reply.body).into_owned());
        }
        let (verdict, lesson) = judge(&reply, token.is_some(), Clock::System.now_exact());
        // What a store says of itself is not GitHub's word about its limits.
        let is_githubs = reply.headers.contains_key("x-ratelimit-limit");
        let lesson = if is_githubs { lesson } else { Lesson::Answered(None) };
        self.limiter.learn(Resource::Core, lesson, began);
        let odd = || Error::new(Kind::Unavailable, format!("an answer {}", reply.status)).hint(LATER);
        Err(failed(verdict.error().unwrap_or_else(odd)))
    }
}
