//! GitHub's description of its REST API (OpenAPI 3.0), and what is wrong with a request by it.

use jsonschema::Validator;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use url::form_urlencoded;

/// One version.
pub(crate) struct Description {
    pub(crate) version: &'static str,
    document: Value,
}

/// A part of the description that a request belongs to.
pub(crate) struct Operation<'d> {
    /// Such as `GET /repos/{owner}/{repo}/issues`.
    pub(crate) name: String,
    route: &'d Value,
    method: &'d Value,
    in_path: Vec<(String, String)>,
}

/// Both versions.
pub(crate) fn versions() -> [Description; 2] {
    let read = |version, text| {
        let mut document = serde_json::from_str(text).unwrap();
        modernise(&mut document);
        Description { version, document }
    };
    [
        read("2022-11-28", include_str!("../data/github/openapi-2022-11-28.json")),
        read("2026-03-10", include_str!("../data/github/openapi-2026-03-10.json")),
    ]
}

/// OpenAPI 3.0's `nullable` as JSON Schema says it.
fn modernise(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(modernise),
        Value::Object(object) => {
            object.values_mut().for_each(modernise);
            if object.remove("nullable") != Some(json!(true)) {
                return;
            }
            if let Some(kind @ Value::String(_)) = object.get_mut("type") {
                *kind = json!([kind.clone(), "null"]);
            } else {
                let rest = Value::Object(std::mem::take(object));
                object.insert("anyOf".to_owned(), json!([rest, {"type": "null"}]));
            }
            if let Some(Value::Array(values)) = object.get_mut("enum") {
                values.push(Value::Null);
            }
        }
        _ => {}
    }
}

impl Description {
    /// What a `$ref` leads to.
    fn resolved<'d>(&'d self, value: &'d Value) -> &'d Value {
        match value["$ref"].as_str() {
            Some(name) => self.document.pointer(name.trim_start_matches('#')).unwrap(),
            None => value,
        }
    }

    /// The routes there are, such as `/repos/{owner}/{repo}`.
    pub(crate) fn routes(&self) -> impl Iterator<Item = &str> {
        self.document["paths"].as_object().unwrap().keys().map(String::as_str)
    }

    /// What a method and a path (percent-encoded, without a query) belong to.
    pub(crate) fn operation(&self, method: &str, path: &str) -> Option<Operation<'_>> {
        let fits = |route: &str| -> Option<(usize, Vec<(String, String)>)> {
            let (parts, segments): (Vec<_>, Vec<_>) = (route.split('/').collect(), path.split('/').collect());
            if parts.len() != segments.len() {
                return None;
            }
            let (mut literal, mut in_path) = (0, Vec::new());
            for (part, segment) in parts.into_iter().zip(segments) {
                match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
                    Some(name) if !segment.is_empty() => {
                        let text = percent_decode_str(segment).decode_utf8().unwrap().into_owned();
                        in_path.push((name.to_owned(), text));
                    }
                    None if part == segment => literal += 1,
                    _ => return None,
                }
            }
            Some((literal, in_path))
        };
        let found = self.routes().filter_map(|route| Some((route, fits(route)?)));
        let (name, (_, in_path)) = found.max_by_key(|(_, (literal, _))| *literal)?;
        let route = &self.document["paths"][name];
        let operation = &route[method.to_lowercase()];
        operation.is_object().then(|| Operation {
            name: format!("{method} {name}"),
            route,
            method: operation,
            in_path,
        })
    }

    fn validator(&self, schema: &Value) -> Validator {
        let mut schema = schema.clone();
        schema["components"] = self.document["components"].clone();
        jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap()
    }

    /// The names that a schema of an object has properties for.
    fn properties<'d>(&'d self, schema: &'d Value, into: &mut Vec<&'d str>) {
        let schema = self.resolved(schema);
        into.extend(schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()));
        for several in ["oneOf", "anyOf", "allOf"] {
            for one in schema[several].as_array().into_iter().flatten() {
                self.properties(one, into);
            }
        }
    }

    /// Everything that is wrong with a request's path, query and body.
    pub(crate) fn complaints(&self, of: &Operation<'_>, query: &str, body: &Value) -> Vec<String> {
        let mut wrong = Vec::new();
        let lists = [&of.route["parameters"], &of.method["parameters"]];
        let parameters: Vec<&Value> =
            lists.into_iter().flat_map(|list| list.as_array().into_iter().flatten()).collect();
        let parameters: Vec<&Value> = parameters.into_iter().map(|one| self.resolved(one)).collect();
        let find = |place: &str, name: &str| {
            parameters.iter().find(|one| one["in"] == place && one["name"] == name).copied()
        };
        let in_query: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        for (place, given) in [("path", &of.in_path), ("query", &in_query)] {
            for (name, text) in given {
                let Some(parameter) = find(place, name) else {
                    wrong.push(format!("'{name}' is no parameter of its {place}"));
                    continue;
                };
                let schema = self.resolved(&parameter["schema"]);
                let value = typed(schema, text);
                let validator = self.validator(schema);
                wrong.extend(
                    validator.iter_errors(&value).map(|error| format!("{place} {name}={text}: {error}")),
                );
            }
            for parameter in parameters.iter().filter(|one| one["in"] == place && one["required"] == true) {
                if !given.iter().any(|(name, _)| parameter["name"] == name.as_str()) {
                    wrong.push(format!("{} is missing", parameter["name"]));
                }
            }
        }
        let described = self.resolved(&of.method["requestBody"]);
        let schema = &described["content"]["application/json"]["schema"];
        match (schema.is_object(), body.is_null()) {
            (false, false) => wrong.push("it takes no body".to_owned()),
            (true, true) if described["required"] == true => wrong.push("it needs a body".to_owned()),
            (true, false) => {
                let validator = self.validator(schema);
                wrong.extend(validator.iter_errors(body).map(|error| format!("body: {error}")));
                let mut known = Vec::new();
                self.properties(schema, &mut known);
                let given = body.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
                wrong.extend(
                    given
                        .filter(|name| !known.contains(name))
                        .map(|name| format!("body: nobody knows '{name}'")),
                );
            }
            _ => {}
        }
        wrong
    }
}

