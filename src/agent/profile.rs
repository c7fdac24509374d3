//! Profiles: how an agent is started and understood.

use std::collections::BTreeMap;
use std::path::Path;

use crate::config::{Config, Parser, Profile, PromptBy, SessionBy, Text};
use crate::error::{Error, Kind, Result};
use crate::record::Record;
use crate::record::eligibility::same;

mod built_in;
mod options;
#[cfg(test)]
mod tests;

pub use built_in::NAMES as BUILT_IN;

/// A profile with nothing left open.
#[derive(Debug, Clone, PartialEq)]
pub struct Agent {
    /// Its name in the configuration.
    pub name: String,
    command: Vec<String>,
    resume: Option<Vec<String>>,
    options: Vec<String>,
    /// How it gets the prompt.
    pub prompt: PromptBy,
    /// Which reader understands its output.
    pub parser: Parser,
    /// Where its sessions' ids come from.
    pub session: SessionBy,
    /// The model to ask for.
    pub model: Option<String>,
    /// US dollars that one run may cost.
    pub max_cost_usd: Option<f64>,
    /// Variables passed on from cq's environment, besides [`super::environment::ALWAYS`].
    pub env_pass: Vec<String>,
    /// Variables set for it.
    pub env_set: BTreeMap<String, Text>,
    /// Whether cq commits what it left uncommitted.
    pub commit_leftovers: bool,
}

/// What one run is started with.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// The session that it begins, or goes on with.
    pub session_id: &'a str,
    /// Whether it goes on with it.
    pub resumed: bool,
    /// Looked at for instructions that the settings switch off.
    pub worktree: &'a Path,
    /// The prompt's file.
    pub prompt: &'a Path,
    /// US dollars that the client may let the session cost; see [`super::budget::for_client`].
    pub cap_usd: Option<f64>,
}

/// What stands for the session in an argument vector.
const SESSION_ID: &str = "{session_id}";
/// What stands for the prompt's file.
const PROMPT_FILE: &str = "{prompt_file}";
/// The argument that stands for the options, none or many.
const OPTIONS: &str = "{options}";

impl Agent {
    /// The profile for a record: the one asked for, else that of the first label in `agentLabels` (in the order of the
    /// alphabet) that the issue has, else `agent`.
    pub fn for_record(config: &Config, record: &Record, asked: Option<&str>) -> Result<Self> {
        let labelled = || {
            let has = |label: &str| record.issue.labels.iter().any(|other| same(other, label));
            config.agent_labels.iter().find(|(label, _)| has(label))
        };
        match (asked, labelled()) {
            (Some(asked), _) => Self::named(config, asked),
            (None, Some((label, name))) => Self::named(config, name)
                .map_err(|error| error.context(format!("issue #{}, label '{label}'", record.number))),
            (None, None) => Self::named(config, &config.agent.0),
        }
    }

    /// The profile of this name, built in or configured; what the configuration leaves out of a built-in one keeps its
    /// built-in value.
    pub fn named(config: &Config, name: &str) -> Result<Self> {
        let (built_in, written) = (built_in::profile(name), config.agents.get(name));
        if built_in.is_none() && written.is_none() {
            let configured = config.agents.keys().map(String::as_str);
            let mut known: Vec<&str> = BUILT_IN.into_iter().chain(configured).collect();
            known.sort_unstable();
            known.dedup();
            return Err(Error::new(Kind::Config, format!("there is no agent profile '{name}'"))
                .hint(format!("known: {}; others are added under 'agents'", known.join(", "))));
        }
        let profile = over(built_in.unwrap_or_default(), written.cloned().unwrap_or_default());
        let refused =
            |key: &str, why: &str| Err(Error::new(Kind::Config, format!("'agents.{name}.{key}' {why}")));
        let Some(program) = profile.command.first() else {
            return refused("command", "is empty");
        };
        if let Some(resume) = &profile.resume {
            if resume.first() != Some(program) {
                return refused("resume", "does not start the program that 'command' starts");
            }
            if !resume.iter().any(|argument| argument.contains(SESSION_ID)) {
                return refused("resume", "does not say {session_id}");
            }
        }
        let prompt = profile.prompt.unwrap_or(PromptBy::Stdin);
        let names_file = |vector: &[String]| vector.iter().any(|argument| argument.contains(PROMPT_FILE));
        for (key, vector) in [("command", Some(&profile.command)), ("resume", profile.resume.as_ref())] {
            if let Some(vector) = vector
                && names_file(vector) != (prompt == PromptBy::File)
            {
                return refused(key, "says {prompt_file} if, and only if, 'prompt' is 'file'");
            }
        }
        let parser = profile.parser.unwrap_or(Parser::ExitCode);
        Ok(Self {
            name: name.to_owned(),
            options: options::options(name, parser, &profile)?,
            model: profile.model,
            command: profile.command,
            resume: profile.resume,
            prompt,
            parser,
            session: profile.session.unwrap_or(SessionBy::Assigned),
            max_cost_usd: profile.max_cost_usd,
            env_pass: profile.env_pass,
            env_set: profile.env_set,
            commit_leftovers: profile.commit_leftovers.unwrap_or(true),
        })
    }

