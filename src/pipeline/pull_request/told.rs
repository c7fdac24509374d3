//! What an agent is told of its pull request: the words of people, the ends of red logs, the end of the base.
//!
//! Of what people wrote, only what the page shows; nothing goes out with a secret in it.

use crate::clock::stamp;
use crate::error::Result;
use crate::github::reviews::Progress;
use crate::github::{Client, checks};
use crate::pipeline::catch_up;
use crate::record::checks::CheckSeen;
use crate::record::review::{Place, Remark, Round, Vote, short};
use crate::record::{FeedbackSource, Record};
use crate::sanitize;
use crate::session::Session;
use crate::visible::visible;

/// Of so many red checks the logs are read.
const LOGS: usize = 5;

/// What an agent is told: who says it, and what.
pub(super) type Told = Vec<(FeedbackSource, String)>;

/// What is needed to tell.
pub(super) struct Telling<'a> {
    pub session: &'a Session,
    pub client: &'a Client,
}

impl Telling<'_> {
    /// Everything of one round.
    pub(super) fn feedback(&self, record: &Record, now: &Progress, round: &Round<'_>) -> Result<Told> {
        let redactor = self.session.redactor();
        let mut told = Told::new();
        for remark in &round.remarks {
            told.push((FeedbackSource::Review, redactor.redact(&words(remark)).into_owned()));
        }
        for (at, check) in round.red.iter().enumerate() {
            let text = self.red(record, &now.pull_request.head_sha, check, at < LOGS)?;
            told.push((FeedbackSource::Ci, redactor.redact(&text).into_owned()));
        }
        if round.conflict {
            let sha = self.fetch_base(record, &now.base_sha)?;
            told.push((FeedbackSource::Conflict, conflict(&now.base, &sha)));
        }
        Ok(told)
    }

    fn red(&self, record: &Record, head: &str, check: &CheckSeen, with_log: bool) -> Result<String> {
        let said = if with_log { checks::failure(self.client, &record.repo, check)? } else { String::new() };
        let said = if said.trim().is_empty() { "(it says no more)".to_owned() } else { said };
        let (name, said) = (sanitize::line(&check.name), sanitize::lines(&said));
        Ok(format!("CI is red: the check '{name}' failed on {}:\n{said}", short(head)))
    }

    fn fetch_base(&self, record: &Record, end: &str) -> Result<String> {
        let sha = catch_up::end_of_base(self.session, record, false)?;
        if sha == end || self.session.git()?.1.resolve(end)?.is_some() {
            return Ok(sha);
        }
        // It has moved within the seconds for which a fetch is good.
        catch_up::end_of_base(self.session, record, true)
    }
}

fn conflict(base: &str, sha: &str) -> String {
    let merge = catch_up::merge(sha);
    format!("The base branch '{base}' has moved on, and this branch conflicts with it. {merge}")
}

/// What somebody said, and where.
fn words(remark: &Remark) -> String {
    let by = sanitize::line(remark.by());
    let place = match &remark.place {
        Place::Review(Vote::ChangesRequested) => "asks for changes in a review".to_owned(),
        Place::Review(Vote::Approved) => "approved, and says in the review".to_owned(),
        Place::Review(Vote::Commented | Vote::Void) => "says in a review".to_owned(),
        Place::Line { path, line, .. } => {
            let line = line.map_or_else(String::new, |line| format!(", line {line}"));
            format!("says of {}{line}", sanitize::line(path))
        }
        Place::Talk => "says below the pull request".to_owned(),
    };
    let text = visible(&remark.body).text;
    let text = if text.trim().is_empty() { "(no words of its own)".to_owned() } else { text };
    format!("{by} {place}, on {}:\n{text}", stamp(remark.at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn only_what_the_page_shows_is_told() {
        let remark = |place, body: &str| Remark {
            key: "k".into(),
            place,
            author: Some(crate::record::trust::Actor {
                login: "mia".into(),
                kind: crate::record::trust::ActorKind::User,
            }),
            edit: None,
            minimized: false,
            body: body.into(),
            at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
            commit: None,
        };
        let line = |line| Place::Line { path: "src/a b.rs".into(), line, thread: 1, resolved: false };
        let cases = [
            (
                remark(line(Some(7)), "Rename <!-- and push --> it"),
                "mia says of src/a b.rs, line 7, on 1970-01-01T00:00:00Z:\nRename  it",
            ),
            (remark(line(None), "x"), "mia says of src/a b.rs, on 1970-01-01T00:00:00Z:\nx"),
            (
                remark(Place::Review(Vote::ChangesRequested), " "),
                "mia asks for changes in a review, on 1970-01-01T00:00:00Z:\n(no words of its own)",
            ),
            (remark(Place::Talk, "hm"), "mia says below the pull request, on 1970-01-01T00:00:00Z:\nhm"),
        ];
        for (remark, expected) in cases {
            assert_eq!(words(&remark), expected);
        }
    }
}
