//! What can be selected from: the query itself, people, repositories and the small things.

use std::rc::Rc;

use serde_json::{Value, json};

use super::Problem;
use super::connection::Page;
use super::select::Args;
use crate::lab::identity;
use crate::lab::limits::Resource;
use crate::lab::server::Lab;
use crate::lab::store::{
    Comment, Edit, Event, Issue, Kind, Label, Reference, Repository, State, Store, User, same,
};

/// What an answer is made from.
pub(super) struct World<'a> {
    pub lab: &'a Lab,
    pub store: &'a Store,
    pub cost: u64,
    pub nodes: u64,
}

/// An object of the schema.
#[derive(Clone)]
pub(super) enum Thing<'a> {
    Query,
    Actor(User),
    Repository(&'a Repository),
    /// An issue or a pull request.
    Issue(&'a Repository, &'a Issue),
    Comment(&'a Repository, &'a Issue, &'a Comment),
    Label(&'a Repository, &'a Label),
    Event(&'a Repository, &'a Issue, &'a Event),
    Edit(Edit),
    Page(Rc<Page<'a>>),
    Edge(&'static str, String, Box<Thing<'a>>),
    /// Something small with plain fields.
    Record(&'static str, Vec<(&'static str, Value)>),
    /// Something drawn already, of the kind that it says: objects and lists below it too.
    Tree(Value),
}

/// What a field gives.
pub(super) enum Out<'a> {
    Plain(Value),
    Thing(Thing<'a>),
    Many(Vec<Out<'a>>),
    /// Null, and an error that says why.
    Missing(Problem),
}

pub(super) type Given<'a> = Result<Out<'a>, Problem>;

/// A plain value.
#[expect(clippy::unnecessary_wraps, reason = "what a field ends with")]
pub(super) fn plain<'a>(value: impl serde::Serialize) -> Given<'a> {
    Ok(Out::Plain(json!(value)))
}

/// A thing, or null.
#[expect(clippy::unnecessary_wraps, reason = "what a field ends with")]
pub(super) fn maybe(thing: Option<Thing<'_>>) -> Given<'_> {
    Ok(thing.map_or(Out::Plain(Value::Null), Out::Thing))
}

impl Thing<'_> {
    /// Its type.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Query => "Query",
            Self::Actor(user) => user.kind.name(),
            Self::Repository(_) => "Repository",
            Self::Issue(_, issue) if issue.pull.is_some() => "PullRequest",
            Self::Issue(..) => "Issue",
            Self::Comment(..) => "IssueComment",
            Self::Label(..) => "Label",
            Self::Event(_, _, event) => {
                super::issues::event_kind(&event.kind).map_or("Node", |(kind, _)| kind)
            }
            Self::Edit(_) => "UserContentEdit",
            Self::Page(page) => page.kind,
            Self::Edge(kind, ..) | Self::Record(kind, _) => kind,
            Self::Tree(value) => super::progress::kind(value),
        }
    }

    /// Its global id, as REST's `node_id` says it too.
    pub(super) fn id(&self) -> String {
        match self {
            Self::Actor(user) => format!("U_{}", user.id),
            Self::Repository(repository) => format!("R_{}", repository.id),
            Self::Issue(_, issue) if issue.pull.is_some() => format!("PR_{}", issue.id),
            Self::Issue(_, issue) => format!("I_{}", issue.id),
            Self::Comment(_, _, comment) => format!("IC_{}", comment.id),
            Self::Label(_, label) => format!("LA_{}", label.id),
            Self::Event(_, _, event) => format!("EV_{}", event.id),
            Self::Edit(edit) => format!("UCE_{}", edit.id),
            Self::Tree(value) => value["id"].as_str().unwrap_or_default().to_owned(),
            _ => String::new(),
        }
    }
}

impl<'a> World<'a> {
    /// What a field of a thing is. The document was checked: the schema has the field.
    pub(super) fn field(&self, thing: &Thing<'a>, name: &str, args: &Args<'_>) -> Given<'a> {
        match thing {
            Thing::Query => self.query(name, args),
            Thing::Actor(user) => self.user(user, name),
            Thing::Repository(repository) => self.repository(repository, name, args),
            Thing::Issue(repository, issue) => self.issue(repository, issue, name, args),
            Thing::Comment(repository, issue, comment) => {
                self.comment(repository, issue, comment, name, args)
            }
            Thing::Label(repository, label) => self.label(repository, label, name),
            Thing::Event(repository, issue, event) => self.event(repository, issue, event, name),
            Thing::Edit(edit) => match name {
                "id" => plain(thing.id()),
                "editor" => self.actor(&edit.editor),
                "deletedAt" | "deletedBy" | "diff" => plain(Value::Null),
                _ => plain(edit.at),
            },
            Thing::Page(page) => Ok(page.field(name)),
            Thing::Edge(_, cursor, node) => match (name, &**node) {
                ("cursor", _) => plain(cursor),
                ("permission", Thing::Actor(user)) => plain(user.permission.to_uppercase()),
                (_, node) => Ok(Out::Thing(node.clone())),
            },
            Thing::Tree(value) => self.branch(value, name),
            Thing::Record(_, fields) => {
                let found = fields.iter().find(|(one, _)| *one == name);
                plain(found.map_or(&Value::Null, |(_, value)| value))
            }
        }
    }

    /// Whether who asks can see a repository.
    fn sees(&self, repository: &Repository) -> bool {
        let granted = identity::asker(self.store).grant.and_then(|grant| grant.repositories);
        let named = |all: &Vec<String>| all.iter().any(|one| same(one, &repository.full_name()));
        !repository.private || granted.as_ref().is_none_or(named)
    }

    fn repository_named(&self, owner: &str, name: &str) -> Result<&'a Repository, Problem> {
        let full = format!("{owner}/{name}");
        let former = |one: &&Repository| one.former.iter().any(|old| same(old, &full));
        let found = self.store.find(owner, name).or_else(|| self.store.repositories.iter().find(former));
        found.filter(|repository| self.sees(repository)).ok_or_else(|| {
            Problem::not_found(format!("Could not resolve to a Repository with the name '{full}'."))
        })
    }

    /// An issue that is here and can be seen.
    pub(super) fn referred(&self, reference: &Reference) -> Option<Thing<'a>> {
        let repository = self.store.find(&reference.owner, &reference.name)?;
        let issue = repository.issues.get(&reference.number)?;
        self.sees(repository).then_some(Thing::Issue(repository, issue))
    }

    fn query(&self, name: &str, args: &Args<'_>) -> Given<'a> {
        let text = |name| args.text(name).unwrap_or_default();
        match name {
            "viewer" => Ok(Out::Thing(Thing::Actor(self.store.user(&identity::asker(self.store).login)))),
            "node" => self.node(text("id")).map(Out::Thing),
            "nodes" => {
                let ids = args.list("ids").unwrap_or_default();
                if ids.len() > 100 {
                    let message =
                        format!("You may not provide more than 100 node ids; you provided {}.", ids.len());
                    return Err(Problem::of("ARGUMENT_LIMIT", message));
                }
                let one = |id: &str| self.node(id).map_or_else(Out::Missing, Out::Thing);
                Ok(Out::Many(ids.into_iter().map(one).collect()))
            }
            "repository" => self
                .repository_named(text("owner"), text("name"))
                .map(|one| Out::Thing(Thing::Repository(one))),
            "resource" => maybe(self.resource(text("url"))),
            "search" => self.search(args),
            _ => {
                let meter = &self.store.meter;
                let graphql = Resource::Graphql;
                let reset = self.lab.now() + chrono::TimeDelta::seconds(meter.resets_in());
                Ok(Out::Thing(Thing::Record(
                    "RateLimit",
                    vec![
                        ("cost", json!(self.cost)),
                        ("limit", json!(meter.limit(graphql))),
                        ("nodeCount", json!(self.nodes)),
                        ("remaining", json!(meter.remaining(graphql))),
                        ("resetAt", json!(reset)),
                        ("used", json!(meter.used(graphql))),
                    ],
                )))
            }
        }
    }

    pub(super) fn node(&self, id: &str) -> Result<Thing<'a>, Problem> {
        self.all().find(|thing| thing.id() == id).ok_or_else(|| {
            Problem::not_found(format!("Could not resolve to a node with the global id of '{id}'"))
        })
    }

    /// Everything that has an id and can be seen.
    fn all(&self) -> impl Iterator<Item = Thing<'a>> {
        let store = self.store;
        let seen = store.repositories.iter().filter(|repository| self.sees(repository));
        let inside = seen.flat_map(|one| {
            let issues = one.issues.values().flat_map(move |issue| {
                let comments = issue.comments.iter().map(move |comment| Thing::Comment(one, issue, comment));
                std::iter::once(Thing::Issue(one, issue)).chain(comments)
            });
            let labels = one.labels.iter().map(move |label| Thing::Label(one, label));
            let labels = labels.chain(one.checks.iter().map(|check| Thing::Tree(self.check(one, check))));
            std::iter::once(Thing::Repository(one)).chain(issues).chain(labels)
        });
        let users = store.users.values().filter(|user| !user.deleted);
        inside.chain(users.map(|user| Thing::Actor(user.clone())))
    }

    /// What a page of the site shows.
    fn resource(&self, url: &str) -> Option<Thing<'a>> {
        let url = url::Url::parse(url).ok()?;
        let segments: Vec<&str> = url.path_segments()?.collect();
        match segments.as_slice() {
            [login] => self.store.users.get(&login.to_lowercase()).map(|user| Thing::Actor(user.clone())),
            [owner, name] => self.repository_named(owner, name).ok().map(Thing::Repository),
            [owner, name, "issues" | "pull", number] => {
                let repository = self.repository_named(owner, name).ok()?;
                let issue = repository.issues.get(&number.parse().ok()?)?;
                Some(Thing::Issue(repository, issue))
            }
            _ => None,
        }
    }

    /// An account, as an `Actor`; null where it is gone.
    pub(super) fn actor(&self, login: &str) -> Given<'a> {
        let user = self.store.user(login);
        maybe((!user.deleted).then_some(Thing::Actor(user)))
    }

    fn user(&self, user: &User, name: &str) -> Given<'a> {
        // An App's bot has no suffix here, other than in REST.
        let login = if user.kind == Kind::Bot { user.login.trim_end_matches("[bot]") } else { &user.login };
        let base = &self.lab.base;
        match name {
            "login" => plain(login),
            "id" => plain(format!("U_{}", user.id)),
            "databaseId" => plain(i32::try_from(user.id).ok()),
            "name" => plain(Value::Null),
            "avatarUrl" => plain(format!("{base}/avatars/{login}")),
            "resourcePath" => plain(format!("/{login}")),
            _ => plain(format!("{base}/{login}")),
        }
    }

    fn label(&self, repository: &'a Repository, label: &Label, name: &str) -> Given<'a> {
        let path = format!("/{}/labels/{}", repository.full_name(), crate::lab::shapes::encode(&label.name));
        match name {
            "id" => plain(format!("LA_{}", label.id)),
            "name" => plain(&label.name),
            "color" => plain(&label.color),
            "description" => plain(&label.description),
            "isDefault" => plain(false),
            "repository" => Ok(Out::Thing(Thing::Repository(repository))),
            "resourcePath" => plain(path),
            "url" => plain(format!("{}{path}", self.lab.base)),
            _ => plain(repository.created_at),
        }
    }

    fn repository(&self, repository: &'a Repository, name: &str, args: &Args<'_>) -> Given<'a> {
        let path = format!("/{}", repository.full_name());
        let number = || args.number("number").and_then(|number| u64::try_from(number).ok()).unwrap_or(0);
        let numbered = |what: &str, fits: fn(&Issue) -> bool| {
            let issue = repository.issues.get(&number()).filter(|issue| fits(issue));
            let message = || format!("Could not resolve to {what} with the number of {}.", number());
            issue
                .map(|issue| Out::Thing(Thing::Issue(repository, issue)))
                .ok_or_else(|| Problem::not_found(message()))
        };
        match name {
            "id" => plain(format!("R_{}", repository.id)),
            "databaseId" => plain(i32::try_from(repository.id).ok()),
            "name" => plain(&repository.name),
            "nameWithOwner" => plain(repository.full_name()),
            "owner" => Ok(Out::Thing(Thing::Actor(self.store.user(&repository.owner)))),
            "resourcePath" => plain(path),
            "url" => plain(format!("{}{path}", self.lab.base)),
            "description" => plain("A rehearsal"),
            "createdAt" => plain(repository.created_at),
            "isPrivate" => plain(repository.private),
            "autoMergeAllowed" => plain(repository.rules.auto_merge),
            "isArchived" | "isFork" => plain(false),
            "hasIssuesEnabled" => plain(repository.has_issues),
            "viewerPermission" => {
                let user = self.store.user(&identity::asker(self.store).login);
                plain(user.may("read").then(|| user.permission.to_uppercase()))
            }
            "defaultBranchRef" => {
                let branch = &repository.default_branch;
                Ok(Out::Thing(Thing::Record(
                    "Ref",
                    vec![
                        ("id", json!(format!("REF_{branch}"))),
                        ("name", json!(branch)),
                        ("prefix", json!("refs/heads/")),
                    ],
                )))
            }
            "issue" => numbered("an Issue", |issue| issue.pull.is_none()),
            "pullRequest" => numbered("a PullRequest", |issue| issue.pull.is_some()),
            "issueOrPullRequest" => numbered("an issue or pull request", |_| true),
            "issues" => Self::issues(repository, args),
            "pullRequests" => Self::pulls(repository, args),
            "label" => {
                let wanted = args.text("name").unwrap_or_default();
                let found = repository.labels.iter().find(|label| same(&label.name, wanted));
                maybe(found.map(|label| Thing::Label(repository, label)))
            }
            "labels" => {
                let all = repository.labels.iter().map(|label| Thing::Label(repository, label));
                Page::cut("LabelConnection", name, all.collect(), args).map(Out::Thing)
            }
            _ => self.collaborators(repository, args),
        }
    }

    fn collaborators(&self, repository: &Repository, args: &Args<'_>) -> Given<'a> {
        let asker = self.store.user(&identity::asker(self.store).login);
        if !asker.may("write") {
            let message = "Must have push access to view repository collaborators.".to_owned();
            return Err(Problem::of("FORBIDDEN", message));
        }
        let login = args.text("login");
        let people = crate::lab::people::collaborators(self.store, repository);
        let people = people.filter(|user| login.is_none_or(|login| same(login, &user.login)));
        let things = people.map(|user| Thing::Actor(user.clone())).collect();
        Page::cut("RepositoryCollaboratorConnection", "collaborators", things, args).map(Out::Thing)
    }
}

/// `OPEN`, `CLOSED` or `MERGED`.
pub(super) fn state(issue: &Issue) -> &'static str {
    match (issue.state, &issue.pull) {
        (_, Some(pull)) if pull.merged_at.is_some() => "MERGED",
        (State::Open, _) => "OPEN",
        (State::Closed, _) => "CLOSED",
    }
}
