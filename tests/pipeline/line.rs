//! The whole job in one line, and each of its commands alone.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::support::lab::TOKEN;
use crate::support::wait::until;
use crate::{House, Plan};

fn branch(issue: u64, at: &str) -> String {
    format!("claude/issue-{issue}-{at}")
}

#[test]
fn one_line_from_a_file_to_pull_requests() {
    let house = House::usual();
    let before = house.owners_view();
    let line = "env -i PATH=\"$PATH\" HOME=\"$HOME\" GITHUB_API_URL=\"$GITHUB_API_URL\" \
         GITHUB_SERVER_URL=\"$GITHUB_SERVER_URL\" GITHUB_TOKEN=\"$GITHUB_TOKEN\" CQ_NOW=2026-01-31T09:30:00Z \
         sh -c 'cq-fetch --from ../issues.json | jq -c \"select(.priority<=2)\" | cq-claim --max 2 | cq-spawn --wait | \
         cq-gate | cq-pr' < /dev/null";
    let ran = house.shell(line).run().quietly();

    let mut numbers = ran.numbers();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2], "the third issue is not urgent");
    let pulls = house.lab.pulls();
    assert_eq!(pulls.len(), 2);
    for (issue, title) in [(1, "First (#1)"), (2, "Second (#2)")] {
        let branch = branch(issue, "20260131093000");
        let pull = pulls.iter().find(|pull| pull["head"]["ref"] == branch.as_str()).unwrap();
        assert_eq!((pull["title"].as_str(), pull["base"]["ref"].as_str()), (Some(title), Some("main")));
        let body = pull["body"].as_str().unwrap();
        assert!(body.starts_with(&format!("Closes #{issue}\n")), "{body}");
        assert!(body.contains("| readme | `test -s README.md` | passed |"), "{body}");
        let tree = house.git(&["rev-parse", &format!("{branch}^{{tree}}")]);
        assert!(body.contains(&format!("Tree `{tree}`")), "{body}");

        let record = house.record(issue);
        assert_eq!(
            (record["status"].as_str(), record["outcome"].as_str()),
            (Some("pr-ready"), Some("success"))
        );
        assert_eq!(record["pull_request"]["number"], pull["number"]);
        assert_eq!(record["pull_request"]["head_sha"], pull["head"]["sha"]);
        let history: Vec<_> = record["history"].as_array().unwrap().iter().map(|step| &step["to"]).collect();
        assert_eq!(history, ["queued", "in-progress", "testing", "pr-ready"]);
    }
    assert!(house.status(3).is_empty(), "nobody asked for the third");
    assert_eq!(house.owners_view(), before);
}

/// cron gives a command nothing but a short environment; operands stand for a pipe.
#[test]
fn each_command_alone_by_operands() {
    let house = House::usual();
    let alone = |name: &str, args: &[&str]| house.cq(name).args(args).run().quietly();
    assert_eq!(alone("fetch", &["1", "#2"]).numbers(), [1, 2]);
    assert_eq!(alone("claim", &["1"]).record()["status"], "queued");
    assert_eq!(alone("spawn", &["--wait", "1"]).record()["status"], "testing");
    assert_eq!(alone("gate", &["1"]).record()["gates"]["verdict"], "passed");
    assert_eq!(alone("pr", &["1"]).record()["status"], "pr-ready");
    assert_eq!(house.lab.pulls().len(), 1);
}

#[test]
fn detached_agents_go_on_to_their_pull_requests() {
    let script = serde_json::json!({"default": [
        {"sleep_ms": 1500}, {"write": {"path": "new.txt", "content": "{issue}"}}, {"commit": "Add a file"},
    ]});
    let house = House::new(&Plan { script, ..Plan::default() });
    // cat ends when the last writer of the pipe has: nobody may be left who holds it.
    let ran = house.shell("cq-fetch | cq-claim --max 2 | cq-spawn | cat").run().quietly();
    let statuses: Vec<Value> = ran.records().iter().map(|record| record["status"].clone()).collect();
    assert_eq!(statuses, ["in-progress", "in-progress"]);
    assert_eq!((house.status(1), house.status(2)), ("in-progress".to_owned(), "in-progress".to_owned()));
    assert!(ran.took < Duration::from_secs(20), "{:?}", ran.took);
    until("two pull requests", || (house.lab.pulls().len() == 2).then_some(()));
    for issue in [1, 2] {
        until("a record that says so", || (house.status(issue) == "pr-ready").then_some(()));
    }
    let log = fs::read_to_string(house.clone().join("logs/claude-instance-1/supervise.log")).unwrap();
    assert_eq!(log, "", "a supervisor that is content says nothing");
}

/// cron's last tick is still at work when the next one starts: one pull request an issue all the same.
#[test]
fn lines_that_run_at_once_share_the_work() {
    let house = House::usual();
    let line = "cq-fetch | cq-claim | cq-spawn --wait | cq-gate | cq-pr";
    let ran = house.shell(&format!("{line} & {line} & {line} & wait")).run().quietly();
    let mut numbers = ran.numbers();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(house.lab.pulls().len(), 3);
}

/// Below the clone everything is found as it is at its top.
#[test]
fn a_folder_inside_the_clone_is_as_good() {
    let house = House::usual();
    let line = "cd src && cq-fetch 1 | cq-claim | cq-spawn --wait | cq-gate | cq-pr";
    assert_eq!(house.shell(line).run().quietly().record()["status"], "pr-ready");
    assert!(!house.clone().join("src/.cq").exists());
}

#[test]
fn an_agent_and_a_check_see_no_token() {
    let house = House::with_steps(&serde_json::json!([
        {"dump_env": "../agent.env"}, {"write": {"path": "new.txt", "content": "x"}}, {"commit": "Add a file"},
    ]));
    let checked = house.text_of("check.env");
    house.configure(|config| {
        let command = ["sh", "-c", &format!("cat /proc/self/environ | tr '\\0' '\\n' > \"{checked}\"")];
        config["qualityGates"] = serde_json::json!([{"name": "env", "command": command}]);
    });
    house.work(1).good();
    house.cq("gate").args(["1"]).run().good();
    let agent = fs::read_to_string(house.workspace(1).join("agent.env")).unwrap();
    let check = fs::read_to_string(checked).unwrap();
    for seen in [&agent, &check] {
        assert!(!seen.contains(TOKEN) && !seen.contains("GITHUB_TOKEN="), "{seen}");
        assert!(seen.contains("CQ_ISSUE=1\n"), "{seen}");
    }
    assert!(agent.contains("ISSUE_ID=1\n"), "{agent}");
}
