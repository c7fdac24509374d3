//! How often a pull request has sent the agent back, and by what: kept so that each thing is handled once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Extra, Feedback, FeedbackSource, Record, Transition};
use crate::clock::Timestamp;

/// What a pull request has asked for so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rounds {
    /// How often red CI sent the agent back.
    #[serde(default)]
    pub ci: u32,
    /// How often reviewers or a conflict with the base did.
    #[serde(default)]
    pub review: u32,
    /// The attempts before the last round began: each round has all of its attempts.
    #[serde(default)]
    pub attempts_before: u32,
    /// What has been dealt with, or was left for a person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heard: Vec<Heard>,
    /// Why the agent was not sent back the last time, where a person has to look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<String>,
    /// Fields cq does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Something that sent the agent back, or would have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Heard {
    /// What it is: GitHub's node id of a review or a comment, `ci:SHA`, `base:SHA`,
    /// `conflict:SHA:SHA`.
    pub key: String,
    /// The fingerprint of how it read; an edit gives another.
    pub print: String,
    /// When it was heard.
    pub at: Timestamp,
    /// The commit that it was about.
    pub head: String,
    /// In which round, counted over all.
    pub round: u32,
    /// Who said it; a login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The comment that begins the thread it is in: there it is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<u64>,
    /// Whether `by` asked for changes, and is asked to look again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub look_again: bool,
    /// When it was answered, where it is to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<Timestamp>,
    /// Fields cq does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Rounds {
    /// All rounds so far.
    pub fn all(&self) -> u32 {
        self.ci + self.review
    }

    /// Whether something was heard as it reads now.
    pub fn knows(&self, key: &str, print: &str) -> bool {
        self.heard.iter().any(|heard| heard.key == key && heard.print == print)
    }

    /// What still has to be answered on GitHub.
    pub fn unanswered(&self) -> impl Iterator<Item = &Heard> {
        self.heard
            .iter()
            .filter(|heard| heard.answered_at.is_none() && (heard.thread.is_some() || heard.look_again))
    }
}

/// A pull request that takes a merged change back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Revert {
    /// The pull request whose change is taken back.
    pub of: u64,
    /// Why, in the words of who asked for it.
    pub reason: String,
    /// The end of the log that shows it, redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// The step that was begun last.
    pub step: RevertStep,
    /// When it was begun.
    pub at: Timestamp,
    /// The branch with the commit that cq made, where GitHub could not make the pull request itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The pull request that takes it back: its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// Its web page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Fields cq does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The steps of a revert, in their order. Each may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RevertStep {
    /// The pull request is opened, or the one that is there is adopted.
    Open,
    /// The issue is opened again, with a comment that says why.
    Reopen,
    /// The issue is queued again.
    Done,
}

impl Record {
    /// The attempts there may be in all: those of each round, and those before it.
    pub fn attempts_in_all(&self, configured: u32) -> u32 {
        configured.saturating_add(self.rounds.as_ref().map_or(0, |rounds| rounds.attempts_before))
    }

    /// How many pieces of feedback there are, without how the last run ended, which is replaced each time.
    pub fn feedback_count(&self) -> u32 {
        let lasting = self.feedback.iter().filter(|feedback| feedback.from != FeedbackSource::Run);
        lasting.count().try_into().unwrap_or(u32::MAX)
    }

    /// The feedback that the last run was not told of; all of it where there was none.
    pub fn new_feedback(&self) -> Vec<&Feedback> {
        let run = self.run.as_ref();
        let (told, since) = (run.and_then(|run| run.told), run.and_then(|run| run.started_at));
        let mut place = 0;
        let is_new = |feedback: &&Feedback| {
            let counted = feedback.from != FeedbackSource::Run;
            place += u32::from(counted);
            match told {
                // Moments are in whole seconds: feedback and the run that deals with it may share one.
                Some(told) if counted => place > told,
                _ => since.is_none_or(|since| feedback.at >= since),
            }
        };
        self.feedback.iter().filter(is_new).collect()
    }

    /// A line in the history that changes no status: what a person should find there.
    pub fn remark(&mut self, by: &str, why: impl Into<String>, at: Timestamp) {
        if let Some(status) = self.status {
            let (by, why) = (by.to_owned(), why.into());
            self.history.push(Transition {
                at,
                from: Some(status),
                to: status,
                by,
                why,
                extra: Extra::new(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Issue, Run};

    #[test]
    fn feedback_is_new_until_a_run_was_told() {
        let at = |second| Timestamp::UNIX_EPOCH + chrono::TimeDelta::seconds(second);
        let said = |from, text: &str, second| Feedback {
            from,
            text: text.into(),
            at: at(second),
            extra: Extra::new(),
        };
        let mut record = Record::new("o/r", 1, Issue::default());
        record.feedback = vec![
            said(FeedbackSource::Gate, "a", 1),
            said(FeedbackSource::Run, "ended", 5),
            said(FeedbackSource::Review, "b", 5),
        ];
        let new =
            |record: &Record| record.new_feedback().iter().map(|one| one.text.clone()).collect::<Vec<_>>();
        assert_eq!(new(&record), ["a", "ended", "b"]);
        assert_eq!(record.feedback_count(), 2);
        // How many it was told of, when it began, what is new then.
        let cases: [(Option<u32>, i64, &[&str]); 6] = [
            (Some(0), 5, &["a", "ended", "b"]),
            (Some(1), 5, &["ended", "b"]),
            (Some(2), 5, &["ended"]),
            (Some(2), 6, &[]),
            (None, 5, &["ended", "b"]),
            (None, 6, &[]),
        ];
        for (told, second, expected) in cases {
            record.run = Some(Run { told, started_at: Some(at(second)), ..Run::default() });
            assert_eq!(new(&record), expected, "{told:?} {second}");
        }
    }

    #[test]
    fn only_threads_and_whoever_asked_for_changes_wait_for_an_answer() {
        let heard = |thread, look_again, answered: bool| Heard {
            key: "k".into(),
            print: "p".into(),
            at: Timestamp::UNIX_EPOCH,
            head: "h".into(),
            round: 1,
            by: None,
            thread,
            look_again,
            answered_at: answered.then_some(Timestamp::UNIX_EPOCH),
            extra: Extra::new(),
        };
        let rounds = Rounds {
            heard: vec![
                heard(Some(1), false, false),
                heard(None, true, false),
                heard(None, false, false),
                heard(Some(2), true, true),
            ],
            ..Rounds::default()
        };
        assert_eq!(rounds.unanswered().count(), 2);
        assert!(rounds.knows("k", "p") && !rounds.knows("k", "q") && !rounds.knows("j", "p"));
    }
}
