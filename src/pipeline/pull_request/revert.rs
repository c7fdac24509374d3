//! `cq-pr --revert`: a merged change is taken back, its issue opened again, and its agent given another go.
//!
//! As with a delivery each step is written down before it is begun, looks before it acts, and is harmless to repeat.
//! GitHub makes the pull request itself where it can; else cq's own git makes the commit.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::{OURS, renew};
use crate::claims;
use crate::error::{Error, Kind, OrFail, Result, Tally};
use crate::git::{Identity, RefChange, branch_ref};
use crate::github::pulls::{self, Proposal};
use crate::github::reviews::{self, Progress};
use crate::github::{Client, comments, issues, merges};
use crate::pipeline::cleanup;
use crate::record::{Extra, Feedback, FeedbackSource, PullRequest, Record, Revert, RevertStep, Status};
use crate::sanitize;
use crate::session::Session;
use crate::state::Change;
use crate::state::events::Event;

/// The most of a log that is read: its end.
const LOG_BYTES: u64 = 64 << 10;
/// The lines of it that people and the agent see.
const LOG_LINES: usize = 50;
/// GitHub's limit for a title, in characters.
const LONGEST_TITLE: usize = 256;

/// What is asked for.
#[derive(Debug)]
pub struct Wish {
    /// The issue whose change is taken back.
    pub number: u64,
    /// Why.
    pub reason: String,
    /// The log that shows it.
    pub log: Option<PathBuf>,
    /// Only say it.
    pub dry_run: bool,
}

/// What a revert works with.
struct Reverting<'a> {
    session: &'a Session,
    client: Client,
}

/// Takes the change of one issue back.
pub fn revert(session: &Session, wish: &Wish) -> Result<Tally> {
    session.state.refuse_when_stopped()?;
    let mut output = session.records();
    let record = find(session, wish.number)?;
    let undone = |revert: &Revert| record.pull_request.as_ref().is_none_or(|pull| pull.number == revert.of);
    let known = record.revert.clone().filter(undone);
    if known.as_ref().is_some_and(|revert| revert.step == RevertStep::Done) {
        let by =
            known.and_then(|revert| revert.number).map_or_else(String::new, |made| format!(" by #{made}"));
        session.note(&format!("issue #{}: its change is taken back already{by}", wish.number));
        output.record(&record)?;
        output.finish()?;
        return Ok(Tally::default());
    }
    let of = merged(&record)?.number;
    if wish.dry_run {
        session.note(&format!("would take #{of} back, and queue issue #{} again", wish.number));
        output.record(&record)?;
        output.finish()?;
        return Ok(Tally::default());
    }
    session.needs_token("open a pull request")?;
    let log = wish.log.as_deref().map(|log| end_of(session, log)).transpose()?;
    let reverting = Reverting { session, client: session.github()? };
    let record = reverting.run(&record, wish, log)?;
    let made = record.revert.as_ref().and_then(|revert| Some((revert.number?, revert.url.as_deref()?)));
    if let Some((number, url)) = made {
        session.note(&format!(
            "issue #{}: #{number} ({url}) takes #{of} back; merge it first: until then an agent begins at a base that \
             still has the change",
            wish.number
        ));
    }
    output.record(&record)?;
    output.finish()?;
    Ok(Tally::default())
}

/// The record in flight, else the newest one in the archive.
fn find(session: &Session, number: u64) -> Result<Record> {
    if let Some(record) = session.state.get(number)? {
        return Ok(record);
    }
    let archived = session.state.archived(number)?.into_iter();
    let ended = |record: &Record| record.history.last().map(|last| last.at);
    archived.filter(|record| record.status == Some(Status::Completed)).max_by_key(ended).ok_or_else(|| {
        Error::new(Kind::Failed, format!("issue #{number} has no record here, in flight or archived"))
            .hint("take the change back on GitHub, and claim the issue again: cq-claim")
    })
}

/// The pull request that was merged.
fn merged(record: &Record) -> Result<&PullRequest> {
    let merged = record.pull_request.as_ref().filter(|pull| pull.state == "merged");
    merged.filter(|_| record.status == Some(Status::Completed)).ok_or_else(|| {
        let status = record.standing();
        let message = format!("issue #{} is {status}: it has no merged pull request", record.number);
        Error::new(Kind::Failed, message).hint("cq-pr --sync notes which pull requests were merged")
    })
}

