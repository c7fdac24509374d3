//! What a list of issues does not tell: who labelled and edited what, what blocks an issue, who closes it already. A
//! hundred issues a request, by GraphQL; what is longer than a page is read to its end, or counts as not known.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::verdict::LATER;
use super::{Client, document};
use crate::clock::Timestamp;
use crate::error::{Error, Kind, OrFail, Result};
use crate::record::Reference;
use crate::record::dependencies::{ClosingPullRequest, State};
use crate::record::trust::{Actor, Comment, Edit, Evidence, LabelEvent, Transfer};

mod nodes;

use nodes::{ActorNode, CommentNode, Connection, EditNode, Happening, Linked, Node};

/// How many issues one request asks for; GitHub allows no more.
pub(super) const AT_ONCE: usize = 100;
/// How many further pages of one issue are read before it counts as too long to be judged.
const MORE_PAGES: usize = 20;

/// An issue, as far as decisions are made on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Details {
    /// Its number.
    pub number: u64,
    /// When anything about it last changed, as GitHub had it then.
    pub updated_at: Timestamp,
    /// When GitHub was asked.
    pub asked_at: Timestamp,
    /// Who wrote, labelled and changed it.
    pub evidence: Evidence,
    /// What GitHub has noted as its blockers.
    pub blockers: Vec<(Reference, State)>,
    /// Its sub-issues that are open.
    pub open_sub_issues: Vec<Reference>,
    /// Those that are not, which may be opened again.
    pub closed_sub_issues: Vec<Reference>,
    /// The pull requests that close it.
    pub closed_by: Vec<ClosingPullRequest>,
}

impl Details {
    /// Whether a change of another issue or pull request of this repository may change this.
    pub(super) fn rests_on(&self, number: u64) -> bool {
        let other = Reference::Here(number);
        self.others().any(|reference| *reference == other)
    }

    /// Whether something in another repository may change this.
    pub(super) fn rests_elsewhere(&self) -> bool {
        self.others().any(|reference| reference.repo().is_some())
    }

    fn others(&self) -> impl Iterator<Item = &Reference> {
        let closed_by = self.closed_by.iter().map(|pull| &pull.reference);
        self.blockers
            .iter()
            .map(|(reference, _)| reference)
            .chain(&self.open_sub_issues)
            .chain(&self.closed_sub_issues)
            .chain(closed_by)
    }
}

/// Details of issues by their node ids. An id that leads nowhere, or to something that is no issue, is left out.
/// `with_text` also brings the text of comments.
pub fn of(
    client: &Client,
    repo: &str,
    ids: &[String],
    with_text: bool,
    now: Timestamp,
) -> Result<Vec<Details>> {
    let mut found = Vec::new();
    for ids in ids.chunks(AT_ONCE) {
        let answer = client.query(document::DETAILS, &json!({ "ids": ids, "text": with_text }))?;
        let nodes = data(answer)?;
        let nodes = nodes["nodes"].as_array().cloned().unwrap_or_default();
        for node in nodes.into_iter().filter(|node| node["__typename"] == "Issue") {
            let node = serde_json::from_value::<Node>(node)
                .or_fail(Kind::Unavailable, || "GitHub's answer is not what its schema says")
                .map_err(|error| error.hint(LATER))?;
            found.push(whole(client, repo, node, with_text, now)?);
        }
    }
    Ok(found)
}

/// The `data` of an answer; an error where there is none. Where some of it is missing, the rest is there.
pub(super) fn data(mut answer: Value) -> Result<Value> {
    let data = answer["data"].take();
    if !data.is_null() {
        return Ok(data);
    }
    let first = &answer["errors"][0];
    let message = first["message"].as_str().unwrap_or("an answer without data");
    let kind = first["type"].as_str().or_else(|| first["extensions"]["code"].as_str());
    let (kind, hint) = match kind {
        Some("FORBIDDEN" | "INSUFFICIENT_SCOPES" | "NOT_FOUND") => {
            (Kind::NotPermitted, Some("check the repository's name (--repo) and the token's permissions"))
        }
        Some("undefinedField") => {
            (Kind::Config, Some("this GitHub is older than cq needs, or newer than it knows"))
        }
        Some(_) => (Kind::Failed, None),
        // "Something went wrong while executing your query": it has no type.
        None => (Kind::Unavailable, Some(LATER)),
    };
    let error = Error::new(kind, format!("GitHub's GraphQL says: {message}"));
    Err(match hint {
        Some(hint) => error.hint(hint),
        None => error,
    })
}

impl From<&ActorNode> for Actor {
    fn from(node: &ActorNode) -> Self {
        Self { login: node.login.clone(), kind: node.kind }
    }
}

fn actor(node: Option<&ActorNode>) -> Option<Actor> {
    node.map(Actor::from)
}

