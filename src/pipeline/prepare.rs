//! `cq-prepare`: the workspace of one instance, made or found as an earlier attempt left it.
//!
//! A program of its own because a supervisor lives as long as its agent: what only this step needs, GitHub's client
//! among it, is gone from memory when the agent starts. It holds the instance's lock together with the supervisor, so
//! that nobody makes the same workspace while the one or the other is left.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::supervise::of_instance;
use super::workspace::{self, Paths, Ready};
use super::{children, welcome};
use crate::agent::profile::Agent;
use crate::error::{Error, Kind, OrFail, Result, Tally};
use crate::git::Worktree;
use crate::output;
use crate::process::{self, Program};
use crate::record::{Record, Status};
use crate::session::Session;
use crate::state::lock;

/// How long it may take: a base of many gigabytes comes over a slow line, and every step of it has a limit of its own.
const AT_MOST: Duration = Duration::from_secs(6 * 3600);
/// How often its supervisor looks whether that has been told to end.
const LOOK: Duration = Duration::from_millis(100);

/// What is told of a workspace.
#[derive(Debug, Serialize, Deserialize)]
struct Prepared {
    /// The issue.
    number: u64,
    instance: String,
    worktree: Worktree,
    /// The file with the prompt.
    prompt: String,
    base_sha: String,
    /// The `.env` beside the worktree.
    dot_env: String,
    /// Whether the agent goes on with its last session.
    resumes: bool,
    /// What is worth a line in the log.
    told: Vec<String>,
}

/// Prepares what an instance works on; `agent` is the profile that was asked for.
pub fn run(session: &Session, instance: &str, lock_of: Option<u32>, agent: Option<&str>) -> Result<Tally> {
    let _lock = match lock_of {
        Some(supervisor) => {
            process::end_with(supervisor)?;
            session.state.hold_along(instance, process::take_stdin()?)?
        }
        None => session.state.hold(instance)?,
    };
    let record = of_instance(session, instance)?;
    if record.status != Some(Status::Queued) {
        return Err(Error::new(Kind::Failed, format!("issue #{} is not queued", record.number)));
    }
    let agent = Agent::for_record(&session.loaded.config, &record, agent)?;
    let Ready { paths, worktree, base_sha, dot_env, resumes, told } =
        workspace::prepare(session, &record, &agent)?;
    welcome::refuse_unless(session, &base_sha)?;
    let prompt = paths.prompt.display().to_string();
    let (number, instance) = (record.number, instance.to_owned());
    let row = [number.to_string(), instance.clone(), worktree.path.display().to_string(), prompt.clone()];
    let mut output = session.rows(&["ISSUE", "INSTANCE", "WORKTREE", "PROMPT"]);
    let prepared = Prepared { number, instance, worktree, prompt, base_sha, dot_env, resumes, told };
    output.item(&prepared, || row.to_vec())?;
    output.finish()?;
    Ok(Tally::default())
}

/// Has it done by a child. The caller holds the instance by `lock`. None where it was `told` to end meanwhile: then nobody is
/// left who makes a workspace, and the next one goes on with what there is.
pub(super) fn ask(
    session: &Session,
    record: &Record,
    lock: &lock::Guard,
    agent: Option<&str>,
    told: impl Fn() -> bool,
) -> Result<Option<Ready>> {
    let agent = agent.map(|name| ["--agent".to_owned(), name.to_owned()]);
    let running = Program::new(process::sibling("cq-prepare", &session.environment)?, session.folder())
        .args(["--lock-of".to_owned(), std::process::id().to_string()])
        .args(["--format".to_owned(), "jsonl".to_owned()])
        .args(agent.into_iter().flatten())
        .args(session.options_for_children())
        .args([record.instance().to_owned()])
        .envs(session.environment.iter())
        .stdin_file(lock.share()?)
        .start()?;
    let began = Instant::now();
    let finished = loop {
        if let Some(finished) = running.wait(LOOK)? {
            break finished;
        }
        let late = began.elapsed() > AT_MOST;
        if late || told() {
            // With its git, which holds no lock of ours.
            process::end_all(process::descendants, process::GRACE, || process::reap_zombies(running.pid()));
            let why =
                || Error::new(Kind::Unavailable, format!("{} is not made in six hours", record.instance()));
            return if late { Err(why()) } else { Ok(None) };
        }
    };
    let said = String::from_utf8_lossy(&finished.stderr);
    if !finished.success() {
        return Err(children::complaint("cq-prepare", &said, finished.exit));
    }
    said.lines().for_each(output::say);
    let Prepared { worktree, base_sha, dot_env, resumes, told, .. } =
        serde_json::from_slice(&finished.stdout).or_fail(Kind::Internal, || "cannot read cq-prepare")?;
    Ok(Some(Ready { paths: Paths::of(session, record)?, worktree, base_sha, dot_env, resumes, told }))
}
