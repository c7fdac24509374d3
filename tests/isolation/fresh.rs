//! How a fresh workspace comes about: ignored files, setup programs, warm spares, and how much of the base is fetched.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::lab::TOKEN;
use crate::support::wait::until;
use crate::{House, Plan};

const LATER: &str = "2199-01-01T00:00:00Z";

fn sh(script: &str) -> Value {
    json!({"run": ["sh", "-c", script]})
}

/// The address of the remote, with what lets an owner push there.
fn signed(house: &House) -> String {
    format!("{}/acme/widgets.git", house.lab.address()).replace("http://", &format!("http://x:{TOKEN}@"))
}

fn with_files(files: &Value, steps: &Value) -> House {
    House::new(&Plan {
        script: json!({ "default": steps }),
        seed: json!({"widgets": {"files": files}}),
        ..Plan::default()
    })
}

#[test]
fn ignored_files_that_the_base_names_are_copied() {
    for isolation in ["worktree", "clone"] {
        let files = json!({"README.md": "# Widgets\n", ".gitignore": ".env*\nbuild/\n/secret\n*.log\n",
            ".worktreeinclude": "# what a worktree needs\n.env*\n!.env.private\nbuild/\nnotes.txt\n/secret\nlink.log\n*.json\n*\n!*.log\n!.env.private\n"});
        let house = with_files(&files, &json!([{"write": {"path": "x", "content": "x"}}]));
        house.configure(|config| config["workspace"]["isolation"] = json!(isolation));
        let clone = house.clone();
        fs::create_dir_all(clone.join("build/deep")).unwrap();
        for (name, text) in [
            (".env", "KEY=1"),
            (".env.private", "no"),
            ("build/deep/out.o", "object"),
            ("notes.txt", "not ignored"),
            ("other.log", "not named"),
        ] {
            fs::write(clone.join(name), text).unwrap();
        }
        fs::write(house.place("outside"), "outside").unwrap();
        symlink(house.place("outside"), clone.join("secret")).unwrap();
        let before = house.owners_view();
        house.work(1).good();
        let tree = house.workspace(1).join("widgets");
        let text = |name: &str| fs::read_to_string(tree.join(name)).ok();
        assert_eq!(
            (text(".env").as_deref(), text("build/deep/out.o").as_deref()),
            (Some("KEY=1"), Some("object"))
        );
        for name in [".env.private", "notes.txt", "other.log", "secret", ".cq", "workspaces", "logs"] {
            assert!(tree.join(name).symlink_metadata().is_err(), "{name}");
        }
        assert!(!tree.join("orchestrator-config.json").exists());
        let log = house.log(1);
        assert!(log.contains("'.worktreeinclude': 2 ignored files copied, 11 bytes"), "{log}");
        assert!(log.contains(", 1 left out"), "the link: {log}");
        let branch = house.record(1)["claim"]["branch"].as_str().unwrap().to_owned();
        let named = house.git(&["ls-tree", "-r", "--name-only", &branch]);
        assert!(!named.contains(".env") && !named.contains("build"), "ignored there too: {named}");
        assert_eq!(house.owners_view(), before);
    }
}

/// An agent's own list says nothing about the next attempt, or about another's worktree.
#[test]
fn without_a_list_in_the_base_nothing_is_copied() {
    let files = json!({"README.md": "# Widgets\n", ".gitignore": ".env\n"});
    let house = with_files(&files, &json!([{"write": {"path": ".worktreeinclude", "content": ".env\n"}}]));
    fs::write(house.clone().join(".env"), "KEY=1").unwrap();
    fs::write(house.clone().join(".worktreeinclude"), ".env\n").unwrap();
    house.work(1).good();
    assert!(!house.workspace(1).join("widgets/.env").exists());
    assert!(!house.log(1).contains("ignored files copied"));
}

