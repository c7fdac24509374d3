//! A house: everything one run of cq needs, and nothing of the machine it runs on.
//!
//! A temporary folder with a home, a GitHub (the rehearsal's), a clone of its repository in which `cq-init` was run,
//! and an agent that follows a script. Commands see PATH, HOME, the GitHub's addresses and its token, no more.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::lab::{Lab, TOKEN};
use super::ran::{Ran, Run};

/// Where programs that are not ours are looked up.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a house holds at the start.
pub(crate) struct Plan {
    /// The GitHub's issues.
    pub(crate) issues: Value,
    /// What the agent does (see `cq-lab agent --script`).
    pub(crate) script: Value,
    /// `qualityGates`; those that cq-init found where this is null.
    pub(crate) gates: Value,
    /// More of the seed: what it says beside `repositories`; other `repositories`; under `widgets`, more of this one.
    pub(crate) seed: Value,
    /// Nobody sees its repository without a token.
    pub(crate) private: bool,
    /// Where the GitHub's clock stands still.
    pub(crate) github_now: Option<String>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            issues: json!([
                {"number": 1, "title": "First", "body": "Do the first thing.", "labels": ["claude-ready", "P1"]},
                {"number": 2, "title": "Second", "body": "Do the second thing.", "labels": ["claude-ready", "P2"]},
                {"number": 3, "title": "Third", "body": "It can wait.", "labels": ["claude-ready", "P3"]},
            ]),
            script: json!({}),
            gates: json!([{"name": "readme", "command": ["test", "-s", "README.md"]}]),
            seed: json!({}),
            private: false,
            github_now: None,
        }
    }
}

/// The GitHub's seed.
fn seed(plan: &Plan) -> Value {
    let mut seed = plan.seed.as_object().cloned().unwrap_or_default();
    let mut widgets = json!({
        "owner": "acme", "name": "widgets", "issues": plan.issues, "private": plan.private,
        "files": {"README.md": "# Widgets\n", "src/widget.txt": "a widget\n"},
    });
    let more = seed.remove("widgets").unwrap_or_default();
    widgets.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    let others = seed.remove("repositories").unwrap_or_default();
    let mut repositories = vec![widgets];
    repositories.extend(others.as_array().cloned().unwrap_or_default());
    seed.insert("repositories".to_owned(), json!(repositories));
    Value::Object(seed)
}

/// A house that stands. Falls with the test, and whoever still works in it falls too.
pub(crate) struct House {
    /// Houses beside each other share it.
    pub(crate) lab: Arc<Lab>,
    folder: TempDir,
}

impl House {
    pub(crate) fn new(plan: &Plan) -> Self {
        let folder = Self::ground(plan);
        let root = folder.path();
        fs::write(root.join("issues.json"), plan.issues.to_string()).unwrap();
        fs::write(root.join("seed.json"), seed(plan).to_string()).unwrap();
        let lab =
            Lab::start(&root.join("seed.json"), &path(), &root.join("home"), plan.github_now.as_deref());
        Self::build(plan, folder, Arc::new(lab))
    }

    /// Another machine that works for the same GitHub: what the plan says of issues and seeds is not its affair.
    pub(crate) fn beside(&self, plan: &Plan) -> Self {
        Self::build(plan, Self::ground(plan), Arc::clone(&self.lab))
    }

    fn ground(plan: &Plan) -> TempDir {
        // A space and a letter beyond ASCII: nothing may take a path for words.
        let folder = tempfile::Builder::new().prefix("cq höuse ").tempdir().unwrap();
        fs::create_dir(folder.path().join("home")).unwrap();
        fs::write(folder.path().join("script.json"), plan.script.to_string()).unwrap();
        folder
    }

