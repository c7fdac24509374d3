//! A real project of each kind that cq-init knows, with its real tools: the agent breaks it, is stopped, is told, mends it,
//! and one pull request says which tree was checked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::skip::{bubblewrap_works, skip};
use crate::{House, LATER, Plan, tree_of};

/// What the agent and its checks run in.
#[derive(Clone, Copy, PartialEq)]
enum Tier {
    None,
    Bubblewrap,
}

/// A project, and what becomes of it.
struct Kind<'k> {
    files: Value,
    /// The file that the agent changes: broken at first, then mended.
    file: &'k str,
    broken: &'k str,
    mended: &'k str,
    /// What cq-init makes of it.
    command: &'k [&'k str],
    /// What the feedback has to name.
    told: &'k str,
    /// The beginning of what a tool says of its version.
    tool: (&'k str, &'k str),
}

/// The folder of a program that works here.
fn folder_of(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = std::env::split_paths(&path).map(|folder| folder.join(program));
    let works = |path: &PathBuf| {
        Command::new(path)
            .arg("--version")
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .output()
            .is_ok_and(|said| said.status.success())
    };
    all.filter(|path| path.is_file()).find(works).and_then(|path| path.parent().map(Path::to_owned))
}

fn show(test: &str, tier: Tier, folder: Option<PathBuf>, kind: &Kind<'_>) {
    let Some(folder) = folder else { return skip(test, "its tools are not here") };
    if tier == Tier::Bubblewrap && !bubblewrap_works(test) {
        return;
    }
    let path = format!("{}:{}", folder.display(), House::path());
    let step = |text: &str, title: &str| json!([{"say": "I change it."}, {"write": {"path": kind.file, "content": text}}, {"commit": title}]);
    let script = json!({"default": {"1": step(kind.broken, "Break it"), "2": step(kind.mended, "Mend it")}});
    let seed = json!({"widgets": {"files": kind.files}});
    let house = House::new(&Plan { script, seed, gates: Value::Null, ..Plan::default() });
    house.configure(|config| {
        let gates = config["qualityGates"].as_array().unwrap();
        assert_eq!((gates.len(), &gates[0]["command"]), (1, &json!(kind.command)), "as cq-init found it");
        let command = config["agents"]["claude"]["command"].as_array().unwrap();
        let resumed = |word: &Value| if word == "--session-id" { json!("--resume") } else { word.clone() };
        config["agents"]["claude"]["resume"] = command.iter().map(resumed).collect();
        if tier == Tier::Bubblewrap {
            config["sandbox"] = json!("required");
            // Where a tool's own libraries are, beside its programs.
            config["sandboxAccess"]["read"] = json!([folder.parent().unwrap()]);
        }
    });

    let line = "cq-fetch 1 | cq-claim | cq-spawn --wait | cq-gate | cq-pr";
    house.shell(line).env("PATH", &path).run().ends(0, "checks failed: ");
    let record = house.record(1);
    assert_eq!(
        (&record["outcome"], &record["claim"]["attempt"]),
        (&json!("gate-failed"), &json!(2)),
        "{record:#}"
    );
    let feedback = record["feedback"][0]["text"].as_str().unwrap();
    assert!(feedback.contains(kind.told), "{feedback}");
    assert!(house.lab.pulls().is_empty() && house.lab.branches().is_empty(), "nothing got out");

    let line = "cq-monitor | cq-spawn --wait | cq-gate | cq-pr";
    let second = house.shell(line).env("PATH", &path).at(LATER).run().quietly().record();
    assert_eq!((&second["status"], &second["run"]["resumed"]), (&json!("pr-ready"), &json!(true)));
    assert_eq!(second["run"]["session_id"], record["run"]["session_id"]);
    let sandbox = if tier == Tier::None { "none" } else { "bubblewrap" };
    assert_eq!((&second["gates"]["sandbox"], &second["run"]["sandbox"]), (&json!(sandbox), &json!(sandbox)));
    receipt(&house, &second, kind);
}

