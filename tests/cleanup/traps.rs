//! What somebody may set in the way of a removal. Each is sprung at what is precious, which must not be touched.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::bytes::restored;
use crate::mess::{Things, assert_same, things};
use crate::support::skip::skip;
use crate::{House, assert_all_gone, failed, instance, names};

/// A stranger's checkout: a folder with files and a repository of its own.
fn stranger(house: &House) -> PathBuf {
    let folder = house.place("stranger");
    fs::create_dir_all(folder.join("claude-instance-1/widgets")).unwrap();
    fs::create_dir_all(folder.join("gate")).unwrap();
    for file in ["file", "claude-instance-1/widgets/work.txt", "gate/work.txt", ".env"] {
        fs::write(folder.join(file), "precious").unwrap();
    }
    house.git_in(&folder, &["init", "--quiet"]);
    house.git_in(&folder, &["add", "."]);
    house.git_in(&folder, &["commit", "--quiet", "-m", "Precious"]);
    folder
}

/// The stranger's folder with its repository, and the owner's own files.
fn precious(house: &House, stranger: &Path) -> (Things, Things, String) {
    let checkout = things(&house.clone());
    let owners = checkout.into_iter().filter(|(path, _)| {
        path.starts_with("src") || path.starts_with("README.md") || path.starts_with("tool.sh")
    });
    let mut theirs = things(stranger);
    theirs.extend(things(&stranger.join(".git")));
    (theirs, owners.collect(), house.git(&["rev-parse", "main", "HEAD"]))
}

/// Sets a trap for the workspace of one issue, cleans up, and looks at what is precious.
fn spring(trap: impl FnOnce(&House, &Path), status: i32, said: &str) -> House {
    let house = failed(1);
    let stranger = stranger(&house);
    let before = precious(&house, &stranger);
    fs::write(house.workspace(1).join("widgets/work.txt"), "an agent's work").unwrap();
    trap(&house, &stranger);
    house.cq("cleanup").args(["--force", "claude-instance-1"]).run().ends(status, said);
    let after = precious(&house, &stranger);
    assert_same(&before.0, &after.0);
    assert_same(&before.1, &after.1);
    assert_eq!(before.2, after.2);
    house
}

/// The work came into a rescue and comes back out of it.
fn rescued(house: &House) {
    assert!(house.workspace(1).symlink_metadata().is_err());
    assert_all_gone(house);
    assert_eq!(fs::read_to_string(restored(house, 1).join("work.txt")).unwrap(), "an agent's work");
}

#[test]
fn a_workspace_that_was_replaced_by_a_link_is_left() {
    let house = spring(
        |house, stranger| {
            fs::rename(house.workspace(1), house.place("moved")).unwrap();
            symlink(stranger, house.workspace(1)).unwrap();
        },
        77,
        "it is no folder, or leads elsewhere",
    );
    // Out of the way, it is put in order.
    fs::remove_file(house.workspace(1)).unwrap();
    fs::rename(house.place("moved"), house.workspace(1)).unwrap();
    house.cq("cleanup").args(["claude-instance-1"]).run().quietly();
    rescued(&house);
}

#[test]
fn a_workspace_that_was_replaced_by_another_folder_is_left() {
    let house = spring(
        |house, _| {
            fs::rename(house.workspace(1), house.place("moved")).unwrap();
            fs::create_dir_all(house.workspace(1).join("widgets")).unwrap();
            fs::write(house.workspace(1).join("widgets/mine"), "mine").unwrap();
        },
        77,
        "it is not the folder that cq made",
    );
    assert_eq!(fs::read_to_string(house.workspace(1).join("widgets/mine")).unwrap(), "mine");
    assert!(house.place("moved/widgets/work.txt").exists());
}

#[test]
fn a_pointer_to_another_repository_is_not_followed() {
    let house = spring(
        |house, stranger| {
            let pointer = house.workspace(1).join("widgets/.git");
            fs::write(pointer, format!("gitdir: {}\n", stranger.join(".git").display())).unwrap();
        },
        0,
        "",
    );
    rescued(&house);
    // The one that an agent is in, for one of another.
    let house = failed(2);
    let theirs = fs::read_to_string(house.workspace(2).join("widgets/.git")).unwrap();
    fs::write(house.workspace(1).join("widgets/.git"), theirs).unwrap();
    house.cq("cleanup").args(["claude-instance-1"]).run().quietly();
    let other = house.workspace(2).join("widgets");
    assert_eq!(house.git_in(&other, &["log", "-1", "--format=%s"]), "Half of it");
}

