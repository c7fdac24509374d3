//! The shape of an answer: each selected field is there, null only where it may be, enums within their values.

use apollo_compiler::ast::Type;
use apollo_compiler::executable::{Selection, SelectionSet};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{ExecutableDocument, Schema};
use serde_json::{Value, json};

/// Compares an answer with what its document selects and the schema promises.
pub(crate) struct Checker<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) document: &'a ExecutableDocument,
    /// Paths of errors: there null is right.
    pub(crate) failed: Vec<Value>,
}

impl<'a> Checker<'a> {
    fn is(&self, object: &str, wanted: &str) -> bool {
        object == wanted || self.schema.is_subtype(wanted, object)
    }

    /// The fields that are selected for an object of a kind: key, type, what is selected below.
    fn fields(
        &self,
        kind: &str,
        set: &'a SelectionSet,
        into: &mut Vec<(&'a str, &'a Type, &'a SelectionSet)>,
    ) {
        for selection in &set.selections {
            match selection {
                Selection::Field(field) => {
                    into.push((field.response_key().as_str(), field.ty(), &field.selection_set));
                }
                Selection::InlineFragment(fragment) => {
                    if fragment.type_condition.as_ref().is_none_or(|on| self.is(kind, on)) {
                        self.fields(kind, &fragment.selection_set, into);
                    }
                }
                Selection::FragmentSpread(spread) => {
                    let fragment = spread.fragment_def(self.document).unwrap();
                    if self.is(kind, fragment.type_condition()) {
                        self.fields(kind, &fragment.selection_set, into);
                    }
                }
            }
        }
    }

    /// Says of an object what is wrong in it.
    pub(crate) fn object(
        &self,
        value: &Value,
        sets: &[&'a SelectionSet],
        declared: &str,
        path: &mut Vec<Value>,
        wrong: &mut Vec<String>,
    ) {
        let kind = value["__typename"].as_str().unwrap_or(declared).to_owned();
        if !self.is(&kind, declared) {
            wrong.push(format!("{path:?}: {kind} is no {declared}"));
        }
        let mut fields = Vec::new();
        for set in sets {
            self.fields(&kind, set, &mut fields);
        }
        for (key, _, _) in &fields {
            let same: Vec<_> = fields.iter().filter(|(one, ..)| one == key).collect();
            let below: Vec<&SelectionSet> = same.iter().map(|(_, _, set)| *set).collect();
            path.push(json!(key));
            match value.get(*key) {
                None => wrong.push(format!("{path:?}: missing")),
                Some(value) => self.value(value, same[0].1, &below, path, wrong),
            }
            path.pop();
        }
    }

    fn value(
        &self,
        value: &Value,
        ty: &'a Type,
        sets: &[&'a SelectionSet],
        path: &mut Vec<Value>,
        wrong: &mut Vec<String>,
    ) {
        if value.is_null() {
            if ty.is_non_null() && !self.failed.contains(&json!(path)) {
                wrong.push(format!("{path:?}: null for {ty}"));
            }
            return;
        }
        if ty.is_list() {
            for (index, item) in value.as_array().unwrap().iter().enumerate() {
                path.push(json!(index));
                self.value(item, ty.item_type(), sets, path, wrong);
                path.pop();
            }
            return;
        }
        let name = ty.inner_named_type();
        let fine = match &self.schema.types[name] {
            ExtendedType::Enum(one) => {
                value.as_str().is_some_and(|value| one.values.keys().any(|known| known.as_str() == value))
            }
            ExtendedType::Scalar(_) => match name.as_str() {
                "Int" => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
                "Boolean" => value.is_boolean(),
                "DateTime" => {
                    value.as_str().is_some_and(|text| text.parse::<chrono::DateTime<chrono::Utc>>().is_ok())
                }
                "URI" => value.as_str().is_some_and(|text| text.starts_with('/') || text.starts_with("http")),
                _ => value.is_string(),
            },
            _ => {
                self.object(value, sets, name, path, wrong);
                true
            }
        };
        if !fine {
            wrong.push(format!("{path:?}: {value} is no {name}"));
        }
    }
}
