//! Answers by selection: what a document asks for, and nothing else.

use async_graphql_parser::Positioned;
use async_graphql_parser::types::{Directive, Field, Selection, SelectionSet};
use async_graphql_value::ConstValue;
use serde_json::{Map, Value, json};

use super::Problem;
use super::check::Plan;
use super::schema::Schema;
use super::things::{Out, Thing, World};

/// The arguments of a field, with variables and nothing that is null.
pub(super) struct Args<'a> {
    pub values: Map<String, Value>,
    /// The selection below, where it matters: a connection that is only counted needs no boundaries.
    pub selected: Vec<&'a str>,
}

impl Args<'_> {
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).and_then(Value::as_str)
    }

    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.values.get(name).and_then(Value::as_i64)
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.values.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// A list of words; a single one counts as a list.
    pub(super) fn list(&self, name: &str) -> Option<Vec<&str>> {
        match self.values.get(name)? {
            Value::Array(items) => Some(items.iter().filter_map(Value::as_str).collect()),
            single => single.as_str().map(|one| vec![one]),
        }
    }
}

struct Selector<'a, 'b> {
    world: &'a World<'a>,
    schema: &'a Schema,
    plan: &'b mut Plan<'a>,
    path: Vec<Value>,
}

pub(super) fn answer<'a>(
    world: &'a World<'a>,
    schema: &'a Schema,
    plan: &mut Plan<'a>,
    root: &Thing<'a>,
) -> Value {
    let set = &plan.operation.selection_set.node;
    Selector { world, schema, plan, path: Vec::new() }.object(root, &[set])
}

