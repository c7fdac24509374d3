//! What GitHub knows of who wrote, labelled and changed an issue: plain data, filled from its API.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Policy;
use crate::clock::Timestamp;
use crate::record::eligibility::same;

/// Everything the decision rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Who opened the issue; none for a deleted account.
    pub author: Option<Actor>,
    /// When it was opened.
    pub created_at: Timestamp,
    /// The title as it is now.
    pub title: String,
    /// The body as it is now; empty where GitHub has none.
    pub body: String,
    /// The labels that are on it now.
    pub labels: Vec<String>,
    /// Whether only collaborators may comment.
    pub locked: bool,
    /// GitHub's `active_lock_reason`: `off-topic`, `too heated`, `resolved`, `spam`.
    pub lock_reason: Option<String>,
    /// Every transfer from another repository.
    pub transferred: Vec<Transfer>,
    /// Every time a label was set or removed, in any order.
    pub label_events: Vec<LabelEvent>,
    /// Every renaming of the title.
    pub titles: Vec<Edit>,
    /// Every known edit of the body.
    pub edits: Vec<Edit>,
    /// The body's `lastEditedAt` and `editor`; none where it was never edited.
    pub last_edit: Option<Edit>,
    /// Every comment.
    pub comments: Vec<Comment>,
    /// Whether every list is here to its end.
    pub complete: bool,
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The login. That of a bot is `name` in GraphQL and `name[bot]` in REST; both are taken.
    pub login: String,
    /// What kind of account it is.
    pub kind: ActorKind,
}

/// GitHub's kinds of account: GraphQL's `__typename`, REST's `type`. Only a user is a person who can approve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActorKind {
    /// A person.
    User,
    /// An app's account.
    Bot,
    /// Stands for somebody of another platform that the issue was imported from.
    Mannequin,
    /// An organisation.
    Organization,
    /// An account of an enterprise, which is none on the repository.
    EnterpriseUserAccount,
    /// A kind that this cq does not know.
    #[serde(other)]
    Unknown,
}

/// The issue came from another repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// When.
    pub at: Timestamp,
    /// Who moved it; none for a deleted account.
    pub actor: Option<Actor>,
}

/// A label was set or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelEvent {
    /// The label's name.
    pub label: String,
    /// Set, or else removed.
    pub added: bool,
    /// Who did it; none for a deleted account.
    pub actor: Option<Actor>,
    /// The slug of the app through which it was done (`performed_via_github_app`).
    pub app: Option<String>,
    /// When, in whole seconds.
    pub at: Timestamp,
    /// Orders events of one second, the later the larger: GitHub's event id, or the place in the timeline.
    pub order: u64,
}

/// A text was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// When.
    pub at: Timestamp,
    /// Who changed it; none for a deleted account, or where GitHub does not say.
    pub editor: Option<Actor>,
}

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// GitHub's id.
    pub id: u64,
    /// Who wrote it; none for a deleted account.
    pub author: Option<Actor>,
    /// When.
    pub created_at: Timestamp,
    /// Its `lastEditedAt` and `editor`; none where it was never edited.
    pub last_edit: Option<Edit>,
    /// The text as it is now.
    pub body: String,
    /// Whether somebody has hidden it.
    pub minimized: bool,
}

impl Evidence {
    /// When the issue last came from another repository.
    pub(super) fn moved_at(&self) -> Option<Timestamp> {
        self.transferred.iter().map(|transfer| transfer.at).max()
    }

    /// The edits of the body, the last one with them. A last edit that is newer than every known one has an unknown
    /// editor, whatever it says of itself: edits that are not in the list may lie between.
    pub(super) fn body_edits(&self) -> Vec<Edit> {
        let mut edits = self.edits.clone();
        let newest = self.edits.iter().map(|edit| edit.at).max();
        let last = self.last_edit.clone().filter(|last| !self.edits.contains(last));
        edits.extend(last.map(|last| match newest {
            Some(newest) if newest >= last.at => last,
            _ => Edit { editor: None, ..last },
        }));
        edits
    }

    /// The logins, in small letters, whose permission the decision may ask for.
    pub fn people(&self, policy: &Policy) -> BTreeSet<String> {
        let approves = |event: &&LabelEvent| policy.labels.iter().any(|label| same(label, &event.label));
        let edits = self.titles.iter().chain(&self.edits).chain(&self.last_edit);
        let comments = self.comments.iter().filter(|comment| !comment.minimized);
        (self.author.iter().filter(|_| policy.labels.is_empty()))
            .chain(self.label_events.iter().filter(approves).filter_map(|event| event.actor.as_ref()))
            .chain(edits.filter_map(|edit| edit.editor.as_ref()))
            .chain(comments.flat_map(|comment| {
                comment.author.iter().chain(comment.last_edit.iter().filter_map(|edit| edit.editor.as_ref()))
            }))
            .filter(|actor| actor.kind == ActorKind::User)
            .map(|actor| actor.login.to_ascii_lowercase())
            .collect()
    }
}