/// The end of a log, without secrets.
fn end_of(session: &Session, log: &Path) -> Result<String> {
    let log = session.folder().join(log);
    let mut bytes = Vec::new();
    let read = File::open(&log).and_then(|mut file| {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LOG_BYTES)))?;
        file.take(LOG_BYTES).read_to_end(&mut bytes)
    });
    read.or_fail(Kind::Usage, || format!("cannot read the log '{}'", log.display()))?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let end = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
    Ok(session.redactor().redact(&sanitize::lines(&end)).into_owned())
}

impl Reverting<'_> {
    /// Goes on from wherever an earlier command was interrupted.
    fn run(&self, record: &Record, wish: &Wish, log: Option<String>) -> Result<Record> {
        let of = merged(record)?.number;
        let known = record.revert.clone().filter(|revert| revert.of == of);
        let reason = self.session.redactor().redact(wish.reason.trim()).into_owned();
        let revert = known.unwrap_or_else(|| Revert {
            of,
            reason,
            log,
            step: RevertStep::Open,
            at: self.session.clock.now(),
            branch: None,
            number: None,
            url: None,
            extra: Extra::new(),
        });
        let mut record = self.begin(record, revert)?;
        if step(&record) == RevertStep::Open {
            record = self.open(&record)?;
        }
        self.reopen(&record)?;
        // The new claim replaces the old one, and nothing would lead to its workspace and branches any more.
        cleanup::make_way(self.session, &record)?;
        self.queue(&record)
    }

    /// Writes a step down before it is begun; brings the record back from the archive for that.
    fn begin(&self, wanted: &Record, revert: Revert) -> Result<Record> {
        let token = wanted.claimed()?.token.clone();
        self.session.state.change(wanted.number, |now| {
            let mut record = now.unwrap_or_else(|| wanted.clone());
            if record.claimed()?.token != token || record.status != Some(Status::Completed) {
                return Err(claims::lost(wanted.number));
            }
            record.revert = Some(revert);
            Ok((Change::Write(Box::new(record.clone())), record))
        })
    }

    fn open(&self, record: &Record) -> Result<Record> {
        let (session, client, repo) = (self.session, &self.client, record.repo.as_str());
        let revert = known(record)?.clone();
        let mut record = record.clone();
        let marker = marker(&record, revert.of);
        let there = || pulls::marked(client, repo, &marker);
        let made = match there()? {
            Some(made) => made,
            None => {
                let now = reviews::progress(client, repo, revert.of)?;
                let title = sanitize::line(&now.title);
                let title = session.redactor().redact(&format!("Revert \"{title}\"")).into_owned();
                let title = sanitize::clip(&title, LONGEST_TITLE).into_owned();
                let body = format!(
                    "This takes #{} back, which was for #{}.\n\nWhy: {}\n\n{marker}",
                    revert.of, record.number, revert.reason
                );
                match merges::revert(client, &now.id, (&title, &body), &there)? {
                    Some(made) => made,
                    None => {
                        let (noted, made) = self.by_hand(&record, &now, title, body)?;
                        record = noted;
                        made
                    }
                }
            }
        };
        let event = Event::about(&session.state, "revert", record.number)
            .with("of", revert.of)
            .with("number", made.number)
            .with("url", made.url.as_str());
        let noted = Revert {
            step: RevertStep::Reopen,
            at: session.clock.now(),
            number: Some(made.number),
            url: Some(made.url),
            ..known(&record)?.clone()
        };
        let record = self.begin(&record, noted)?;
        session.state.log(&event)?;
        Ok(record)
    }

    /// Where GitHub does not do it: the commit, its branch, its pull request.
    fn by_hand(
        &self,
        record: &Record,
        now: &Progress,
        title: String,
        body: String,
    ) -> Result<(Record, PullRequest)> {
        let session = self.session;
        let branch = format!("{OURS}revert-{}-{}", record.number, now.pull_request.number);
        let record = self.begin(record, Revert { branch: Some(branch.clone()), ..known(record)?.clone() })?;
        let (_, private) = session.git()?;
        let remote = session.remote(&record.repo)?;
        let full = branch_ref(&branch);
        let sha = match private.there(&remote, &[&full])?.at(&full) {
            Some(there) => there.to_owned(),
            None => {
                let sha = self.commit(&record, now, &title)?;
                renew(self.session, &record)?;
                private
                    .change_there(&remote, &[RefChange { name: &full, to: Some(&sha), expected: None }])?;
                sha
            }
        };
        let proposal = Proposal { title, body, head: branch, base: now.base.clone(), draft: false };
        renew(self.session, &record)?;
        let made = pulls::open(&self.client, &record.repo, &proposal, &sha)?.pull_request;
        Ok((record, made))
    }

    fn commit(&self, record: &Record, now: &Progress, title: &str) -> Result<String> {
        let session = self.session;
        let (_, private) = session.git()?;
        let address = session.remote_address(&record.repo)?;
        let depth = session.loaded.config.workspace.clone;
        private.forget_fetch()?;
        let base = private.fetch_base(
            &address,
            || session.remote(&record.repo),
            &now.base,
            depth,
            session.clock.now(),
        )?;
        let by_a_person = |why: &str| {
            let message =
                format!("issue #{}: #{} cannot be taken back: {why}", record.number, now.pull_request.number);
            Error::new(Kind::Failed, message).hint("take it back by hand, and run this again: its pull request is adopted if its text has the marker of this one")
        };
        let merged = now
            .merge_commit
            .as_deref()
            .ok_or_else(|| by_a_person("GitHub does not say by which commit it was merged"))?;
        if private.resolve(merged)?.is_none() {
            return Err(by_a_person("the base does not have the commit it was merged by"));
        }
        let head = now.pull_request.head_sha.as_str();
        let commits = record.run.as_ref().and_then(|run| run.commits).unwrap_or(1);
        let git = &session.loaded.config.git;
        let by = Identity { name: git.author_name.clone(), email: git.author_email.clone() };
        let message = format!("{title}\n\nThis takes {merged} back: {}\n", known(record)?.reason);
        let made = private.taken_back(&base, merged, (head, commits), &message, &by)?;
        made.ok_or_else(|| by_a_person("later changes stand on it, or it is out already"))
    }

    /// The issue is open again, and says why.
    fn reopen(&self, record: &Record) -> Result<()> {
        let (client, repo, number) = (&self.client, record.repo.as_str(), record.number);
        let revert = known(record)?;
        let renew = || renew(self.session, record);
        renew()?;
        issues::reopen(client, repo, number)?;
        let by = revert.number.map_or_else(String::new, |number| format!(" by #{number}"));
        let mut text = format!("The change of #{} is taken back{by}.\n\nWhy: {}", revert.of, revert.reason);
        if let Some(log) = &revert.log {
            let log = log.replace("<!--", "<! --");
            let longest = log.split(|c| c != '`').map(str::len).max().unwrap_or_default();
            let fence = "`".repeat(longest.max(2) + 1);
            let _ = write!(text, "\n\nThe end of the log:\n\n{fence}text\n{log}\n{fence}");
        }
        comments::once(client, (repo, number), &marker(record, revert.of), &text, renew).map(drop)
    }

    /// Another go, with a claim and a branch of its own: the old branch is merged.
    fn queue(&self, record: &Record) -> Result<Record> {
        let session = self.session;
        let terms = claims::terms(&session.loaded, &session.environment)?;
        let token = record.claimed()?.token.clone();
        let now = session.clock.now();
        let revert = known(record)?.clone();
        // The base has what was merged: a fetch from before that is no place to begin at.
        let (_, private) = session.git()?;
        private.forget_fetch()?;
        let reason = sanitize::line(&revert.reason);
        let why = match revert.number {
            Some(number) => format!("#{number} takes #{} back: {reason}", revert.of),
            None => format!("#{} is to be taken back: {reason}", revert.of),
        };
        session.claims().anew(record.number, &terms, &why, &mut |record| {
            if record.claimed()?.token != token {
                return Err(claims::lost(record.number));
            }
            let (from, text) = (FeedbackSource::Revert, told(&revert));
            record.feedback = vec![Feedback { from, text, at: now, extra: Extra::new() }];
            record.revert = Some(Revert { step: RevertStep::Done, at: now, ..revert.clone() });
            Ok(())
        })
    }
}

fn known(record: &Record) -> Result<&Revert> {
    record.revert.as_ref().ok_or_else(|| claims::lost(record.number))
}

fn step(record: &Record) -> RevertStep {
    record.revert.as_ref().map_or(RevertStep::Open, |revert| revert.step)
}

fn marker(record: &Record, of: u64) -> String {
    format!("<!-- cq:revert:{}:{of} -->", record.number)
}

/// What the agent is told.
fn told(revert: &Revert) -> String {
    let by = revert.number.map_or_else(String::new, |number| {
        format!(", by pull request #{number}, which may not be merged yet")
    });
    let mut text = format!(
        "Pull request #{} for this issue was merged, and is taken back{by}. Why: {}\n\
         Do the work again, without that fault. Where your branch still has the old change, begin by taking it back \
         (git revert).",
        revert.of, revert.reason
    );
    if let Some(log) = &revert.log {
        let _ = write!(text, "\n\nThe end of the log:\n{log}");
    }
    text
}
