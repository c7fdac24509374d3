//! Repositories, their refs, commits and collaborators; the account; the rate limit.

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::{delete, get, post};
use serde_json::{Value, json};

use super::answer::{Answer, Failure, no_content, ok};
use super::identity;
use super::limits::Resource;
use super::server::{Here, Lab, Link};

pub(super) fn routes() -> Router<Link> {
    Router::new()
        .route("/repos/{owner}/{repo}", get(show))
        .route("/repos/{owner}/{repo}/git/ref/{*reference}", get(reference))
        .route("/repos/{owner}/{repo}/git/refs/{*reference}", delete(delete_reference))
        .route("/repos/{owner}/{repo}/commits/{revision}/check-runs", get(check_runs))
        .route("/repos/{owner}/{repo}/commits/{revision}/status", get(status))
        .route("/rate_limit", get(rate_limit))
        .route("/user", get(viewer))
        .route("/meta", get(meta))
        .route("/", get(root))
        .route("/graphql", post(super::graphql::answer))
}

async fn show(Here(lab): Here, Path((owner, name)): Path<(String, String)>) -> Answer {
    let store = lab.store();
    ok(&lab.shapes(&store).repository(store.repository(&owner, &name)?))
}

/// The names a path may mean, `heads/main` or `refs/heads/main`.
fn full(reference: &str) -> String {
    format!("refs/{}", reference.trim_start_matches("refs/"))
}

async fn reference(
    Here(lab): Here,
    Path((owner, name, reference)): Path<(String, String, String)>,
) -> Answer {
    let full = full(&reference);
    let refs = lab.git.refs(&lab.place(&owner, &name)?).await?;
    let sha = refs.get(&full).ok_or_else(Failure::not_found)?;
    let api = format!("{}/repos/{owner}/{name}/git", lab.base);
    ok(&json!({
        "ref": full, "node_id": format!("REF_{full}"), "url": format!("{api}/{full}"),
        "object": {"type": "commit", "sha": sha, "url": format!("{api}/commits/{sha}")},
    }))
}

async fn delete_reference(
    Here(lab): Here,
    Path((owner, name, reference)): Path<(String, String, String)>,
) -> Answer {
    let (full, place) = (full(&reference), lab.place(&owner, &name)?);
    let refs = lab.git.refs(&place).await?;
    let Some(old) = refs.get(&full) else {
        return Err(Failure::message(StatusCode::UNPROCESSABLE_ENTITY, "Reference does not exist"));
    };
    lab.git.text(&place, &["update-ref", "-d", &full, old], b"").await?;
    super::pulls::refresh(&lab, &owner, &name).await?;
    no_content()
}

/// The commit a branch, tag or sha means.
async fn commit(lab: &Lab, owner: &str, name: &str, revision: &str) -> Result<String, Failure> {
    let found = lab.git.resolve(&lab.place(owner, name)?, revision).await?;
    found.ok_or_else(|| {
        let message = format!("No commit found for SHA: {revision}");
        Failure::message(StatusCode::UNPROCESSABLE_ENTITY, &message)
    })
}

async fn check_runs(
    Here(lab): Here,
    Path((owner, name, revision)): Path<(String, String, String)>,
) -> Answer {
    let sha = commit(&lab, &owner, &name, &revision).await?;
    let store = lab.store();
    let repository = store.repository(&owner, &name)?;
    let of_this = repository.checks.iter().filter(|check| check.sha == sha);
    let shapes = lab.shapes(&store);
    let runs: Vec<Value> = of_this.map(|check| shapes.check_run(repository, check)).collect();
    ok(&json!({"total_count": runs.len(), "check_runs": runs}))
}

async fn status(Here(lab): Here, Path((owner, name, revision)): Path<(String, String, String)>) -> Answer {
    let sha = commit(&lab, &owner, &name, &revision).await?;
    let store = lab.store();
    let shape = lab.shapes(&store).repository(store.repository(&owner, &name)?);
    let url = format!("{}/repos/{owner}/{name}/commits/{sha}", lab.base);
    // GitHub says `pending` where nobody has said anything.
    ok(&json!({
        "state": "pending", "sha": sha, "total_count": 0, "statuses": [], "repository": shape,
        "commit_url": url, "url": format!("{url}/status"),
    }))
}

async fn rate_limit(Here(lab): Here) -> Answer {
    let store = lab.store();
    let reset = lab.now().timestamp() + store.meter.resets_in();
    let limit = |resource| {
        let meter = &store.meter;
        json!({
            "limit": meter.limit(resource), "used": meter.used(resource),
            "remaining": meter.remaining(resource), "reset": reset,
        })
    };
    let (core, graphql) = (limit(Resource::Core), limit(Resource::Graphql));
    let search = json!({"limit": 30, "used": 0, "remaining": 30, "reset": reset});
    ok(&json!({"resources": {"core": core, "search": search, "graphql": graphql}, "rate": core}))
}

async fn viewer(Here(lab): Here) -> Answer {
    let store = lab.store();
    let mut shape = lab.shapes(&store).user(&identity::asker(&store).login);
    let since = super::seed::epoch();
    let more = json!({
        "name": null, "company": null, "blog": "", "location": null, "email": null, "hireable": null, "bio": null,
        "public_repos": 0, "public_gists": 0, "followers": 0, "following": 0,
        "created_at": since, "updated_at": since,
    });
    if let (Some(shape), Value::Object(more)) = (shape.as_object_mut(), more) {
        shape.extend(more);
    }
    ok(&shape)
}

/// Where a client looks at the headers to see whether its token is good.
async fn root(Here(lab): Here) -> Answer {
    let base = &lab.base;
    ok(&json!({
        "current_user_url": format!("{base}/user"), "rate_limit_url": format!("{base}/rate_limit"),
        "repository_url": format!("{base}/repos/{{owner}}/{{repo}}"),
    }))
}

async fn meta() -> Answer {
    ok(&json!({"verifiable_password_authentication": false, "hooks": ["127.0.0.0/8"]}))
}
