//! The repository around the worktrees, before and after a run: what an agent changed there ends its run as
//! `tampered` and is put back.
//!
//! ```text
//! .cq/guard/lock                  held for each step below
//! .cq/guard/shared                the name of the copy in force, `copy-…`, beside it
//! .cq/guard/runs/INSTANCE/        the runs that are under way: the claim's token, what is that worktree's alone
//! .cq/guard/found.json            changes that were found, and who is to be blamed when its run ends
//! ```
//!
//! All worktrees share one `.git`, so several runs may be the cause of one change; no file says who wrote it. Rules:
//! 1. A copy is only taken afresh while no run is under way. Then whatever is there is the owner's.
//! 2. Each run compares when it ends, before its work counts, and puts back. So the first to end after a change is
//!    blamed, and the others find the repository as it was. Whoever changes it again is found again.
//! 3. A run that begins compares too: what it finds it cannot have done. It puts that back, and of the runs that
//!    were under way the first to end is blamed; if there was one only, that is the culprit.
//! 4. What was found is noted before it is put back, and forgotten when the record says so: whoever ends a run whose
//!    supervisor was killed meanwhile comes to the same verdict.
//! 5. What the owner may do at the same time is no change (see `git::tamper`), and goes into the copy.
//!
//! Where blaming the wrong one of several would hurt, `workspace.isolation: clone` keeps them apart.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Paths, Ready};
use crate::error::{Error, Kind, OrFail, Result};
use crate::git::tamper::{self, Change, Settings, Snapshot};
use crate::git::{PrivateGit, Repository};
use crate::record::{Record, Status};
use crate::session::Session;
use crate::state::{durable, lock, make_private};

/// What is one worktree's alone: its pointer to its administrative folder, and that one's pointer back.
const POINTER: &str = ".git";
const GIT_DIR: &str = "gitdir";
/// Of a run's traces: whose they are. Written last and removed first.
const TOKEN: &str = "token";
/// How long a run waits for its turn: a whole fleet may begin, or end, at once.
const PATIENCE: Duration = Duration::from_secs(300);

/// What was found changed at the end of a run.
#[derive(Debug)]
pub(crate) struct Tampered {
    /// Paths within the git directory, with the keys of configurations.
    pub(crate) changes: Vec<String>,
    /// Where what was there instead is now.
    pub(crate) kept: PathBuf,
    /// Everything is as it was before.
    pub(crate) restored: bool,
}

/// Changes that were found, and who may have made them.
#[derive(Debug, Serialize, Deserialize)]
struct Found {
    changes: Vec<String>,
    kept: PathBuf,
    restored: bool,
    /// The tokens of the claims whose runs were under way.
    suspects: Vec<String>,
}

/// The guard of one repository.
struct Guard<'s> {
    session: &'s Session,
    folder: PathBuf,
    common_dir: PathBuf,
    private: PrivateGit,
}

/// Notes how everything is before a run. The caller holds the instance.
pub(crate) fn begin(session: &Session, record: &Record, ready: &Ready) -> Result<()> {
    let (guard, _lock) = Guard::enter(session)?;
    let claim = record.claimed()?;
    let others = guard.others(&claim.instance)?;
    let live = Snapshot::read(&guard.common_dir)?;
    if let Some(copy) = guard.copy()?.filter(|_| !others.is_empty()) {
        let changes = guard.compare(&copy, &live)?;
        if !changes.is_empty() {
            let kept = Guard::kept(record, &ready.paths, "found")?;
            guard.blame(others, &changes, &kept, |kept| {
                tamper::put_back(&changes, &guard.common_dir, &copy, kept)
            })?;
            let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
            session.note(&format!("found and put back in the repository: {}", changes.join(", ")));
        }
    } else {
        guard.write_found(&[])?;
    }
    guard.copy_afresh()?;
    guard.forget(record)?;
    let run = guard.run(&claim.instance);
    make_private(&run)?;
    for (root, file) in own(&ready.paths, &ready.worktree.git_dir) {
        tamper::keep(&Snapshot::of_files(root, &[file])?, root, &run)?;
    }
    durable::replace_cheaply(&run.join(TOKEN), claim.token.as_bytes())
}

