//! The folder of the workspaces, by descriptor: what is moved out of the way, and what is removed for good.
//!
//! What goes is renamed into `.trash` at once and emptied afterwards. There it is called after its inode, so that only
//! what cq itself put there is removed.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, OrFail, Result};
use crate::record::Record;
use crate::session::Session;
use crate::state::folder::{self, Identity};
use crate::state::make_private;
use crate::state::removal::{self, Freed, Refused};

const TRASH: &str = ".trash";

/// The folder of the workspaces, open.
#[derive(Debug)]
pub(crate) struct Grounds {
    path: PathBuf,
    base: OwnedFd,
}

/// Something that was moved into the trash.
#[derive(Debug, Clone)]
pub(crate) struct Trashed {
    name: OsString,
    identity: Identity,
}

impl Grounds {
    /// Opens it, made where it is missing.
    pub(crate) fn open(session: &Session) -> Result<Self> {
        let path = session.loaded.workspaces(&session.environment)?;
        make_private(&path)?;
        let base =
            folder::open(&path).or_fail(Kind::CannotWrite, || format!("cannot open '{}'", path.display()))?;
        Ok(Self { path, base })
    }

    /// The folder.
    pub(crate) fn base(&self) -> &OwnedFd {
        &self.base
    }

    /// A folder of cq's own in it, made where it is missing. One that leads elsewhere is refused.
    pub(crate) fn own(&self, name: &str) -> Result<OwnedFd> {
        folder::step_or_make(&self.base, name).map_err(|error| self.refusal(error, Path::new(name)))
    }

    /// What a path below it is in: that folder, open, and the name there.
    pub(crate) fn find(&self, path: &Path) -> Result<(OwnedFd, OsString)> {
        let relative = path.strip_prefix(&self.path).ok();
        let Some((relative, name)) = relative.and_then(|below| Some((below.parent()?, path.file_name()?)))
        else {
            let message = format!("'{}' is not below '{}'", path.display(), self.path.display());
            return Err(Error::new(Kind::NotPermitted, message));
        };
        let parent = folder::descend(&self.base, relative).map_err(|error| self.refusal(error, relative))?;
        Ok((parent, name.to_owned()))
    }

    /// Moves something out of the way, if it is the one expected.
    pub(crate) fn put_in_trash(
        &self,
        from: &OwnedFd,
        name: &OsStr,
        expected: Option<Identity>,
    ) -> Result<Trashed> {
        let trash = self.own(TRASH)?;
        let failed = || format!("cannot move '{}' into the trash", name.display());
        let there = Identity::at(from, name).or_fail(Kind::CannotWrite, failed)?;
        let Some(identity) = there.filter(|there| expected.is_none_or(|expected| expected == *there)) else {
            let missing = io::Error::from(io::ErrorKind::NotFound);
            return Err(missing).or_fail(Kind::CannotWrite, failed);
        };
        let new = OsString::from(format!("{:x}.{}", identity.inode, uuid::Uuid::new_v4()));
        move_only(from, name, &trash, &new, identity).or_fail(Kind::CannotWrite, failed)?;
        Ok(Trashed { name: new, identity })
    }

    /// Removes what was moved into the trash.
    pub(crate) fn empty(&self, trashed: &Trashed) -> Result<Freed> {
        let trash = self.own(TRASH)?;
        removal::remove(&trash, &trashed.name, trashed.identity)
            .map_err(|refused| self.not_removed(&trashed.name, refused))
    }

    fn not_removed(&self, name: &OsStr, refused: Refused) -> Error {
        let path = self.path.join(TRASH).join(name);
        let mounted = matches!(&refused, Refused::At(_, error)
            if matches!(error.kind(), io::ErrorKind::CrossesDevices | io::ErrorKind::ResourceBusy));
        let error = Error::because(Kind::CannotWrite, refused, format!("cannot remove '{}'", path.display()));
        if mounted {
            error.hint("something is mounted there: umount it; the next cq-cleanup goes on")
        } else {
            error
        }
    }

    fn refusal(&self, error: io::Error, relative: &Path) -> Error {
        let path = self.path.join(relative);
        let message = format!("'{}' is no folder that cq made", path.display());
        Error::because(Kind::NotPermitted, error, message).hint("look where it leads, and move it away")
    }
}