/// One pull request, whose receipt names the tree that is on GitHub; the same in the record and on the tree.
fn receipt(house: &House, record: &Value, kind: &Kind<'_>) {
    let pulls = house.lab.pulls();
    assert_eq!(pulls.len(), 1);
    let head = pulls[0]["head"]["ref"].as_str().unwrap();
    let pushed = house.lab.git_root().join("acme/widgets.git");
    let tree = house.git_in(&pushed, &["rev-parse", &format!("{head}^{{tree}}")]);
    assert_eq!(tree_of(house, record), tree);
    let body = pulls[0]["body"].as_str().unwrap();
    assert!(body.contains(&format!("Tree `{tree}`, checked before this was pushed")), "{body}");
    let (tool, version) = kind.tool;
    assert!(body.contains(&format!("`{tool}: {version}")), "{body}");
    assert!(body.contains(&format!("| `{}` | passed |", kind.command.join(" "))), "{body}");

    let gates = &record["gates"];
    assert_eq!((&gates["tree"], &gates["base"]), (&json!(tree), &record["claim"]["base_sha"]));
    let said = &gates["checks"][0];
    assert_eq!((&said["verdict"], &said["exit"]), (&json!("passed"), &json!(0)));
    let sum = house.program("sha256sum").args([said["log"].as_str().unwrap()]).run().quietly().stdout;
    // sha256sum marks a name that it had to escape.
    assert!(sum.trim_start_matches('\\').starts_with(said["log_sha256"].as_str().unwrap()), "{sum}");
    let note = house.git(&["notes", "--ref=cq/receipts", "show", &tree]);
    assert_eq!(
        house.git(&["log", "-1", "--format=%N", "--notes=cq/receipts", head]),
        note,
        "on the commit, too"
    );
    let note: Value = serde_json::from_str(&note).unwrap();
    let mut expected = gates.clone();
    expected["checks"][0].as_object_mut().unwrap().remove("log");
    assert_eq!(note, expected, "the same, but for the log's place");
    assert!(!fs::exists(house.workspace(1).join("gate")).unwrap(), "the checkout is gone");
}

#[test]
fn cargo() {
    cargo_in(Tier::None);
}

#[test]
fn cargo_in_a_sandbox() {
    cargo_in(Tier::Bubblewrap);
}

fn cargo_in(tier: Tier) {
    let lib = |sum: &str| {
        format!(
            "pub fn add(a: u32, b: u32) -> u32 {{\n    {sum}\n}}\n\n#[test]\nfn planted() {{\n    assert_eq!(add(2, 3), 5);\n}}\n"
        )
    };
    let files = json!({
        "Cargo.toml": "[package]\nname = \"widgets\"\nversion = \"0.1.0\"\nedition = \"2021\"\n",
        "Cargo.lock": "version = 3\n\n[[package]]\nname = \"widgets\"\nversion = \"0.1.0\"\n",
        ".gitignore": "/target\n",
        "src/lib.rs": lib("a + b"),
    });
    // Not rustup's proxy: that would look for its toolchains in the home.
    let cargo =
        std::env::var_os("CARGO").map(PathBuf::from).and_then(|cargo| cargo.parent().map(Path::to_owned));
    show(
        "cargo",
        tier,
        cargo.filter(|folder| folder.join("rustc").is_file()),
        &Kind {
            files,
            file: "src/lib.rs",
            broken: &lib("a - b"),
            mended: &lib("b + a"),
            command: &["cargo", "test", "--locked"],
            told: "planted",
            tool: ("cargo", "cargo 1."),
        },
    );
}

#[test]
fn npm() {
    npm_in(Tier::None);
}

#[test]
fn npm_in_a_sandbox() {
    npm_in(Tier::Bubblewrap);
}

fn npm_in(tier: Tier) {
    let files = json!({
        "package.json": json!({"name": "widgets", "scripts": {"test": "node --test"}}).to_string(),
        "add.js": "exports.add = (a, b) => a + b;\n",
        "add.test.js": "const { test } = require('node:test');\nconst assert = require('node:assert');\n\
            test('planted', () => assert.strictEqual(require('./add').add(2, 3), 5));\n",
    });
    show(
        "npm",
        tier,
        folder_of("npm").filter(|folder| folder.join("node").is_file()),
        &Kind {
            files,
            file: "add.js",
            broken: "exports.add = (a, b) => a - b;\n",
            mended: "exports.add = (a, b) => b + a;\n",
            command: &["npm", "test"],
            told: "planted",
            tool: ("node", "v"),
        },
    );
}

#[test]
fn python() {
    python_in(Tier::None);
}

#[test]
fn python_in_a_sandbox() {
    python_in(Tier::Bubblewrap);
}

fn python_in(tier: Tier) {
    let files = json!({
        "pyproject.toml": "[project]\nname = \"widgets\"\nversion = \"0.1\"\n",
        "widgets.py": "def add(a, b):\n    return a + b\n",
        "tests/test_widgets.py": "import unittest\nimport widgets\n\n\nclass Planted(unittest.TestCase):\n    \
            def test_planted(self):\n        self.assertEqual(widgets.add(2, 3), 5)\n",
    });
    let folder = ["/usr/local/bin", "/usr/bin"].map(PathBuf::from);
    let python = folder.into_iter().find(|folder| folder.join("python3").is_file());
    show(
        "python",
        tier,
        python.or_else(|| folder_of("python3")),
        &Kind {
            files,
            file: "widgets.py",
            broken: "def add(a, b):\n    return a - b\n",
            mended: "def add(a, b):\n    return b + a\n",
            command: &["python3", "-m", "unittest", "discover", "-s", "tests"],
            told: "test_planted",
            tool: ("python3", "Python 3."),
        },
    );
}
