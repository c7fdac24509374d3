//! `cq`: finds `cq-NAME` beside itself or on PATH and becomes it, as git does.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::environment::Environment;
use crate::error::{Error, Kind, Result, Tally};
use crate::output;
use crate::process::{self, Program};

/// man finds a page, or does not, in less.
const LOOK: Duration = Duration::from_secs(10);

/// Runs a command, or lists `commands`: names without `cq-`, and what they do.
pub fn run(environment: &Environment, command: &[String], commands: &[(&str, String)]) -> Result<Tally> {
    let Some((name, arguments)) = command.split_first() else {
        output::print(&list(commands))?;
        return Ok(Tally::default());
    };
    if name == "help" {
        let page = match arguments.first() {
            Some(name) if is_known(name, commands) || find(name, environment).is_some() => {
                format!("cq-{name}")
            }
            Some(name) => return Err(unknown(name, commands)),
            None => "cq".to_owned(),
        };
        return Err(show_page(environment, &page)?);
    }
    if let Some(path) = find(name, environment) {
        let program = Program::new(path, Path::new(".")).args(arguments).envs(environment.iter());
        return Err(program.exec());
    }
    Err(unknown(name, commands))
}

fn is_known(name: &str, commands: &[(&str, String)]) -> bool {
    commands.iter().any(|(known, _)| *known == name)
}

/// The program behind a name: one of cq's, or any `cq-NAME` on PATH.
fn find(name: &str, environment: &Environment) -> Option<PathBuf> {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    plain.then(|| process::sibling(&format!("cq-{name}"), environment).ok()).flatten()
}

fn unknown(name: &str, commands: &[(&str, String)]) -> Error {
    let error = Error::new(Kind::Usage, format!("'{name}' is not a cq command"));
    if is_known(name, commands) {
        return error.hint(format!("cq-{name} is part of cq, but not installed beside it"));
    }
    let nearest = commands
        .iter()
        .map(|(known, _)| (strsim::jaro_winkler(name, known), known))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.75);
    match nearest {
        Some((_, nearest)) => error.hint(format!("a similar name exists: {nearest}")),
        None => error.hint("cq --list names them all"),
    }
}

/// Becomes `man`. What it cannot show is told here: its own exit status is none of cq's.
fn show_page(environment: &Environment, page: &str) -> Result<Error> {
    let hint = |error: Error| error.hint(format!("{page} --help says what there is to say"));
    let man = process::find("man", Path::new("."), environment).map_err(hint)?;
    let program = || Program::new(man.clone(), Path::new(".")).envs(environment.iter());
    if !program().args(["-w", page]).run(LOOK)?.success() {
        let message = format!("there is no manual page of {page} where man looks (MANPATH)");
        return Err(hint(Error::new(Kind::Config, message)));
    }
    Ok(program().args([page]).exec())
}

fn list(commands: &[(&str, String)]) -> String {
    let rows = commands.iter().map(|(name, about)| format!("  {name:<10} {about}\n"));
    format!("cq commands (cq help NAME shows a command's manual page):\n\n{}", rows.collect::<String>())
}
