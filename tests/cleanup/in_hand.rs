//! Branches that somebody has in hand, or needs again, when they would go.

use std::fs::{self, File};
use std::process::Stdio;

use rustix::fs::{FlockOperation, flock};
use serde_json::json;

use crate::House;
use crate::branches::{close, delivered};
use crate::support::wait::until;

/// Somebody works on the first instance, as long as this is held.
fn busy(house: &House) -> File {
    let lock = File::create(house.state_dir().join("instances/claude-instance-1.lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    lock
}

/// It was checked out for a review, in the clone or beside it, and its owner stood on an unborn branch after the cleanup.
#[test]
fn a_branch_that_somebody_has_checked_out_is_left() {
    // The workspace went before, or goes now; where an agent has a clone, its branch is free to be checked out.
    for (beside, own_clone) in [(false, false), (true, false), (false, true)] {
        let house = House::usual();
        if own_clone {
            house.configure(|config| config["workspace"]["isolation"] = json!("clone"));
        }
        let (pull, branch) = delivered(&house);
        if !own_clone {
            house.cq("cleanup").args(["claude-instance-1"]).run().good();
        }
        let checkout = if beside { house.place("review") } else { house.clone() };
        if beside {
            house.git(&["worktree", "add", "--quiet", checkout.to_str().unwrap(), &branch]);
        } else {
            house.git(&["checkout", "--quiet", &branch]);
        }
        let head = house.git(&["rev-parse", &branch]);
        house.lab.merge(pull);
        house.cq("pr").args(["--sync"]).run().quietly();
        // Another issue may have the name by now.
        let _busy = (!own_clone).then(|| busy(&house));
        let said = format!("'{branch}' is checked out in '{}', and is left there", checkout.display());
        let removed = house.cq("cleanup").args(["claude-instance-1"]).run().ends(0, &said).record();
        assert_eq!((removed.get("branch"), &removed["archived"]), (None, &json!(true)), "{removed}");
        assert_eq!(house.git_in(&checkout, &["rev-parse", "HEAD"]), head, "{beside} {own_clone}");
        assert_eq!(house.git_in(&checkout, &["status", "--porcelain", "--untracked-files=no"]), "");
        assert!(house.lab.branches().is_empty(), "that on GitHub nobody has checked out");
    }
}

/// Whoever tried the issue again between the look and the deletion lost the branch of a living worktree.
#[test]
fn nobody_tries_an_issue_again_while_its_branch_is_deleted() {
    let house = House::usual();
    let (pull, branch) = delivered(&house);
    house.cq("cleanup").args(["claude-instance-1"]).run().good();
    close(&house, pull);
    house.cq("pr").args(["--sync"]).run().quietly();
    let here = || house.git(&["for-each-ref", "--format=%(refname:short)", "refs/heads/claude"]);

    // Somebody is at it.
    let lock = busy(&house);
    assert_eq!(house.cq("cleanup").args(["--all"]).run().quietly().stdout, "");
    let said = "claude-instance-1 is being worked on, and its branch is left for now";
    house.cq("cleanup").args(["claude-instance-1"]).run().ends(0, said);
    assert_eq!((here(), house.lab.branches()), (branch.clone(), vec![branch.clone()]));
    drop(lock);

    // Nobody is; and nobody may be while git deletes.
    let real = house.shell("command -v git").run().good().stdout.trim().to_owned();
    let [mark, go] = ["mark", "go"].map(|name| house.text_of(name));
    let slow = format!(
        "#!/bin/sh\ncase \"$*\" in *'update-ref --no-deref -d refs/heads/claude/'*)\n\
         touch '{mark}'; until test -e '{go}'; do sleep 0.01; done;; esac\nexec '{real}' \"$@\"\n"
    );
    fs::create_dir(house.place("slow")).unwrap();
    house
        .shell(r#"printf '%s' "$0" > "$1" && chmod +x "$1""#)
        .args([slow, house.text_of("slow/git")])
        .run()
        .quietly();
    let path = format!("{}:{}", house.text_of("slow"), House::path());
    let cleanup =
        house.cq("cleanup").args(["--all"]).env("PATH", path).start_into(Stdio::null(), Stdio::null());
    until("the deletion", || fs::exists(&mark).unwrap().then_some(()));
    let retried = house.cq("claim").args(["--retry", "1"]).run();
    fs::write(&go, "").unwrap();
    assert!(cleanup.wait_with_output().unwrap().status.success());
    retried.ends(75, "claude-instance-1 is being worked on by cq-cleanup");
    assert_eq!((here(), house.status(1).as_str()), (String::new(), "failed"));
    house.cq("claim").args(["--retry", "1"]).run().quietly();
    house.cq("spawn").args(["--wait", "1"]).run().quietly();
    assert_eq!(here(), branch);
}
