//! Rescues: what there are, and which can go.

use std::path::Path;

use chrono::{DateTime, TimeDelta};
use serde::Serialize;

use super::bytes;
use crate::clock::{Timestamp, stamp};
use crate::error::{Error, Kind, OrFail, Result, Tally};
use crate::pipeline::rescue::{REFS, Summary, restore};
use crate::record::Record;
use crate::session::Session;
use crate::state::events::Event;

/// A rescue.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Rescue {
    issue: u64,
    /// The attempt; `1.2` is the second rescue of attempt 1.
    attempt: String,
    at: Timestamp,
    /// Files that were not committed, and their bytes.
    files: u64,
    bytes: u64,
    commits: u64,
    what: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left: Vec<String>,
    #[serde(rename = "ref")]
    pub(crate) name: String,
    pub(crate) commit: String,
    #[serde(skip)]
    branch: String,
}

/// Which ones are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Which {
    issue: u64,
    attempt: Option<String>,
}

impl std::str::FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (issue, attempt) =
            text.split_once('/').map_or((text, None), |(issue, attempt)| (issue, Some(attempt)));
        let attempt = attempt.map(str::to_owned);
        match issue.parse() {
            Ok(issue) if attempt.as_ref().is_none_or(|attempt| sequence(attempt).is_some()) => {
                Ok(Self { issue, attempt })
            }
            _ => Err(format!("'{text}' is no ISSUE or ISSUE/ATTEMPT, such as 123 or 123/2")),
        }
    }
}

/// The attempt, and which rescue of it; none if it is neither.
fn sequence(attempt: &str) -> Option<(u32, u32)> {
    match attempt.split_once('.') {
        Some((attempt, number)) => Some((attempt.parse().ok()?, number.parse().ok()?)),
        None => Some((attempt.parse().ok()?, 1)),
    }
}

impl Rescue {
    fn of(name: &str, commit: &str, text: &str) -> Option<Self> {
        let (issue, attempt) = name.strip_prefix(REFS)?.split_once('/')?;
        let issue = issue.parse().ok()?;
        sequence(attempt)?;
        // <name> <address> <seconds> <zone>
        let committer = text.lines().find_map(|line| line.strip_prefix("committer "))?;
        let seconds = committer.rsplit(' ').nth(1)?.parse().ok()?;
        let at = DateTime::from_timestamp(seconds, 0)?;
        let known = Summary::of_commit(text);
        let what = known.as_ref().map_or_else(|| "a commit".to_owned(), Summary::what);
        let known = known.unwrap_or_default();
        Some(Self {
            issue,
            attempt: attempt.to_owned(),
            at,
            files: known.files,
            bytes: known.bytes,
            commits: known.commits,
            what,
            left: known.left,
            name: name.to_owned(),
            commit: commit.to_owned(),
            branch: known.branch,
        })
    }

    fn is(&self, which: &Which) -> bool {
        self.issue == which.issue && which.attempt.as_ref().is_none_or(|attempt| *attempt == self.attempt)
    }

    fn row(&self) -> Vec<String> {
        vec![
            format!("#{}", self.issue),
            self.attempt.clone(),
            stamp(self.at),
            self.files.to_string(),
            bytes(self.bytes),
            self.what.clone(),
        ]
    }
}

const COLUMNS: &[&str] = &["ISSUE", "ATTEMPT", "WHEN", "FILES", "SIZE", "WHAT"];

/// All of them, by issue and attempt.
pub(crate) fn all(session: &Session) -> Result<Vec<Rescue>> {
    let (repository, private) = session.git()?;
    let refs = repository.refs_below(REFS)?;
    if refs.is_empty() {
        return Ok(Vec::new());
    }
    let shas: Vec<&str> = refs.iter().map(|(_, sha)| sha.as_str()).collect();
    let texts = private.commits(&shas)?;
    let rescues = refs.iter().zip(&texts).filter_map(|((name, sha), text)| Rescue::of(name, sha, text));
    let mut rescues: Vec<Rescue> = rescues.collect();
    rescues.sort_by_key(|rescue| (rescue.issue, sequence(&rescue.attempt)));
    Ok(rescues)
}

/// The latest of these.
pub(crate) fn latest(session: &Session, which: &Which) -> Result<Rescue> {
    let found = all(session)?.into_iter().filter(|rescue| rescue.is(which));
    found.max_by_key(|rescue| (rescue.at, sequence(&rescue.attempt))).ok_or_else(|| none_of(which))
}

fn none_of(which: &Which) -> Error {
    let attempt = which.attempt.as_ref().map(|attempt| format!(", attempt {attempt}")).unwrap_or_default();
    Error::new(Kind::Failed, format!("nothing was rescued of issue #{}{attempt}", which.issue))
        .hint("cq-cleanup --list-rescues shows what there is")
}

/// Says which of those that a person named are not there.
fn miss(session: &Session, rescues: &[Rescue], which: &[Which]) -> Result<Tally> {
    session.for_each(which.iter().map(Ok), |which| {
        let is_there = rescues.iter().any(|rescue| rescue.is(which));
        if is_there { Ok(()) } else { Err(none_of(which)) }
    })
}

/// The latest of a claim's.
pub(super) fn of_claim(session: &Session, record: &Record) -> Result<Option<String>> {
    let branch = &record.claimed()?.branch;
    let mine =
        all(session)?.into_iter().filter(|rescue| rescue.issue == record.number && rescue.branch == *branch);
    Ok(mine.max_by_key(|rescue| (rescue.at, sequence(&rescue.attempt))).map(|rescue| rescue.name))
}

