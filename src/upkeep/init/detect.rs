//! Which checks a repository would want, by the files at its root. Pure, but for [`Root::read`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value, json};

/// Files whose text tells something.
const READ: [&str; 14] = [
    "Cargo.toml",
    "GNUmakefile",
    "Makefile",
    "go.mod",
    "makefile",
    "package.json",
    "pyproject.toml",
    "pytest.ini",
    "requirements-dev.txt",
    "requirements.txt",
    "setup.cfg",
    "setup.py",
    "test-requirements.txt",
    "tox.ini",
];
/// Where Python's tests usually are.
const TEST_FOLDERS: [&str; 2] = ["tests", "test"];
/// A longer one was not written by a person.
const LONGEST: u64 = 1 << 20;

/// What is at a repository's root.
#[derive(Debug, Default)]
pub(super) struct Root {
    /// All names; those in folders of tests, too.
    names: BTreeSet<String>,
    /// The text of those that tell something.
    texts: BTreeMap<String, String>,
}

/// What was found, and what follows.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Found {
    /// The file that says so.
    pub(super) file: String,
    /// For `qualityGates`.
    pub(super) gates: Vec<Value>,
    /// For `gate.caches`.
    pub(super) caches: Vec<String>,
}

impl Root {
    /// Reads a folder. What cannot be read is not there.
    pub(super) fn read(folder: &Path) -> Self {
        let list = |below: &str| {
            let entries = std::fs::read_dir(folder.join(below)).into_iter().flatten().flatten();
            let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
            names
                .map(|name| if below.is_empty() { name } else { format!("{below}/{name}") })
                .collect::<Vec<_>>()
        };
        let names = ["", TEST_FOLDERS[0], TEST_FOLDERS[1]].into_iter().flat_map(list).collect();
        let text = |name: &&str| {
            let path = folder.join(name);
            let small = path.metadata().is_ok_and(|about| about.is_file() && about.len() <= LONGEST);
            Some(((*name).to_owned(), std::fs::read_to_string(path).ok().filter(|_| small)?))
        };
        Self { names, texts: READ.iter().filter_map(text).collect() }
    }

    fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    fn text(&self, name: &str) -> &str {
        self.texts.get(name).map(String::as_str).unwrap_or_default()
    }

    fn says(&self, name: &str, words: &str) -> bool {
        self.text(name).contains(words)
    }
}

/// Everything that is found, one after the other. A Makefile counts where nothing else does: else its targets most often
/// call what was found already.
pub(super) fn detect(root: &Root) -> Vec<Found> {
    let found: Vec<Found> = [cargo(root), node(root), python(root), go(root)].into_iter().flatten().collect();
    if found.is_empty() { make(root).into_iter().collect() } else { found }
}

fn gate(name: &str, command: &[&str]) -> Value {
    json!({ "name": name, "command": command })
}

fn found(file: &str, gates: Vec<Value>, caches: &[&str]) -> Found {
    let caches = caches.iter().map(|&cache| cache.to_owned()).collect();
    Found { file: file.to_owned(), gates, caches }
}

fn cargo(root: &Root) -> Option<Found> {
    if !root.has("Cargo.toml") {
        return None;
    }
    let mut command = vec!["cargo", "test"];
    if root.says("Cargo.toml", "[workspace]") {
        command.push("--workspace");
    }
    // Of a library the lock file is often not committed; then there is none in a clean checkout.
    if root.has("Cargo.lock") {
        command.push("--locked");
    }
    Some(found("Cargo.toml", vec![gate("cargo test", &command)], &["target", "~/.cargo/registry"]))
}

/// What npm writes into a new package.json.
const NO_TEST: &str = "no test specified";

/// Why a file that is there tells of no checks: it cannot be read as what its name says.
pub(super) fn unreadable(root: &Root) -> Option<String> {
    let error = root.has("package.json").then(|| package(root).err()).flatten()?;
    Some(format!("package.json tells of no checks: it is not a JSON object ({error})"))
}

fn package(root: &Root) -> serde_json::Result<Map<String, Value>> {
    // npm takes a byte order mark for none.
    serde_json::from_str(root.text("package.json").trim_start_matches('\u{feff}'))
}

fn node(root: &Root) -> Option<Found> {
    let package = package(root).ok()?;
    let script = |name: &str| package.get("scripts")?.get(name)?.as_str();
    let test = script("test").filter(|script| !script.contains(NO_TEST));
    let names: Vec<&str> = [("lint", script("lint")), ("test", test)]
        .into_iter()
        .filter_map(|(name, script)| script.map(|_| name))
        .collect();
    if names.is_empty() {
        return None;
    }
    let wanted = package.get("packageManager").and_then(Value::as_str).unwrap_or_default();
    let (manager, install, caches) = manager(root, wanted);
    let is_full =
        |key: &str| package.get(key).and_then(Value::as_object).is_some_and(|list| !list.is_empty());
    let needs = ["dependencies", "devDependencies"].into_iter().any(is_full);
    let mut gates: Vec<Value> = Vec::new();
    if needs {
        gates.push(gate(&install.join(" "), install));
    }
    let run = |name: &&str| {
        let command: Vec<&str> =
            if *name == "test" { vec![manager, "test"] } else { vec![manager, "run", *name] };
        gate(&command.join(" "), &command)
    };
    gates.extend(names.iter().map(run));
    Some(found("package.json", gates, if needs { caches } else { &[] }))
}

