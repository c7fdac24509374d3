//! Profiles: how an agent is started and understood. `claude` is built in.

use std::collections::BTreeMap;
use std::path::Path;

use crate::config::{Config, Parser, Profile, Text};
use crate::error::{Error, Kind, Result};

/// A profile with nothing left open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Its name in the configuration.
    pub name: String,
    command: Vec<String>,
    /// Which reader understands its output.
    pub parser: Parser,
    /// Variables passed on from cq's environment, besides [`super::environment::ALWAYS`].
    pub env_pass: Vec<String>,
    /// Variables set for it.
    pub env_set: BTreeMap<String, Text>,
    /// Whether cq commits what it left uncommitted.
    pub commit_leftovers: bool,
}

/// Claude Code, headless. The branch's own settings, hooks and MCP servers are not loaded: they would run
/// unasked, and its `env` could send the API key elsewhere. It may edit files and commit, nothing more; a
/// profile of the same name in the configuration may allow more.
const CLAUDE: [&str; 14] = [
    "claude",
    "-p",
    "--output-format",
    "stream-json",
    "--verbose",
    "--session-id",
    "{session_id}",
    "--setting-sources",
    "user",
    "--strict-mcp-config",
    "--allowedTools",
    "Bash(git add:*),Bash(git commit:*),Bash(git status:*),Bash(git diff:*),Bash(git log:*)",
    "--permission-mode",
    "acceptEdits",
];

/// How Claude Code signs in, and where it finds its own files and the network.
const CLAUDE_PASS: [&str; 7] = [
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_BASE_URL",
    "ANTHROPIC_MODEL",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CONFIG_DIR",
    "NODE_EXTRA_CA_CERTS",
];

/// `@path` in a prompt makes the client read files anywhere: both switches, because one of them is not known to
/// older versions. A background task would keep the process for minutes after its result.
const CLAUDE_SET: [(&str, &str); 5] = [
    ("CLAUDE_CODE_DISABLE_ATTACHMENTS", "1"),
    ("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS", "1"),
    ("CLAUDE_CODE_DISABLE_FILE_MENTIONS", "1"),
    ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
    ("DISABLE_AUTOUPDATER", "1"),
];

impl Agent {
    /// The profile that the configuration names.
    pub fn configured(config: &Config) -> Result<Self> {
        let name = &config.agent.0;
        let written = config.agents.get(name);
        let profile = match (name.as_str(), written) {
            ("claude", written) => over_claude(written.cloned().unwrap_or_default()),
            (_, Some(written)) => written.clone(),
            (_, None) => {
                let message = format!("'agent' names '{name}', but 'agents' has no profile of that name");
                return Err(Error::new(Kind::Config, message).hint("name 'claude', or a key of 'agents'"));
            }
        };
        if profile.command.is_empty() {
            return Err(Error::new(Kind::Config, format!("'agents.{name}.command' is empty")));
        }
        Ok(Self {
            name: name.clone(),
            command: profile.command,
            parser: profile.parser.unwrap_or(Parser::ExitCode),
            env_pass: profile.env_pass,
            env_set: profile.env_set,
            commit_leftovers: profile.commit_leftovers.unwrap_or(true),
        })
    }

    /// The program's name or path.
    pub fn program(&self) -> &str {
        &self.command[0]
    }

    /// Its arguments. `worktree` is looked at for instructions that the settings switch off.
    pub fn arguments(&self, session_id: &str, worktree: &Path) -> Vec<String> {
        let mut arguments: Vec<String> =
            self.command[1..].iter().map(|argument| argument.replace("{session_id}", session_id)).collect();
        let instructions = worktree.join("CLAUDE.md");
        // A link could name any file of this machine.
        let is_file = std::fs::symlink_metadata(&instructions).is_ok_and(|about| about.is_file());
        if self.parser == Parser::Claude && is_file {
            arguments.extend(["--append-system-prompt-file".to_owned(), instructions.display().to_string()]);
        }
        arguments
    }
}

/// What the configuration leaves out of the `claude` profile keeps its built-in value.
fn over_claude(written: Profile) -> Profile {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let mut env_set: BTreeMap<String, Text> =
        CLAUDE_SET.iter().map(|&(name, value)| (name.to_owned(), Text::from(value))).collect();
    env_set.extend(written.env_set.clone());
    let mut env_pass = owned(&CLAUDE_PASS);
    env_pass.extend(written.env_pass.clone());
    Profile {
        command: if written.command.is_empty() { owned(&CLAUDE) } else { written.command.clone() },
        parser: written.parser.or(Some(Parser::Claude)),
        env_pass,
        env_set,
        ..written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claude_is_built_in_and_can_be_changed_in_part() {
        let agent = Agent::configured(&Config::default()).unwrap();
        assert_eq!((agent.program(), agent.parser), ("claude", Parser::Claude));
        let nowhere = Path::new("/nonexistent");
        let arguments = agent.arguments("the-id", nowhere);
        let at = arguments.iter().position(|argument| argument == "--session-id").unwrap();
        assert_eq!(arguments[at + 1], "the-id");

        let text = r#"{"agents":{"claude":{"command":["/opt/claude","-p"],"envSet":{"DISABLE_AUTOUPDATER":"0","X":"y"}}}}"#;
        let agent = Agent::configured(&Config::parse(text).unwrap()).unwrap();
        assert_eq!((agent.program(), agent.parser), ("/opt/claude", Parser::Claude));
        assert_eq!(agent.env_set["DISABLE_AUTOUPDATER"], Text::from("0"));
        assert_eq!(agent.env_set["CLAUDE_CODE_DISABLE_ATTACHMENTS"], Text::from("1"));
    }

    #[test]
    fn other_profiles_start_from_nothing() {
        let text = r#"{"agent":"mine","agents":{"mine":{"command":["make"]}}}"#;
        let agent = Agent::configured(&Config::parse(text).unwrap()).unwrap();
        assert_eq!((agent.parser, agent.env_pass.len(), agent.commit_leftovers), (Parser::ExitCode, 0, true));
        for text in [r#"{"agent":"other"}"#, r#"{"agent":"mine","agents":{"mine":{}}}"#] {
            let error = Agent::configured(&Config::parse(text).unwrap()).unwrap_err();
            assert_eq!(error.kind, Kind::Config);
        }
    }

    #[test]
    fn instructions_are_handed_over_unless_they_are_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let agent = Agent::configured(&Config::default()).unwrap();
        let handed =
            || agent.arguments("id", folder.path()).iter().any(|argument| argument.ends_with("CLAUDE.md"));
        assert!(!handed());
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("CLAUDE.md")).unwrap();
        assert!(!handed());
        std::fs::remove_file(folder.path().join("CLAUDE.md")).unwrap();
        std::fs::File::create(folder.path().join("CLAUDE.md")).unwrap();
        assert!(handed());
    }
}