#[test]
fn settings_that_name_another_worktree_are_not_followed() {
    for everywhere in [true, false] {
        let house = spring(
            |house, stranger| {
                let stranger = stranger.to_str().unwrap();
                if everywhere {
                    house.git(&["config", "core.worktree", stranger]);
                } else {
                    house.git(&["config", "extensions.worktreeConfig", "true"]);
                    house.git_in(
                        &house.workspace(1).join("widgets"),
                        &["config", "--worktree", "core.worktree", stranger],
                    );
                }
            },
            0,
            "",
        );
        if everywhere {
            house
                .git_in(house.root(), &["config", "--file", "clone/.git/config", "--unset", "core.worktree"]);
        }
        rescued(&house);
    }
}

#[test]
fn a_parent_that_was_replaced_by_a_link_is_not_followed() {
    // The folder of the workspaces itself.
    let house = spring(
        |house, stranger| {
            fs::rename(house.clone().join("workspaces"), house.place("moved")).unwrap();
            symlink(stranger, house.clone().join("workspaces")).unwrap();
        },
        77,
        "it is not the folder that cq made",
    );
    assert!(house.place("moved/claude-instance-1/widgets/work.txt").exists());
    fs::remove_file(house.clone().join("workspaces")).unwrap();
    fs::rename(house.place("moved"), house.clone().join("workspaces")).unwrap();
    house.cq("cleanup").args(["claude-instance-1"]).run().quietly();
    rescued(&house);
    // The trash, and where workspaces go on their way there.
    for folder in [".trash", ".leaving"] {
        let house = spring(
            |house, stranger| {
                let folder = house.clone().join("workspaces").join(folder);
                let _ = fs::remove_dir(&folder);
                symlink(stranger, folder).unwrap();
            },
            77,
            "is no folder that cq made",
        );
        fs::remove_file(house.clone().join("workspaces").join(folder)).unwrap();
        house.cq("cleanup").args(["--all"]).run().good();
        rescued(&house);
    }
    // A folder in the worktree.
    let house = spring(
        |house, stranger| {
            let worktree = house.workspace(1).join("widgets");
            fs::remove_dir_all(worktree.join("src")).unwrap();
            symlink(stranger, worktree.join("src")).unwrap();
            symlink(stranger, house.workspace(1).join("gate")).unwrap();
        },
        0,
        "",
    );
    rescued(&house);
    assert_eq!(fs::read_link(house.place("back-1/src")).unwrap(), house.place("stranger"));
}

#[test]
fn planted_links_and_names_for_precious_files_are_only_names() {
    let house = spring(
        |house, stranger| {
            let workspace = house.workspace(1);
            for name in [".env", "prompt.md", "setup.done"] {
                let _ = fs::remove_file(workspace.join(name));
                symlink(stranger.join(".env"), workspace.join(name)).unwrap();
            }
            fs::hard_link(stranger.join("file"), workspace.join("widgets/hard")).unwrap();
            fs::hard_link(stranger.join("file"), workspace.join("hard")).unwrap();
        },
        0,
        "",
    );
    rescued(&house);
}

#[test]
fn an_administrative_folder_that_points_at_a_stranger_is_all_that_goes() {
    let admin = |house: &House| house.clone().join(".git/worktrees/widgets");
    let house = spring(
        |house, stranger| {
            let pointer = format!("{}\n", stranger.join(".git").display());
            fs::write(admin(house).join("gitdir"), pointer).unwrap();
        },
        0,
        "",
    );
    assert!(!admin(&house).exists());
    rescued(&house);
    // It is a link itself by now, or another folder.
    let house = spring(
        |house, stranger| {
            fs::rename(admin(house), house.place("moved")).unwrap();
            symlink(stranger, admin(house)).unwrap();
        },
        0,
        "",
    );
    assert!(admin(&house).is_symlink());
    fs::remove_file(admin(&house)).unwrap();
    rescued(&house);
}

