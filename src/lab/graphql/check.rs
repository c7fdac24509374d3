//! Whether a document fits the schema, before anything is answered; what it may cost.

use std::collections::HashMap;

use async_graphql_parser::types::{
    Directive, DocumentOperations, ExecutableDocument, Field, OperationDefinition, OperationType, Selection,
    SelectionSet, Type,
};
use async_graphql_parser::{Pos, Positioned};
use serde_json::{Map, Value, json};

use super::Problem;
use super::schema::{Schema, base};

/// A document that can be answered.
pub(super) struct Plan<'a> {
    pub document: &'a ExecutableDocument,
    pub operation: &'a OperationDefinition,
    /// With defaults filled in.
    pub variables: Map<String, Value>,
    /// What went wrong on the way.
    pub problems: Vec<Problem>,
    /// How many nodes the connections may give at most.
    pub nodes: u64,
    /// How many requests GitHub reckons for them.
    pub requests: u64,
}

struct Checker<'a> {
    schema: &'a Schema,
    document: &'a ExecutableDocument,
    variables: &'a Map<String, Value>,
    declared: HashMap<&'a str, &'a Type>,
    problems: Vec<Problem>,
    nodes: u64,
    requests: u64,
}

const MOST_NODES: u64 = 500_000;

impl<'a> Plan<'a> {
    pub(super) fn of(
        schema: &Schema,
        document: &'a ExecutableDocument,
        name: Option<&str>,
        given: Map<String, Value>,
    ) -> Result<Self, Vec<Problem>> {
        let no_such = |message: &str| {
            vec![Problem::document("operationNotFound", message.to_owned(), Pos { line: 1, column: 1 })]
        };
        let operation = match (&document.operations, name.filter(|name| !name.is_empty())) {
            (DocumentOperations::Single(one), _) => &one.node,
            (DocumentOperations::Multiple(all), Some(name)) => {
                let found = all.iter().find(|(one, _)| one.as_str() == name);
                &found.ok_or_else(|| no_such(&format!("No operation named \"{name}\"")))?.1.node
            }
            (DocumentOperations::Multiple(all), None) if all.len() == 1 => {
                &all.values().next().ok_or_else(|| no_such("No operation"))?.node
            }
            _ => return Err(no_such("An operation name is required")),
        };
        let root = match operation.ty {
            OperationType::Query => "Query",
            OperationType::Mutation => "Mutation",
            OperationType::Subscription => return Err(no_such("The rehearsal knows no subscriptions")),
        };
        let variables = variables(schema, operation, given)?;
        let declared = operation.variable_definitions.iter();
        let declared = declared.map(|one| (one.node.name.node.as_str(), &one.node.var_type.node)).collect();
        let variables_seen = &variables;
        let mut checker = Checker {
            schema,
            document,
            variables: variables_seen,
            declared,
            problems: Vec::new(),
            nodes: 0,
            requests: 1,
        };
        checker.selection(&operation.selection_set.node, root, 1, 0);
        let (problems, nodes, requests) = (checker.problems, checker.nodes, checker.requests);
        if nodes > MOST_NODES {
            let message = format!(
                "This query requests up to {nodes} possible nodes which exceeds the maximum limit of 500,000."
            );
            return Err(vec![Problem::of("MAX_NODE_LIMIT_EXCEEDED", message)]);
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self { document, operation, variables, problems: Vec::new(), nodes, requests })
    }
}

/// The variables with their defaults; an error where one is missing or not of its type.
fn variables(
    schema: &Schema,
    operation: &OperationDefinition,
    mut given: Map<String, Value>,
) -> Result<Map<String, Value>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut variables = Map::new();
    for one in &operation.variable_definitions {
        let (name, ty) = (one.node.name.node.as_str(), &one.node.var_type.node);
        let value = match (given.remove(name), &one.node.default_value) {
            (Some(value), _) => value,
            (None, Some(value)) => value.node.clone().into_json().unwrap_or(Value::Null),
            (None, None) if ty.nullable => continue,
            (None, None) => Value::Null,
        };
        if fits(schema, ty, &value) {
            variables.insert(name.to_owned(), value);
        } else {
            let message = format!("Variable ${name} of type {ty} was provided invalid value");
            problems.push(Problem::document("invalidVariable", message, one.pos));
        }
    }
    if problems.is_empty() { Ok(variables) } else { Err(problems) }
}

