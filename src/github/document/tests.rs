//! Every document against GitHub's own schema (tests/data/github/schema.graphql), and what it costs.

use apollo_compiler::ast::Value as Literal;
use apollo_compiler::executable::{Selection, SelectionSet};
use apollo_compiler::request::coerce_variable_values;
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Node, Schema};
use serde_json::{Value, json};

use super::*;

fn schema() -> Valid<Schema> {
    let text = include_str!("../../../tests/data/github/schema.graphql");
    Schema::parse_and_validate(text, "schema.graphql").unwrap_or_else(|error| panic!("{}", error.errors))
}

/// The variables of as many references.
fn places(count: usize) -> Value {
    let three = |index: usize| {
        [
            (format!("o{index}"), json!("acme")),
            (format!("p{index}"), json!("widgets")),
            (format!("n{index}"), json!(7)),
        ]
    };
    Value::Object((0..count).flat_map(three).collect())
}

/// Every document as it is sent: its name, its text, its variables.
fn documents() -> Vec<(String, String, Value)> {
    let ids: Vec<String> = (0..100).map(|number| format!("I_{number}")).collect();
    let mut documents = vec![
        ("details".to_owned(), DETAILS.to_owned(), json!({"ids": ids, "text": true})),
        ("details of one".to_owned(), DETAILS.to_owned(), json!({"ids": ["I_1"], "text": false})),
    ];
    for (events, comments) in [(Some("c"), None), (None, Some("c")), (Some("c"), Some("c"))] {
        let variables = json!({
            "id": "I_1", "text": false,
            "events": events, "withEvents": events.is_some(),
            "comments": comments, "withComments": comments.is_some(),
        });
        documents.push((format!("more {events:?} {comments:?}"), MORE.to_owned(), variables));
    }
    let named = |name: &str, text: &str, variables| (name.to_owned(), text.to_owned(), variables);
    let (id, head) = ("PR_1", "0123456789abcdef0123456789abcdef01234567");
    documents.extend([
        named("progress", PROGRESS, json!({"owner": "acme", "name": "widgets", "number": 7})),
        named("failure", FAILURE, json!({"id": "CR_1"})),
        named("enqueue", ENQUEUE, json!({"id": id, "head": head})),
        named("auto-merge", AUTO_MERGE, json!({"id": id, "head": head, "method": "SQUASH"})),
        named("revert", REVERT, json!({"id": id, "title": "t", "body": "b"})),
    ]);
    for count in [1, 2, 50, 100] {
        documents.push((format!("blockers of {count}"), blockers(count), places(count)));
        let numbers: Vec<u64> = (1..=count as u64).collect();
        documents.push((
            format!("states of {count}"),
            states(&numbers),
            json!({"owner": "acme", "name": "widgets"}),
        ));
    }
    documents
}

fn parsed(schema: &Valid<Schema>, name: &str, text: &str) -> Valid<ExecutableDocument> {
    ExecutableDocument::parse_and_validate(schema, text, name)
        .unwrap_or_else(|error| panic!("{name}: {}", error.errors))
}

#[test]
fn documents_and_variables_are_what_the_schema_says() {
    let schema = schema();
    for (name, text, variables) in documents() {
        let document = parsed(&schema, &name, &text);
        let operation = document.operations.get(None).unwrap();
        assert_eq!(operation.is_query(), !text.trim_start().starts_with("mutation"), "{name}");
        let given = variables.as_object().unwrap();
        let declared: Vec<&str> = operation.variables.iter().map(|variable| variable.name.as_str()).collect();
        let mut names: Vec<&str> = given.keys().map(String::as_str).collect();
        names.sort_unstable();
        let mut sorted = declared.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, names, "{name}: declared and given");
        let given = serde_json::from_value(variables).unwrap();
        if let Err(error) = coerce_variable_values(&schema, operation, &given) {
            panic!("{name}: {}", error.message());
        }
    }
}

