//! Which programs took part in the checks, in their own words.

use std::collections::BTreeSet;
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
/// Programs that say their version when they are asked like this. Others may take anything for an order to begin, so
/// they are not asked.
const KNOWN: [(&str, &str); 38] = [
    ("bazel", "--version"),
    ("bun", "--version"),
    ("bundle", "--version"),
    ("cargo", "--version"),
    ("clang", "--version"),
    ("cmake", "--version"),
    ("composer", "--version"),
    ("ctest", "--version"),
    ("deno", "--version"),
    ("dotnet", "--version"),
    ("eslint", "--version"),
    ("gcc", "--version"),
    ("git", "--version"),
    ("go", "version"),
    ("gradle", "--version"),
    ("java", "--version"),
    ("just", "--version"),
    ("make", "--version"),
    ("meson", "--version"),
    ("mix", "--version"),
    ("mvn", "--version"),
    ("mypy", "--version"),
    ("ninja", "--version"),
    ("node", "--version"),
    ("npm", "--version"),
    ("php", "--version"),
    ("pnpm", "--version"),
    ("poetry", "--version"),
    ("pytest", "--version"),
    ("python", "--version"),
    ("python3", "--version"),
    ("ruby", "--version"),
    ("ruff", "--version"),
    ("rustc", "--version"),
    ("swift", "--version"),
    ("tox", "--version"),
    ("uv", "--version"),
    ("yarn", "--version"),
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

/// The programs of the checks that run, and what works behind them. One of the tree's own is known by the tree.
fn named(plan: &[Planned]) -> BTreeSet<&str> {
    let programs =
        plan.iter().filter(|planned| planned.runs).filter_map(|planned| planned.gate.command.first());
    let mut names = BTreeSet::new();
    for program in programs {
        let name = Path::new(program).file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let own = program.contains('/') && !program.starts_with('/');
        if !own {
            names.insert(name);
            names.extend(BEHIND.iter().filter(|(of, _)| *of == name).map(|(_, behind)| *behind));
        }
    }
    names
}

/// Asks them, where and as the checks run. One that says nothing is left out.
pub(super) fn versions(bench: &Bench<'_>, plan: &[Planned]) -> Result<Vec<Tool>> {
    let mut tools = Vec::new();
    for name in named(plan) {
        let Some((_, how)) = KNOWN.iter().find(|(known, _)| *known == name) else { continue };
        if let Some(version) = ask(bench, name, how)? {
            tools.push(Tool { name: name.to_owned(), version, extra: Extra::new() });
        }
    }
    Ok(tools)
}

fn ask(bench: &Bench<'_>, name: &str, how: &str) -> Result<Option<String>> {
    let Ok(prepared) = bench.prepare(&[name.to_owned(), how.to_owned()]) else { return Ok(None) };
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
        assert_eq!(named(&plan).into_iter().collect::<Vec<_>>(), ["cargo", "node", "npm", "rustc"]);
        assert!(KNOWN.windows(2).all(|pair| pair[0].0 < pair[1].0), "in order, each once");
    }
}
