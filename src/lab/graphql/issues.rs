//! Issues and pull requests, their comments and what happened to them.

use serde_json::{Value, json};

use super::Problem;
use super::connection::Page;
use super::select::Args;
use super::things::{Given, Out, Thing, World, maybe, plain, state};
use crate::clock::Timestamp;
use crate::lab::merge::closes;
use crate::lab::relations;
use crate::lab::store::{Comment, Edit, Event, Issue, Repository, State, same};

/// The type of an event, and its name in `itemTypes`; none for what GraphQL does not show.
pub(super) fn event_kind(event: &str) -> Option<(&'static str, &'static str)> {
    Some(match event {
        "labeled" => ("LabeledEvent", "LABELED_EVENT"),
        "unlabeled" => ("UnlabeledEvent", "UNLABELED_EVENT"),
        "renamed" => ("RenamedTitleEvent", "RENAMED_TITLE_EVENT"),
        "transferred" => ("TransferredEvent", "TRANSFERRED_EVENT"),
        "closed" => ("ClosedEvent", "CLOSED_EVENT"),
        "reopened" => ("ReopenedEvent", "REOPENED_EVENT"),
        "assigned" => ("AssignedEvent", "ASSIGNED_EVENT"),
        "unassigned" => ("UnassignedEvent", "UNASSIGNED_EVENT"),
        "locked" => ("LockedEvent", "LOCKED_EVENT"),
        "unlocked" => ("UnlockedEvent", "UNLOCKED_EVENT"),
        _ => return None,
    })
}

/// `off-topic` as `OFF_TOPIC`.
fn constant(text: &str) -> String {
    text.to_uppercase().replace(['-', ' '], "_")
}

