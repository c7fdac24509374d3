//! Agents that do what they should not: to the repository around them, to what is outside, to their own workspace.

use std::fs;

use serde_json::json;

use crate::{House, Plan};

const LATER: &str = "2199-01-01T00:00:00Z";

/// An agent can write the shared git directory. Nothing that it plants there is run by cq, which holds the token.
#[test]
fn what_an_agent_plants_in_git_is_never_run() {
    let plant = r#"
        evil="touch '$0'; cat"
        common=$(git rev-parse --git-common-dir)
        for hook in pre-commit post-commit pre-push post-checkout reference-transaction post-index-change update; do
            printf '#!/bin/sh\n%s\n' "$evil" > "$common/hooks/$hook"; chmod +x "$common/hooks/$hook"
        done
        mkdir -p "$common/info"
        printf '* filter=evil diff=evil merge=evil\n' | tee .gitattributes > "$common/info/attributes"
        echo more >> left-over.txt
        while read -r key; do git config --file "$common/config" "$key" "$evil"; done <<KEYS
filter.evil.clean
filter.evil.smudge
filter.evil.process
diff.evil.textconv
diff.evil.command
diff.external
merge.evil.driver
core.fsmonitor
core.pager
core.editor
core.sshCommand
core.askPass
core.alternateRefsCommand
credential.helper
gpg.program
remote.origin.uploadpack
remote.origin.receivepack
sequence.editor
uploadpack.packObjectsHook
KEYS
        git config --file "$common/config" core.hooksPath "$common/hooks"
        git config --file "$common/config" commit.gpgSign true
        git config --file "$common/config" url.ext::sh.insteadOf http
        cp -r "$common/hooks" "$HOME/hooks"
        printf '[core]\n\thooksPath = %s\n\tfsmonitor = %s\n' "$HOME/hooks" "$evil" > "$HOME/.gitconfig"
    "#;
    let house = House::usual();
    let planted = house.text_of("planted");
    let script = json!({"issues": {"1": [
        {"write": {"path": "good.txt", "content": "good"}}, {"commit": "Good work"},
        {"run": ["sh", "-c", plant, planted]},
    ], "2": [{"write": {"path": "left-over.txt", "content": "an agent that leaves git alone"}}]}});
    fs::write(house.place("script.json"), script.to_string()).unwrap();
    house.work(1).good();
    assert!(house.place("home/.gitconfig").exists(), "the agent did its worst");
    assert!(!house.place("planted").exists(), "not when its leftovers were committed");
    assert_eq!(house.record(1)["outcome"], "tampered");
    house.work(2).good();
    assert!(!house.place("planted").exists(), "not when the next worktree was made");
    house.cq("cleanup").args(["--all", "--force"]).run().good();
    assert!(!house.place("planted").exists(), "not when it was put away");
    assert!(!house.workspace(1).exists() && !house.workspace(2).exists());
    // What it did to the repository was put back. Its home is not cq's: plain git steps into the trap there.
    house.program("git").args(["status"]).run();
    assert!(house.place("planted").exists(), "nothing was planted, so nothing was shown");
}

/// A link is a link: whatever stands behind it is not the workspace's.
#[test]
fn cleanup_follows_no_link_out_of_the_workspace() {
    let house = House::usual();
    let precious = house.place("precious");
    fs::create_dir(&precious).unwrap();
    fs::write(precious.join("file"), "precious").unwrap();
    let script = json!({"default": [
        {"run": ["ln", "-s", precious, "way-out"]}, {"run": ["ln", "-s", precious, "../way-out"]},
        {"run": ["sh", "-c", "rm -rf src && ln -s \"$0\" src", precious]}, {"exit": 1},
    ]});
    fs::write(house.place("script.json"), script.to_string()).unwrap();
    house.work(1).good();
    house.cq("cleanup").args(["--force", "claude-instance-1"]).run().quietly();
    assert!(!house.workspace(1).exists());
    assert_eq!(fs::read_to_string(precious.join("file")).unwrap(), "precious");
    assert_eq!(house.git(&["cat-file", "-p", "refs/cq/rescue/1/1:way-out"]), precious.display().to_string());
}

