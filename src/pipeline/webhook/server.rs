//! The way of a request: the address, the size, the signature, what it says; only then the desk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body::Body as _;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};

use super::Voice;
use super::connection::{BoundedListener, Peer};
use super::desk::{Done, Errand};
use super::door::{Opening, Rules};
use super::hooks::Hooks;
use crate::clock::Clock;
use crate::github::signature::{Secrets, Signed};
use crate::github::webhook::{self, LARGEST_BODY, Meaning, Refusal};

/// Bodies that are read at the same time, because each may be as large as [`LARGEST_BODY`].
const BODIES: usize = 8;
/// For a body, from the start of the connection.
const BODY: Duration = Duration::from_secs(6);
/// For the desk, from the start of the connection: an answer must be on its way before GitHub's ten seconds are over.
const DESK: Duration = Duration::from_millis(8500);
/// Refusals that are told in a minute; the rest is counted. A stranger must not be able to fill a disk.
const TOLD: u32 = 30;

/// What requests are held against.
pub(super) struct Gate {
    pub(super) secrets: Secrets,
    pub(super) path: String,
    pub(super) repo: String,
    pub(super) rules: Rules,
    pub(super) hooks: Hooks,
    pub(super) clock: Clock,
    pub(super) voice: Voice,
    pub(super) errands: mpsc::Sender<Errand>,
    pub(super) counters: Counters,
}

/// What is under way, and what was told.
pub(super) struct Counters {
    /// Places for bodies.
    bodies: Semaphore,
    /// Refusals in this minute.
    refused: AtomicU32,
}

impl Default for Counters {
    fn default() -> Self {
        Self { bodies: Semaphore::new(BODIES), refused: AtomicU32::new(0) }
    }
}

/// Why a request goes no further: the status, a sentence for the sender, and one for the log where it says more.
struct Stop {
    status: StatusCode,
    said: String,
    log: Option<String>,
}

impl Stop {
    fn new(status: StatusCode, said: impl Into<String>) -> Self {
        Self { status, said: said.into(), log: None }
    }

    fn log(mut self, sentence: String) -> Self {
        self.log = Some(sentence);
        self
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
        Self::new(status, refusal.to_string())
    }
}

type Passed<T> = Result<T, Stop>;

impl Gate {
    fn door(&self, peer: &Peer, headers: &HeaderMap) -> Passed<()> {
        let hooks = self.hooks.at(self.clock.now());
        let forwarded = headers.get_all("x-forwarded-for");
        let forwarded: Vec<&[u8]> = forwarded.iter().map(HeaderValue::as_bytes).collect();
        match self.rules.open(peer.address.ip(), forwarded.into_iter(), hooks.as_deref()) {
            Opening::Open => Ok(()),
            Opening::Unknown => {
                Err(Stop::new(StatusCode::SERVICE_UNAVAILABLE, "GitHub's addresses are not known"))
            }
            Opening::Garbled => Err(Stop::new(StatusCode::FORBIDDEN, "X-Forwarded-For is malformed")),
            Opening::Stranger(address) => {
                let mut sentence = format!("{address} is not an address of GitHub's webhooks");
                if address.is_loopback() {
                    sentence += "; is it a proxy (--trusted-proxy), or to be let in (--allow)?";
                }
                Err(Stop::new(StatusCode::FORBIDDEN, "not an address of GitHub's webhooks").log(sentence))
            }
        }
    }

    async fn pass(self: &Arc<Self>, peer: &Peer, request: Request) -> Passed<(StatusCode, String)> {
        let (head, body) = request.into_parts();
        self.door(peer, &head.headers)?;
        if head.uri.path() != self.path {
            return Err(Stop::new(StatusCode::NOT_FOUND, "nothing is here"));
        }
        if head.method != Method::POST {
            return Err(Stop::new(StatusCode::METHOD_NOT_ALLOWED, "only POST"));
        }
        if body.size_hint().lower() > LARGEST_BODY as u64 {
            return Err(too_large());
        }
        let place = timeout_at(peer.since + BODY, self.counters.bodies.acquire()).await;
        let place =
            place.map_err(|_| Stop::new(StatusCode::SERVICE_UNAVAILABLE, "too many deliveries at once"))?;
        let bytes = timeout_at(peer.since + BODY, whole(body)).await;
        let bytes = bytes
            .map_err(|_| Stop::new(StatusCode::REQUEST_TIMEOUT, "the body took too long to arrive"))??;
        let gate = self.clone();
        let understood = tokio::task::spawn_blocking(move || gate.understand(&head.headers, &bytes)).await;
        drop(place);
        let broke = |_| Stop::new(StatusCode::INTERNAL_SERVER_ERROR, "cannot read the delivery");
        let (delivery, meaning) = understood.map_err(broke)??;
        match meaning {
            Meaning::Ignored(why) => {
                self.voice.detail(&format!("delivery {delivery}: ignored: {why}"));
                Ok((StatusCode::ACCEPTED, format!("ignored: {why}")))
            }
            Meaning::Ping(events) => {
                let wanted = ["issues", "issue_comment"]
                    .iter()
                    .any(|name| events.iter().any(|e| e == name || e == "*"));
                let advice = if wanted { "" } else { "; without 'issues' it tells of no issue" };
                self.voice
                    .note(&format!("GitHub's hook is set up for the events {}{advice}", events.join(", ")));
                Ok((StatusCode::OK, "pong".to_owned()))
            }
            Meaning::Issue(record) => self.hand_over(delivery, record, peer.since + DESK).await,
        }
    }

