//! Warm spares: worktrees that no agent has touched, made in cq-monitor's ticks, so that a spawn on a large repository
//! need not write its files.
//!
//!     workspaces/.spares/ID/REPO     a worktree on no branch, complete
//!     workspaces/.spares/ID/base     the commit whose files it has
//!     workspaces/.spares/.new-ID/    one that is being made; of a killed command once nobody holds the lock
//!
//! A spare is taken by one rename, which only one spawn can win; then the repository is told where it is, and its files
//! are brought to the base. A spawn that is killed in between leaves a half-made worktree, as ever.

use std::path::{Path, PathBuf};

use super::{Paths, put_in_trash};
use crate::config::Isolation;
use crate::error::{Kind, OrFail, Result};
use crate::git::{PrivateGit, Repository, Worktree};
use crate::limits::{self, admission};
use crate::record::Record;
use crate::session::Session;
use crate::state::{durable, lock, make_private};

const FOLDER: &str = ".spares";
const NEW: &str = ".new-";
const BASE: &str = "base";

/// A spare that is complete.
#[derive(Debug)]
struct Spare {
    dir: PathBuf,
    base: String,
}

fn folder(session: &Session) -> Result<PathBuf> {
    Ok(session.loaded.workspaces(&session.environment)?.join(FOLDER))
}

/// The complete ones, and the folders of those that are not.
fn all(folder: &Path) -> Result<(Vec<Spare>, Vec<PathBuf>)> {
    let (mut spares, mut half) = (Vec::new(), Vec::new());
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((spares, half)),
        entries => entries.or_fail(Kind::CannotWrite, || format!("cannot read '{}'", folder.display()))?,
    };
    for dir in entries.flatten().map(|entry| entry.path()) {
        let is_new = dir.file_name().is_some_and(|name| name.to_string_lossy().starts_with(NEW));
        match durable::read(&dir.join(BASE)).ok().flatten().filter(|_| !is_new) {
            Some(base) => spares.push(Spare { dir, base }),
            None => half.push(dir),
        }
    }
    spares.sort_by(|a, b| a.dir.cmp(&b.dir));
    Ok((spares, half))
}

/// Moves a spare into the place of a claimed record's worktree, puts it on its branch and brings it to the base. None
/// where there is no spare.
pub(super) fn take(
    session: &Session,
    record: &Record,
    repository: &Repository,
    private: &PrivateGit,
    paths: &Paths,
    base_sha: &str,
) -> Result<Option<Worktree>> {
    let (mut spares, _) = all(&folder(session)?)?;
    // One that needs nothing done first.
    spares.sort_by_key(|spare| spare.base != base_sha);
    let name = paths.worktree.file_name().unwrap_or_default();
    for spare in spares {
        let tree = spare.dir.join(name);
        // A folder of another name is of another repository; one without its pointer is broken.
        if repository.git_dir_of(&tree).is_err() || durable::rename(&tree, &paths.worktree).is_err() {
            continue;
        }
        let git_dir = repository.git_dir_of(&paths.worktree)?;
        let worktree = Worktree { path: paths.worktree.clone(), git_dir };
        repository.note_place(&worktree)?;
        let head = repository.put_on_branch(&worktree, &record.claimed()?.branch, base_sha)?;
        // Read again: a tick may have renewed it since. Unreadable, it is just being looked at.
        let has = durable::read(&spare.dir.join(BASE)).ok().flatten();
        if has.as_ref() != Some(&head) {
            let _slot = private.fill_slot(record.number, session.clock.now())?;
            private.fill(&worktree.path, &worktree.git_dir.join("index"), &head)?;
        }
        let _ = put_in_trash(session, &spare.dir);
        return Ok(Some(worktree));
    }
    Ok(None)
}

