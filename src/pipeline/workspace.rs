//! A workspace: `workspaces/claude-instance-N/` with a worktree, `.env`, `prompt.md` and `claude.log`.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::supervise::end_processes;
use crate::agent::profile::Agent;
use crate::agent::prompt;
use crate::agent::templates::DOT_ENV;
use crate::error::{Error, Kind, OrFail, Result};
use crate::git::{Quarantine, Repository, Worktree, branch_ref, own_clone};
use crate::record::{Record, Status};
use crate::session::Session;
use crate::state::folder::Identity;
use crate::state::places::Place;
use crate::state::{durable, make_private};

pub(crate) mod guard;
pub(crate) mod included;
mod make;
pub(crate) mod spares;
mod trash;

pub(crate) use trash::{Grounds, discard, discard_workspace, empty_trash, move_only, put_in_trash};

/// Where the parts of an instance's workspace are.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    /// The workspace.
    pub(crate) dir: PathBuf,
    /// The worktree, named after the repository.
    pub(crate) worktree: PathBuf,
    pub(crate) dot_env: PathBuf,
    pub(crate) prompt: PathBuf,
    /// The redacted log.
    pub(crate) log: PathBuf,
    /// What a sandboxed agent has to itself.
    pub(crate) sandbox: PathBuf,
    /// Outside the workspace: raw output, the supervisor's own words, the logs of checks.
    pub(crate) raw: PathBuf,
}

/// So much of the end of a log is looked at.
const TAIL_BYTES: u64 = 8 << 10;
/// Beside the worktree: says that it was set up.
pub(crate) const SET_UP: &str = "setup.done";
/// Files beside the worktree, whose names a repository could have too.
const RESERVED: [&str; 6] = [".env", "prompt.md", "claude.log", "gate", ".sandbox", SET_UP];

impl Paths {
    /// Those of a claimed record.
    pub(crate) fn of(session: &Session, record: &Record) -> Result<Self> {
        let instance = &record.claimed()?.instance;
        let name = Self::name_of(&record.repo);
        let dir = session.loaded.workspaces(&session.environment)?.join(instance);
        Ok(Self {
            worktree: dir.join(name),
            dot_env: dir.join(".env"),
            prompt: dir.join("prompt.md"),
            log: dir.join("claude.log"),
            sandbox: dir.join(".sandbox"),
            raw: session.loaded.logs().join(instance),
            dir,
        })
    }

    /// What the worktrees of a repository, `owner/name`, are called.
    pub(crate) fn name_of(repo: &str) -> &str {
        let name = repo.rsplit('/').next().unwrap_or("repository");
        if RESERVED.contains(&name) { "repository" } else { name }
    }

    /// `<issue>.<attempt>.<start>-<run>.<what>` among the raw logs. Start and number keep runs of one attempt apart: one
    /// that ended in a usage limit does not count. The session would not: another run may go on with it.
    pub(crate) fn raw_file(&self, record: &Record, what: &str) -> PathBuf {
        let attempt = record.claim.as_ref().map_or(1, |claim| claim.attempt);
        let started = record.run.as_ref().and_then(|run| run.started_at);
        let started = started.map_or_else(|| "none".to_owned(), |at| at.format("%Y%m%d%H%M%S").to_string());
        let run = record.history.iter().filter(|change| change.to == Status::InProgress).count();
        self.raw.join(format!("{}.{attempt}.{started}-{run}.{what}", record.number))
    }
}

/// A workspace that is ready for an agent.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) paths: Paths,
    pub(crate) worktree: Worktree,
    pub(crate) base_sha: String,
    pub(crate) dot_env: String,
    /// Whether the agent goes on with its last session.
    pub(crate) resumes: bool,
    /// What is worth a line in the log.
    pub(crate) told: Vec<String>,
}

impl Ready {
    /// Whether it is a clone, with a git directory of its own.
    pub(crate) fn is_clone(&self) -> bool {
        self.worktree.git_dir.starts_with(&self.worktree.path)
    }
}