    /// The program's name or path.
    pub fn program(&self) -> &str {
        &self.command[0]
    }

    /// Its arguments for one run.
    pub fn arguments(&self, start: &Start<'_>) -> Vec<String> {
        let mut options = self.options.clone();
        options.extend(
            start.cap_usd.and_then(|dollars| options::cap(self.parser, dollars)).into_iter().flatten(),
        );
        let instructions = start.worktree.join("CLAUDE.md");
        // A link could name any file of this machine.
        let is_file = std::fs::symlink_metadata(&instructions).is_ok_and(|about| about.is_file());
        if self.parser == Parser::Claude && is_file {
            options.extend(["--append-system-prompt-file".to_owned(), instructions.display().to_string()]);
        }
        let vector = self.resume.as_ref().filter(|_| start.resumed).unwrap_or(&self.command);
        let prompt = start.prompt.display().to_string();
        let mut arguments = Vec::new();
        for argument in &vector[1..] {
            if argument == OPTIONS {
                arguments.append(&mut options);
            } else {
                arguments.push(argument.replace(SESSION_ID, start.session_id).replace(PROMPT_FILE, &prompt));
            }
        }
        arguments.append(&mut options);
        arguments
    }

    /// Whether a run can go on with the session of the one before it: this agent spoke in it, for the same claim, and
    /// has a form for that.
    pub fn resumes(&self, record: &Record) -> bool {
        let (Some(claim), Some(run)) = (&record.claim, &record.run) else { return false };
        self.resume.is_some()
            && run.resumable
            && run.session_id.is_some()
            && run.agent.as_deref() == Some(self.name.as_str())
            && run.started_at.is_some_and(|started| started >= claim.claimed_at)
    }
}

/// A profile over a built-in one. A command of one's own says itself how it goes on and what is allowed: of a program
/// that may be another, cq knows neither.
fn over(built_in: Profile, written: Profile) -> Profile {
    let base = if written.command.is_empty() {
        built_in
    } else {
        let (resume, allowed_tools, permission_mode) = (None, None, None);
        Profile { command: written.command, resume, allowed_tools, permission_mode, ..built_in }
    };
    let mut env_set = base.env_set;
    env_set.extend(written.env_set);
    Profile {
        command: base.command,
        resume: written.resume.or(base.resume),
        prompt: written.prompt.or(base.prompt),
        parser: written.parser.or(base.parser),
        session: written.session.or(base.session),
        model: written.model.or(base.model),
        allowed_tools: written.allowed_tools.or(base.allowed_tools),
        permission_mode: written.permission_mode.or(base.permission_mode),
        max_turns: written.max_turns.or(base.max_turns),
        max_cost_usd: written.max_cost_usd.or(base.max_cost_usd),
        env_pass: base.env_pass.into_iter().chain(written.env_pass).collect(),
        env_set,
        commit_leftovers: written.commit_leftovers.or(base.commit_leftovers),
    }
}
