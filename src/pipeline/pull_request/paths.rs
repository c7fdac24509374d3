//! Paths that decide what runs, who has a say, or what others get: what they are known by, and how a path is compared.

use std::collections::BTreeMap;

use crate::config::{Protection, globs};
use Protection::{Flag, Refuse};

const WORKFLOW: &str = "it decides what runs in CI";
const SAY: &str = "it decides who has a say";
const AGENTS: &str = "it decides what agents may do, and run";
const MACHINE: &str = "it can make programs run on people's machines";
const SOURCES: &str = "it decides where packages come from";
const LOCKED: &str = "it decides which packages others get";
const TOLD: &str = "agents are told what it says";

/// The built-in patterns: of one kind the strictest that fits counts.
const BUILT_IN: &[(&str, Protection, &str)] = &[
    (".github/workflows/**", Refuse, WORKFLOW),
    (".github/actions/**", Refuse, WORKFLOW),
    ("**/action.yml", Flag, WORKFLOW),
    ("**/action.yaml", Flag, WORKFLOW),
    (".gitlab-ci.yml", Flag, WORKFLOW),
    (".circleci/**", Flag, WORKFLOW),
    (".buildkite/**", Flag, WORKFLOW),
    (".woodpecker/**", Flag, WORKFLOW),
    (".drone.yml", Flag, WORKFLOW),
    (".travis.yml", Flag, WORKFLOW),
    ("azure-pipelines.yml", Flag, WORKFLOW),
    ("**/Jenkinsfile", Flag, WORKFLOW),
    ("CODEOWNERS", Refuse, SAY),
    (".github/CODEOWNERS", Refuse, SAY),
    ("docs/CODEOWNERS", Refuse, SAY),
    ("AI_POLICY.md", Refuse, SAY),
    ("**/orchestrator-config.json", Refuse, AGENTS),
    ("**/.claude/**", Refuse, AGENTS),
    ("**/.mcp.json", Refuse, AGENTS),
    ("**/.codex/**", Refuse, AGENTS),
    ("**/.gemini/**", Refuse, AGENTS),
    ("**/.cursor/**", Refuse, AGENTS),
    ("**/opencode.json", Refuse, AGENTS),
    ("**/.worktreeinclude", Refuse, AGENTS),
    ("**/CLAUDE.md", Flag, TOLD),
    ("**/AGENTS.md", Flag, TOLD),
    ("**/GEMINI.md", Flag, TOLD),
    (".github/copilot-instructions.md", Flag, TOLD),
    (".gitmodules", Refuse, MACHINE),
    ("**/.gitattributes", Flag, MACHINE),
    (".github/**", Flag, SAY),
    ("**/.vscode/**", Flag, MACHINE),
    ("**/.idea/**", Flag, MACHINE),
    ("**/.devcontainer/**", Flag, MACHINE),
    ("**/.husky/**", Flag, MACHINE),
    ("**/.envrc", Flag, MACHINE),
    ("**/.pre-commit-config.yaml", Flag, MACHINE),
    ("**/.npmrc", Flag, SOURCES),
    ("**/.yarnrc.yml", Flag, SOURCES),
    ("**/pip.conf", Flag, SOURCES),
    ("**/.cargo/**", Flag, SOURCES),
    ("**/nuget.config", Flag, SOURCES),
];

/// Lock files: long, written by programs.
const LOCK_FILES: [&str; 18] = [
    "bun.lock",
    "bun.lockb",
    "cargo.lock",
    "composer.lock",
    "flake.lock",
    "gemfile.lock",
    "go.sum",
    "gradle.lockfile",
    "mix.lock",
    "npm-shrinkwrap.json",
    "package-lock.json",
    "packages.lock.json",
    "pipfile.lock",
    "pnpm-lock.yaml",
    "poetry.lock",
    "pubspec.lock",
    "uv.lock",
    "yarn.lock",
];

/// A path as some system or other would take it: without regard to case, to characters of no width, to dots and
/// blanks at the ends of names, and to which way the slashes lean.
pub(super) fn folded(path: &[u8]) -> String {
    let text = String::from_utf8_lossy(path).replace('\\', "/");
    // Of characters that have several lower-case forms, such as the long s, the upper-case one decides.
    let visible = text.chars().filter(|c| !is_left_out(*c));
    let folded: String = visible.flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect();
    let names = folded.split('/').map(|name| match name {
        "." | ".." => name,
        name => name.trim_end_matches(['.', ' ']),
    });
    names.collect::<Vec<_>>().join("/")
}

