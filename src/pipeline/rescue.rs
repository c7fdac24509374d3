//! Before a worktree is removed: what is in it and nowhere else goes to `refs/cq/rescue/<issue>/<attempt>`.

use std::path::Path;

use crate::error::Result;
use crate::git::{Identity, PrivateGit, Repository};
use crate::record::{Outcome, Record, Status};

/// What a workspace held.
#[derive(Debug)]
pub(super) struct Work {
    /// The end of its branch; none where there is none.
    pub(super) head: Option<String>,
    /// The ref that keeps what was nowhere else.
    pub(super) rescued: Option<String>,
}

/// The attempt that the work in a workspace is of: a claim that waits after a failed one counts the next already.
pub(super) fn attempt_of_work(record: &Record) -> Result<u32> {
    let attempt = record.claimed()?.attempt;
    let failed =
        |outcome: Outcome| !matches!(outcome, Outcome::Success | Outcome::UsageLimit | Outcome::Auth);
    let waits = record.status == Some(Status::Queued) && record.outcome.is_some_and(failed);
    Ok(if waits { attempt.saturating_sub(1).max(1) } else { attempt })
}

/// Keeps uncommitted files, and commits that were not pushed.
pub(super) fn everything(
    record: &Record,
    attempt: u32,
    worktree: &Path,
    repository: &Repository,
    private: &PrivateGit,
) -> Result<Work> {
    let claim = record.claimed()?;
    let head = repository.resolve(&format!("refs/heads/{}", claim.branch))?;
    let uncommitted = uncommitted(record, worktree, head.as_deref(), private)?;
    let pushed = record.pull_request.as_ref().map(|pull| &pull.head_sha);
    let unpushed = match &head {
        Some(head) if pushed != Some(head) => {
            let base = claim.base_sha.as_ref().unwrap_or(head);
            (private.commits_ahead(base, head)? > 0).then(|| head.clone())
        }
        _ => None,
    };
    let rescued = match uncommitted.or(unpushed) {
        Some(sha) => Some(keep(record.number, attempt, &sha, repository)?),
        None => None,
    };
    Ok(Work { head, rescued })
}

/// Keeps uncommitted files only: the branch stays.
pub(super) fn files(
    record: &Record,
    worktree: &Path,
    repository: &Repository,
    private: &PrivateGit,
) -> Result<Option<String>> {
    let head = repository.resolve(&format!("refs/heads/{}", record.claimed()?.branch))?;
    match uncommitted(record, worktree, head.as_deref(), private)? {
        Some(sha) => keep(record.number, attempt_of_work(record)?, &sha, repository).map(Some),
        None => Ok(None),
    }
}

/// A commit of what differs from the end of the branch; from its base where an agent deleted the branch.
fn uncommitted(
    record: &Record,
    worktree: &Path,
    head: Option<&str>,
    private: &PrivateGit,
) -> Result<Option<String>> {
    let claim = record.claimed()?;
    let is_ours = worktree.symlink_metadata().is_ok_and(|about| about.is_dir());
    let Some(parent) = head.or(claim.base_sha.as_deref()).filter(|_| is_ours) else { return Ok(None) };
    let by = Identity { name: "cq rescue".to_owned(), email: "cq-rescue@localhost".to_owned() };
    let message = format!("Rescued from {} (issue #{})\n", claim.instance, record.number);
    private.commit_all(worktree, parent, &message, &by)
}

/// Under the next free number from the attempt's on; one that holds this very commit is used again.
fn keep(issue: u64, mut attempt: u32, sha: &str, repository: &Repository) -> Result<String> {
    loop {
        let name = format!("refs/cq/rescue/{issue}/{attempt}");
        match repository.resolve(&name)? {
            Some(there) if there == sha => return Ok(name),
            Some(_) => attempt += 1,
            None => return repository.set_ref(&name, sha).map(|()| name),
        }
    }
}
