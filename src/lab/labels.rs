//! Labels, of a repository and on an issue.

use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{StatusCode, Uri};
use axum::routing::{delete, get};
use serde::Deserialize;
use serde_json::Value;

use super::answer::{Answer, Failure, created, no_content, ok, parse};
use super::links::List;
use super::server::{Here, Link};
use super::store::{Label, Repository, Store, same};
use crate::clock::Timestamp;

pub(super) fn routes() -> Router<Link> {
    Router::new()
        .route("/repos/{owner}/{repo}/labels", get(list).post(create))
        .route("/repos/{owner}/{repo}/labels/{name}", get(show).delete(remove))
        .route(
            "/repos/{owner}/{repo}/issues/{number}/labels",
            get(list_of_issue).post(add_to_issue).put(set_of_issue).delete(clear_issue),
        )
        .route("/repos/{owner}/{repo}/issues/{number}/labels/{name}", delete(remove_from_issue))
}

/// Whether an issue has all the labels of `labels=a,b`.
pub(super) fn has_all(labels: &[String], wanted: &str) -> bool {
    let mut wanted = wanted.split(',').map(str::trim).filter(|name| !name.is_empty());
    wanted.all(|name| labels.iter().any(|label| same(label, name)))
}

/// A label in a request: its name, or an object that holds the name.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Named {
    Name(String),
    Object { name: String },
}

impl Named {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Name(name) | Self::Object { name } => name,
        }
    }
}

/// `{"labels": […]}` or the list alone.
fn names(body: &[u8]) -> Result<Vec<Named>, Failure> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Body {
        Object {
            #[serde(default)]
            labels: Vec<Named>,
        },
        List(Vec<Named>),
    }
    Ok(match parse(body)? {
        Body::Object { labels } | Body::List(labels) => labels,
    })
}

fn find<'a>(repository: &'a Repository, name: &str) -> Result<&'a Label, Failure> {
    repository.labels.iter().find(|label| same(&label.name, name)).ok_or_else(Failure::not_found)
}

async fn list(Here(lab): Here, Path((owner, name)): Path<(String, String)>, uri: Uri) -> Answer {
    let store = lab.store();
    let (shapes, repository) = (lab.shapes(&store), store.repository(&owner, &name)?);
    let list = List::of(&lab, &uri, repository);
    list.page(&repository.labels, |label| shapes.label(repository, label))
}

async fn create(Here(lab): Here, Path((owner, name)): Path<(String, String)>, body: Bytes) -> Answer {
    #[derive(Deserialize)]
    struct New {
        name: Option<String>,
        color: Option<String>,
        description: Option<String>,
    }
    let new: New = parse(&body)?;
    let field = |field, code| Failure::field("Label", field, code);
    let label = new.name.filter(|name| !name.is_empty()).ok_or_else(|| field("name", "missing_field"))?;
    let color = new.color.unwrap_or_else(|| "ededed".to_owned());
    if label.chars().count() > 50 {
        return Err(field("name", "invalid"));
    }
    if color.len() != 6 || !color.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(field("color", "invalid"));
    }
    if new.description.as_ref().is_some_and(|text| text.chars().count() > 100) {
        return Err(field("description", "invalid"));
    }
    let mut store = lab.store();
    let id = store.next_id();
    let repository = store.repository_mut(&owner, &name)?;
    if repository.labels.iter().any(|one| same(&one.name, &label)) {
        return Err(field("name", "already_exists"));
    }
    repository.labels.push(Label { id, name: label.clone(), color, description: new.description });
    let repository = store.repository(&owner, &name)?;
    created(&lab.shapes(&store).label(repository, find(repository, &label)?))
}

async fn show(Here(lab): Here, Path((owner, name, label)): Path<(String, String, String)>) -> Answer {
    let store = lab.store();
    let repository = store.repository(&owner, &name)?;
    ok(&lab.shapes(&store).label(repository, find(repository, &label)?))
}

