//! What agents keep in their homes: how they are signed in, and what their user has set.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The files of one agent, by the name of its program.
struct Files {
    program: &'static str,
    /// The folder of the files, relative to the home, and the variable that can name another.
    folder: &'static str,
    variable: Option<&'static str>,
    /// How it is signed in; not needed where one of `keys` is set.
    sign_in: &'static [&'static str],
    keys: &'static [&'static str],
    settings: &'static [&'static str],
}

const FILES: [Files; 5] = [
    Files {
        program: "claude",
        folder: ".claude",
        variable: Some("CLAUDE_CONFIG_DIR"),
        sign_in: &[".credentials.json"],
        keys: &["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"],
        settings: &["settings.json", "CLAUDE.md"],
    },
    Files {
        program: "codex",
        folder: ".codex",
        variable: Some("CODEX_HOME"),
        sign_in: &["auth.json"],
        keys: &["OPENAI_API_KEY", "CODEX_API_KEY"],
        settings: &["config.toml"],
    },
    Files {
        program: "gemini",
        folder: ".gemini",
        variable: None,
        sign_in: &["oauth_creds.json", "google_accounts.json"],
        keys: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        settings: &["settings.json"],
    },
    Files {
        program: "opencode",
        folder: ".local/share/opencode",
        variable: None,
        sign_in: &["auth.json"],
        keys: &[],
        settings: &[],
    },
    Files {
        program: "opencode",
        folder: ".config/opencode",
        variable: None,
        sign_in: &[],
        keys: &[],
        settings: &["opencode.json"],
    },
];

/// What an agent reads of its user's home.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Needed {
    /// Files to read.
    pub(super) files: Vec<PathBuf>,
    /// Folders outside the home in which it keeps what it writes.
    pub(super) folders: Vec<PathBuf>,
}

/// By the program's name, the home, and the agent's variables.
pub(super) fn needed(program: &str, home: Option<&Path>, variables: &BTreeMap<String, String>) -> Needed {
    let mut needed = Needed::default();
    for about in FILES.iter().filter(|about| about.program == program) {
        let named = about.variable.and_then(|name| variables.get(name)).map(PathBuf::from);
        let named = named.filter(|folder| folder.is_absolute());
        let Some(folder) = named.clone().or_else(|| Some(home?.join(about.folder))) else { continue };
        needed.files.extend(about.settings.iter().map(|name| folder.join(name)));
        if !about.keys.iter().any(|name| variables.contains_key(*name)) {
            needed.files.extend(about.sign_in.iter().map(|name| folder.join(name)));
        }
        needed.folders.extend(named.filter(|folder| home.is_none_or(|home| !folder.starts_with(home))));
    }
    needed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_gets_its_own_sign_in_and_nobody_elses() {
        type Case = (
            &'static str,
            &'static [(&'static str, &'static str)],
            &'static [&'static str],
            &'static [&'static str],
        );
        let cases: [Case; 6] = [
            (
                "claude",
                &[],
                &["/h/.claude/settings.json", "/h/.claude/CLAUDE.md", "/h/.claude/.credentials.json"],
                &[],
            ),
            (
                "claude",
                &[("ANTHROPIC_API_KEY", "k")],
                &["/h/.claude/settings.json", "/h/.claude/CLAUDE.md"],
                &[],
            ),
            ("codex", &[("CODEX_HOME", "/c")], &["/c/config.toml", "/c/auth.json"], &["/c"]),
            ("codex", &[("CODEX_HOME", "/h/c")], &["/h/c/config.toml", "/h/c/auth.json"], &[]),
            ("gemini", &[("GEMINI_API_KEY", "k")], &["/h/.gemini/settings.json"], &[]),
            ("make", &[], &[], &[]),
        ];
        for (program, variables, files, folders) in cases {
            let variables =
                variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
            let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
            let expected = Needed { files: paths(files), folders: paths(folders) };
            assert_eq!(
                needed(program, Some(Path::new("/h")), &variables),
                expected,
                "{program} {variables:?}"
            );
        }
    }
}
