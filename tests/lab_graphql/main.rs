//! The rehearsal's GraphQL against GitHub's own schema (tests/data/github/schema.graphql): every document that is
//! sent is one GitHub would take, and every answer has the shape the schema promises.
//!
//! The official command-line tool asks the rehearsal too, since its host `github.localhost` is spoken to in plain
//! HTTP and the proxy variable leads there:
//!
//!     GH_HOST=github.localhost GH_TOKEN=lab-token http_proxy=http://127.0.0.1:PORT \
//!         gh issue list -R acme/widgets --limit 30 --json number,title,body,labels
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test starts programs itself, and may panic"
)]

mod progress;
mod shape;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use apollo_compiler::schema::ExtendedType;
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Schema};
use serde_json::{Value, json};

use shape::Checker;

struct Lab {
    child: Child,
    folder: tempfile::TempDir,
    address: String,
    http: ureq::Agent,
    schema: Valid<Schema>,
}

impl Drop for Lab {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

fn schema() -> Valid<Schema> {
    let text = include_str!("../data/github/schema.graphql");
    Schema::parse_and_validate(text, "schema.graphql").unwrap_or_else(|error| panic!("{}", error.errors))
}

impl Lab {
    fn start(seed: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("seed.json");
        fs::write(&file, seed.to_string()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_cq-lab"));
        command.args(["serve", "--seed"]).arg(&file).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let http = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
        let address = ready["server_url"].as_str().unwrap().to_owned();
        Self { child, folder, address, http, schema: schema() }
    }

    fn call(&self, path: &str, body: &Value) -> (u16, Value) {
        let request =
            self.http.post(format!("{}{path}", self.address)).header("authorization", "Bearer lab-token");
        let mut response = request.send(body.to_string()).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str(&text).unwrap_or_default())
    }

    /// Asks what GitHub would answer; checks the shape of what comes.
    fn ask(&self, text: &str, variables: &Value) -> Value {
        let document = ExecutableDocument::parse_and_validate(&self.schema, text, "query.graphql");
        let document = document.unwrap_or_else(|error| panic!("{}", error.errors));
        let (status, answer) = self.call("/graphql", &json!({"query": text, "variables": variables}));
        assert_eq!(status, 200, "{answer}");
        let operation = document.operations.iter().next().unwrap();
        let mut wrong = Vec::new();
        let failed: Vec<Value> =
            answer["errors"].as_array().into_iter().flatten().map(|error| error["path"].clone()).collect();
        let checker = Checker { schema: &self.schema, document: &document, failed };
        checker.object(&answer["data"], &[&operation.selection_set], "Query", &mut Vec::new(), &mut wrong);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        answer
    }