/// Makes the workspace of a claimed record, or finds it as an earlier attempt left it. The caller holds the
/// instance.
pub(crate) fn prepare(session: &Session, record: &Record, agent: &Agent) -> Result<Ready> {
    let claim = record.claimed()?;
    let (repository, private) = session.git_of_claim(claim)?;
    let paths = Paths::of(session, record)?;
    if paths.worktree.symlink_metadata().is_ok() {
        // The git of a spawn that was killed may still be at work in it.
        end_processes(record)?;
    }
    make_folders(session, record, &paths)?;
    let kept = match &claim.base_sha {
        // The base is only written down once the worktree is complete.
        Some(base) => git_dir_of(record, &paths, &repository).ok().map(|git_dir| (base.clone(), git_dir)),
        None => None,
    };
    // A session remembers files: in a new worktree it would look for what is not there.
    let resumes = kept.is_some() && agent.resumes(record);
    let made = match kept {
        Some((base_sha, git_dir)) => {
            repository.remove_stale_locks(&git_dir, &claim.branch)?;
            let worktree = Worktree { path: paths.worktree.clone(), git_dir };
            make::Made { base_sha, worktree, told: Vec::new() }
        }
        None => make::make(session, record, &repository, &private, &paths)?,
    };
    let make::Made { base_sha, worktree, told } = made;
    note_place(session, record, &paths, false, Some(&worktree.git_dir))?;
    let workspaces = session.loaded.workspaces(&session.environment)?;
    let repo_path = paths.worktree.display().to_string();
    let dir = paths.dir.display().to_string();
    let prompt = prompt::prompt(record, resumes, &dir, &repo_path, |template| template.read(&workspaces))?;
    let values = BTreeMap::from([
        ("issue_id", record.number.to_string()),
        ("workspace_id", claim.instance.clone()),
        ("branch_name", claim.branch.clone()),
        ("repo_path", repo_path),
    ]);
    let dot_env = DOT_ENV.render(&workspaces, &values)?;
    durable::replace_cheaply(&paths.prompt, prompt.as_bytes())?;
    durable::replace_cheaply(&paths.dot_env, dot_env.as_bytes())?;
    Ok(Ready { paths, worktree, base_sha, dot_env, resumes, told })
}

/// Makes the folders of the workspace and of the raw logs, where they are not there.
pub(crate) fn make_folders(session: &Session, record: &Record, paths: &Paths) -> Result<()> {
    let is_new = paths.dir.symlink_metadata().is_err();
    make_private(&paths.dir)?;
    make_private(&paths.raw)?;
    note_place(session, record, paths, is_new, None)
}

/// Notes which folders are a claim's, as they are made: cleanup removes these and no others.
fn note_place(
    session: &Session,
    record: &Record,
    paths: &Paths,
    is_new: bool,
    git_dir: Option<&Path>,
) -> Result<()> {
    let claim = record.claimed()?;
    let known = session.state.place(&claim.instance, &claim.token)?;
    let identity = |path: &Path| {
        let is_folder = path.symlink_metadata().is_ok_and(|about| about.is_dir());
        let found = Identity::at_path(path).ok().flatten().filter(|_| is_folder);
        found.ok_or_else(|| {
            let message = format!("'{}' is no folder that cq made", path.display());
            Error::new(Kind::NotPermitted, message).hint("look where it leads, and move it away")
        })
    };
    let place = match known.clone().filter(|_| !is_new) {
        Some(known) => known,
        None => Place::of(&claim.token, identity(&paths.dir)?),
    };
    let place = match git_dir {
        Some(git_dir) => place.with_git_dir(git_dir.to_owned(), identity(git_dir)?),
        None => place,
    };
    if known.as_ref() == Some(&place) { Ok(()) } else { session.state.note_place(&claim.instance, &place) }
}

/// Whether a record's workspace holds a clone of its own, whatever the configuration says by now.
pub(crate) fn is_clone(record: &Record, paths: &Paths) -> bool {
    let git_dir = record.run.as_ref().and_then(|run| run.git_dir.as_deref());
    git_dir.is_some_and(|git_dir| Path::new(git_dir).starts_with(&paths.worktree))
}

/// The git directory of a record's worktree: its part of the repository, or its clone's own.
pub(crate) fn git_dir_of(record: &Record, paths: &Paths, repository: &Repository) -> Result<PathBuf> {
    if !is_clone(record, paths) {
        return repository.git_dir_of(&paths.worktree);
    }
    own_clone::git_dir(&paths.worktree).ok_or_else(|| {
        let message = format!("'{}' is no clone any more", paths.worktree.display());
        Error::new(Kind::NotPermitted, message)
    })
}

/// What a clone's commits are taken over by.
pub(crate) fn quarantine_of_clone(paths: &Paths) -> Quarantine {
    Quarantine::of_clone(&paths.sandbox, paths.worktree.join(".git"))
}

/// A file to append to, readable by its owner only.
pub(crate) fn private_file(path: &Path) -> Result<File> {
    let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    opened.or_fail(Kind::CannotWrite, || format!("cannot write '{}'", path.display()))
}

/// The end of a log, as text; none where it cannot be read.
pub(crate) fn tail(log: &Path) -> Option<String> {
    let mut text = Vec::new();
    let mut file = File::open(log).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES))).ok()?;
    file.read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// The commit at the end of a record's branch.
pub(crate) fn head_of(repository: &Repository, record: &Record) -> Result<String> {
    let branch = &record.claimed()?.branch;
    repository.resolve(&branch_ref(branch))?.ok_or_else(|| {
        Error::new(Kind::Failed, format!("issue #{}: the branch '{branch}' is gone", record.number))
    })
}
