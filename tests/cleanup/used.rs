//! Whoever is in a workspace keeps it, unless it is forced.

use std::fs;
use std::process::{Child, Command, Stdio};

use crate::support::wait::until;
use crate::{assert_all_gone, failed};

struct Guest(Child);

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn guest(line: &str, folder: &std::path::Path) -> Guest {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", line]).current_dir(folder).env_clear().env("PATH", "/usr/bin:/bin");
    Guest(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
}

#[test]
fn a_workspace_that_somebody_is_in_is_left_and_they_are_named() {
    let house = failed(3);
    let worktree = |number| house.workspace(number).join("widgets");
    let inside = guest("exec sleep 300", &worktree(1).join("src"));
    let writes = guest("exec sleep 300 >> written", &worktree(2));
    let reads = guest("exec sleep 300 < README.md", &worktree(3));
    let writes_elsewhere =
        guest(&format!("exec sleep 300 >> '{}'", worktree(2).join("more").display()), house.root());
    for (guest, number) in [(&inside, 1), (&writes, 2), (&reads, 3)] {
        let comm = format!("/proc/{}/comm", guest.0.id());
        until("the guest", || (fs::read_to_string(&comm).unwrap().trim() == "sleep").then_some(()));
        let ran = house.cq("cleanup").args([format!("claude-instance-{number}")]).run();
        let named = format!("sleep (pid {}) works in it", guest.0.id());
        let ran = ran.ends(1, &named);
        assert!(ran.stderr.contains("hint: end it, or let it go elsewhere; --force removes it all the same"));
        assert!(worktree(number).exists());
    }
    let refused = house.cq("cleanup").args(["claude-instance-2"]).run();
    let named = format!("sleep (pid {}) writes a file in it", writes_elsewhere.0.id());
    refused.ends(1, &named);
    // A reader from elsewhere keeps nobody.
    drop(reads);
    let reads =
        guest(&format!("exec sleep 300 < '{}'", worktree(3).join("README.md").display()), house.root());
    house.cq("cleanup").args(["claude-instance-3"]).run().quietly();
    // Forced, they are left to themselves.
    house.cq("cleanup").args(["--force", "claude-instance-1", "claude-instance-2"]).run().good();
    for guest in [&inside, &writes, &reads] {
        assert!(fs::exists(format!("/proc/{}/comm", guest.0.id())).unwrap());
    }
    assert_all_gone(&house);
}
