//! The profiles that need no configuration, as these clients were measured.

use std::collections::BTreeMap;

use crate::config::{Parser, Profile, PromptBy, SessionBy, Text};

/// Their names. `command` is any program: it has nothing but a name until the configuration gives it a command.
pub const NAMES: [&str; 5] = ["claude", "codex", "gemini", "opencode", "command"];

/// The profile of this name.
pub(super) fn profile(name: &str) -> Option<Profile> {
    match name {
        "claude" => Some(claude()),
        "codex" => Some(codex()),
        "gemini" => Some(gemini()),
        "opencode" => Some(opencode()),
        "command" => Some(Profile::default()),
        _ => None,
    }
}

/// Claude Code, headless. The branch's own settings, hooks and MCP servers are not loaded: they would run unasked, and
/// its `env` could send the API key elsewhere. It may edit files and commit, nothing more.
fn claude() -> Profile {
    let begin = ["claude", "-p", "--output-format", "stream-json", "--verbose"];
    let end = ["--setting-sources", "user", "--strict-mcp-config", "{options}"];
    let vector = |session| [&begin[..], &[session, "{session_id}"], &end[..]].concat();
    let tools = ["git add", "git commit", "git status", "git diff", "git log"];
    Profile {
        command: owned(&vector("--session-id")),
        resume: Some(owned(&vector("--resume"))),
        parser: Some(Parser::Claude),
        allowed_tools: Some(tools.iter().map(|tool| format!("Bash({tool}:*)")).collect()),
        permission_mode: Some("acceptEdits".to_owned()),
        // How it signs in, and where it finds its own files and the network.
        env_pass: owned(&[
            "ANTHROPIC_API_KEY",
            "ANTHROPIC_AUTH_TOKEN",
            "ANTHROPIC_BASE_URL",
            "ANTHROPIC_MODEL",
            "CLAUDE_CODE_OAUTH_TOKEN",
            "CLAUDE_CONFIG_DIR",
            "NODE_EXTRA_CA_CERTS",
        ]),
        // `@path` in a prompt makes the client read files anywhere: both switches, because one of them is not known to
        // older versions. A background task would keep the process for minutes after its result.
        env_set: variables(&[
            ("CLAUDE_CODE_DISABLE_ATTACHMENTS", "1"),
            ("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS", "1"),
            ("CLAUDE_CODE_DISABLE_FILE_MENTIONS", "1"),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
            ("DISABLE_AUTOUPDATER", "1"),
            ("DISABLE_TELEMETRY", "1"),
        ]),
        ..from_stdin(SessionBy::Assigned)
    }
}

/// Codex. Its own sandbox makes `git commit` fail in a worktree, whose git directory lies elsewhere, and does not start
/// inside another one: it is off, unless `permissionMode` names one (`workspace-write`; cq commits what is left).
/// Its options stand before `resume`, which does not know them all. Analytics cost five seconds at every end.
fn codex() -> Profile {
    let exec = ["codex", "exec", "--json", "-c", "analytics.enabled=false", "{options}"];
    Profile {
        command: owned(&[&exec[..], &["-"]].concat()),
        resume: Some(owned(&[&exec[..], &["resume", "{session_id}", "-"]].concat())),
        parser: Some(Parser::Codex),
        permission_mode: Some("bypass".to_owned()),
        env_pass: owned(&["OPENAI_API_KEY", "CODEX_API_KEY", "OPENAI_BASE_URL", "CODEX_HOME"]),
        ..from_stdin(SessionBy::Reported)
    }
}

/// Gemini CLI. It asks for leave where nobody answers, and refuses a folder it does not trust. Where it starts itself
/// once more, the process we know does not end on SIGTERM.
fn gemini() -> Profile {
    let vector = |session| ["gemini", "-o", "stream-json", session, "{session_id}", "{options}"];
    Profile {
        command: owned(&vector("--session-id")),
        resume: Some(owned(&vector("--resume"))),
        parser: Some(Parser::Gemini),
        permission_mode: Some("yolo".to_owned()),
        env_pass: owned(&[
            "GEMINI_API_KEY",
            "GOOGLE_API_KEY",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "GOOGLE_CLOUD_LOCATION",
            "GOOGLE_CLOUD_PROJECT",
            "GOOGLE_GEMINI_BASE_URL",
            "GOOGLE_GENAI_USE_GCA",
            "GOOGLE_GENAI_USE_VERTEXAI",
            "NODE_EXTRA_CA_CERTS",
        ]),
        env_set: variables(&[("GEMINI_CLI_NO_RELAUNCH", "true"), ("GEMINI_CLI_TRUST_WORKSPACE", "true")]),
        ..from_stdin(SessionBy::Assigned)
    }
}

/// opencode. Without `--auto` (`permissionMode: auto`) it denies itself what its configuration would ask for.
fn opencode() -> Profile {
    let run = ["opencode", "run", "--format", "json", "{options}"];
    Profile {
        command: owned(&run),
        resume: Some(owned(&[&run[..], &["-s", "{session_id}"]].concat())),
        parser: Some(Parser::Opencode),
        env_pass: owned(&[
            "ANTHROPIC_API_KEY",
            "GEMINI_API_KEY",
            "OPENAI_API_KEY",
            "OPENCODE_CONFIG",
            "OPENCODE_CONFIG_CONTENT",
            "OPENROUTER_API_KEY",
            "XDG_CONFIG_HOME",
            "XDG_DATA_HOME",
        ]),
        env_set: variables(&[("OPENCODE_DISABLE_AUTOUPDATE", "true")]),
        ..from_stdin(SessionBy::Reported)
    }
}

fn from_stdin(session: SessionBy) -> Profile {
    Profile { prompt: Some(PromptBy::Stdin), session: Some(session), ..Profile::default() }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, Text> {
    pairs.iter().map(|&(name, value)| (name.to_owned(), Text::from(value))).collect()
}
