//! What becomes of a pull request: reviews, checks, the rules of its base, and what changes it.

use serde_json::{Value, json};

use super::acme;

/// What decides what becomes of a pull request.
const PROGRESS: &str = "query($number: Int!) { repository(owner: \"acme\", name: \"widgets\") {
  autoMergeAllowed
  pullRequest(number: $number) {
    id mergeable mergeStateStatus isInMergeQueue isMergeQueueEnabled autoMergeRequest { enabledAt }
    mergeCommit { oid }
    reviews(last: 100) { totalCount nodes { id author { __typename login } body lastEditedAt editor { login } isMinimized
      createdAt updatedAt state submittedAt commit { oid } } }
    reviewThreads(last: 100) { nodes { id isResolved path line comments(first: 100) { pageInfo { hasNextPage } nodes {
      id fullDatabaseId author { __typename login } body lastEditedAt editor { __typename login } isMinimized createdAt
      updatedAt state } } } }
    statusCheckRollup { id contexts(first: 100) { pageInfo { hasNextPage } nodes { __typename ... on CheckRun {
      id name status conclusion startedAt completedAt isRequired(pullRequestNumber: $number) title summary text detailsUrl
      databaseId checkSuite { id app { slug } workflowRun { id event workflow { id name } } }
      annotations(first: 20) { nodes { path message annotationLevel title location { start { line } } } } } } } }
    baseRef { name refUpdateRule { requiredStatusCheckContexts requiredApprovingReviewCount }
      target { __typename oid ... on Commit { statusCheckRollup { contexts(first: 1) { totalCount } } } } }
  }
} }";

#[test]
fn one_query_tells_all_of_a_pull_request() {
    let lab = acme();
    lab.call("/_lab/rules", &json!({"required": ["ci"], "approvals": 2, "auto_merge": true, "queue": true}));
    for (name, conclusion) in [("ci", json!("failure")), ("lint", Value::Null)] {
        let check = json!({"repository": "acme/widgets", "sha": "", "name": name, "conclusion": conclusion, "log": "x",
            "workflow": (name == "ci").then_some("tests"), "event": (name == "ci").then_some("push")});
        lab.call("/_lab/checks", &check);
    }
    let review = json!({"repository": "acme/widgets", "number": 10, "user": "gone", "state": "CHANGES_REQUESTED",
        "comments": [{"path": "a", "line": 3, "body": "b"}, {"path": "c", "body": "d"}]});
    let (_, made) = lab.call("/_lab/reviews", &review);
    let edit = json!({"by": "eve", "do": {"edit_line": {"id": made["comments"][0], "body": "e"}}});
    lab.call("/_lab/act", &edit);
    lab.call("/_lab/act", &json!({"do": {"resolve": {"id": made["comments"][1]}}}));
    let answer = lab.ask(PROGRESS, &json!({"number": 10}));
    let pull = &answer["data"]["repository"]["pullRequest"];
    assert_eq!(pull["reviews"]["nodes"][0]["author"], Value::Null);
    let threads = &pull["reviewThreads"]["nodes"];
    assert_eq!(threads[0]["comments"]["nodes"][0]["editor"]["login"], "eve");
    assert_eq!((&threads[0]["isResolved"], &threads[1]["isResolved"]), (&json!(false), &json!(true)));
    let checks = &pull["statusCheckRollup"]["contexts"]["nodes"];
    assert_eq!((&checks[0]["conclusion"], &checks[0]["isRequired"]), (&json!("FAILURE"), &json!(true)));
    assert_eq!((&checks[1]["status"], &checks[1]["isRequired"]), (&json!("IN_PROGRESS"), &json!(false)));
    assert_eq!(checks[0]["checkSuite"]["app"]["slug"], "github-actions");
    let run = &checks[0]["checkSuite"]["workflowRun"];
    assert_eq!((&run["event"], &run["workflow"]["name"]), (&json!("push"), &json!("tests")));
    assert_eq!(checks[1]["checkSuite"]["workflowRun"], Value::Null);
    assert_eq!(pull["baseRef"]["refUpdateRule"]["requiredApprovingReviewCount"], 2);
}

#[test]
fn a_mutation_is_done_or_refused_in_githubs_words() {
    let lab = acme();
    let id = lab.ask(
        "{ repository(owner: \"acme\", name: \"widgets\") { pullRequest(number: 10) { id } } }",
        &json!({}),
    );
    let id = id["data"]["repository"]["pullRequest"]["id"].as_str().unwrap().to_owned();
    let auto = format!(
        "mutation {{ enablePullRequestAutoMerge(input: {{pullRequestId: \"{id}\", mergeMethod: SQUASH}}) {{
            pullRequest {{ id number autoMergeRequest {{ enabledAt }} }} }} }}"
    );
    let why = |text: &str| lab.refused(text)["errors"][0]["message"].as_str().unwrap().to_owned();
    assert_eq!(why(&auto), "Auto merge is not allowed for this repository");
    lab.call("/_lab/rules", &json!({"auto_merge": true}));
    assert_eq!(why(&auto), "Pull request Pull request is in clean status");
    lab.call("/_lab/rules", &json!({"auto_merge": true, "approvals": 1}));
    let done = lab.ask(&auto, &json!({}));
    let pull = &done["data"]["enablePullRequestAutoMerge"]["pullRequest"];
    assert_eq!((&pull["id"], pull["autoMergeRequest"].is_object()), (&json!(id), true));
    let revert = format!(
        "mutation {{ revertPullRequest(input: {{pullRequestId: \"{id}\"}}) {{ revertPullRequest {{ number }} }} }}"
    );
    assert_eq!(why(&revert), "Pull request is not merged");
    assert_eq!(why(&revert.replace(&id, "PR_0")), "Could not resolve to a node with the global id of 'PR_0'");
}
