//! What happens to issues, and what GitHub keeps of it: each change is by whoever asks.

use std::time::Instant;

use super::answer::Failure;
use super::identity;
use super::store::{Comment, Edit, Event, State, Store, same};
use crate::clock::Timestamp;

impl Store {
    /// Takes note of something that happened to an issue, which is thereby updated.
    pub(super) fn happened(
        &mut self,
        owner: &str,
        name: &str,
        number: u64,
        now: Timestamp,
        event: &str,
        subject: Option<&str>,
    ) -> Result<(), Failure> {
        let id = self.next_id();
        let asker = identity::asker(self);
        let issue = self.repository_mut(owner, name)?.issue_mut(number)?;
        issue.updated_at = now;
        let (kind, subject) = (event.to_owned(), subject.map(str::to_owned));
        let (actor, app) = (asker.login, asker.app);
        issue.events.push(Event { id, kind, actor, created_at: now, subject, previous: None, app });
        Ok(())
    }

    /// Opens or closes an issue; nothing happens when it is so already.
    pub(super) fn set_state(
        &mut self,
        owner: &str,
        name: &str,
        number: u64,
        now: Timestamp,
        state: State,
        reason: Option<&str>,
    ) -> Result<(), Failure> {
        let issue = self.repository_mut(owner, name)?.issue_mut(number)?;
        if issue.state == state {
            if reason.is_some() {
                issue.state_reason = reason.map(str::to_owned);
            }
            return Ok(());
        }
        issue.state = state;
        let is_issue = issue.pull.is_none();
        let (closed_at, usual, event) = match state {
            State::Closed => (Some(now), "completed", "closed"),
            State::Open => (None, "reopened", "reopened"),
        };
        issue.closed_at = closed_at;
        issue.state_reason = is_issue.then(|| reason.unwrap_or(usual).to_owned());
        self.happened(owner, name, number, now, event, None)
    }

    /// Adds a label to an issue, making it first where the repository has none of that name.
    pub(super) fn add_label(
        &mut self,
        owner: &str,
        name: &str,
        number: u64,
        now: Timestamp,
        label: &str,
    ) -> Result<(), Failure> {
        let id = self.next_id();
        let repository = self.repository_mut(owner, name)?;
        repository.issue(number)?;
        let label = repository.label_named(label, id);
        let issue = repository.issue_mut(number)?;
        if issue.labels.iter().any(|one| same(one, &label)) {
            return Ok(());
        }
        issue.labels_before.push((Instant::now(), issue.labels.clone()));
        issue.labels.push(label.clone());
        self.happened(owner, name, number, now, "labeled", Some(&label))
    }

    /// Takes a label off an issue; whether it was there.
    pub(super) fn remove_label(
        &mut self,
        owner: &str,
        name: &str,
        number: u64,
        now: Timestamp,
        label: &str,
    ) -> Result<bool, Failure> {
        let issue = self.repository_mut(owner, name)?.issue_mut(number)?;
        let before = issue.labels.clone();
        issue.labels.retain(|one| !same(one, label));
        if issue.labels.len() == before.len() {
            return Ok(false);
        }
        issue.labels_before.push((Instant::now(), before));
        self.happened(owner, name, number, now, "unlabeled", Some(label))?;
        Ok(true)
    }

    /// Opens a new issue of whoever asks; gives its number.
    pub(super) fn open(
        &mut self,
        owner: &str,
        name: &str,
        now: Timestamp,
        title: String,
        body: Option<String>,
    ) -> Result<u64, Failure> {
        let (id, user) = (self.next_id(), identity::asker(self).login);
        let association = self.association(owner, &user);
        let repository = self.repository_mut(owner, name)?;
        let number = repository.next_number();
        let mut issue = super::issues::fresh(id, number, title, body, user, now);
        issue.author_association = association;
        repository.issues.insert(number, issue);
        Ok(number)
    }

