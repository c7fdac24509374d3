//! Rescues: listed, brought back over nothing, removed so that it can be undone.

use std::fs;

use serde_json::json;

use crate::bytes::restored;
use crate::{House, LATER, failed};

fn rescues(house: &House) -> Vec<String> {
    house.git(&["for-each-ref", "--format=%(refname)", "refs/cq/rescue"]).lines().map(str::to_owned).collect()
}

/// Another failed attempt at an issue, with this in its worktree; its workspace is put away.
fn again(house: &House, content: &str) {
    house.cq("claim").args(["--retry", "1"]).run().good();
    house.cq("spawn").args(["--wait", "1"]).run();
    assert_eq!(house.status(1), "failed");
    fs::write(house.workspace(1).join("widgets/work.txt"), content).unwrap();
    house.cq("cleanup").args(["claude-instance-1"]).run().quietly();
}

#[test]
fn a_later_rescue_of_an_attempt_replaces_no_earlier_one() {
    let house = failed(1);
    fs::write(house.workspace(1).join("widgets/work.txt"), "first").unwrap();
    house.cq("cleanup").args(["claude-instance-1"]).run().quietly();
    again(&house, "second, longer");
    again(&house, "third");
    assert_eq!(rescues(&house), ["refs/cq/rescue/1/1", "refs/cq/rescue/1/1.2", "refs/cq/rescue/1/1.3"]);
    let listed = house.cq("cleanup").args(["--list-rescues"]).run().quietly().records();
    let told: Vec<_> =
        listed.iter().map(|row| (&row["attempt"], &row["files"], &row["bytes"], &row["what"])).collect();
    let what = json!("1 file, 1 commit");
    assert_eq!(
        told,
        [
            (&json!("1"), &json!(1), &json!(5), &what),
            (&json!("1.2"), &json!(1), &json!(14), &what),
            (&json!("1.3"), &json!(1), &json!(5), &what)
        ]
    );
    let table =
        house.cq("cleanup").args(["--list-rescues", "--format", "table", "1/1.2"]).run().quietly().stdout;
    assert!(table.starts_with("ISSUE  ATTEMPT  WHEN") && table.contains("#1     1.2"), "{table}");
    for (which, expected) in [("1/1", "first"), ("1/1.2", "second, longer"), ("1", "third")] {
        let to = house.place(&which.replace('/', "-"));
        let back =
            house.cq("cleanup").args(["--restore", which, "--to", to.to_str().unwrap()]).run().quietly();
        assert_eq!(back.record()["worktree"], to.to_str().unwrap());
        assert_eq!(fs::read_to_string(to.join("work.txt")).unwrap(), expected);
        // How the README gets the work into a branch, and the worktree away.
        let branch = format!("keep-{}", which.replace('/', "-"));
        house.git_in(&to, &["switch", "--quiet", "-c", &branch]);
        house.git_in(&to, &["add", "--all"]);
        house.git_in(&to, &["commit", "--quiet", "-m", "Keep it"]);
        house.git(&["worktree", "remove", "--force", to.to_str().unwrap()]);
        assert!(!to.exists());
        assert_eq!(house.git(&["show", &format!("{branch}:work.txt")]), expected);
    }
}

#[test]
fn nothing_is_brought_back_over_what_is_there() {
    let house = failed(1);
    fs::write(house.workspace(1).join("widgets/work.txt"), "work").unwrap();
    fs::write(house.workspace(1).join("notes"), "beside").unwrap();
    house.cq("cleanup").args(["claude-instance-1"]).run().quietly();
    let to = house.place("taken");
    fs::create_dir(&to).unwrap();
    fs::write(to.join("work.txt"), "mine").unwrap();
    let restore = |to: &str| house.cq("cleanup").args(["--restore", "1", "--to", to]).run();
    restore(to.to_str().unwrap()).ends(1, "is there already");
    std::os::unix::fs::symlink(&to, house.place("link")).unwrap();
    restore(&house.text_of("link")).ends(1, "is there already");
    fs::create_dir(house.place("new.beside")).unwrap();
    fs::write(house.place("new.beside/notes"), "mine").unwrap();
    restore(&house.text_of("new")).ends(1, "new.beside' is there already");
    assert!(!house.place("new").exists());
    // The documented status of what cannot be written; it was 1.
    restore(&house.text_of("taken/work.txt/below")).ends(73, "cannot make '");
    assert_eq!(crate::names(&to), ["work.txt".to_owned()].into());
    assert_eq!(fs::read_to_string(to.join("work.txt")).unwrap(), "mine");
    house
        .cq("cleanup")
        .args(["--restore", "1", "--dry-run"])
        .run()
        .ends(0, "would bring refs/cq/rescue/1/1 back in '");
    // Where nothing is said, below the workspaces; twice it is not.
    let back = house.cq("cleanup").args(["--restore", "1"]).run().quietly().record();
    let place = house.clone().join("workspaces/rescue-1-1");
    assert_eq!(back["worktree"], place.to_str().unwrap());
    assert_eq!(fs::read_to_string(place.join("work.txt")).unwrap(), "work");
    house.cq("cleanup").args(["--restore", "1"]).run().ends(1, "is there already");
    house.cq("cleanup").args(["--restore", "2"]).run().ends(1, "nothing was rescued of issue #2");
    house
        .cq("cleanup")
        .args(["--restore", "1/2"])
        .run()
        .ends(1, "nothing was rescued of issue #1, attempt 2");
    house.cq("cleanup").args(["--restore", "x"]).run().ends(2, "is no ISSUE or ISSUE/ATTEMPT");
}

#[test]
fn a_prune_takes_the_old_and_the_named_and_can_be_undone() {
    let house = failed(3);
    for issue in 1..=3 {
        fs::write(house.workspace(issue).join("widgets/work.txt"), "work").unwrap();
    }
    house.cq("cleanup").args(["--all"]).run().good();
    assert_eq!(rescues(&house).len(), 3);
    assert_eq!(house.cq("cleanup").args(["--prune"]).run().quietly().stdout, "", "none is old");
    house.cq("cleanup").args(["--prune", "--dry-run", "2"]).run().ends(0, "would remove refs/cq/rescue/2/1");
    let pruned = house.cq("cleanup").args(["--prune", "2"]).run().ends(0, "removed refs/cq/rescue/2/1");
    let (name, commit) = (pruned.record()["ref"].clone(), pruned.record()["commit"].clone());
    assert_eq!(rescues(&house), ["refs/cq/rescue/1/1", "refs/cq/rescue/3/1"]);
    let undo = format!("git update-ref {} {}", name.as_str().unwrap(), commit.as_str().unwrap());
    assert!(pruned.stderr.contains(&undo), "{}", pruned.stderr);
    house.shell(&undo).run().quietly();
    assert_eq!(fs::read_to_string(restored(&house, 2).join("work.txt")).unwrap(), "work");
    house.configure(|config| config["cleanup"]["rescueDays"] = json!(100_000));
    assert_eq!(house.cq("cleanup").args(["--prune"]).at(LATER).run().quietly().stdout, "");
    house.configure(|config| config["cleanup"]["rescueDays"] = json!(7));
    assert_eq!(house.cq("cleanup").args(["--prune"]).at(LATER).run().good().records().len(), 3);
    assert!(rescues(&house).is_empty());
}
