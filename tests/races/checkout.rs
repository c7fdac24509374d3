//! Many spawns at once, and the checkout of the repository's owner, which none of them may touch.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::repository::{self, Works, git};
use crate::skipped;

/// Every file below a folder with its content; what belongs to worktrees and their branches is left out.
fn everything(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let not_the_owners =
        [".git/objects", ".git/worktrees", ".git/refs/heads/claude", ".git/logs/refs/heads/claude"];
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(&inner).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_owned();
            if not_the_owners.iter().any(|other| name == Path::new(other)) {
                continue;
            }
            if path.is_dir() {
                found.insert(name, Vec::new());
                folders.push(path);
            } else {
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn twelve_spawns_at_once_leave_the_owners_checkout_alone() {
    const SPAWNS: u64 = 12;
    if let Some(reason) = repository::lacks() {
        return skipped("twelve_spawns_at_once_leave_the_owners_checkout_alone", reason);
    }
    let works = Works::new(0);
    let owner = works.owner();
    git(&owner, &["checkout", "-qb", "mine"]);
    fs::write(owner.join("src/part-0/file-0.txt"), "changed\n").unwrap();
    fs::write(owner.join("staged.txt"), "staged\n").unwrap();
    git(&owner, &["add", "staged.txt"]);
    fs::write(owner.join("staged.txt"), "staged and changed\n").unwrap();
    fs::remove_file(owner.join("src/part-1/file-1.txt")).unwrap();
    fs::write(owner.join("untracked.txt"), "untracked\n").unwrap();
    fs::write(owner.join(".git/hooks/post-checkout"), "#!/bin/sh\ntouch /nonexistent/hook\nexit 1\n")
        .unwrap();
    let refs = || -> Vec<String> {
        let all = git(&owner, &["for-each-ref"]);
        all.lines().filter(|line| !line.contains("\trefs/heads/claude/")).map(str::to_owned).collect()
    };
    let (files, status) = (everything(&owner), git(&owner, &["status", "--porcelain=v2", "--branch"]));
    let refs_before = refs();

    let records = works.place.claim(1..=SPAWNS);
    let children: Vec<_> = records
        .iter()
        .map(|record| {
            let input = works.place.path(&format!("record-{}", record["number"]));
            fs::write(&input, format!("{record}\n")).unwrap();
            let mut command = works.place.command("cq-spawn");
            command.arg("--wait").stdin(fs::File::open(input).unwrap()).spawn().unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    for (number, record) in works.place.records() {
        assert_eq!(record["status"], "testing", "#{number}: {}", record["history"]);
        assert_eq!(record["claim"]["attempt"], 1);
    }
    assert_eq!(git(&owner, &["worktree", "list"]).lines().count(), 1 + 12);
    works.assert_worktrees_are_valid();
    works.assert_never_together();
    let after = everything(&owner);
    let changed: Vec<_> = after.iter().filter(|(name, content)| files.get(*name) != Some(content)).collect();
    assert!(changed.is_empty(), "changed: {changed:?}");
    assert_eq!(after.len(), files.len());
    assert_eq!(git(&owner, &["status", "--porcelain=v2", "--branch"]), status);
    assert_eq!(refs(), refs_before);
}