    /// Sends what may be wrong.
    fn refused(&self, text: &str) -> Value {
        let (status, answer) = self.call("/graphql", &json!({"query": text}));
        assert_eq!(status, 200, "{answer}");
        answer
    }
}

fn acme() -> Lab {
    Lab::start(&json!({
        "users": [
            {"login": "mia", "permission": "write", "role_name": "release-manager"},
            {"login": "gone", "deleted": true}, {"login": "renovate[bot]"}, {"login": "old", "kind": "Mannequin"},
        ],
        "first_id": 5_000_000_000_u64,
        "repositories": [{
            "owner": "acme", "name": "widgets", "former_names": ["gadgets"],
            "issues": [
                {"number": 7, "title": "b", "body": "text", "labels": ["claude-ready", "bug"], "labeled_by": "mia",
                 "user": "gone", "assignees": ["mia"], "locked": true, "lock_reason": "too heated",
                 "edits": [{"editor": "eve", "at": "2025-03-01T00:00:00Z"}, {"editor": "mia", "at": "2025-03-02T00:00:00Z"}],
                 "events": [
                    {"event": "renamed", "from": "a", "to": "b", "actor": "mia", "at": "2025-02-01T00:00:00Z"},
                    {"event": "transferred", "from": "acme/widgets", "actor": "mia", "at": "2025-02-02T00:00:00Z"},
                    {"event": "unlabeled", "label": "gone-label", "actor": "gone", "at": "2025-02-03T00:00:00Z"},
                    {"event": "closed", "actor": "mia"}, {"event": "reopened", "actor": "mia"},
                    {"event": "locked", "reason": "too heated", "actor": "mia"}],
                 "comments": [
                    {"user": "renovate[bot]", "body": "one", "at": "2025-02-05T00:00:00Z",
                     "edits": [{"editor": "eve", "at": "2025-02-06T00:00:00Z"}]},
                    {"user": "old", "body": "two", "minimized": true}],
                 "blocked_by": [8, 9, "acme/elsewhere#1"], "sub_issues": [9]},
                {"number": 8}, {"number": 9, "state": "closed", "state_reason": "duplicate"},
                {"number": 10, "pull_request": true, "draft": true, "body": "Closes #7", "labels": ["claude-ready"]},
            ],
            "generate": {"issues": 120},
        }],
    }))
}

const WHOLE: &str = "query($ids: [ID!]!) {
  nodes(ids: $ids) { __typename ... on Issue {
    id fullDatabaseId databaseId number title body url state stateReason(enableDuplicate: true) locked activeLockReason
    createdAt updatedAt lastEditedAt editor { __typename login } author { __typename login } authorAssociation
    repository { nameWithOwner } labels(first: 100) { totalCount nodes { name } }
    assignees(first: 20) { nodes { login } }
    userContentEdits(first: 20) { totalCount nodes { editedAt editor { __typename login } } }
    timelineItems(last: 100, itemTypes: [LABELED_EVENT, UNLABELED_EVENT, RENAMED_TITLE_EVENT, TRANSFERRED_EVENT,
        CLOSED_EVENT, REOPENED_EVENT, LOCKED_EVENT]) {
      totalCount pageInfo { hasPreviousPage startCursor hasNextPage endCursor }
      nodes { __typename ...Labeled
        ... on UnlabeledEvent { id createdAt actor { __typename login } label { name } }
        ... on RenamedTitleEvent { createdAt actor { __typename login } previousTitle currentTitle }
        ... on TransferredEvent { createdAt actor { login } fromRepository { nameWithOwner } }
        ... on ClosedEvent { stateReason } ... on LockedEvent { lockReason } }
    }
    comments(last: 100) { totalCount pageInfo { hasPreviousPage startCursor } nodes {
      id fullDatabaseId author { __typename login } authorAssociation createdAt lastEditedAt
      editor { __typename login } body isMinimized url } }
    blockedBy(first: 50) { totalCount nodes { number title state repository { nameWithOwner } } }
    blocking(first: 50) { totalCount nodes { number } }
    subIssues(first: 50) { totalCount nodes { number state repository { nameWithOwner } } }
    issueDependenciesSummary { blockedBy totalBlockedBy } subIssuesSummary { total completed percentCompleted }
    parent { number }
    closedByPullRequestsReferences(first: 10, includeClosedPrs: false) {
      totalCount nodes { number state isDraft url repository { nameWithOwner } author { login } } }
  } }
  rateLimit { cost limit remaining used resetAt nodeCount }
}
fragment Labeled on LabeledEvent { id createdAt actor { __typename login } label { name } }";

