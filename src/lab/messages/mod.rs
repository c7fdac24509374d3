//! The rehearsal's model: the Messages API on a loopback address, answering from a [`script`].
//!
//! A real Claude Code can be driven against it with no account (`ANTHROPIC_BASE_URL`, any key). Each request carries
//! its whole [`conversation`], which says what is due; the [`answer`] goes out as the published [`stream`] of
//! server-sent events; a [`failure`] looks as the API's own. `GET /_lab/requests` tells what came, without keys.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt as _;
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::error::{Kind, OrFail, Result};

mod answer;
mod conversation;
mod failure;
mod script;
mod stream;

use answer::Answer;
use conversation::Conversation;
use failure::Failure;
use script::Step;

/// What a rehearsed model needs to know.
#[derive(Debug, Clone)]
pub struct MessagesOptions {
    /// The script; without one, a file is written and committed.
    pub script: Option<PathBuf>,
    /// A loopback address; port 0 takes a free one.
    pub listen: std::net::SocketAddr,
    /// The only key that is let in; any where absent.
    pub key: Option<String>,
    /// Written, all at once, when the server listens.
    pub ready_file: Option<PathBuf>,
}

/// The API takes requests up to 32 MB.
const LARGEST_REQUEST: usize = 32 << 20;
/// So many requests are remembered.
const LOGGED: usize = 200;

struct Model {
    script: Option<String>,
    key: Option<String>,
    requests: Mutex<Vec<Value>>,
}

type Shared = Arc<Model>;

/// Serves until SIGTERM or SIGINT. `announce` gets one line of JSON when the server listens: `base_url`, `pid`.
pub fn messages(options: &MessagesOptions, announce: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
    super::refuse_strangers(options.listen)?;
    let script = match &options.script {
        None => None,
        Some(file) => {
            let attempt = || format!("cannot read '{}'", file.display());
            Some(std::fs::read_to_string(file).or_fail(Kind::Config, attempt)?)
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.or_fail(Kind::Internal, || "cannot start the server")?;
    runtime.block_on(async {
        let attempt = || format!("cannot listen on '{}'", options.listen);
        let listener = tokio::net::TcpListener::bind(options.listen).await.or_fail(Kind::Config, attempt)?;
        let address = listener.local_addr().or_fail(Kind::Internal, attempt)?;
        let line = json!({"base_url": format!("http://{address}"), "pid": std::process::id()}).to_string();
        if let Some(file) = &options.ready_file {
            super::write_at_once(file, &line)?;
        }
        announce(&line)?;
        let model = Model { script, key: options.key.clone(), requests: Mutex::default() };
        let app = Router::new().fallback(gate).with_state(Arc::new(model));
        // Small pieces of a stream must not wait for the acknowledgement of earlier ones.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        super::until_stopped(tokio::spawn(async move { axum::serve(listener, app).await })).await
    })
}

async fn gate(State(model): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let request_id = format!("req_{}", uuid::Uuid::new_v4().simple());
    let path = parts.uri.path();
    let mut response = match (&parts.method, path) {
        // What clients ask before their first question.
        (&Method::HEAD | &Method::GET, "/" | "/api/hello") => StatusCode::OK.into_response(),
        (&Method::GET, "/_lab/requests") => axum::Json(model.requests().clone()).into_response(),
        (&Method::POST, "/v1/messages" | "/v1/messages/count_tokens") => {
            let counting = path.ends_with("count_tokens");
            let target = parts.uri.path_and_query().map_or_else(String::new, ToString::to_string);
            match to_bytes(body, LARGEST_REQUEST).await {
                Err(_) => Failure::new(413, failure::usual_message(413)).response(&request_id),
                Ok(bytes) => {
                    let answered = model.asked(&target, &parts.headers, &bytes, counting);
                    answered.unwrap_or_else(|failure| failure.response(&request_id))
                }
            }
        }
        (_, "/v1/messages" | "/v1/messages/count_tokens") => {
            Failure { status: 405, ..Failure::invalid("Method Not Allowed") }.response(&request_id)
        }
        _ => Failure::new(404, failure::usual_message(404)).response(&request_id),
    };
    if let Ok(id) = HeaderValue::try_from(request_id) {
        response.headers_mut().insert("request-id", id);
    }
    response
}

impl Model {
    fn requests(&self) -> std::sync::MutexGuard<'_, Vec<Value>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers one request, and notes it.
    fn asked(
        &self,
        target: &str,
        headers: &HeaderMap,
        body: &Bytes,
        counting: bool,
    ) -> Result<Response, Failure> {
        let parsed: Option<Value> = serde_json::from_slice(body).ok();
        let result = self.answer(headers, parsed.as_ref(), counting);
        let status =
            result.as_ref().map_or_else(|failure| failure.status, |response| response.status().as_u16());
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let mut requests = self.requests();
        if requests.len() == LOGGED {
            requests.remove(0);
        }
        requests.push(json!({
            "at_ms": Clock::System.now_exact().timestamp_millis(), "target": target, "status": status,
            "user_agent": header("user-agent"), "session": header("x-claude-code-session-id"), "body": parsed,
        }));
        result
    }

    fn answer(&self, headers: &HeaderMap, body: Option<&Value>, counting: bool) -> Result<Response, Failure> {
        self.admit(headers)?;
        let Some(body) = body else {
            return Err(Failure::invalid("The request body is not valid JSON"));
        };
        if counting {
            // Nothing is to be said, so nothing limits it.
            let mut body = body.clone();
            body["max_tokens"] = json!(1);
            let conversation = Conversation::read(&body)?;
            return Ok(axum::Json(json!({"input_tokens": conversation.length.div_ceil(4)})).into_response());
        }
        let conversation = Conversation::read(body)?;
        let steps = script::answer(self.script.as_deref(), &conversation)?;
        if let Some(Step::Status(refusal)) = steps.first() {
            return Err(refusal.failure());
        }
        let id = format!("msg_{}", uuid::Uuid::new_v4().simple());
        let answer = Answer { id, conversation: &conversation, steps: &steps };
        if !conversation.stream {
            return Ok(axum::Json(answer.whole()).into_response());
        }
        let kind =
            [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
        Ok((kind, Body::new(stream::Stream::new(answer.pieces()))).into_response())
    }

    /// A key, as one or the other kind of client sends it, and a version.
    fn admit(&self, headers: &HeaderMap) -> Result<(), Failure> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let bearer = text("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let Some(key) = text("x-api-key").or(bearer).filter(|key| !key.is_empty()) else {
            return Err(Failure::new(401, "x-api-key header is required"));
        };
        if self.key.as_deref().is_some_and(|wanted| wanted != key) {
            return Err(Failure::new(401, failure::usual_message(401)));
        }
        if text("anthropic-version").is_none() {
            return Err(Failure::invalid("anthropic-version: header is required"));
        }
        Ok(())
    }
}
