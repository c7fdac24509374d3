//! Who may do what in a repository.

use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, Uri};
use axum::routing::get;
use serde_json::{Value, json};

use super::answer::{Answer, Failure, no_content, ok};
use super::identity;
use super::links::List;
use super::server::{Here, Link};
use super::shapes::Shapes;
use super::store::{Repository, Store, User};

pub(super) fn routes() -> Router<Link> {
    Router::new()
        .route("/repos/{owner}/{repo}/collaborators", get(list))
        .route("/repos/{owner}/{repo}/collaborators/{user}", get(is_one))
        .route("/repos/{owner}/{repo}/collaborators/{user}/permission", get(permission))
}

/// The people with a role: in a public repository everybody can read, so it takes more than that.
pub(super) fn collaborators<'a>(store: &'a Store, repository: &Repository) -> impl Iterator<Item = &'a User> {
    let least = if repository.private { "read" } else { "triage" };
    store
        .users
        .values()
        .filter(move |user| user.kind == super::store::Kind::User && !user.deleted && user.may(least))
}

/// `permission` only knows four words; `role_name` is exact.
fn coarse(user: &User) -> &'static str {
    match user.permission.as_str() {
        "admin" => "admin",
        "maintain" | "write" => "write",
        "triage" | "read" => "read",
        _ => "none",
    }
}

fn with_role(shapes: &Shapes<'_>, user: &User) -> Value {
    let mut shape = shapes.user(&user.login);
    shape["role_name"] = json!(user.role());
    shape["permissions"] = json!({
        "admin": user.may("admin"), "maintain": user.may("maintain"), "push": user.may("write"),
        "triage": user.may("triage"), "pull": user.may("read"),
    });
    shape
}

/// Only who can push may ask.
fn guard(store: &Store, what: &str) -> Result<(), Failure> {
    let asker = identity::asker(store);
    if asker.grant.is_some() || store.user(&asker.login).may("write") {
        return Ok(());
    }
    Err(Failure::message(StatusCode::FORBIDDEN, &format!("Must have push access to view {what}.")))
}

async fn list(Here(lab): Here, Path((owner, name)): Path<(String, String)>, uri: Uri) -> Answer {
    let store = lab.store();
    let (shapes, repository) = (lab.shapes(&store), store.repository(&owner, &name)?);
    guard(&store, "repository collaborators")?;
    let people: Vec<&User> = collaborators(&store, repository).collect();
    let list = List::of(&lab, &uri, repository);
    list.page(&people, |user| with_role(&shapes, user))
}

async fn is_one(Here(lab): Here, Path((owner, name, login)): Path<(String, String, String)>) -> Answer {
    let store = lab.store();
    let repository = store.repository(&owner, &name)?;
    guard(&store, "repository collaborators")?;
    let found = collaborators(&store, repository).any(|user| super::store::same(&user.login, &login));
    if found { no_content() } else { Err(Failure::not_found()) }
}

async fn permission(Here(lab): Here, Path((owner, name, login)): Path<(String, String, String)>) -> Answer {
    let store = lab.store();
    store.repository(&owner, &name)?;
    guard(&store, "collaborator permission")?;
    let user = store.users.get(&login.to_lowercase()).filter(|user| !user.deleted);
    let Some(user) = user else {
        let message = format!("{login} is not a user");
        return Err(Failure::message(StatusCode::NOT_FOUND, &message));
    };
    let shape = with_role(&lab.shapes(&store), user);
    ok(&json!({"permission": coarse(user), "role_name": user.role(), "user": shape}))
}
