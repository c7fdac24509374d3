//! GitHub Apps: their installations and the tokens of those.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Extension, Path};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::routing::{delete, get, post};
use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, Failure, created, no_content, ok, parse};
use super::identity::{self, App, Grant, Installation, Token};
use super::server::{Here, Lab, Link};
use super::store::{Repository, Store, same};

/// The App whose JWT came with the request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claimed(pub u64);

pub(super) fn routes() -> Router<Link> {
    Router::new()
        .route("/app", get(show))
        .route("/app/installations", get(list))
        .route("/app/installations/{id}", get(one))
        .route("/app/installations/{id}/access_tokens", post(token))
        .route("/repos/{owner}/{repo}/installation", get(of_repository))
        .route("/installation/repositories", get(repositories))
        .route("/installation/token", delete(revoke))
}

fn claimed(store: &Store, Claimed(id): Claimed) -> Result<&App, Failure> {
    store.apps.iter().find(|app| app.id == id).ok_or_else(Failure::not_found)
}

fn installation(app: &App, id: u64) -> Result<&Installation, Failure> {
    app.installations.iter().find(|one| one.id == id).ok_or_else(Failure::not_found)
}

fn shape(lab: &Lab, store: &Store, app: &App, one: &Installation) -> Value {
    let (base, since) = (&lab.base, super::seed::epoch());
    json!({
        "id": one.id, "account": lab.shapes(store).user(&one.account), "app_id": app.id, "app_slug": app.slug,
        "target_id": store.user(&one.account).id, "target_type": store.user(&one.account).kind.name(),
        "client_id": format!("Iv1.{}", app.id),
        "repository_selection": if one.repositories.is_some() { "selected" } else { "all" },
        "access_tokens_url": format!("{base}/app/installations/{}/access_tokens", one.id),
        "repositories_url": format!("{base}/installation/repositories"),
        "html_url": format!("{base}/settings/installations/{}", one.id),
        "permissions": one.permissions, "events": [], "created_at": since, "updated_at": since,
        "single_file_name": null, "has_multiple_single_files": false, "single_file_paths": [],
        "suspended_at": null, "suspended_by": null,
    })
}

async fn show(Here(lab): Here, Extension(claim): Extension<Claimed>) -> Answer {
    let store = lab.store();
    let app = claimed(&store, claim)?;
    let mut shape = lab.shapes(&store).app_named(&app.slug);
    shape["installations_count"] = json!(app.installations.len());
    ok(&shape)
}

async fn list(Here(lab): Here, Extension(claim): Extension<Claimed>) -> Answer {
    let store = lab.store();
    let app = claimed(&store, claim)?;
    ok(&app.installations.iter().map(|one| shape(&lab, &store, app, one)).collect())
}

async fn one(Here(lab): Here, Extension(claim): Extension<Claimed>, Path(id): Path<u64>) -> Answer {
    let store = lab.store();
    let app = claimed(&store, claim)?;
    ok(&shape(&lab, &store, app, installation(app, id)?))
}

async fn of_repository(
    Here(lab): Here,
    Extension(claim): Extension<Claimed>,
    Path((owner, name)): Path<(String, String)>,
) -> Answer {
    let store = lab.store();
    let repository = store.repository(&owner, &name)?;
    let app = claimed(&store, claim)?;
    let found =
        app.installations.iter().find(|one| covers(one.repositories.as_ref(), &one.account, repository));
    ok(&shape(&lab, &store, app, found.ok_or_else(Failure::not_found)?))
}

/// Whether an installation has a repository.
fn covers(selected: Option<&Vec<String>>, account: &str, repository: &Repository) -> bool {
    match selected {
        Some(all) => all.iter().any(|one| same(one, &repository.full_name())),
        None => same(account, &repository.owner),
    }
}

#[derive(Debug, Default, Deserialize)]
struct Wish {
    repositories: Option<Vec<String>>,
    repository_ids: Option<Vec<u64>>,
    permissions: Option<BTreeMap<String, String>>,
}

