//! The client: what every request goes through, from the limiter to the verdict, and what is tried again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use ureq::http::HeaderMap;
use url::{Origin, Url};

use super::budget::{Demand, Effect, Resource};
use super::cache::{Cache, Kept};
use super::credential::{Credential, digest};
use super::limiter::Limiter;
use super::verdict::{LATER, Verdict, by_whose_server, judge};
use super::wire::{Sent, Wire};
use super::{Endpoints, budget, links, verdict};
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, Kind, OrFail, Result};
use crate::redact::Redactor;

mod probe;
mod text;

pub use probe::Probe;

/// How often a request is sent that meets trouble.
const TRIES: u32 = 4;
/// How often a request is sent that meets a limit.
const LIMITS: u32 = 3;
/// The first wait after trouble; doubled each time.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// What a client is made of.
#[derive(Debug)]
pub struct Access {
    /// Where GitHub is.
    pub endpoints: Endpoints,
    /// `X-GitHub-Api-Version`.
    pub version: String,
    /// Who asks.
    pub credential: Arc<Credential>,
    /// Masks what an error's body may send back.
    pub redactor: Redactor,
    /// `.cq/cache`, where there is a state directory.
    pub cache: Option<PathBuf>,
    /// How long an answer may take to begin.
    pub timeout: Duration,
    /// Between two writes.
    pub pause: Duration,
    /// The longest wait for a limit.
    pub patience: Duration,
    /// Who tells people of waits; none for silence.
    pub told_by: Option<&'static str>,
}

/// A client with its token.
#[derive(Debug)]
pub struct Client {
    wire: Wire,
    endpoints: Endpoints,
    version: String,
    credential: Arc<Credential>,
    redactor: Redactor,
    cache: Option<Cache>,
    limiter: Limiter,
}

/// An answer that is not an error.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The body; null where there was none.
    pub body: Value,
    /// The page after this one.
    pub next: Option<Url>,
    /// The last page, where the server tells it.
    pub last: Option<Url>,
    /// What to ask with next time, to be told whether anything has changed.
    pub etag: Option<String>,
    /// The server's clock at the answer.
    pub date: Option<Timestamp>,
    /// The headers that tell of the token's rights: `x-oauth-scopes`.
    pub scopes: Option<String>,
}

/// When a write may be sent again after trouble, which may have come after it was done.
pub enum Repeat<'a> {
    /// Doing it twice is doing it once.
    Harmless,
    /// Only when this finds that it was not done; what it finds is the answer.
    Unless(&'a dyn Fn() -> Result<Option<Value>>),
}

/// A request, before it is sent.
struct Request<'a> {
    method: &'a str,
    url: &'a Url,
    body: Option<&'a str>,
    known: Option<&'a str>,
    demand: Demand,
}

impl Client {
    /// A client; without a credential it can only read what is public.
    pub fn new(access: Access) -> Result<Self> {
        let Access { endpoints, version, credential, redactor, cache, timeout, pause, patience, told_by } =
            access;
        // Each server has limits of its own.
        let account = format!("{} {}", endpoints.api, credential.identity()?);
        let account = format!("{:032x}", digest(&account));
        let mut limiter = Limiter::new(cache.as_deref(), &account, pause, patience);
        limiter.told_by = told_by;
        let cache = cache.as_deref().map(Cache::below);
        Ok(Self { wire: Wire::new(timeout), endpoints, version, credential, redactor, cache, limiter })
    }

