//! Answers of GraphQL as they may come: everything null that may be null, things nobody knows, errors beside data.

use super::nodes::Label;
use super::*;
use crate::record::trust::ActorKind;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// An issue about which everything is known.
fn issue() -> Value {
    let mia = json!({"__typename": "User", "login": "mia"});
    let linked = json!({"totalCount": 1, "nodes": [
        {"number": 5, "state": "OPEN", "repository": {"nameWithOwner": "acme/widgets"}}]});
    json!({
        "__typename": "Issue", "id": "I_7", "number": 7, "title": "Title", "body": "Body", "locked": true,
        "activeLockReason": "TOO_HEATED", "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-02T00:00:00Z",
        "lastEditedAt": "2026-01-01T01:00:00Z", "editor": mia, "author": mia,
        "labels": {"totalCount": 1, "nodes": [{"name": "claude-ready"}]},
        "userContentEdits": {"totalCount": 1, "nodes": [{"editedAt": "2026-01-01T01:00:00Z", "editor": mia}]},
        "timelineItems": {
            "pageInfo": {"hasPreviousPage": false, "startCursor": "c"},
            "nodes": [
                {"__typename": "LabeledEvent", "createdAt": "2026-01-01T02:00:00Z", "actor": mia,
                 "label": {"name": "claude-ready"}},
                {"__typename": "RenamedTitleEvent", "createdAt": "2026-01-01T03:00:00Z", "actor": mia},
                {"__typename": "TransferredEvent", "createdAt": "2026-01-01T04:00:00Z", "actor": mia},
                {"__typename": "UnlabeledEvent", "createdAt": "2026-01-01T05:00:00Z", "actor": mia,
                 "label": {"name": "bug"}},
            ],
        },
        "comments": {
            "pageInfo": {"hasPreviousPage": false, "startCursor": null},
            "nodes": [{"fullDatabaseId": "5000000001", "author": mia, "createdAt": "2026-01-01T06:00:00Z",
                       "lastEditedAt": null, "editor": null, "isMinimized": false, "body": "Text"}],
        },
        "blockedBy": linked, "subIssues": linked,
        "closedByPullRequestsReferences": {"totalCount": 1, "nodes": [
            {"number": 9, "state": "OPEN", "author": mia, "repository": {"nameWithOwner": "acme/widgets"}}]},
    })
}

fn read(node: Value) -> Details {
    details("acme/widgets", serde_json::from_value(node).unwrap(), NOW)
}

/// The issue with another value at a place.
fn with(place: &str, value: Value) -> Value {
    let mut issue = issue();
    *issue.pointer_mut(place).unwrap_or_else(|| panic!("there is no {place}")) = value;
    issue
}

#[test]
fn a_whole_answer_is_complete() {
    let details = read(issue());
    let evidence = &details.evidence;
    assert!(evidence.complete);
    assert_eq!((evidence.label_events.len(), evidence.titles.len(), evidence.transferred.len()), (2, 1, 1));
    assert_eq!((evidence.comments[0].id, &*evidence.comments[0].body), (5_000_000_001, "Text"));
    assert_eq!(details.blockers, [(Reference::Here(5), State::Open)]);
    assert_eq!(details.open_sub_issues, [Reference::Here(5)]);
    assert_eq!(details.closed_by[0].author.as_deref(), Some("mia"));
}

