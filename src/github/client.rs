//! The HTTP client: timeouts on everything, GitHub's headers, errors told apart.

use std::time::Duration;

use serde_json::Value;
use ureq::http::{HeaderMap, Response, header};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, RequestExt as _};
use url::Url;

use super::{Endpoints, links};
use crate::clock::{Timestamp, stamp};
use crate::error::{Error, Kind, OrFail, Result};
use crate::session::Session;

/// The REST version that is asked for.
const API_VERSION: &str = "2022-11-28";
/// No answer is longer: 100 issues with bodies of 65,536 characters are less.
const LONGEST_BODY: u64 = 32 << 20;
/// How often a read is tried.
const TRIES: u32 = 3;

/// A client with its token.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    endpoints: Endpoints,
    token: Option<String>,
    now: Timestamp,
}

/// An answer that is not an error.
#[derive(Debug)]
pub struct Answer {
    /// The body; null where there was none.
    pub body: Value,
    /// The page after this one.
    pub next: Option<Url>,
}

/// What GitHub refused, for callers that know what to do about it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("GitHub answered {status}: {message}")]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The message, with what `errors` adds to it.
    pub message: String,
}

impl Client {
    /// A client for a session; without a token it can only read what is public.
    pub fn open(session: &Session) -> Result<Self> {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // A renamed repository answers 301; the token may only follow to the same host.
            .redirect_auth_headers(ureq::config::RedirectAuthHeaders::SameHost)
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_recv_response(Some(Duration::from_secs(30)))
            .timeout_global(Some(Duration::from_secs(120)))
            .user_agent(concat!("cq/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Ok(Self {
            agent: config.new_agent(),
            endpoints: Endpoints::of(&session.environment)?,
            token: super::token(session)?,
            now: session.clock.now(),
        })
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

    /// Reads; tries again after a failure of the network or the server.
    pub fn get(&self, url: &Url) -> Result<Answer> {
        let mut attempt = 1;
        loop {
            match self.once("GET", url, None) {
                Err(error) if error.kind == Kind::Unavailable && attempt < TRIES => {
                    std::thread::sleep(Duration::from_millis(200 << attempt));
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    /// Every page, as the server's links lead.
    pub fn pages(&self, first: Url, mut each: impl FnMut(Value) -> Result<()>) -> Result<()> {
        let mut next = Some(first);
        while let Some(url) = next {
            let answer = self.get(&url)?;
            each(answer.body)?;
            next = answer.next.filter(|next| next.origin() == self.endpoints.api.origin());
        }
        Ok(())
    }

    /// Writes, once.
    pub fn write(&self, method: &str, url: &Url, body: &Value) -> Result<Answer> {
        self.once(method, url, Some(body))
    }

    fn once(&self, method: &str, url: &Url, body: Option<&Value>) -> Result<Answer> {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(url.as_str())
            .header(header::ACCEPT, "application/vnd.github+json")
            .header("X-GitHub-Api-Version", API_VERSION);
        if let Some(token) = &self.token
            && url.origin() == self.endpoints.api.origin()
        {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let what = || format!("cannot {} '{}'", if method == "GET" { "read" } else { "write" }, shown(url));
        let not_sent = || format!("{}: the request cannot be built", what());
        let response = match body {
            None => request.body(()).or_fail(Kind::Internal, not_sent)?.with_agent(&self.agent).run(),
            Some(body) => {
                let text = body.to_string();
                let request = request.header(header::CONTENT_TYPE, "application/json").body(text);
                request.or_fail(Kind::Internal, not_sent)?.with_agent(&self.agent).run()
            }
        };
        let response = response.or_fail(Kind::Unavailable, what)?;
        self.understand(response).map_err(|error| error.context(what()))
    }

    fn understand(&self, mut response: Response<Body>) -> Result<Answer> {
        let status = response.status().as_u16();
        let text = response
            .body_mut()
            .with_config()
            .limit(LONGEST_BODY)
            .read_to_string()
            .or_fail(Kind::Unavailable, || "the answer broke off, or is too long")?;
        let body: Option<Value> =
            if text.is_empty() { Some(Value::Null) } else { serde_json::from_str(&text).ok() };
        if (200..300).contains(&status) {
            let body = body.ok_or_else(|| Error::new(Kind::Unavailable, "the answer is not JSON"))?;
            return Ok(Answer { body, next: links::next(response.headers()) });
        }
        Err(self.refusal(status, response.headers(), body.as_ref()))
    }

    /// 403 is three things: no permission, the primary rate limit, the secondary one.
    fn refusal(&self, status: u16, headers: &HeaderMap, body: Option<&Value>) -> Error {
        let refusal = Refusal { status, message: message(body) };
        let number = |name: &str| headers.get(name)?.to_str().ok()?.parse::<i64>().ok();
        let limited = number("x-ratelimit-remaining") == Some(0) || refusal.message.contains("rate limit");
        if matches!(status, 403 | 429) && (limited || status == 429) {
            let seconds = number("retry-after")
                .or_else(|| number("x-ratelimit-reset").map(|reset| reset - self.now.timestamp()))
                .unwrap_or(60)
                .max(1);
            let until = self.now + chrono::TimeDelta::seconds(seconds);
            let hint = format!("try again after {}", stamp(until));
            return Error::because(Kind::TryAgain, refusal, "the rate limit is reached").hint(hint);
        }
        match status {
            401 => Error::because(Kind::NotPermitted, refusal, "not signed in")
                .hint("the token is wrong or has expired; set GITHUB_TOKEN"),
            403 => Error::because(Kind::NotPermitted, refusal, "not permitted")
                .hint("the token needs 'issues', 'pull requests' and 'contents' of this repository"),
            404 if self.token.is_none() => {
                Error::because(Kind::NotPermitted, refusal, "not there, or not public")
                    .hint("set GITHUB_TOKEN to read a private repository")
            }
            404 => Error::because(Kind::NotPermitted, refusal, "not there, or not visible to this token")
                .hint("check the repository's name (--repo) and the token's permissions"),
            500.. | 408 => Error::because(Kind::Unavailable, refusal, "GitHub is in trouble"),
            _ => Error::because(Kind::Failed, refusal, "refused"),
        }
    }
}

/// An address without its query, which may be long.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}

/// `message`, and the messages of `errors`, whose items are objects or plain strings.
fn message(body: Option<&Value>) -> String {
    let Some(body) = body else { return "an answer that is not JSON".to_owned() };
    let mut said = vec![body["message"].as_str().unwrap_or("no message").to_owned()];
    for error in body["errors"].as_array().into_iter().flatten() {
        let text = error.as_str().or_else(|| error["message"].as_str()).map(str::to_owned).or_else(|| {
            let (field, code) = (error["field"].as_str()?, error["code"].as_str()?);
            Some(format!("{field}: {code}"))
        });
        said.extend(text);
    }
    said.join(": ")
}

/// One segment of a path, encoded: label names and branches may hold `/`, spaces and anything else.
pub fn segment(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn messages_of_every_shape_are_told() {
        let cases = [
            (json!({"message": "Not Found"}), "Not Found"),
            (
                json!({"message": "Validation Failed", "errors": [{"resource": "PullRequest", "code": "custom", "message": "A pull request already exists for o:b."}]}),
                "Validation Failed: A pull request already exists for o:b.",
            ),
            (json!({"message": "Validation Failed", "errors": ["plain"]}), "Validation Failed: plain"),
            (
                json!({"message": "Validation Failed", "errors": [{"field": "head", "code": "invalid"}]}),
                "Validation Failed: head: invalid",
            ),
            (json!([]), "no message"),
        ];
        for (body, expected) in cases {
            assert_eq!(message(Some(&body)), expected);
        }
    }

    #[test]
    fn segments_are_percent_encoded() {
        assert_eq!(segment("a/b c+ü"), "a%2Fb%20c%2B%C3%BC");
    }
}
