//! Connections: pages of a list, with cursors that hold while the list changes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::Problem;
use super::select::Args;
use super::things::{Out, Thing};

/// One page.
pub(super) struct Page<'a> {
    /// `IssueConnection`…
    pub kind: &'static str,
    pub nodes: Vec<(String, Thing<'a>)>,
    pub total: usize,
    pub previous: bool,
    pub next: bool,
}

impl<'a> Page<'a> {
    /// Cuts a page out of a list as `first`, `last`, `after` and `before` say.
    pub(super) fn cut(
        kind: &'static str,
        field: &str,
        mut things: Vec<Thing<'a>>,
        args: &Args<'_>,
    ) -> Result<Thing<'a>, Problem> {
        let total = things.len();
        let (first, last) = (args.number("first"), args.number("last"));
        let wanted = args.selected.iter().any(|name| ["nodes", "edges", "pageInfo"].contains(name));
        if first.is_none() && last.is_none() && wanted {
            let message = format!(
                "You must provide a `first` or `last` value to properly paginate the `{field}` connection."
            );
            return Err(Problem::of("MISSING_PAGINATION_BOUNDARIES", message));
        }
        for (name, value) in [("first", first), ("last", last)] {
            let Some(value) = value else { continue };
            if value < 0 {
                let message = format!("`{name}` on the `{field}` connection cannot be less than zero.");
                return Err(Problem::of("INVALID_PAGINATION_BOUNDARIES", message));
            }
            if value > 100 {
                let message = format!(
                    "Requesting {value} records on the `{field}` connection exceeds the `{name}` limit of 100 records."
                );
                return Err(Problem::of("EXCESSIVE_PAGINATION", message));
            }
        }
        let place = |name: &str| match args.text(name) {
            None => Ok(None),
            Some(cursor) => place(cursor, &things).map(Some),
        };
        let start = place("after")?.map_or(0, |at| at.after);
        let end = place("before")?.map_or(total, |at| at.at).max(start);
        let size = |number: Option<i64>| number.and_then(|number| usize::try_from(number).ok());
        let (mut from, mut to) = (start, end);
        if let Some(size) = size(first) {
            to = to.min(from + size);
        }
        if let Some(size) = size(last) {
            from = from.max(to.saturating_sub(size));
        }
        things.truncate(to);
        let things = things.split_off(from);
        let nodes: Vec<(String, Thing<'a>)> = things
            .into_iter()
            .enumerate()
            .map(|(index, thing)| (cursor(from + index, &thing), thing))
            .collect();
        Ok(Thing::Page(std::rc::Rc::new(Self { kind, nodes, total, previous: from > 0, next: to < total })))
    }

    /// A field of the connection itself.
    pub(super) fn field(&self, name: &str) -> Out<'a> {
        match name {
            "totalCount" | "issueCount" => Out::Plain(json!(self.total)),
            "nodes" => Out::Many(self.nodes.iter().map(|(_, thing)| Out::Thing(thing.clone())).collect()),
            "edges" => {
                let edge = |(cursor, thing): &(String, Thing<'a>)| {
                    Out::Thing(Thing::Edge(self.edge(), cursor.clone(), Box::new(thing.clone())))
                };
                Out::Many(self.nodes.iter().map(edge).collect())
            }
            _ => {
                let cursor = |node: Option<&(String, Thing<'a>)>| node.map(|(cursor, _)| cursor.clone());
                Out::Thing(Thing::Record(
                    "PageInfo",
                    vec![
                        ("hasNextPage", json!(self.next)),
                        ("hasPreviousPage", json!(self.previous)),
                        ("startCursor", json!(cursor(self.nodes.first()))),
                        ("endCursor", json!(cursor(self.nodes.last()))),
                    ],
                ))
            }
        }
    }

    fn edge(&self) -> &'static str {
        match self.kind {
            "IssueConnection" => "IssueEdge",
            "PullRequestConnection" => "PullRequestEdge",
            "IssueCommentConnection" => "IssueCommentEdge",
            "LabelConnection" => "LabelEdge",
            "UserConnection" => "UserEdge",
            "UserContentEditConnection" => "UserContentEditEdge",
            "IssueTimelineItemsConnection" => "IssueTimelineItemsEdge",
            "SearchResultItemConnection" => "SearchResultItemEdge",
            _ => "RepositoryCollaboratorEdge",
        }
    }
}

/// Where a cursor stands: its node, and what comes after it.
struct Place {
    at: usize,
    after: usize,
}

fn cursor(index: usize, thing: &Thing<'_>) -> String {
    STANDARD.encode(format!("cursor:v2:{index}:{}", thing.id()))
}

/// A node that is not in the list any more is where it was.
fn place(cursor: &str, things: &[Thing<'_>]) -> Result<Place, Problem> {
    let decoded = STANDARD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let parts = decoded.as_deref().and_then(|text| text.strip_prefix("cursor:v2:")?.split_once(':'));
    let Some((index, id)) = parts.and_then(|(index, id)| Some((index.parse::<usize>().ok()?, id))) else {
        let message = format!("`{cursor}` does not appear to be a valid cursor.");
        return Err(Problem::of("INVALID_CURSOR_ARGUMENTS", message));
    };
    Ok(match things.iter().position(|thing| thing.id() == id) {
        Some(at) => Place { at, after: at + 1 },
        None => Place { at: index.min(things.len()), after: index.min(things.len()) },
    })
}