/// What may be null, and whether the rest can still be believed to be all.
#[test]
fn whatever_may_be_null_is_taken_as_not_known() {
    let cases = [
        // A deleted account is nobody, which is known.
        ("/author", true),
        ("/editor", true),
        ("/activeLockReason", true),
        ("/timelineItems/nodes/0/actor", true),
        ("/timelineItems/nodes/1/actor", true),
        ("/timelineItems/nodes/2/actor", true),
        ("/timelineItems/nodes/3/actor", true),
        ("/userContentEdits/nodes/0/editor", true),
        ("/comments/nodes/0/author", true),
        ("/comments/nodes/0/fullDatabaseId", true),
        ("/closedByPullRequestsReferences/nodes/0/author", true),
        // Whoever else closes it is none of the evidence.
        ("/closedByPullRequestsReferences", true),
        ("/closedByPullRequestsReferences/nodes", true),
        ("/closedByPullRequestsReferences/nodes/0", true),
        // What is hidden may be anything.
        ("/labels", false),
        ("/labels/nodes", false),
        ("/labels/nodes/0", false),
        ("/userContentEdits", false),
        ("/userContentEdits/nodes", false),
        ("/userContentEdits/nodes/0", false),
        ("/timelineItems/nodes", false),
        ("/timelineItems/nodes/0", false),
        ("/comments/nodes", false),
        ("/comments/nodes/0", false),
        ("/blockedBy/nodes", false),
        ("/blockedBy/nodes/0", false),
        ("/subIssues/nodes", false),
        ("/subIssues/nodes/0", false),
    ];
    for (place, complete) in cases {
        assert_eq!(read(with(place, Value::Null)).evidence.complete, complete, "{place}");
    }
    assert_eq!(read(with("/author", Value::Null)).evidence.author, None);
    let event = &read(with("/timelineItems/nodes/0/actor", Value::Null)).evidence.label_events[0];
    assert_eq!((event.added, &event.actor), (true, &None));
    assert_eq!(read(with("/editor", Value::Null)).evidence.last_edit.unwrap().editor, None);
}

#[test]
fn an_issue_that_nobody_edited_needs_no_list_of_edits() {
    let mut never = with("/userContentEdits", Value::Null);
    never["lastEditedAt"] = Value::Null;
    assert!(read(never).evidence.complete);
}

#[test]
fn what_is_cut_off_or_unheard_of_is_not_complete() {
    let cases = [
        ("/labels/totalCount", json!(2)),
        ("/labels/totalCount", Value::Null),
        ("/userContentEdits/totalCount", json!(101)),
        ("/blockedBy/totalCount", json!(2)),
        ("/subIssues/totalCount", json!(2)),
        ("/timelineItems/pageInfo/hasPreviousPage", json!(true)),
        ("/comments/pageInfo/hasPreviousPage", json!(true)),
        ("/timelineItems/nodes/0", json!({"__typename": "IssueTypeAddedEvent"})),
    ];
    for (place, value) in cases {
        assert!(!read(with(place, value.clone())).evidence.complete, "{place}: {value}");
    }
}

#[test]
fn kinds_of_account_that_nobody_knows_are_kept_as_that() {
    let details = read(with("/author/__typename", json!("Robot")));
    assert_eq!(details.evidence.author.unwrap().kind, ActorKind::Unknown);
}

#[test]
fn earlier_pages_come_first_and_a_missing_one_spoils_the_whole() {
    let page = |nodes: Value, more: bool| -> Connection<Label> {
        let info = json!({"hasPreviousPage": more, "startCursor": "c"});
        serde_json::from_value(json!({"nodes": nodes, "pageInfo": info})).unwrap()
    };
    let names = |list: &Connection<Label>| list.items().map(|label| label.name.clone()).collect::<Vec<_>>();
    let mut list = page(json!([{"name": "c"}]), true);
    assert!(!list.is_whole() && list.before().is_some());
    list.precede(page(json!([{"name": "a"}, {"name": "b"}]), false));
    assert_eq!((names(&list).concat(), list.is_whole()), ("abc".to_owned(), true));
    list.precede(page(Value::Null, false));
    assert!(!list.is_whole());
}

#[test]
fn errors_stand_beside_data_or_instead_of_it() {
    let beside = json!({
        "data": {"nodes": [null, issue()]},
        "errors": [{"type": "NOT_FOUND", "path": ["nodes", 0], "message": "Could not resolve to a node"}],
    });
    assert_eq!(data(beside).unwrap()["nodes"].as_array().unwrap().len(), 2);
    let instead = |errors: Value| {
        let error = data(json!({"data": null, "errors": errors})).unwrap_err();
        (error.kind, error.to_string())
    };
    for kind in ["NOT_FOUND", "FORBIDDEN", "INSUFFICIENT_SCOPES"] {
        let (kind, message) = instead(json!([{"type": kind, "message": "No such"}]));
        assert!(kind == Kind::NotPermitted && message.contains("No such"), "{message}");
    }
    let untyped = json!([{"message": "Variable $n0 of type Int! was provided invalid value"}]);
    for (errors, said) in [(untyped, "$n0"), (json!([]), "without data"), (Value::Null, "without data")] {
        let (kind, message) = instead(errors);
        assert!(kind != Kind::NotPermitted && message.contains(said), "{message}");
    }
}
