//! A small repository with a remote, and agents that say when they run.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::place::{Place, executable, program};

/// A place with a bare remote `remote.git`, its clone `owner`, and an agent that notes its runs in `runs`.
pub(crate) struct Works {
    pub(crate) place: Place,
}

pub(crate) fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(arguments).current_dir(folder).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.envs([
        ("HOME", "/nonexistent"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_OPTIONAL_LOCKS", "0"),
        ("LC_ALL", "C"),
        ("GIT_AUTHOR_NAME", "t"),
        ("GIT_AUTHOR_EMAIL", "t@t"),
        ("GIT_COMMITTER_NAME", "t"),
        ("GIT_COMMITTER_EMAIL", "t@t"),
    ]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Why agents that hold a lock for as long as they live cannot be had here; none if they can.
pub(crate) fn lacks() -> Option<&'static str> {
    let found = Command::new("flock").arg("--version").output().is_ok();
    (!found).then_some("flock(1) is not installed")
}

impl Works {
    /// Agents at every fourth issue take `slow` milliseconds and leave a process behind that nobody asked for.
    pub(crate) fn new(slow: u64) -> Self {
        let agent = "agent.sh";
        let place = Place::new(1000);
        place.configure(json!({
            "git": {"repository": place.path("owner"), "remote": place.path("remote.git")},
            "agents": {"claude": {"command": [place.path(agent), "-p", "--session-id", "{session_id}"]}},
        }));
        fs::create_dir_all(place.path("runs")).unwrap();
        let works = Self { place };
        works.make_repository();
        let usual = [
            json!({"say": "At work."}),
            json!({"sleep_ms": 40}),
            json!({"append": {"path": "done/{issue}.md", "content": "Attempt {attempt}.\n"}}),
            json!({"commit": "Work on #{issue}"}),
            json!({"sleep_ms": 40}),
        ];
        let late = [
            json!({"leave_child": {"setsid": true, "double_fork": true, "seconds": 600}}),
            json!({"sleep_ms": slow}),
        ];
        let slowly: Vec<_> = usual.iter().chain(&late).cloned().collect();
        let slow_ones = (4..1000).step_by(4).map(|number| (number.to_string(), json!(slowly)));
        let script = json!({"default": usual, "issues": slow_ones.collect::<serde_json::Map<_, _>>()});
        fs::write(works.place.path("script.json"), script.to_string()).unwrap();
        // The lock goes on to whatever the agent starts: who gets it knows that nobody of an earlier run is left.
        let text = format!(
            "#!/bin/sh\nexec 9>>\"{runs}/$CQ_ISSUE.lock\"\n\
             flock -n 9 || {{ echo \"$CQ_ISSUE\" >>\"{runs}/together\"; exit 1; }}\n\
             echo \"$CQ_ISSUE $CQ_ATTEMPT\" >>\"{runs}/started\"\n\
             exec \"{lab}\" agent --script \"{script}\" \"$@\"\n",
            runs = works.place.path("runs").display(),
            lab = program("cq-lab"),
            script = works.place.path("script.json").display(),
        );
        executable(&works.place.path(agent), &text);
        works
    }

    fn make_repository(&self) {
        let owner = self.place.path("owner");
        let here = self.place.path("");
        git(&here, &["init", "-q", "-b", "main", "owner"]);
        for number in 0..20 {
            let folder = owner.join(format!("src/part-{}", number % 4));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(format!("file-{number}.txt")), format!("{number}\n").repeat(50)).unwrap();
        }
        git(&owner, &["add", "-A"]);
        git(&owner, &["commit", "-qm", "Begin"]);
        git(&here, &["clone", "-q", "--bare", "owner", "remote.git"]);
        git(&owner, &["remote", "add", "origin", &self.place.path("remote.git").display().to_string()]);
    }

    pub(crate) fn owner(&self) -> PathBuf {
        self.place.path("owner")
    }

    /// No issue ever had two agents at once; how many runs there were.
    pub(crate) fn assert_never_together(&self) -> usize {
        let together = fs::read_to_string(self.place.path("runs/together")).unwrap_or_default();
        assert_eq!(together, "", "issues with two agents at once");
        self.runs().lines().count()
    }

    /// Whether an agent was started for an issue.
    pub(crate) fn has_run(&self, number: u64) -> bool {
        self.runs().lines().any(|line| line.starts_with(&format!("{number} ")))
    }

    fn runs(&self) -> String {
        fs::read_to_string(self.place.path("runs/started")).unwrap_or_default()
    }

    /// Every worktree is one that git knows, on the branch of its claim, with an index that agrees with it; and
    /// no object is missing.
    pub(crate) fn assert_worktrees_are_valid(&self) {
        let mut branches = BTreeMap::new();
        for block in git(&self.owner(), &["worktree", "list", "--porcelain"]).split("\n\n") {
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
            assert!(field("prunable").is_none() && field("detached").is_none(), "{block}");
            if let (Some(path), Some(branch)) = (field("worktree "), field("branch refs/heads/")) {
                branches.insert(PathBuf::from(path), branch.to_owned());
            }
        }
        for record in self.place.records().values() {
            let Some(workspace) = record["run"]["workspace"].as_str() else { continue };
            let worktree = Path::new(workspace).join("widgets");
            assert_eq!(branches[&worktree], record["claim"]["branch"], "{}", worktree.display());
            let dirty = git(&worktree, &["status", "--porcelain"]);
            if record["status"] == "testing" {
                assert_eq!(dirty, "", "{}", worktree.display());
            }
        }
        let complaints = git(&self.owner(), &["fsck", "--no-dangling", "--no-progress"]);
        assert_eq!(complaints, "");
    }
}
