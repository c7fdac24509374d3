//! `cq-doctor`: looks at everything cq needs, says what is wrong, and what to do about it.
//! Changes nothing unless asked to repair.

use serde::Serialize;

use crate::config::Loaded;
use crate::error::{Error, Kind, Result, Tally};
use crate::sanitize;
use crate::session::Session;

mod github;
mod grounds;
mod limits;
mod people;
mod programs;
mod sandbox;
mod state;
mod surroundings;
mod token;
mod workspaces;

/// What is asked for.
#[derive(Debug)]
pub struct Wish {
    /// Mend what can be mended without a person.
    pub repair: bool,
    /// Only the workspaces of these instances.
    pub instances: Vec<String>,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// cq works, but not as well or as safely as it could.
    Warning,
    /// Something will not work.
    Error,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which check, in a word or two: `token`, `github.clock`.
    pub check: &'static str,
    /// How it came out.
    pub verdict: Verdict,
    /// What was found; never a secret.
    pub what: String,
    /// What to do about it.
    pub fix: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, what: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, what: what.into(), fix: None }
    }

    fn warning(check: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Warning, what: what.into(), fix: Some(fix.into()) }
    }

    fn error(check: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Error, what: what.into(), fix: Some(fix.into()) }
    }

    /// An error of cq's own, as a finding.
    fn failed(check: &'static str, error: &Error) -> Self {
        Self { check, verdict: Verdict::Error, what: error.to_string(), fix: error.hint.clone() }
    }
}

/// Says what was found, as soon as it is.
type Tell<'a> = dyn FnMut(Finding) -> Result<()> + 'a;

/// One part of what is looked at.
type Part = fn(&Session, &Wish, &mut Tell<'_>) -> Result<()>;

/// What is looked at, in this order, and which check an error that a part does not expect is put down to.
const PARTS: [(&str, Part); 12] = [
    ("configuration", |session, _, tell| configuration(session, tell)),
    ("git", |session, _, tell| programs::git(session, tell)),
    ("agent", |session, _, tell| programs::agents(session, tell)),
    ("checks", |session, _, tell| programs::checks(session, tell)),
    ("templates", |session, _, tell| grounds::templates(session, tell)),
    ("disk", |session, _, tell| grounds::disk(session, tell)),
    ("limits", |session, _, tell| limits::look(session, tell)),
    ("sandbox", |session, _, tell| sandbox::look(session, tell)),
    ("state", |session, wish, tell| state::look(session, wish.repair, tell)),
    ("workspace", |session, wish, tell| workspaces::look(session, &wish.instances, tell)),
    ("policy", |session, _, tell| grounds::policy(session, tell)),
    ("github", |session, _, tell| github::look(session, tell)),
];

/// Of these, so many stand for themselves: the rest would only tell of the defaults, were the configuration unreadable.
const WITHOUT_CONFIGURATION: usize = 2;

/// Looks at everything, or at the workspaces of the instances that are named.
pub fn run(session: &Session, wish: &Wish) -> Result<Tally> {
    workspaces::refuse_other_names(&wish.instances)?;
    let redactor = session.redactor();
    let mut output = session.rows(&["CHECK", "VERDICT", "WHAT", "FIX"]);
    let mut tally = Tally::default();
    let mut tell = |mut finding: Finding| {
        finding.what = redactor.redact(&sanitize::line(&finding.what)).into_owned();
        finding.fix = finding.fix.map(|fix| redactor.redact(&sanitize::line(&fix)).into_owned());
        if finding.verdict == Verdict::Error {
            tally.note(Kind::Failed);
        }
        output.item(&finding, || {
            let verdict = match finding.verdict {
                Verdict::Ok => "ok",
                Verdict::Warning => "warning",
                Verdict::Error => "ERROR",
            };
            let fix = finding.fix.clone().unwrap_or_default();
            vec![finding.check.to_owned(), verdict.to_owned(), finding.what.clone(), fix]
        })
    };
    if wish.instances.is_empty() {
        let is_readable = Loaded::find(session.options.config.as_deref(), session.folder()).is_ok();
        let count = if is_readable { PARTS.len() } else { WITHOUT_CONFIGURATION };
        for (check, part) in PARTS.into_iter().take(count) {
            match part(session, wish, &mut tell) {
                // Nobody reads what it says.
                Err(error) if error.kind == Kind::ClosedPipe => return Err(error),
                // What one part cannot do keeps no other from being told.
                Err(error) => tell(Finding::failed(check, &error))?,
                Ok(()) => {}
            }
        }
    } else {
        workspaces::look(session, &wish.instances, &mut tell)?;
    }
    output.finish()?;
    Ok(tally)
}

fn configuration(session: &Session, tell: &mut Tell<'_>) -> Result<()> {
    let check = "configuration";
    tell(match Loaded::find(session.options.config.as_deref(), session.folder()) {
        Err(error) => Finding::failed(check, &error),
        Ok(Loaded { file: Some(file), .. }) => Finding::ok(check, format!("'{}'", file.display())),
        Ok(Loaded { file: None, .. }) => {
            Finding::warning(check, "there is none; the defaults are in force", "cq-init")
        }
    })
}
