//! The configuration of checks: what must pass before a pull request, and what a clean checkout is given.

use std::path::{Component, Path};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::globs;
use crate::error::{Error, Kind, Result};

/// One check.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gate {
    /// Its name in reports, which no other check has.
    pub name: String,
    /// Its argument vector. Never run through a shell.
    pub command: Vec<String>,
    /// Minutes it may take; a fraction is allowed.
    #[serde(default = "Gate::default_timeout")]
    pub timeout_minutes: f64,
    /// Globs of paths from the repository's root, such as `src/**`, `**/*.rs` or `Cargo.toml`; one that ends with `/`
    /// is everything below. The check only runs where the change touches one of them; without any it always runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub when: Vec<String>,
    /// Runs at the same time as its neighbours in the list that say so too. Nothing after it may need what it makes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub parallel: bool,
}

impl Gate {
    /// Minutes for a check that does not say.
    pub const fn default_timeout() -> f64 {
        30.0
    }

    /// Whether it has to run for a change of these paths.
    pub fn concerns<'p>(&self, mut changed: impl Iterator<Item = &'p str>) -> bool {
        self.when.is_empty() || changed.any(|path| self.when.iter().any(|glob| globs::fits(glob, path)))
    }
}

/// What the clean checkout of the checks is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GateRuns {
    /// Folders of builds and dependencies that are kept from one green run of the checks to the next: paths in the
    /// repository, such as `target` or `node_modules`, or with `~/` in the home that checks have in a sandbox.
    pub caches: Vec<String>,
    /// MiB that each of them may take; a larger one is not kept.
    pub cache_megabytes: u64,
}

impl Default for GateRuns {
    fn default() -> Self {
        Self { caches: Vec::new(), cache_megabytes: 4096 }
    }
}

/// Refuses what cannot be meant.
pub(super) fn refuse_odd(gates: &[Gate], runs: &GateRuns) -> Result<()> {
    for (at, gate) in gates.iter().enumerate() {
        if gate.name.trim().is_empty() {
            return Err(Error::new(Kind::Config, format!("'qualityGates[{at}].name' is empty")));
        }
        if let Some(first) = gates[..at].iter().position(|other| other.name == gate.name) {
            let name = &gate.name;
            let message =
                format!("'qualityGates[{at}].name': 'qualityGates[{first}]' is called '{name}' too");
            return Err(Error::new(Kind::Config, message).hint("reports tell checks apart by their names"));
        }
        if gate.command.is_empty() {
            return Err(Error::new(Kind::Config, format!("'qualityGates[{at}].command' is empty")));
        }
        if gate.timeout_minutes <= 0.0 || gate.timeout_minutes > 1e6 {
            let message = format!("'qualityGates[{at}].timeoutMinutes' must be greater than 0");
            return Err(Error::new(Kind::Config, message));
        }
        for glob in &gate.when {
            globs::refuse_odd(&format!("qualityGates[{at}].when"), glob)?;
        }
    }
    match runs.caches.iter().find(|cache| !is_below(cache)) {
        None => Ok(()),
        Some(cache) => {
            let message = format!("'gate.caches': '{cache}' is no folder below the repository or the home");
            Err(Error::new(Kind::Config, message).hint("write it like target, web/node_modules or ~/.npm"))
        }
    }
}

/// Whether a cache is a plain relative path, and not the repository's own.
fn is_below(cache: &str) -> bool {
    let path = Path::new(cache.strip_prefix("~/").unwrap_or(cache));
    let plain =
        |part: Component<'_>| matches!(part, Component::Normal(name) if name != ".git" && name != "~");
    path.components().next().is_some() && path.components().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_check_runs_where_the_change_touches_what_it_looks_at() {
        let cases: [(&[&str], &[&str], bool); 12] = [
            (&[], &["README.md"], true),
            (&[], &[], true),
            (&["src/**"], &["src/main.rs"], true),
            (&["src/**"], &["src/a/b/c.rs"], true),
            (&["src/**"], &["docs/src/x"], false),
            (&["src/"], &["src/a/b.rs"], true),
            (&["**/*.rs"], &["build.rs"], true),
            (&["**/*.rs"], &["a/b/c.rs", "x"], true),
            (&["*.toml"], &["Cargo.toml"], true),
            (&["*.toml"], &["a/Cargo.toml"], false),
            (&["Cargo.toml", "src/**"], &["README.md", "Cargo.toml"], true),
            (&["src/**"], &[], false),
        ];
        for (when, changed, expected) in cases {
            let when = when.iter().map(|&glob| glob.to_owned()).collect();
            let gate = Gate { when, ..Gate::default() };
            assert_eq!(gate.concerns(changed.iter().copied()), expected, "{:?} {changed:?}", gate.when);
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_its_key() {
        let gate = |more: &str| format!(r#"{{"qualityGates":[{{"name":"x","command":["true"]{more}}}]}}"#);
        let caches = |cache: &str| format!(r#"{{"gate":{{"caches":["{cache}"]}}}}"#);
        for text in [gate(r#","when":["src/**","*.md"],"parallel":true"#), caches("a/b"), caches("~/.npm")] {
            Config::parse(&text).unwrap();
        }
        let cases = [
            (
                r#"{"qualityGates":[{"name":"x","command":[]}]}"#.to_owned(),
                "'qualityGates[0].command' is empty",
            ),
            (r#"{"qualityGates":[{"name":" ","command":["a"]}]}"#.to_owned(), "'qualityGates[0].name' is empty"),
            (
                r#"{"qualityGates":[{"name":"a","command":["a"]},{"name":"b","command":["a"]},{"name":"a","command":["b"]}]}"#.to_owned(),
                "'qualityGates[2].name': 'qualityGates[0]' is called 'a' too",
            ),
            (gate(r#","timeoutMinutes":0"#), "'qualityGates[0].timeoutMinutes' must be"),
            (gate(r#","when":["a**b"]"#), "'qualityGates[0].when': 'a**b' is no pattern"),
            (caches("../x"), "'gate.caches': '../x'"),
            (caches("/x"), "'gate.caches': '/x'"),
            (caches("~/"), "'gate.caches': '~/'"),
            (caches(""), "'gate.caches': ''"),
            (caches("a/.git"), "'gate.caches': 'a/.git'"),
            (caches("."), "'gate.caches': '.'"),
        ];
        for (text, expected) in cases {
            let error = Config::parse(&text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}