#[test]
fn setup_programs_run_once_before_the_first_agent_without_keys() {
    let steps = json!({"1": [sh("cat made.txt > seen.txt"), {"commit": "Look"}, {"exit": 1}],
                       "2": [sh("cat made.txt >> seen.txt"), {"commit": "Look again"}]});
    let house = House::new(&Plan { script: json!({ "default": steps }), ..Plan::default() });
    house.configure(|config| {
        config["claude"]["apiKey"] = json!("k3y-of-the-agent");
        config["workspace"]["setup"] = json!([
            [
                "sh",
                "-c",
                "echo $0 $CQ_ISSUE $CQ_BRANCH $ISSUE_ID >> made.txt; env > ../env.txt; echo hello",
                "$HOME; not a shell's"
            ],
            ["sh", "-c", "(sleep 60 &) ; echo second >> made.txt"],
        ]);
    });
    house.work(1);
    house.shell("cq-spawn --wait 1").at(LATER).run().good();
    let record = house.record(1);
    let branch = record["claim"]["branch"].as_str().unwrap();
    let expected = format!("$HOME; not a shell's 1 {branch} 1\nsecond");
    let seen = house.git(&["show", &format!("{branch}:seen.txt")]);
    assert_eq!(seen, format!("{expected}\n{expected}"), "once, and both before the agent");
    let environment = fs::read_to_string(house.workspace(1).join("env.txt")).unwrap();
    assert!(
        !environment.contains("k3y-of-the-agent") && !environment.contains("GITHUB_TOKEN"),
        "{environment}"
    );
    let log = house.log(1);
    assert_eq!(log.matches("setup 'sh -c").count(), 2, "{log}");
    assert!(
        House::processes_with(&format!("CQ_CLAIM={}", record["claim"]["token"].as_str().unwrap())).is_empty()
    );
}

#[test]
fn a_setup_that_fails_ends_the_attempt_and_says_why() {
    let cases = [
        (
            json!(["sh", "-c", "echo installing; echo 'no such package: left-pad' >&2; exit 3"]),
            vec!["the workspace could not be set up", "exit status 3", "no such package: left-pad"],
        ),
        (json!(["sleep", "50"]), vec!["it took longer than workspace.setupTimeoutMinutes"]),
        (json!(["./prepare"]), vec!["'./prepare' is a file of the worktree's own"]),
        (json!(["no-such-program-anywhere"]), vec!["program 'no-such-program-anywhere' is not on PATH"]),
    ];
    for (command, expected) in cases {
        let files = json!({"README.md": "# Widgets\n", "prepare": "#!/bin/sh\ntouch ran\n"});
        let house = with_files(&files, &json!([{"write": {"path": "x", "content": "x"}}]));
        house.configure(|config| {
            config["workspace"]["setup"] = json!([command]);
            config["workspace"]["setupTimeoutMinutes"] = json!(0.02);
        });
        house.work(1);
        let record = house.record(1);
        let why = record["history"].as_array().unwrap().last().unwrap()["why"].as_str().unwrap();
        assert_eq!(
            (&record["status"], &record["outcome"]),
            (&json!("queued"), &json!("agent-error")),
            "{why}"
        );
        for part in expected {
            assert!(why.contains(part), "{part}: {why}");
        }
        assert!(!house.workspace(1).join("widgets/x").exists(), "no agent was started");
        assert!(!house.workspace(1).join("widgets/ran").exists());
        // Mended, the same workspace is set up and goes on.
        house.configure(|config| config["workspace"]["setup"] = json!([["true"]]));
        house.shell("cq-spawn --wait 1").at(LATER).run().good();
        assert_eq!(house.status(1), "testing");
    }
}

#[test]
fn a_setup_is_frozen_with_everybody_else_and_ends_with_its_runs_time() {
    let house = House::usual();
    let ticks = house.place("ticks");
    house.configure(|config| {
        let program = "until test -e \"$0.go\"; do echo t >>\"$0\"; sleep 0.02; done; rm \"$0.go\"";
        config["workspace"]["setup"] = json!([["sh", "-c", program, ticks]]);
    });
    let size = || fs::metadata(&ticks).map_or(0, |about| about.len());
    // cq-spawn does not wait for it.
    house.work_detached(1);
    until("the first line", || (size() > 0).then_some(()));
    house.cq("stop").args(["--freeze"]).run().good();
    let still = size();
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(size(), still, "nothing moves");
    house.cq("stop").args(["--thaw"]).run().good();
    until("more lines", || (size() > still).then_some(()));
    fs::write(house.place("ticks.go"), "").unwrap();
    until("the agent's end", || (house.status(1) == "testing").then_some(()));
    // cq-monitor does not take a supervisor for hanging whose setup takes longer than its run may.
    house.configure(|config| config["queue"]["timeoutMinutes"] = json!(0.05));
    house.work(2);
    assert_eq!(house.record(2)["outcome"], "timed-out", "{}", house.record(2)["history"]);
}