    fn build(plan: &Plan, folder: TempDir, lab: Arc<Lab>) -> Self {
        let house = Self { lab, folder };
        let origin = format!("{}/acme/widgets.git", house.lab.address());
        let signed = origin.replace("http://", &format!("http://x:{TOKEN}@"));
        house.git_in(house.root(), &["clone", "--quiet", &signed, "clone"]);
        house.git(&["remote", "set-url", "origin", &origin]);
        house.cq("init").run().good();
        let agent = [env!("CARGO_BIN_EXE_cq-lab"), "agent", "--script", &house.text_of("script.json")];
        let mut agent: Vec<String> = agent.map(str::to_owned).to_vec();
        agent.extend(["--session-id".to_owned(), "{session_id}".to_owned()]);
        house.configure(|config| {
            // What GitHub needs to be spared, a test's own GitHub does not.
            config["github"]["writePauseMilliseconds"] = json!(0);
            config["github"]["timeoutSeconds"] = json!(5);
            config["github"]["maxWaitSeconds"] = json!(2);
            // How full this machine is, is not a test's concern.
            config["limits"]["freeMemoryMegabytes"] = json!(0);
            config["limits"]["freeDiskMegabytes"] = json!(0);
            config["agents"]["claude"]["command"] = json!(agent);
            if !plan.gates.is_null() {
                config["qualityGates"] = plan.gates.clone();
            }
            // Scripted agents write where tests look. What a sandbox does is shown by tests/sandbox.
            config["sandbox"] = json!("none");
        });
        house
    }

    /// A house as it usually is.
    pub(crate) fn usual() -> Self {
        Self::new(&Plan::default())
    }

