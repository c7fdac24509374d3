//! `cq-pr --merge`: what people have approved and CI has passed, one after the other, while the base is green.
//!
//! `record::merge` decides; everything is read anew before each merge, and GitHub is sent the commit that was judged.

use super::renew;
use super::sync::{note_end, pushed, waiting, waits};
use crate::error::{Error, Kind, Result, Tally};
use crate::github::reviews::{self, Progress};
use crate::github::{Client, comments, merges};
use crate::output::Output;
use crate::record::merge::{self, Candidate, Next, Refused};
use crate::record::{Record, review};
use crate::session::Session;
use crate::state::events::Event;

/// How often one pull request is looked at anew because the base moved in the moment of its merge.
const TURNS: u32 = 3;

/// How it was asked for.
#[derive(Clone, Copy)]
struct Asked {
    /// Only say it.
    dry_run: bool,
    /// The issues were named by a person.
    named: bool,
}

/// What became of one.
enum Done {
    /// Merged, or on its way.
    Yes,
    /// The base moved: look again.
    Again,
    /// The base is red: no other is merged either.
    Halted(Error),
}

/// Merges what may be merged.
pub fn merge(session: &Session, numbers: &[u64], dry_run: bool) -> Result<Tally> {
    session.state.refuse_when_stopped()?;
    if !session.loaded.config.merge.enabled {
        return Err(Error::new(Kind::Config, "merging is off (merge.enabled)")
            .hint("set merge.enabled, and read in the README what it takes for granted"));
    }
    let (wanted, mut tally) = waiting(session, numbers)?;
    let mut output = session.records();
    if wanted.is_empty() {
        output.finish()?;
        return Ok(tally);
    }
    session.needs_token("merge")?;
    let client = session.github()?;
    let _lock = session.state.merging()?;
    let asked = Asked { dry_run, named: !numbers.is_empty() };
    let mut halted = false;
    let merged = session.for_each(wanted.into_iter().map(Ok), |record| {
        if halted {
            return Ok(());
        }
        for _ in 0..TURNS {
            match one(session, &client, asked, &record, &mut output) {
                Ok(Done::Again) => {}
                Ok(Done::Yes) => return Ok(()),
                Ok(Done::Halted(error)) => {
                    halted = true;
                    return Err(error);
                }
                Err(error) => return Err(error),
            }
        }
        session.note(&format!("issue #{}: not merged: its base moves too fast", record.number));
        Ok(())
    })?;
    tally.add(&merged);
    output.finish()?;
    Ok(tally)
}

fn one(
    session: &Session,
    client: &Client,
    asked: Asked,
    record: &Record,
    output: &mut Output,
) -> Result<Done> {
    let Some(known) = &record.pull_request else { return Ok(Done::Yes) };
    let number = record.number;
    let now = reviews::progress(client, &record.repo, known.number)?;
    if now.pull_request.state != "open" {
        session
            .answer(asked.named, &format!("issue #{number}: its pull request is {}", now.pull_request.state));
        return Ok(Done::Yes);
    }
    if let Some(why) = merge::halted(&now.base, &now.base_checks) {
        let halted = Error::new(Kind::TryAgain, format!("nothing is merged: {why}"))
            .hint("the next change would be judged by a base that is broken already; mend that first");
        return Ok(Done::Halted(halted));
    }
    match judge(session, client, record, &now)? {
        Next::Not(why) => {
            session.note(&format!("issue #{number}: not merged: {}", why.join("; ")));
            Ok(Done::Yes)
        }
        Next::UnderWay(why) => {
            session.answer(asked.named, &format!("issue #{number}: {why}"));
            Ok(Done::Yes)
        }
        next if asked.dry_run => {
            let what = match next {
                Next::Enqueue => "put into the merge queue",
                Next::Auto => "left to GitHub's auto-merge",
                _ => "merged",
            };
            session.note(&format!("issue #{number}: #{} would be {what}", known.number));
            output.record(record)?;
            Ok(Done::Yes)
        }
        next => act(session, client, record, &now, &next, output),
    }
}

fn judge(session: &Session, client: &Client, record: &Record, now: &Progress) -> Result<Next> {
    let permissions = reviews::permissions(client, &record.repo, &now.remarks)?;
    let policy = session.loaded.config.policy();
    let remarks = review::vouched(&now.remarks, &permissions, &policy, comments::is_ours);
    let candidate = Candidate {
        head: &now.pull_request.head_sha,
        pushed: pushed(record).map_or("", String::as_str),
        draft: now.pull_request.draft,
        author: now.author.as_deref(),
        conflicts: now.conflicts,
        blocked: now.blocked,
        checks: &now.checks,
        remarks: &remarks,
        approvals_wanted: now.approvals_wanted,
        ways: now.ways,
        unread: now.unread,
    };
    Ok(merge::decide(&candidate, session.loaded.config.merge.terms()))
}

/// Does it, in the name of a claim that is still held.
fn act(
    session: &Session,
    client: &Client,
    record: &Record,
    now: &Progress,
    next: &Next,
    output: &mut Output,
) -> Result<Done> {
    let (number, repo) = (record.number, record.repo.as_str());
    let (pull, head) = (now.pull_request.number, now.pull_request.head_sha.as_str());
    let method = session.loaded.config.merge.method;
    let (_lock, record) = super::super::hold(session, record)?;
    // Looking took its time: the agent may have been sent back since.
    if !waits(&record) || record.pull_request.as_ref().map(|known| known.number) != Some(pull) {
        let standing = record.standing();
        session.note(&format!("issue #{number}: not merged: it is {standing} since it was looked at"));
        return Ok(Done::Yes);
    }
    renew(session, &record)?;
    let event = Event::about(&session.state, "merge", number).with("number", pull).with("sha", head);
    match next {
        Next::Enqueue => {
            merges::enqueue(client, repo, pull, &now.id, head)?;
            session.state.log(&event.with("way", "queue"))?;
            session.note(&format!("issue #{number}: #{pull} is in the merge queue"));
            return Ok(Done::Yes);
        }
        Next::Auto => {
            merges::auto(client, &now.id, head, method)?;
            session.state.log(&event.with("way", "auto"))?;
            session.note(&format!("issue #{number}: GitHub merges #{pull} when its checks are green"));
            return Ok(Done::Yes);
        }
        _ => {}
    }
    match merges::merge(client, (repo, pull), head, method) {
        Ok(sha) => {
            let event = event.with("way", method.name());
            session.state.log(&match sha {
                Some(sha) => event.with("commit", sha),
                None => event,
            })?;
            output.record(&note_end(session, &record, "merged")?)?;
            Ok(Done::Yes)
        }
        Err(error) => match merges::meaning(&error) {
            Some(Refused::BaseMoved) => Ok(Done::Again),
            Some(Refused::HeadMoved) => {
                session.note(&format!(
                    "issue #{number}: not merged: its branch has moved; it is looked at again"
                ));
                Ok(Done::Yes)
            }
            Some(Refused::Method) => Err(Error::new(
                Kind::Config,
                format!("{repo} does not merge by '{}' (merge.method)", method.name()),
            )
            .hint("choose another of merge, squash and rebase")),
            Some(Refused::NotNow) | None => {
                Err(error.context(format!("issue #{number}: cannot merge #{pull}")))
            }
        },
    }
}
