//! One exchange with the server: timeouts, certificates, proxies, redirects, and no answer that is too long.

use std::io::Read as _;
use std::time::Duration;

use ureq::http::{self, HeaderMap, header};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, RequestExt as _};
use url::Url;

use crate::redact::Redactor;

/// No answer is longer, unpacked: 100 issues with bodies of 65,536 characters each are less.
pub(super) const LONGEST_BODY: u64 = 10 << 20;
/// No text of which only the end is wanted is read further: a job that prints for ever is not read for ever.
const LONGEST_TEXT: u64 = 256 << 20;
/// How many redirects are followed: a renamed repository is one.
const REDIRECTS: u32 = 5;
const GITHUB_JSON: &str = "application/vnd.github+json";

/// A request as it leaves.
#[derive(Debug, Clone)]
pub(super) struct Sent<'a> {
    pub method: &'a str,
    pub url: &'a Url,
    /// JSON.
    pub body: Option<&'a str>,
    /// The `If-None-Match` header.
    pub known: Option<&'a str>,
    /// `X-GitHub-Api-Version`.
    pub version: &'a str,
    /// The token, and the servers that may see it.
    pub bearer: Option<(&'a str, &'a [url::Origin])>,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    /// An error's body without secrets: a broken server or a proxy may send back what it was sent.
    pub(super) fn masked(mut self, redactor: &Redactor) -> Self {
        if self.status >= 400 {
            self.body = redactor.redact(&String::from_utf8_lossy(&self.body)).into_owned().into_bytes();
        }
        self
    }
}

