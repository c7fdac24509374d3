//! Branches, pushes and the pull requests that live on them.

use serde_json::json;

use super::{Got, Rehearsal, good};

#[test]
fn only_the_token_may_push() {
    let lab = Rehearsal::acme(&json!([]));
    good(&lab.git(&["clone", "-q", &lab.remote(""), "open"]));
    assert!(lab.folder.path().join("open/README.md").exists());
    for user in ["", "x:wrong@"] {
        let refused = lab.git(&["-C", "open", "push", "-q", &lab.remote(user), "HEAD:refs/heads/other"]);
        assert!(!refused.status.success(), "{user}");
    }
    // More than git sends in one piece, and nothing that it could make small: the body comes in chunks.
    let mut random = fastrand::Rng::with_seed(7);
    lab.push("topic", "new.txt", &(0..3_000_000).map(|_| random.alphanumeric()).collect::<String>());
    let pushes = lab.state()["pushes"].clone();
    assert_eq!((pushes.as_array().unwrap().len(), &pushes[0]["reference"]), (1, &json!("refs/heads/topic")));
    let found = lab.get("/repos/acme/widgets/git/ref/heads/topic");
    assert_eq!(found.body["object"]["sha"], pushes[0]["new"]);
    let routes = lab.get("/_lab/state").body["routes"].clone();
    assert_eq!(routes["POST /{owner}/{repo}.git/git-receive-pack"], 2, "git probes before it sends much");
}

#[test]
fn a_private_repository_is_nobodys_business() {
    let lab =
        Rehearsal::start(&json!({"repositories": [{"owner": "acme", "name": "widgets", "private": true}]}));
    assert_eq!(lab.send("GET", "/repos/acme/widgets", None, &[]).status, 404);
    assert_eq!(lab.get("/repos/acme/widgets").status, 200);
    assert!(!lab.git(&["ls-remote", &lab.remote("")]).status.success());
    good(&lab.git(&["ls-remote", &lab.remote("any:lab-token@")]));
}

#[test]
fn a_pull_request_lives_and_is_merged() {
    let lab = Rehearsal::acme(&json!([{"number": 7, "labels": ["claude-ready"]}, {"number": 8}]));
    let pulls = "/repos/acme/widgets/pulls";
    let mut wish = json!({"title": "Fix", "head": "claude/issue-7-1", "base": "main", "body": "Closes #7."});
    let error = |got: &Got| got.body["errors"][0].clone();
    assert_eq!(error(&lab.call("POST", pulls, &wish))["field"], "head");
    good(&lab.git(&["clone", "-q", &lab.remote(""), "same"]));
    good(&lab.git(&["-C", "same", "push", "-q", &lab.remote("x:lab-token@"), "HEAD:refs/heads/same"]));
    wish["head"] = json!("same");
    assert_eq!(error(&lab.call("POST", pulls, &wish))["message"], "No commits between main and same");

    wish["head"] = json!("acme:claude/issue-7-1");
    let first = lab.push("claude/issue-7-1", "fix.txt", "one\n");
    let made = lab.call("POST", pulls, &wish);
    assert_eq!(
        (made.status, &made.body["number"], &made.body["head"]["sha"]),
        (201, &json!(9), &json!(first))
    );
    assert_eq!((&made.body["mergeable_state"], &made.body["changed_files"]), (&json!("clean"), &json!(1)));
    let again = lab.call("POST", pulls, &wish);
    assert_eq!(again.status, 422);
    assert_eq!(error(&again)["message"], "A pull request already exists for acme:claude/issue-7-1.");
    let count = |query: &str| lab.get(&format!("{pulls}?{query}")).body.as_array().unwrap().len();
    assert_eq!(count("head=acme:claude/issue-7-1&state=open"), 1);
    assert_eq!(count("head=acme:other"), 0);
    assert_eq!(count("head=other"), 1, "without an owner the filter is ignored");

    let second = lab.push("claude/issue-7-1", "fix.txt", "two\n");
    assert_eq!(lab.get(&format!("{pulls}/9")).body["head"]["sha"], json!(second));
    let merge = |sha: &str| lab.call("PUT", &format!("{pulls}/9/merge"), &json!({"sha": sha}));
    assert_eq!(merge(&first).status, 409);
    let merged = merge(&second);
    assert_eq!((merged.status, &merged.body["merged"]), (200, &json!(true)));
    assert_eq!(merge(&second).status, 405);
    let bare = format!("{}/acme/widgets.git", lab.ready["git_root"].as_str().unwrap());
    assert_eq!(good(&lab.git(&["--git-dir", &bare, "show", "main:fix.txt"])), "two");
    assert_eq!(
        good(&lab.git(&["--git-dir", &bare, "rev-parse", "main"])),
        merged.body["sha"].as_str().unwrap()
    );
    assert_eq!(lab.get("/repos/acme/widgets/issues/7").body["state"], "closed");
    assert_eq!(lab.get("/repos/acme/widgets/issues/8").body["state"], "open");
    let after = lab.get(&format!("{pulls}/9")).body;
    assert_eq!((&after["merged"], &after["state"]), (&json!(true), &json!("closed")));
}

#[test]
fn a_branch_that_goes_takes_its_pull_request_along() {
    let lab = Rehearsal::acme(&json!([]));
    lab.push("topic", "a.txt", "a");
    let made = lab.call(
        "POST",
        "/repos/acme/widgets/pulls",
        &json!({"title": "t", "head": "topic", "base": "main"}),
    );
    let path = format!("/repos/acme/widgets/pulls/{}", made.body["number"]);
    assert_eq!(lab.call("DELETE", "/repos/acme/widgets/git/refs/heads/topic", &json!({})).status, 204);
    assert_eq!(lab.get(&path).body["state"], "closed");
    assert_eq!(lab.call("DELETE", "/repos/acme/widgets/git/refs/heads/topic", &json!({})).status, 422);
    assert_eq!(lab.get("/repos/acme/widgets/git/ref/heads/topic").status, 404);
}

#[test]
fn reviewers_and_ci_speak() {
    let lab = Rehearsal::acme(&json!([]));
    let sha = lab.push("topic", "a.txt", "a");
    let made = lab.call(
        "POST",
        "/repos/acme/widgets/pulls",
        &json!({"title": "t", "head": "topic", "base": "main"}),
    );
    let number = &made.body["number"];
    let empty = lab.get("/repos/acme/widgets/commits/topic/check-runs").body;
    assert_eq!(empty["total_count"], 0);
    let check = json!({"repository": "acme/widgets", "sha": sha, "conclusion": "failure", "summary": "2 tests failed"});
    assert_eq!(lab.call("POST", "/_lab/checks", &check).status, 204);
    let runs = lab.get(&format!("/repos/acme/widgets/commits/{sha}/check-runs")).body;
    assert_eq!(runs["check_runs"][0]["conclusion"], "failure");
    let review = json!({"repository": "acme/widgets", "number": number, "user": "mia", "state": "CHANGES_REQUESTED", "body": "No."});
    assert_eq!(lab.call("POST", "/_lab/reviews", &review).status, 200);
    let reviews = lab.get(&format!("/repos/acme/widgets/pulls/{number}/reviews")).body;
    assert_eq!((&reviews[0]["state"], &reviews[0]["commit_id"]), (&json!("CHANGES_REQUESTED"), &json!(sha)));
}
