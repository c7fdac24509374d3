//! `POST /graphql`: documents are checked against the part of GitHub's schema that is here ([`schema`],
//! [`check`]), then answered by selection ([`select`]) over what the store holds ([`things`], [`issues`],
//! [`connection`]).

use async_graphql_parser::types::OperationType;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::{Answer, Failure, ok};
use super::limits::Resource;
use super::server::Here;

mod check;
mod connection;
mod issues;
mod mutations;
mod progress;
mod schema;
mod select;
mod things;

/// What a client sends.
#[derive(Debug, Deserialize)]
struct Request {
    query: Option<String>,
    #[serde(default)]
    variables: Option<Map<String, Value>>,
    #[serde(rename = "operationName")]
    operation: Option<String>,
}

/// An error of an answer, with where it happened.
#[derive(Debug)]
struct Problem {
    /// `NOT_FOUND`, `FORBIDDEN`…; none for what is wrong with the document itself.
    kind: Option<&'static str>,
    message: String,
    /// `undefinedField`, `parseError`…
    code: Option<&'static str>,
    path: Vec<Value>,
    /// Line and column, from 1.
    place: (usize, usize),
}

impl Problem {
    fn of(kind: &'static str, message: String) -> Self {
        Self { kind: Some(kind), message, code: None, path: Vec::new(), place: (1, 1) }
    }

    fn not_found(message: String) -> Self {
        Self::of("NOT_FOUND", message)
    }

    fn document(code: &'static str, message: String, place: async_graphql_parser::Pos) -> Self {
        Self { kind: None, message, code: Some(code), path: Vec::new(), place: (place.line, place.column) }
    }

    fn shown(&self) -> Value {
        let (line, column) = self.place;
        let mut shape = json!({"message": self.message, "locations": [{"line": line, "column": column}]});
        if let Some(kind) = self.kind {
            shape["type"] = json!(kind);
        }
        if let Some(code) = self.code {
            shape["extensions"] = json!({"code": code});
            shape["type"] = json!(code);
        }
        if !self.path.is_empty() {
            shape["path"] = json!(self.path);
        }
        shape
    }
}

pub(super) async fn answer(Here(lab): Here, body: Bytes) -> Answer {
    let parsed = serde_json::from_slice::<Request>(&body);
    let Ok(Request { query: Some(text), variables, operation }) = parsed else {
        return Err(Failure::message(StatusCode::BAD_REQUEST, "Problems parsing JSON"));
    };
    let document = match async_graphql_parser::parse_query(&text) {
        Ok(document) => document,
        Err(error) => {
            let place = error.positions().next().unwrap_or_default();
            let message = format!("Parse error on {error}");
            return refused(&[Problem::document("parseError", message, place)]);
        }
    };
    let schema = schema::Schema::read()?;
    let variables = variables.unwrap_or_default();
    let mut plan = match check::Plan::of(&schema, &document, operation.as_deref(), variables) {
        Ok(plan) => plan,
        Err(problems) => return refused(&problems),
    };
    // One point for a hundred requests that the connections stand for, and never less than one.
    let cost = (plan.requests / 100).max(1);
    if text.contains("pullRequest") || text.contains("PullRequest") {
        crate::lab::progress::refresh(&lab).await?;
    }
    let mut done = None;
    if plan.operation.ty == OperationType::Mutation {
        match mutations::perform(&lab, &plan).await? {
            Ok(value) => done = Some(value),
            Err(problem) => return ok(&json!({"data": null, "errors": [problem.shown()]})),
        }
    }
    let mut store = lab.store();
    store.meter.count(Resource::Graphql, cost);
    let world = things::World { lab: &lab, store: &store, cost, nodes: plan.nodes };
    let root = done.map_or(things::Thing::Query, things::Thing::Tree);
    let data = select::answer(&world, &schema, &mut plan, &root);
    let mut answer = json!({"data": data});
    if !plan.problems.is_empty() {
        answer["errors"] = plan.problems.iter().map(Problem::shown).collect();
    }
    ok(&answer)
}

/// A document that cannot be answered: errors, and no data.
fn refused(problems: &[Problem]) -> Result<Response, Failure> {
    ok(&json!({"errors": problems.iter().map(Problem::shown).collect::<Vec<_>>()}))
}