#[test]
fn what_is_mounted_in_a_workspace_is_left() {
    const TEST: &str = "what_is_mounted_in_a_workspace_is_left";
    let house = failed(1);
    let stranger = stranger(&house);
    let before = things(&stranger);
    let point = house.workspace(1).join("widgets/mounted");
    fs::create_dir(&point).unwrap();
    // In a namespace of its own, so that a mount cannot outlive the test.
    let line = "mount --bind \"$1\" \"$2\" && shift 2 && exec \"$@\"";
    let enter = |command: &[&str]| {
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "--propagation", "private", "/bin/sh", "-c", line, "sh"]);
        unshare.args([&stranger, &point]).args(command);
        unshare
    };
    if !enter(&["true"]).output().is_ok_and(|output| output.status.success()) {
        skip(TEST, "no mount can be made here");
        return;
    }
    let cleanup = house.cq("cleanup");
    drop(cleanup);
    let program = crate::support::house::binaries().join("cq-cleanup");
    let run = |args: &[&str]| {
        let mut command = enter(&[&[program.to_str().unwrap()], args].concat());
        command.current_dir(house.clone()).env("HOME", house.text_of("home")).env("PATH", House::path());
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (status, said) = run(&["--force", "claude-instance-1"]);
    assert!(status == Some(77) && said.contains("something is mounted at '"), "{status:?} {said}");
    assert!(house.workspace(1).exists());
    // Mounted only when it is in the trash already.
    house.cq("cleanup").args(["--force", "claude-instance-1"]).run().good();
    let trash = house.clone().join("workspaces/.trash");
    fs::create_dir_all(trash.join("new/deep/mounted")).unwrap();
    let inode = std::os::unix::fs::MetadataExt::ino(&trash.join("new").metadata().unwrap());
    let name = trash.join(format!("{inode:x}.new"));
    fs::rename(trash.join("new"), &name).unwrap();
    let point = name.join("deep/mounted");
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private", "/bin/sh", "-c", line, "sh"])
        .args([&stranger, &point]);
    command
        .arg(&program)
        .current_dir(house.clone())
        .env("HOME", house.text_of("home"))
        .env("PATH", House::path());
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(73) && said.contains("something is mounted there"), "{said}");
    assert_same(&before, &things(&stranger));
    house.cq("cleanup").run().quietly();
    assert_all_gone(&house);
    assert_same(&before, &things(&stranger));
}

/// The trash holds what cq put there, and what somebody else did is not cq's to remove.
#[test]
fn what_others_put_into_the_trash_is_left() {
    let house = failed(1);
    let trash = house.clone().join("workspaces/.trash");
    fs::create_dir_all(trash.join("mine")).unwrap();
    fs::write(trash.join("mine/file"), "mine").unwrap();
    house
        .cq("cleanup")
        .args(["claude-instance-1"])
        .run()
        .ends(1, "was not put there by cq, and is left alone")
        .record();
    assert!(house.workspace(1).symlink_metadata().is_err());
    assert_eq!(fs::read_to_string(trash.join("mine/file")).unwrap(), "mine");
}

/// One workspace that cannot be moved, and one that cannot be removed, keep no other back: neither now nor later.
#[test]
fn what_cannot_be_removed_keeps_nothing_else_back() {
    const TEST: &str = "what_cannot_be_removed_keeps_nothing_else_back";
    let chattr = |flag: &str, path: &Path| {
        let done = Command::new("chattr").arg(flag).arg(path).output();
        done.is_ok_and(|output| output.status.success())
    };
    let house = failed(3);
    let fixed = house.workspace(instance(&house, 1));
    let stuck = house.workspace(instance(&house, 2)).join("widgets/stuck.txt");
    fs::write(&stuck, "stuck").unwrap();
    if !chattr("+i", &stuck) {
        skip(TEST, "no file can be made immutable here");
        return;
    }
    let inode =
        std::os::unix::fs::MetadataExt::ino(&stuck.parent().unwrap().parent().unwrap().metadata().unwrap());
    chattr("+i", &fixed);
    let first = house.cq("cleanup").args(["--all"]).run();
    let second = house.cq("cleanup").args(["--all"]).run();
    chattr("-i", &fixed);
    let trash = house.clone().join("workspaces/.trash");
    let name = names(&trash).into_iter().find(|name| name.starts_with(&format!("{inode:x}.")));
    let freed = name.is_some_and(|name| chattr("-i", &trash.join(name).join("widgets/stuck.txt")));
    assert!(freed, "{}", first.stderr);
    let first = first.ends(73, "cannot remove '").ends(73, "cannot move '");
    let issues = |records: Vec<Value>| -> Vec<u64> {
        records.iter().map(|removed| removed["issue"].as_u64().unwrap()).collect()
    };
    assert_eq!(issues(first.records()), [2, 3]);
    assert_eq!(issues(second.ends(73, "cannot move '").records()), Vec::<u64>::new());
    assert_eq!(issues(house.cq("cleanup").args(["--all"]).run().quietly().records()), [1]);
    assert_all_gone(&house);
}
