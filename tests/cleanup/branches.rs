//! What becomes of the branch on GitHub once its pull request is over.

use serde_json::json;

use crate::House;
use crate::support::lab::TOKEN;

/// A pull request that is open; gives its number and its branch.
pub(crate) fn delivered(house: &House) -> (u64, String) {
    house.shell("cq-fetch 1 | cq-claim | cq-spawn --wait | cq-gate | cq-pr").run().quietly();
    let branch = house.record(1)["claim"]["branch"].as_str().unwrap().to_owned();
    assert_eq!(house.lab.branches(), std::slice::from_ref(&branch));
    (house.lab.pulls()[0]["number"].as_u64().unwrap(), branch)
}

fn set(house: &House, pull: u64, state: &str) {
    house.lab.call("PATCH", &format!("/repos/acme/widgets/pulls/{pull}"), &json!({"state": state}));
}

pub(crate) fn close(house: &House, pull: u64) {
    set(house, pull, "closed");
}

/// A pull request that is squashed into the base is merged, whatever the commits say.
#[test]
fn a_merged_branch_goes_on_both_sides_and_the_record_into_the_archive() {
    let house = House::usual();
    let (pull, branch) = delivered(&house);
    house.lab.merge(pull);
    house.cq("pr").args(["--sync"]).run().quietly();
    let removed = house.cq("cleanup").args(["--all"]).run().quietly().record();
    assert_eq!((&removed["branch"], &removed["remote_branch"]), (&json!(branch), &json!("deleted")));
    assert!(removed["freed_bytes"].as_u64().unwrap() > 4096, "{removed}");
    assert!(house.lab.branches().is_empty());
    let archived = std::fs::read_to_string(house.state_dir().join("archive/1.1.json")).unwrap();
    let archived: serde_json::Value = serde_json::from_str(&archived).unwrap();
    assert_eq!(
        (&archived["status"], &archived["cleaned"]["remote_branch"]),
        (&json!("completed"), &json!("deleted"))
    );
    let events = std::fs::read_to_string(house.state_dir().join("events.jsonl")).unwrap();
    assert!(events.contains(r#""event":"branch-deleted""#));
}

#[test]
fn a_closed_branch_goes_and_its_commits_are_kept_here() {
    let house = House::usual();
    let (pull, branch) = delivered(&house);
    close(&house, pull);
    house.cq("pr").args(["--sync"]).run().quietly();
    let removed = house.cq("cleanup").args(["--all"]).run().quietly().record();
    assert_eq!(
        (&removed["remote_branch"], &removed["rescued"]),
        (&json!("deleted"), &json!("refs/cq/rescue/1/1"))
    );
    assert_eq!(removed["branch"], json!(branch));
    assert!(house.lab.branches().is_empty());
    assert_eq!(house.record(1)["cleaned"]["remote_branch"], "deleted");
    assert_eq!(house.cq("cleanup").args(["--all"]).run().quietly().stdout, "", "twice is harmless");
}

#[test]
fn a_branch_that_is_gone_is_fine_and_one_that_somebody_pushed_to_is_left() {
    let house = House::usual();
    let (pull, branch) = delivered(&house);
    house.lab.merge(pull);
    house.lab.call("DELETE", &format!("/repos/acme/widgets/git/refs/heads/{branch}"), &json!(null));
    house.cq("pr").args(["--sync"]).run().quietly();
    let removed = house.cq("cleanup").args(["--all"]).run().quietly().record();
    assert_eq!(removed["remote_branch"], "gone");

    let house = House::usual();
    let (pull, branch) = delivered(&house);
    let remote = format!("http://x:{TOKEN}@{}/acme/widgets.git", house.lab.authority());
    let other = house.place("other");
    house.git(&["clone", "--quiet", "--branch", &branch, &remote, other.to_str().unwrap()]);
    house.git_in(&other, &["commit", "--quiet", "--allow-empty", "-m", "Theirs"]);
    house.git_in(&other, &["push", "--quiet", "origin", &branch]);
    close(&house, pull);
    house.cq("pr").args(["--sync"]).run().quietly();
    let removed =
        house.cq("cleanup").args(["--all"]).run().ends(0, "has commits that cq did not push, and is left");
    assert_eq!(removed.record()["remote_branch"], "kept");
    assert_eq!(house.lab.branches(), [branch]);
}

#[test]
fn a_branch_stays_where_the_configuration_says_so_or_its_pull_request_is_open() {
    let house = House::usual();
    let (pull, branch) = delivered(&house);
    house.cq("cleanup").args(["--all", "--force"]).run().good();
    assert_eq!(house.lab.branches(), std::slice::from_ref(&branch), "it waits for its review");
    house.configure(|config| config["cleanup"]["deleteRemoteBranches"] = json!(false));
    house.lab.merge(pull);
    house.cq("pr").args(["--sync"]).run().quietly();
    house.cq("cleanup").args(["--all"]).run().quietly();
    assert_eq!(house.lab.branches(), [branch]);
    assert!(house.status(1).is_empty(), "archived");
}

/// GitHub is away: the workspace goes, the branch later.
#[test]
fn a_branch_that_could_not_be_deleted_is_tried_again() {
    let house = House::usual();
    let (pull, _) = delivered(&house);
    house.lab.merge(pull);
    house.cq("pr").args(["--sync"]).run().quietly();
    house.lab.break_with(&json!([{"path": "/acme/widgets.git", "status": 503, "times": 1000}]));
    let removed = house.cq("cleanup").args(["--all"]).run().ends(69, "cannot ask '").record();
    assert_eq!(removed["archived"], false);
    assert!(house.workspace(1).symlink_metadata().is_err());
    assert_eq!((house.status(1).as_str(), house.lab.branches().len()), ("completed", 1));
    house.lab.mend();
    let removed = house.cq("cleanup").args(["--all"]).run().quietly().record();
    assert_eq!((&removed["archived"], &removed["remote_branch"]), (&json!(true), &json!("deleted")));
    assert!(house.lab.branches().is_empty() && house.status(1).is_empty());
}

/// The same of a pull request that was closed: its record is failed, and stays.
#[test]
fn the_branch_of_a_closed_pull_request_is_tried_again_as_well() {
    let house = House::usual();
    let (pull, _) = delivered(&house);
    close(&house, pull);
    house.cq("pr").args(["--sync"]).run().quietly();
    house.lab.break_with(&json!([{"path": "/acme/widgets.git", "status": 503, "times": 1000}]));
    house.cq("cleanup").args(["--all"]).run().ends(69, "cannot ask '");
    assert!(house.workspace(1).symlink_metadata().is_err());
    assert_eq!((house.status(1).as_str(), house.lab.branches().len()), ("failed", 1));
    house.lab.mend();
    let removed = house.cq("cleanup").args(["--all"]).run().quietly().record();
    assert_eq!((&removed["archived"], &removed["remote_branch"]), (&json!(false), &json!("deleted")));
    assert!(house.lab.branches().is_empty());
    assert_eq!(house.cq("cleanup").args(["--all"]).run().quietly().stdout, "", "once is enough");
}

/// Nobody told this machine of it: the pull request is asked for before anything goes, and once more before its branch
/// on GitHub does.
#[test]
fn a_pull_request_that_was_opened_again_keeps_its_branch() {
    for workspace_first in [false, true] {
        let house = House::usual();
        let (pull, branch) = delivered(&house);
        close(&house, pull);
        house.cq("pr").args(["--sync"]).run().quietly();
        if workspace_first {
            house.lab.break_with(&json!([{"path": "/acme/widgets.git", "status": 503, "times": 1000}]));
            house.cq("cleanup").args(["--all"]).run().ends(69, "cannot ask '");
            house.lab.mend();
        }
        set(&house, pull, "open");
        house.cq("cleanup").args(["--all"]).run().ends(0, "is open again, and its branch is left");
        assert!(house.workspace(1).symlink_metadata().is_err());
        assert_eq!(house.lab.branches(), std::slice::from_ref(&branch));
        let local = house.git(&["for-each-ref", "--format=%(refname:short)", "refs/heads/claude"]);
        assert_eq!(local, if workspace_first { "" } else { branch.as_str() });
        let record = house.record(1);
        assert_eq!(record["pull_request"]["state"], "open");
        assert!(record.get("cleaned").is_none(), "{record:#}");
        close(&house, pull);
        house.cq("pr").args(["--sync"]).run().quietly();
        let removed = house.cq("cleanup").args(["--all"]).run().quietly().record();
        assert_eq!(removed["remote_branch"], "deleted");
        assert!(house.lab.branches().is_empty());
    }
}

/// The workspace went while the pull request was open, and its branch stayed for it, for good.
#[test]
fn the_branch_here_goes_once_the_pull_request_that_needed_it_is_over() {
    for (merged, failed) in [(true, false), (false, false), (true, true), (false, true)] {
        let house = House::usual();
        let (pull, branch) = delivered(&house);
        if failed {
            let mut record = house.record(1);
            record["status"] = json!("failed");
            std::fs::write(house.state_dir().join("records/1.json"), record.to_string()).unwrap();
        }
        let here = || house.git(&["for-each-ref", "--format=%(refname:short)", "refs/heads/claude"]);
        house.cq("cleanup").args(["--all", "--force"]).run().good();
        assert_eq!(here(), branch, "it may be needed");
        let head = house.git(&["rev-parse", &branch]);
        if merged {
            house.lab.merge(pull);
        } else {
            close(&house, pull);
        }
        house.cq("pr").args(["--sync"]).run().quietly();
        let removed = house.cq("cleanup").args(["--all"]).run().quietly().record();
        assert_eq!((&removed["branch"], &removed["remote_branch"]), (&json!(branch), &json!("deleted")));
        assert_eq!(here(), "");
        if merged {
            assert!(removed.get("rescued").is_none() && house.status(1).is_empty(), "{removed}");
        } else {
            let rescued = removed["rescued"].as_str().unwrap();
            assert_eq!(house.git(&["rev-parse", &format!("{rescued}^")]), head);
        }
        assert_eq!(house.cq("cleanup").args(["--all"]).run().quietly().stdout, "", "once is enough");
    }
}
