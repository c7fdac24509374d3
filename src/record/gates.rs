//! What the checks said of a tree. Without the paths of the machine that ran them, it is a receipt that may go anywhere.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Extra;
use crate::clock::Timestamp;

/// What the checks said of one tree.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Gates {
    /// The git tree that was checked.
    pub tree: String,
    /// All checks together.
    pub verdict: GateVerdict,
    /// One by one.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// The commit that the branch began at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// When the last of them ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// What they ran in: `bubblewrap`, or `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// The programs that took part, as far as they say what they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    /// What of earlier builds the checkout was given: `gate.caches`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caches: Vec<String>,
    /// The issue for which the same tree had been checked already; absent where it was checked for this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_for: Option<u64>,
    /// How often the checks of this tree on this base came to no verdict; absent where they came to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tries: Option<u32>,
    /// Fields cq does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What checks can say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GateVerdict {
    /// Green.
    Passed,
    /// Red.
    Failed,
    /// Says nothing of the change: missing (126, 127), ended by a signal, out of time, or red on the base as well. Never
    /// called red.
    #[default]
    Unevaluated,
    /// Of one check alone: the change touches nothing that it looks at.
    Skipped,
}

impl GateVerdict {
    /// All checks together: red if any is red; else unevaluated if any could not run.
    pub fn of(checks: &[Check]) -> Self {
        let any = |verdict| checks.iter().any(|check| check.verdict == verdict);
        if any(Self::Failed) {
            Self::Failed
        } else if any(Self::Unevaluated) {
            Self::Unevaluated
        } else {
            Self::Passed
        }
    }
}

/// One check.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// Its name in the configuration.
    pub name: String,
    /// Its argument vector.
    pub command: Vec<String>,
    /// What it said.
    pub verdict: GateVerdict,
    /// Why it could not be evaluated, or was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Its exit status; none where it could not be started or ran out of time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// Its exit status on the base, where it is red there as well: then nothing but another base changes what it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_exit: Option<i32>,
    /// How long it took.
    #[serde(default)]
    pub seconds: f64,
    /// Its output, redacted: a file, absolute.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub log: String,
    /// SHA-256 of that file, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_sha256: Option<String>,
    /// Fields cq does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Check {
    /// Why it said what it said, and where to read more.
    pub fn reason(&self) -> String {
        let why = self.why.as_deref().map(|why| format!("{why}; ")).unwrap_or_default();
        format!("{why}see '{}'", self.log)
    }
}

/// A program that took part in checks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// The first line that it says of its version.
    pub version: String,
    /// Fields cq does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Gates {
    /// The same without what is this machine's alone: a receipt.
    #[must_use]
    pub fn receipt(&self) -> Self {
        let mut receipt = self.clone();
        for check in &mut receipt.checks {
            check.log.clear();
        }
        receipt
    }

    /// Whether running the checks once more would say nothing new: each was green, red, skipped, or red on the base too.
    pub fn is_final(&self) -> bool {
        let said = |check: &Check| check.verdict != GateVerdict::Unevaluated || check.base_exit.is_some();
        self.verdict == GateVerdict::of(&self.checks) && self.checks.iter().all(said)
    }

    /// The checks that said neither yes nor no.
    pub fn unevaluated(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| check.verdict == GateVerdict::Unevaluated)
    }

    /// Whether a check is red on the base as well.
    pub fn is_red_on_base(&self) -> bool {
        self.unevaluated().any(|check| check.base_exit.is_some())
    }

    /// Whether no further try says more before a person has mended the base, or what a check lacks (126, 127). What a
    /// signal ended, or took too much time or memory, may come to its end another time.
    pub fn needs_person(&self) -> bool {
        self.is_red_on_base() || self.unevaluated().any(|check| matches!(check.exit, Some(126 | 127)))
    }

    /// Whether any check looked at the tree: none does where none is configured, or none concerns the change.
    pub fn has_checked(&self) -> bool {
        self.checks.iter().any(|check| check.verdict != GateVerdict::Skipped)
    }

    /// Whether the tree may be delivered: no check of it is red or could not run.
    pub fn passes(&self, tree: &str) -> bool {
        self.tree == tree && self.verdict == GateVerdict::Passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn red_outranks_what_could_not_run_and_what_was_skipped_says_nothing() {
        use GateVerdict::{Failed, Passed, Skipped, Unevaluated};
        let cases: [(&[GateVerdict], GateVerdict); 7] = [
            (&[], Passed),
            (&[Passed, Passed], Passed),
            (&[Passed, Skipped], Passed),
            (&[Passed, Unevaluated, Skipped], Unevaluated),
            (&[Unevaluated, Failed], Failed),
            (&[Failed, Passed], Failed),
            (&[Skipped, Failed], Failed),
        ];
        for (verdicts, expected) in cases {
            let check = |verdict: &GateVerdict| Check { verdict: *verdict, ..Check::default() };
            let checks: Vec<Check> = verdicts.iter().map(check).collect();
            assert_eq!(GateVerdict::of(&checks), expected, "{verdicts:?}");
        }
    }

    #[test]
    fn what_another_try_may_change_is_no_persons_to_mend() {
        use GateVerdict::{Passed, Unevaluated};
        let cases = [
            (Passed, Some(0), None, false, false),
            (Unevaluated, Some(1), Some(1), true, true),
            (Unevaluated, Some(126), None, true, false),
            (Unevaluated, Some(127), None, true, false),
            (Unevaluated, Some(139), None, false, false),
            (Unevaluated, None, None, false, false),
        ];
        for (verdict, exit, base_exit, person, on_base) in cases {
            let other = Check { verdict: Unevaluated, exit: Some(137), ..Check::default() };
            let check = Check { verdict, exit, base_exit, ..Check::default() };
            let gates = Gates { verdict, checks: vec![other, check], ..Gates::default() };
            assert_eq!(
                (gates.needs_person(), gates.is_red_on_base()),
                (person, on_base),
                "{exit:?} {base_exit:?}"
            );
        }
    }

    #[test]
    fn a_receipt_names_no_file_and_an_older_record_loads() {
        let old = r#"{"tree":"t","verdict":"passed","checks":[
            {"name":"n","command":["c"],"verdict":"passed","exit":0,"seconds":1.5,"log":"/home/me/log"}],"more":1}"#;
        let gates: Gates = serde_json::from_str(old).unwrap();
        assert!(gates.passes("t") && !gates.passes("u"));
        let receipt = serde_json::to_string(&gates.receipt()).unwrap();
        assert!(!receipt.contains("/home") && receipt.contains(r#""more":1"#), "{receipt}");
    }
}
