//! The only place that starts git.
//!
//! An agent in a worktree can write the repository's shared `.git`: its configuration, hooks, attributes and
//! remotes. So there are two doors. [`Repository`] is the owner's repository; only commands that run nothing
//! out of it are sent there, with hooks and the file-system monitor switched off. [`PrivateGit`] is a bare git
//! directory of cq's own, with its own configuration and the shared objects: everything else happens in it,
//! fetches and pushes to an explicit address included.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::environment::{self, Environment};
use crate::error::{Error, Kind, Result};
use crate::process::{self, Finished, Program};

mod fetch;
mod ignored;
mod in_use;
pub mod keep;
mod merges;
mod notes;
pub mod outgoing;
pub mod own_clone;
mod private;
mod quarantine;
mod remote;
mod repository;
mod revert;
mod shown;
mod taken;
pub mod tamper;
mod there;

pub use merges::Merged;
pub use private::{Identity, PrivateGit};
pub use quarantine::{Quarantine, Stand};
pub use remote::Remote;
pub use repository::{Repository, Worktree};
pub use there::{RefChange, There, branch_ref};

/// No local git command takes longer, not even a checkout of a very large tree.
const LOCAL_DEADLINE: Duration = Duration::from_secs(600);
/// No fetch or push takes longer.
const REMOTE_DEADLINE: Duration = Duration::from_secs(900);

/// The git program and the environment it always gets.
#[derive(Debug, Clone)]
pub struct Git {
    program: PathBuf,
    environment: Vec<(String, String)>,
}

/// Handed on to git: how it finds programs, ssh keys, proxies and certificate authorities.
const PASSED_ON: [&str; 14] = [
    "PATH",
    "HOME",
    "TMPDIR",
    "SSH_AUTH_SOCK",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "GIT_SSH_COMMAND",
];

impl Git {
    /// Finds git.
    pub fn find(environment: &Environment) -> Result<Self> {
        let program = process::find("git", Path::new("/"), environment)
            .map_err(|error| error.hint("install git 2.39 or newer"))?;
        let mut variables: Vec<(String, String)> = [
            ("LC_ALL", "C"),
            // Neither the machine's nor the user's configuration: an agent can write the second.
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            // A missing object must not start the remote helper that a configuration names.
            ("GIT_NO_LAZY_FETCH", "1"),
            ("GIT_NO_REPLACE_OBJECTS", "1"),
            ("GIT_LITERAL_PATHSPECS", "1"),
            ("GIT_ALLOW_PROTOCOL", "file:http:https:ssh"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let passed = PASSED_ON.iter().filter_map(|&name| Some((name, environment.named(name)?)));
        variables.extend(passed.map(|(name, value)| (name.to_owned(), value.to_owned())));
        // libcurl with GnuTLS does not look at SSL_CERT_FILE; git has a variable of its own.
        if environment.named("GIT_SSL_CAINFO").is_none()
            && let Some(file) = environment.get(&environment::SSL_CERT_FILE)
        {
            variables.push(("GIT_SSL_CAINFO".to_owned(), file.to_owned()));
        }
        Ok(Self { program, environment: variables })
    }

    /// The same git, whose processes carry a variable: those of a killed command are found again by it.
    #[must_use]
    pub fn marked(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A git command in a folder.
    fn program(&self, dir: &Path) -> Program {
        let variables = self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Program::new(&self.program, dir).envs(variables)
    }

    /// What `git --version` says.
    pub fn version(&self) -> Result<String> {
        Ok(self.program(Path::new("/")).args(["--version"]).run(LOCAL_DEADLINE)?.text())
    }
}

/// The error for a git command that failed, by what it complained about.
fn complaint(what: &str, finished: &Finished) -> Error {
    let said = String::from_utf8_lossy(&finished.stderr);
    let reason = reason(&said).unwrap_or_else(|| finished.complaint());
    let (kind, hint) = classify(&said);
    let error = Error::new(kind, format!("cannot {what}: git: {reason}"));
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// The first line that git marks as the cause; before all others one that GitHub numbers, which says more.
fn reason(said: &str) -> Option<String> {
    let numbered = |line: &str| {
        let at = line.find("GH0").filter(|_| line.starts_with("remote: "))?;
        Some(line[at..].trim_end().to_owned())
    };
    if let Some(reason) = said.lines().find_map(numbered) {
        return Some(reason);
    }
    let marked = |line: &&str| line.starts_with("fatal: ") || line.starts_with("error: ");
    let line = said.lines().find(marked)?;
    Some(line.trim_start_matches("fatal: ").trim_start_matches("error: ").to_owned())
}

fn classify(said: &str) -> (Kind, Option<&'static str>) {
    let says = |parts: &[&str]| parts.iter().any(|part| said.contains(part));
    if says(&["No space left on device", "Read-only file system", "Disk quota exceeded"]) {
        (Kind::CannotWrite, None)
    } else if says(&[
        "Authentication failed",
        "could not read Username",
        "error: 401",
        "error: 403",
        "Permission to",
    ]) {
        (Kind::NotPermitted, Some("the token needs 'contents: write' on this repository"))
    } else if says(&["GH006", "GH013", "protected branch hook declined"]) {
        (Kind::NotPermitted, Some("the branch is protected on GitHub: let its rules leave 'claude/' alone"))
    } else if says(&[
        "Could not resolve host",
        "unable to access",
        "Could not read from remote repository",
        "Connection refused",
        "Connection timed out",
        "does not appear to be a git repository",
        "not found",
        "early EOF",
        "hung up unexpectedly",
    ]) {
        (Kind::Unavailable, Some("check the address in git.remote, and that it can be reached from here"))
    } else {
        (Kind::Failed, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_complains_about_decides_the_status() {
        let cases = [
            ("fatal: Authentication failed for 'https://x/'", Kind::NotPermitted),
            (
                "fatal: unable to access 'https://x/': The requested URL returned error: 403",
                Kind::NotPermitted,
            ),
            ("fatal: unable to access 'https://x/': Could not resolve host: x", Kind::Unavailable),
            (
                "fatal: unable to access 'https://x/': The requested URL returned error: 500",
                Kind::Unavailable,
            ),
            ("remote: error: GH006: Protected branch update failed", Kind::NotPermitted),
            ("remote: error: GH013: Repository rule violations found", Kind::NotPermitted),
            ("fatal: write error: No space left on device", Kind::CannotWrite),
            ("fatal: not something we can merge", Kind::Failed),
        ];
        for (said, kind) in cases {
            assert_eq!(classify(said).0, kind, "{said}");
        }
        assert_eq!(reason("warning: w\nfatal: the cause\nhint: h").unwrap(), "the cause");
        let ruled = "remote: error: GH013: Repository rule violations found for refs/heads/b.        \nremote: \nerror: failed to push";
        assert_eq!(reason(ruled).unwrap(), "GH013: Repository rule violations found for refs/heads/b.");
    }
}
