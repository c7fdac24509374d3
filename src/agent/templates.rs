//! The templates, and where an operator's own stand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::prompt;
use crate::error::{Error, Kind, Result};
use crate::state::durable;

/// A template: its file in `workspaces/shared/templates`, and what it says where there is none.
#[derive(Debug)]
pub struct Template {
    /// The file's name.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
    /// The names that may stand in braces in it.
    pub placeholders: &'static [&'static str],
}

/// What a prompt may ask for.
const OF_PROMPT: &[&str] = &[
    "attempt",
    "base_branch",
    "branch_name",
    "feedback",
    "issue_comments",
    "issue_description",
    "issue_labels",
    "issue_number",
    "issue_title",
    "issue_url",
    "last_end",
    "new_feedback",
    "repo_path",
    "repository",
    "workspace_path",
];

/// What an agent is told at its first attempt.
pub const PROMPT: Template = Template {
    name: "claude-prompt-template.md",
    text: include_str!("templates/claude-prompt-template.md"),
    placeholders: OF_PROMPT,
};
/// What it is told at a later attempt, in a new session.
pub const RETRY: Template = Template {
    name: "claude-retry-template.md",
    text: include_str!("templates/claude-retry-template.md"),
    placeholders: OF_PROMPT,
};
/// What it is told where it goes on with its session: only what is new.
pub const RESUME: Template = Template {
    name: "claude-resume-template.md",
    text: include_str!("templates/claude-resume-template.md"),
    placeholders: OF_PROMPT,
};
/// What an instance's `.env` holds.
pub const DOT_ENV: Template = Template {
    name: "claude-instance.env",
    text: include_str!("templates/claude-instance.env"),
    placeholders: &["branch_name", "issue_id", "repo_path", "workspace_id"],
};
/// What a pull request says.
pub const PULL_REQUEST: Template = Template {
    name: "pull-request-template.md",
    text: include_str!("templates/pull-request-template.md"),
    placeholders: &[
        "agent",
        "attempt",
        "base_branch",
        "base_sha",
        "branch_name",
        "checks",
        "commits",
        "cost",
        "diff_stat",
        "duration",
        "flagged",
        "issue_number",
        "issue_title",
        "receipt",
        "repository",
        "summary",
        "tree",
        "turns",
    ],
};

/// All of them.
pub const ALL: [&Template; 5] = [&PROMPT, &RETRY, &RESUME, &DOT_ENV, &PULL_REQUEST];

/// Those that agents are told.
pub const PROMPTS: [&Template; 3] = [&PROMPT, &RETRY, &RESUME];

/// The folder of the operator's templates, below the workspaces.
pub fn folder(workspaces: &Path) -> PathBuf {
    workspaces.join("shared").join("templates")
}

impl Template {
    /// Fills the operator's text, or the built-in one, with these values: one for each of its placeholders.
    pub fn render(&self, workspaces: &Path, values: &BTreeMap<&str, String>) -> Result<String> {
        self.fill(&self.read(workspaces)?, values)
    }

    /// The same with a text that was read already.
    pub fn fill(&self, text: &str, values: &BTreeMap<&str, String>) -> Result<String> {
        if let Some(missing) = self.placeholders.iter().find(|name| !values.contains_key(*name)) {
            let message = format!("nothing was given for {{{missing}}} of '{}'", self.name);
            return Err(Error::new(Kind::Internal, message));
        }
        if PROMPTS.iter().any(|prompt| prompt.name == self.name) {
            prompt::refuse_command(self.name, text)?;
        }
        prompt::render(self.name, text, values)
    }

    /// Refuses the operator's text if it asks for something that there is not.
    pub fn check(&self, workspaces: &Path) -> Result<()> {
        let values = self.placeholders.iter().map(|name| (*name, String::new())).collect();
        self.render(workspaces, &values).map(drop)
    }

    /// The operator's text, or the built-in one.
    pub fn read(&self, workspaces: &Path) -> Result<String> {
        Ok(durable::read(&folder(workspaces).join(self.name))?.unwrap_or_else(|| self.text.to_owned()))
    }
}
