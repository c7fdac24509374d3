//! Red on the base as well: then the change is not to blame. What a check says of a base is kept, and asked once.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::plan::{self, Planned};
use crate::digest::sha256;
use crate::error::{Kind, OrFail, Result};
use crate::record::{Check, GateVerdict};
use crate::session::Session;
use crate::state::{durable, make_private};

/// What a check says of a base's tree.
#[derive(Debug, Serialize, Deserialize)]
struct Known {
    tree: String,
    check: Check,
}

/// A name for a command on a tree.
fn file(session: &Session, tree: &str, command: &[String]) -> Result<Option<PathBuf>> {
    let Some(cache) = session.state.cache() else { return Ok(None) };
    let question =
        serde_json::to_vec(&(tree, command)).or_fail(Kind::Internal, || "cannot write a command")?;
    Ok(Some(cache.join("base").join(format!("{}.json", sha256(&question)))))
}

fn known(session: &Session, tree: &str, command: &[String]) -> Result<Option<Check>> {
    let Some(file) = file(session, tree, command)? else { return Ok(None) };
    let known: Option<Known> = durable::read(&file)?.and_then(|text| serde_json::from_str(&text).ok());
    Ok(known.filter(|known| known.tree == tree && known.check.command == command).map(|known| known.check))
}

fn keep(session: &Session, tree: &str, check: &Check) -> Result<()> {
    // What could not run today may run tomorrow.
    let is_known = matches!(check.verdict, GateVerdict::Passed | GateVerdict::Failed);
    let Some(file) = file(session, tree, &check.command)?.filter(|_| is_known) else { return Ok(()) };
    make_private(file.parent().unwrap_or(session.state.dir()))?;
    let known = Known { tree: tree.to_owned(), check: check.clone() };
    let text = serde_json::to_vec(&known).or_fail(Kind::Internal, || "cannot write what a check says")?;
    durable::replace_cheaply(&file, &text)
}

/// Finds out which red checks are red on the base's tree, too, and calls them unevaluated. `run` runs a plan there; it is
/// asked for what is not known yet, or for all where `again`, and for what must come before it.
pub(super) fn compare(
    session: &Session,
    plan: &[Planned],
    checks: &mut [Check],
    tree: &str,
    again: bool,
    run: impl FnOnce(&[Planned]) -> Result<Vec<Check>>,
) -> Result<()> {
    let red: Vec<usize> = (0..checks.len()).filter(|at| checks[*at].verdict == GateVerdict::Failed).collect();
    let mut there = BTreeMap::new();
    for at in red.iter().filter(|_| !again) {
        there.extend(known(session, tree, &checks[*at].command)?.map(|check| (*at, check)));
    }
    let unknown: Vec<usize> = red.into_iter().filter(|at| !there.contains_key(at)).collect();
    if !unknown.is_empty() {
        let needed = plan::needed(plan, &unknown);
        session.detail("looking whether the base is red as well");
        for (at, check) in run(&needed)?.into_iter().enumerate().filter(|(at, _)| needed[*at].runs) {
            keep(session, tree, &check)?;
            there.insert(at, check);
        }
    }
    for (at, on_base) in there {
        blame_base(&mut checks[at], &on_base);
    }
    Ok(())
}

fn blame_base(check: &mut Check, on_base: &Check) {
    if check.verdict == GateVerdict::Failed && on_base.verdict == GateVerdict::Failed {
        check.verdict = GateVerdict::Unevaluated;
        check.base_exit = on_base.exit;
        let exit = on_base.exit.map(|exit| format!(" (exit status {exit})")).unwrap_or_default();
        check.why = Some(format!("red on the base as well{exit}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_red_on_both_is_the_bases_fault() {
        use GateVerdict::{Failed, Passed, Unevaluated};
        let check = |verdict| Check { verdict, exit: Some(3), ..Check::default() };
        for (here, there, expected) in [
            (Failed, Failed, Unevaluated),
            (Failed, Passed, Failed),
            (Failed, Unevaluated, Failed),
            (Passed, Failed, Passed),
        ] {
            let mut checked = check(here);
            blame_base(&mut checked, &check(there));
            assert_eq!(checked.verdict, expected, "{here:?} {there:?}");
            let why = "red on the base as well (exit status 3)";
            assert_eq!(checked.why.as_deref(), (expected == Unevaluated).then_some(why));
        }
    }
}
