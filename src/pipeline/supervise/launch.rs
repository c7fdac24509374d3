//! Starting the agent: the program, its environment, its files, and the launcher in between.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::follow::Follower;
use crate::agent::environment as seen;
use crate::agent::profile::Agent;
use crate::config::PromptBy;
use crate::environment::Environment;
use crate::error::{Error, Kind, OrFail, Result};
use crate::pipeline::workspace::{Ready, private_file};
use crate::process::{self, Program, Running};
use crate::record::Record;
use crate::session::Session;

/// What an agent is started with. Looked up before the attempt counts: a missing program, or a variable that the
/// configuration names and nobody set, is the operator's to mend.
pub(super) struct Means {
    program: PathBuf,
    variables: BTreeMap<String, String>,
}

impl Means {
    pub(super) fn find(session: &Session, record: &Record, agent: &Agent, ready: &Ready) -> Result<Self> {
        let environment = &session.environment;
        let program = process::find(agent.program(), &ready.worktree.path, environment)
            .map_err(|error| error.hint(format!("install it, or set agents.{}.command", agent.name)))?;
        let variables = seen::of_agent(environment, &session.loaded.config, agent, record, &ready.dot_env)?;
        Ok(Self { program, variables })
    }
}

/// Starts the agent.
pub(super) fn start(
    record: &Record,
    agent: &Agent,
    ready: &Ready,
    means: Means,
    follower: &Follower,
) -> Result<Running> {
    let session_id = record.run.as_ref().and_then(|run| run.session_id.clone()).unwrap_or_default();
    let errors = ready.paths.raw_file(record, "stderr.txt");
    let prompt = match agent.prompt {
        PromptBy::Stdin => ready.paths.prompt.as_path(),
        PromptBy::File => Path::new("/dev/null"),
    };
    let stdin =
        File::open(prompt).or_fail(Kind::CannotWrite, || format!("cannot read '{}'", prompt.display()))?;
    // Between the agent and us stands a launcher: this very binary, which leads a new session and becomes the agent.
    let launcher = std::env::current_exe().or_fail(Kind::Internal, || "cannot find this program")?;
    Program::new(launcher, &ready.worktree.path)
        .args(["--launch".to_owned(), means.program.display().to_string()])
        .args(agent.arguments(&session_id, ready.resumes, &ready.worktree.path, &ready.paths.prompt))
        .envs(means.variables)
        .stdin_file(stdin)
        .stdout_file(follower.raw_file()?)
        .stderr_file(private_file(&errors)?)
        .start()
}

/// The launcher's part: becomes the program. Returns only if that fails.
pub fn launch(environment: &Environment, program: &[String]) -> Error {
    let Some((path, arguments)) = program.split_first() else {
        return Error::new(Kind::Usage, "no program to launch");
    };
    let _ = rustix::process::setsid();
    Program::new(path, ".").args(arguments).envs(environment.iter()).exec()
}