/// Whoever writes another one adds it to `documents`.
#[test]
fn every_document_is_checked() {
    let text = concat!(include_str!("../document.rs"), include_str!("pulls.rs"));
    let kinds = ["query ", "mutation ", "subscription "];
    let begins = |line: &&str| kinds.iter().any(|kind| line.trim_start_matches([' ', '"']).starts_with(kind));
    let code = text.lines().filter(|line| !line.starts_with("//"));
    let written = code.flat_map(|line| line.split("format!(")).filter(begins).count();
    let schema = schema();
    let names = documents().into_iter().map(|(name, text, _)| {
        let document = parsed(&schema, &name, &text);
        document.operations.get(None).unwrap().name.clone().unwrap()
    });
    assert_eq!(names.collect::<std::collections::BTreeSet<_>>().len(), written);
}

/// A check that accepted everything would show nothing.
#[test]
fn what_the_schema_does_not_say_is_refused() {
    let schema = schema();
    for (from, to) in
        [("lastEditedAt\n", "lastEditedBy\n"), ("$ids: [ID!]!", "$ids: [Int!]!"), ("last: 100", "final: 100")]
    {
        let text = DETAILS.replace(from, to);
        assert_ne!(text, DETAILS);
        assert!(ExecutableDocument::parse_and_validate(&schema, text, "wrong").is_err(), "{to}");
    }
    let text = blockers(1);
    let document = parsed(&schema, "blockers", &text);
    let operation = document.operations.get(None).unwrap();
    let variables =
        serde_json::from_value(json!({"o0": "acme", "p0": "widgets", "n0": 3_000_000_000_u64})).unwrap();
    assert!(coerce_variable_values(&schema, operation, &variables).is_err(), "numbers have 32 bits");
}

/// What GitHub counts before it answers (its page "Rate limits and query limits for the GraphQL API").
#[derive(Debug, Default)]
struct Cost {
    /// Items of connections, if every page were full: at most 500,000.
    nodes: u64,
    /// One for each connection of each parent; a hundred of them are a point.
    requests: u64,
}

/// `parents` is how many things these selections are asked of.
fn count(cost: &mut Cost, document: &ExecutableDocument, set: &SelectionSet, parents: u64, ids: u64) {
    for selection in &set.selections {
        match selection {
            Selection::Field(field) => {
                let argument = |name: &str| {
                    let found = field.arguments.iter().find(|argument| argument.name == name)?;
                    found.value.to_i32().and_then(|number| u64::try_from(number).ok())
                };
                let by_id = field
                    .arguments
                    .iter()
                    .any(|argument| matches!(&argument.value, value if is_variable(value, "ids")));
                let page = argument("first").or_else(|| argument("last"));
                let is_connection = field.ty().inner_named_type().ends_with("Connection");
                assert_eq!(is_connection, page.is_some(), "{} without a bound", field.name);
                assert!(page.is_none_or(|page| (1..=100).contains(&page)), "{}", field.name);
                let below = match page {
                    Some(page) => {
                        cost.requests += parents;
                        cost.nodes += parents * page;
                        parents * page
                    }
                    None if by_id => {
                        cost.requests += 1;
                        cost.nodes += ids;
                        ids
                    }
                    None => parents,
                };
                count(cost, document, &field.selection_set, below, ids);
            }
            Selection::InlineFragment(fragment) => {
                count(cost, document, &fragment.selection_set, parents, ids);
            }
            Selection::FragmentSpread(spread) => {
                let fragment = spread.fragment_def(document).unwrap();
                count(cost, document, &fragment.selection_set, parents, ids);
            }
        }
    }
}

fn is_variable(value: &Node<Literal>, name: &str) -> bool {
    value.as_variable().is_some_and(|variable| variable == name)
}

#[test]
fn no_document_is_too_dear() {
    let schema = schema();
    let mut points_of_details = None;
    for (name, text, variables) in documents() {
        let document = parsed(&schema, &name, &text);
        let ids = variables["ids"].as_array().map_or(1, |ids| ids.len() as u64);
        let mut cost = Cost::default();
        count(&mut cost, &document, &document.operations.get(None).unwrap().selection_set, 1, ids);
        let points = (cost.requests / 100).max(1);
        println!("{name}: {} nodes, {} requests, {points} points", cost.nodes, cost.requests);
        assert!(cost.nodes <= 500_000, "{name}: {cost:?}");
        assert!(points <= 10, "{name}: {cost:?}");
        points_of_details = points_of_details.or(Some(points));
    }
    assert_eq!(points_of_details, Some(7), "of a hundred issues: seven lists each");
}
