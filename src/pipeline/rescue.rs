//! Before a worktree is removed: what is in it and nowhere else goes to `refs/cq/rescue/<issue>/<attempt>`.
//!
//! ```text
//! refs/cq/rescue/123/1       a commit of all files as they were, ignored ones as well unless they are many or large;
//!                            its message says what it holds
//!   first parent             the end of the branch
//!   second parent            where a tree cannot say everything: the attic
//!     manifest.json          modes, empty folders
//!     odd/N                  what git takes into no tree, such as the insides of another repository
//!     staged/PATH            what was staged for the next commit
//!     beside/PATH            what lay beside the worktree
//!     git/PATH               the agent's own git directory, where something of it is not on the branch
//!     its parent             the commit that the worktree was on, where that is not on the branch
//! ```
//!
//! Bytes and modes are read by cq itself: neither attributes nor filters nor what an index believes have a say.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsStr;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::clock::Timestamp;
use crate::error::{Kind, OrFail, Result};
use crate::git::keep::{Entry, unnamed_file};
use crate::git::{PrivateGit, Repository, branch_ref};
use crate::record::{Outcome, Record, Status};
use crate::session::Session;
use crate::state::durable;
use crate::state::folder;

mod attic;
mod manifest;
pub(crate) mod restore;
mod stream;
mod survey;

pub(crate) use manifest::Summary;

use attic::{Attic, cannot_read, kept_by_sandbox, plain_file};
use manifest::encode;
use stream::{Commit, Line, Stream};
use survey::{Ignored, Survey};

/// Where rescues are.
pub(crate) const REFS: &str = "refs/cq/rescue/";
/// Beside a worktree: cq's own, made again for the next attempt.
const OWN: [&str; 6] = [".env", "prompt.md", "claude.log", "gate", ".sandbox", super::workspace::SET_UP];
/// A `HEAD` is not longer.
const LONGEST_HEAD: u64 = 4096;

/// What is rescued.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    pub(crate) record: &'a Record,
    pub(crate) attempt: u32,
    /// Part of the rescue's name: the same work kept twice is one rescue.
    pub(crate) at: Timestamp,
    /// The workspace, wherever it is by now.
    pub(crate) workspace: &'a Path,
    /// The worktree's name in it.
    pub(crate) worktree: &'a OsStr,
    /// The end of its branch; none where there is none.
    pub(crate) head: Option<&'a str>,
    /// The branch goes too, and what lies beside the worktree.
    pub(crate) whole: bool,
    /// What git has of it.
    pub(crate) git: GitPlace,
}

/// Where the worktree's `HEAD` and index are.
#[derive(Debug, Clone)]
pub(crate) enum GitPlace {
    /// A folder of the repository.
    Linked(PathBuf),
    /// A git directory of the agent's own (`dir`), below the workspace, and the part of it that is the worktree's.
    Own { dir: PathBuf, part: PathBuf },
    /// It is not known.
    Unknown,
}

impl GitPlace {
    /// An agent's own; `worktree` is the name of the part that is the worktree's, where not all of it is.
    pub(crate) fn own(dir: PathBuf, worktree: Option<&OsStr>) -> Self {
        let part = worktree.map_or_else(|| dir.clone(), |name| dir.join("worktrees").join(name));
        Self::Own { dir, part }
    }
}

/// The attempt that the work in a workspace is of: a claim that waits after a failed one counts the next already.
pub(super) fn attempt_of_work(record: &Record) -> Result<u32> {
    let attempt = record.claimed()?.attempt;
    let failed =
        |outcome: Outcome| !matches!(outcome, Outcome::Success | Outcome::UsageLimit | Outcome::Auth);
    let waits = record.status == Some(Status::Queued) && record.outcome.is_some_and(failed);
    Ok(if waits { attempt.saturating_sub(1).max(1) } else { attempt })
}

/// Keeps what is nowhere else; gives the ref that keeps it, none where there is nothing to keep.
pub(crate) fn keep(
    session: &Session,
    source: &Source<'_>,
    repository: &Repository,
    private: &PrivateGit,
) -> Result<Option<String>> {
    let claim = source.record.claimed()?;
    let untouched = claim.base_sha.is_none() && source.record.run.is_none();
    let Some(parent) = source.head.or(claim.base_sha.as_deref()).filter(|_| !untouched) else {
        return Ok(None);
    };
    let Some(sha) = Rescue { session, source, private, parent }.make()? else { return Ok(None) };
    name(source.record.number, source.attempt, &sha, repository).map(Some)
}