impl<'a> World<'a> {
    pub(super) fn issue(
        &self,
        repository: &'a Repository,
        issue: &'a Issue,
        name: &str,
        args: &Args<'_>,
    ) -> Given<'a> {
        let number = issue.number;
        let page = if issue.pull.is_some() { "pull" } else { "issues" };
        let path = format!("/{}/{page}/{number}", repository.full_name());
        let cut = |kind, things| Page::cut(kind, name, things, args).map(Out::Thing);
        let known = |references: &[crate::lab::store::Reference]| {
            references.iter().filter_map(|one| self.referred(one)).collect::<Vec<_>>()
        };
        match name {
            "id" => plain(Thing::Issue(repository, issue).id()),
            "fullDatabaseId" => plain(issue.id.to_string()),
            "databaseId" => plain(i32::try_from(issue.id).ok()),
            "number" => plain(number),
            "title" => plain(&issue.title),
            "body" | "bodyText" => plain(issue.body.as_deref().unwrap_or_default()),
            "resourcePath" => plain(path),
            "url" => plain(format!("{}{path}", self.lab.base)),
            "state" => plain(state(issue)),
            "stateReason" => {
                let reason = issue.state_reason.as_deref();
                let hidden = reason == Some("duplicate") && !args.flag("enableDuplicate");
                plain(if hidden { Some("NOT_PLANNED".to_owned()) } else { reason.map(constant) })
            }
            "closed" => plain(issue.state == State::Closed),
            "closedAt" => plain(issue.closed_at),
            "createdAt" | "publishedAt" => plain(issue.created_at),
            "updatedAt" => plain(issue.updated_at),
            "locked" => plain(issue.locked),
            "activeLockReason" => plain(issue.lock_reason.as_deref().map(constant)),
            "author" => self.actor(&issue.user),
            "authorAssociation" => plain(&issue.author_association),
            "editor" => {
                issue.edits.last().map_or_else(|| plain(Value::Null), |edit| self.actor(&edit.editor))
            }
            "lastEditedAt" => plain(issue.edits.last().map(|edit| edit.at)),
            "includesCreatedEdit" => plain(!issue.edits.is_empty()),
            "userContentEdits" => {
                cut("UserContentEditConnection", edits(issue.id, &issue.user, issue.created_at, &issue.edits))
            }
            "viewerDidAuthor" => plain(same(&issue.user, &self.lab_viewer())),
            "isPinned" => plain(false),
            "milestone" => plain(Value::Null),
            "reactionGroups" => plain(json!([])),
            "repository" => Ok(Out::Thing(Thing::Repository(repository))),
            "labels" => {
                let of_name = |name: &String| repository.labels.iter().find(|label| same(&label.name, name));
                let labels = issue.labels.iter().filter_map(of_name);
                cut("LabelConnection", labels.map(|label| Thing::Label(repository, label)).collect())
            }
            "assignees" => {
                let users = issue.assignees.iter().map(|login| Thing::Actor(self.store.user(login)));
                cut("UserConnection", users.collect())
            }
            "comments" => {
                let comments = issue.comments.iter();
                let things = comments.map(|comment| Thing::Comment(repository, issue, comment)).collect();
                cut("IssueCommentConnection", things)
            }
            "timelineItems" => cut("IssueTimelineItemsConnection", timeline(repository, issue, args)),
            "blockedBy" => cut("IssueConnection", known(&issue.blocked_by)),
            "blocking" => cut("IssueConnection", known(&relations::blocking(self.store, repository, issue))),
            "subIssues" => cut("IssueConnection", known(&issue.sub_issues)),
            "parent" => {
                maybe(relations::parent(self.store, repository, issue).and_then(|one| self.referred(&one)))
            }
            "subIssuesSummary" => {
                let (total, completed, percent) = relations::sub_issues(self.store, issue);
                Ok(Out::Thing(Thing::Record(
                    "SubIssuesSummary",
                    vec![
                        ("total", json!(total)),
                        ("completed", json!(completed)),
                        ("percentCompleted", json!(percent)),
                    ],
                )))
            }
            "issueDependenciesSummary" => {
                let counts = relations::dependencies(self.store, repository, issue);
                Ok(Out::Thing(Thing::Record(
                    "IssueDependenciesSummary",
                    vec![
                        ("blockedBy", json!(counts.blocked_by)),
                        ("blocking", json!(counts.blocking)),
                        ("totalBlockedBy", json!(counts.total_blocked_by)),
                        ("totalBlocking", json!(counts.total_blocking)),
                    ],
                )))
            }
            "closedByPullRequestsReferences" => {
                let closers = repository.issues.values().filter(|pull| {
                    let open = pull.state == State::Open || args.flag("includeClosedPrs");
                    let text = pull.body.as_deref().unwrap_or_default();
                    pull.pull.is_some() && open && closes(text).contains(&number)
                });
                cut("PullRequestConnection", closers.map(|pull| Thing::Issue(repository, pull)).collect())
            }
            _ => self.pull(repository, issue, name, args),
        }
    }

    /// What only a pull request has.
    fn pull(&self, repository: &'a Repository, issue: &'a Issue, name: &str, args: &Args<'_>) -> Given<'a> {
        let Some(pull) = &issue.pull else { return plain(Value::Null) };
        if let Some(found) = self.progress(repository, issue, pull, name) {
            return found;
        }
        match name {
            "isDraft" => plain(pull.draft),
            "isCrossRepository" => plain(false),
            "merged" => plain(pull.merged_at.is_some()),
            "mergedAt" => plain(pull.merged_at),
            "mergedBy" => {
                pull.merged_by.as_ref().map_or_else(|| plain(Value::Null), |login| self.actor(login))
            }
            "headRefName" => plain(&pull.head),
            "baseRefName" => plain(&pull.base),
            "headRefOid" => plain(pull.head_sha.as_ref().unwrap_or(&pull.base_sha)),
            "baseRefOid" => plain(&pull.base_sha),
            _ => {
                let numbers = closes(issue.body.as_deref().unwrap_or_default());
                let issues = numbers.iter().filter_map(|number| repository.issues.get(number));
                let things = issues.map(|issue| Thing::Issue(repository, issue)).collect();
                Page::cut("IssueConnection", name, things, args).map(Out::Thing)
            }
        }
    }

    fn lab_viewer(&self) -> String {
        crate::lab::identity::asker(self.store).login
    }

    pub(super) fn comment(
        &self,
        repository: &'a Repository,
        issue: &'a Issue,
        comment: &'a Comment,
        name: &str,
        args: &Args<'_>,
    ) -> Given<'a> {
        let path = format!("/{}/issues/{}#issuecomment-{}", repository.full_name(), issue.number, comment.id);
        match name {
            "id" => plain(format!("IC_{}", comment.id)),
            "fullDatabaseId" => plain(comment.id.to_string()),
            "databaseId" => plain(i32::try_from(comment.id).ok()),
            "author" => self.actor(&comment.user),
            "authorAssociation" => plain(&comment.author_association),
            "body" | "bodyText" => plain(&comment.body),
            "createdAt" | "publishedAt" => plain(comment.created_at),
            "updatedAt" => plain(comment.updated_at),
            "editor" => {
                comment.edits.last().map_or_else(|| plain(Value::Null), |edit| self.actor(&edit.editor))
            }
            "lastEditedAt" => plain(comment.edits.last().map(|edit| edit.at)),
            "includesCreatedEdit" => plain(!comment.edits.is_empty()),
            "userContentEdits" => Page::cut(
                "UserContentEditConnection",
                name,
                edits(comment.id, &comment.user, comment.created_at, &comment.edits),
                args,
            )
            .map(Out::Thing),
            "isMinimized" => plain(comment.minimized),
            "minimizedReason" => plain(comment.minimized.then_some("off-topic")),
            "issue" => Ok(Out::Thing(Thing::Issue(repository, issue))),
            "repository" => Ok(Out::Thing(Thing::Repository(repository))),
            "reactionGroups" => plain(json!([])),
            "viewerDidAuthor" => plain(same(&comment.user, &self.lab_viewer())),
            "resourcePath" => plain(path),
            _ => plain(format!("{}{path}", self.lab.base)),
        }
    }

    pub(super) fn event(
        &self,
        repository: &'a Repository,
        issue: &'a Issue,
        event: &'a Event,
        name: &str,
    ) -> Given<'a> {
        let subject = event.subject.as_deref();
        match name {
            "id" => plain(format!("EV_{}", event.id)),
            "createdAt" => plain(event.created_at),
            "actor" => self.actor(&event.actor),
            "label" => {
                let label =
                    repository.labels.iter().find(|label| subject.is_some_and(|one| same(&label.name, one)));
                Ok(Out::Thing(label.map_or_else(
                    // The label was deleted since; the event still shows its name.
                    || Thing::Record("Label", vec![("name", json!(subject)), ("color", json!("ededed"))]),
                    |label| Thing::Label(repository, label),
                )))
            }
            "previousTitle" => plain(event.previous.as_deref().unwrap_or_default()),
            "currentTitle" => plain(subject.unwrap_or_default()),
            "fromRepository" => {
                let from = event.previous.as_deref().and_then(|from| from.split_once('/'));
                let from = from.and_then(|(owner, name)| self.store.find(owner, name));
                maybe(from.map(Thing::Repository))
            }
            "stateReason" if event.kind == "closed" => {
                plain(subject.map(constant).or(Some("COMPLETED".to_owned())))
            }
            "lockReason" => plain(subject.map(constant)),
            "assignee" => subject.map_or_else(|| plain(Value::Null), |login| self.actor(login)),
            "issue" => Ok(Out::Thing(Thing::Issue(repository, issue))),
            _ => plain(Value::Null),
        }
    }

    /// `Repository.issues`: oldest first, unless it is to be otherwise; any of the labels is enough.
    pub(super) fn issues(repository: &'a Repository, args: &Args<'_>) -> Given<'a> {
        if !repository.has_issues {
            return Page::cut("IssueConnection", "issues", Vec::new(), args).map(Out::Thing);
        }
        let filter = args.values.get("filterBy").cloned().unwrap_or_default();
        let words = |value: &Value| -> Option<Vec<String>> {
            let list = value.as_array()?.iter().filter_map(|one| one.as_str().map(str::to_owned));
            Some(list.collect())
        };
        let listed = |name: &str| {
            let own = args.list(name).map(|list| list.into_iter().map(str::to_owned).collect());
            own.or_else(|| words(&filter[name]))
        };
        let (states, labels) = (listed("states"), listed("labels"));
        let since: Option<Timestamp> = filter["since"].as_str().and_then(|since| since.parse().ok());
        let login = |name: &str| filter[name].as_str().map(str::to_owned);
        let (assignee, author) = (login("assignee"), login("createdBy"));
        let takes = |issue: &&Issue| {
            let has = issue.labels_listed(repository.lag);
            issue.pull.is_none()
                && states.as_ref().is_none_or(|states| states.iter().any(|one| one == state(issue)))
                && labels
                    .as_ref()
                    .is_none_or(|labels| labels.iter().any(|one| has.iter().any(|label| same(label, one))))
                && since.is_none_or(|since| issue.updated_at >= since)
                && author.as_ref().is_none_or(|author| same(author, &issue.user))
                && assignee.as_ref().is_none_or(|login| {
                    login == "*" && !issue.assignees.is_empty()
                        || issue.assignees.iter().any(|one| same(one, login))
                })
        };
        let mut issues: Vec<&Issue> = repository.issues.values().filter(takes).collect();
        sort(&mut issues, args);
        let things = issues.into_iter().map(|issue| Thing::Issue(repository, issue)).collect();
        Page::cut("IssueConnection", "issues", things, args).map(Out::Thing)
    }

    pub(super) fn pulls(repository: &'a Repository, args: &Args<'_>) -> Given<'a> {
        let states = args.list("states");
        let text = |name| args.text(name);
        let takes = |issue: &&Issue| {
            let Some(pull) = &issue.pull else { return false };
            states.as_ref().is_none_or(|states| states.contains(&state(issue)))
                && text("headRefName").is_none_or(|head| head == pull.head)
                && text("baseRefName").is_none_or(|base| base == pull.base)
        };
        let mut pulls: Vec<&Issue> = repository.issues.values().filter(takes).collect();
        sort(&mut pulls, args);
        let things = pulls.into_iter().map(|issue| Thing::Issue(repository, issue)).collect();
        Page::cut("PullRequestConnection", "pullRequests", things, args).map(Out::Thing)
    }

    /// `search`: qualifiers `repo`, `is`, `type`, `state`, `label`, `author`, `assignee`; other words in the title.
    pub(super) fn search(&self, args: &Args<'_>) -> Given<'a> {
        let query = args.text("query").unwrap_or_default();
        if query.chars().count() > 256 {
            return Err(Problem::of("UNPROCESSABLE", "The search is longer than 256 characters.".to_owned()));
        }
        let found = self.store.repositories.iter().flat_map(|repository| {
            let hits = repository
                .issues
                .values()
                .filter(|issue| crate::lab::search::takes(query, repository, issue));
            hits.map(move |issue| Thing::Issue(repository, issue))
        });
        let mut things: Vec<Thing<'a>> = found.collect();
        things.reverse();
        // Search knows one direction only; the official command-line tool asks for its `last`.
        let mut values = args.values.clone();
        if let Some(last) = values.remove("last") {
            values.insert("first".to_owned(), last);
        }
        let args = Args { values, selected: args.selected.clone() };
        Page::cut("SearchResultItemConnection", "search", things, &args).map(Out::Thing)
    }
}

