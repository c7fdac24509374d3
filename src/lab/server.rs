//! The way of a request: counted, perhaps broken on purpose, let in or not, answered, tagged.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use tower::Service as _;

use super::answer::Failure;
use super::connection::{Cut, CuttableListener};
use super::faults::{self, Fault};
use super::git::Git;
use super::shapes::Shapes;
use super::store::{LOGGED, Logged, Store};
use super::{ServeOptions, control, git_http, issues, labels, place, pulls, repositories};
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, Kind, OrFail, Result};

/// What every handler works with.
pub(super) struct Lab {
    store: Mutex<Store>,
    pub git: Git,
    pub root: PathBuf,
    pub clock: Clock,
    pub base: String,
    pub token: String,
    delay: Duration,
    api: Router,
}

pub(super) type Shared = Arc<Lab>;

impl Lab {
    /// What the rehearsal knows. Not to be held while something is awaited (the compiler sees to it).
    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn shapes<'a>(&'a self, store: &'a Store) -> Shapes<'a> {
        Shapes { base: &self.base, store }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The bare repository, spelt as the seed spells it.
    pub(super) fn place(&self, owner: &str, name: &str) -> Result<PathBuf, Failure> {
        let store = self.store();
        let repository = store.repository(owner, name)?;
        Ok(place(&self.root, &repository.owner, &repository.name))
    }
}

/// A server that listens and does not answer yet.
pub(super) struct Listening {
    pub base: String,
    listener: CuttableListener,
    lab: Shared,
}

/// Takes the address.
pub(super) async fn listen(
    options: &ServeOptions,
    git: Git,
    root: PathBuf,
    store: Store,
) -> Result<Listening> {
    let attempt = || format!("cannot listen on '{}'", options.listen);
    let listener = tokio::net::TcpListener::bind(options.listen).await.or_fail(Kind::Config, attempt)?;
    let base = format!("http://{}", listener.local_addr().or_fail(Kind::Internal, attempt)?);
    let (token, clock, delay) = (options.token.clone(), options.clock, options.delay);
    let lab = Arc::new_cyclic(|lab: &std::sync::Weak<Lab>| {
        let api = Router::new()
            .merge(repositories::routes())
            .merge(issues::routes())
            .merge(labels::routes())
            .merge(pulls::routes())
            .fallback(async || Failure::not_found())
            .with_state(Link(lab.clone()));
        Lab { store: Mutex::new(store), git, root, clock, base: base.clone(), token, delay, api }
    });
    Ok(Listening { base, listener: CuttableListener(listener), lab })
}

/// The way from a handler to the lab, which owns the handlers.
#[derive(Clone)]
pub(super) struct Link(std::sync::Weak<Lab>);

impl axum::extract::FromRequestParts<Link> for Here {
    type Rejection = Failure;