/// The spares that are ready.
fn spares(house: &House) -> Vec<String> {
    let entries = fs::read_dir(house.clone().join("workspaces/.spares")).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter(|entry| entry.path().join("base").exists())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_spawn_takes_a_warm_spare_and_brings_it_to_the_base() {
    let house = House::usual();
    house.configure(|config| config["workspace"]["warmSpares"] = json!(2));
    let before = house.owners_view();
    house.cq("monitor").run().good();
    assert_eq!(spares(&house).len(), 2);
    house.cq("monitor").run().good();
    assert_eq!(spares(&house).len(), 2, "no more than that");
    // The base goes on.
    fs::write(house.place("later.txt"), "later").unwrap();
    let elsewhere = house.place("elsewhere");
    house.git_in(house.root(), &["clone", "--quiet", &signed(&house), "elsewhere"]);
    fs::write(elsewhere.join("README.md"), "# Newer\n").unwrap();
    fs::remove_file(elsewhere.join("src/widget.txt")).unwrap();
    house.git_in(&elsewhere, &["commit", "--quiet", "-am", "Newer"]);
    house.git_in(&elsewhere, &["push", "--quiet", "origin", "HEAD:main"]);
    let _ = fs::remove_file(house.state_dir().join("repo.git/fetched"));

    house.work(1).good();
    assert!(house.log(1).contains("its worktree was a warm spare"), "{}", house.log(1));
    let tree = house.workspace(1).join("widgets");
    assert_eq!(fs::read_to_string(tree.join("README.md")).unwrap(), "# Newer\n");
    assert!(!tree.join("src/widget.txt").exists());
    assert_eq!(house.git_in(&tree, &["status", "--porcelain"]), "");
    let branch = house.record(1)["claim"]["branch"].as_str().unwrap().to_owned();
    assert_eq!(house.git_in(&tree, &["symbolic-ref", "--short", "HEAD"]), branch);
    let listed = house.git(&["worktree", "list", "--porcelain"]);
    assert!(listed.contains("claude-instance-1/widgets") && !listed.contains("prunable"), "{listed}");
    assert_eq!(spares(&house).len(), 1);
    house.cq("monitor").run();
    assert_eq!(spares(&house).len(), 2, "made again, the old one renewed");
    let sha = house.git_in(&elsewhere, &["rev-parse", "HEAD"]);
    for name in spares(&house) {
        let spare = house.clone().join("workspaces/.spares").join(name);
        assert_eq!(fs::read_to_string(spare.join("base")).unwrap(), sha);
        assert_eq!(house.git_in(&spare.join("widgets"), &["status", "--porcelain"]), "");
    }
    house.shell("cq-gate 1 | cq-pr").run().good();
    assert_eq!((house.status(1).as_str(), house.owners_view()), ("pr-ready", before));

    // What a killed tick left is put away; a smaller number removes the rest.
    fs::create_dir_all(house.clone().join("workspaces/.spares/.new-dead/widgets")).unwrap();
    house.configure(|config| config["workspace"]["warmSpares"] = json!(1));
    house.cq("monitor").run();
    assert_eq!(spares(&house).len(), 1);
    assert!(!house.clone().join("workspaces/.spares/.new-dead").exists());
    house.cq("cleanup").args(["--all", "--force"]).run().good();
    assert_eq!(spares(&house).len(), 0);
    assert_eq!(house.git(&["worktree", "list"]).lines().count(), 1);
}

/// Many at once: each spare is taken by one.
#[test]
fn spawns_at_once_take_different_spares() {
    let house = House::usual();
    house.configure(|config| config["workspace"]["warmSpares"] = json!(2));
    house.cq("monitor").run().good();
    house.shell("cq-fetch | cq-claim | cq-spawn --wait | cq-gate | cq-pr").run().good();
    let warm = (1..=3).filter(|number| house.log(*number).contains("warm spare")).count();
    assert_eq!((warm, house.lab.pulls().len()), (2, 3));
}

/// How long from a claimed record to the agent's start on a repository of 5,000 files; printed, and asserted only with a
/// wide margin: machines are noisy.
#[test]
fn a_spare_saves_the_writing_of_files() {
    let mut files = json!({"README.md": "# Widgets\n"});
    for number in 0..5000 {
        files[format!("src/{}/{number}.txt", number % 100)] = json!(format!("{number}\n").repeat(100));
    }
    let house =
        with_files(&files, &json!([sh("date +%s%N > ../began"), {"write": {"path": "x", "content": "x"}}]));
    let began = |number: u32| {
        until("the agent", || fs::read_to_string(house.workspace(number).join("began")).ok());
    };
    let spawn = |issue: u64, number: u32| {
        house.claim(issue);
        let started = Instant::now();
        let child = house.cq("spawn").args([issue.to_string()]).start();
        began(number);
        let took = started.elapsed();
        let _ = child.wait_with_output();
        until("its end", || (house.status(issue) == "pr-ready").then_some(()));
        took
    };
    // The first fetches.
    let _ = spawn(1, 1);
    let cold = spawn(2, 2);
    house.configure(|config| config["workspace"]["warmSpares"] = json!(1));
    house.cq("monitor").run();
    assert_eq!(spares(&house).len(), 1);
    let warm = spawn(3, 3);
    assert!(house.log(3).contains("warm spare"));
    let plain = Instant::now();
    house.git(&["worktree", "add", "--quiet", "--detach", &house.text_of("plain")]);
    let plain = plain.elapsed();
    let remove = Instant::now();
    house.git(&["worktree", "remove", "--force", &house.text_of("plain")]);
    let remove = remove.elapsed();
    println!(
        "figures: 5,001 files: agent after {cold:?} without a spare, {warm:?} with one; git worktree add {plain:?}, remove {remove:?}"
    );
    assert!(warm < cold * 2, "{warm:?} {cold:?}");
}

/// An owner who has all history keeps it whatever is asked for; one who has little gets no more.
#[test]
fn the_base_is_fetched_as_deep_as_is_asked_for_and_fits() {
    for (made, wanted) in
        [("full", "blobless"), ("full", "shallow"), ("shallow", "shallow"), ("blobless", "blobless")]
    {
        let house = House::usual();
        // A server of its own: the rehearsal's gives no partial clones.
        house.git_in(house.root(), &["clone", "--quiet", "--bare", &signed(&house), "server"]);
        for key in ["uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"] {
            house.git_in(&house.place("server"), &["config", key, "true"]);
        }
        let address = format!("file://{}", house.text_of("server"));
        let elsewhere = house.place("elsewhere");
        house.git_in(house.root(), &["clone", "--quiet", &address, "elsewhere"]);
        let go_on = |text: &str| {
            fs::write(elsewhere.join("README.md"), text).unwrap();
            house.git_in(&elsewhere, &["commit", "--quiet", "-am", text]);
            house.git_in(&elsewhere, &["push", "--quiet", "origin", "HEAD:main"]);
        };
        go_on("one");
        go_on("two");
        let option = match made {
            "shallow" => "--depth=1",
            "blobless" => "--filter=blob:none",
            _ => "--no-tags",
        };
        house.git_in(house.root(), &["clone", "--quiet", option, &address, "owner"]);
        house.configure(|config| {
            config["git"]["repository"] = json!(house.place("owner"));
            config["git"]["remote"] = json!(address);
            config["workspace"]["clone"] = json!(wanted);
        });
        go_on("three");
        go_on("four");
        house.shell("cq-fetch 1 | cq-claim | cq-spawn --wait | cq-gate").run().good();
        assert_eq!(house.status(1), "testing", "{made} {wanted}");
        let owner = house.place("owner");
        let count = |args: &[&str]| house.git_in(&owner, args).lines().count();
        let base = house.record(1)["claim"]["base_sha"].as_str().unwrap().to_owned();
        let commits = count(&["log", "--format=%H", &base]);
        match made {
            "shallow" => assert_eq!(commits, 1, "only the newest"),
            _ => assert_eq!(commits, 5, "all history"),
        }
        let missing = house.git_in(&owner, &["rev-list", "--objects", "--missing=print", &base]);
        let missing = missing.lines().filter(|line| line.starts_with('?')).count();
        assert_eq!(missing > 0, made == "blobless", "{made} {wanted}: {missing} files missing");
        assert_eq!(house.git_in(&house.workspace(1).join("widgets"), &["status", "--porcelain"]), "");
        house.git_in(&owner, &["fsck", "--connectivity-only"]);
    }
}