/// Reads what did not fit into the first answer.
fn whole(client: &Client, repo: &str, mut node: Node, with_text: bool, now: Timestamp) -> Result<Details> {
    for _ in 0..MORE_PAGES {
        let (events, comments) = (node.timeline_items.before(), node.comments.before());
        if events.is_none() && comments.is_none() {
            break;
        }
        let variables = json!({
            "id": node.id, "text": with_text,
            "events": events, "withEvents": events.is_some(),
            "comments": comments, "withComments": comments.is_some(),
        });
        let mut more = data(client.query(document::MORE, &variables)?)?;
        if more["node"].is_null() {
            // Deleted or moved away meanwhile; what was read is not the whole.
            break;
        }
        let unlike = || "GitHub's answer is not what its schema says";
        if events.is_some() {
            let earlier = serde_json::from_value(more["node"]["timelineItems"].take());
            node.timeline_items.precede(earlier.or_fail(Kind::Unavailable, unlike)?);
        }
        if comments.is_some() {
            let earlier = serde_json::from_value(more["node"]["comments"].take());
            node.comments.precede(earlier.or_fail(Kind::Unavailable, unlike)?);
        }
    }
    Ok(details(repo, node, now))
}

fn details(repo: &str, node: Node, now: Timestamp) -> Details {
    let labels = node.labels.as_ref();
    let edits = node.user_content_edits.as_ref();
    let complete = node.timeline_items.is_whole()
        && node.comments.is_whole()
        && labels.is_some_and(Connection::is_whole)
        // No list of edits is none where there was no edit.
        && edits.map_or(node.last_edited_at.is_none(), Connection::is_whole);
    let mut evidence = Evidence {
        author: actor(node.author.as_ref()),
        created_at: node.created_at,
        title: node.title,
        body: node.body,
        labels: labels.iter().flat_map(|labels| labels.items()).map(|label| label.name.clone()).collect(),
        locked: node.locked,
        lock_reason: node.active_lock_reason,
        transferred: Vec::new(),
        label_events: Vec::new(),
        titles: Vec::new(),
        edits: edits.iter().flat_map(|edits| edits.items()).map(edit).collect(),
        last_edit: last_edit(node.last_edited_at, node.editor.as_ref()),
        comments: node.comments.items().map(comment).collect(),
        complete,
    };
    for (order, happening) in node.timeline_items.items().enumerate() {
        note(&mut evidence, order as u64, happening);
    }
    let linked = |linked: &Linked| {
        let reference = Reference::new(&linked.repository.name_with_owner, linked.number, repo)?;
        Some((reference, if linked.state == "OPEN" { State::Open } else { State::Closed }))
    };
    let mut blockers: Vec<_> = node.blocked_by.items().filter_map(linked).collect();
    // A blocker that is hidden from this token is one all the same; which one, nobody can say.
    if !node.blocked_by.is_whole() || !node.sub_issues.is_whole() {
        evidence.complete = false;
    }
    blockers.dedup();
    let (open, closed): (Vec<_>, Vec<_>) =
        node.sub_issues.items().filter_map(linked).partition(|(_, state)| *state == State::Open);
    let names = |list: Vec<(Reference, State)>| list.into_iter().map(|(reference, _)| reference).collect();
    Details {
        number: node.number,
        updated_at: node.updated_at,
        asked_at: now,
        evidence,
        blockers,
        open_sub_issues: names(open),
        closed_sub_issues: names(closed),
        closed_by: node
            .closed_by_pull_requests_references
            .iter()
            .flat_map(Connection::items)
            .filter_map(|pull| {
                Some(ClosingPullRequest {
                    reference: Reference::new(&pull.repository.name_with_owner, pull.number, repo)?,
                    author: pull.author.as_ref().map(|author| author.login.clone()),
                    open: pull.state == "OPEN",
                })
            })
            .collect(),
    }
}

fn note(evidence: &mut Evidence, order: u64, happening: &Happening) {
    match happening {
        Happening::Labelled { created_at, actor: who, label }
        | Happening::Unlabelled { created_at, actor: who, label } => {
            evidence.label_events.push(LabelEvent {
                label: label.name.clone(),
                added: matches!(happening, Happening::Labelled { .. }),
                actor: actor(who.as_ref()),
                app: None,
                at: *created_at,
                order,
            });
        }
        Happening::Renamed { created_at, actor: who } => {
            evidence.titles.push(Edit { at: *created_at, editor: actor(who.as_ref()) });
        }
        Happening::Transferred { created_at, actor: who } => {
            evidence.transferred.push(Transfer { at: *created_at, actor: actor(who.as_ref()) });
        }
        // Asked for are only those four: what this cannot read may be any of them.
        Happening::Other => evidence.complete = false,
    }
}

fn edit(node: &EditNode) -> Edit {
    Edit { at: node.edited_at, editor: actor(node.editor.as_ref()) }
}

fn last_edit(at: Option<Timestamp>, editor: Option<&ActorNode>) -> Option<Edit> {
    at.map(|at| Edit { at, editor: actor(editor) })
}

fn comment(node: &CommentNode) -> Comment {
    let id = node.full_database_id.as_ref();
    Comment {
        // GraphQL's BigInt is a string.
        id: id.and_then(|id| id.as_u64().or_else(|| id.as_str()?.parse().ok())).unwrap_or_default(),
        author: actor(node.author.as_ref()),
        created_at: node.created_at,
        last_edit: last_edit(node.last_edited_at, node.editor.as_ref()),
        body: node.body.clone(),
        minimized: node.is_minimized,
    }
}

#[cfg(test)]
mod tests;