/// The next attempt finds the commits of the last one, even where the agent removed its own worktree.
#[test]
fn a_worktree_that_the_agent_removed_is_made_again() {
    let script = json!({"default": {
        "1": [{"write": {"path": "first.txt", "content": "1"}}, {"commit": "First half"},
              {"run": ["sh", "-c", "rm -rf \"$PWD\""]}, {"exit": 1}],
        "2": [{"write": {"path": "second.txt", "content": "2"}}, {"commit": "Second half"}],
    }});
    let house = House::new(&Plan { script, ..Plan::default() });
    house.work(1).good();
    house.shell("cq-spawn --wait 1 | cq-gate | cq-pr").at(LATER).run().quietly();
    let branch = house.record(1)["claim"]["branch"].as_str().unwrap().to_owned();
    assert_eq!(house.git(&["log", "--format=%s", &format!("main..{branch}")]), "Second half\nFirst half");
    assert_eq!(house.lab.pulls().len(), 1);
}

/// An agent that leaves cq's branch, and deletes it, has still left its files.
#[test]
fn work_beside_a_deleted_branch_is_rescued() {
    let house = House::with_steps(&json!([
        {"write": {"path": "work.txt", "content": "hours of work"}},
        {"run": ["sh", "-c", "git checkout -q --detach && git branch -D \"$CQ_BRANCH\""]}, {"exit": 1},
    ]));
    house.work(1);
    let removed = house.cq("cleanup").args(["--force", "claude-instance-1"]).run().good().record();
    assert_eq!(removed["rescued"], "refs/cq/rescue/1/1");
    assert_eq!(house.git(&["show", "refs/cq/rescue/1/1:work.txt"]), "hours of work");
}

/// What was checked is what is pushed: a commit that came later was not.
#[test]
fn a_commit_after_the_checks_is_not_pushed() {
    let house = House::usual();
    house.work(1).good();
    house.cq("gate").args(["1"]).run().quietly();
    let worktree = house.workspace(1).join("widgets");
    fs::write(worktree.join("late.txt"), "late").unwrap();
    house.git_in(&worktree, &["add", "late.txt"]);
    house.git_in(&worktree, &["commit", "--quiet", "-m", "Late"]);
    house.cq("pr").args(["1"]).run().ends(77, "issue #1: ");
    assert!(house.lab.branches().is_empty());
    house.shell("cq-gate 1 | cq-pr").run().quietly();
    assert_eq!(house.lab.pulls().len(), 1);
}

/// Somebody pushed to the branch meanwhile: their work is theirs.
#[test]
fn a_branch_that_somebody_else_pushed_is_not_overwritten() {
    let house = House::usual();
    house.work(1).good();
    house.cq("gate").args(["1"]).run().quietly();
    let branch = house.record(1)["claim"]["branch"].as_str().unwrap().to_owned();
    let token = crate::support::lab::TOKEN;
    let remote = format!("http://x:{token}@{}/acme/widgets.git", house.lab.authority());
    let other = house.place("other");
    house.git(&["clone", "--quiet", &remote, other.to_str().unwrap()]);
    house.git_in(&other, &["commit", "--quiet", "--allow-empty", "-m", "Theirs"]);
    house.git_in(&other, &["push", "--quiet", "origin", &format!("HEAD:refs/heads/{branch}")]);
    house.cq("pr").args(["1"]).run().ends(1, "issue #1: somebody else has pushed to 'claude/issue-1-");
    assert_eq!((house.status(1).as_str(), &house.record(1)["outcome"]), ("failed", &json!("withheld")));
    house.cq("monitor").run().quietly();
    house.git_in(&other, &["fetch", "--quiet"]);
    assert_eq!(house.git_in(&other, &["log", "-1", "--format=%s", &format!("origin/{branch}")]), "Theirs");
    assert!(house.lab.pulls().is_empty());
    // Somebody puts it right, and it goes on.
    house.git_in(&other, &["push", "--quiet", "origin", &format!(":refs/heads/{branch}")]);
    house.cq("pr").args(["1"]).run().quietly();
    assert_eq!(house.lab.pulls().len(), 1);
}