/// What HFS+ leaves out of names.
const fn is_left_out(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

/// Whether a path, folded already, fits a pattern, also as the folder that one means.
pub(super) fn fits(pattern: &str, path: &str) -> bool {
    let pattern = folded(pattern.as_bytes());
    globs::fits(&pattern, path) || pattern.strip_suffix("/**").is_some_and(|folder| globs::fits(folder, path))
}

/// Whether what a pattern means may stand below a path: what is a link or a submodule there takes its place.
fn stands_below(pattern: &str, path: &str) -> bool {
    let says_something = |prefix: &str| prefix.split('/').any(|name| name.chars().any(|c| !"*?".contains(c)));
    pattern
        .match_indices('/')
        .map(|(at, _)| &pattern[..at])
        .any(|prefix| says_something(prefix) && fits(prefix, path))
}

/// Whether programs write it: its length says nothing.
pub(super) fn is_lock_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    LOCK_FILES.contains(&name)
}

/// What becomes of a change to a path, folded already, and why. `replaces_folder`: a link or a submodule stands there.
pub(super) fn protection(
    own: &BTreeMap<String, Protection>,
    path: &str,
    replaces_folder: bool,
) -> (Protection, String) {
    let concerns = |pattern: &str| fits(pattern, path) || replaces_folder && stands_below(pattern, path);
    let of_own = own.iter().filter(|(pattern, _)| concerns(pattern));
    if let Some((pattern, protection)) = of_own.max_by_key(|(_, protection)| **protection) {
        return (*protection, format!("guards.protected names it, as '{pattern}'"));
    }
    let built_in = BUILT_IN.iter().filter(|(pattern, ..)| concerns(pattern));
    match built_in.max_by_key(|(_, protection, _)| *protection) {
        Some((_, protection, why)) => (*protection, (*why).to_owned()),
        None if is_lock_file(path) => (Flag, LOCKED.to_owned()),
        None => (Protection::Allow, String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Protection::Allow;

    #[test]
    fn paths_are_compared_as_the_most_careless_system_would() {
        let refused = [
            ".github/workflows/ci.yml",
            ".GitHub/Workflows/ci.yml",
            ".github/workflows",
            ".github/wor\u{212a}flows/ci.yml",
            ".github/workflow\u{17f}/ci.yml",
            ".git\u{200c}hub/workflows/ci.yml",
            ".github./workflows /ci.yml",
            ".github\\workflows\\ci.yml",
            ".github/workflows/a\"b\nc.yml",
            ".github/CodeOwners",
            "sub/.CLAUDE/settings.json",
            ".mcp.json",
            ".gitmodules",
        ];
        for path in refused {
            assert_eq!(protection(&BTreeMap::new(), &folded(path.as_bytes()), false).0, Refuse, "{path:?}");
        }
        let others = [
            ("Cargo.lock", Flag),
            ("web/Package-Lock.json", Flag),
            (".github/dependabot.yml", Flag),
            ("docs/CLAUDE.md", Flag),
            ("src/main.rs", Allow),
            ("docs/github/workflows/x.yml", Allow),
            ("claude/settings.json", Allow),
            ("Cargo.lock.md", Allow),
        ];
        for (path, expected) in others {
            assert_eq!(protection(&BTreeMap::new(), &folded(path.as_bytes()), false).0, expected, "{path:?}");
        }
    }

    #[test]
    fn ones_own_patterns_come_before_the_built_in_ones() {
        let own = BTreeMap::from([
            (".github/workflows/**".to_owned(), Flag),
            ("**/*.lock".to_owned(), Allow),
            ("Migrations/**".to_owned(), Refuse),
        ]);
        let cases = [
            (".github/workflows/ci.yml", Flag),
            ("Cargo.lock", Allow),
            ("migrations/1/up.sql", Refuse),
            ("migrations", Refuse),
            (".mcp.json", Refuse),
        ];
        for (path, expected) in cases {
            assert_eq!(protection(&own, &folded(path.as_bytes()), false).0, expected, "{path}");
        }
    }

    /// A link in the place of a folder brings files that no path names.
    #[test]
    fn what_takes_the_place_of_a_protected_folder_is_one() {
        let cases = [
            (".github", true, Refuse),
            (".github", false, Flag),
            (".claude", false, Refuse),
            ("docs", true, Refuse),
            ("src", true, Allow),
        ];
        for (path, replaces, expected) in cases {
            assert_eq!(protection(&BTreeMap::new(), path, replaces).0, expected, "{path} {replaces}");
        }
    }
}