fn sort(issues: &mut [&Issue], args: &Args<'_>) {
    let order = args.values.get("orderBy").cloned().unwrap_or_default();
    match order["field"].as_str() {
        Some("UPDATED_AT") => issues.sort_by_key(|issue| (issue.updated_at, issue.number)),
        Some("COMMENTS") => issues.sort_by_key(|issue| (issue.comments.len(), issue.number)),
        _ => issues.sort_by_key(|issue| (issue.created_at, issue.number)),
    }
    if order["direction"] == "DESC" {
        issues.reverse();
    }
}

/// Edits, newest first. What was edited at all shows how it was made as its first edit.
fn edits<'a>(id: u64, author: &str, made: Timestamp, edits: &[Edit]) -> Vec<Thing<'a>> {
    let first = Edit { id, editor: author.to_owned(), at: made };
    let all = std::iter::once(&first).chain(edits).filter(|_| !edits.is_empty());
    let mut things: Vec<Thing<'a>> = all.map(|edit| Thing::Edit(edit.clone())).collect();
    things.reverse();
    things
}

/// Events and comments by time, of the types that are asked for.
fn timeline<'a>(repository: &'a Repository, issue: &'a Issue, args: &Args<'_>) -> Vec<Thing<'a>> {
    let wanted = args.list("itemTypes");
    let takes = |kind: &str| wanted.as_ref().is_none_or(|wanted| wanted.contains(&kind));
    let since: Option<Timestamp> = args.text("since").and_then(|since| since.parse().ok());
    let events = issue.events.iter().filter_map(|event| {
        let (_, name) = event_kind(&event.kind)?;
        takes(name).then_some((event.created_at, Thing::Event(repository, issue, event)))
    });
    let comments = issue.comments.iter().filter(|_| takes("ISSUE_COMMENT"));
    let comments = comments.map(|comment| (comment.created_at, Thing::Comment(repository, issue, comment)));
    let mut all: Vec<(Timestamp, Thing<'a>)> = events.chain(comments).collect();
    all.sort_by_key(|(at, _)| *at);
    let recent = all.into_iter().filter(|(at, _)| since.is_none_or(|since| *at >= since));
    let skip = args.number("skip").and_then(|skip| usize::try_from(skip).ok()).unwrap_or(0);
    recent.map(|(_, thing)| thing).skip(skip).collect()
}
