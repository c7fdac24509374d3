//! One sentinel: what each command does while it is there.

use serde_json::json;

use crate::support::wait::until;
use crate::{House, Plan};

#[test]
fn every_command_honours_every_stop() {
    let house = House::usual();
    let claimed = house.claim(1).to_string();
    let fetched = house.cq("fetch").args(["2"]).run().quietly().stdout;
    // The command, what it reads, its exit status. 75 has started and changed nothing.
    let table: &[(&str, &[&str], &str, i32)] = &[
        ("claim", &[], &fetched, 75),
        ("claim", &["3"], "", 75),
        ("claim", &["--retry", "1"], "", 75),
        ("spawn", &[], &claimed, 75),
        ("spawn", &["--wait", "1"], "", 75),
        ("supervise", &["claude-instance-1"], "", 75),
        ("gate", &["1"], "", 75),
        ("pr", &["1"], "", 75),
        ("pr", &["--sync"], "", 75),
        ("run", &["--once"], "", 75),
        // What reads, tells or tidies goes on.
        ("fetch", &[], "", 0),
        ("status", &[], "", 0),
        ("logs", &[], "", 0),
        ("cleanup", &[], "", 0),
        ("monitor", &[], "", 0),
        ("stop", &["--status"], "", 0),
    ];
    for mode in ["--freeze", "--drain", "--abort", "garbage"] {
        if mode == "garbage" {
            std::fs::write(house.state_dir().join("stop"), "garbage").unwrap();
        } else {
            house.cq("stop").args([mode, "--reason", "because"]).run().good();
        }
        for (name, args, input, expected) in table {
            // Nobody knows what garbage means: it is told by whoever meets it, and stops as much.
            let doubtful = mode == "garbage" && ["monitor", "status"].contains(name);
            let expected = if doubtful { 75 } else { *expected };
            let ran = house.cq(name).args(*args).fed(input);
            assert_eq!(ran.status, expected, "{mode}: {ran:#?}");
            let why = if mode == "garbage" { "unreadable" } else { "because" };
            assert!(expected == 0 || ran.stderr.contains(why), "{mode}: {ran:#?}");
            if !["fetch", "status", "stop", "run"].contains(name) {
                assert_eq!(ran.stdout, "", "{mode}: {ran:#?}");
            }
        }
        assert_eq!(
            (house.status(1).as_str(), house.status(2), house.status(3)),
            ("queued", String::new(), String::new())
        );
        assert!(!house.workspace(1).exists() && house.lab.pulls().is_empty());
    }
    house.cq("stop").args(["--thaw"]).run().good();
    house.shell("cq-spawn --wait 1 | cq-gate | cq-pr").run().quietly();
    assert_eq!(house.lab.pulls().len(), 1);
}

#[test]
fn what_is_asked_of_cq_stop_makes_sense() {
    let house = House::new(&Plan { issues: json!([]), ..Plan::default() });
    for args in [&["--freeze", "--drain"][..], &[], &["--thaw", "--no-comment"], &["--status", "--abort"]] {
        assert_eq!(house.cq("stop").args(args).run().status, 2, "{args:?}");
    }
    for mode in ["--freeze", "--drain", "--abort"] {
        house.cq("stop").args([mode, "--dry-run"]).run().ends(0, "would be ");
        assert!(!house.state_dir().join("stop").exists());
    }
    let rest = json!({"until": "2199-01-01T00:00:00Z", "reason": "usage limit"});
    std::fs::write(house.state_dir().join("limit.json"), rest.to_string()).unwrap();
    let shown = house.cq("stop").args(["--status"]).run().quietly().record();
    assert_eq!(shown, json!({"in_force": "rest", "until": "2199-01-01T00:00:00Z", "reason": "usage limit"}));
    house.cq("status").run().ends(0, "no agent is started before 2199-01-01T00:00:00Z: usage limit");
}

/// A base of many gigabytes takes its time, and a night's work may have been called off meanwhile.
#[test]
fn a_stop_that_comes_while_a_workspace_is_made_is_honoured() {
    let house = House::usual();
    house.work(1).good();
    house.claim(2);
    let lock = std::fs::File::open(house.state_dir().join("repo.git/fetch.lock")).unwrap();
    lock.lock().unwrap();
    let spawn = house.cq("spawn").args(["2"]).start();
    until("the making of a workspace", || (!house.named(&["cq-prepare"]).is_empty()).then_some(()));
    house.cq("stop").args(["--drain", "--reason", "enough"]).run().good();
    drop(lock);
    let ended = spawn.wait_with_output().unwrap();
    let said = house.clone().join("logs/claude-instance-2/supervise.log");
    let said = std::fs::read_to_string(said).unwrap();
    assert_eq!(ended.status.code(), Some(75), "{said}");
    assert!(said.contains("enough"), "{said}");
    let record = house.record(2);
    assert_eq!((&record["status"], &record["run"]), (&json!("queued"), &json!(null)), "{record:#}");
    house.cq("stop").args(["--thaw"]).run().good();
    house.cq("spawn").args(["--wait", "2"]).run().good();
    assert_eq!(house.record(2)["outcome"], "success");
}