/// Compares after a run whose processes are gone, puts back what was changed, and says what that was; the same each
/// time, until it is [closed](close).
pub(crate) fn end(session: &Session, record: &Record) -> Result<Option<Tampered>> {
    let (guard, _lock) = Guard::enter(session)?;
    let claim = record.claimed()?;
    let run = guard.run(&claim.instance);
    if durable::read(&run.join(TOKEN))?.as_deref() != Some(claim.token.as_str()) {
        return Ok(None);
    }
    let paths = Paths::of(session, record)?;
    let blame = |changes: &[Change], put_back: &dyn Fn(&Path) -> Result<bool>| {
        let kept = Guard::kept(record, &paths, "tampered")?;
        guard.blame(vec![claim.token.clone()], changes, &kept, put_back)
    };
    if let Some(copy) = guard.copy()? {
        let changes = guard.compare(&copy, &Snapshot::read(&guard.common_dir)?)?;
        blame(&changes, &|kept| tamper::put_back(&changes, &guard.common_dir, &copy, kept))?;
        guard.copy_afresh()?;
    }
    if let Some(git_dir) = record.run.as_ref().and_then(|run| run.git_dir.as_deref()).map(Path::new) {
        for (root, file) in own(&paths, git_dir) {
            let there = match root.symlink_metadata() {
                Ok(about) => about.is_dir(),
                // Gone as a whole: nothing is left in it that could be run.
                Err(_) => continue,
            };
            let is = if there { Snapshot::of_files(root, &[file])? } else { Snapshot::default() };
            let changes =
                tamper::changes(&Snapshot::of_files(&run, &[file])?, &is, |_, _| Ok(Settings::default()))?;
            blame(&changes, &|kept| Ok(there && tamper::put_back(&changes, root, &run, kept)?))?;
        }
    }
    let mine = guard.found()?.into_iter().filter(|found| found.suspects.contains(&claim.token));
    Ok(mine.fold(None, |so_far: Option<Tampered>, found| {
        let before = so_far.unwrap_or(Tampered { changes: Vec::new(), kept: PathBuf::new(), restored: true });
        Some(Tampered {
            changes: [before.changes, found.changes].concat(),
            kept: found.kept,
            restored: before.restored && found.restored,
        })
    }))
}

/// Forgets a run that has ended, with what was found of it: the record says it now.
pub(crate) fn close(session: &Session, record: &Record) -> Result<()> {
    let (guard, _lock) = Guard::enter(session)?;
    guard.forget(record)
}

/// What is one run's alone: the folder and the file in it. A clone's `.git` is the agent's own.
fn own<'p>(paths: &'p Paths, git_dir: &'p Path) -> Vec<(&'p Path, &'static str)> {
    if git_dir.starts_with(&paths.worktree) {
        return Vec::new();
    }
    vec![(&paths.worktree, POINTER), (git_dir, GIT_DIR)]
}

/// Removes the traces of a run. First what makes them count: half of them would look like a change.
fn remove(run: &Path) -> Result<()> {
    durable::remove(&run.join(TOKEN))?;
    match std::fs::remove_dir_all(run) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).or_fail(Kind::CannotWrite, || format!("cannot remove '{}'", run.display()))
        }
        _ => Ok(()),
    }
}

impl<'s> Guard<'s> {
    /// Takes the guard's lock, and the one under which worktrees are made: half made, one would seem to change.
    fn enter(session: &'s Session) -> Result<(Self, [lock::Guard; 2])> {
        let (repository, private): (Repository, PrivateGit) = session.git()?;
        let folder = session.state.dir().join("guard");
        make_private(&folder.join("runs"))?;
        let now = session.clock.now();
        let locks = [lock::take(&folder.join("lock"), PATIENCE, now)?, private.worktree_lock(now)?];
        let common_dir = repository.common_dir().to_owned();
        Ok((Self { session, folder, common_dir, private }, locks))
    }

    fn run(&self, instance: &str) -> PathBuf {
        self.folder.join("runs").join(instance)
    }

    /// Forgets the runs of a claim that ended, and what was found of them.
    fn forget(&self, record: &Record) -> Result<()> {
        let claim = record.claimed()?;
        let mut all = self.found()?;
        let before = all.len();
        all.retain(|found| !found.suspects.contains(&claim.token));
        if all.len() < before {
            self.write_found(&all)?;
        }
        remove(&self.run(&claim.instance))
    }