/// `ISSUE/ATTEMPT`, or where that holds other work `ISSUE/ATTEMPT.2` and so on; one that holds this very commit is used
/// again.
fn name(issue: u64, attempt: u32, sha: &str, repository: &Repository) -> Result<String> {
    let mut number = 1_u64;
    loop {
        let name = match number {
            1 => format!("{REFS}{issue}/{attempt}"),
            _ => format!("{REFS}{issue}/{attempt}.{number}"),
        };
        if repository.create_ref(&name, sha)? || repository.resolve(&name)?.as_deref() == Some(sha) {
            return Ok(name);
        }
        number += 1;
    }
}

struct Rescue<'a> {
    session: &'a Session,
    source: &'a Source<'a>,
    private: &'a PrivateGit,
    /// The commit that everything is compared with.
    parent: &'a str,
}

impl Rescue<'_> {
    fn make(&self) -> Result<Option<String>> {
        let entries = self.private.files_of(self.parent)?;
        let contents: HashSet<&str> = entries.iter().map(|entry| entry.oid.as_str()).collect();
        let known: HashMap<Vec<u8>, Entry> =
            entries.iter().map(|entry| (entry.path.clone(), entry.clone())).collect();
        let mut stream = Stream::into(unnamed_file(self.session.state.dir())?);
        let ignored = self.ignored()?;
        let mut survey = Survey::new(&mut stream, &known, &contents, self.parent, &ignored);
        let path = self.worktree();
        let there = path.symlink_metadata().is_ok_and(|about| about.is_dir());
        if there {
            let dir = folder::open(&path).or_fail(Kind::Failed, || cannot_read(&path))?;
            survey.folder(&dir, b"", &[OsStr::new(".git")])?;
        } else {
            // Gone, or something else by now: what was committed is kept.
            survey
                .lines
                .extend(entries.iter().filter_map(|entry| Some((entry.path.clone(), line_of(entry)?))));
        }
        let mut attic = Attic::default();
        attic.manifest.usual = survey.usual();
        survey.tell(&mut attic.manifest, "tree/");
        attic.put_odd(std::mem::take(&mut survey.odd), "tree/");
        let lines: BTreeMap<Vec<u8>, Line> = std::mem::take(&mut survey.lines);
        let mut summary = self.summary(survey.files, survey.bytes, std::mem::take(&mut survey.left))?;
        let same = |line: &Line| {
            known.get(&line.path).is_some_and(|one| one.oid == line.name && one.mode == line.mode)
        };
        summary.deleted = known.keys().filter(|path| !lines.contains_key(*path)).count() as u64;
        let changed = summary.deleted > 0 || lines.values().any(|line| !same(line));

        self.staged(&known, &mut attic)?;
        self.beside(&mut stream, &mut attic, &mut summary)?;
        attic.detached = self.detached()?;
        if let Some(detached) = &attic.detached {
            summary.commits += self.private.commits_ahead(self.parent, detached)?;
        }
        if !changed && attic.lines.is_empty() && summary.commits == 0 {
            return Ok(None);
        }
        let lines: Vec<Line> = lines.into_values().collect();
        self.commit(stream, &lines, attic, &summary).map(Some)
    }

    fn commit(&self, mut stream: Stream, lines: &[Line], attic: Attic, summary: &Summary) -> Result<String> {
        let failed = || "cannot write down what is rescued";
        let mut parents = vec![self.parent.to_owned()];
        if attic.is_needed() {
            let commit = attic.write(&mut stream, self.source.at).or_fail(Kind::CannotWrite, failed)?;
            parents.push(commit);
        }
        let commit = Commit {
            reference: "refs/cq/work",
            message: &summary.message(),
            at: self.source.at,
            parents: &parents,
            lines,
        };
        let mark = stream.commit(&commit).or_fail(Kind::CannotWrite, failed)?;
        let marks = self.private.import(stream.end().or_fail(Kind::CannotWrite, failed)?)?;
        let number = mark.trim_start_matches(':').parse().ok();
        let sha = number.and_then(|number: u64| marks.get(&number)).cloned();
        sha.ok_or_else(|| {
            crate::error::Error::new(Kind::Internal, "git fast-import does not say what it made")
        })
    }

    fn worktree(&self) -> PathBuf {
        self.source.workspace.join(self.source.worktree)
    }

    fn summary(&self, files: u64, bytes: u64, left: Vec<String>) -> Result<Summary> {
        let record = self.source.record;
        let claim = record.claimed()?;
        let commits = match self.source.head {
            Some(head) if self.source.whole && !self.is_elsewhere(head) => {
                self.private.commits_ahead(claim.base_sha.as_deref().unwrap_or(head), head)?
            }
            _ => 0,
        };
        Ok(Summary {
            issue: record.number,
            attempt: self.source.attempt,
            instance: claim.instance.clone(),
            branch: claim.branch.clone(),
            files,
            bytes,
            deleted: 0,
            commits,
            left,
        })
    }

    /// Whether GitHub has the commits of the branch, and keeps them. The branch of a pull request that was closed may be
    /// deleted there, too.
    fn is_elsewhere(&self, head: &str) -> bool {
        let goes = self.session.loaded.config.cleanup.delete_remote_branches;
        let pull = self.source.record.pull_request.as_ref();
        pull.is_some_and(|pull| pull.head_sha == head && !(goes && pull.state == "closed"))
    }

    fn ignored(&self) -> Result<Ignored> {
        let worktree = self.worktree();
        if !worktree.symlink_metadata().is_ok_and(|about| about.is_dir()) {
            return Ok(Ignored::default());
        }
        let paths = self.private.ignored(&worktree, self.parent).unwrap_or_else(|error| {
            // Then nothing is left out for it.
            self.session.complain(&error);
            Vec::new()
        });
        let slashless = |mut path: Vec<u8>| {
            if path.ends_with(b"/") {
                path.pop();
            }
            path
        };
        let config = &self.session.loaded.config.cleanup;
        let checkout = self.session.loaded.repository(&self.session.environment)?;
        Ok(Ignored {
            paths: paths.into_iter().map(slashless).collect(),
            most_bytes: u64::from(config.rescue_ignored_megabytes) << 20,
            checkout: folder::open(&checkout).ok(),
        })
    }

    /// What the index has ready for the next commit.
    fn staged(&self, known: &HashMap<Vec<u8>, Entry>, attic: &mut Attic) -> Result<()> {
        let GitPlace::Linked(part) = &self.source.git else { return Ok(()) };
        let Some(staged) = self.index(part)? else { return Ok(()) };
        let new =
            staged.iter().filter(|entry| entry.mode != "160000" && known.get(&entry.path) != Some(entry));
        let new: Vec<(&Entry, Line)> = new.filter_map(|entry| Some((entry, line_of(entry)?))).collect();
        let there = self.private.known(&new.iter().map(|(entry, _)| entry.oid.as_str()).collect())?;
        for (entry, mut line) in new.into_iter().filter(|(entry, _)| there.contains(&entry.oid)) {
            attic.manifest.staged.insert(encode(&entry.path), entry.mode.clone());
            line.path = [b"staged/".as_slice(), &entry.path].concat();
            attic.lines.push(line);
        }
        let indexed: HashSet<&[u8]> = staged.iter().map(|entry| entry.path.as_slice()).collect();
        let gone = known.keys().filter(|path| !indexed.contains(path.as_slice()));
        attic.manifest.unstaged = gone.map(|path| encode(path)).collect();
        attic.manifest.unstaged.sort();
        Ok(())
    }

    /// The entries of an index that an agent wrote; none where there is none, or git cannot read it.
    fn index(&self, part: &Path) -> Result<Option<Vec<Entry>>> {
        let Some(mut index) = plain_file(&part.join("index")) else { return Ok(None) };
        let scratch =
            tempfile::Builder::new().prefix(durable::TEMP_PREFIX).tempdir_in(self.session.state.dir());
        let scratch = scratch.or_fail(Kind::CannotWrite, || "cannot make a temporary folder")?;
        let copy = scratch.path().join("index");
        let mut bytes = Vec::new();
        index.read_to_end(&mut bytes).or_fail(Kind::Failed, || cannot_read(part))?;
        durable::replace_cheaply(&copy, &bytes)?;
        self.private.staged(&copy)
    }

    /// What lies beside the worktree and is not cq's own, and the agent's git directory where that is needed.
    fn beside(&self, stream: &mut Stream, attic: &mut Attic, summary: &mut Summary) -> Result<()> {
        if !self.source.whole || !self.source.workspace.is_dir() {
            return Ok(());
        }
        let workspace = self.source.workspace;
        let open = |path: &Path| folder::open(path).or_fail(Kind::Failed, || cannot_read(path));
        let (known, contents, ignored) = (HashMap::new(), HashSet::new(), Ignored::default());
        let mut survey = Survey::new(stream, &known, &contents, self.parent, &ignored);
        let mut skip: Vec<&OsStr> = OWN.iter().map(OsStr::new).collect();
        skip.push(self.source.worktree);
        survey.folder(&open(workspace)?, b"beside", &skip)?;
        for kept in kept_by_sandbox(workspace) {
            let path = workspace.join(".sandbox").join(&kept);
            survey.folder(&open(&path)?, format!("beside/.sandbox/{kept}").as_bytes(), &[])?;
        }
        if let GitPlace::Own { dir, part } = &self.source.git
            && workspace.join(dir).symlink_metadata().is_ok_and(|about| about.is_dir())
            && self.is_of_interest(&workspace.join(dir), &workspace.join(part))?
        {
            survey.folder(&open(&workspace.join(dir))?, b"git", &[])?;
        }
        survey.tell(&mut attic.manifest, "");
        attic.lines.extend(std::mem::take(&mut survey.lines).into_values());
        attic.put_odd(std::mem::take(&mut survey.odd), "");
        summary.files += survey.files;
        summary.bytes += survey.bytes;
        summary.left.append(&mut survey.left);
        Ok(())
    }

    /// Whether an agent's own git directory has something that its branch has not.
    fn is_of_interest(&self, dir: &Path, part: &Path) -> Result<bool> {
        let branch = branch_ref(&self.source.record.claimed()?.branch);
        let text = |path: &Path| -> Option<String> {
            let mut text = String::new();
            plain_file(path)?.take(LONGEST_HEAD).read_to_string(&mut text).ok()?;
            Some(text.trim_end().to_owned())
        };
        let elsewhere = text(&part.join("HEAD")).is_none_or(|head| head != format!("ref: {branch}"));
        let ahead = text(&dir.join(&branch)).is_some_and(|sha| Some(sha.as_str()) != self.source.head);
        let stash = dir.join("refs/stash").symlink_metadata().is_ok();
        if elsewhere || ahead || stash {
            return Ok(true);
        }
        let Some(staged) = self.index(part)? else { return Ok(false) };
        let there = self.private.known(&staged.iter().map(|entry| entry.oid.as_str()).collect())?;
        Ok(staged.iter().any(|entry| entry.mode != "160000" && !there.contains(&entry.oid)))
    }

    /// The commit that the worktree is on, where it is on no branch and not on this one's way.
    fn detached(&self) -> Result<Option<String>> {
        let GitPlace::Linked(part) = &self.source.git else { return Ok(None) };
        let mut text = String::new();
        let Some(head) = plain_file(&part.join("HEAD")) else { return Ok(None) };
        if head.take(LONGEST_HEAD).read_to_string(&mut text).is_err() {
            return Ok(None);
        }
        let sha = text.trim_end();
        let is_name = matches!(sha.len(), 40 | 64) && sha.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_name || self.private.resolve(sha)?.as_deref() != Some(sha) {
            return Ok(None);
        }
        Ok((self.private.commits_ahead(self.parent, sha)? > 0).then(|| sha.to_owned()))
    }
}

fn line_of(entry: &Entry) -> Option<Line> {
    let modes = ["100644", "100755", "120000", "160000"];
    modes.into_iter().find(|mode| *mode == entry.mode).map(|mode| Line::of_known(mode, entry))
}
