//! A repository of 15,000 files: what a warm spare saves, and how soon an instance's name is free again.

use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use super::{Bench, median, ms, ratio};

const ROUNDS: usize = 5;

impl Bench {
    pub(super) fn large(&mut self) {
        let base = self.folder("large");
        let (clone, notes) = self.repository(&base, 300);
        let file = clone.join("orchestrator-config.json");
        let config = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, config.replacen('{', r#"{"workspace":{"warmSpares":1},"#, 1)).unwrap();
        self.claim_all(&clone, ROUNDS + 1);
        let (mut spare, mut add, mut free, mut remove) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let by_git = |number: usize| base.join(format!("by-git-{number}"));
        // All are made before the first is removed: some file systems are slow where much was just deleted.
        for number in 1..=ROUNDS + 1 {
            let monitor = self.cq("cq-monitor", &clone).status().unwrap();
            let took = self.add_by_git(&clone, &by_git(number), &format!("by-git-{number}"));
            let started = self.start_agent(&clone, &notes, number);
            // The first fetches the base and makes what is made once.
            if number > 1 {
                let log = clone.join(format!("workspaces/claude-instance-{number}/claude.log"));
                let log = std::fs::read_to_string(log).unwrap();
                assert!(
                    log.contains("warm spare"),
                    "cq-monitor ended with {monitor}, and there was no spare"
                );
                add.push(took);
                spare.push(started);
            }
        }
        for number in 2..=ROUNDS + 1 {
            let instance = format!("claude-instance-{number}");
            let asked = Instant::now();
            let cleanup = self.cq("cq-cleanup", &clone).arg(&instance).spawn().unwrap();
            free.push(until_gone(&clone.join("workspaces").join(&instance), asked, cleanup));
            let mut git = self.git(&clone);
            remove.push(super::time(git.args(["worktree", "remove", "--force"]).arg(by_git(number))));
        }
        for (what, own, theirs, target) in [
            (
                "spawn to agent's start, 15,000 files, warm spare / git worktree add",
                &mut spare,
                &mut add,
                0.2,
            ),
            ("cq-cleanup until the name is free / git worktree remove", &mut free, &mut remove, 0.1),
        ] {
            let (own, theirs) = (median(own), median(theirs));
            let ratio = ratio(own, theirs);
            let measured = format!("{ratio:.3} × ({:.0} ms against {:.0} ms)", ms(own), ms(theirs));
            self.row(what, measured, &format!("≤ {target} ×"), ratio <= target);
        }
    }
}

/// How long until a folder is gone; waits for the command as well, which goes on for a while.
fn until_gone(folder: &Path, asked: Instant, mut command: Child) -> Duration {
    while folder.symlink_metadata().is_ok() {
        assert!(asked.elapsed() < Duration::from_secs(60), "'{}' does not go", folder.display());
        std::thread::sleep(Duration::from_micros(200));
    }
    let took = asked.elapsed();
    assert!(command.wait().unwrap().success());
    took
}
