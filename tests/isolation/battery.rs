//! The battery: each trap is set before each command, for every git command that cq runs; none may spring. Then plain
//! git steps into it, which shows that it was set.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use crate::traps::{PRELUDE, TRAPS, Trap};
use crate::{House, Plan};

const LATER: &str = "2199-01-01T00:00:00Z";

/// A house with a trap; its agents write files and never call git, so that whatever springs was cq's doing.
struct Trapped {
    house: House,
    trap: &'static Trap,
}

impl Trapped {
    fn new(trap: &'static Trap, isolation: &str) -> Self {
        let script = json!({"issues": {
            "1": [{"write": {"path": "one.txt", "content": "one"}}],
            "2": {"1": [{"write": {"path": "two.txt", "content": "half"}}, {"exit": 1}],
                  "2": [{"write": {"path": "two.txt", "content": "two"}}]},
            "3": [{"write": {"path": "three.txt", "content": "three"}}, {"exit": 1}],
        }});
        let files = json!({"README.md": "# Widgets\n", "src/widget.txt": "a widget\n",
            ".gitignore": ".env\n", ".worktreeinclude": ".env\n"});
        let seed = json!({"widgets": {"files": files}});
        let mut plan = Plan { script, seed, ..Plan::default() };
        // Names a file, so that it is looked for, and at what the others have changed.
        plan.issues[2]["body"] = json!("See README.md.");
        let house = House::new(&plan);
        fs::write(house.clone().join(".env"), "KEY=1").unwrap();
        house.configure(|config| {
            config["workspace"]["isolation"] = json!(isolation);
            config["workspace"]["warmSpares"] = json!(1);
            config["workspace"]["setup"] = json!([["true"]]);
            config["queue"]["avoidOverlap"] = json!(true);
        });
        let away = house.place("away");
        fs::create_dir(&away).unwrap();
        let evil = format!("#!/bin/sh\ntouch '{}'\nexec timeout 1 cat\n", house.text_of("canary"));
        house
            .shell(r#"printf '%s' "$0" > "$1" && chmod +x "$1""#)
            .args([evil, house.text_of("away/evil")])
            .run()
            .quietly();
        house.git_in(&away, &["clone", "--quiet", "--bare", house.clone().to_str().unwrap(), "bare"]);
        Self { house, trap }
    }

    /// A worktree of an instance; the last one made.
    fn worktree(&self) -> Option<PathBuf> {
        let mut all = (1..=3).rev().map(|number| self.house.workspace(number).join("widgets"));
        all.find(|path| path.is_dir())
    }

    /// In the owner's clone; `within` is another repository to be in.
    fn script(&self, script: &str, within: Option<PathBuf>) {
        let house = &self.house;
        let repository = within.unwrap_or_else(|| house.clone());
        let script = format!("cd \"$HERE\" || exit\n{PRELUDE}{script}");
        let evil = house.text_of("away/evil");
        house
            .shell(&script)
            .env("HERE", &repository)
            .env("EVIL", &evil)
            .env("Q", format!("'{evil}'"))
            .env("G", repository.join(".git"))
            .env("W", self.worktree().unwrap_or_default())
            .env("AWAY", house.place("away"))
            .env("CANARY", house.place("canary"))
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_AUTHOR_NAME", "x")
            .env("GIT_AUTHOR_EMAIL", "x@x")
            .env("GIT_COMMITTER_NAME", "x")
            .env("GIT_COMMITTER_EMAIL", "x@x")
            .run();
    }

    fn has_sprung(&self) -> bool {
        self.house.place("canary").exists()
    }

    /// Sets the trap and runs a line of cq's commands, now or when every wait is over.
    fn through(&self, line: &str, later: bool) {
        self.script(self.trap.plant, None);
        // In a clone of its own an agent plants what it likes.
        if let Some(clone) = self.worktree().filter(|tree| tree.join(".git").is_dir()) {
            self.script(self.trap.plant, Some(clone));
        }
        // Plain git may have stepped into it while the trap was set.
        let _ = fs::remove_file(self.house.place("canary"));
        let run = self.house.shell(line);
        let ran = if later { run.at(LATER) } else { run }.run();
        assert!(!self.has_sprung(), "{}: sprung by '{line}'\n{}", self.trap.name, ran.stderr);
    }
}

/// Everything cq does that calls git: a first and a second attempt, leftovers committed, checks, a pull request, what
/// is looked at in between, and both ways of putting away.
const LINES: [&str; 9] = [
    "cq-monitor; cq-fetch | cq-claim",
    "cq-spawn --wait 1 2 3",
    "cq-gate 1",
    "cq-pr 1",
    "cq-spawn --wait 2 3 | cq-gate | cq-pr",
    "cq-monitor; cq-status; cq-status --explain 3; cq-status --conflicts; cq-fetch 3; cq-pr --sync",
    "cq-doctor",
    "cq-cleanup --force claude-instance-3",
    "cq-cleanup --all --force",
];

fn spring(part: usize, parts: usize, isolation: &str) {
    for trap in TRAPS.iter().skip(part).step_by(parts) {
        let trapped = Trapped::new(trap, isolation);
        for (at, line) in LINES.iter().enumerate() {
            trapped.through(line, at >= 4);
            // In a clone the objects that it borrows may be gone.
            let passable = trap.passable && (isolation == "worktree" || !trap.name.contains("alternates"));
            if at == 4 && passable {
                let reached = [1, 2].map(|number| trapped.house.status(number));
                let why = [1, 2].map(|number| trapped.house.record(number)["history"].to_string());
                assert_eq!(reached, ["pr-ready", "pr-ready"], "{}: the work was done\n{why:?}", trap.name);
            }
        }
        if isolation == "clone" {
            continue;
        }
        // Anew, for plain git: a worktree, and the trap in it.
        let worktree = trapped.house.workspace(3).join("widgets");
        let _ = fs::remove_dir_all(&worktree);
        trapped.script(
            &format!(
                r#"git worktree prune; git worktree add --quiet --detach --force "{}""#,
                worktree.display()
            ),
            None,
        );
        trapped.script(trap.plant, None);
        let _ = fs::remove_file(trapped.house.place("canary"));
        trapped.script(trap.step, None);
        assert_eq!(
            trapped.has_sprung(),
            trap.springs,
            "{}: plain git, as a check of the trap itself",
            trap.name
        );
    }
}

#[test]
fn no_trap_springs_first_part() {
    spring(0, 4, "worktree");
}

#[test]
fn no_trap_springs_second_part() {
    spring(1, 4, "worktree");
}

#[test]
fn no_trap_springs_third_part() {
    spring(2, 4, "worktree");
}

#[test]
fn no_trap_springs_fourth_part() {
    spring(3, 4, "worktree");
}

#[test]
fn no_trap_springs_in_clones_first_part() {
    spring(0, 2, "clone");
}

#[test]
fn no_trap_springs_in_clones_second_part() {
    spring(1, 2, "clone");
}

#[test]
fn there_are_as_many_traps_as_were_asked_for() {
    assert!(TRAPS.iter().filter(|trap| trap.springs).count() >= 22);
}
