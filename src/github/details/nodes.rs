//! The shape of GraphQL's answer to [`super::document::DETAILS`].

use serde::Deserialize;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::record::trust::ActorKind;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Node {
    pub(super) id: String,
    pub(super) number: u64,
    pub(super) title: String,
    pub(super) body: String,
    pub(super) locked: bool,
    pub(super) active_lock_reason: Option<String>,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    pub(super) last_edited_at: Option<Timestamp>,
    pub(super) editor: Option<ActorNode>,
    pub(super) author: Option<ActorNode>,
    pub(super) labels: Option<Connection<Label>>,
    pub(super) user_content_edits: Option<Connection<EditNode>>,
    pub(super) timeline_items: Connection<Happening>,
    pub(super) comments: Connection<CommentNode>,
    pub(super) blocked_by: Connection<Linked>,
    pub(super) sub_issues: Connection<Linked>,
    pub(super) closed_by_pull_requests_references: Option<Connection<PullNode>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Connection<T> {
    pub(super) total_count: Option<usize>,
    /// The schema lets the list be null, and each of its items.
    pub(super) nodes: Option<Vec<Option<T>>>,
    pub(super) page_info: Option<PageInfo>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PageInfo {
    pub(super) has_previous_page: bool,
    pub(super) start_cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ActorNode {
    #[serde(rename = "__typename")]
    pub(super) kind: ActorKind,
    pub(super) login: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Label {
    pub(super) name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EditNode {
    pub(super) edited_at: Timestamp,
    pub(super) editor: Option<ActorNode>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "__typename", rename_all_fields = "camelCase")]
pub(super) enum Happening {
    #[serde(rename = "LabeledEvent")]
    Labelled { created_at: Timestamp, actor: Option<ActorNode>, label: Label },
    #[serde(rename = "UnlabeledEvent")]
    Unlabelled { created_at: Timestamp, actor: Option<ActorNode>, label: Label },
    #[serde(rename = "RenamedTitleEvent")]
    Renamed { created_at: Timestamp, actor: Option<ActorNode> },
    #[serde(rename = "TransferredEvent")]
    Transferred { created_at: Timestamp, actor: Option<ActorNode> },
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CommentNode {
    pub(super) full_database_id: Option<Value>,
    pub(super) author: Option<ActorNode>,
    pub(super) created_at: Timestamp,
    pub(super) last_edited_at: Option<Timestamp>,
    pub(super) editor: Option<ActorNode>,
    pub(super) is_minimized: bool,
    #[serde(default)]
    pub(super) body: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Linked {
    pub(super) number: u64,
    pub(super) state: String,
    pub(super) repository: Repository,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Repository {
    pub(super) name_with_owner: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PullNode {
    pub(super) number: u64,
    pub(super) state: String,
    pub(super) author: Option<ActorNode>,
    pub(super) repository: Repository,
}

impl<T> Connection<T> {
    /// Whether everything is here.
    pub(super) fn is_whole(&self) -> bool {
        let to_its_end = match (&self.page_info, self.total_count) {
            (Some(page), _) => !page.has_previous_page,
            (None, count) => self.nodes.iter().any(|nodes| count.is_some_and(|count| nodes.len() >= count)),
        };
        to_its_end && self.nodes.iter().any(|nodes| nodes.iter().all(Option::is_some))
    }

    pub(super) fn items(&self) -> impl Iterator<Item = &T> {
        self.nodes.iter().flatten().flatten()
    }

    /// Where to read on towards the beginning.
    pub(super) fn before(&self) -> Option<String> {
        self.page_info.as_ref().filter(|page| page.has_previous_page)?.start_cursor.clone()
    }

    /// Puts an earlier page in front.
    pub(super) fn precede(&mut self, earlier: Self) {
        // Where either is not there, neither is the whole.
        self.nodes = earlier.nodes.zip(self.nodes.take()).map(|(mut nodes, later)| {
            nodes.extend(later);
            nodes
        });
        self.page_info = earlier.page_info;
    }
}