    /// Gives an issue another title.
    pub(super) fn rename(
        &mut self,
        owner: &str,
        name: &str,
        number: u64,
        now: Timestamp,
        title: &str,
    ) -> Result<(), Failure> {
        let issue = self.repository_mut(owner, name)?.issue_mut(number)?;
        if issue.title == title {
            return Ok(());
        }
        let previous = std::mem::replace(&mut issue.title, title.to_owned());
        self.happened(owner, name, number, now, "renamed", Some(title))?;
        let issue = self.repository_mut(owner, name)?.issue_mut(number)?;
        if let Some(event) = issue.events.last_mut() {
            event.previous = Some(previous);
        }
        Ok(())
    }

    /// Gives an issue another body; GitHub keeps who edited it and when, but makes no event of it.
    pub(super) fn rewrite(
        &mut self,
        owner: &str,
        name: &str,
        number: u64,
        now: Timestamp,
        body: Option<String>,
    ) -> Result<(), Failure> {
        let edit = self.edit(now);
        let issue = self.repository_mut(owner, name)?.issue_mut(number)?;
        issue.updated_at = now;
        if issue.body != body {
            issue.body = body;
            issue.edits.push(edit);
        }
        Ok(())
    }

    /// An edit by whoever asks.
    pub(super) fn edit(&mut self, at: Timestamp) -> Edit {
        Edit { id: self.next_id(), editor: identity::asker(self).login, at }
    }

    /// Locks an issue, with or without a reason.
    pub(super) fn lock(
        &mut self,
        owner: &str,
        name: &str,
        number: u64,
        now: Timestamp,
        reason: Option<&str>,
    ) -> Result<(), Failure> {
        let issue = self.repository_mut(owner, name)?.issue_mut(number)?;
        (issue.locked, issue.lock_reason) = (true, reason.map(str::to_owned));
        self.happened(owner, name, number, now, "locked", reason)
    }

    pub(super) fn unlock(
        &mut self,
        owner: &str,
        name: &str,
        number: u64,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let issue = self.repository_mut(owner, name)?.issue_mut(number)?;
        (issue.locked, issue.lock_reason) = (false, None);
        self.happened(owner, name, number, now, "unlocked", None)
    }

    /// Adds a comment of whoever asks; gives its id.
    pub(super) fn comment(
        &mut self,
        owner: &str,
        name: &str,
        number: u64,
        now: Timestamp,
        body: String,
    ) -> Result<u64, Failure> {
        let (id, user) = (self.next_id(), identity::asker(self).login);
        let author_association = self.association(owner, &user);
        let issue = self.repository_mut(owner, name)?.issue_mut(number)?;
        let (minimized, edits) = (false, Vec::new());
        let (created_at, updated_at) = (now, now);
        issue.comments.push(Comment {
            id,
            user,
            body,
            author_association,
            minimized,
            edits,
            created_at,
            updated_at,
        });
        issue.updated_at = now;
        Ok(id)
    }

    /// Changes a comment; says which issue it is at.
    pub(super) fn edit_comment(
        &mut self,
        owner: &str,
        name: &str,
        id: u64,
        now: Timestamp,
        body: String,
    ) -> Result<u64, Failure> {
        let edit = self.edit(now);
        for issue in self.repository_mut(owner, name)?.issues.values_mut() {
            if let Some(comment) = issue.comments.iter_mut().find(|comment| comment.id == id) {
                if comment.body != body {
                    comment.body = body;
                    comment.edits.push(edit);
                }
                (comment.updated_at, issue.updated_at) = (now, now);
                return Ok(issue.number);
            }
        }
        Err(Failure::not_found())
    }

    /// What somebody is to a repository, as `author_association` says it.
    pub(super) fn association(&self, owner: &str, login: &str) -> String {
        let association = match login {
            login if same(login, owner) => "OWNER",
            login if self.user(login).may("triage") => "COLLABORATOR",
            _ => "NONE",
        };
        association.to_owned()
    }
}
