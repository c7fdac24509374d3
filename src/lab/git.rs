//! The only place of the rehearsal that starts git: on the server's bare repositories, and once for the
//! scripted agent's commit. The environment is empty but for what is named here, so that nobody's
//! configuration changes a rehearsal.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::clock::Timestamp;
use crate::environment::{self, Environment};
use crate::error::{Error, Kind, OrFail, Result};

const NAME: &str = "cq-lab";
const EMAIL: &str = "cq-lab@localhost";

/// How git is started.
#[derive(Debug, Clone)]
pub(super) struct Git {
    program: PathBuf,
    path: String,
}

/// The environment of every git here.
fn clean(path: &str) -> [(&'static str, &str); 9] {
    [
        ("PATH", path),
        ("HOME", "/nonexistent"),
        ("LC_ALL", "C"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_CONFIG_COUNT", "1"),
        // The seed may name a repository of somebody else's; it is only read.
        ("GIT_CONFIG_KEY_0", "safe.directory"),
        ("GIT_CONFIG_VALUE_0", "*"),
    ]
}

impl Git {
    /// Looks git up on PATH.
    pub(super) fn find(environment: &Environment) -> Result<Self> {
        let path = environment.get(&environment::PATH).unwrap_or("/usr/bin:/bin").to_owned();
        let program =
            which::which_in("git", Some(&path), "/").or_fail(Kind::Config, || "cannot find 'git' on PATH")?;
        Ok(Self { program, path })
    }

    /// A git with the clean environment and no standard streams; `kill_on_drop`, as a rehearsal leaves nothing.
    pub(super) fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).env_clear().envs(clean(&self.path)).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Runs git in a bare repository, with `input` on its stdin.
    pub(super) async fn run(&self, repository: &Path, arguments: &[&str], input: &[u8]) -> Result<Output> {
        self.run_at(repository, arguments, input, None).await
    }

    async fn run_at(
        &self,
        repository: &Path,
        arguments: &[&str],
        input: &[u8],
        at: Option<Timestamp>,
    ) -> Result<Output> {
        let mut command = self.command(arguments);
        command
            .env("GIT_DIR", repository)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(at) = at {
            let date = format!("{} +0000", at.timestamp());
            command.envs([("GIT_AUTHOR_NAME", NAME), ("GIT_AUTHOR_EMAIL", EMAIL)]);
            command.envs([("GIT_COMMITTER_NAME", NAME), ("GIT_COMMITTER_EMAIL", EMAIL)]);
            command.envs([("GIT_AUTHOR_DATE", &date), ("GIT_COMMITTER_DATE", &date)]);
        }
        let attempt = || format!("cannot run 'git {}'", arguments.join(" "));
        let mut child = command.spawn().or_fail(Kind::Config, attempt)?;
        // Never more than a seed's files: the pipe is read while git still writes nothing.
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input).await.or_fail(Kind::Internal, attempt)?;
        }
        child.wait_with_output().await.or_fail(Kind::Internal, attempt)
    }

    /// The same, for its words; anything but success is an error.
    pub(super) async fn text(&self, repository: &Path, arguments: &[&str], input: &[u8]) -> Result<String> {
        words(arguments, &self.run(repository, arguments, input).await?)
    }

    /// Makes a commit of a tree; gives its name.
    pub(super) async fn commit_tree(
        &self,
        repository: &Path,
        tree: &str,
        parents: &[&str],
        message: &str,
        at: Timestamp,
    ) -> Result<String> {
        let mut arguments = vec!["commit-tree", tree, "-F", "-"];
        for parent in parents {
            arguments.extend(["-p", parent]);
        }
        words(&arguments, &self.run_at(repository, &arguments, message.as_bytes(), Some(at)).await?)
    }

    /// Every ref and what it points to.
    pub(super) async fn refs(&self, repository: &Path) -> Result<BTreeMap<String, String>> {
        let listing =
            self.text(repository, &["for-each-ref", "--format=%(refname) %(objectname)"], b"").await?;
        let pair = |line: &str| line.split_once(' ').map(|(name, sha)| (name.to_owned(), sha.to_owned()));
        Ok(listing.lines().filter_map(pair).collect())
    }

    /// A commit's name; none where there is no such thing.
    pub(super) async fn resolve(&self, repository: &Path, revision: &str) -> Result<Option<String>> {
        if revision.starts_with('-') {
            return Ok(None);
        }
        let wanted = format!("{revision}^{{commit}}");
        let output = self.run(repository, &["rev-parse", "--verify", "--quiet", &wanted], b"").await?;
        Ok(output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned()))
    }

    /// Makes the bare repository `target` from an existing one.
    pub(super) async fn clone_bare(&self, source: &Path, target: &Path, branch: &str) -> Result<()> {
        let arguments =
            [OsStr::new("clone"), "--quiet".as_ref(), "--bare".as_ref(), source.as_ref(), target.as_ref()];
        let mut command = self.command(arguments);
        let output = command
            .stderr(Stdio::piped())
            .output()
            .await
            .or_fail(Kind::Config, || "cannot run 'git clone'")?;
        words(&["clone", &source.display().to_string()], &output)?;
        self.text(target, &["remote", "remove", "origin"], b"").await?;
        self.finish(target, branch).await
    }

    /// Makes the bare repository `target` with one commit that holds `files`. A file that begins with
    /// `#!` can be run.
    pub(super) async fn make_bare(
        &self,
        target: &Path,
        branch: &str,
        files: &BTreeMap<String, String>,
        at: Timestamp,
    ) -> Result<()> {
        self.text(target, &["init", "--quiet", "--bare"], b"").await?;
        let mut stream = vec![format!(
            "commit refs/heads/{branch}\ncommitter {NAME} <{EMAIL}> {} +0000\ndata 6\nBegin\n",
            at.timestamp()
        )];
        for (path, content) in files {
            if path.starts_with('"') || path.contains('\n') {
                return Err(Error::new(
                    Kind::Config,
                    format!("the seed's file '{path}' has no name for git"),
                ));
            }
            let mode = if content.starts_with("#!") { "100755" } else { "100644" };
            stream.push(format!("M {mode} inline {path}\ndata {}\n{content}\n", content.len()));
        }
        self.text(target, &["fast-import", "--quiet"], stream.concat().as_bytes()).await?;
        self.finish(target, branch).await
    }

    async fn finish(&self, target: &Path, branch: &str) -> Result<()> {
        let head = format!("refs/heads/{branch}");
        if self.resolve(target, &head).await?.is_none() {
            let place = target.display();
            return Err(Error::new(
                Kind::Config,
                format!("the repository '{place}' has no branch '{branch}'"),
            ));
        }
        self.text(target, &["symbolic-ref", "HEAD", &head], b"").await?;
        Ok(())
    }
}