    async fn from_request_parts(_: &mut axum::http::request::Parts, link: &Link) -> Result<Self, Failure> {
        link.0.upgrade().map(Self).ok_or_else(Failure::not_found)
    }
}

/// The lab, as handlers ask for it.
pub(super) struct Here(pub Shared);

impl Listening {
    /// Answers until SIGTERM or SIGINT.
    pub(super) async fn until_stopped(self) -> Result<()> {
        use tokio::signal::unix::{SignalKind, signal};

        let attempt = || "cannot wait for signals";
        let mut term = signal(SignalKind::terminate()).or_fail(Kind::Internal, attempt)?;
        let mut interrupt = signal(SignalKind::interrupt()).or_fail(Kind::Internal, attempt)?;
        let app = Router::new().fallback(gate).with_state(self.lab);
        let service = app.into_make_service_with_connect_info::<Cut>();
        let server = tokio::spawn(async move { axum::serve(self.listener, service).await });
        std::future::poll_fn(|cx| {
            let stopped = term.poll_recv(cx).is_ready() || interrupt.poll_recv(cx).is_ready();
            if stopped || server.is_finished() {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        })
        .await;
        // At once: what a client still waits for is its affair, as with a real server that goes away.
        server.abort();
        Ok(())
    }
}

async fn gate(State(lab): State<Shared>, ConnectInfo(cut): ConnectInfo<Cut>, request: Request) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    if let Some(rest) = uri.path().strip_prefix("/_lab/") {
        return control::handle(&lab, rest, request).await.unwrap_or_else(IntoResponse::into_response);
    }
    let fault = faults::take(&mut lab.store().faults, method.as_str(), uri.path());
    let response = match fault {
        None => answer(&lab, request).await,
        Some(fault) => broken(&lab, &cut, &fault, request).await,
    };
    note(&lab, &method, &uri, response.status());
    response
}

async fn broken(lab: &Shared, cut: &Cut, fault: &Fault, request: Request) -> Response {
    if fault.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
    }
    if fault.after_effect {
        answer(lab, request).await;
    }
    let Some(status) = fault.status.and_then(|status| StatusCode::from_u16(status).ok()) else {
        cut.cut();
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let body = match &fault.body {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let kind = if fault.body.is_string() { "text/html" } else { "application/json; charset=utf-8" };
    let mut response = (status, [(header::CONTENT_TYPE, kind)], body).into_response();
    for (name, value) in &fault.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Counts by route, as tests want to know how often something was asked for, not which.
fn note(lab: &Lab, method: &Method, uri: &Uri, status: StatusCode) {
    let mut segments: Vec<&str> = uri.path().split('/').collect();
    match segments.get(1) {
        Some(&"repos") if segments.len() > 3 => (segments[2], segments[3]) = ("{owner}", "{repo}"),
        Some(&"repositories") if segments.len() > 2 => segments[2] = "{id}",
        _ if git_http::Target::of(uri.path()).is_some() => {
            (segments[1], segments[2]) = ("{owner}", "{repo}.git");
        }
        _ => {}
    }
    let shown = segments.iter().enumerate().map(|(index, segment)| {
        let named = index > 0 && ["labels", "collaborators", "commits"].contains(&segments[index - 1]);
        let number = !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
        if number {
            "{number}"
        } else if named {
            "{name}"
        } else {
            segment
        }
    });
    let route = format!("{method} {}", shown.collect::<Vec<_>>().join("/"));
    let target = uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let mut store = lab.store();
    *store.routes.entry(route).or_default() += 1;
    if store.requests.len() == LOGGED {
        store.requests.remove(0);
    }
    store.requests.push(Logged { method: method.to_string(), target, status: status.as_u16() });
}

async fn answer(lab: &Shared, request: Request) -> Response {
    if let Some(target) = git_http::Target::of(request.uri().path()) {
        return git_http::handle(lab, &target, request).await.unwrap_or_else(IntoResponse::into_response);
    }
    if !lab.delay.is_zero() {
        tokio::time::sleep(lab.delay).await;
    }
    let Some(request) = read_whole(request).await else { return StatusCode::BAD_REQUEST.into_response() };
    let (headers, method) = (request.headers().clone(), request.method().clone());
    let free = request.uri().path() == "/rate_limit";
    let authenticated = matches!(credentials(lab, &headers), Credentials::Right);
    let response = match admit(lab, &headers, request) {
        Ok(request) => match lab.api.clone().call(request).await {
            Ok(response) => response,
            Err::<_, Infallible>(never) => match never {},
        },
        Err(failure) => failure.into_response(),
    };
    let mut response = if method == Method::GET { tagged(&headers, response).await } else { response };
    limits(lab, authenticated, free || response.status() == StatusCode::NOT_MODIFIED, response.headers_mut());
    response
}

/// No request of the API is larger.
const LARGEST_REQUEST: usize = 16 << 20;

/// A request with its body at hand. A refusal that left the body unread would end in a closed connection, which
/// a client with a pool notices only at its next request.
async fn read_whole(request: Request) -> Option<Request> {
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, LARGEST_REQUEST).await.ok()?;
    Some(Request::from_parts(parts, Body::from(bytes)))
}

/// Who asks.
pub(super) enum Credentials {
    None,
    Wrong,
    Right,
}

/// Looks at `Authorization`: `Bearer`, `token`, or Basic with the token as password.
pub(super) fn credentials(lab: &Lab, headers: &HeaderMap) -> Credentials {
    let Some(value) = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) else {
        return Credentials::None;
    };
    let (scheme, value) = value.split_once(' ').unwrap_or((value, ""));
    let right = match scheme.to_ascii_lowercase().as_str() {
        "bearer" | "token" => value.trim() == lab.token,
        "basic" => git_http::password(value.trim()).is_some_and(|password| password == lab.token),
        _ => false,
    };
    if right { Credentials::Right } else { Credentials::Wrong }
}

/// Lets a request in, or says why not, and leads `/repositories/ID/…` to `/repos/OWNER/NAME/…`.
fn admit(lab: &Lab, headers: &HeaderMap, mut request: Request) -> Result<Request, Failure> {
    if headers.get(header::USER_AGENT).is_none_or(HeaderValue::is_empty) {
        let message = "Request forbidden by administrative rules. Please make sure your request has a User-Agent header.";
        return Err(Failure::message(StatusCode::FORBIDDEN, message));
    }
    let credentials = credentials(lab, headers);
    if matches!(credentials, Credentials::Wrong) {
        return Err(Failure::message(StatusCode::UNAUTHORIZED, "Bad credentials"));
    }
    let path = request.uri().path().to_owned();
    let segments: Vec<&str> = path.split('/').collect();
    let store = lab.store();
    let repository = match segments.as_slice() {
        ["", "repos", owner, name, ..] => Some(store.repository(owner, name)?),
        ["", "repositories", id, ..] => {
            let found = store.repositories.iter().find(|repository| repository.id.to_string() == *id);
            Some(found.ok_or_else(Failure::not_found)?)
        }
        _ => None,
    };
    if matches!(credentials, Credentials::None) {
        if repository.is_some_and(|repository| repository.private) {
            return Err(Failure::not_found());
        }
        let reading = matches!(*request.method(), Method::GET | Method::HEAD);
        if !reading || path == "/user" {
            return Err(Failure::message(StatusCode::UNAUTHORIZED, "Requires authentication"));
        }
    }
    if let (Some(repository), ["", "repositories", _, rest @ ..]) = (repository, segments.as_slice()) {
        let mut target = format!("/repos/{}/{}", repository.owner, repository.name);
        for segment in rest {
            target = target + "/" + segment;
        }
        if let Some(query) = request.uri().query() {
            target = target + "?" + query;
        }
        *request.uri_mut() = target.parse().map_err(|_| Failure::not_found())?;
    }
    Ok(request)
}

/// Gives a good answer its ETag; where the client has that one already, only says so.
async fn tagged(headers: &HeaderMap, response: Response) -> Response {
    use std::hash::{DefaultHasher, Hasher as _};

    if response.status() != StatusCode::OK {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mut hasher = DefaultHasher::new();
    hasher.write(&bytes);
    hasher.write(parts.headers.get(header::LINK).map_or(b"", |link| link.as_bytes()));
    let tag = format!("W/\"{:016x}\"", hasher.finish());
    let strip = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if let Ok(tag) = HeaderValue::try_from(&tag) {
        parts.headers.insert(header::ETAG, tag);
    }
    parts.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=60, s-maxage=60"));
    if known.is_some_and(|known| known.split(',').any(|one| strip(one) == strip(&tag))) {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(header::CONTENT_LENGTH);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(bytes))
}

/// The rate limit's headers and the request's id.
fn limits(lab: &Lab, authenticated: bool, free: bool, headers: &mut HeaderMap) {
    let mut store = lab.store();
    store.used += u64::from(!free);
    let limit: u64 = if authenticated { 5000 } else { 60 };
    let reset = u64::try_from(lab.now().timestamp()).unwrap_or(0) + 3600;
    let numbers = [
        ("x-ratelimit-limit", limit),
        ("x-ratelimit-remaining", limit.saturating_sub(store.used)),
        ("x-ratelimit-used", store.used),
        ("x-ratelimit-reset", reset),
    ];
    for (name, number) in numbers {
        headers.insert(name, HeaderValue::from(number));
    }
    headers.insert("x-ratelimit-resource", HeaderValue::from_static("core"));
    headers.insert("x-github-media-type", HeaderValue::from_static("github.v3; format=json"));
    let id = format!("CQ1A:{:04X}:{:06X}", std::process::id() & 0xffff, store.next_id());
    if let Ok(id) = HeaderValue::try_from(id) {
        headers.insert("x-github-request-id", id);
    }
}

impl From<Failure> for Error {
    /// For the few places where an answer is not asked for by a client.
    fn from(failure: Failure) -> Self {
        Self::new(Kind::Internal, format!("{failure:?}"))
    }
}
