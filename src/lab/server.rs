//! The way of a request: counted, perhaps broken on purpose, let in or not, answered, tagged.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use super::answer::Failure;
use super::connection::{Cut, CuttableListener};
use super::faults;
use super::git::Git;
use super::log::{self, Said};
use super::shapes::Shapes;
use super::store::{LOGGED, Logged, Store};
use super::{
    ServeOptions, admit, apps, breakage, control, git_http, issues, labels, people, place, progress, pulls,
    relations, repositories, reviewers,
};
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
    pub delay: Duration,
    pub api: Router,
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
            .merge(reviewers::routes())
            .merge(progress::routes())
            .merge(people::routes())
            .merge(relations::routes())
            .merge(apps::routes())
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
        let app = Router::new().fallback(gate).with_state(self.lab);
        let service = app.into_make_service_with_connect_info::<Cut>();
        super::until_stopped(tokio::spawn(async move { axum::serve(self.listener, service).await })).await
    }
}

async fn gate(State(lab): State<Shared>, ConnectInfo(cut): ConnectInfo<Cut>, request: Request) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let at_ms = Clock::System.now_exact().timestamp_millis();
    if let Some(rest) = uri.path().strip_prefix("/_lab/") {
        return control::handle(&lab, rest, request).await.unwrap_or_else(IntoResponse::into_response);
    }
    let Some((said, request)) = log::listen_to(request).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let fault = faults::take(&mut lab.store().faults, method.as_str(), uri.path());
    let response = match fault {
        None => admit::answer(&lab, request).await,
        Some(fault) => breakage::answer(&lab, &cut, &fault, request).await,
    };
    note(&lab, at_ms, &method, &uri, response.status(), said);
    response
}

/// Counts by route, as tests want to know how often something was asked for, not which.
fn note(lab: &Lab, at_ms: i64, method: &Method, uri: &Uri, status: StatusCode, said: Said) {
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
    store.requests.push(Logged { at_ms, method: method.to_string(), target, status: status.as_u16(), said });
}

impl From<Failure> for Error {
    /// For the few places where an answer is not asked for by a client.
    fn from(failure: Failure) -> Self {
        Self::new(Kind::Internal, format!("{failure:?}"))
    }
}
