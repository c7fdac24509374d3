//! `workspace.isolation: clone`: the agent has a repository of its own; all that follows works as ever.

use std::fs;

use serde_json::{Value, json};

use crate::{House, Plan};

const LATER: &str = "2199-01-01T00:00:00Z";

fn sh(script: &str) -> Value {
    json!({"run": ["sh", "-c", script]})
}

/// A house whose agents have clones of their own; in a sandbox, if `sandbox` says so.
fn house(issues: &Value, sandbox: &str) -> House {
    let house = House::new(&Plan { script: json!({ "issues": issues }), ..Plan::default() });
    house.configure(|config| {
        config["workspace"]["isolation"] = json!("clone");
        config["sandbox"] = json!(sandbox);
    });
    house
}

fn sandboxes() -> Vec<&'static str> {
    let works = std::process::Command::new("bwrap").args(["--ro-bind", "/", "/", "true"]).output();
    if works.is_ok_and(|output| output.status.success()) {
        return vec!["none", "required"];
    }
    crate::support::skip::skip("clones in a sandbox", "bubblewrap does not work here");
    vec!["none"]
}

/// Everything in the owner's `.git` but objects and refs of cq's own, with contents.
fn owners_git(house: &House) -> Vec<(String, Vec<u8>)> {
    let root = house.clone().join(".git");
    let mut found: Vec<_> = ["config", "HEAD", "packed-refs", "info/exclude", "info/attributes"]
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), fs::read(root.join(name)).ok()?)))
        .collect();
    let mut hooks: Vec<_> =
        fs::read_dir(root.join("hooks")).unwrap().map(|entry| entry.unwrap().path()).collect();
    hooks.sort();
    found.extend(hooks.into_iter().map(|path| (path.display().to_string(), fs::read(&path).unwrap())));
    found
}

fn fsck(house: &House) {
    let found = house.program("git").args(["fsck", "--full", "--strict"]).run().good().stdout;
    assert_eq!(found.lines().find(|line| !line.starts_with("dangling ")), None);
}

/// What an agent plants in its clone stays there, and nobody runs it; its work gets out, packed or not.
#[test]
fn the_whole_line_from_clones_to_pull_requests() {
    for sandbox in sandboxes() {
        let plant = r#"git config core.fsmonitor 'touch "$PWD/sprung"; false'; git config core.hooksPath hooks
            mkdir -p hooks .git/hooks
            for hook in pre-commit post-commit reference-transaction pre-push; do
                printf '#!/bin/sh\ntouch ../sprung sprung\n' > .git/hooks/$hook; chmod +x .git/hooks/$hook; done
            echo '* filter=evil' > .git/info/attributes; git config filter.evil.clean 'touch sprung; cat'"#;
        let issues = json!({
            "1": {"1": [{"write": {"path": "one.txt", "content": "1"}}, {"commit": "One"},
                        sh("git gc --quiet --prune=now && git pack-refs --all"), {"exit": 1}],
                  "2": [sh("git log --format=%s > seen.txt; git status --porcelain >> seen.txt"),
                        {"commit": "Again"}, {"write": {"path": "left.txt", "content": "left over"}}, sh(plant)]},
            "2": [{"write": {"path": "two.txt", "content": "2"}}],
        });
        let house = house(&issues, sandbox);
        let (before, view) = (owners_git(&house), house.owners_view());
        house.shell("cq-fetch 1 2 | cq-claim | cq-spawn --wait | cq-gate | cq-pr").run();
        assert_eq!((house.status(1).as_str(), house.status(2).as_str()), ("queued", "pr-ready"));
        house.cq("doctor").args(["claude-instance-2"]).run();
        house.shell("cq-spawn --wait 1 | cq-gate | cq-pr").at(LATER).run().good();
        let record = house.record(1);
        assert_eq!(record["status"], "pr-ready", "{record}");
        let branch = record["claim"]["branch"].as_str().unwrap().to_owned();
        let subjects = house.git(&["log", "--format=%s", &format!("main..{branch}")]);
        assert_eq!(subjects, "Work on #1\nAgain\nOne", "{sandbox}");
        let seen = house.git(&["show", &format!("{branch}:seen.txt")]);
        assert!(
            seen.starts_with("One\n") && seen.ends_with("?? seen.txt"),
            "its index is the branch's: {seen}"
        );
        let clone = house.workspace(1).join("widgets");
        assert!(clone.join(".git/config").is_file() && !clone.join("sprung").exists());
        assert!(fs::read_to_string(clone.join(".git/config")).unwrap().contains("fsmonitor"));
        assert!(house.git(&["worktree", "list"]).lines().count() == 1, "the repository knows of no worktree");
        assert_eq!((owners_git(&house), house.owners_view()), (before, view), "{sandbox}");
        let doctor = house.cq("doctor").args(["claude-instance-1"]).run();
        let about = doctor.records().into_iter().find(|finding| finding["check"] == "workspace").unwrap();
        assert_eq!(about["verdict"], "ok", "{about}");
        house.cq("cleanup").args(["--all", "--force"]).run().good();
        assert!(!house.workspace(1).exists());
        fsck(&house);
    }
}

