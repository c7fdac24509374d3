//! Which programs took part in the checks, in their own words.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::check::{Bench, End};
use super::log;
use super::plan::Planned;
use crate::error::{Kind, OrFail, Result};
use crate::record::{Extra, Tool};
use crate::sanitize;

/// A program that takes longer to say its version has misunderstood.
const PATIENCE: Duration = Duration::from_secs(20);
/// The most of what it says, in characters.
const LONGEST: usize = 120;
/// Programs that say their version when they are asked. Others may take anything for an order to begin, so they are not
/// asked.
const KNOWN: [&str; 39] = [
    "bazel", "bun", "bundle", "cargo", "clang", "cmake", "composer", "ctest", "deno", "dotnet", "eslint",
    "gcc", "git", "go", "gradle", "java", "just", "make", "meson", "mix", "mvn", "mypy", "ninja", "node",
    "npm", "php", "pnpm", "poetry", "pytest", "python", "python3", "ruby", "ruff", "rustc", "swift", "tox",
    "tsc", "uv", "yarn",
];
/// What works behind a program.
const BEHIND: [(&str, &str); 7] = [
    ("cargo", "rustc"),
    ("npm", "node"),
    ("npx", "node"),
    ("pnpm", "node"),
    ("yarn", "node"),
    ("pytest", "python3"),
    ("tox", "python3"),
];

/// The programs of the checks that run by their names, and what works behind them. One of the tree's own is known by the
/// tree.
fn named(plan: &[Planned]) -> BTreeMap<&str, &str> {
    let programs = plan.iter().filter(|planned| planned.runs);
    let programs = programs.filter_map(|planned| planned.gate.command.first().map(String::as_str));
    let mut named = BTreeMap::new();
    for program in programs.filter(|program| !program.contains('/') || program.starts_with('/')) {
        let name = Path::new(program).file_name().and_then(|name| name.to_str()).unwrap_or_default();
        named.insert(name, program);
        for (_, behind) in BEHIND.iter().filter(|(of, _)| *of == name) {
            named.entry(behind).or_insert(behind);
        }
    }
    named
}

/// Asks them, where and as the checks run. One that says nothing is left out.
pub(super) fn versions(bench: &Bench<'_>, plan: &[Planned]) -> Result<Vec<Tool>> {
    let mut tools = Vec::new();
    for (name, program) in named(plan) {
        if KNOWN.contains(&name)
            && let Some(version) = ask(bench, name, program)?
        {
            tools.push(Tool { name: name.to_owned(), version, extra: Extra::new() });
        }
    }
    Ok(tools)
}

fn ask(bench: &Bench<'_>, name: &str, program: &str) -> Result<Option<String>> {
    let how = if name == "go" { "version" } else { "--version" };
    let Ok(prepared) = bench.prepare(&[program.to_owned(), how.to_owned()]) else { return Ok(None) };
    let said =
        tempfile::NamedTempFile::new().or_fail(Kind::CannotWrite, || "cannot make a temporary file")?;
    let (end, _) = bench.run(&prepared, said.as_file(), PATIENCE)?;
    let first = log::first_line(said.path()).filter(|_| end == End::Exit(0));
    let redactor = bench.session.redactor();
    Ok(first.map(|line| sanitize::clip(&sanitize::line(&redactor.redact(&line)), LONGEST).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Gate;

    #[test]
    fn only_programs_that_are_known_to_answer_are_asked() {
        let planned = |command: &str, runs| Planned {
            gate: Gate { command: vec![command.to_owned()], ..Gate::default() },
            slug: String::new(),
            runs,
        };
        let plan = [
            planned("cargo", true),
            planned("/usr/bin/npm", true),
            planned("./test.sh", true),
            planned("ci/make", true),
            planned("go", false),
        ];
        let expected = [("cargo", "cargo"), ("node", "node"), ("npm", "/usr/bin/npm"), ("rustc", "rustc")];
        assert_eq!(named(&plan).into_iter().collect::<Vec<_>>(), expected);
    }
}