/// What git said on stdout, or an error with what it said on stderr.
fn words(arguments: &[&str], output: &Output) -> Result<String> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let message = format!("'git {}' failed: {}", arguments.join(" "), said.trim());
    Err(Error::new(Kind::Internal, message))
}

/// Commits everything in a worktree, for the scripted agent. The short name of the commit; none when
/// there was nothing to commit.
pub(super) fn commit_all(
    directory: &Path,
    environment: &Environment,
    message: &str,
) -> Result<Option<String>> {
    let git = Git::find(environment)?;
    let run = |arguments: &[&str]| {
        #[expect(clippy::disallowed_methods, reason = "the scripted agent plays a foreign program")]
        let mut command = std::process::Command::new(&git.program);
        command.args(["-c", "user.name=cq-lab agent", "-c", "user.email=agent@localhost"]);
        command.args(["-c", "commit.gpgSign=false"]).args(arguments);
        command.env_clear().envs(clean(&git.path)).current_dir(directory).stdin(Stdio::null());
        command.output().or_fail(Kind::Config, || "cannot run 'git'")
    };
    words(&["add", "-A"], &run(&["add", "-A"])?)?;
    if run(&["diff", "--cached", "--quiet"])?.status.success() {
        return Ok(None);
    }
    words(&["commit"], &run(&["commit", "--quiet", "-m", message])?)?;
    words(&["rev-parse"], &run(&["rev-parse", "--short", "HEAD"])?).map(Some)
}
