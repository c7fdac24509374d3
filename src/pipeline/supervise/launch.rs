//! Starting the agent: the program, its environment, its files, and the launcher in between.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::confine;
use super::follow::Follower;
use crate::agent::profile::{Agent, Start};
use crate::agent::{budget, environment as seen};
use crate::config::PromptBy;
use crate::environment::Environment;
use crate::error::{Error, Kind, OrFail, Result};
use crate::limits::{self, Entry, Group};
use crate::pipeline::workspace::{Ready, private_file};
use crate::process::{self, Program, Running};
use crate::record::Record;
use crate::sandbox::{Tier, Wish, Wrapped};
use crate::session::Session;

/// What an agent is started with. Looked up before the attempt counts: a missing program, or a variable that the
/// configuration names and nobody set, is the operator's to mend.
pub(super) struct Means {
    program: PathBuf,
    variables: BTreeMap<String, String>,
    /// The sandbox; none where there is none.
    sandbox: Option<Wish>,
}

impl Means {
    pub(super) fn find(
        session: &Session,
        record: &Record,
        agent: &Agent,
        ready: &Ready,
        tier: &Tier,
    ) -> Result<Self> {
        let environment = &session.environment;
        let program = process::find(agent.program(), &ready.worktree.path, environment)
            .map_err(|error| error.hint(format!("install it, or set agents.{}.command", agent.name)))?;
        let variables = seen::of_agent(environment, &session.loaded.config, agent, record, &ready.dot_env)?;
        let sandbox = confine::prepare(session, record, ready, tier)?;
        Ok(Self { program, variables, sandbox })
    }

    /// A program as it is started in the run's sandbox, if there is one.
    pub(super) fn wrap(
        &self,
        program: &Path,
        arguments: &[String],
        variables: BTreeMap<String, String>,
    ) -> Result<Wrapped> {
        match &self.sandbox {
            Some(sandbox) => sandbox.wrap(program, arguments, variables),
            None => Ok(Wrapped { program: program.to_owned(), arguments: arguments.to_vec(), variables }),
        }
    }
}

/// What a program reads and writes.
pub(crate) struct Files {
    pub(crate) stdin: File,
    pub(crate) stdout: File,
    pub(crate) stderr: File,
}

/// Starts the agent in its group, which becomes another one where the first turns out not to work.
pub(super) fn start(
    session: &Session,
    record: &Record,
    agent: &Agent,
    ready: &Ready,
    means: &Means,
    follower: &Follower,
    group: &mut Group,
) -> Result<Running> {
    let session_id = record.run.as_ref().and_then(|run| run.session_id.as_deref()).unwrap_or_default();
    let arguments = agent.arguments(&Start {
        session_id,
        resumed: ready.resumes,
        worktree: &ready.worktree.path,
        prompt: &ready.paths.prompt,
        cap_usd: budget::for_client(&session.loaded.config, record),
    });
    let arrived = ready.paths.raw_file(record, "arrived.txt");
    loop {
        let entry = group.entry(&arrived);
        let running = start_through(record, agent.prompt, &arguments, ready, means, follower, entry)?;
        if super::limits::arrived(session, record, &running, group, &arrived)? {
            return Ok(running);
        }
    }
}

fn start_through(
    record: &Record,
    prompt: PromptBy,
    arguments: &[String],
    ready: &Ready,
    means: &Means,
    follower: &Follower,
    entry: Entry,
) -> Result<Running> {
    let errors = ready.paths.raw_file(record, "stderr.txt");
    let prompt = match prompt {
        PromptBy::Stdin => ready.paths.prompt.as_path(),
        PromptBy::File => Path::new("/dev/null"),
    };
    let stdin =
        File::open(prompt).or_fail(Kind::CannotWrite, || format!("cannot read '{}'", prompt.display()))?;
    let wrapped = means.wrap(&means.program, arguments, means.variables.clone())?;
    let files = Files { stdin, stdout: follower.raw_file()?, stderr: private_file(&errors)? };
    start_wrapped(ready, wrapped, files, entry)
}

/// Starts a program in the run's group and folder.
pub(super) fn start_wrapped(ready: &Ready, wrapped: Wrapped, files: Files, entry: Entry) -> Result<Running> {
    // Between the agent and us stands a launcher: this very binary, which leads a new session and becomes the agent.
    let launcher = std::env::current_exe().or_fail(Kind::Internal, || "cannot find this program")?;
    start_by(&launcher, &ready.worktree.path, wrapped, files, entry)
}

/// Starts a program in a group and a folder. `launcher` is cq-supervise.
pub(crate) fn start_by(
    launcher: &Path,
    folder: &Path,
    wrapped: Wrapped,
    files: Files,
    entry: Entry,
) -> Result<Running> {
    let mut words = entry.through;
    words.push(launcher.display().to_string());
    words.extend(entry.launcher);
    let foreign = entry.forget.into_iter().filter(|name| !wrapped.variables.contains_key(*name));
    words.extend(foreign.flat_map(|name| ["--forget".to_owned(), name.to_owned()]));
    let first = words.remove(0);
    Program::new(first, folder)
        .args(words)
        .args(["--launch".to_owned(), wrapped.program.display().to_string()])
        .args(wrapped.arguments)
        .envs(wrapped.variables)
        .envs(entry.variables)
        .stdin_file(files.stdin)
        .stdout_file(files.stdout)
        .stderr_file(files.stderr)
        .start()
}

/// What the launcher does before it becomes the program.
#[derive(Debug, Default)]
pub struct Before {
    /// Control groups that it enters.
    pub enter: Vec<PathBuf>,
    /// A file in which it says which groups it is in.
    pub arrived: Option<PathBuf>,
    /// Variables that the program does not get.
    pub forget: Vec<String>,
}

/// The launcher's part: becomes the program. Returns only if that fails.
pub fn launch(environment: &Environment, before: &Before, program: &[String]) -> Error {
    let Some((path, arguments)) = program.split_first() else {
        return Error::new(Kind::Usage, "no program to launch");
    };
    let _ = rustix::process::setsid();
    let entered = before.enter.iter().try_for_each(|group| limits::enter(group));
    let entered = entered.and_then(|()| before.arrived.iter().try_for_each(|file| limits::say_where(file)));
    if let Err(error) = entered {
        return error;
    }
    let kept =
        environment.iter().filter(|(name, _)| !before.forget.iter().any(|forgotten| forgotten == name));
    Program::new(path, ".").args(arguments).envs(kept).exec()
}
