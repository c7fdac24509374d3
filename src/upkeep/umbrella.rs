//! `cq`: finds `cq-NAME` beside itself or on PATH and becomes it, as git does.

use std::path::Path;

use crate::environment::Environment;
use crate::error::{Error, Kind, Result, Tally};
use crate::output;
use crate::process::{self, Program};

/// Runs a command, or lists `commands`: names without `cq-`, and what they do.
pub fn run(environment: &Environment, command: &[String], commands: &[(&str, String)]) -> Result<Tally> {
    let Some((name, arguments)) = command.split_first() else {
        output::print(&list(commands))?;
        return Ok(Tally::default());
    };
    if name == "help" {
        let page = arguments.first().map_or_else(|| "cq".to_owned(), |name| format!("cq-{name}"));
        return Err(become_program(environment, "man", &[page])?);
    }
    let known = |name: &str| commands.iter().any(|(known, _)| *known == name);
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if plain && let Ok(path) = process::sibling(&format!("cq-{name}"), environment) {
        let program = Program::new(path, Path::new(".")).args(arguments).envs(environment.iter());
        return Err(program.exec());
    }
    let error = Error::new(Kind::Usage, format!("'{name}' is not a cq command"));
    if known(name) {
        return Err(error.hint(format!("cq-{name} is part of cq, but not installed beside it")));
    }
    let nearest = commands
        .iter()
        .map(|(known, _)| (strsim::jaro_winkler(name, known), known))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.75);
    Err(match nearest {
        Some((_, nearest)) => error.hint(format!("a similar name exists: {nearest}")),
        None => error.hint("cq --list names them all"),
    })
}

fn become_program(environment: &Environment, name: &str, arguments: &[String]) -> Result<Error> {
    let path = process::find(name, Path::new("."), environment)?;
    Ok(Program::new(path, Path::new(".")).args(arguments).envs(environment.iter()).exec())
}

fn list(commands: &[(&str, String)]) -> String {
    let rows = commands.iter().map(|(name, about)| format!("  {name:<10} {about}\n"));
    format!("cq commands (cq help NAME shows a command's manual page):\n\n{}", rows.collect::<String>())
}