/// Why nothing, or not all, came back.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// Not sent, or not answered whole: it may help to try again.
    #[error(transparent)]
    Network(#[from] ureq::Error),
    /// The body broke off.
    #[error("the answer broke off")]
    Body(#[from] std::io::Error),
    /// The answer is longer than any of GitHub's.
    #[error("the answer is longer than {} MiB", LONGEST_BODY >> 20)]
    TooLong,
    /// A redirect that leads nowhere, round in a circle, to another server, or to a place without encryption.
    #[error("{0}")]
    Redirect(String),
}

impl Broken {
    /// Whether trying again would come to the same: an answer that is too long, a certificate that nobody vouches for.
    pub(super) fn will_stay(&self) -> bool {
        match self {
            Self::TooLong | Self::Redirect(_) => true,
            Self::Network(ureq::Error::Io(error)) => error.kind() == std::io::ErrorKind::InvalidData,
            Self::Network(error) => matches!(error, ureq::Error::Tls(_) | ureq::Error::Rustls(_)),
            Self::Body(_) => false,
        }
    }
}

/// Connections, kept for the next request.
#[derive(Debug)]
pub(super) struct Wire {
    agent: Agent,
}

impl Wire {
    /// `patience` is the time until an answer begins; the whole exchange may take four times as long.
    pub(super) fn new(patience: Duration) -> Self {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // Redirects are followed here: ureq drops the body of a redirected write, and the token of a read.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(patience.min(Duration::from_secs(10))))
            .timeout_send_request(Some(patience))
            .timeout_send_body(Some(patience))
            .timeout_recv_response(Some(patience))
            .timeout_recv_body(Some(patience * 2))
            .timeout_global(Some(patience * 4))
            .user_agent(concat!("cq/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Self { agent: config.new_agent() }
    }

    /// Reads the end of a text, wherever the server leads: with the token only to the servers that may see it, and with
    /// nothing written. Whose word it is, is then that of whoever GitHub named.
    pub(super) fn send_for_text(&self, sent: &Sent<'_>, keep: usize) -> Result<Reply, Broken> {
        let mut url = sent.url.clone();
        for _ in 0..=REDIRECTS {
            let reply = self.once(sent, "GET", &url, None, Keep::End(keep))?;
            let Some(target) = redirect(&reply, &url)? else { return Ok(reply) };
            url = target;
        }
        Err(Broken::Redirect(format!("more than {REDIRECTS} redirects")))
    }

    /// Sends, and follows where the server leads.
    pub(super) fn send(&self, sent: &Sent<'_>) -> Result<Reply, Broken> {
        let (mut url, mut method, mut body) = (sent.url.clone(), sent.method, sent.body);
        for _ in 0..=REDIRECTS {
            let reply = self.once(sent, method, &url, body, Keep::All)?;
            let Some(target) = redirect(&reply, &url)? else { return Ok(reply) };
            // The token would stay here, but not what is written; and whose word would the answer be?
            let known = sent.bearer.is_some_and(|(_, servers)| servers.contains(&target.origin()));
            if target.origin() != sent.url.origin() && !known {
                let server = target.origin().ascii_serialization();
                return Err(Broken::Redirect(format!("a redirect to another server, {server}")));
            }
            if reply.status == 303 {
                (method, body) = ("GET", None);
            }
            url = target;
        }
        Err(Broken::Redirect(format!("more than {REDIRECTS} redirects")))
    }

    fn once(
        &self,
        sent: &Sent<'_>,
        method: &str,
        url: &Url,
        body: Option<&str>,
        keep: Keep,
    ) -> Result<Reply, Broken> {
        let mut request = http::Request::builder()
            .method(method)
            .uri(url.as_str())
            .header(header::ACCEPT, GITHUB_JSON)
            .header("X-GitHub-Api-Version", sent.version);
        if let Some((token, servers)) = sent.bearer
            && servers.contains(&url.origin())
        {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(known) = sent.known {
            request = request.header(header::IF_NONE_MATCH, known);
        }
        let response = match body {
            None => request.body(()).map_err(ureq::Error::from)?.with_agent(&self.agent).run()?,
            Some(text) => {
                let request = request.header(header::CONTENT_TYPE, "application/json").body(text);
                request.map_err(ureq::Error::from)?.with_agent(&self.agent).run()?
            }
        };
        let (parts, body) = response.into_parts();
        let bytes = match keep {
            Keep::End(keep) => end_of(body.into_reader(), keep)?,
            Keep::All => {
                let mut bytes = Vec::new();
                // What is counted is what comes out of the unpacking, so that a small packed answer cannot fill the
                // memory.
                body.into_reader().take(LONGEST_BODY + 1).read_to_end(&mut bytes)?;
                if bytes.len() as u64 > LONGEST_BODY {
                    return Err(Broken::TooLong);
                }
                bytes
            }
        };
        Ok(Reply { status: parts.status.as_u16(), headers: parts.headers, body: bytes })
    }
}

/// What of a body is wanted.
#[derive(Debug, Clone, Copy)]
enum Keep {
    /// All of it, or nothing.
    All,
    /// At most so many bytes of its end.
    End(usize),
}

/// The end of what can be read; of a text that has none, what came until it was enough.
fn end_of(reader: impl std::io::Read, keep: usize) -> Result<Vec<u8>, std::io::Error> {
    let mut reader = reader.take(LONGEST_TEXT);
    let (mut kept, mut chunk) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        let length = reader.read(&mut chunk)?;
        if length == 0 {
            kept.drain(..kept.len().saturating_sub(keep));
            return Ok(kept);
        }
        kept.extend_from_slice(&chunk[..length]);
        if kept.len() > 2 * keep + chunk.len() {
            kept.drain(..kept.len() - keep);
        }
    }
}

/// Where an answer leads, if it does.
fn redirect(reply: &Reply, from: &Url) -> Result<Option<Url>, Broken> {
    if !matches!(reply.status, 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let target = reply.headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
    let target = target.and_then(|target| from.join(target).ok());
    let Some(target) = target else {
        return Err(Broken::Redirect(format!("a redirect ({}) that leads nowhere", reply.status)));
    };
    match (from.scheme(), target.scheme()) {
        (_, "https") | ("http", "http") => Ok(Some(target)),
        (_, scheme) => Err(Broken::Redirect(format!("a redirect from {} to {scheme}", from.scheme()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_text_the_end_is_kept() {
        let text: Vec<u8> = (0..600_000_u32).map(|at| (at % 251) as u8).collect();
        for keep in [0, 10, 100_000, 700_000] {
            let end = end_of(text.as_slice(), keep).unwrap();
            assert_eq!(end, text[text.len().saturating_sub(keep)..], "{keep}");
        }
    }

    #[test]
    fn no_redirect_gives_encryption_up() {
        let cases = [
            ("https://a/x", "/y", Some("https://a/y")),
            ("https://a/x", "https://a/y", Some("https://a/y")),
            ("http://a/x", "https://a/y", Some("https://a/y")),
            ("http://a/x", "http://a/y", Some("http://a/y")),
            ("https://a/x", "http://a/y", None),
            ("https://a/x", "file:///etc/passwd", None),
            ("https://a/x", "http://[", None),
        ];
        for (from, to, expected) in cases {
            let headers = [(header::LOCATION, to.parse().unwrap())].into_iter().collect();
            let reply = Reply { status: 302, headers, body: Vec::new() };
            let target = redirect(&reply, &Url::parse(from).unwrap()).ok().flatten();
            assert_eq!(target.as_ref().map(Url::as_str), expected, "{from} {to}");
        }
    }
}
