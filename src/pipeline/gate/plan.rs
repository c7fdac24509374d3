//! Which checks run for a change, which of them at the same time, and which a red one needs before it. Pure.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::config::Gate;
use crate::record::{Check, GateVerdict, Gates};

/// A configured check, and what becomes of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Planned {
    pub(super) gate: Gate,
    /// Its part of file names; no two are the same.
    pub(super) slug: String,
    /// Whether it runs: the change touches what it looks at.
    pub(super) runs: bool,
}

/// What is done for a change of these paths; where they are not known, everything.
pub(super) fn plan(configured: &[Gate], changed: Option<&[String]>) -> Vec<Planned> {
    let mut slugs = BTreeSet::new();
    let planned = configured.iter().map(|gate| {
        let plain = slug(&gate.name);
        let numbered = (2..).map(|number| format!("{plain}-{number}"));
        let slug = std::iter::once(plain.clone()).chain(numbered).find(|slug| !slugs.contains(slug));
        let slug = slug.unwrap_or(plain);
        slugs.insert(slug.clone());
        let runs = changed.is_none_or(|changed| gate.concerns(changed.iter().map(String::as_str)));
        Planned { gate: gate.clone(), slug, runs }
    });
    planned.collect()
}

/// A check's name as part of a file's name.
fn slug(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).take(40).collect()
}

/// Those that run, one batch after the other: neighbours that are declared parallel share one. One that is skipped
/// does not part its neighbours.
pub(super) fn batches(plan: &[Planned]) -> Vec<Vec<usize>> {
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for at in (0..plan.len()).filter(|at| plan[*at].runs) {
        match batches.last_mut() {
            Some(batch) if plan[at].gate.parallel && batch.iter().all(|other| plan[*other].gate.parallel) => {
                batch.push(at);
            }
            _ => batches.push(vec![at]),
        }
    }
    batches
}

/// What is to be run on the base to learn what these checks say there: they themselves, and before them whatever may
/// make what they need. A parallel one makes nothing that others need.
pub(super) fn needed(plan: &[Planned], wanted: &[usize]) -> Vec<Planned> {
    let before: Range<usize> = 0..wanted.iter().max().copied().unwrap_or_default();
    let runs = |at: usize| wanted.contains(&at) || (before.contains(&at) && !plan[at].gate.parallel);
    let all = plan.iter().enumerate();
    all.map(|(at, planned)| Planned { runs: planned.runs && runs(at), ..planned.clone() }).collect()
}

/// Whether what is known of a tree is the answer to this plan on this base, so that nothing needs to be run.
pub(super) fn answers(known: &Gates, base: Option<&str>, plan: &[Planned]) -> bool {
    let same = |(check, planned): (&Check, &Planned)| {
        check.name == planned.gate.name
            && check.command == planned.gate.command
            && (check.verdict == GateVerdict::Skipped) != planned.runs
    };
    known.is_final()
        && known.base.as_deref() == base
        && known.checks.len() == plan.len()
        && known.checks.iter().zip(plan).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(name: &str, when: &[&str], parallel: bool) -> Gate {
        let when = when.iter().map(|&glob| glob.to_owned()).collect();
        Gate { name: name.into(), command: vec![name.into()], when, parallel, ..Gate::default() }
    }

    #[test]
    fn names_become_plain_file_names_and_stay_apart() {
        let gates = ["../lint & test", "../lint   test", "a", "a"].map(|name| gate(name, &[], false));
        let plan = plan(&gates, None);
        let slugs: Vec<&str> = plan.iter().map(|planned| planned.slug.as_str()).collect();
        assert_eq!(slugs, ["___lint___test", "___lint___test-2", "a", "a-2"]);
    }

    #[test]
    fn parallel_neighbours_run_together() {
        // p: parallel, s: one after the other, x: skipped.
        let cases: [(&str, &[&[usize]]); 6] = [
            ("", &[]),
            ("ss", &[&[0], &[1]]),
            ("spps", &[&[0], &[1, 2], &[3]]),
            ("pxp", &[&[0, 2]]),
            ("psp", &[&[0], &[1], &[2]]),
            ("xx", &[]),
        ];
        for (kinds, expected) in cases {
            let gates: Vec<Gate> = kinds
                .chars()
                .map(|kind| gate("g", if kind == 'x' { &["elsewhere"] } else { &[] }, kind != 's'))
                .collect();
            assert_eq!(batches(&plan(&gates, Some(&[]))), expected, "{kinds}");
        }
    }

    #[test]
    fn a_red_check_takes_along_what_may_prepare_it() {
        let gates = [
            gate("install", &[], false),
            gate("lint", &[], true),
            gate("types", &[], true),
            gate("skipped", &["elsewhere"], false),
            gate("test", &[], false),
            gate("pack", &[], false),
        ];
        let plan = plan(&gates, Some(&[]));
        let cases: [(&[usize], &[usize]); 4] =
            [(&[0], &[0]), (&[2], &[0, 2]), (&[4], &[0, 4]), (&[1, 4], &[0, 1, 4])];
        for (wanted, expected) in cases {
            let runs: Vec<usize> = batches(&needed(&plan, wanted)).concat();
            assert_eq!(runs, expected, "{wanted:?}");
        }
    }

    #[test]
    fn a_verdict_answers_only_the_same_question() {
        let gates = [gate("test", &[], false), gate("docs", &["docs/**"], false)];
        let asked = plan(&gates, Some(&["src/x".to_owned()]));
        let check = |name: &str, verdict| Check {
            name: name.into(),
            command: vec![name.into()],
            verdict,
            ..Check::default()
        };
        let known = Gates {
            verdict: GateVerdict::Passed,
            base: Some("b".into()),
            checks: vec![check("test", GateVerdict::Passed), check("docs", GateVerdict::Skipped)],
            ..Gates::default()
        };
        assert!(answers(&known, Some("b"), &asked));
        assert!(!answers(&known, Some("c"), &asked), "another base");
        assert!(!answers(&known, Some("b"), &plan(&gates, None)), "now the second one runs");
        assert!(!answers(&known, Some("b"), &asked[..1]), "fewer checks");
        let cases = [
            (GateVerdict::Failed, None, true),
            (GateVerdict::Unevaluated, None, false),
            (GateVerdict::Unevaluated, Some(1), true),
        ];
        for (verdict, base_exit, expected) in cases {
            let mut other = Gates { verdict, ..known.clone() };
            other.checks[0] = Check { base_exit, ..check("test", verdict) };
            assert_eq!(answers(&other, Some("b"), &asked), expected, "{verdict:?} {base_exit:?}");
        }
        let mut other = asked;
        other[0].gate.command.push("--all".into());
        assert!(!answers(&known, Some("b"), &other), "another command");
    }
}
