//! The readers against the answers that GitHub itself gives as examples in its descriptions of both versions.

use cq::github::{issues, labels, pulls, roles};
use serde_json::{Value, json};

use crate::description::versions;
use crate::replay::Replay;

/// An answer to a GET.
fn answer(path: &str, response: &Value) -> Value {
    let headers = json!({"content-type": "application/json; charset=utf-8"});
    json!({"method": "GET", "path": path, "body": "", "status": 200, "headers": headers, "response": response})
}

#[test]
fn githubs_own_examples_are_read() {
    let examples: Value = serde_json::from_str(include_str!("../data/github/examples/answers.json")).unwrap();
    for description in versions() {
        let examples = &examples[description.version];
        let below = |path: &str| format!("/repos/octocat/Hello-World/{path}");
        let head = "pulls?head=octocat%3Anew-topic&state=all&sort=created&direction=desc&per_page=100";
        // GitHub's example of an issue is one of a pull request, as its `pull_request` says.
        let mut issue = examples["issue"].clone();
        assert!(issue.as_object_mut().unwrap().remove("pull_request").is_some());
        let replay = Replay::of(
            &[
                answer(&below("issues/1347"), &issue),
                answer(&below("issues/1348"), &examples["issue"]),
                answer(&below("pulls/1347"), &examples["pull-request"]),
                answer(&below(head), &examples["pull-requests"]),
                answer(&below("labels/bug"), &examples["label"]),
                answer(&below("collaborators/octocat/permission"), &examples["permission"]),
            ],
            None,
        );
        let (client, repo) = (replay.client(), "octocat/Hello-World");

        let record = issues::get(&client, repo, 1347).unwrap();
        assert_eq!((record.number, &*record.issue.title), (1347, "Found a bug"));
        assert_eq!((&*record.issue.author, &*record.issue.state), ("octocat", "open"));
        assert_eq!(
            (record.issue.labels, record.issue.assignees),
            (vec!["bug".into()], vec!["octocat".into()])
        );
        assert!(record.issue.created_at.is_some() && record.issue.updated_at.is_some());

        let error = issues::get(&client, repo, 1348).unwrap_err();
        assert!(error.to_string().contains("is a pull request"), "{error}");

        let pull = pulls::look(&client, repo, 1347).unwrap().pull_request;
        let sha = "6dcb09b5b57875f334f61aebed695e2e4193db5e";
        assert_eq!((pull.number, &*pull.head_sha, pull.draft), (1347, sha, false));
        assert_eq!(pull.state, "merged", "it has a merged_at");
        let known = pulls::of_branch(&client, repo, "new-topic", sha).unwrap();
        let pulls::Known::This(found) = known else { panic!("{known:?}") };
        assert_eq!(
            (found.pull_request.number, found.labels.concat(), found.assignees.len()),
            (1347, "bug".into(), 2)
        );

        assert!(!labels::make(&client, repo, "bug", "f29513", "").unwrap());
        assert_eq!(roles::role_name(&client, repo, "octocat").unwrap().as_deref(), Some("admin"));

        let found = issues::parse_file(&examples["search"].to_string()).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(issues::from_json(&found[0].1, None).unwrap().number, 132);
    }
}
