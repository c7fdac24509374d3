//! Every byte and every mode comes back.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::mess::{self, Thing, assert_same, things};
use crate::{House, assert_all_gone, dice, failed, failed_in, instance};

/// Restores the latest rescue of an issue; gives where it is.
pub(crate) fn restored(house: &House, issue: u64) -> std::path::PathBuf {
    let to = house.place(&format!("back-{issue}"));
    house.cq("cleanup").args(["--restore", &issue.to_string(), "--to", to.to_str().unwrap()]).run().quietly();
    to
}

#[test]
fn fifty_dirty_workspaces_come_back_byte_by_byte() {
    const ISSUES: u64 = 50;
    let mut dice = dice("fifty_dirty_workspaces_come_back_byte_by_byte");
    let house = failed(ISSUES);
    let before = house.owners_view();
    let mut expected = Vec::new();
    for issue in 1..=ISSUES {
        let worktree = house.workspace(instance(&house, issue)).join("widgets");
        mess::make(&house, &worktree, &mut dice);
        let status = house.git_in(&worktree, &["diff", "--cached", "--raw", "--no-abbrev"]);
        expected.push((issue, things(&worktree), status));
    }
    let ran = house.cq("cleanup").args(["--all"]).run().ends(0, "are free again in all");
    assert_eq!(ran.records().len(), 50);
    assert_all_gone(&house);
    assert_eq!(house.git(&["branch", "--list", "claude/*"]), "");
    assert_eq!(house.git(&["worktree", "list"]).lines().count(), 1);
    let (mut files, mut bytes) = (0, 0);
    for (issue, expected, staged) in expected {
        let back = restored(&house, issue);
        assert_same(&expected, &things(&back));
        assert_eq!(
            house.git_in(&back, &["diff", "--cached", "--raw", "--no-abbrev"]),
            staged,
            "issue #{issue}"
        );
        assert_eq!(house.git_in(&back, &["log", "-1", "--format=%s"]), "Half of it");
        for thing in expected.values() {
            if let Thing::File(_, content) = thing {
                files += 1;
                bytes += content.len();
            }
        }
        house.git(&["worktree", "remove", "--force", back.to_str().unwrap()]);
    }
    println!("{files} files with {bytes} bytes in 50 workspaces came back");
    assert_eq!(house.owners_view(), before);
    house.git(&["fsck", "--strict", "--no-dangling"]);
}

/// git sees no difference, and there is none to restore: then nothing is kept.
#[test]
fn what_is_everywhere_is_not_rescued_and_what_git_does_not_see_is() {
    let house = failed_in(2, &json!({}));
    let worktree = |issue| house.workspace(instance(&house, issue)).join("widgets");
    // Commits alone.
    let removed = house
        .cq("cleanup")
        .args([format!("claude-instance-{}", instance(&house, 1))])
        .run()
        .quietly()
        .record();
    assert_eq!(removed["rescued"], "refs/cq/rescue/1/1");
    let listed = house.cq("cleanup").args(["--list-rescues", "1"]).run().quietly().record();
    assert_eq!((&listed["what"], &listed["files"]), (&json!("1 commit"), &json!(0)));
    // A mode that git does not know goes along with what it does know.
    let second = worktree(2);
    fs::write(second.join("new"), "x").unwrap();
    fs::set_permissions(second.join("README.md"), Permissions::from_mode(0o400)).unwrap();
    fs::set_permissions(second.join("src/deep"), Permissions::from_mode(0o750)).unwrap();
    let expected = things(&second);
    house.cq("cleanup").args([format!("claude-instance-{}", instance(&house, 2))]).run().quietly();
    assert_same(&expected, &things(&restored(&house, 2)));
}

/// What an agent ignored is its work as well; what a tool makes again is not, and is named.
#[test]
fn ignored_files_are_kept_unless_they_are_many_large_or_the_owners() {
    let house = failed(1);
    let worktree = house.workspace(1).join("widgets");
    let write = |name: &str, content: &[u8]| {
        fs::create_dir_all(worktree.join(name).parent().unwrap()).unwrap();
        fs::write(worktree.join(name), content).unwrap();
    };
    house.configure(|config| config["cleanup"]["rescueIgnoredMegabytes"] = json!(1));
    write("notes.log", b"an hour of thought");
    write("out/small", b"small");
    write("huge.log", &vec![7; 2 << 20]);
    write("node_modules/left-pad/index.js", b"made again");
    write("cache/CACHEDIR.TAG", b"Signature: 8a477f597d28d172789f06886806bc55");
    write("cache/object", b"made again");
    write("owners.log", b"the owner's own");
    write("changed.log", b"changed by the agent");
    fs::write(house.clone().join("owners.log"), "the owner's own").unwrap();
    fs::write(house.clone().join("changed.log"), "the owner's own").unwrap();
    house.cq("cleanup").args(["claude-instance-1"]).run().quietly();
    let back = restored(&house, 1);
    let text = |name: &str| fs::read_to_string(back.join(name)).ok();
    assert_eq!(text("notes.log").as_deref(), Some("an hour of thought"));
    assert_eq!(text("out/small").as_deref(), Some("small"));
    assert_eq!(text("changed.log").as_deref(), Some("changed by the agent"));
    for left in ["huge.log", "node_modules", "cache", "owners.log"] {
        assert!(!back.join(left).exists(), "{left}");
    }
    let listed = house.cq("cleanup").args(["--list-rescues"]).run().quietly().record();
    assert_eq!(
        listed["left"],
        json!([
            "cache (ignored, and a cache by its own word)",
            "huge.log (ignored and large)",
            "node_modules (ignored, and made again by its tool)"
        ])
    );
}

/// Commits on no branch, a staged version that is nowhere else, files beside the worktree.
#[test]
fn what_is_neither_file_nor_branch_comes_back_too() {
    let house = failed(1);
    let worktree = house.workspace(1).join("widgets");
    house.git_in(&worktree, &["checkout", "--quiet", "--detach"]);
    fs::write(worktree.join("lost.txt"), "on no branch").unwrap();
    house.git_in(&worktree, &["add", "."]);
    house.git_in(&worktree, &["commit", "--quiet", "-m", "On no branch"]);
    let detached = house.git_in(&worktree, &["rev-parse", "HEAD"]);
    fs::write(worktree.join("README.md"), "staged version\n").unwrap();
    house.git_in(&worktree, &["add", "README.md"]);
    fs::write(worktree.join("README.md"), "worked on\n").unwrap();
    fs::write(house.workspace(1).join("notes.txt"), "beside it").unwrap();
    fs::create_dir(house.workspace(1).join("elsewhere")).unwrap();
    fs::write(house.workspace(1).join("elsewhere/.git"), "gitdir: nowhere").unwrap();
    house.cq("cleanup").args(["claude-instance-1"]).run().quietly();
    house.git(&["reflog", "expire", "--expire=now", "--all"]);
    house.git(&["gc", "--quiet", "--prune=now"]);

    let back = restored(&house, 1);
    assert_eq!(house.git(&["log", "-1", "--format=%s", &detached]), "On no branch");
    assert_eq!(fs::read_to_string(back.join("README.md")).unwrap(), "worked on\n");
    assert_eq!(house.git_in(&back, &["show", ":README.md"]), "staged version");
    let beside = house.place("back-1.beside/beside");
    assert_eq!(fs::read_to_string(beside.join("notes.txt")).unwrap(), "beside it");
    assert_eq!(fs::read_to_string(beside.join("elsewhere/.git")).unwrap(), "gitdir: nowhere");
}