/// The package manager, how it installs what the lock file says, and where it keeps what it fetched.
fn manager(root: &Root, wanted: &str) -> (&'static str, &'static [&'static str], &'static [&'static str]) {
    let is = |name: &str, lock: &str| {
        if wanted.is_empty() { root.has(lock) } else { wanted.starts_with(&format!("{name}@")) }
    };
    if is("pnpm", "pnpm-lock.yaml") {
        ("pnpm", &["pnpm", "install", "--frozen-lockfile"], &["~/.local/share/pnpm/store"])
    } else if is("yarn", "yarn.lock") {
        let old = if wanted.is_empty() { !root.has(".yarnrc.yml") } else { wanted.starts_with("yarn@1.") };
        if old {
            ("yarn", &["yarn", "install", "--frozen-lockfile"], &["~/.cache/yarn"])
        } else {
            ("yarn", &["yarn", "install", "--immutable"], &["~/.yarn/berry/cache"])
        }
    } else if root.has("package-lock.json") || root.has("npm-shrinkwrap.json") {
        ("npm", &["npm", "ci"], &["~/.npm"])
    } else {
        ("npm", &["npm", "install", "--no-package-lock"], &["~/.npm"])
    }
}

fn python(root: &Root) -> Option<Found> {
    let file = ["pyproject.toml", "setup.py", "setup.cfg", "pytest.ini", "tox.ini", "requirements.txt"]
        .into_iter()
        .find(|name| root.has(name))?;
    let pytest = root.has("pytest.ini")
        || root.has("conftest.py")
        || root.says("pyproject.toml", "pytest")
        || root.says("setup.cfg", "pytest")
        || root.says("setup.py", "pytest")
        || root.says("tox.ini", "pytest")
        || ["requirements.txt", "requirements-dev.txt", "test-requirements.txt"]
            .into_iter()
            .any(|name| root.says(name, "pytest"));
    let has_tests = |folder: &str| {
        let names = root.names.iter().filter_map(|name| name.strip_prefix(folder));
        let is_python = |name: &str| Path::new(name).extension().is_some_and(|end| end == "py");
        names.filter(|name| !name.contains('/')).any(|name| name.starts_with("test") && is_python(name))
    };
    let folder = TEST_FOLDERS.into_iter().find(|folder| has_tests(&format!("{folder}/")));
    let how: &[&str] = match (pytest, folder) {
        (true, _) => &["-m", "pytest"],
        (false, Some("tests")) => &["-m", "unittest", "discover", "-s", "tests"],
        (false, Some(_)) => &["-m", "unittest", "discover", "-s", "test"],
        (false, None) if has_tests("") => &["-m", "unittest", "discover"],
        (false, None) => return None,
    };
    let within: &[&str] = match () {
        () if root.has("uv.lock") => &["uv", "run"],
        () if root.has("poetry.lock") => &["poetry", "run"],
        () => &[],
    };
    let command = [within, &["python3"], how].concat();
    let name = if pytest { "pytest" } else { "unittest" };
    Some(found(file, vec![gate(name, &command)], &[]))
}

fn go(root: &Root) -> Option<Found> {
    root.has("go.mod").then_some(())?;
    let gates = vec![gate("go vet", &["go", "vet", "./..."]), gate("go test", &["go", "test", "./..."])];
    Some(found("go.mod", gates, &["~/.cache/go-build", "~/go/pkg/mod"]))
}

fn make(root: &Root) -> Option<Found> {
    let file = ["GNUmakefile", "makefile", "Makefile"].into_iter().find(|name| root.has(name))?;
    let target = ["check", "test"].into_iter().find(|target| has_target(root.text(file), target))?;
    Some(found(file, vec![gate(&format!("make {target}"), &["make", target])], &[]))
}

/// Whether a makefile has a rule for this target: `a test: b`, but not `test := b`.
fn has_target(makefile: &str, target: &str) -> bool {
    makefile.lines().any(|line| {
        let is_rule = |(left, right): &(&str, &str)| {
            !left.starts_with(['\t', ' ', '#', '.'])
                && !left.contains('=')
                && !right.trim_start_matches(':').starts_with('=')
        };
        let rule = line.split_once(':').filter(is_rule);
        rule.is_some_and(|(left, _)| left.split_ascii_whitespace().any(|word| word == target))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(files: &[(&str, &str)]) -> Root {
        Root {
            names: files.iter().map(|(name, _)| (*name).to_owned()).collect(),
            texts: files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect(),
        }
    }

    /// The commands that are offered, one after the other.
    fn commands(files: &[(&str, &str)]) -> Vec<String> {
        let gates = detect(&root(files)).into_iter().flat_map(|found| found.gates);
        let words = |gate: Value| -> Vec<String> { serde_json::from_value(gate["command"].clone()).unwrap() };
        gates.map(|gate| words(gate).join(" ")).collect()
    }

    #[test]
    fn each_kind_is_known_by_its_files() {
        const TEST: &str = r#"{"scripts":{"test":"node --test"}}"#;
        const NEEDS: &str = r#"{"scripts":{"test":"x","lint":"y"},"devDependencies":{"x":"1"}}"#;
        const BERRY: &str =
            r#"{"scripts":{"test":"x"},"dependencies":{"x":"1"},"packageManager":"yarn@4.1.0"}"#;
        type Case = (&'static [(&'static str, &'static str)], &'static [&'static str]);
        let cases: [Case; 25] = [
            (&[], &[]),
            (&[("README.md", "")], &[]),
            (&[("Cargo.toml", "[package]")], &["cargo test"]),
            (&[("Cargo.toml", "[workspace]"), ("Cargo.lock", "")], &["cargo test --workspace --locked"]),
            (&[("package.json", TEST)], &["npm test"]),
            (&[("package.json", TEST), ("pnpm-lock.yaml", "")], &["pnpm test"]),
            (&[("package.json", "{}")], &[]),
            (&[("package.json", "no JSON")], &[]),
            (
                &[("package.json", r#"{"scripts":{"test":"echo \"Error: no test specified\" && exit 1"}}"#)],
                &[],
            ),
            (&[("package.json", NEEDS), ("package-lock.json", "")], &["npm ci", "npm run lint", "npm test"]),
            (&[("package.json", NEEDS)], &["npm install --no-package-lock", "npm run lint", "npm test"]),
            (
                &[("package.json", NEEDS), ("yarn.lock", "")],
                &["yarn install --frozen-lockfile", "yarn run lint", "yarn test"],
            ),
            (&[("package.json", BERRY), ("pnpm-lock.yaml", "")], &["yarn install --immutable", "yarn test"]),
            (&[("pyproject.toml", "[tool.pytest.ini_options]")], &["python3 -m pytest"]),
            (&[("pyproject.toml", "pytest"), ("uv.lock", "")], &["uv run python3 -m pytest"]),
            (&[("pyproject.toml", ""), ("tests/test_a.py", "")], &["python3 -m unittest discover -s tests"]),
            (&[("setup.py", ""), ("test_a.py", "")], &["python3 -m unittest discover"]),
            (&[("pyproject.toml", ""), ("tests", ""), ("tests/main.rs", "")], &[]),
            (&[("requirements.txt", "pytest==8\n")], &["python3 -m pytest"]),
            (&[("go.mod", "module x")], &["go vet ./...", "go test ./..."]),
            (&[("Makefile", "test: build\n\t./t\n")], &["make test"]),
            (&[("Makefile", ".PHONY: test check\nall check: x\ntest:\n")], &["make check"]),
            (&[("Makefile", "test := 1\ntests:\n\ttest: x\n# check:\nA=test:\n.PHONY: test\n")], &[]),
            (&[("Makefile", "test:\n"), ("go.mod", "")], &["go vet ./...", "go test ./..."]),
            (&[("Cargo.toml", ""), ("package.json", TEST)], &["cargo test", "npm test"]),
        ];
        for (files, expected) in cases {
            assert_eq!(commands(files), expected, "{files:?}");
        }
    }

    #[test]
    fn a_package_that_is_no_json_is_told() {
        let cases = [
            ("{\"scripts\": {\"test\": \"x\"},}", Some("trailing comma at line 1")),
            ("[]", Some("invalid type: sequence")),
            ("", Some("EOF while parsing")),
            ("{}", None),
            ("\u{feff}{}", None),
        ];
        for (text, expected) in cases {
            let told = unreadable(&root(&[("package.json", text)]));
            assert_eq!(told.is_some(), expected.is_some(), "{text}: {told:?}");
            assert!(told.unwrap_or_default().contains(expected.unwrap_or_default()), "{text}");
        }
        assert_eq!(unreadable(&root(&[("README.md", "")])), None);
    }

    #[test]
    fn a_folder_is_read() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("tests")).unwrap();
        for (name, text) in [("setup.py", "x"), ("tests/test_x.py", ""), ("go.mod", "m")] {
            crate::state::durable::replace_cheaply(&folder.path().join(name), text.as_bytes()).unwrap();
        }
        let found = detect(&Root::read(folder.path()));
        let files: Vec<&str> = found.iter().map(|found| found.file.as_str()).collect();
        assert_eq!(files, ["setup.py", "go.mod"]);
        assert!(detect(&Root::read(Path::new("/nonexistent"))).is_empty());
    }
}