    /// The signature, then what it vouches for. Blocking, because a large body takes its time.
    fn understand(&self, headers: &HeaderMap, body: &[u8]) -> Result<(String, Meaning), Refusal> {
        let text = |name: &str| -> Option<&str> {
            let mut values = headers.get_all(name).iter();
            values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok())
        };
        let signatures = headers.get_all("x-hub-signature-256");
        let signatures = signatures.iter().map(HeaderValue::as_bytes);
        let signed = self.secrets.verify(signatures, headers.contains_key("x-hub-signature"), body)?;
        let delivery = webhook::delivery_id(text("x-github-delivery"))?;
        let event = webhook::event_name(text("x-github-event"))?;
        if signed == Signed::Previous {
            self.voice.detail(&format!("delivery {delivery} is signed with the previous secret"));
        }
        let meaning = webhook::read(event, text(header::CONTENT_TYPE.as_str()), body, &self.repo)?;
        Ok((delivery, meaning))
    }

    /// Waits until the line is out. Where that takes too long the answer is an honest 503: the line may still come,
    /// and a redelivery is told what became of it.
    async fn hand_over(
        &self,
        delivery: String,
        record: Box<crate::record::Record>,
        until: Instant,
    ) -> Passed<(StatusCode, String)> {
        let busy = || Stop::new(StatusCode::SERVICE_UNAVAILABLE, "stdout is not read fast enough");
        let gone = || Stop::new(StatusCode::SERVICE_UNAVAILABLE, "nobody reads stdout any more");
        let (reply, done) = oneshot::channel();
        let errand = Errand::Issue { delivery, record, reply };
        timeout_at(until, self.errands.send(errand)).await.map_err(|_| busy())?.map_err(|_| gone())?;
        let done = timeout_at(until, done).await.map_err(|_| busy())?.map_err(|_| gone())?;
        Ok(match done {
            Done::Written => (StatusCode::OK, "written".to_owned()),
            Done::Already => (StatusCode::OK, "already delivered".to_owned()),
            Done::Left(why) => (StatusCode::ACCEPTED, format!("left alone: {why}")),
        })
    }

    fn complain(&self, stop: &Stop, headers: &HeaderMap, peer: &Peer) {
        if self.counters.refused.fetch_add(1, Ordering::Relaxed) >= TOLD {
            return;
        }
        let id = headers.get("x-github-delivery").and_then(|value| value.to_str().ok());
        let what = match webhook::delivery_id(id) {
            Ok(id) => format!("delivery {id}"),
            Err(_) => "a request".to_owned(),
        };
        let why = stop.log.as_ref().unwrap_or(&stop.said);
        let sentence = format!("{what} from {} is refused ({}): {why}", peer.address, stop.status.as_u16());
        // Not at the price of a delivery: where the desk is busy the log does without.
        let _ = self.errands.try_send(Errand::Refused(sentence));
    }

    /// Once a minute: how many refusals were not told.
    pub(super) fn count(&self) {
        let untold = self.counters.refused.swap(0, Ordering::Relaxed).saturating_sub(TOLD);
        if untold > 0 {
            let _ = self.errands.try_send(Errand::Refused(format!("{untold} more requests were refused")));
        }
    }
}

fn too_large() -> Stop {
    Stop::new(StatusCode::PAYLOAD_TOO_LARGE, "larger than GitHub's limit of 25 MB")
}

/// Reads a body, unless it turns out to be too large.
async fn whole(mut body: Body) -> Passed<Vec<u8>> {
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(0).min(LARGEST_BODY);
    let mut bytes = Vec::with_capacity(expected.min(1 << 20));
    while let Some(frame) = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|_| Stop::new(StatusCode::BAD_REQUEST, "the body broke off"))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > LARGEST_BODY {
            return Err(too_large());
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

async fn handle(
    State(gate): State<Arc<Gate>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
) -> Response {
    peer.heard();
    let headers = request.headers().clone();
    let (status, said) = gate.pass(&peer, request).await.unwrap_or_else(|stop| {
        gate.complain(&stop, &headers, &peer);
        (stop.status, stop.said)
    });
    let mut response = (status, said + "\n").into_response();
    // One request a connection: its end is that of the connection's time.
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    }
    response
}

/// Answers until it is told to stop, and then what has begun.
pub(super) async fn serve(listener: TcpListener, gate: Arc<Gate>, mut stop: watch::Receiver<bool>) {
    let app = Router::new().fallback(handle).with_state(gate);
    let service = app.into_make_service_with_connect_info::<Peer>();
    let stopped = async move {
        let _ = stop.wait_for(|stop| *stop).await;
    };
    let served = axum::serve(BoundedListener::new(listener), service).with_graceful_shutdown(stopped).await;
    // Accepting does not fail: the listener tries again.
    drop(served);
}
