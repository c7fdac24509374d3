//! What people look at.

use serde_json::json;

use crate::{House, Plan};

#[test]
fn explain_says_why_an_issue_is_not_running() {
    let issues = json!([
        {"number": 1, "title": "Fails", "labels": ["claude-ready"]},
        {"number": 2, "title": "Waits", "labels": ["claude-ready"]},
        {"number": 3, "title": "Free", "labels": ["claude-ready"]},
        {"number": 4, "title": "Blocked", "labels": ["claude-ready", "blocked"]},
        {"number": 5, "title": "Unlabelled"},
        {"number": 6, "title": "Errs", "labels": ["claude-ready"]},
    ]);
    let script = json!({"issues": {"1": [{"say": "NEEDS-INFO: which one?"}], "6": [{"exit": 1}]}});
    let house = House::new(&Plan { issues, script, ..Plan::default() });
    house.work(1).good();
    house.claim(2);
    house.work(6).good();
    let explain = |issue: &str| house.cq("status").args(["--explain", issue]).run().quietly().stdout;
    for (issue, expected) in [
        (
            "1",
            &["it is failed, as claude-instance-1", "which one?", "cq-claim --retry 1 queues it again"][..],
        ),
        ("2", &["it is queued, as claude-instance-2", "it is due: cq-spawn 2 starts it"]),
        ("3", &["nobody has claimed it", "it is eligible: cq-fetch | cq-claim takes it"]),
        ("4", &["nobody has claimed it", "the label blocked is set"]),
        ("5", &["nobody has claimed it", "none of the labels claude-ready is set"]),
        ("6", &["it is queued", "exit status 1 without a result; attempt 2 of 3", "it may start in "]),
    ] {
        let told = explain(issue);
        for part in expected {
            assert!(told.contains(part), "'{part}' is not in: {told}");
        }
        assert!(told.lines().all(|line| line.starts_with(&format!("issue #{issue}: "))), "{told}");
    }
    house.configure(|config| config["queue"]["maxConcurrentIssues"] = json!(2));
    assert!(explain("3").contains("all 2 places are taken"));
    house.cq("status").args(["--explain", "99"]).run().ends(77, "not there");
}

#[test]
fn status_shows_what_is_in_flight() {
    let house = House::usual();
    assert_eq!(house.cq("status").run().quietly().stdout, "");
    house.work(1).good();
    house.claim(2);
    let ran = house.cq("status").run().quietly();
    assert_eq!(ran.numbers(), [2, 1], "in the order of the lifecycle");
    let told = house.cq("status").args(["--explain", "1"]).run().quietly().stdout;
    assert!(told.contains("nobody works on it: cq-gate 1 | cq-pr goes on from here"), "{told}");
    let table = house.cq("status").args(["--format", "table"]).run().good();
    let first = table.stdout.lines().next().unwrap();
    assert_eq!(first.split_whitespace().collect::<Vec<_>>()[..3], ["INSTANCE", "ISSUE", "STATUS"]);
    assert!(table.stdout.contains("claude-instance-1  #1     testing  1"), "{}", table.stdout);
    assert!(table.stderr.contains("2 of 5 places taken, 2 in flight"), "{}", table.stderr);
    assert_eq!(house.cq("status").args(["#2"]).run().quietly().numbers(), [2]);
    assert_eq!(house.cq("status").args(["claude-instance-1"]).run().quietly().numbers(), [1]);
    house.cq("status").args(["9"]).run().ends(1, "nothing in flight is called 9");
    house.cq("status").args(["../x"]).run().ends(2, "'../x' is neither an issue nor an instance");
}

#[test]
fn logs_are_merged_by_time() {
    let script = json!({"issues": {
        "1": [{"say": "one early"}, {"sleep_ms": 600}, {"say": "one late"}],
        "2": [{"sleep_ms": 300}, {"say": "two between"}],
    }});
    let house = House::new(&Plan { script, ..Plan::default() });
    house.shell("cq-claim 1 2 | cq-spawn --wait").run().quietly();
    let shown = house.cq("logs").run().quietly().stdout;
    let at = |text: &str| shown.find(text).unwrap_or_else(|| panic!("'{text}' is not in: {shown}"));
    assert!(at("claude-instance-1 one early") < at("claude-instance-2 two between"), "{shown}");
    assert!(at("claude-instance-2 two between") < at("claude-instance-1 one late"), "{shown}");
    let times: Vec<&str> = shown.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert!(times.is_sorted(), "{shown}");

    let one = house.cq("logs").args(["claude-instance-2"]).run().quietly().stdout;
    assert!(one.contains("two between") && !one.contains("one early"), "{one}");
    assert_eq!(house.cq("logs").args(["--since", "2199-01-01T00:00:00Z"]).run().quietly().stdout, "");
    let raw = house.cq("logs").args(["--raw"]).run().quietly();
    assert!(raw.records().iter().any(|event| event["type"] == "result"));
    house.cq("logs").args(["../../etc"]).run().ends(2, "is not an instance's name");
}

#[test]
fn a_dry_run_changes_nothing() {
    let house = House::usual();
    let seen = || {
        let listing = house
            .shell(
                "find .cq workspaces logs -path .cq/cache -prune -o -type f -print | sort | xargs sha256sum",
            )
            .run()
            .good()
            .stdout;
        (listing, house.git(&["for-each-ref"]), house.lab.repository()["refs"].clone(), house.lab.pulls())
    };
    let before = seen();
    house.cq("claim").args(["--dry-run", "1", "2"]).run().ends(0, "would claim issue #2");
    house.cq("init").args(["--dry-run", "--labels"]).run().quietly();
    house.cq("stop").args(["--dry-run", "--drain"]).run().ends(0, "would be stopped");
    assert_eq!(seen(), before);
    house.claim(1);
    house.cq("spawn").args(["--dry-run", "1"]).run().ends(0, "would start an agent for issue #1");
    house.cq("claim").args(["--dry-run", "--release", "1"]).run().ends(0, "would change issue #1");
    assert_eq!(house.status(1), "queued");
    house.cq("spawn").args(["--wait", "1"]).run().quietly();
    house.cq("gate").args(["--dry-run", "1"]).run().ends(0, "would run 1 checks for issue #1");
    house.cq("gate").args(["1"]).run().quietly();
    house.cq("pr").args(["--dry-run", "1"]).run().ends(0, "would push 'claude/issue-1-");
    assert_eq!(
        (house.status(1).as_str(), house.lab.branches().len(), house.lab.pulls().len()),
        ("testing", 0, 0)
    );
}
