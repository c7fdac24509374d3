//! `cq-webhook`: issues as GitHub tells of them, one line each as they happen.
//!
//! A request passes the [`door`] (addresses), the [`server`] (size, time, signature, what it says) and the [`desk`]
//! (eligibility, the line, the memory of it). It is answered 200 when its line is written and flushed, not before.
//! Nobody has judged whether the text may reach an agent: records carry no `trust`.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::environment;
use crate::error::{Error, Kind, OrFail, Result, Tally};
use crate::github::signature::Secrets;
use crate::output::{self, Format, Output};
use crate::redact::Redactor;
use crate::session::Session;
use crate::state::{durable, lock};

mod connection;
mod deliveries;
mod desk;
pub mod door;
mod hooks;
mod server;

use deliveries::Deliveries;
use desk::{Desk, Errand};
use hooks::{Hooks, Keeper};
use server::{Counters, Gate};

/// What is asked for.
#[derive(Debug, Default)]
pub struct Wish {
    /// Instead of the configuration's address.
    pub listen: Option<SocketAddr>,
    /// Instead of the configuration's path.
    pub path: Option<String>,
    /// An address that is not loopback is meant.
    pub public: bool,
    /// Who is let in.
    pub door: door::Rules,
    /// The ineligible too, with their reasons.
    pub all: bool,
    /// Ends after so many lines.
    pub exit_after: Option<u64>,
    /// Written when it listens.
    pub ready_file: Option<PathBuf>,
}

/// Issues that may wait for the desk.
const QUEUE: usize = 64;
/// For what has begun, when the end has come.
const GRACE: Duration = Duration::from_secs(2);
/// A secret shorter than this is remarked on.
const SHORT: usize = 16;

/// Notes on stderr, for threads that outlive the borrow of a session.
#[derive(Debug, Clone)]
struct Voice {
    command: &'static str,
    quiet: bool,
    verbose: bool,
    redactor: Redactor,
}

impl Voice {
    fn of(session: &Session) -> Self {
        let (quiet, verbose) = (session.options.quiet, session.options.verbose);
        Self { command: session.command, quiet, verbose, redactor: session.redactor() }
    }

    fn note(&self, message: &str) {
        if !self.quiet {
            output::say(&self.redactor.redact(&format!("{}: {message}", self.command)));
        }
    }

    fn detail(&self, message: &str) {
        if self.verbose {
            self.note(message);
        }
    }
}

/// Listens until SIGTERM or SIGINT, until enough is written, or until nobody reads stdout.
pub fn run(session: &Session, wish: &Wish) -> Result<Tally> {
    let voice = Voice::of(session);
    let secrets = secrets(session, &voice)?;
    let address = address(session, wish)?;
    let path = path(session, wish)?;
    let repo = session.repo()?;
    session.state.create()?;
    let cache = session.state.dir().join("cache");
    let _alone = lock::try_take(&cache.join("webhook.lock"))?
        .ok_or_else(|| Error::new(Kind::TryAgain, "another cq-webhook works with this state directory"))?;
    let hooks = Hooks::default();
    let keeper = if wish.door.allow_any {
        voice.note("every address is let in: only the signature counts");
        None
    } else {
        Some(Keeper::new(session, hooks.clone(), voice.clone())?)
    };
    let desk = Desk {
        rules: session.loaded.config.rules(),
        state: session.state.clone(),
        clock: session.clock,
        output: lines(session)?,
        deliveries: Deliveries::open(cache.join("deliveries.json"))?,
        voice: voice.clone(),
        all: wish.all,
        left: wish.exit_after,
    };
    let (errands, queue) = mpsc::channel(QUEUE);
    let gate = Arc::new(Gate {
        secrets,
        path,
        repo,
        rules: wish.door.clone(),
        hooks,
        clock: session.clock,
        voice,
        errands,
        counters: Counters::default(),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.or_fail(Kind::Internal, || "cannot start the server")?;
    let ended = runtime.block_on(async {
        let attempt = || format!("cannot listen on '{address}'");
        let listener = TcpListener::bind(address).await.or_fail(Kind::Config, attempt)?;
        let address = listener.local_addr().or_fail(Kind::Internal, attempt)?;
        let ready = Ready { session, wish, url: format!("http://{address}{}", gate.path) };
        listen(listener, gate, keeper, desk, queue, &ready).await
    });
    // A read of a large body need not be waited for.
    runtime.shutdown_background();
    ended.map(|()| Tally::default())
}

async fn listen(
    listener: TcpListener,
    gate: Arc<Gate>,
    keeper: Option<Keeper>,
    desk: Desk,
    queue: mpsc::Receiver<Errand>,
    ready: &Ready<'_>,
) -> Result<()> {
    let attempt = || "cannot wait for signals";
    let mut signals = Signals {
        term: signal(SignalKind::terminate()).or_fail(Kind::Internal, attempt)?,
        interrupt: signal(SignalKind::interrupt()).or_fail(Kind::Internal, attempt)?,
    };
    let (tell, mut desk_ended) = oneshot::channel();
    std::thread::spawn(move || tell.send(desk.work(queue)));
    let (stop, stopped) = watch::channel(false);
    let server = tokio::spawn(server::serve(listener, gate.clone(), stopped));
    tokio::spawn(count_every_minute(gate.clone()));
    if let Some(keeper) = keeper {
        let (asked, mut first) = oneshot::channel();
        keeper.keep(asked);
        // Listening already, but refusing: whoever waits for the ready file shall not be refused.
        let ended = poll_fn(|cx| match signals.poll(cx) {
            Poll::Ready(()) => Poll::Ready(true),
            Poll::Pending => Pin::new(&mut first).poll(cx).map(|_| false),
        });
        if ended.await {
            return Ok(());
        }
    }
    ready.announce()?;
    let ended = poll_fn(|cx| match signals.poll(cx) {
        Poll::Ready(()) => Poll::Ready(None),
        Poll::Pending => Pin::new(&mut desk_ended).poll(cx).map(Some),
    });
    let ended = ended.await;
    // What has begun is answered; what hangs is not waited for.
    let _ = stop.send(true);
    let _ = timeout(GRACE, server).await;
    match ended {
        Some(ended) => ended.or_fail(Kind::Internal, || "the writer of stdout broke")?,
        None => {
            let _ = timeout(GRACE, gate.errands.send(Errand::Close)).await;
            match timeout(GRACE, desk_ended).await {
                Ok(ended) => ended.or_fail(Kind::Internal, || "the writer of stdout broke")?,
                // Somebody holds stdout open and does not read it.
                Err(_) => Ok(()),
            }
        }
    }
}

/// SIGTERM and SIGINT.
struct Signals {
    term: Signal,
    interrupt: Signal,
}

impl Signals {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match (self.term.poll_recv(cx), self.interrupt.poll_recv(cx)) {
            (Poll::Pending, Poll::Pending) => Poll::Pending,
            _ => Poll::Ready(()),
        }
    }
}

async fn count_every_minute(gate: Arc<Gate>) {
    loop {
        tokio::time::sleep(Duration::from_secs(60)).await;
        gate.count();
    }
}

/// What is said when it listens.
struct Ready<'r> {
    session: &'r Session,
    wish: &'r Wish,
    url: String,
}

