//! What a pull request says of the checks: honestly, and for exactly the tree that is pushed.

use crate::clock::stamp;
use crate::record::{Check, GateVerdict, Gates};
use crate::sanitize;

/// The checks, one by one: nothing is called checked that was not. `gates` is what is known of the tree.
pub(super) fn checks(gates: Option<&Gates>) -> String {
    let Some(gates) = gates else {
        return "Nothing: whoever opened this asked for no checks (`cq-pr --unchecked`).".to_owned();
    };
    if gates.checks.is_empty() {
        return "Nothing: no checks are configured (`qualityGates`).".to_owned();
    }
    let rows: Vec<String> = gates.checks.iter().map(row).collect();
    let nothing =
        if gates.has_checked() { "" } else { "Nothing: none of the checks concerns the change.\n\n" };
    format!("{nothing}| check | command | result | took |\n|---|---|---|---|\n{}", rows.join("\n"))
}

fn row(check: &Check) -> String {
    let said = match check.verdict {
        GateVerdict::Passed => "passed",
        GateVerdict::Failed => "failed",
        GateVerdict::Unevaluated => "could not run",
        GateVerdict::Skipped => "skipped",
    };
    let why = check.why.as_deref().map(|why| format!(": {}", cell(why))).unwrap_or_default();
    let took = match check.verdict {
        GateVerdict::Skipped => "–".to_owned(),
        _ => format!("{:.1} s", check.seconds),
    };
    format!("| {} | `{}` | {said}{why} | {took} |", cell(&check.name), cell(&check.command.join(" ")))
}

/// Text that stays within its cell.
fn cell(text: &str) -> String {
    sanitize::line(text).replace('|', "\\|").replace('`', "'")
}

/// The tree, and what its verdict rests on.
pub(super) fn receipt(gates: Option<&Gates>, tree: &str) -> String {
    let Some(gates) = gates else { return format!("Tree `{tree}`, **not checked** before this was pushed.") };
    if gates.passes(tree) && !gates.has_checked() {
        return format!("Tree `{tree}`.");
    }
    if !gates.passes(tree) {
        return format!("Tree `{tree}`, pushed although its checks did not pass (`cq-pr --unchecked`).");
    }
    let mut told = format!("Tree `{tree}`, checked before this was pushed");
    let mut add = |text: String| told.push_str(&text);
    gates.at.iter().for_each(|at| add(format!(", {}", stamp(*at))));
    gates.base.iter().for_each(|base| add(format!(", for base `{base}`")));
    gates.checked_for.iter().for_each(|issue| add(format!(", when issue #{issue} had the same tree")));
    match gates.sandbox.as_deref() {
        Some("none") => add(", in no sandbox".to_owned()),
        Some(sandbox) => add(format!(", in a sandbox ({sandbox})")),
        None => {}
    }
    if !gates.caches.is_empty() {
        let caches: Vec<String> = gates.caches.iter().map(|cache| format!("`{}`", cell(cache))).collect();
        add(format!(", with {} from earlier checks", caches.join(", ")));
    }
    add(".".to_owned());
    let tools: Vec<String> =
        gates.tools.iter().map(|tool| format!("`{}: {}`", tool.name, cell(&tool.version))).collect();
    if !tools.is_empty() {
        add(format!(" Tools: {}.", tools.join(", ")));
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Tool;

    fn gates() -> Gates {
        let check = |name: &str, verdict, why: Option<&str>| Check {
            name: name.into(),
            command: vec!["a|b".into(), "`x`".into()],
            verdict,
            why: why.map(str::to_owned),
            seconds: 1.25,
            ..Check::default()
        };
        Gates {
            tree: "t".into(),
            verdict: GateVerdict::Passed,
            checks: vec![
                check("test", GateVerdict::Passed, None),
                check("docs", GateVerdict::Skipped, Some("nothing was touched")),
            ],
            base: Some("b".into()),
            sandbox: Some("none".into()),
            tools: vec![Tool { name: "npm".into(), version: "11.1".into(), ..Tool::default() }],
            caches: vec!["target".into()],
            checked_for: Some(4),
            ..Gates::default()
        }
    }

    #[test]
    fn what_was_checked_is_told_and_what_was_not_too() {
        let table = checks(Some(&gates()));
        assert!(table.ends_with(
            "| test | `a\\|b 'x'` | passed | 1.2 s |\n| docs | `a\\|b 'x'` | skipped: nothing was touched | – |"
        ), "{table}");
        assert_eq!(
            receipt(Some(&gates()), "t"),
            "Tree `t`, checked before this was pushed, for base `b`, when issue #4 had the same tree, in no sandbox, \
             with `target` from earlier checks. Tools: `npm: 11.1`."
        );
        assert!(receipt(Some(&gates()), "another").contains("although its checks did not pass"));
        assert!(receipt(None, "t").contains("**not checked**") && checks(None).contains("--unchecked"));
        let none = Gates { tree: "t".into(), verdict: GateVerdict::Passed, ..Gates::default() };
        assert_eq!(receipt(Some(&none), "t"), "Tree `t`.");
        assert!(checks(Some(&none)).starts_with("Nothing: no checks"));
    }

    #[test]
    fn where_no_check_concerns_the_change_nothing_is_called_checked() {
        let mut skipped = gates();
        skipped.checks.remove(0);
        assert_eq!(receipt(Some(&skipped), "t"), "Tree `t`.");
        let told = checks(Some(&skipped));
        assert!(told.starts_with("Nothing: none of the checks concerns the change.\n\n| check |"), "{told}");
        assert!(told.ends_with("| skipped: nothing was touched | – |"), "{told}");
        assert!(checks(Some(&gates())).starts_with("| check |"));
    }
}