#[test]
fn one_query_tells_all_of_an_issue() {
    let lab = acme();
    let found = lab.ask(
        "{ viewer { login } repository(owner: \"acme\", name: \"gadgets\") { nameWithOwner viewerPermission
            defaultBranchRef { name } issue(number: 7) { id } closed: issue(number: 9) { id stateReason }
            issueOrPullRequest(number: 10) { __typename ... on Issue { state } ... on PullRequest { isDraft pull: state } }
            collaborators(first: 10) { edges { permission node { login } } } } }",
        &json!({}),
    );
    let repository = &found["data"]["repository"];
    assert_eq!(repository["nameWithOwner"], "acme/widgets");
    assert_eq!(repository["issueOrPullRequest"]["__typename"], "PullRequest");
    assert_eq!(repository["viewerPermission"], "WRITE");
    let ids = json!([repository["issue"]["id"], "I_0", repository["closed"]["id"]]);
    let answer = lab.ask(WHOLE, &json!({"ids": ids}));
    let issue = &answer["data"]["nodes"][0];
    assert_eq!((&issue["author"], &issue["editor"]["login"]), (&Value::Null, &json!("mia")));
    assert_eq!((issue["databaseId"].is_null(), issue["fullDatabaseId"].is_string()), (true, true));
    assert_eq!(issue["activeLockReason"], "TOO_HEATED");
    // The edits, newest first, and how it was made.
    assert_eq!(issue["userContentEdits"]["totalCount"], 3);
    assert_eq!(issue["userContentEdits"]["nodes"][2]["editor"], Value::Null);
    let kinds: Vec<&str> = issue["timelineItems"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["__typename"].as_str().unwrap())
        .collect();
    let expected = [
        "LabeledEvent",
        "LabeledEvent",
        "ClosedEvent",
        "ReopenedEvent",
        "LockedEvent",
        "RenamedTitleEvent",
        "TransferredEvent",
        "UnlabeledEvent",
    ];
    assert_eq!(kinds, expected);
    let comment = &issue["comments"]["nodes"][0];
    assert_eq!(comment["author"], json!({"__typename": "Bot", "login": "renovate"}));
    assert_eq!(comment["editor"]["login"], "eve");
    assert_eq!(issue["comments"]["nodes"][1]["author"]["__typename"], "Mannequin");
    // A blocker that nobody can see is counted in the summary only.
    assert_eq!(
        (&issue["blockedBy"]["totalCount"], &issue["issueDependenciesSummary"]["blockedBy"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(issue["issueDependenciesSummary"]["totalBlockedBy"], 3);
    assert_eq!(issue["closedByPullRequestsReferences"]["nodes"][0]["number"], 10);
    assert_eq!(answer["data"]["nodes"][1], Value::Null);
    assert_eq!(answer["errors"][0]["path"], json!(["nodes", 1]));
    assert_eq!(answer["errors"][0]["type"], "NOT_FOUND");
    let other = &answer["data"]["nodes"][2];
    assert_eq!((&other["stateReason"], &other["parent"]["number"]), (&json!("DUPLICATE"), &json!(7)));
}

#[test]
fn pages_lead_through_a_long_list() {
    let lab = acme();
    let text = "query($after: String, $before: String) { repository(owner: \"acme\", name: \"widgets\") {
        issues(first: 50, after: $after, labels: [\"claude-ready\"], states: [OPEN],
            orderBy: {field: CREATED_AT, direction: ASC}) {
          totalCount pageInfo { hasNextPage endCursor } nodes { number } edges { cursor } }
        back: issues(last: 3, before: $before) { pageInfo { hasPreviousPage startCursor } nodes { number } } } }";
    let (mut after, mut numbers) = (Value::Null, Vec::new());
    loop {
        let answer = lab.ask(text, &json!({"after": after}));
        let issues = &answer["data"]["repository"]["issues"];
        assert_eq!(issues["totalCount"], 121);
        numbers
            .extend(issues["nodes"].as_array().unwrap().iter().map(|node| node["number"].as_u64().unwrap()));
        if issues["pageInfo"]["hasNextPage"] == false {
            break;
        }
        after = issues["pageInfo"]["endCursor"].clone();
        // What left the list before the cursor moves nothing.
        if numbers.len() == 50 {
            lab.call("/_lab/act", &json!({"number": 7, "do": {"unlabel": "claude-ready"}}));
            lab.call("/_lab/act", &json!({"number": 7, "do": {"label": "claude-ready"}}));
        }
    }
    assert_eq!(numbers.len(), 121);
    let last = lab.ask(text, &json!({}))["data"]["repository"]["back"].clone();
    let earlier = lab.ask(text, &json!({"before": last["pageInfo"]["startCursor"]}));
    assert_eq!(last["nodes"][0]["number"], 128);
    assert_eq!(earlier["data"]["repository"]["back"]["nodes"][2]["number"], 127);
}

#[test]
fn errors_are_githubs() {
    let lab = acme();
    let repository =
        |inner: &str| format!("{{ repository(owner: \"acme\", name: \"widgets\") {{ {inner} }} }}");
    let cases = [
        (repository("nope"), "undefinedField", false),
        (repository("issue(number: 7) { comments { nodes { nope } } }"), "undefinedField", false),
        (repository("issue { id }"), "missingRequiredArguments", false),
        (repository("issue(number: 7, x: 1) { id }"), "argumentNotAccepted", false),
        (repository("issues(first: 1, states: [NOPE]) { totalCount }"), "argumentLiteralsIncompatible", false),
        (repository("issue(number: 7)"), "selectionMismatch", false),
        ("query($n: Int!) { viewer { login } repository(owner: \"a\", name: \"b\") { issue(number: $n) { id } } }".to_owned(), "invalidVariable", false),
        ("{ nope".to_owned(), "parseError", false),
        (repository("issues { nodes { id } }"), "MISSING_PAGINATION_BOUNDARIES", true),
        (repository("issues(first: 101) { nodes { id } }"), "EXCESSIVE_PAGINATION", true),
        (repository("issues(first: 1, after: \"x\") { nodes { id } }"), "INVALID_CURSOR_ARGUMENTS", true),
        (repository("issue(number: 10) { id }"), "NOT_FOUND", true),
        ("{ node(id: \"x\") { id } }".to_owned(), "NOT_FOUND", true),
    ];
    for (text, kind, data) in cases {
        let answer = lab.refused(&text);
        assert_eq!(answer["errors"][0]["type"], kind, "{text}: {answer}");
        assert_eq!(answer.get("data").is_some(), data, "{text}: {answer}");
        assert_eq!(answer["errors"][0].get("path").is_some(), data, "{text}: {answer}");
    }
    let counted = lab.ask(&repository("issues { totalCount }"), &json!({}));
    assert_eq!(counted["data"]["repository"]["issues"]["totalCount"], 123);
    let faults = json!([{"path": "/graphql", "status": 200, "body": {"errors": [{"type": "RATE_LIMIT"}]}}]);
    lab.call("/_lab/faults", &faults);
    assert_eq!(lab.refused("{ viewer { login } }")["errors"][0]["type"], "RATE_LIMIT");
    let mut response = lab.http.post(format!("{}/graphql", lab.address)).send("{}").unwrap();
    assert_eq!((response.status().as_u16(), response.body_mut().read_to_string().is_ok()), (401, true));
}

#[test]
fn the_rehearsals_schema_is_a_part_of_githubs() {
    let all = schema();
    let part = Schema::parse(include_str!("../../src/lab/graphql/schema.graphql"), "part.graphql").unwrap();
    let fields = |schema: &Schema, name: &str| -> Vec<(String, String)> {
        let shown =
            |field: &apollo_compiler::ast::FieldDefinition| (field.name.to_string(), field.ty.to_string());
        match schema.types.get(name) {
            Some(ExtendedType::Object(one)) => one.fields.values().map(|field| shown(field)).collect(),
            Some(ExtendedType::Interface(one)) => one.fields.values().map(|field| shown(field)).collect(),
            _ => Vec::new(),
        }
    };
    for (name, one) in part.types.iter().filter(|(_, one)| !one.is_built_in()) {
        assert!(all.types.contains_key(name), "GitHub has no type {name}");
        let known = fields(&all, name);
        for field in fields(&part, name) {
            assert!(known.contains(&field), "GitHub has no {name}.{field:?}");
        }
        let _ = one;
    }
}

#[test]
fn the_official_tool_reads_the_queue() {
    let lab = acme();
    let ask = |arguments: &[&str]| {
        let mut command = Command::new("gh");
        command.args(arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command
            .env("HOME", lab.folder.path())
            .env("GH_CONFIG_DIR", lab.folder.path())
            .env("http_proxy", &lab.address);
        command.envs([
            ("GH_HOST", "github.localhost"),
            ("GH_TOKEN", "lab-token"),
            ("GH_NO_UPDATE_NOTIFIER", "1"),
        ]);
        command.output()
    };
    let fields = "number,title,body,labels,author,assignees,comments,state,url";
    let listed = ask(&["issue", "list", "-R", "acme/widgets", "--limit", "200", "--json", fields]);
    let Ok(output) = listed else {
        eprintln!("skipped: there is no gh here");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let issues: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(issues.as_array().unwrap().len(), 122);
    let labelled =
        ask(&["issue", "list", "-R", "acme/widgets", "--label", "bug", "--json", "number"]).unwrap();
    let labelled: Value = serde_json::from_slice(&labelled.stdout).unwrap();
    assert_eq!(labelled, json!([{"number": 7}]));
}
