//! Killed at any moment: nothing is lost, and the next run finishes.

use std::time::{Duration, Instant};

use crate::bytes::restored;
use crate::mess::{self, assert_same, things};
use crate::{assert_all_gone, dice, failed, instance, long};

#[test]
fn a_cleanup_that_is_killed_anywhere_loses_nothing() {
    let issues = if long() { 300 } else { 40 };
    let mut dice = dice("a_cleanup_that_is_killed_anywhere_loses_nothing");
    // In batches, so that not all of them are there at once.
    let (mut kills, mut left) = (0, issues);
    while left > 0 {
        let batch = left.min(20);
        left -= batch;
        let house = failed(batch);
        // How long one takes, undisturbed.
        let took = {
            let began = Instant::now();
            house.cq("cleanup").args(["--list-rescues"]).run().quietly();
            began.elapsed() * 10
        };
        for issue in 1..=batch {
            let instance = instance(&house, issue);
            let worktree = house.workspace(instance).join("widgets");
            mess::make(&house, &worktree, &mut dice);
            let expected = things(&worktree);
            let name = format!("claude-instance-{instance}");
            let mut turns = 0;
            loop {
                let mut child = house.cq("cleanup").args(["--force", &name]).start();
                let until = Duration::from_micros(dice.u64(..u64::try_from(took.as_micros()).unwrap()));
                let began = Instant::now();
                let ended = loop {
                    if child.try_wait().unwrap().is_some() {
                        break true;
                    }
                    if began.elapsed() >= until {
                        break false;
                    }
                    std::thread::sleep(Duration::from_micros(200));
                };
                let _ = child.kill();
                child.wait().unwrap();
                kills += u64::from(!ended);
                turns += 1;
                if ended || turns == 4 {
                    break;
                }
            }
            house.cq("cleanup").args(["--force", &name]).run().good();
            assert!(house.workspace(instance).symlink_metadata().is_err(), "issue #{issue}");
            assert_all_gone(&house);
            assert_eq!(house.record(issue)["run"]["workspace"], "", "{}", house.record(issue));
            assert_eq!(house.git(&["branch", "--list", &format!("claude/issue-{issue}-*")]), "");
            let back = restored(&house, issue);
            assert_same(&expected, &things(&back));
            assert_eq!(house.git_in(&back, &["log", "-1", "--format=%s"]), "Half of it");
            // One rescue, however often it was begun.
            let rescues = house.git(&["for-each-ref", &format!("refs/cq/rescue/{issue}")]);
            assert_eq!(rescues.lines().count(), 1, "{rescues}");
            house.git(&["worktree", "remove", "--force", back.to_str().unwrap()]);
        }
        house.git(&["fsck", "--strict", "--no-dangling"]);
    }
    println!("{kills} kills in {issues} workspaces");
    assert!(kills > issues / 4, "only {kills} kills: nothing was shown");
}
