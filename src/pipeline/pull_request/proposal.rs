//! What a pull request says.

use std::collections::BTreeMap;

use super::inspection::line;
use super::receipt::{checks, receipt};
use crate::agent::templates::PULL_REQUEST;
use crate::clock::span;
use crate::error::Result;
use crate::git::PrivateGit;
use crate::github::pulls::Proposal;
use crate::record::{Guarded, Record};
use crate::sanitize;
use crate::session::Session;

/// GitHub's limit for a title, in characters.
const LONGEST_TITLE: usize = 256;
/// GitHub's limit for a body, in characters.
const LONGEST_BODY: usize = 65_536;

/// Title and body.
pub(super) fn of(
    session: &Session,
    record: &Record,
    guarded: &Guarded,
    private: &PrivateGit,
) -> Result<Proposal> {
    let head = guarded.sha.as_str();
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
        ("base_sha", base.chars().take(12).collect()),
        ("flagged", flagged(guarded)),
        ("summary", harmless(run.summary.as_deref().unwrap_or("The agent left no summary."))),
        ("commits", list(subjects)),
        ("diff_stat", private.diff_stat(base, head)?.replace("```", "'''")),
        ("checks", checks(gates)),
        ("receipt", receipt(gates, &tree)),
        // An operator's template may say of it that it was checked.
        (
            "tree",
            if gates.is_some_and(|gates| gates.passes(&tree) && gates.has_checked()) {
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
    let text = PULL_REQUEST.read(&workspaces)?;
    let mut body = PULL_REQUEST.fill(&text, &values)?;
    if !text.contains("{flagged}") {
        // A template from before there was any: what a reviewer must see is not lost.
        body = format!("{}{body}", values["flagged"]);
    }
    let title = format!("{} (#{})", sanitize::line(&record.issue.title), record.number);
    let mask = session.mask()?;
    Ok(Proposal {
        title: sanitize::clip(&mask(&title), LONGEST_TITLE).into_owned(),
        body: sanitize::clip(&mask(&body), LONGEST_BODY).into_owned(),
        head: claim.branch.clone(),
        base: claim.base.clone(),
        draft: session.loaded.config.pull_request.draft,
    })
}

/// Text of an agent or an issue in a pull request: nothing hidden, and nobody is called by `@name`.
fn harmless(text: &str) -> String {
    sanitize::lines(text).replace('@', "@\u{2060}")
}

/// What a reviewer should look at first: before the agent's own words, and never cut off at the end.
fn flagged(guarded: &Guarded) -> String {
    if guarded.findings.is_empty() {
        return String::new();
    }
    let rows: Vec<String> = guarded.findings.iter().map(|one| format!("- {}", as_text(&line(one)))).collect();
    format!("### Look at this first\n\n{}\n\n", rows.join("\n"))
}

/// A line in which nothing means anything but itself.
fn as_text(line: &str) -> String {
    let escaped =
        |c: char| if c.is_ascii_punctuation() && !"'/.,:;()-".contains(c) { vec!['\\', c] } else { vec![c] };
    harmless(&line.chars().flat_map(escaped).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::record::{Extra, Finding, FindingKind};

    #[test]
    fn what_is_flagged_stands_under_a_heading_and_means_nothing_else() {
        let finding = |path: &str| Finding {
            kind: FindingKind::Protected,
            refused: false,
            path: Some(path.to_owned()),
            line: None,
            commit: None,
            says: "added: why".to_owned(),
            mark: String::new(),
            extra: Extra::new(),
        };
        let mut guarded = Guarded {
            sha: "s".into(),
            at: Timestamp::UNIX_EPOCH,
            withheld: false,
            findings: Vec::new(),
            permitted: Vec::new(),
            extra: Extra::new(),
        };
        assert_eq!(flagged(&guarded), "");
        guarded.findings = vec![finding("Cargo.lock"), finding("a`[x](y) @mia *b*")];
        assert_eq!(
            flagged(&guarded),
            "### Look at this first\n\n- 'Cargo.lock': added: why\n- 'a\\`\\[x\\](y) \\@\u{2060}mia \\*b\\*': added: why\n\n"
        );
    }
}