    /// The address of a path below the API, such as `repos/o/r/issues`. Segments must be encoded already.
    pub fn address(&self, path: &str, query: &[(&str, &str)]) -> Result<Url> {
        let text = format!("{}/{path}", self.endpoints.api.as_str().trim_end_matches('/'));
        let mut url = Url::parse(&text).or_fail(Kind::Internal, || format!("bad address '{text}'"))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    /// Where GitHub is.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Reads, by way of the cache.
    pub fn get(&self, url: &Url) -> Result<Answer> {
        let Some(cache) = &self.cache else { return self.get_fresh(url) };
        let of = self.credential.cache_key()?;
        let kept = cache.find(&of, url);
        let answer = match self.get_if_changed(url, kept.as_ref().map(|kept| kept.etag.as_str()))? {
            Some(answer) => answer,
            None => match kept {
                Some(Kept { body, next, etag, .. }) => {
                    return Ok(Answer { body, next, etag: Some(etag), ..Answer::default() });
                }
                None => self.get_fresh(url)?,
            },
        };
        if let Some(etag) = &answer.etag {
            let (body, next) = (answer.body.clone(), answer.next.clone());
            cache.keep(&Kept { url: url.to_string(), of, etag: etag.clone(), next, body });
        }
        Ok(answer)
    }

    /// Reads; nothing is kept of it.
    pub fn get_fresh(&self, url: &Url) -> Result<Answer> {
        self.read(url, None)?.ok_or_else(|| unasked(url))
    }

    /// Reads what is not as it was when the server gave this ETag; none where it is.
    pub fn get_if_changed(&self, url: &Url, etag: Option<&str>) -> Result<Option<Answer>> {
        match self.read(url, etag)? {
            None if etag.is_none() => Err(unasked(url)),
            answer => Ok(answer),
        }
    }

    fn read(&self, url: &Url, known: Option<&str>) -> Result<Option<Answer>> {
        let demand = Demand { resource: Resource::Core, effect: Effect::Read };
        self.exchange(&Request { method: "GET", url, body: None, known, demand }, &Repeat::Harmless)
    }

    /// Every page, one after the other, as the server's links lead.
    pub fn pages(&self, first: Url, mut each: impl FnMut(Value) -> Result<()>) -> Result<()> {
        let mut next = Some(first);
        while let Some(url) = next {
            let answer = self.get(&url)?;
            each(answer.body)?;
            next = answer.next;
        }
        Ok(())
    }

    /// Changes what exists.
    pub fn write(
        &self,
        method: &str,
        url: &Url,
        body: Option<&Value>,
        repeat: &Repeat<'_>,
    ) -> Result<Answer> {
        self.change(Effect::Write, method, url, body, repeat)
    }

    /// Makes an issue, a comment, a pull request: what people are told about.
    pub fn create(&self, url: &Url, body: &Value, repeat: &Repeat<'_>) -> Result<Answer> {
        self.change(Effect::Create, "POST", url, Some(body), repeat)
    }

    fn change(
        &self,
        effect: Effect,
        method: &str,
        url: &Url,
        body: Option<&Value>,
        repeat: &Repeat<'_>,
    ) -> Result<Answer> {
        let body = body.map(Value::to_string);
        let demand = Demand { resource: Resource::Core, effect };
        let request = Request { method, url, body: body.as_deref(), known: None, demand };
        self.exchange(&request, repeat)?.ok_or_else(|| unasked(url))
    }

    /// Asks GraphQL. Gives `data` and `errors` as they came: some of what was asked for may be missing.
    pub fn query(&self, document: &str, variables: &Value) -> Result<Value> {
        let body = json!({ "query": document, "variables": variables }).to_string();
        let demand = Demand { resource: Resource::GraphQl, effect: Effect::Read };
        let url = &self.endpoints.graphql;
        let request = Request { method: "POST", url, body: Some(&body), known: None, demand };
        let answer = self.exchange(&request, &Repeat::Harmless)?.ok_or_else(|| unasked(url))?;
        Ok(answer.body)
    }

    /// Changes something by GraphQL. Gives `data` and `errors` as they came: a refusal is among them.
    pub fn mutate(&self, document: &str, variables: &Value, repeat: &Repeat<'_>) -> Result<Value> {
        let body = json!({ "query": document, "variables": variables }).to_string();
        let demand = Demand { resource: Resource::GraphQl, effect: Effect::Create };
        let url = &self.endpoints.graphql;
        let request = Request { method: "POST", url, body: Some(&body), known: None, demand };
        Ok(self.exchange(&request, repeat)?.ok_or_else(|| unasked(url))?.body)
    }

    /// None where nothing has changed.
    fn exchange(&self, request: &Request<'_>, repeat: &Repeat<'_>) -> Result<Option<Answer>> {
        let doing = if request.demand.effect == Effect::Read { "read" } else { "write" };
        self.tries(request, repeat)
            .map_err(|error| by_whose_server(error, request.url))
            .map_err(|error| error.context(format!("cannot {doing} '{}'", shown(request.url))))
    }

    fn tries(&self, request: &Request<'_>, repeat: &Repeat<'_>) -> Result<Option<Answer>> {
        let (mut troubles, mut limits, mut renewed) = (0, 0, false);
        let mut last: Option<Error> = None;
        loop {
            if let Err(error) = self.limiter.enter(request.demand) {
                // The trouble itself says more than that there has been too much of it.
                return Err(last.filter(|_| error.kind == Kind::Unavailable).unwrap_or(error));
            }
            let token = self.credential.token()?;
            let error = match self.once(request, token.as_deref()) {
                (Verdict::Good(body), headers) => return Ok(Some(answer(body, &headers))),
                (Verdict::Unchanged, _) => return Ok(None),
                (Verdict::Refused(error), _) => return Err(error),
                (Verdict::NotSignedIn(error), _) => {
                    // An App's token lasts an hour, and may end between two requests.
                    if renewed || !self.credential.renew(token.as_deref().unwrap_or_default())? {
                        return Err(error);
                    }
                    renewed = true;
                    continue;
                }
                (Verdict::Limited(error), _) => {
                    limits += 1;
                    if limits >= LIMITS {
                        return Err(error);
                    }
                    continue;
                }
                (Verdict::Trouble(error), _) => error,
            };
            troubles += 1;
            if troubles >= TRIES {
                return Err(error);
            }
            last = Some(error);
            let longest = FIRST_WAIT * (1 << troubles);
            std::thread::sleep(longest.mul_f64(0.5 + fastrand::f64() / 2.0));
            if let Repeat::Unless(look) = repeat
                && let Some(body) = look()?
            {
                return Ok(Some(Answer { body, ..Answer::default() }));
            }
        }
    }

    fn once(&self, request: &Request<'_>, token: Option<&str>) -> (Verdict, HeaderMap) {
        let servers: [Origin; 2] = [self.endpoints.api.origin(), self.endpoints.graphql.origin()];
        let sent = Sent {
            method: request.method,
            url: request.url,
            body: request.body,
            known: request.known,
            version: &self.version,
            bearer: token.map(|token| (token, servers.as_slice())),
        };
        let resource = request.demand.resource;
        let began = Clock::System.now_exact();
        match self.wire.send(&sent) {
            Ok(reply) => {
                let reply = reply.masked(&self.redactor);
                let (verdict, lesson) = judge(&reply, token.is_some(), Clock::System.now_exact());
                self.limiter.learn(resource, lesson, began);
                (verdict, reply.headers)
            }
            Err(error) => {
                let refused = error.will_stay();
                if !refused {
                    self.limiter.learn(resource, budget::Lesson::Failed, began);
                }
                let hint = if refused {
                    "check GITHUB_API_URL, and what stands between here and GitHub"
                } else {
                    LATER
                };
                let error = Error::because(Kind::Unavailable, error, "no answer").hint(hint);
                let verdict = if refused { Verdict::Refused(error) } else { Verdict::Trouble(error) };
                (verdict, HeaderMap::new())
            }
        }
    }

    /// Deletes answers that nobody has asked for in a week; gives how many.
    pub fn sweep(&self) -> usize {
        let now = std::time::SystemTime::from(Clock::System.now());
        self.cache.as_ref().map_or(0, |cache| cache.sweep(now))
    }
}

fn answer(body: Value, headers: &HeaderMap) -> Answer {
    let header = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
    Answer {
        body,
        next: links::to(headers, "next"),
        last: links::to(headers, "last"),
        etag: header("etag"),
        date: verdict::date(headers),
        scopes: header("x-oauth-scopes"),
    }
}

/// 304 to a request that named no ETag.
fn unasked(url: &Url) -> Error {
    let message =
        format!("'{}' is 'not modified', says GitHub to somebody who knows nothing of it", shown(url));
    Error::new(Kind::Unavailable, message).hint(LATER)
}

/// An address without its query, which may be long.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}

/// One segment of a path, encoded: label names and branches may hold `/`, spaces and anything else.
pub fn segment(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_percent_encoded() {
        assert_eq!(segment("a/b c+ü"), "a%2Fb%20c%2B%C3%BC");
    }
}