/// Moves what a name means, and makes sure that it was this: else it goes back to where it was, or beside that.
pub(crate) fn move_only(
    from: &OwnedFd,
    name: &OsStr,
    to: &OwnedFd,
    new: &OsStr,
    expected: Identity,
) -> io::Result<()> {
    folder::transfer(from, name, to, new)?;
    if Identity::at(to, new)? == Some(expected) {
        return Ok(());
    }
    if folder::transfer(to, new, from, name).is_err() {
        let beside = format!("{}.{}", name.display(), uuid::Uuid::new_v4());
        folder::transfer(to, new, from, beside)?;
    }
    Err(io::Error::other("something else had taken its place"))
}

/// Moves something below the workspaces out of the way at once, and removes it. A link is removed, not followed.
pub(crate) fn discard(session: &Session, path: &Path) -> Result<()> {
    let grounds = Grounds::open(session)?;
    let (parent, name) = grounds.find(path)?;
    let trashed = grounds.put_in_trash(&parent, &name, None)?;
    grounds.empty(&trashed).map(drop)
}

/// [`discard`] for a workspace that no agent has seen: it must be the folder that was made for this claim.
pub(crate) fn discard_workspace(session: &Session, record: &Record, path: &Path) -> Result<()> {
    let claim = record.claimed()?;
    let grounds = Grounds::open(session)?;
    let (parent, name) = grounds.find(path)?;
    let failed = || format!("cannot look at '{}'", path.display());
    let there = Identity::at(&parent, &name).or_fail(Kind::CannotWrite, failed)?;
    let place = session.state.place(&claim.instance, &claim.token)?;
    if let (Some(there), Some(place)) = (there, place)
        && !place.is_workspace(there)
    {
        let message = format!("'{}' is not the folder that cq made", path.display());
        return Err(Error::new(Kind::NotPermitted, message).hint("look into it, and move it away"));
    }
    let trashed = grounds.put_in_trash(&parent, &name, there)?;
    grounds.empty(&trashed).map(drop)
}

/// Moves something below the workspaces out of the way; [`empty_trash`] removes it. Returns where it is now.
pub(crate) fn put_in_trash(session: &Session, path: &Path) -> Result<PathBuf> {
    let grounds = Grounds::open(session)?;
    let (parent, name) = grounds.find(path)?;
    let trashed = grounds.put_in_trash(&parent, &name, None)?;
    Ok(grounds.path.join(TRASH).join(trashed.name))
}

/// Removes what earlier commands left in the trash; returns how many things, and what that freed. What cannot be removed
/// is told, and the first such error returned in the end.
pub(crate) fn empty_trash(session: &Session) -> Result<(usize, Freed)> {
    let path = session.loaded.workspaces(&session.environment)?;
    if path.join(TRASH).symlink_metadata().is_err() {
        return Ok((0, Freed::default()));
    }
    let grounds = Grounds::open(session)?;
    let trash = grounds.own(TRASH)?;
    let (mut count, mut freed, mut first) = (0, Freed::default(), None);
    let names = folder::names(&trash).or_fail(Kind::CannotWrite, || "cannot read the trash")?;
    for name in names {
        match grounds.empty_by_name(&trash, &name) {
            Ok(more) => {
                count += 1;
                freed += more;
            }
            Err(error) if first.is_none() => first = Some(error),
            Err(error) => session.complain(&error),
        }
    }
    first.map_or(Ok((count, freed)), Err)
}

impl Grounds {
    fn empty_by_name(&self, trash: &OwnedFd, name: &OsStr) -> Result<Freed> {
        let there = Identity::at(trash, name).or_fail(Kind::CannotWrite, || "cannot read the trash")?;
        let Some(identity) = there else { return Ok(Freed::default()) };
        let noted = name.to_str().and_then(|name| name.split_once('.')).map(|(inode, _)| inode);
        if noted.and_then(|inode| u64::from_str_radix(inode, 16).ok()) != Some(identity.inode) {
            let path = self.path.join(TRASH).join(name);
            let message = format!("'{}' was not put there by cq, and is left alone", path.display());
            return Err(Error::new(Kind::Failed, message).hint("look into it, and move it away"));
        }
        self.empty(&Trashed { name: name.to_owned(), identity })
    }
}