    /// Notes what was changed, then puts it back; what was there instead goes to `kept`.
    fn blame(
        &self,
        suspects: Vec<String>,
        changes: &[Change],
        kept: &Path,
        put_back: impl FnOnce(&Path) -> Result<bool>,
    ) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let changes = changes.iter().map(ToString::to_string).collect();
        let mut all = self.found()?;
        // Until it is known: who is killed meanwhile leaves it half done.
        all.push(Found { changes, kept: kept.to_owned(), restored: false, suspects });
        self.write_found(&all)?;
        let restored = put_back(kept)?;
        if let Some(last) = all.last_mut().filter(|_| restored) {
            last.restored = true;
            self.write_found(&all)?;
        }
        Ok(())
    }

    /// A new folder among the raw logs for what is put out of the way.
    fn kept(record: &Record, paths: &Paths, what: &str) -> Result<PathBuf> {
        make_private(&paths.raw)?;
        let name = paths.raw_file(record, what);
        let free = (1..1000).map(|number| match number {
            1 => name.clone(),
            _ => name.with_extension(format!("{what}-{number}")),
        });
        let mut free = free.filter(|path| path.symlink_metadata().is_err());
        free.next().ok_or_else(|| Error::new(Kind::CannotWrite, format!("'{}' exists", name.display())))
    }

    /// The tokens of the other runs that are under way. The traces of those that ended unseen are removed.
    fn others(&self, instance: &str) -> Result<Vec<String>> {
        let runs = self.folder.join("runs");
        let entries = std::fs::read_dir(&runs)
            .or_fail(Kind::CannotWrite, || format!("cannot read '{}'", runs.display()))?;
        let records = self.session.state.in_flight(|error| self.session.complain(&error))?;
        let mut tokens = Vec::new();
        for name in entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
            if name == instance {
                continue;
            }
            let token = durable::read(&runs.join(&name).join(TOKEN))?.unwrap_or_default();
            let in_progress = |record: &&Record| {
                record.status == Some(Status::InProgress)
                    && record.claim.as_ref().is_some_and(|claim| claim.token == token)
            };
            if records.iter().any(|record| in_progress(&record)) || self.session.state.is_held(&name)? {
                tokens.push(token);
            } else {
                let _ = remove(&runs.join(&name));
            }
        }
        Ok(tokens)
    }

    /// The copy in force; none if there never was one.
    fn copy(&self) -> Result<Option<PathBuf>> {
        let name = durable::read(&self.folder.join("shared"))?;
        Ok(name.map(|name| self.folder.join(name)).filter(|copy| copy.is_dir()))
    }

    /// Takes the copy in force afresh, if it is not how things are already.
    fn copy_afresh(&self) -> Result<()> {
        let live = Snapshot::read(&self.common_dir)?;
        let into = self.folder.join(format!("copy-{}", uuid::Uuid::new_v4()));
        let old = self.copy()?;
        match &old {
            Some(old) => {
                let known = Snapshot::read(old)?;
                if known == live {
                    return Ok(());
                }
                tamper::keep_again(&live, &self.common_dir, &into, &known, old)?;
            }
            None => tamper::keep(&live, &self.common_dir, &into)?,
        }
        let name = into.file_name().unwrap_or_default().as_encoded_bytes();
        durable::replace_cheaply(&self.folder.join("shared"), name)?;
        if let Some(old) = old {
            let _ = std::fs::remove_dir_all(old);
        }
        Ok(())
    }

    fn compare(&self, copy: &Path, live: &Snapshot) -> Result<Vec<Change>> {
        tamper::changes(&Snapshot::read(copy)?, live, |path, after| {
            self.private.settings_of(&if after { self.common_dir.join(path) } else { copy.join(path) })
        })
    }

    fn found(&self) -> Result<Vec<Found>> {
        let text = durable::read(&self.folder.join("found.json"))?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
    }

    fn write_found(&self, all: &[Found]) -> Result<()> {
        let path = self.folder.join("found.json");
        if all.is_empty() {
            return durable::remove(&path);
        }
        let text = serde_json::to_vec(all).or_fail(Kind::Internal, || "cannot write what was found")?;
        durable::replace_cheaply(&path, &text)
    }
}