/// Whether a value is one of a type; lists take a single value too.
fn fits(schema: &Schema, ty: &Type, value: &Value) -> bool {
    if value.is_null() {
        return ty.nullable;
    }
    match (&ty.base, value) {
        (async_graphql_parser::types::BaseType::List(inner), Value::Array(items)) => {
            items.iter().all(|item| fits(schema, inner, item))
        }
        (async_graphql_parser::types::BaseType::List(inner), single) => fits(schema, inner, single),
        (async_graphql_parser::types::BaseType::Named(name), value) => match name.as_str() {
            "Int" => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
            "Float" => value.is_number(),
            "Boolean" => value.is_boolean(),
            "ID" => value.is_string() || value.is_i64(),
            name => match (schema.values(name), schema.inputs(name)) {
                (Some(values), _) => value.as_str().is_some_and(|value| values.contains(&value)),
                (None, Some(fields)) => value.as_object().is_some_and(|object| {
                    let known = |key: &String| fields.iter().any(|field| field.node.name.node == *key);
                    let right = fields.iter().all(|field| {
                        let value = object.get(field.node.name.node.as_str()).unwrap_or(&Value::Null);
                        fits(schema, &field.node.ty.node, value) || field.node.default_value.is_some()
                    });
                    object.keys().all(known) && right
                }),
                (None, None) => value.is_string(),
            },
        },
    }
}