/// `--list-rescues`.
pub fn list(session: &Session, which: &[Which]) -> Result<Tally> {
    let mut output = session.rows(COLUMNS);
    let rescues = all(session)?;
    let tally = miss(session, &rescues, which)?;
    for rescue in rescues {
        if which.is_empty() || which.iter().any(|which| rescue.is(which)) {
            output.item(&rescue, || rescue.row())?;
        }
    }
    output.finish()?;
    Ok(tally)
}

/// What was brought back.
#[derive(Debug, Serialize)]
struct Back {
    issue: u64,
    attempt: String,
    worktree: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    beside: Option<String>,
    files: u64,
    #[serde(rename = "ref")]
    name: String,
}

/// `--restore`: a new worktree, below the workspaces unless `to` says otherwise.
pub fn restore(session: &Session, which: &Which, to: Option<&Path>, dry_run: bool) -> Result<Tally> {
    let rescue = latest(session, which)?;
    let to = match to {
        Some(to) => session.folder().join(to),
        None => {
            let name = format!("rescue-{}-{}", rescue.issue, rescue.attempt);
            session.loaded.workspaces(&session.environment)?.join(name)
        }
    };
    let to = std::path::absolute(&to).or_fail(Kind::Config, || format!("bad path '{}'", to.display()))?;
    if dry_run {
        session.note(&format!("would bring {} back in '{}'", rescue.name, to.display()));
        return Ok(Tally::default());
    }
    let (repository, private) = session.git()?;
    let restored = restore::restore(session, &repository, &private, &rescue.commit, &to)?;
    let event = Event::about(&session.state, "rescue-restored", rescue.issue);
    session.state.log(&event.with("ref", rescue.name.as_str()).with("to", to.display().to_string()))?;
    let Rescue { issue, attempt, name, .. } = rescue;
    let (worktree, files) = (to.display().to_string(), restored.files);
    let beside = restored.beside.map(|path| path.display().to_string());
    let back = Back { issue, attempt, worktree, beside, files, name };
    let mut output = session.rows(&["ISSUE", "ATTEMPT", "FILES", "WORKTREE"]);
    output.item(&back, || {
        vec![format!("#{issue}"), back.attempt.clone(), files.to_string(), back.worktree.clone()]
    })?;
    output.finish()?;
    Ok(Tally::default())
}

/// `--prune`: removes those that are named, or else those that are old. They can be had back until git forgets them.
pub fn prune(session: &Session, which: &[Which], dry_run: bool) -> Result<Tally> {
    let (repository, _) = session.git()?;
    let days = i64::from(session.loaded.config.cleanup.rescue_days);
    let before = session.clock.now() - TimeDelta::days(days);
    let goes = |rescue: &Rescue| match which {
        [] => rescue.at <= before,
        named => named.iter().any(|which| rescue.is(which)),
    };
    let mut output = session.rows(COLUMNS);
    let mut rescues = all(session)?;
    let mut tally = miss(session, &rescues, which)?;
    rescues.retain(goes);
    let pruned = session.for_each(rescues.into_iter().map(Ok), |rescue| {
        let Rescue { name, commit, issue, .. } = &rescue;
        if dry_run {
            session.note(&format!("would remove {name} ({})", rescue.what));
            return Ok(());
        }
        repository.delete_ref(name, commit)?;
        let event = Event::about(&session.state, "rescue-pruned", *issue);
        session.state.log(&event.with("ref", name.as_str()).with("commit", commit.as_str()))?;
        session
            .note(&format!("removed {name}; until git gc, 'git update-ref {name} {commit}' brings it back"));
        output.item(&rescue, || rescue.row())
    })?;
    output.finish()?;
    tally.add(&pruned);
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_rescues_are_meant() {
        let which = |text: &str| text.parse::<Which>().ok().map(|which| (which.issue, which.attempt));
        assert_eq!(which("12"), Some((12, None)));
        assert_eq!(which("12/3"), Some((12, Some("3".to_owned()))));
        assert_eq!(which("12/3.2"), Some((12, Some("3.2".to_owned()))));
        for text in ["", "x", "12/", "12/x", "12/../1", "12/1/2", "-1", "claude-instance-1"] {
            assert_eq!(which(text), None, "{text}");
        }
    }

    #[test]
    fn a_rescue_is_read_from_its_commit_and_older_ones_too() {
        let text = "tree 0\nauthor a <a@b> 5 +0000\ncommitter a <a@b> 86400 +0000\n\nRescued\n";
        let old = Rescue::of("refs/cq/rescue/7/2", "5a", text).unwrap();
        assert_eq!((old.issue, old.attempt.as_str(), old.what.as_str()), (7, "2", "a commit"));
        assert_eq!(old.at.timestamp(), 86400);
        let summary = Summary { issue: 7, files: 3, bytes: 9, ..Summary::default() };
        let text = text.replace("Rescued\n", &summary.message());
        let new = Rescue::of("refs/cq/rescue/7/2.2", "5a", &text).unwrap();
        assert_eq!((new.files, new.bytes, new.what.as_str()), (3, 9, "3 files"));
        assert!(Rescue::of("refs/cq/rescue/x", "5a", &text).is_none());
    }
}
