//! The sandbox of a run: what this instance's agent is shown, and what is taken over when it has ended.

use std::path::{Path, PathBuf};

use crate::config::Text;
use crate::error::{Error, Kind, Result};
use crate::git::{PrivateGit, Quarantine, Repository};
use crate::pipeline::workspace::{self, Paths, Ready};
use crate::record::Record;
use crate::sandbox::{self, Mount, Tier, Wish};
use crate::session::Session;
use crate::state::make_private;

/// The sandbox that is wanted and works here; refused where one is required and none works.
pub(crate) fn choose(session: &Session) -> Result<Tier> {
    let config = &session.loaded.config;
    sandbox::choose(config.sandbox, config.sandbox_access.network, &session.environment)
}

/// Makes what the agent will see of the repository, and says what else it sees. None without a sandbox.
pub(super) fn prepare(
    session: &Session,
    record: &Record,
    ready: &Ready,
    tier: &Tier,
) -> Result<Option<Wish>> {
    let Tier::Bubblewrap(bubblewrap) = tier else { return Ok(None) };
    let (repository, private) = session.git_of_claim(record.claimed()?)?;
    let sandbox = &ready.paths.sandbox;
    make_private(sandbox)?;
    let stand = if ready.is_clone() {
        put_away_temporary(session, sandbox)?;
        Quarantine::borrowed(&repository)
    } else {
        let quarantine = Quarantine::at(sandbox);
        clear(session, record, &quarantine, &repository, &private, &ready.worktree.git_dir)?;
        quarantine.prepare(&repository, &ready.worktree, &record.claimed()?.branch)?
    };
    let readable = stand.readable.into_iter().map(|(from, at)| Mount::ReadOnly { from, at });
    let writable = stand.writable.into_iter().map(|(from, at)| Mount::Writable { from, at });

    let wish = around(session, bubblewrap, sandbox.clone(), ready.worktree.path.clone())?;
    Ok(Some(Wish { repository: readable.chain(writable).collect(), ..wish }))
}

/// What a check sees: as much as the agent did, but the clean checkout in place of the worktree, a home that no agent
/// has written to, and nothing of the repository around it.
pub(crate) fn for_checks(
    session: &Session,
    tier: &Tier,
    private: PathBuf,
    folder: PathBuf,
) -> Result<Option<Wish>> {
    match tier {
        Tier::Bubblewrap(bubblewrap) => around(session, bubblewrap, private, folder).map(Some),
        Tier::None | Tier::Broken { .. } => Ok(None),
    }
}

fn around(session: &Session, bubblewrap: &Path, private: PathBuf, folder: PathBuf) -> Result<Wish> {
    let loaded = &session.loaded;
    let access = &loaded.config.sandbox_access;
    let workspaces = loaded.workspaces(&session.environment)?;
    let checkout = loaded.repository(&session.environment)?;
    let mut hidden =
        vec![workspaces, checkout, loaded.logs(), loaded.root.clone(), session.state.dir().to_owned()];
    hidden.extend(loaded.file.clone());
    Ok(Wish {
        bubblewrap: bubblewrap.to_owned(),
        private,
        worktree: folder,
        repository: Vec::new(),
        hidden,
        readable: named(session, &access.read, "sandboxAccess.read")?,
        writable: named(session, &access.write, "sandboxAccess.write")?,
        network: access.network,
    })
}

/// Puts away what an earlier run left. Commits that could not be collected then are tried once more, and kept
/// beside where even that fails.
fn clear(
    session: &Session,
    record: &Record,
    quarantine: &Quarantine,
    repository: &Repository,
    private: &PrivateGit,
    git_dir: &Path,
) -> Result<()> {
    let old = quarantine.git_dir();
    if old.symlink_metadata().is_ok() {
        let branch = &record.claimed()?.branch;
        match quarantine.collect(repository, private, Some(&git_dir.join("index")), branch) {
            Ok(()) => put_away(session, &old)?,
            Err(error) => {
                let kept = old.with_file_name(format!("kept-{}", uuid::Uuid::new_v4()));
                session.complain(&error.hint(format!("what it left is in '{}'", kept.display())));
                crate::state::durable::rename(&old, &kept)?;
            }
        }
    }
    old.parent().map_or(Ok(()), |sandbox| put_away_temporary(session, sandbox))
}

fn put_away_temporary(session: &Session, sandbox: &Path) -> Result<()> {
    let temporary = sandbox.join("tmp");
    if temporary.symlink_metadata().is_ok() { put_away(session, &temporary) } else { Ok(()) }
}

/// Out of the way at once. An agent can make folders that are hard to remove; the trash is emptied later, too.
pub(crate) fn put_away(session: &Session, path: &Path) -> Result<()> {
    match workspace::discard(session, path) {
        Err(_) if path.symlink_metadata().is_err() => Ok(()),
        discarded => discarded,
    }
}

/// Paths that the configuration names: from its own folder, or from the home with `~/`.
fn named(session: &Session, texts: &[Text], key: &str) -> Result<Vec<PathBuf>> {
    let environment = &session.environment;
    let path = |text: &Text| {
        let text = text.resolve(key, environment)?;
        let home = environment.get(&crate::environment::HOME).map(Path::new);
        let path = match (text.strip_prefix("~/"), home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => session.loaded.root.join(&text),
        };
        if path.exists() {
            return Ok(path.components().collect());
        }
        Err(Error::new(Kind::Config, format!("'{key}' names '{}', which does not exist", path.display()))
            .hint(format!("make it, or take it out of '{key}'")))
    };
    texts.iter().map(path).collect()
}

/// Takes over what an agent committed in a sandbox, or in a clone of its own; see [`Quarantine::collect`].
pub(super) fn collect(
    session: &Session,
    record: &Record,
    repository: &Repository,
    private: &PrivateGit,
) -> Result<()> {
    let paths = Paths::of(session, record)?;
    let branch = &record.claimed()?.branch;
    if workspace::is_clone(record, &paths) {
        return workspace::quarantine_of_clone(&paths).collect(repository, private, None, branch);
    }
    let Some(run) = record.run.as_ref().filter(|run| run.sandbox.as_deref() == Some("bubblewrap")) else {
        return Ok(());
    };
    let Some(git_dir) = &run.git_dir else { return Ok(()) };
    let index = Path::new(git_dir).join("index");
    Quarantine::at(paths.sandbox).collect(repository, private, Some(&index), branch)
}