async fn remove(Here(lab): Here, Path((owner, name, label)): Path<(String, String, String)>) -> Answer {
    let mut store = lab.store();
    let repository = store.repository_mut(&owner, &name)?;
    find(repository, &label)?;
    repository.labels.retain(|one| !same(&one.name, &label));
    for issue in repository.issues.values_mut() {
        issue.labels.retain(|one| !same(one, &label));
    }
    no_content()
}

/// The labels an issue has now.
fn of_issue(lab: &super::server::Lab, store: &Store, owner: &str, name: &str, number: u64) -> Answer {
    let repository = store.repository(owner, name)?;
    ok(&lab.shapes(store).labels(repository, repository.issue(number)?))
}

/// Makes an issue's labels exactly these.
pub(super) fn set(
    store: &mut Store,
    owner: &str,
    name: &str,
    number: u64,
    now: Timestamp,
    wanted: &[Named],
) -> Result<(), Failure> {
    let present = store.repository(owner, name)?.issue(number)?.labels.clone();
    for label in present.iter().filter(|label| !wanted.iter().any(|one| same(one.name(), label))) {
        store.remove_label(owner, name, number, now, label)?;
    }
    for label in wanted {
        store.add_label(owner, name, number, now, label.name())?;
    }
    Ok(())
}

async fn list_of_issue(
    Here(lab): Here,
    Path((owner, name, number)): Path<(String, String, u64)>,
    uri: Uri,
) -> Answer {
    let store = lab.store();
    let repository = store.repository(&owner, &name)?;
    let labels = lab.shapes(&store).labels(repository, repository.issue(number)?);
    let list = List::of(&lab, &uri, repository);
    list.page(labels.as_array().map_or(&[], Vec::as_slice), Value::clone)
}

async fn add_to_issue(
    Here(lab): Here,
    Path((owner, name, number)): Path<(String, String, u64)>,
    body: Bytes,
) -> Answer {
    let (wanted, now, mut store) = (names(&body)?, lab.now(), lab.store());
    for label in &wanted {
        store.add_label(&owner, &name, number, now, label.name())?;
    }
    of_issue(&lab, &store, &owner, &name, number)
}

async fn set_of_issue(
    Here(lab): Here,
    Path((owner, name, number)): Path<(String, String, u64)>,
    body: Bytes,
) -> Answer {
    let (wanted, now, mut store) = (names(&body)?, lab.now(), lab.store());
    set(&mut store, &owner, &name, number, now, &wanted)?;
    of_issue(&lab, &store, &owner, &name, number)
}

async fn clear_issue(Here(lab): Here, Path((owner, name, number)): Path<(String, String, u64)>) -> Answer {
    let (now, mut store) = (lab.now(), lab.store());
    set(&mut store, &owner, &name, number, now, &[])?;
    no_content()
}

async fn remove_from_issue(
    Here(lab): Here,
    Path((owner, name, number, label)): Path<(String, String, u64, String)>,
) -> Answer {
    let (now, mut store) = (lab.now(), lab.store());
    if !store.remove_label(&owner, &name, number, now, &label)? {
        return Err(Failure::message(StatusCode::NOT_FOUND, "Label does not exist"));
    }
    of_issue(&lab, &store, &owner, &name, number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_all_wanted_and_compared_without_case() {
        let labels = ["Claude-Ready".to_owned(), "bug".to_owned()];
        let cases = [
            ("", true),
            ("claude-ready", true),
            ("BUG,claude-ready", true),
            ("bug, claude-ready", true),
            ("bug,wontfix", false),
            ("claude", false),
        ];
        for (wanted, expected) in cases {
            assert_eq!(has_all(&labels, wanted), expected, "{wanted}");
        }
    }

    #[test]
    fn labels_come_as_names_or_objects() {
        for body in [r#"{"labels":["a",{"name":"b","suggest":true}]}"#, r#"["a",{"name":"b"}]"#] {
            let names = names(body.as_bytes()).unwrap();
            assert_eq!(names.iter().map(Named::name).collect::<Vec<_>>(), ["a", "b"]);
        }
        assert!(names(b"").unwrap().is_empty());
    }
}
