//! Whose review of a pull request is asked for.

use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::{Answer, Failure, created, ok, parse};
use super::people::collaborators;
use super::server::{Here, Link};
use super::shapes::Shapes;
use super::store::{Pull, Repository, same};

/// People and teams that are asked.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Asked {
    pub people: Vec<String>,
    pub teams: Vec<String>,
}

pub(super) fn routes() -> Router<Link> {
    Router::new()
        .route("/repos/{owner}/{repo}/pulls/{number}/requested_reviewers", get(list).post(ask).delete(unask))
}

#[derive(Debug, Default, Deserialize)]
struct Named {
    #[serde(default)]
    reviewers: Vec<String>,
    #[serde(default)]
    team_reviewers: Vec<String>,
}

/// A team as it stands in other answers.
fn team(repository: &Repository, slug: &str) -> Value {
    let url = format!("https://api.github.com/organizations/1/team/{slug}");
    json!({
        "id": slug.len(), "node_id": format!("T_{slug}"), "url": url, "name": slug, "slug": slug,
        "description": null, "privacy": "closed", "notification_setting": "notifications_enabled",
        "permission": "push", "members_url": format!("{url}/members{{/member}}"),
        "repositories_url": format!("{url}/repos"), "type": "organization", "parent": null,
        "html_url": format!("https://github.com/orgs/{}/teams/{slug}", repository.owner),
    })
}

/// People and teams as they stand in a pull request.
pub(super) fn of(shapes: &Shapes<'_>, repository: &Repository, pull: &Pull) -> [Value; 2] {
    let people: Vec<Value> = pull.asked.people.iter().map(|login| shapes.user(login)).collect();
    let teams: Vec<Value> = pull.asked.teams.iter().map(|slug| team(repository, slug)).collect();
    [json!(people), json!(teams)]
}

async fn list(Here(lab): Here, Path((owner, name, number)): Path<(String, String, u64)>) -> Answer {
    let store = lab.store();
    let repository = store.repository(&owner, &name)?;
    let [people, teams] = of(&lab.shapes(&store), repository, repository.pull(number)?.1);
    ok(&json!({"users": people, "teams": teams}))
}

/// One who may not review spoils it for all.
async fn ask(
    Here(lab): Here,
    Path((owner, name, number)): Path<(String, String, u64)>,
    body: Bytes,
) -> Answer {
    let (wanted, mut store): (Named, _) = (parse(&body)?, lab.store());
    let repository = store.repository(&owner, &name)?;
    let refuse = |message: &str| Err(Failure::message(StatusCode::UNPROCESSABLE_ENTITY, message));
    let author = repository.issue(number)?.user.clone();
    repository.pull(number)?;
    if wanted.reviewers.iter().any(|login| same(login, &author)) {
        return refuse("Review cannot be requested from pull request author.");
    }
    let is_one = |login: &String| collaborators(&store, repository).any(|user| same(&user.login, login));
    let is_team = |slug: &String| repository.teams.iter().any(|team| same(team, slug));
    if !wanted.reviewers.iter().all(is_one) || !wanted.team_reviewers.iter().all(is_team) {
        return refuse(&format!(
            "Reviews may only be requested from collaborators. One or more of the users or teams you specified is not \
             a collaborator of the {} repository.",
            repository.full_name()
        ));
    }
    let issue = store.repository_mut(&owner, &name)?.issue_mut(number)?;
    let asked = &mut issue.pull.as_mut().ok_or_else(Failure::not_found)?.asked;
    for (list, wanted) in [(&mut asked.people, wanted.reviewers), (&mut asked.teams, wanted.team_reviewers)] {
        for one in wanted {
            if !list.iter().any(|known| same(known, &one)) {
                list.push(one);
            }
        }
    }
    let repository = store.repository(&owner, &name)?;
    let (issue, pull) = repository.pull(number)?;
    created(&lab.shapes(&store).pull(repository, issue, pull))
}

async fn unask(
    Here(lab): Here,
    Path((owner, name, number)): Path<(String, String, u64)>,
    body: Bytes,
) -> Answer {
    let (unwanted, mut store): (Named, _) = (parse(&body)?, lab.store());
    let issue = store.repository_mut(&owner, &name)?.issue_mut(number)?;
    let asked = &mut issue.pull.as_mut().ok_or_else(Failure::not_found)?.asked;
    asked.people.retain(|known| !unwanted.reviewers.iter().any(|one| same(one, known)));
    asked.teams.retain(|known| !unwanted.team_reviewers.iter().any(|one| same(one, known)));
    let repository = store.repository(&owner, &name)?;
    let (issue, pull) = repository.pull(number)?;
    ok(&lab.shapes(&store).pull(repository, issue, pull))
}
