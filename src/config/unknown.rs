//! Unknown configuration keys, each answered with the nearest known one.
//!
//! What is known is read off the JSON Schema generated from the types, so that there is no second list.

use serde_json::Value;

use super::Config;
use crate::error::{Error, Kind, Result};

/// Refuses the first key, in the order of the file's own nesting, that the schema does not have.
pub(super) fn check(config: &Value) -> Result<()> {
    let schema = schemars::schema_for!(Config).to_value();
    walk(config, &schema, &schema, "")
}

fn walk(value: &Value, schema: &Value, whole: &Value, path: &str) -> Result<()> {
    let schema = follow(schema, whole);
    match value {
        Value::Object(fields) => {
            let Some(known) = schema.get("properties").and_then(Value::as_object) else {
                // A map with free keys: only the values have a shape.
                let inner = schema.get("additionalProperties").unwrap_or(&Value::Null);
                return fields
                    .iter()
                    .try_for_each(|(key, value)| walk(value, inner, whole, &join(path, key)));
            };
            for (key, value) in fields {
                let Some(inner) = known.get(key) else {
                    return Err(unknown(&join(path, key), key, known.keys()));
                };
                walk(value, inner, whole, &join(path, key))?;
            }
            Ok(())
        }
        Value::Array(items) => {
            let inner = schema.get("items").unwrap_or(&Value::Null);
            items
                .iter()
                .enumerate()
                .try_for_each(|(index, item)| walk(item, inner, whole, &format!("{path}[{index}]")))
        }
        _ => Ok(()),
    }
}

/// Resolves `$ref`, also inside the `anyOf` of an optional value.
fn follow<'s>(schema: &'s Value, whole: &'s Value) -> &'s Value {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let pointer = reference.trim_start_matches('#');
        return whole.pointer(pointer).map_or(schema, |schema| follow(schema, whole));
    }
    let variants = schema.get("anyOf").and_then(Value::as_array);
    match variants.and_then(|variants| variants.iter().find(|variant| variant.get("$ref").is_some())) {
        Some(variant) => follow(variant, whole),
        None => schema,
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn unknown<'k>(path: &str, key: &str, known: impl Iterator<Item = &'k String>) -> Error {
    let known: Vec<&String> = known.collect();
    let nearest = known
        .iter()
        .map(|name| (strsim::jaro_winkler(&key.to_lowercase(), &name.to_lowercase()), name))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.7);
    let error = Error::new(Kind::Config, format!("unknown key '{path}'"));
    match nearest {
        Some((_, name)) => error.hint(format!("did you mean '{name}'?")),
        None => error.hint(format!("known here: {}", join_names(&known))),
    }
}

fn join_names(names: &[&String]) -> String {
    names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_known_key_is_named() {
        let cases = [
            (r#"{"githup":{}}"#, "unknown key 'githup'", "did you mean 'github'?"),
            (
                r#"{"github":{"exludeLabels":[]}}"#,
                "unknown key 'github.exludeLabels'",
                "did you mean 'excludeLabels'?",
            ),
            (
                r#"{"queue":{"max_concurrent_issues":1}}"#,
                "unknown key 'queue.max_concurrent_issues'",
                "did you mean 'maxConcurrentIssues'?",
            ),
            (
                r#"{"qualityGates":[{"nmae":"x"}]}"#,
                "unknown key 'qualityGates[0].nmae'",
                "did you mean 'name'?",
            ),
            (
                r#"{"agents":{"mine":{"comand":[]}}}"#,
                "unknown key 'agents.mine.comand'",
                "did you mean 'command'?",
            ),
            (
                r#"{"claude":{"zzzzzz":1}}"#,
                "unknown key 'claude.zzzzzz'",
                "known here: apiKey, maxInstances, timeoutMinutes",
            ),
        ];
        for (text, message, hint) in cases {
            let error = Config::parse(text).unwrap_err();
            assert_eq!((error.to_string().as_str(), error.hint.as_deref()), (message, Some(hint)));
            assert_eq!(error.kind, Kind::Config);
        }
    }

    #[test]
    fn free_keys_stay_free() {
        for text in
            [r#"{"agents":{"any-name":{"envSet":{"ANY":"x"}}}}"#, r#"{"github":{"priorityLabels":{"a":0}}}"#]
        {
            Config::parse(text).unwrap();
        }
    }
}
