//! How a workspace goes, so that it can be interrupted anywhere and nothing is lost.
//!
//! 1. A note in the state, `.cq/leaving/TOKEN.json`: what goes, of which record, which commit its branch ends in.
//! 2. The workspace is renamed to `workspaces/.leaving/TOKEN`, and looked at again: it is the folder that was noted when
//!    it was made, by device and inode, or it goes back. From here on the instance's name is free.
//! 3. The branch is deleted, unless somebody else has it checked out; `refs/cq/leaving/TOKEN` keeps its commits meanwhile.
//! 4. What is nowhere else is rescued, and the note says where.
//! 5. It goes to the trash, the note is removed, the trash is emptied.
//!
//! Whoever finds a note goes on from there. Lock order: an instance's, then `leaving/lock`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::mounts::mounted_below;
use super::{Cleared, branches};
use crate::clock::Timestamp;
use crate::error::{Error, Kind, OrFail, Result};
use crate::git::{PrivateGit, Repository, Worktree, branch_ref};
use crate::pipeline::rescue::{self, GitPlace, Source};
use crate::pipeline::workspace::{self, Grounds, Paths, move_only};
use crate::record::{Record, Status};
use crate::session::Session;
use crate::state::folder::{self, Identity};
use crate::state::places::Place;
use crate::state::removal::Freed;
use crate::state::{durable, lock, make_private};

/// Below the workspaces: what is not rescued yet. Nothing in it is ever removed.
const LEAVING: &str = ".leaving";
/// What keeps the commits of a branch that was deleted.
const REFS: &str = "refs/cq/leaving/";
/// How long another command may take to rescue a workspace.
const PATIENCE: Duration = Duration::from_secs(600);

/// How long is waited for one that may be about to let go.
const GLANCE: Duration = Duration::from_secs(1);

/// A workspace that goes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Note {
    /// The record as it was.
    pub(super) record: Record,
    attempt: u32,
    at: Timestamp,
    /// The workspace.
    identity: Identity,
    place: Option<Place>,
    /// Where the end of the branch is, and whether the branch goes as well.
    head: Option<String>,
    branch_goes: bool,
    /// Whether the worktree is in a git directory of its own, and which.
    is_clone: bool,
    /// Once everything is kept: where, if there was anything.
    kept: Option<Kept>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    rescued: Option<String>,
}

/// Workspaces on their way out; nobody else touches any of them while this is there.
pub(super) struct Departures<'s> {
    session: &'s Session,
    grounds: Grounds,
    repository: Repository,
    private: PrivateGit,
    folder: PathBuf,
    _lock: lock::Guard,
}

impl<'s> Departures<'s> {
    /// Waits for whoever is at it.
    pub(super) fn enter(session: &'s Session) -> Result<Self> {
        let folder = session.state.dir().join("leaving");
        make_private(&folder)?;
        let now = session.clock.now();
        let guard = lock::take(&folder.join("lock"), PATIENCE, now)?;
        guard.sign(&lock::Holder::here(session.command, now));
        let (repository, private) = session.git()?;
        let grounds = Grounds::open(session)?;
        Ok(Self { session, grounds, repository, private, folder, _lock: guard })
    }