    /// One issue, #1, for an agent that does these steps.
    pub(crate) fn with_steps(steps: &Value) -> Self {
        Self::new(&Plan { script: json!({ "default": steps }), ..Plan::default() })
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// A path beneath the house's own folder: outside the clone.
    pub(crate) fn place(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    pub(crate) fn text_of(&self, name: &str) -> String {
        self.place(name).display().to_string()
    }

    /// The owner's clone, where commands run.
    pub(crate) fn clone(&self) -> PathBuf {
        self.place("clone")
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.clone().join(".cq")
    }

    /// What is known of GitHub's limits and answers: may be deleted at any time, which makes it "later".
    pub(crate) fn forget_github(&self) {
        fs::remove_dir_all(self.state_dir().join("cache")).unwrap();
    }

    /// The folder of an instance.
    pub(crate) fn workspace(&self, number: u32) -> PathBuf {
        self.clone().join(format!("workspaces/claude-instance-{number}"))
    }

    /// The redacted log of an instance.
    pub(crate) fn log(&self, number: u32) -> String {
        fs::read_to_string(self.workspace(number).join("claude.log")).unwrap()
    }

    /// Changes the configuration.
    pub(crate) fn configure(&self, change: impl FnOnce(&mut Value)) {
        let file = self.clone().join("orchestrator-config.json");
        let mut config: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        change(&mut config);
        fs::write(file, config.to_string()).unwrap();
    }

    /// A command of cq, by its short name, in the clone.
    pub(crate) fn cq(&self, name: &str) -> Run {
        self.program(binaries().join(format!("cq-{name}")).to_str().unwrap())
    }

    /// A line for the shell, as a person or cron writes it. A pipe fails with its last command, as ever.
    pub(crate) fn shell(&self, line: &str) -> Run {
        self.program("/bin/sh").args(["-c", line])
    }

    /// Any program, with the environment of the house.
    pub(crate) fn program(&self, program: &str) -> Run {
        let mut command = Command::new(program);
        command.current_dir(self.clone()).env_clear().envs(self.environment());
        Run { name: program.to_owned(), command }
    }

    fn environment(&self) -> Vec<(&str, String)> {
        let github = self.lab.address().to_owned();
        vec![
            ("PATH", path()),
            ("HOME", self.text_of("home")),
            ("GITHUB_API_URL", github.clone()),
            ("GITHUB_GRAPHQL_URL", format!("{github}/graphql")),
            ("GITHUB_SERVER_URL", github),
            ("GITHUB_TOKEN", TOKEN.to_owned()),
        ]
    }

    /// What PATH says here.
    pub(crate) fn path() -> String {
        path()
    }

    /// Fetches and claims one issue.
    pub(crate) fn claim(&self, number: u64) -> Value {
        self.cq("claim").args([number.to_string()]).run().good().record()
    }

    /// Claims an issue and lets the agent work on it to its end.
    pub(crate) fn work(&self, number: u64) -> Ran {
        self.claim(number);
        self.cq("spawn").args(["--wait", &number.to_string()]).run()
    }

    /// Claims an issue and starts the agent.
    pub(crate) fn work_detached(&self, number: u64) {
        self.claim(number);
        self.cq("spawn").args([number.to_string()]).run().quietly();
    }

    /// The record of an issue in flight, from its file.
    pub(crate) fn record(&self, number: u64) -> Value {
        let file = self.state_dir().join(format!("records/{number}.json"));
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        serde_json::from_str(&text).unwrap()
    }

    /// The status of an issue in flight; empty where there is none.
    pub(crate) fn status(&self, number: u64) -> String {
        let file = self.state_dir().join(format!("records/{number}.json"));
        let Ok(text) = fs::read_to_string(file) else { return String::new() };
        let record: Value = serde_json::from_str(&text).unwrap();
        record["status"].as_str().unwrap_or_default().to_owned()
    }

    /// git in the owner's clone; what it says.
    pub(crate) fn git(&self, args: &[&str]) -> String {
        self.git_in(&self.clone(), args)
    }

    pub(crate) fn git_in(&self, folder: &Path, args: &[&str]) -> String {
        let Output { status, stdout, stderr } = Command::new("git")
            .args(["-c", "user.name=owner", "-c", "user.email=owner@localhost"])
            .args(args)
            .current_dir(folder)
            .env_clear()
            .envs([("PATH", path()), ("HOME", self.text_of("home")), ("GIT_TERMINAL_PROMPT", "0".to_owned())])
            .output()
            .unwrap();
        assert!(status.success(), "git {args:?}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap().trim_end().to_owned()
    }

    /// Puts a file on a branch of the GitHub, as somebody else's commit; gives the commit.
    pub(crate) fn push_by_hand(&self, branch: &str, path: &str, content: &str) -> String {
        let folder = self.place("somebody");
        let address = format!("http://x:{TOKEN}@{}/acme/widgets.git", self.lab.authority());
        if !folder.exists() {
            self.git_in(self.root(), &["clone", "--quiet", &address, "somebody"]);
        }
        self.git_in(&folder, &["fetch", "--quiet", "origin"]);
        self.git_in(&folder, &["checkout", "--quiet", "-B", "by-hand", &format!("origin/{branch}")]);
        fs::create_dir_all(folder.join(path).parent().unwrap()).unwrap();
        fs::write(folder.join(path), content).unwrap();
        self.git_in(&folder, &["add", "--all"]);
        self.git_in(&folder, &["commit", "--quiet", "-m", "By hand"]);
        self.git_in(&folder, &["push", "--quiet", "origin", &format!("HEAD:refs/heads/{branch}")]);
        self.git_in(&folder, &["rev-parse", "HEAD"])
    }

    /// What must not change behind the owner's back: checkout, index, branches.
    pub(crate) fn owners_view(&self) -> (String, String, String) {
        let branches =
            ["for-each-ref", "--format=%(refname) %(objectname)", "refs/heads/main", "refs/remotes"];
        (self.git(&["status", "--porcelain"]), self.git(&branches), self.git(&["symbolic-ref", "HEAD"]))
    }

    /// Processes of this house with one of these names.
    pub(crate) fn named(&self, names: &[&str]) -> Vec<i32> {
        let mut pids = Self::processes_with(&format!("HOME={}", self.text_of("home")));
        pids.retain(|pid| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            names.contains(&name.trim())
        });
        pids
    }

    /// Every process whose environment holds this, such as `CQ_CLAIM=…` or the house's own HOME.
    pub(crate) fn processes_with(marker: &str) -> Vec<i32> {
        let holds = |pid: &i32| {
            fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|entry| entry == marker.as_bytes()))
        };
        // Twice: a process that becomes another program has no environment for that moment.
        let mut found = BTreeSet::new();
        for _ in 0..2 {
            let entries = fs::read_dir("/proc").unwrap().flatten();
            found.extend(entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(holds));
        }
        found.into_iter().collect()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        // Supervisors and agents of a test that failed half-way; nobody else has this home.
        for pid in Self::processes_with(&format!("HOME={}", self.text_of("home"))) {
            if let Some(pid) = Pid::from_raw(pid).filter(|pid| *pid != self.lab.pid()) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

/// The folder of the binaries that are tested.
pub(crate) fn binaries() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_cq-fetch")).parent().unwrap()
}

fn path() -> String {
    format!("{}:{SYSTEM_PATH}", binaries().display())
}
