//! A new worktree or clone, with the files of the base in it.

use std::path::PathBuf;

use super::{Paths, SET_UP, discard, included, quarantine_of_clone, spares};
use crate::config::Isolation;
use crate::error::Result;
use crate::git::own_clone::Origin;
use crate::git::{PrivateGit, Repository, Worktree, branch_ref};
use crate::pipeline::rescue::{self, GitPlace, Source};
use crate::record::Record;
use crate::session::Session;
use crate::state::durable;

/// What was made, or found.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) base_sha: String,
    pub(super) worktree: Worktree,
    /// What is worth a line in the log.
    pub(super) told: Vec<String>,
}

/// Makes what the configuration wants; what a killed spawn left in its place is put away first.
pub(super) fn make(
    session: &Session,
    record: &Record,
    repository: &Repository,
    private: &PrivateGit,
    paths: &Paths,
) -> Result<Made> {
    let claim = record.claimed()?;
    put_away(session, record, repository, private, paths)?;
    let config = &session.loaded.config.workspace;
    let address = session.remote_address(&record.repo)?;
    let remote = || session.remote(&record.repo);
    let now = session.clock.now();
    let base_sha = private.fetch_base(&address, remote, &claim.base, config.clone, now)?;
    let mut told = Vec::new();
    let worktree = match config.isolation {
        Isolation::Clone => {
            let origin = Origin { address: &address, base: &claim.base, base_sha: &base_sha };
            let (worktree, head) = private.make_clone(&paths.worktree, &claim.branch, &origin)?;
            quarantine_of_clone(paths).begin(&head)?;
            fill(session, record, private, &worktree, &head)?;
            worktree
        }
        Isolation::Worktree => {
            if let Some(worktree) = spares::take(session, record, repository, private, paths, &base_sha)? {
                told.push("its worktree was a warm spare".to_owned());
                worktree
            } else {
                let worktree = {
                    let _lock = private.worktree_lock(session.clock.now())?;
                    repository.add_worktree(&paths.worktree, &claim.branch, &base_sha)?
                };
                let full = branch_ref(&claim.branch);
                let head = repository.resolve(&full)?.unwrap_or_else(|| base_sha.clone());
                fill(session, record, private, &worktree, &head)?;
                worktree
            }
        }
    };
    told.extend(included::copy(session, private, &base_sha, &worktree.path)?);
    // A branch that was there has an older end of the base underneath: what has come to that since is not its change.
    let head = repository.resolve(&branch_ref(&claim.branch))?.filter(|head| *head != base_sha);
    let common = head.map(|head| private.common(&base_sha, &head)).transpose()?.flatten();
    let base_sha = common.unwrap_or(base_sha);
    Ok(Made { base_sha, worktree, told })
}

fn fill(
    session: &Session,
    record: &Record,
    private: &PrivateGit,
    worktree: &Worktree,
    head: &str,
) -> Result<()> {
    let _slot = private.fill_slot(record.number, session.clock.now())?;
    private.fill(&worktree.path, &worktree.git_dir.join("index"), head)
}

/// A spawn that was killed half-way left it, or an agent broke it.
fn put_away(
    session: &Session,
    record: &Record,
    repository: &Repository,
    private: &PrivateGit,
    paths: &Paths,
) -> Result<()> {
    durable::remove(&paths.dir.join(SET_UP))?;
    if paths.worktree.symlink_metadata().is_err() {
        return Ok(());
    }
    let noted = record.run.as_ref().and_then(|run| run.git_dir.as_deref()).map(PathBuf::from);
    let git_dir = noted.or_else(|| repository.registered(&paths.worktree));
    if record.claimed()?.base_sha.is_some() {
        let head = repository.resolve(&branch_ref(&record.claimed()?.branch))?;
        let source = Source {
            record,
            attempt: rescue::attempt_of_work(record)?,
            at: session.clock.now(),
            workspace: &paths.dir,
            worktree: paths.worktree.file_name().unwrap_or_default(),
            head: head.as_deref(),
            whole: false,
            git: git_dir.clone().map_or(GitPlace::Unknown, GitPlace::Linked),
        };
        if let Some(name) = rescue::keep(session, &source, repository, private)? {
            session.note(&format!("issue #{}: what its broken worktree held is in {name}", record.number));
        }
    }
    if let Some(git_dir) = git_dir {
        repository.forget_worktree(&git_dir, |_| true)?;
    }
    discard(session, &paths.worktree)
}