/// Its git deletes, prunes and moves what it likes: all of that is its own.
#[test]
fn an_agent_that_breaks_its_clone_breaks_nothing_else() {
    let wreck = "git update-ref -d refs/remotes/origin/main; git tag v9; git branch -f main HEAD; \
        git config remote.origin.url /nowhere; git reflog expire --expire=now --all; git gc --quiet --prune=now; \
        rm -rf .git/refs .git/packed-refs .git/objects/pack";
    let house = house(
        &json!({"1": {"1": [{"write": {"path": "good.txt", "content": "good"}}, {"commit": "Good"}, {"exit": 1}],
                      "2": [sh(wreck), {"exit": 1}],
                      "3": [{"write": {"path": "new.txt", "content": "new"}}]}}),
        "none",
    );
    let refs = || house.git(&["for-each-ref", "refs/heads/main", "refs/remotes", "refs/tags"]);
    let before = (owners_git(&house), refs());
    house.work(1);
    let branch = house.record(1)["claim"]["branch"].as_str().unwrap().to_owned();
    house.cq("spawn").args(["--wait", "1"]).at(LATER).run();
    assert_eq!(
        house.git(&["log", "--format=%s", &format!("main..{branch}")]),
        "Good",
        "kept in the repository"
    );
    assert_eq!((owners_git(&house), refs()), before);
    fsck(&house);
    // Its own git is of no use any more; the files are.
    house.cq("cleanup").args(["--force", "claude-instance-1"]).run().good();
    fsck(&house);
}

/// A clone bent to another repository's objects shows nothing of that one.
#[test]
fn a_bent_clone_is_not_read() {
    let house = house(&json!({}), "none");
    let secret = house.place("secret");
    fs::create_dir(&secret).unwrap();
    house.git_in(&secret, &["init", "--quiet"]);
    fs::write(secret.join("secret.txt"), "a secret").unwrap();
    house.git_in(&secret, &["add", "."]);
    house.git_in(&secret, &["commit", "--quiet", "-m", "Secret"]);
    let sha = house.git_in(&secret, &["rev-parse", "HEAD"]);
    let bend = format!(
        "echo {sha} > \".git/$(git symbolic-ref HEAD)\"; rm -rf .git/objects; ln -s '{}' .git/objects",
        secret.join(".git/objects").display()
    );
    let script = json!({"default": [{"write": {"path": "x", "content": "x"}}, sh(&bend)]});
    fs::write(house.place("script.json"), script.to_string()).unwrap();
    house.work(1);
    assert_eq!(house.record(1)["run"]["commits"], Value::Null, "{}", house.record(1));
    assert_ne!(house.status(1), "testing");
    let known = house.program("git").args(["cat-file", "-e", &sha]).run();
    assert_ne!(known.status, 0, "nothing of it came over");
    house.cq("cleanup").args(["--force", "claude-instance-1"]).run().good();
    fsck(&house);
}

/// Uncommitted work in a clone is rescued, by name or with everything.
#[test]
fn what_is_only_in_a_clone_is_rescued() {
    let house = house(
        &json!({"1": [{"write": {"path": "a.txt", "content": "a"}}, {"commit": "A"},
                      {"write": {"path": "half.txt", "content": "half"}}, {"exit": 1}]}),
        "none",
    );
    house.work(1);
    let removed = house.cq("cleanup").args(["--force", "claude-instance-1"]).run().good().record();
    assert_eq!(removed["rescued"], "refs/cq/rescue/1/1", "{removed}");
    let names = house.git(&["ls-tree", "--name-only", "refs/cq/rescue/1/1"]);
    assert!(names.contains("a.txt") && names.contains("half.txt"), "{names}");
    fsck(&house);
}
