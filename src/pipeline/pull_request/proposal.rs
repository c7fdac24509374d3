//! What a pull request says.

use std::collections::BTreeMap;

use super::receipt::{checks, receipt};
use crate::agent::templates::PULL_REQUEST;
use crate::clock::span;
use crate::error::Result;
use crate::git::PrivateGit;
use crate::github::pulls::Proposal;
use crate::record::Record;
use crate::sanitize;
use crate::session::Session;

/// GitHub's limit for a title, in characters.
const LONGEST_TITLE: usize = 256;
/// GitHub's limit for a body, in characters.
const LONGEST_BODY: usize = 65_536;

/// Title and body.
pub(super) fn of(session: &Session, record: &Record, private: &PrivateGit, head: &str) -> Result<Proposal> {
    let claim = record.claimed()?;
    let base = claim.base_sha.as_deref().unwrap_or(&claim.base);
    let workspaces = session.loaded.workspaces(&session.environment)?;
    let run = record.run.clone().unwrap_or_default();
    let tree = private.tree_of(head)?;
    let gates = record.gates.as_ref().filter(|gates| gates.tree == tree);
    let list =
        |lines: Vec<String>| lines.iter().map(|line| format!("- {line}")).collect::<Vec<_>>().join("\n");
    let subjects = private.subjects(base, head)?.iter().map(|subject| harmless(subject)).collect();
    let duration = run.started_at.zip(run.ended_at).map_or(0, |(from, to)| (to - from).num_seconds());
    let values = BTreeMap::from([
        ("issue_number", record.number.to_string()),
        ("issue_title", harmless(&record.issue.title)),
        ("repository", record.repo.clone()),
        ("branch_name", claim.branch.clone()),
        ("base_branch", claim.base.clone()),
        ("summary", harmless(run.summary.as_deref().unwrap_or("The agent left no summary."))),
        ("commits", list(subjects)),
        ("diff_stat", private.diff_stat(base, head)?.replace("```", "'''")),
        ("checks", checks(gates)),
        ("receipt", receipt(gates, &tree)),
        // An operator's template may say of it that it was checked.
        (
            "tree",
            if gates.is_some_and(|gates| gates.passes(&tree)) {
                tree
            } else {
                format!("{tree}, NOT CHECKED")
            },
        ),
        ("agent", run.agent.clone().unwrap_or_else(|| "unknown".to_owned())),
        ("attempt", claim.attempt.to_string()),
        ("turns", run.turns.map_or_else(|| "an unknown number of".to_owned(), |turns| turns.to_string())),
        ("duration", span(duration)),
        ("cost", run.cost_usd.map_or_else(|| "cost unknown".to_owned(), |cost| format!("US$ {cost:.2}"))),
    ]);
    let body = PULL_REQUEST.render(&workspaces, &values)?;
    let title = format!("{} (#{})", sanitize::line(&record.issue.title), record.number);
    let redactor = session.redactor();
    Ok(Proposal {
        title: sanitize::clip(&redactor.redact(&title), LONGEST_TITLE).into_owned(),
        body: sanitize::clip(&redactor.redact(&body), LONGEST_BODY).into_owned(),
        head: claim.branch.clone(),
        base: claim.base.clone(),
        draft: session.loaded.config.pull_request.draft,
    })
}

/// Text of an agent or an issue in a pull request: nothing hidden, and nobody is called by `@name`.
fn harmless(text: &str) -> String {
    sanitize::lines(text).replace('@', "@\u{2060}")
}
