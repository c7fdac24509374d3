//! The part of the doctor that compares workspaces with their records. Runs nothing that an agent could have planted.

use std::os::unix::fs::PermissionsExt;

use super::{Finding, Tell};
use crate::error::{Kind, Result};
use crate::git::{Repository, branch_ref};
use crate::pipeline::workspace::{self, Paths};
use crate::record::{Record, Status};
use crate::session::Session;

const CHECK: &str = "workspace";

/// Looks at the workspace of every record in flight, or of the instances that are named.
pub(super) fn look(session: &Session, only: &[String], tell: &mut Tell<'_>) -> Result<()> {
    // What cannot be read is told by the part that looks at the state.
    let records = session.state.in_flight(|_| {})?;
    let named = |record: &&Record| only.is_empty() || only.iter().any(|name| name == record.instance());
    let shown: Vec<&Record> = records.iter().filter(|record| record.claim.is_some()).filter(named).collect();
    for name in only.iter().filter(|name| !shown.iter().any(|record| record.instance() == *name)) {
        tell(Finding::error(CHECK, format!("{name} has no record"), "cq-status shows the instances"))?;
    }
    if shown.is_empty() {
        return Ok(());
    }
    let repository = match session.git() {
        Ok((repository, _)) => repository,
        Err(error) => return tell(Finding::failed(CHECK, &error)),
    };
    for record in shown {
        let flaws = flaws(session, &repository, record)?;
        let (instance, issue) = (record.instance(), record.number);
        if flaws.is_empty() {
            tell(Finding::ok(CHECK, format!("{instance} (issue #{issue}) is as its record says")))?;
        }
        for (what, fix) in flaws {
            tell(Finding::error(CHECK, format!("{instance} (issue #{issue}): {what}"), fix))?;
        }
    }
    Ok(())
}

/// What is wrong with one workspace, and what to do about it.
fn flaws(session: &Session, repository: &Repository, record: &Record) -> Result<Vec<(String, String)>> {
    let paths = Paths::of(session, record)?;
    let number = record.number;
    let again = match paths.dir.symlink_metadata() {
        Ok(_) => format!(
            "cq-cleanup --force {}, then cq-claim --release {number}, and claim it again",
            record.instance()
        ),
        Err(_) => format!("cq-claim --release {number}, and claim it again"),
    };
    let mut flaws = Vec::new();
    let started = record.claim.as_ref().is_some_and(|claim| claim.base_sha.is_some());
    let Ok(about) = paths.dir.symlink_metadata() else {
        if started && record.status.is_some_and(Status::is_active) {
            flaws.push((format!("its folder '{}' is gone", paths.dir.display()), again));
        }
        return Ok(flaws);
    };
    if !about.is_dir() {
        flaws.push((format!("'{}' is no folder", paths.dir.display()), again));
        return Ok(flaws);
    }
    if !started {
        return Ok(flaws);
    }
    let claim = record.claimed()?;
    match workspace::git_dir_of(record, &paths, repository) {
        Err(error) => flaws.push((error.to_string(), again.clone())),
        Ok(git_dir) => {
            let expected = format!("ref: refs/heads/{}", claim.branch);
            let head = std::fs::read_to_string(git_dir.join("HEAD")).unwrap_or_default();
            if head.trim_end() != expected {
                let fix = format!("git -C '{}' switch {}", paths.worktree.display(), claim.branch);
                flaws.push((format!("its worktree is not on {}", claim.branch), fix));
            }
            let idle = !session.state.is_held(&claim.instance)?;
            if idle && git_dir.join("index.lock").exists() {
                let lock = git_dir.join("index.lock");
                flaws.push((
                    "a git that was killed left a lock".to_owned(),
                    format!("rm '{}'", lock.display()),
                ));
            }
        }
    }
    if repository.resolve(&branch_ref(&claim.branch))?.is_none() {
        flaws.push((format!("its branch {} is gone", claim.branch), again));
    }
    match paths.dot_env.symlink_metadata() {
        Ok(about) if about.is_file() && about.permissions().mode().is_multiple_of(0o100) => {}
        _ => {
            let fix = "the next attempt writes it again".to_owned();
            flaws.push(("its .env is missing, or others can read it".to_owned(), fix));
        }
    }
    Ok(flaws)
}

/// Refuses what is no instance's name.
pub(super) fn refuse_other_names(only: &[String]) -> Result<()> {
    match only.iter().find(|name| crate::state::instances::number(name).is_none()) {
        None => Ok(()),
        Some(name) => {
            Err(crate::error::Error::new(Kind::Usage, format!("'{name}' is not an instance's name"))
                .hint("instances are called claude-instance-1, claude-instance-2, …"))
        }
    }
}