    /// Those that a killed command left, whoever is at one of them right now excepted.
    pub(super) fn left(session: &Session) -> Result<Vec<String>> {
        let folder = session.state.dir().join("leaving");
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => {
                entries.or_fail(Kind::CannotWrite, || format!("cannot read '{}'", folder.display()))?
            }
        };
        let token = |entry: std::fs::DirEntry| {
            Some(entry.file_name().to_str()?.strip_suffix(".json").filter(|name| is_token(name))?.to_owned())
        };
        let mut tokens: Vec<String> = entries.flatten().filter_map(token).collect();
        tokens.sort();
        if tokens.is_empty() {
            return Ok(tokens);
        }
        // A program that a killed command was just starting holds its lock for that moment.
        match lock::take(&folder.join("lock"), GLANCE, session.clock.now()) {
            Err(error) if error.kind == Kind::TryAgain => Ok(Vec::new()),
            free => free.map(|_| tokens),
        }
    }

    fn path(&self, token: &str) -> PathBuf {
        self.folder.join(format!("{token}.json"))
    }

    /// The departure of a claim that was begun; none where it was not, or where nothing has happened yet.
    pub(super) fn begun(&self, token: &str) -> Result<Option<Note>> {
        let Some(text) = durable::read(&self.path(token))? else { return Ok(None) };
        let note: Note = serde_json::from_str(&text)
            .or_fail(Kind::Failed, || format!("cannot read '{}'", self.path(token).display()))?;
        let away =
            Identity::at(&self.grounds.own(LEAVING)?, token).or_fail(Kind::CannotWrite, || "cannot look")?;
        if away.is_some_and(|away| away != note.identity) {
            let path = self.away(&note)?;
            let message = format!("'{}' is not what cq moved there", path.display());
            return Err(Error::new(Kind::Failed, message).hint("look into it, and move it away"));
        }
        // Not moved yet: then it may be anywhere, and nothing has happened. The branch goes after it.
        let moved = away.is_some() || self.repository.resolve(&format!("{REFS}{token}"))?.is_some();
        if !moved && note.kept.is_none() {
            durable::remove(&self.path(token))?;
            return Ok(None);
        }
        self.detach(&note)?;
        Ok(Some(note))
    }

    /// Begins the departure of a record's workspace, or goes on with it; none where there is no workspace. The caller holds
    /// the instance, and none of its processes is left. Afterwards the instance's name is free.
    pub(super) fn begin(&self, record: &Record, attempt: u32) -> Result<Option<Note>> {
        let claim = record.claimed()?;
        if !is_token(&claim.token) {
            return Err(Error::new(Kind::BadInput, format!("'{}' is not a claim's token", claim.token)));
        }
        if let Some(begun) = self.begun(&claim.token)? {
            return Ok(Some(begun));
        }
        let paths = Paths::of(self.session, record)?;
        let place = self.session.state.place(&claim.instance, &claim.token)?;
        let Some(identity) = self.own_workspace(&paths.dir, &claim.instance, place.as_ref())? else {
            return Ok(None);
        };
        let head = self.repository.resolve(&branch_ref(&claim.branch))?;
        let note = Note {
            record: record.clone(),
            attempt,
            at: self.session.clock.now(),
            identity,
            place,
            head,
            branch_goes: branch_goes(record),
            is_clone: workspace::is_clone(record, &paths),
            kept: None,
        };
        self.write(&note)?;
        let leaving = self.grounds.own(LEAVING)?;
        let (from, to) = (OsString::from(&claim.instance), OsString::from(&claim.token));
        move_only(self.grounds.base(), &from, &leaving, &to, identity)
            .or_fail(Kind::Failed, || format!("cannot move '{}' away", paths.dir.display()))?;
        self.detach(&note)?;
        Ok(Some(note))
    }

    /// The workspace, if it is the folder that was made for this claim; none where there is none.
    fn own_workspace(&self, dir: &Path, instance: &str, place: Option<&Place>) -> Result<Option<Identity>> {
        let about = folder::look(self.grounds.base(), instance)
            .or_fail(Kind::CannotWrite, || format!("cannot look at '{}'", dir.display()))?;
        let identity = Identity::at(self.grounds.base(), instance)
            .or_fail(Kind::CannotWrite, || format!("cannot look at '{}'", dir.display()))?;
        let (Some(about), Some(identity)) = (about, identity) else { return Ok(None) };
        let refuse = |why: &str, hint: &str| {
            Err(Error::new(Kind::NotPermitted, format!("'{}' is not removed: {why}", dir.display()))
                .hint(hint))
        };
        let look = "look into it, and move it away; then cq-cleanup puts its record in order";
        if !folder::is_folder(&about) {
            return refuse("it is no folder, or leads elsewhere", look);
        }
        let mine = about.st_uid == rustix::process::geteuid().as_raw();
        if place.is_some_and(|place| !place.is_workspace(identity)) || !mine {
            return refuse("it is not the folder that cq made", look);
        }
        if let Some(mounted) = mounted_below(dir) {
            let why = format!("something is mounted at '{}'", mounted.display());
            return refuse(&why, "umount it first");
        }
        Ok(Some(identity))
    }

    fn write(&self, note: &Note) -> Result<()> {
        let token = &note.record.claimed()?.token;
        let text = serde_json::to_vec(note).or_fail(Kind::Internal, || "cannot write a note as JSON")?;
        durable::replace(&self.path(token), &text)
    }

    fn away(&self, note: &Note) -> Result<PathBuf> {
        let dir = self.session.loaded.workspaces(&self.session.environment)?;
        Ok(dir.join(LEAVING).join(&note.record.claimed()?.token))
    }

    /// Tells the repository where the worktree is now, and deletes the branch. May be repeated.
    fn detach(&self, note: &Note) -> Result<()> {
        let claim = note.record.claimed()?;
        if let Some(git_dir) = self.git_dir(note) {
            let path = self.away(note)?.join(Paths::name_of(&note.record.repo));
            self.repository.note_place(&Worktree { path, git_dir })?;
        }
        if let Some(head) = note.head.as_ref().filter(|_| note.branch_goes)
            && !branches::is_needed_again(self.session, &note.record)?
            && !branches::is_in_hand(
                self.session,
                &self.repository,
                &note.record,
                self.git_dir(note).as_deref(),
            )?
            && self.repository.resolve(&branch_ref(&claim.branch))?.as_ref() == Some(head)
        {
            self.repository.set_aside(&claim.branch, head, &format!("{REFS}{}", claim.token))?;
        }
        Ok(())
    }

    /// The worktree's administrative folder, if it is still the one that was made for it.
    fn git_dir(&self, note: &Note) -> Option<PathBuf> {
        let run = note.record.run.as_ref()?;
        let git_dir = PathBuf::from(run.git_dir.as_ref()?);
        let parent = self.repository.common_dir().join("worktrees");
        if git_dir.parent() != Some(&parent) {
            return None;
        }
        let worktrees = folder::step(folder::open(self.repository.common_dir()).ok()?, "worktrees").ok()?;
        let identity = Identity::of(folder::step(worktrees, git_dir.file_name()?).ok()?).ok()?;
        let known = note.place.as_ref().and_then(|place| place.is_git_dir(&git_dir, identity));
        known.unwrap_or(true).then_some(git_dir)
    }
    /// Rescues what is in it and nowhere else, tells `told` where that is, and removes it.
    pub(super) fn finish(
        &self,
        mut note: Note,
        told: impl FnOnce(Option<&str>) -> Result<()>,
    ) -> Result<Cleared> {
        let token = note.record.claimed()?.token.clone();
        let kept = match note.kept.clone() {
            Some(kept) => kept,
            None => Kept { rescued: self.rescue(&note)? },
        };
        note.kept = Some(kept.clone());
        self.write(&note)?;
        told(kept.rescued.as_deref())?;
        if let Some(git_dir) = self.git_dir(&note) {
            self.repository.forget_worktree(&git_dir, |found| {
                note.place.as_ref().and_then(|place| place.is_git_dir(&git_dir, found)).unwrap_or(true)
            })?;
        }
        let leaving = self.grounds.own(LEAVING)?;
        let name = OsString::from(&token);
        let there = Identity::at(&leaving, &name).or_fail(Kind::CannotWrite, || "cannot look")?;
        let trashed = match there {
            Some(_) => Some(self.grounds.put_in_trash(&leaving, &name, Some(note.identity)).map_err(of_one)?),
            None => None,
        };
        let kept_by = format!("{REFS}{token}");
        // None where the branch was left.
        let set_aside = self.repository.resolve(&kept_by)?;
        if let Some(head) = &set_aside {
            self.repository.delete_ref(&kept_by, head)?;
        }
        durable::remove(&self.path(&token))?;
        let emptied = trashed.map_or(Ok(Freed::default()), |trashed| self.grounds.empty(&trashed));
        let (freed, unremoved) = match emptied {
            Ok(freed) => (freed, None),
            Err(error) => (Freed::default(), Some(error)),
        };
        let branch =
            set_aside.map(|_| note.record.claimed().map(|claim| claim.branch.clone())).transpose()?;
        Ok(Cleared { rescued: kept.rescued, branch, freed, unremoved })
    }

    fn rescue(&self, note: &Note) -> Result<Option<String>> {
        let (record, workspace) = (&note.record, self.away(note)?);
        let name = Paths::name_of(&record.repo);
        let run = record.run.as_ref();
        let in_sandbox = run.is_some_and(|run| run.sandbox.as_deref() == Some("bubblewrap"));
        let git = match self.git_dir(note) {
            _ if note.is_clone => GitPlace::own(Path::new(name).join(".git"), None),
            Some(git_dir) if in_sandbox => GitPlace::own(".sandbox/git".into(), git_dir.file_name()),
            Some(git_dir) => GitPlace::Linked(git_dir),
            None => GitPlace::Unknown,
        };
        let source = Source {
            record,
            attempt: note.attempt,
            at: note.at,
            workspace: &workspace,
            worktree: name.as_ref(),
            head: note.head.as_deref(),
            whole: record.status != Some(Status::PrReady),
            git,
        };
        rescue::keep(self.session, &source, &self.repository, &self.private)
    }
}