/// One tick's part: makes spares that are missing, brings old ones to the base, puts away what a killed command left
/// and what is too many. Does nothing where another tick is at it.
pub(crate) fn tend(session: &Session) -> Result<()> {
    let config = &session.loaded.config;
    let wanted = match config.workspace.isolation {
        Isolation::Worktree => usize::try_from(config.workspace.warm_spares).unwrap_or_default(),
        Isolation::Clone => 0,
    };
    let folder = folder(session)?;
    if wanted == 0 && folder.symlink_metadata().is_err() {
        return Ok(());
    }
    make_private(&folder)?;
    let Some(_lock) = lock::try_take(&session.state.dir().join("spares.lock"))? else { return Ok(()) };
    let (repository, private) = session.git()?;
    let (mut spares, half) = all(&folder)?;
    for dir in half.into_iter().chain(spares.drain(wanted.min(spares.len())..).map(|spare| spare.dir)) {
        put_away(session, &repository, &dir)?;
    }
    if wanted == 0 {
        return Ok(());
    }
    let repo = session.repo()?;
    let base = &config.git.base;
    let address = session.remote_address(&repo)?;
    let remote = || session.remote(&repo);
    let sha = private.fetch_base(&address, remote, base, config.workspace.clone, session.clock.now())?;
    let name = Paths::name_of(&repo);
    for spare in spares.iter().filter(|spare| spare.base != sha) {
        renew(&repository, &private, &folder, spare, name, &sha)?;
    }
    for _ in spares.len()..wanted {
        let readings = limits::take_readings(&folder);
        if let Err(refusal) = admission::decide(&readings, &config.limits, 0) {
            session.detail(&format!("no warm spare is made: {refusal}"));
            break;
        }
        make(session, &repository, &private, &folder, name, &sha)?;
    }
    Ok(())
}

/// Puts all of them away, as `cq-cleanup --all --force` does.
pub(crate) fn put_all_away(session: &Session) -> Result<usize> {
    let folder = folder(session)?;
    if folder.symlink_metadata().is_err() {
        return Ok(0);
    }
    let Some(_lock) = lock::try_take(&session.state.dir().join("spares.lock"))? else { return Ok(0) };
    let (repository, _) = session.git()?;
    let (spares, half) = all(&folder)?;
    let dirs: Vec<PathBuf> = spares.into_iter().map(|spare| spare.dir).chain(half).collect();
    dirs.iter().try_for_each(|dir| put_away(session, &repository, dir))?;
    Ok(dirs.len())
}

fn make(
    session: &Session,
    repository: &Repository,
    private: &PrivateGit,
    folder: &Path,
    name: &str,
    sha: &str,
) -> Result<()> {
    let id = uuid::Uuid::new_v4().simple().to_string();
    let new = folder.join(format!("{NEW}{id}"));
    make_private(&new)?;
    let now = session.clock.now();
    let worktree = {
        let _lock = private.worktree_lock(now)?;
        repository.add_detached(&new.join(name), sha)?
    };
    let _slot = private.fill_slot(1, now)?;
    private.fill(&worktree.path, &worktree.git_dir.join("index"), sha)?;
    show(repository, &new, &folder.join(&id), &worktree, name, sha)?;
    session.detail(&format!("made a warm spare at {sha}"));
    Ok(())
}

/// Hides a spare from spawns while its files change.
fn renew(
    repository: &Repository,
    private: &PrivateGit,
    folder: &Path,
    spare: &Spare,
    name: &str,
    sha: &str,
) -> Result<()> {
    let Some(id) = spare.dir.file_name() else { return Ok(()) };
    let new = folder.join(format!("{NEW}{}", id.to_string_lossy()));
    // A spawn has just taken it.
    if durable::rename(&spare.dir, &new).is_err() || new.join(name).symlink_metadata().is_err() {
        return Ok(());
    }
    let path = new.join(name);
    let worktree = Worktree { git_dir: repository.git_dir_of(&path)?, path };
    private.fill(&worktree.path, &worktree.git_dir.join("index"), sha)?;
    show(repository, &new, &spare.dir, &worktree, name, sha)
}

/// A spare is complete: the repository learns where it is, spawns see it.
fn show(
    repository: &Repository,
    new: &Path,
    dir: &Path,
    worktree: &Worktree,
    name: &str,
    sha: &str,
) -> Result<()> {
    durable::replace_cheaply(&worktree.git_dir.join("HEAD"), format!("{sha}\n").as_bytes())?;
    repository.note_place(&Worktree { path: dir.join(name), git_dir: worktree.git_dir.clone() })?;
    durable::replace_cheaply(&new.join(BASE), sha.as_bytes())?;
    durable::rename(new, dir)
}

/// Out of the way at once; the trash is emptied later. What a spawn has just taken is not there any more.
fn put_away(session: &Session, repository: &Repository, dir: &Path) -> Result<()> {
    let place = match put_in_trash(session, dir) {
        Err(_) if dir.symlink_metadata().is_err() => return Ok(()),
        place => place?,
    };
    let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
    let git_dirs = entries.filter_map(|entry| repository.git_dir_of(&entry.path()).ok());
    git_dirs.into_iter().try_for_each(|git_dir| repository.forget_worktree(&git_dir, |_| true))
}
