//! `cq`: finds `cq-NAME` beside itself or on PATH and becomes it, as git does.

use std::path::Path;

use crate::cli::Page;
use crate::environment::Environment;
use crate::error::{Error, Kind, Result, Tally};
use crate::output;
use crate::process::{self, Program};

/// Runs a command, or lists them all.
pub fn run(environment: &Environment, command: &[String], pages: &[&Page]) -> Result<Tally> {
    let Some((name, arguments)) = command.split_first() else {
        output::print(&list(pages))?;
        return Ok(Tally::default());
    };
    if name == "help" {
        let page = arguments.first().map_or_else(|| "cq".to_owned(), |name| format!("cq-{name}"));
        return Err(become_program(environment, "man", &[page])?);
    }
    let known = |name: &str| pages.iter().any(|page| page.name == format!("cq-{name}"));
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if plain && let Ok(path) = process::sibling(&format!("cq-{name}"), environment) {
        let program = Program::new(path, Path::new(".")).args(arguments).envs(environment.iter());
        return Err(program.exec());
    }
    let error = Error::new(Kind::Usage, format!("'{name}' is not a cq command"));
    if known(name) {
        return Err(error.hint(format!("cq-{name} is part of cq, but not installed beside it")));
    }
    let names = pages.iter().filter_map(|page| page.name.strip_prefix("cq-"));
    let nearest = names
        .map(|known| (strsim::jaro_winkler(name, known), known))
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

fn list(pages: &[&Page]) -> String {
    let rows = pages.iter().filter_map(|page| {
        let name = page.name.strip_prefix("cq-")?;
        let about = (page.arguments)().get_about().map(ToString::to_string).unwrap_or_default();
        Some(format!("  {name:<10} {about}\n"))
    });
    format!("cq commands (cq help NAME shows a command's manual page):\n\n{}", rows.collect::<String>())
}