/// A pull request that is open may send the agent back to its branch, be it after a failed round by cq-claim --retry: a
/// new branch would replace what people are looking at.
pub(super) fn branch_goes(record: &Record) -> bool {
    let open = record.pull_request.as_ref().is_some_and(|pull| pull.state == "open");
    !open && record.status != Some(Status::PrReady)
}

/// What is wrong with one workspace keeps no other back, as a state that cannot be written does.
fn of_one(mut error: Error) -> Error {
    error.kind = Kind::Failed;
    error
}

/// Tokens become part of paths and of a ref's name.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !text.starts_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_stays_while_its_pull_request_may_need_it() {
        for (status, pull, goes) in [
            (Status::PrReady, None, false),
            (Status::PrReady, Some("open"), false),
            (Status::Failed, Some("open"), false),
            (Status::Failed, Some("closed"), true),
            (Status::Failed, None, true),
            (Status::Completed, Some("merged"), true),
        ] {
            let mut record = Record::new("o/r", 1, crate::record::Issue::default());
            record.status = Some(status);
            let pull =
                pull.map(|state| format!(r#"{{"number":7,"url":"","head_sha":"0b","state":"{state}"}}"#));
            record.pull_request = pull.as_ref().map(|pull| serde_json::from_str(pull).unwrap());
            assert_eq!(branch_goes(&record), goes, "{status:?} {pull:?}");
        }
    }

    #[test]
    fn only_what_can_be_a_file_s_name_is_a_token() {
        for (text, is) in [("0a-B", true), ("", false), ("-a", false), ("../x", false), ("a.b", false)] {
            assert_eq!(is_token(text), is, "{text}");
        }
    }
}