impl<'a> Selector<'a, '_> {
    fn object(&mut self, thing: &Thing<'a>, sets: &[&'a SelectionSet]) -> Value {
        let mut fields: Vec<(&'a str, Vec<&'a Positioned<Field>>)> = Vec::new();
        for set in sets {
            self.collect(thing.kind(), set, &mut fields);
        }
        let mut shape = Map::new();
        for (key, all) in fields {
            self.path.push(json!(key));
            let value = self.field(thing, &all);
            self.path.pop();
            shape.insert(key.to_owned(), value);
        }
        Value::Object(shape)
    }

    /// The fields that are asked of an object of this kind, by the name they get in the answer.
    fn collect(
        &self,
        kind: &str,
        set: &'a SelectionSet,
        into: &mut Vec<(&'a str, Vec<&'a Positioned<Field>>)>,
    ) {
        for item in set.items.iter().filter(|item| self.wanted(item.node.directives())) {
            match &item.node {
                Selection::Field(field) => {
                    let key = field.node.response_key().node.as_str();
                    match into.iter_mut().find(|(one, _)| *one == key) {
                        Some((_, fields)) => fields.push(field),
                        None => into.push((key, vec![field])),
                    }
                }
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.node.type_condition.as_ref();
                    if condition.is_none_or(|condition| self.schema.is(kind, &condition.node.on.node)) {
                        self.collect(kind, &fragment.node.selection_set.node, into);
                    }
                }
                Selection::FragmentSpread(spread) => {
                    let name = spread.node.fragment_name.node.as_str();
                    let found = self.plan.document.fragments.iter().find(|(one, _)| one.as_str() == name);
                    if let Some((_, fragment)) = found
                        && self.schema.is(kind, &fragment.node.type_condition.node.on.node)
                    {
                        self.collect(kind, &fragment.node.selection_set.node, into);
                    }
                }
            }
        }
    }

    /// `@include` and `@skip`.
    fn wanted(&self, directives: &[Positioned<Directive>]) -> bool {
        directives.iter().all(|one| {
            let condition = one.node.get_argument("if").map(|value| self.value(&value.node));
            let condition = condition.and_then(|value| value.as_bool()).unwrap_or(false);
            condition == (one.node.name.node.as_str() == "include")
        })
    }

    fn value(&self, value: &async_graphql_value::Value) -> Value {
        let known = |name: &str| self.plan.variables.get(name).cloned().unwrap_or(Value::Null);
        let constant = value.clone().into_const_with(|name| ConstValue::from_json(known(name.as_str())));
        constant.ok().and_then(|value| value.into_json().ok()).unwrap_or(Value::Null)
    }

    fn field(&mut self, thing: &Thing<'a>, fields: &[&'a Positioned<Field>]) -> Value {
        let field = &fields[0].node;
        let name = field.name.node.as_str();
        let sets: Vec<&'a SelectionSet> = fields.iter().map(|one| &one.node.selection_set.node).collect();
        if name == "__typename" {
            return json!(thing.kind());
        }
        let mut values = Map::new();
        if let Some(known) = self.schema.field(thing.kind(), name) {
            for one in &known.arguments {
                if let Some(value) = one.node.default_value.as_ref() {
                    let value = value.node.clone().into_json().unwrap_or(Value::Null);
                    values.insert(one.node.name.node.to_string(), value);
                }
            }
        }
        for (name, value) in &field.arguments {
            let value = self.value(&value.node);
            if !value.is_null() {
                values.insert(name.node.to_string(), value);
            }
        }
        if name == "__type" {
            return self.introspect(values.get("name").and_then(Value::as_str).unwrap_or_default(), &sets);
        }
        let mut below = Vec::new();
        for set in &sets {
            // Every kind's fields: who selects nodes in a fragment selects them all the same.
            self.collect(self.below(thing.kind(), name), set, &mut below);
        }
        let selected = below.iter().flat_map(|(_, all)| all.iter().map(|one| one.node.name.node.as_str()));
        let args = Args { values, selected: selected.collect() };
        match self.world.field(thing, name, &args) {
            Ok(out) => self.out(out, &sets),
            Err(problem) => {
                self.fail(problem, fields[0]);
                Value::Null
            }
        }
    }

    fn below(&self, kind: &str, name: &str) -> &'a str {
        self.schema.field(kind, name).map_or("", |field| super::schema::base(&field.ty.node))
    }

    fn fail(&mut self, mut problem: Problem, at: &Positioned<Field>) {
        let mut path = self.path.clone();
        path.append(&mut problem.path);
        problem.path = path;
        problem.place = (at.pos.line, at.pos.column);
        self.plan.problems.push(problem);
    }

    fn out(&mut self, out: Out<'a>, sets: &[&'a SelectionSet]) -> Value {
        match out {
            Out::Plain(value) => value,
            Out::Thing(thing) => self.object(&thing, sets),
            Out::Many(items) => {
                let mut values = Vec::with_capacity(items.len());
                for (index, item) in items.into_iter().enumerate() {
                    self.path.push(json!(index));
                    values.push(self.out(item, sets));
                    self.path.pop();
                }
                Value::Array(values)
            }
            Out::Missing(mut problem) => {
                problem.path.clone_from(&self.path);
                self.plan.problems.push(problem);
                Value::Null
            }
        }
    }

    /// `__type(name:)`: kind, name, fields and the values of an enum, by name.
    fn introspect(&mut self, name: &str, sets: &[&'a SelectionSet]) -> Value {
        let Some(kind) = self.schema.kind_name(name) else { return Value::Null };
        let named = |name: &str, rest: Value| {
            let mut shape = json!({"name": name, "description": null, "isDeprecated": false});
            shape["type"] = rest;
            shape
        };
        let fields: Vec<Value> = self
            .schema
            .fields(name)
            .iter()
            .map(|field| {
                named(&field.node.name.node, json!({"name": super::schema::base(&field.node.ty.node)}))
            })
            .collect();
        let values = self
            .schema
            .values(name)
            .map(|values| values.into_iter().map(|value| named(value, Value::Null)).collect::<Vec<_>>());
        let whole = json!({"kind": kind, "name": name, "fields": fields, "enumValues": values});
        sets.iter().fold(json!({}), |shape, set| merge(shape, pick(&whole, set)))
    }
}

/// What is selected of a value that is there already.
fn pick(whole: &Value, set: &SelectionSet) -> Value {
    match whole {
        Value::Array(items) => items.iter().map(|item| pick(item, set)).collect(),
        Value::Object(_) if !set.items.is_empty() => {
            let mut shape = Map::new();
            for item in &set.items {
                if let Selection::Field(field) = &item.node {
                    let value = &whole[field.node.name.node.as_str()];
                    let value = pick(value, &field.node.selection_set.node);
                    shape.insert(field.node.response_key().node.to_string(), value);
                }
            }
            Value::Object(shape)
        }
        other => other.clone(),
    }
}

fn merge(mut one: Value, other: Value) -> Value {
    if let (Value::Object(one), Value::Object(other)) = (&mut one, other) {
        one.extend(other);
    }
    one
}