impl Checker<'_> {
    fn selection(&mut self, set: &SelectionSet, on: &str, times: u64, depth: usize) {
        if depth > 40 {
            return;
        }
        for item in &set.items {
            self.directives(item.node.directives());
            match &item.node {
                Selection::Field(field) => self.field(field, on, times, depth),
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.node.type_condition.as_ref();
                    let to = condition.map_or(on, |condition| condition.node.on.node.as_str());
                    if self.narrows(on, to, fragment.pos) {
                        self.selection(&fragment.node.selection_set.node, to, times, depth + 1);
                    }
                }
                Selection::FragmentSpread(spread) => {
                    let name = spread.node.fragment_name.node.as_str();
                    let found = self.document.fragments.iter().find(|(one, _)| one.as_str() == name);
                    let Some((_, fragment)) = found else {
                        let message = format!("Fragment {name} was used, but not defined");
                        self.problems.push(Problem::document("useAndDefineFragment", message, spread.pos));
                        continue;
                    };
                    let to = fragment.node.type_condition.node.on.node.as_str();
                    if self.narrows(on, to, spread.pos) {
                        self.selection(&fragment.node.selection_set.node, to, times, depth + 1);
                    }
                }
            }
        }
    }

    fn narrows(&mut self, from: &str, to: &str, place: Pos) -> bool {
        if !self.schema.is_composite(to) {
            let message = format!("No such type {to}, so it can't be a fragment condition");
            self.problems.push(Problem::document("undefinedType", message, place));
            return false;
        }
        if !self.schema.overlap(from, to) {
            let message = format!("Fragment on {to} can't be spread inside {from}");
            self.problems.push(Problem::document("cannotSpreadFragment", message, place));
            return false;
        }
        true
    }

    fn directives(&mut self, directives: &[Positioned<Directive>]) {
        for one in directives {
            let name = one.node.name.node.as_str();
            if !["include", "skip"].contains(&name) {
                let message = format!("Directive @{name} is not defined");
                self.problems.push(Problem::document("undefinedDirective", message, one.pos));
            }
        }
    }

    fn field(&mut self, field: &Positioned<Field>, on: &str, times: u64, depth: usize) {
        let name = field.node.name.node.as_str();
        if name == "__typename" || (on == "Query" && ["__type", "__schema"].contains(&name)) {
            return;
        }
        let Some(known) = self.schema.field(on, name) else {
            let message = format!("Field '{name}' doesn't exist on type '{on}'");
            self.problems.push(Problem::document("undefinedField", message, field.pos));
            return;
        };
        let ty = base(&known.ty.node).to_owned();
        let expected: Vec<(String, Type, bool)> = known
            .arguments
            .iter()
            .map(|one| {
                (one.node.name.node.to_string(), one.node.ty.node.clone(), one.node.default_value.is_some())
            })
            .collect();
        self.arguments(field, on, &expected);
        let selects = !field.node.selection_set.node.items.is_empty();
        if self.schema.is_composite(&ty) != selects {
            let (code, message) = if selects {
                (
                    "selectionMismatch",
                    format!(
                        "Selections can't be made on scalars (field '{name}' returns {ty} but has selections)"
                    ),
                )
            } else {
                (
                    "selectionMismatch",
                    format!(
                        "Field must have selections (field '{name}' returns {ty} but has no selections. Did you mean '{name} {{ ... }}'?)"
                    ),
                )
            };
            self.problems.push(Problem::document(code, message, field.pos));
            return;
        }
        let size = self.size(field, &ty);
        if ty.ends_with("Connection") || name == "nodes" && on == "Query" {
            self.requests += times;
            self.nodes = self.nodes.saturating_add(times.saturating_mul(size));
        }
        let times = times.saturating_mul(size.max(1));
        self.selection(&field.node.selection_set.node, &ty, times, depth + 1);
    }

    /// How many things a field may give.
    fn size(&self, field: &Positioned<Field>, ty: &str) -> u64 {
        let value = |name: &str| {
            let value = &field.node.get_argument(name)?.node;
            let variable = |name| self.variables.get(name).and_then(Value::as_u64);
            match value {
                async_graphql_value::Value::Variable(name) => variable(name.as_str()),
                async_graphql_value::Value::Number(number) => number.as_u64(),
                _ => None,
            }
        };
        if ty.ends_with("Connection") { value("first").or(value("last")).unwrap_or(0) } else { 1 }
    }

    fn arguments(&mut self, field: &Positioned<Field>, on: &str, expected: &[(String, Type, bool)]) {
        let name = &field.node.name.node;
        for (given, value) in &field.node.arguments {
            let Some((_, ty, _)) = expected.iter().find(|(one, ..)| *given.node == **one) else {
                let message = format!("Field '{name}' doesn't accept argument '{}'", given.node);
                self.problems.push(Problem::document("argumentNotAccepted", message, given.pos));
                continue;
            };
            let mut unknown = None;
            let constant = value.node.clone().into_const_with(|variable| {
                if !self.declared.contains_key(variable.as_str()) {
                    unknown = Some(variable.to_string());
                }
                let value = self.variables.get(variable.as_str()).cloned().unwrap_or(Value::Null);
                async_graphql_value::ConstValue::from_json(value)
            });
            if let Some(unknown) = unknown {
                let message = format!("Variable ${unknown} is used by {on}.{name} but not declared");
                self.problems.push(Problem::document("variableNotDefined", message, value.pos));
                continue;
            }
            let json = constant.ok().and_then(|value| value.into_json().ok()).unwrap_or(json!(null));
            if !fits(self.schema, ty, &json) {
                let message = format!(
                    "Argument '{}' on Field '{name}' has an invalid value ({json}). Expected type '{ty}'.",
                    given.node
                );
                self.problems.push(Problem::document("argumentLiteralsIncompatible", message, value.pos));
            }
        }
        for (one, ty, has_default) in expected.iter().filter(|(_, ty, _)| !ty.nullable) {
            if !has_default && field.node.get_argument(one).is_none() {
                let message = format!("Field '{name}' is missing required arguments: {one}");
                let _: &Type = ty;
                self.problems.push(Problem::document("missingRequiredArguments", message, field.pos));
            }
        }
    }
}