impl Ready<'_> {
    fn announce(&self) -> Result<()> {
        self.session.note(&format!("listening on {}", self.url));
        match &self.wish.ready_file {
            None => Ok(()),
            Some(file) => {
                let line = json!({ "url": self.url, "pid": std::process::id() });
                durable::replace_cheaply(&self.session.folder().join(file), format!("{line}\n").as_bytes())
            }
        }
    }
}

/// JSON Lines, wherever they go: a table would never come to its end.
fn lines(session: &Session) -> Result<Output> {
    match session.options.format {
        None | Some(Format::Jsonl) => Ok(Output::new(Format::Jsonl, false, &[])),
        Some(_) => Err(Error::new(Kind::Usage, "records are written as they happen: only --format jsonl")),
    }
}

fn secrets(session: &Session, voice: &Voice) -> Result<Secrets> {
    let webhook = &session.loaded.config.webhook;
    let resolve = |text: &Option<crate::config::Text>, key| -> Result<Option<String>> {
        text.as_ref().map(|text| text.resolve(key, &session.environment)).transpose()
    };
    let inherited = || session.environment.get(&environment::CQ_WEBHOOK_SECRET).map(str::to_owned);
    let current = resolve(&webhook.secret, "webhook.secret")?.or_else(inherited);
    let current = current.filter(|secret| !secret.is_empty()).ok_or_else(|| {
        Error::new(Kind::Config, "no secret: without one anybody could pretend to be GitHub")
            .hint("set CQ_WEBHOOK_SECRET, or webhook.secret in the configuration, to the secret of the hook on GitHub")
    })?;
    let previous =
        resolve(&webhook.previous_secret, "webhook.previousSecret")?.filter(|secret| !secret.is_empty());
    if current.len() < SHORT {
        voice
            .note("the secret is short enough to be guessed; 32 random bytes are not (openssl rand -hex 32)");
    }
    Ok(Secrets::new(&current, previous.as_deref()))
}

fn address(session: &Session, wish: &Wish) -> Result<SocketAddr> {
    let address = match wish.listen {
        Some(address) => address,
        None => {
            let text =
                session.loaded.config.webhook.listen.resolve("webhook.listen", &session.environment)?;
            let not_one = || format!("'webhook.listen': '{text}' is not an address and port");
            text.parse().or_fail(Kind::Config, not_one)?
        }
    };
    if !address.ip().is_loopback() {
        if !wish.public {
            return Err(Error::new(Kind::Config, format!("'{address}' can be reached from other machines"))
                .hint("--public if that is meant; else 127.0.0.1, behind a proxy or tunnel that ends TLS"));
        }
        session.note("deliveries to this address are not encrypted: let a proxy in front of it end TLS");
    }
    Ok(address)
}

fn path(session: &Session, wish: &Wish) -> Result<String> {
    let path = match &wish.path {
        Some(path) => path.clone(),
        None => session.loaded.config.webhook.path.resolve("webhook.path", &session.environment)?,
    };
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"?#\"<>\\^`{|}".contains(&byte);
    if path.starts_with('/') && path.bytes().all(plain) {
        return Ok(path);
    }
    Err(Error::new(Kind::Config, format!("'{path}' is not a path")).hint("such as /webhook"))
}
