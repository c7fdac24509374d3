//! What things look like in GitHub's REST API, version 2022-11-28.

use serde_json::{Map, Value, json};

use super::relations;
use super::store::{CheckRun, Comment, Event, Issue, Label, Pull, Repository, Review, State, Store, same};

/// Draws things; `base` is the server's address, `store` knows the users.
pub(super) struct Shapes<'a> {
    pub base: &'a str,
    pub store: &'a Store,
}

impl Shapes<'_> {
    pub(super) fn user(&self, login: &str) -> Value {
        let user = self.store.user(login);
        let login = &user.login;
        let url = format!("{}/users/{login}", self.base);
        if user.deleted {
            return Value::Null;
        }
        let kind = user.kind.name();
        json!({
            "login": login, "id": user.id, "node_id": format!("U_{}", user.id),
            "avatar_url": format!("{}/avatars/{login}", self.base), "gravatar_id": "", "url": url,
            "html_url": format!("{}/{login}", self.base), "followers_url": format!("{url}/followers"),
            "following_url": format!("{url}/following{{/other_user}}"), "gists_url": format!("{url}/gists{{/gist_id}}"),
            "starred_url": format!("{url}/starred{{/owner}}{{/repo}}"),
            "subscriptions_url": format!("{url}/subscriptions"), "organizations_url": format!("{url}/orgs"),
            "repos_url": format!("{url}/repos"), "events_url": format!("{url}/events{{/privacy}}"),
            "received_events_url": format!("{url}/received_events"), "type": kind, "site_admin": false,
        })
    }

    /// An App, in full; one nobody has declared has only its name.
    pub(super) fn app_named(&self, slug: &str) -> Value {
        let known = self.store.apps.iter().find(|app| app.slug == slug);
        let owner = known.map_or("github", |app| &app.owner);
        let (id, since) = (known.map_or(1, |app| app.id), super::seed::epoch());
        let permissions = known.and_then(|app| app.installations.first()).map(|one| &one.permissions);
        json!({
            "id": id, "slug": slug, "node_id": format!("A_{id}"), "client_id": format!("Iv1.{id}"),
            "owner": self.user(owner), "name": slug, "description": null, "events": [],
            "external_url": format!("{}/{slug}", self.base), "html_url": format!("{}/apps/{slug}", self.base),
            "created_at": since, "updated_at": since, "permissions": permissions.cloned().unwrap_or_default(),
        })
    }

    fn api(&self, repository: &Repository) -> String {
        format!("{}/repos/{}/{}", self.base, repository.owner, repository.name)
    }

    fn html(&self, repository: &Repository) -> String {
        format!("{}/{}/{}", self.base, repository.owner, repository.name)
    }

    pub(super) fn repository(&self, repository: &Repository) -> Value {
        let (api, html) = (self.api(repository), self.html(repository));
        let viewer = self.store.user(&super::identity::asker(self.store).login);
        let open = repository.issues.values().filter(|issue| issue.state == State::Open).count();
        let mut shape = object(json!({
            "id": repository.id, "node_id": format!("R_{}", repository.id), "name": repository.name,
            "full_name": format!("{}/{}", repository.owner, repository.name),
            "owner": self.user(&repository.owner), "private": repository.private,
            "visibility": if repository.private { "private" } else { "public" },
            "html_url": html, "url": api, "clone_url": format!("{html}.git"), "svn_url": html,
            "git_url": format!("git:{}/{}.git", repository.owner, repository.name),
            "ssh_url": format!("git@localhost:{}/{}.git", repository.owner, repository.name),
            "description": "A rehearsal", "fork": false, "default_branch": repository.default_branch,
        }));
        shape.extend(object(json!({
            "open_issues": open, "open_issues_count": open, "forks": 0, "forks_count": 0, "watchers": 0,
            "watchers_count": 0, "stargazers_count": 0, "network_count": 0, "subscribers_count": 0, "size": 1,
            "has_issues": repository.has_issues, "has_projects": false, "has_wiki": false, "has_pages": false,
            "has_discussions": false, "has_downloads": true, "homepage": null, "language": null,
            "archived": false, "disabled": false, "mirror_url": null, "license": null, "topics": [],
            "allow_merge_commit": true, "allow_squash_merge": true, "allow_rebase_merge": true,
            "allow_auto_merge": repository.rules.auto_merge, "delete_branch_on_merge": false,
            "pushed_at": repository.pushes.last().map_or(repository.created_at, |push| push.at),
            "created_at": repository.created_at, "updated_at": repository.created_at,
            "permissions": {
                "admin": viewer.may("admin"), "maintain": viewer.may("maintain"), "push": viewer.may("write"),
                "triage": viewer.may("triage"), "pull": true,
            },
        })));
        templates(&mut shape, &api);
        Value::Object(shape)
    }

    pub(super) fn label(&self, repository: &Repository, label: &Label) -> Value {
        json!({
            "id": label.id, "node_id": format!("LA_{}", label.id), "name": label.name, "color": label.color,
            "description": label.description, "default": false,
            "url": format!("{}/labels/{}", self.api(repository), encode(&label.name)),
        })
    }

    /// The labels of an issue.
    pub(super) fn labels(&self, repository: &Repository, issue: &Issue) -> Value {
        let known = |name: &String| repository.labels.iter().find(|label| same(&label.name, name));
        issue.labels.iter().filter_map(known).map(|label| self.label(repository, label)).collect()
    }

    /// What issues and pull requests have in common.
    fn common(&self, repository: &Repository, issue: &Issue) -> Map<String, Value> {
        let issue_url = format!("{}/issues/{}", self.api(repository), issue.number);
        let assignees: Vec<Value> = issue.assignees.iter().map(|login| self.user(login)).collect();
        let shape = json!({
            "id": issue.id, "number": issue.number, "title": issue.title, "body": issue.body,
            "state": issue.state.name(), "locked": issue.locked, "active_lock_reason": issue.lock_reason, "user": self.user(&issue.user),
            "author_association": issue.author_association, "labels": self.labels(repository, issue),
            "assignee": assignees.first(), "assignees": assignees, "milestone": null,
            "comments": issue.comments.len(), "comments_url": format!("{issue_url}/comments"),
            "created_at": issue.created_at, "updated_at": issue.updated_at, "closed_at": issue.closed_at,
        });
        if let Value::Object(shape) = shape { shape } else { Map::new() }
    }

    pub(super) fn issue(&self, repository: &Repository, issue: &Issue) -> Value {
        let api = self.api(repository);
        let url = format!("{api}/issues/{}", issue.number);
        let page = if issue.pull.is_some() { "pull" } else { "issues" };
        let mut shape = self.common(repository, issue);
        let (waits, parts) = relations::summaries(self.store, repository, issue);
        let closer = issue.events.iter().rev().find(|event| event.kind == "closed");
        shape.extend(object(json!({
            "url": url, "repository_url": api, "labels_url": format!("{url}/labels{{/name}}"),
            "events_url": format!("{url}/events"), "timeline_url": format!("{url}/timeline"),
            "html_url": format!("{}/{page}/{}", self.html(repository), issue.number),
            "node_id": format!("I_{}", issue.id), "state_reason": issue.state_reason,
            "performed_via_github_app": null, "issue_dependencies_summary": waits, "sub_issues_summary": parts,
            "closed_by": closer.filter(|_| issue.state == State::Closed).map(|event| self.user(&event.actor)),
            "reactions": {
                "url": format!("{url}/reactions"), "total_count": 0, "+1": 0, "-1": 0, "laugh": 0,
                "hooray": 0, "confused": 0, "heart": 0, "rocket": 0, "eyes": 0,
            },
        })));
        if let Some(pull) = &issue.pull {
            let html = format!("{}/pull/{}", self.html(repository), issue.number);
            shape.insert("draft".to_owned(), json!(pull.draft));
            let links = json!({
                "url": format!("{api}/pulls/{}", issue.number), "html_url": html,
                "diff_url": format!("{html}.diff"), "patch_url": format!("{html}.patch"),
                "merged_at": pull.merged_at,
            });
            shape.insert("pull_request".to_owned(), links);
        }
        Value::Object(shape)
    }

    pub(super) fn pull(&self, repository: &Repository, issue: &Issue, pull: &Pull) -> Value {
        let api = self.api(repository);
        let (url, number) = (format!("{api}/pulls/{}", issue.number), issue.number);
        let issue_url = format!("{api}/issues/{number}");
        let html = format!("{}/pull/{number}", self.html(repository));
        let head = pull.head_sha.clone().unwrap_or_else(|| pull.base_sha.clone());
        let statuses = format!("{api}/statuses/{head}");
        let [people, teams] = super::reviewers::of(self, repository, pull);
        let end = |branch: &str, sha: &str| {
            json!({
                "label": format!("{}:{branch}", repository.owner), "ref": branch, "sha": sha,
                "user": self.user(&repository.owner), "repo": self.repository(repository),
            })
        };
        let mut shape = self.common(repository, issue);
        shape.extend(object(json!({
            "url": url, "node_id": format!("PR_{}", issue.id), "html_url": html,
            "diff_url": format!("{html}.diff"), "patch_url": format!("{html}.patch"), "issue_url": issue_url,
            "commits_url": format!("{url}/commits"), "review_comments_url": format!("{url}/comments"),
            "review_comment_url": format!("{api}/pulls/comments{{/number}}"), "statuses_url": statuses,
            "merged_at": pull.merged_at, "merge_commit_sha": pull.merge_commit_sha, "draft": pull.draft,
            "requested_reviewers": people, "requested_teams": teams, "auto_merge": null,
            "head": end(&pull.head, &head), "base": end(&pull.base, &pull.base_sha),
            "_links": {
                "self": {"href": url}, "html": {"href": html}, "issue": {"href": issue_url},
                "comments": {"href": format!("{issue_url}/comments")}, "statuses": {"href": statuses},
                "review_comments": {"href": format!("{url}/comments")}, "commits": {"href": format!("{url}/commits")},
                "review_comment": {"href": format!("{api}/pulls/comments{{/number}}")},
            },
        })));
        Value::Object(shape)
    }

    pub(super) fn comment(&self, repository: &Repository, number: u64, comment: &Comment) -> Value {
        let api = self.api(repository);
        json!({
            "id": comment.id, "node_id": format!("IC_{}", comment.id), "body": comment.body,
            "url": format!("{api}/issues/comments/{}", comment.id), "issue_url": format!("{api}/issues/{number}"),
            "html_url": format!("{}/issues/{number}#issuecomment-{}", self.html(repository), comment.id),
            "user": self.user(&comment.user), "author_association": comment.author_association,
            "performed_via_github_app": null,
            "created_at": comment.created_at, "updated_at": comment.updated_at,
        })
    }

    pub(super) fn event(&self, repository: &Repository, event: &Event) -> Value {
        let mut shape = object(json!({
            "id": event.id, "node_id": format!("EV_{}", event.id), "event": event.kind,
            "url": format!("{}/issues/events/{}", self.api(repository), event.id),
            "actor": self.user(&event.actor), "commit_id": null, "commit_url": null,
            "created_at": event.created_at,
            "performed_via_github_app": event.app.as_deref().map_or(Value::Null, |slug| self.app_named(slug)),
        }));
        if let Some(subject) = &event.subject {
            if event.kind.ends_with("labeled") {
                let label = repository.labels.iter().find(|label| same(&label.name, subject));
                let color = label.map_or("ededed", |label| &label.color);
                shape.insert("label".to_owned(), json!({"name": subject, "color": color}));
            } else if event.kind == "renamed" {
                shape.insert("rename".to_owned(), json!({"from": event.previous, "to": subject}));
            } else if event.kind == "locked" {
                shape.insert("lock_reason".to_owned(), json!(subject));
            } else if event.kind.ends_with("assigned") {
                shape.insert("assignee".to_owned(), self.user(subject));
                shape.insert("assigner".to_owned(), self.user(&event.actor));
            }
        }
        Value::Object(shape)
    }

    pub(super) fn review(&self, repository: &Repository, number: u64, review: &Review) -> Value {
        let html = format!("{}/pull/{number}#pullrequestreview-{}", self.html(repository), review.id);
        let pull = format!("{}/pulls/{number}", self.api(repository));
        json!({
            "id": review.id, "node_id": format!("PRR_{}", review.id), "user": self.user(&review.user),
            "body": review.body, "state": review.state, "html_url": html, "pull_request_url": pull,
            "_links": {"html": {"href": html}, "pull_request": {"href": pull}},
            "submitted_at": review.submitted_at, "commit_id": review.commit_id,
            "author_association": "COLLABORATOR",
        })
    }

    pub(super) fn check_run(&self, repository: &Repository, check: &CheckRun) -> Value {
        let url = format!("{}/check-runs/{}", self.api(repository), check.id);
        let done = check.conclusion.is_some();
        json!({
            "id": check.id, "node_id": format!("CR_{}", check.id), "head_sha": check.sha, "name": check.name,
            "external_id": "", "url": url, "html_url": format!("{}/runs/{}", self.html(repository), check.id),
            "details_url": null, "status": check.status, "conclusion": check.conclusion, "started_at": check.at,
            "completed_at": done.then_some(check.at), "check_suite": null, "app": null, "pull_requests": [],
            "output": {
                "title": check.name, "summary": check.summary, "text": null, "annotations_count": 0,
                "annotations_url": format!("{url}/annotations"),
            },
        })
    }
}

fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(object) = value { object } else { Map::new() }
}

/// Percent-encoding for one segment of a path.
pub(super) fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// The addresses, most of them URI templates, that GitHub puts into every repository.
fn templates(shape: &mut Map<String, Value>, api: &str) {
    const TEMPLATES: [(&str, &str); 36] = [
        ("archive_url", "/{archive_format}{/ref}"),
        ("assignees_url", "/assignees{/user}"),
        ("blobs_url", "/git/blobs{/sha}"),
        ("branches_url", "/branches{/branch}"),
        ("collaborators_url", "/collaborators{/collaborator}"),
        ("comments_url", "/comments{/number}"),
        ("commits_url", "/commits{/sha}"),
        ("compare_url", "/compare/{base}...{head}"),
        ("contents_url", "/contents/{+path}"),
        ("contributors_url", "/contributors"),
        ("deployments_url", "/deployments"),
        ("downloads_url", "/downloads"),
        ("events_url", "/events"),
        ("forks_url", "/forks"),
        ("git_commits_url", "/git/commits{/sha}"),
        ("git_refs_url", "/git/refs{/sha}"),
        ("git_tags_url", "/git/tags{/sha}"),
        ("hooks_url", "/hooks"),
        ("issue_comment_url", "/issues/comments{/number}"),
        ("issue_events_url", "/issues/events{/number}"),
        ("issues_url", "/issues{/number}"),
        ("keys_url", "/keys{/key_id}"),
        ("labels_url", "/labels{/name}"),
        ("languages_url", "/languages"),
        ("merges_url", "/merges"),
        ("milestones_url", "/milestones{/number}"),
        ("notifications_url", "/notifications{?since,all,participating}"),
        ("pulls_url", "/pulls{/number}"),
        ("releases_url", "/releases{/id}"),
        ("stargazers_url", "/stargazers"),
        ("statuses_url", "/statuses/{sha}"),
        ("subscribers_url", "/subscribers"),
        ("subscription_url", "/subscription"),
        ("tags_url", "/tags"),
        ("teams_url", "/teams"),
        ("trees_url", "/git/trees{/sha}"),
    ];
    for (name, template) in TEMPLATES {
        shape.insert(name.to_owned(), Value::String(format!("{api}{template}")));
    }
}
