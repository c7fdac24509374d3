//! The templates, and where an operator's own stand.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::state::durable;

/// A template: its file in `workspaces/shared/templates`, and what it says where there is none.
#[derive(Debug)]
pub struct Template {
    /// The file's name.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// What an agent is told at its first attempt.
pub const PROMPT: Template =
    Template { name: "claude-prompt-template.md", text: include_str!("templates/claude-prompt-template.md") };
/// What it is told at a later attempt, in a new session.
pub const RETRY: Template =
    Template { name: "claude-retry-template.md", text: include_str!("templates/claude-retry-template.md") };
/// What it is told where it goes on with its session: only what is new.
pub const RESUME: Template =
    Template { name: "claude-resume-template.md", text: include_str!("templates/claude-resume-template.md") };
/// What an instance's `.env` holds.
pub const DOT_ENV: Template =
    Template { name: "claude-instance.env", text: include_str!("templates/claude-instance.env") };
/// What a pull request says.
pub const PULL_REQUEST: Template =
    Template { name: "pull-request-template.md", text: include_str!("templates/pull-request-template.md") };

/// All of them.
pub const ALL: [&Template; 5] = [&PROMPT, &RETRY, &RESUME, &DOT_ENV, &PULL_REQUEST];

/// Those that agents are told.
pub const PROMPTS: [&Template; 3] = [&PROMPT, &RETRY, &RESUME];

/// The folder of the operator's templates, below the workspaces.
pub fn folder(workspaces: &Path) -> PathBuf {
    workspaces.join("shared").join("templates")
}

impl Template {
    /// The operator's text, or the built-in one.
    pub fn read(&self, workspaces: &Path) -> Result<String> {
        Ok(durable::read(&folder(workspaces).join(self.name))?.unwrap_or_else(|| self.text.to_owned()))
    }
}