/// A parameter's text as a value of the type that its schema wants.
fn typed(schema: &Value, text: &str) -> Value {
    match schema["type"].as_str() {
        Some("integer" | "number" | "boolean") => {
            serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
        }
        _ => Value::String(text.to_owned()),
    }
}

/// A check that found nothing wrong with anything would show nothing.
#[test]
fn what_is_not_described_is_noticed() {
    let new_label = json!({"name": "bug", "color": "ff0000"});
    let cases = [
        ("GET", "/repos/o/r/issues", "state=open&per_page=100&since=2026-01-01T00:00:00Z", json!(null), ""),
        ("GET", "/repos/o/r/issues", "state=opened", json!(null), "opened"),
        ("GET", "/repos/o/r/issues", "per_page=many", json!(null), "many"),
        ("GET", "/repos/o/r/issues", "since=yesterday", json!(null), "yesterday"),
        ("GET", "/repos/o/r/issues", "lables=bug", json!(null), "'lables' is no parameter"),
        ("GET", "/repos/o/r/issues/seven", "", json!(null), "seven"),
        ("GET", "/repos/o/r/issues", "", json!({}), "it takes no body"),
        ("POST", "/repos/o/r/labels", "", new_label, ""),
        ("POST", "/repos/o/r/labels", "", json!({"name": 7}), "7 is not of type"),
        ("POST", "/repos/o/r/labels", "", json!({"color": "ff0000"}), "\"name\" is a required property"),
        ("POST", "/repos/o/r/labels", "", json!({"name": "bug", "colour": "red"}), "nobody knows 'colour'"),
        ("POST", "/repos/o/r/labels", "", json!(null), "it needs a body"),
    ];
    for description in versions() {
        for (method, path, query, body, expected) in &cases {
            let operation = description.operation(method, path).unwrap();
            let wrong = description.complaints(&operation, query, body).join("; ");
            let is_right = if expected.is_empty() { wrong.is_empty() } else { wrong.contains(expected) };
            assert!(is_right, "{} {method} {path}?{query} {body}: '{wrong}'", description.version);
        }
        assert!(description.operation("PUT", "/repos/o/r/issues").is_none());
        assert!(description.operation("GET", "/repos/o/r/isues").is_none());
    }
}
