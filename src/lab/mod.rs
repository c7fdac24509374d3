//! The rehearsal: a GitHub on this machine and an agent that follows a script, so that the whole
//! pipeline can be tried and tested with no account and no network.
//!
//! [`serve`] lets in whoever may come ([`admit`], [`identity`], [`roles`], [`limits`]), answers as GitHub's
//! REST API does ([`issues`], [`relations`], [`labels`], [`pulls`], [`progress`], [`merge`], [`people`], [`apps`],
//! [`repositories`]; drawn by [`shapes`] in one of two [`versions`], from what [`store`] holds and [`changes`]
//! changes) and as its GraphQL API does ([`graphql`]), and hands git's requests to git's own server
//! ([`git_http`]). What it holds at the start is read by [`seed`] and set up by [`plant`]; [`control`] shows it
//! all, lets a test do what others do ([`act`]) and break things ([`faults`], [`breakage`]). [`agent`] does what
//! a [`script`] says. [`messages`](messages()) is the model behind a real agent: the Messages API, answering from a
//! script too.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::task::Poll;
use std::time::Duration;

use serde_json::json;

use crate::clock::Clock;
use crate::environment::Environment;
use crate::error::{Error, Kind, OrFail, Result};

mod act;
mod actor;
mod admit;
mod answer;
mod apps;
mod breakage;
mod changes;
mod connection;
mod control;
mod faults;
mod git;
mod git_http;
mod graphql;
mod identity;
mod issues;
mod labels;
mod limits;
mod links;
mod log;
mod merge;
mod messages;
mod people;
mod plant;
mod progress;
mod pulls;
mod relations;
mod repositories;
mod reviewers;
mod roles;
mod script;
mod search;
mod seed;
mod server;
mod shapes;
mod store;
mod stream;
mod versions;

pub use actor::{AgentOptions, agent};
pub use messages::{MessagesOptions, messages};

/// What a rehearsal's GitHub needs to know.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// The seed file.
    pub seed: PathBuf,
    /// A loopback address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The main token; a seed may have others.
    pub token: String,
    /// Written, all at once, when the server listens.
    pub ready_file: Option<PathBuf>,
    /// Waited before each answer of the API.
    pub delay: Duration,
    /// Where the bare repositories are made; a temporary folder where absent.
    pub git_root: Option<PathBuf>,
    /// Only PATH is looked at, for git.
    pub environment: Environment,
    /// Dates whatever happens.
    pub clock: Clock,
}

/// Serves until SIGTERM or SIGINT. `announce` gets one line of JSON when the server listens: `api_url`,
/// `graphql_url`, `server_url`, `token`, `pid`, `git_root`.
pub fn serve(options: &ServeOptions, announce: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
    refuse_strangers(options.listen)?;
    let seed_file = options.seed.display();
    let text = std::fs::read_to_string(&options.seed)
        .or_fail(Kind::Config, || format!("cannot read '{seed_file}'"))?;
    let seed = seed::Seed::parse(&text).map_err(|error| error.context(format!("in '{seed_file}'")))?;
    let temporary = match &options.git_root {
        None => Some(tempfile::tempdir().or_fail(Kind::CannotWrite, || "cannot make a temporary folder")?),
        Some(root) => {
            std::fs::create_dir_all(root)
                .or_fail(Kind::CannotWrite, || format!("cannot make '{}'", root.display()))?;
            None
        }
    };
    let root = match (&temporary, &options.git_root) {
        (Some(temporary), _) => temporary.path(),
        (None, Some(root)) => root,
        (None, None) => Path::new("."),
    };
    let root =
        root.canonicalize().or_fail(Kind::CannotWrite, || format!("cannot enter '{}'", root.display()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.or_fail(Kind::Internal, || "cannot start the server")?;
    runtime.block_on(async {
        let git = git::Git::find(&options.environment)?;
        let store = seed.store();
        let beside = options.seed.parent().unwrap_or(Path::new("."));
        for repository in &seed.repositories {
            make(&git, &root, beside, repository).await?;
        }
        let listening = server::listen(options, git, root.clone(), store).await?;
        let line = json!({
            "api_url": listening.base, "graphql_url": format!("{}/graphql", listening.base),
            "server_url": listening.base, "token": options.token, "pid": std::process::id(), "git_root": root,
        });
        let line = line.to_string();
        if let Some(file) = &options.ready_file {
            write_at_once(file, &line)?;
        }
        announce(&line)?;
        listening.until_stopped().await
    })
}

/// What is rehearsed is reached from this machine only.
fn refuse_strangers(listen: SocketAddr) -> Result<()> {
    if listen.ip().is_loopback() {
        return Ok(());
    }
    let message = format!("'{listen}' is not a loopback address");
    Err(Error::new(Kind::Config, message).hint("the rehearsal is for this machine only: 127.0.0.1:0"))
}

/// Until SIGTERM, SIGINT, or the server's own end. At once: what a client still waits for is its affair, as with a
/// real server that goes away.
async fn until_stopped<T>(server: tokio::task::JoinHandle<T>) -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    let attempt = || "cannot wait for signals";
    let mut term = signal(SignalKind::terminate()).or_fail(Kind::Internal, attempt)?;
    let mut interrupt = signal(SignalKind::interrupt()).or_fail(Kind::Internal, attempt)?;
    std::future::poll_fn(|cx| {
        let stopped = term.poll_recv(cx).is_ready() || interrupt.poll_recv(cx).is_ready();
        if stopped || server.is_finished() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    server.abort();
    Ok(())
}

/// Where a repository lies.
fn place(root: &Path, owner: &str, name: &str) -> PathBuf {
    root.join(owner).join(format!("{name}.git"))
}

async fn make(git: &git::Git, root: &Path, beside: &Path, seed: &seed::SeedRepository) -> Result<()> {
    let target = place(root, &seed.owner, &seed.name);
    if target.exists() {
        // The folder was kept from an earlier rehearsal: its branches are what matters.
        return Ok(());
    }
    if let Some(parent) = target.parent() {
        std::fs::create_dir_all(parent)
            .or_fail(Kind::CannotWrite, || format!("cannot make '{}'", parent.display()))?;
    }
    let branch = &seed.default_branch;
    match (&seed.git, &seed.files) {
        (Some(source), _) => git.clone_bare(&beside.join(source), &target, branch).await,
        (None, Some(files)) => git.make_bare(&target, branch, files, seed::epoch()).await,
        (None, None) => {
            let files = [("README.md".to_owned(), format!("# {}\n", seed.name))].into();
            git.make_bare(&target, branch, &files, seed::epoch()).await
        }
    }
}

/// Whoever waits for the file sees all of it or nothing.
fn write_at_once(file: &Path, line: &str) -> Result<()> {
    use std::io::Write as _;

    let attempt = || format!("cannot write '{}'", file.display());
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut temporary = tempfile::NamedTempFile::new_in(folder).or_fail(Kind::CannotWrite, attempt)?;
    writeln!(temporary, "{line}").or_fail(Kind::CannotWrite, attempt)?;
    temporary.persist(file).or_fail(Kind::CannotWrite, attempt)?;
    Ok(())
}
