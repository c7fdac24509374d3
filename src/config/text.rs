//! Configuration text in which `${NAME}` stands for an environment variable.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::environment::Environment;
use crate::error::{Error, Kind, Result};

/// Text that may name environment variables; they are looked up when it is used, not when it is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Text(String);

impl Text {
    /// The text with every `${NAME}` replaced. `key` is named when a variable is missing.
    pub fn resolve(&self, key: &str, environment: &Environment) -> Result<String> {
        let mut resolved = String::with_capacity(self.0.len());
        let mut rest = self.0.as_str();
        while let Some((before, after)) = rest.split_once("${") {
            resolved.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                return Err(Error::new(Kind::Config, format!("'{key}': '${{' without '}}'")));
            };
            let value = environment.named(name).ok_or_else(|| {
                Error::new(Kind::Config, format!("'{key}' names {name}, which is not set"))
                    .hint(format!("set {name} in the environment, or change '{key}'"))
            })?;
            resolved.push_str(value);
            rest = after;
        }
        resolved.push_str(rest);
        Ok(resolved)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_once_and_only_in_braces() {
        let environment: Environment =
            [("A", "1"), ("B", "${A}")].map(|(k, v)| (k.to_owned(), v.to_owned())).into_iter().collect();
        let cases = [
            ("plain $A", Some("plain $A")),
            ("${A}-${A}", Some("1-1")),
            ("${B}", Some("${A}")),
            ("${MISSING}", None),
            ("${A", None),
        ];
        for (text, expected) in cases {
            assert_eq!(Text::from(text).resolve("key", &environment).ok().as_deref(), expected, "{text}");
        }
    }
}
