//! What follows when an aborted agent has ended: its work is rescued, the issue is told, the claim goes back.
//!
//! In this order, so that an abort that was killed half-way is finished by the next one: the comment is found again by
//! its marker, the workspace goes when its rescue was told, the record when its workspace is gone.

use std::path::Path;
use std::time::Duration;

use crate::agent::evidence::{Evidence, Stopped};
use crate::clock::Timestamp;
use crate::error::{Error, Kind, Result};
use crate::github::comments;
use crate::pipeline::cleanup;
use crate::pipeline::supervise::{conclude, end_processes};
use crate::pipeline::workspace::Paths;
use crate::record::{Outcome, Record, Status};
use crate::session::Session;
use crate::state::lock;

/// How long the instance's lock may take to come free: its supervisor is on its way out.
const PATIENCE: Duration = Duration::from_secs(10);

/// What became of an aborted issue.
#[derive(Debug)]
pub(super) struct Aborted {
    /// In a word or two.
    pub(super) action: &'static str,
    /// The ref that keeps its work.
    pub(super) rescued: Option<String>,
    /// What could not be said on GitHub.
    pub(super) unsaid: Option<Error>,
}

impl Aborted {
    fn without_rescue(action: &'static str) -> Self {
        Self { action, rescued: None, unsaid: None }
    }
}

/// Whether a record was left by an abort that was in force already, and did not come to its end.
pub(super) fn is_left_over(record: &Record, since: Timestamp) -> bool {
    record.status == Some(Status::Failed)
        && record.outcome == Some(Outcome::Cancelled)
        && record.history.last().is_some_and(|last| last.at >= since)
}

/// Brings the abort of one issue to its end. `asked` is the record as it was when the abort began.
pub(super) fn finish(session: &Session, asked: &Record, comment: bool) -> Result<Aborted> {
    let number = asked.number;
    let guard = hold(session, asked.instance())?;
    let Some(record) = session.state.get(number)? else {
        return Ok(Aborted::without_rescue("released"));
    };
    if record.claimed()?.token != asked.claimed()?.token {
        return Ok(Aborted::without_rescue("released"));
    }
    let record = if record.status == Some(Status::InProgress) {
        // Its supervisor is gone.
        end_processes(&record)?;
        conclude(session, &record, Evidence { stopped: Some(Stopped::Cancelled), ..Evidence::default() })?
    } else {
        record
    };
    if (record.status, record.outcome) != (Some(Status::Failed), Some(Outcome::Cancelled)) {
        // It was faster: what it has done waits like any other work until the stop is lifted.
        return Ok(Aborted::without_rescue("ended by itself"));
    }
    refuse_elsewhere(session, &record)?;
    let attempt = record.claimed()?.attempt;
    let mut unsaid = None;
    let cleared = cleanup::clear(session, &record, attempt, |rescued| {
        if comment {
            // GitHub's trouble keeps no work from being put away.
            unsaid = say(session, &record, rescued).err();
        }
        Ok(())
    })?;
    drop(guard);
    session.claims().release(number)?;
    Ok(Aborted { action: "released", rescued: cleared.rescued, unsaid })
}

fn hold(session: &Session, instance: &str) -> Result<lock::Guard> {
    let began = std::time::Instant::now();
    loop {
        match session.state.hold(instance) {
            Err(error) if error.kind == Kind::TryAgain && began.elapsed() < PATIENCE => {}
            result => return result,
        }
    }
}

/// With a configuration that cannot be read, the workspaces may not be where the defaults would have them.
fn refuse_elsewhere(session: &Session, record: &Record) -> Result<()> {
    let noted = record.run.as_ref().map(|run| run.workspace.as_str()).filter(|noted| !noted.is_empty());
    let here = Paths::of(session, record)?.dir;
    match noted {
        Some(noted) if Path::new(noted) != here => {
            let message =
                format!("issue #{}: its workspace is '{noted}', not '{}'", record.number, here.display());
            let error = Error::new(Kind::Config, message);
            Err(error.hint("its claim is kept; mend the configuration, then cq-stop --abort finishes it"))
        }
        _ => Ok(()),
    }
}

/// One comment per claim and attempt; none where nobody can speak.
fn say(session: &Session, record: &Record, rescued: Option<&str>) -> Result<()> {
    if !session.has_token()? {
        session.detail("no GitHub token: the issue is not told");
        return Ok(());
    }
    let claim = record.claimed()?;
    let kept = match rescued {
        Some(name) => format!(
            "What the agent had done is kept in the maintainer's clone as `{name}` (`git switch --detach {name}`)."
        ),
        None => "The agent had done nothing that was worth keeping.".to_owned(),
    };
    let text = format!(
        "The work on this issue was stopped by an operator, in attempt {}, and the issue is free again. {kept}",
        claim.attempt
    );
    let marker = format!("<!-- cq:stopped:{}:{} -->", claim.branch, claim.attempt);
    let confirm = || session.claims().renew(record.number, &claim.token).map(drop);
    comments::once(&session.github()?, (&record.repo, record.number), &marker, &text, confirm).map(drop)
}