async fn token(
    Here(lab): Here,
    Extension(claim): Extension<Claimed>,
    Path(id): Path<u64>,
    body: Bytes,
) -> Answer {
    let (wish, mut store): (Wish, _) = (parse(&body)?, lab.store());
    let app = claimed(&store, claim)?.clone();
    let one = installation(&app, id)?;
    let refuse = |message: &str| Failure::message(StatusCode::UNPROCESSABLE_ENTITY, message);
    let has = |repository: &&Repository| covers(one.repositories.as_ref(), &one.account, repository);
    let asked = |repository: &&Repository| {
        let named = |all: &Vec<String>| all.iter().any(|name| same(name, &repository.name));
        let counted = |all: &Vec<u64>| all.contains(&repository.id);
        wish.repositories.as_ref().is_some_and(named) || wish.repository_ids.as_ref().is_some_and(counted)
    };
    let wanted =
        wish.repositories.as_ref().map_or(0, Vec::len) + wish.repository_ids.as_ref().map_or(0, Vec::len);
    let narrowed: Vec<&Repository> = store.repositories.iter().filter(has).filter(asked).collect();
    if narrowed.len() < wanted {
        return Err(refuse(
            "There is at least one repository that does not exist or is not accessible to the parent installation.",
        ));
    }
    let level = |level: &str| ["read", "write", "admin"].iter().position(|one| *one == level);
    let permissions = match &wish.permissions {
        None => one.permissions.clone(),
        Some(wished) => {
            let granted = |(name, wanted): (&String, &String)| {
                one.permissions.get(name).is_some_and(|has| level(wanted) <= level(has))
            };
            if !wished.iter().all(granted) {
                return Err(refuse("The permissions requested are not granted to this installation."));
            }
            wished.clone()
        }
    };
    let selected = wanted > 0 || one.repositories.is_some();
    let names = if wanted > 0 {
        Some(narrowed.iter().map(|repository| repository.full_name()).collect())
    } else {
        one.repositories.clone()
    };
    let shapes = lab.shapes(&store);
    let covered: Vec<Value> = store
        .repositories
        .iter()
        .filter(|repository| covers(names.as_ref(), &one.account, repository))
        .map(|repository| shapes.repository(repository))
        .collect();
    let expires_at = lab.now() + TimeDelta::seconds(app.token_seconds);
    let serial = store.next_id();
    let value = if app.long_tokens {
        // Signed and stateless: three parts, about 520 characters in all.
        let part =
            |length: usize| format!("{serial:x}-_").repeat(length).chars().take(length).collect::<String>();
        format!("ghs_{}_{}.{}.{}", app.id, part(36), part(270), part(190))
    } else {
        format!("ghs_{serial:036x}")
    };
    let mut shape = json!({
        "token": value, "expires_at": expires_at, "permissions": permissions,
        "repository_selection": if selected { "selected" } else { "all" },
    });
    if selected {
        shape["repositories"] = json!(covered);
    }
    let grant = Grant { installation: one.id, permissions, repositories: names };
    store.tokens.push(Token {
        value,
        user: app.bot(),
        scopes: None,
        expires_at: Some(expires_at),
        app: Some(app.slug.clone()),
        grant: Some(grant),
    });
    created(&shape)
}

async fn repositories(Here(lab): Here, uri: Uri) -> Answer {
    let store = lab.store();
    let Some(grant) = identity::asker(&store).grant else {
        let message = "You must authenticate with an installation access token in order to list repositories for an installation.";
        return Err(Failure::message(StatusCode::FORBIDDEN, message));
    };
    let account = store.apps.iter().flat_map(|app| &app.installations);
    let account = account.clone().find(|one| one.id == grant.installation).map_or("", |one| &one.account);
    let shapes = lab.shapes(&store);
    let all: Vec<Value> = store
        .repositories
        .iter()
        .filter(|repository| covers(grant.repositories.as_ref(), account, repository))
        .map(|repository| shapes.repository(repository))
        .collect();
    let query = super::links::query(&uri);
    let number = |name: &str, usual| query.get(name).and_then(|text| text.parse().ok()).unwrap_or(usual);
    let (size, page): (usize, usize) = (number("per_page", 30).clamp(1, 100), number("page", 1).max(1));
    let selection = if grant.repositories.is_some() { "selected" } else { "all" };
    let shown: Vec<&Value> = all.iter().skip((page - 1) * size).take(size).collect();
    ok(&json!({"total_count": all.len(), "repository_selection": selection, "repositories": shown}))
}

/// Ends the very token that asks.
async fn revoke(Here(lab): Here, headers: HeaderMap) -> Answer {
    let mut store = lab.store();
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let token = value.rsplit(' ').next().unwrap_or_default();
    let before = store.tokens.len();
    store.tokens.retain(|known| known.grant.is_none() || known.value != token);
    if store.tokens.len() == before {
        return Err(Failure::message(
            StatusCode::FORBIDDEN,
            "Resource not accessible by personal access token",
        ));
    }
    no_content()
}
