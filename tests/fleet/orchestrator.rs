//! cq-run: the whole job, and its own end in the middle of it.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::house::binaries;
use crate::support::wait::until;
use crate::{House, Orchestrator, Plan, marker};

/// One issue, whose agent waits for a file called GO, then does its work.
pub(crate) fn waiting_agent() -> House {
    let wait = "until test -e GO; do sleep 0.05; done; rm GO";
    House::new(&Plan {
        issues: json!([{"number": 1, "title": "First", "body": "Do it.", "labels": ["claude-ready"]}]),
        script: json!({"default": [
            {"run": ["sh", "-c", wait]}, {"append": {"path": "new.txt", "content": "x\n"}}, {"commit": "Add a file"},
        ]}),
        ..Plan::default()
    })
}

pub(crate) fn go(house: &House) {
    fs::write(house.workspace(1).join("widgets/GO"), "").unwrap();
}

pub(crate) fn runs(house: &House, number: u64) {
    until("the agent", || {
        (house.status(number) == "in-progress" && house.record(number)["run"]["pid"].is_u64()).then_some(())
    });
}

#[test]
fn ticks_from_cron_bring_every_issue_to_its_pull_request_and_away() {
    let house = House::usual();
    let before = house.owners_view();
    until("three pull requests", || {
        let ran = house.cq("run").args(["--once"]).run().good();
        let ticks = ran.records();
        let names: Vec<&str> = ticks.iter().map(|tick| tick["pipeline"].as_str().unwrap()).collect();
        assert_eq!(names, ["due", "new", "sync", "cleanup"]);
        let commands = ticks[1]["commands"].clone();
        let expected = ["cq-fetch", "cq-claim", "cq-spawn"].map(|name| json!({"command": name, "exit": 0}));
        assert_eq!(commands, json!(expected));
        assert!(ticks[0].get("next").is_none());
        (house.lab.pulls().len() == 3).then_some(())
    });
    until("the supervisors' end", || (1..=3).all(|n| house.status(n) == "pr-ready").then_some(()));
    for pull in house.lab.pulls() {
        house.lab.merge(pull["number"].as_u64().unwrap());
    }
    let ran = house.cq("run").args(["--once"]).run().good();
    assert_eq!(ran.records()[2]["records"], 3, "{ran:#?}");
    house.configure(|config| config["workspace"]["cleanupAfterHours"] = json!(0));
    let ran = house.cq("run").args(["--once"]).run().good();
    assert_eq!(ran.records()[3]["records"], 3, "{ran:#?}");
    assert!((1..=3).all(|n| house.status(n).is_empty()));
    assert_eq!(house.owners_view(), before);
}

/// However it ends, the agents live on, and the next one finishes the job.
#[test]
fn agents_outlive_the_orchestrator_and_the_next_one_finishes_the_job() {
    for signal in [Signal::TERM, Signal::KILL] {
        let house = waiting_agent();
        let mut first = Orchestrator::start(&house, "first", &["--interval", "1"]);
        runs(&house, 1);
        first.signal(signal);
        assert_eq!(first.end(), 128 + signal.as_raw());
        let claim = marker(&house, 1);
        assert!(!House::processes_with(&claim).is_empty(), "the agent works on");

        let mut second = Orchestrator::start(&house, "second", &["--interval", "0.5"]);
        until("some turns", || (second.exits("due").len() >= 2).then_some(()));
        assert_eq!(house.status(1), "in-progress", "nobody ended it, nobody started another");
        go(&house);
        until("the pull request", || (house.lab.pulls().len() == 1).then_some(()));
        assert_eq!(second.stop(), 143);
        assert!(
            second.said().contains("told to end; agents that run go on by themselves"),
            "{}",
            second.said()
        );
        let attempts = house.record(1)["claim"]["attempt"].clone();
        assert_eq!((house.lab.pulls().len(), attempts), (1, json!(1)));
    }
}

/// An agent that dies is started again by the orchestrator alone.
#[test]
fn a_supervisor_that_dies_is_buried_and_the_issue_is_brought_to_its_end() {
    let house = waiting_agent();
    let mut fleet = Orchestrator::start(&house, "fleet", &["--interval", "0.5"]);
    runs(&house, 1);
    crate::kill_supervisor(&house, 1);
    fleet.waits_for("due: cq-monitor: issue #1 had lost its supervisor; it is queued now");
    // The wait before the next attempt, cut short.
    until("the second attempt", || {
        if house.status(1) == "queued" {
            crate::tamper(&house, 1, |record| record["claim"]["not_before"] = json!("2020-01-01T00:00:00Z"));
        }
        (house.status(1) == "in-progress" && house.record(1)["claim"]["attempt"] == 2).then_some(())
    });
    runs(&house, 1);
    go(&house);
    until("the pull request", || (house.lab.pulls().len() == 1).then_some(()));
    assert_eq!(fleet.stop(), 143);
}

#[test]
fn there_is_one_orchestrator_per_state_directory() {
    let house = House::new(&Plan { issues: json!([]), ..Plan::default() });
    let mut first = Orchestrator::start(&house, "first", &["--interval", "1"]);
    until("its first turn", || (!first.ticks().is_empty()).then_some(()));
    let by = format!("by cq-run (pid {} on ", first.child.id());
    let ran = house.cq("run").args(["--once"]).run().ends(75, &by);
    assert!(ran.stderr.contains("is orchestrated already") && ran.stdout.is_empty(), "{ran:#?}");
    // Small, and on its own: neither threads nor processes pile up.
    let status = fs::read_to_string(format!("/proc/{}/status", first.child.id())).unwrap();
    let threads = status.lines().find_map(|line| line.strip_prefix("Threads:")).unwrap().trim().to_owned();
    assert!(threads.parse::<u32>().unwrap() <= 4, "{status}");
    assert_eq!(first.stop(), 143);
    house.cq("run").args(["--once"]).run().good();
    // Elsewhere there is another.
    let elsewhere = house.text_of("elsewhere");
    house.cq("run").args(["--once", "--state-dir", &elsewhere]).run().good();
}

#[test]
fn what_would_be_run_is_said_and_tables_come_line_by_line() {
    let house = House::new(&Plan { issues: json!([]), ..Plan::default() });
    let ran = house.cq("run").args(["--dry-run", "--interval", "30"]).run();
    let ran = ran.ends(0, "would run 'cq-fetch | cq-claim | cq-spawn' every 30 s");
    assert!(
        ran.stderr.contains("would run 'cq-cleanup' every 300 s")
            && !house.state_dir().join("run.lock").exists()
    );
    house.configure(|config| config["run"]["intervalSeconds"] = json!(7.5));
    house.cq("run").args(["--dry-run"]).run().ends(0, "would run 'cq-pr --sync | cq-spawn' every 15 s");
    house.cq("run").args(["--interval", "0"]).run().ends(2, "more than 0");
    house.cq("run").args(["--format", "json"]).run().ends(2, "--format json needs --once");
    let array = house.cq("run").args(["--once", "--format", "json"]).run().good().stdout;
    assert_eq!(serde_json::from_str::<Vec<Value>>(&array).unwrap().len(), 4);

    let mut fleet = Orchestrator::start(&house, "table", &["--format", "table", "--interval", "1"]);
    until("a row", || fs::read_to_string(&fleet.stdout).unwrap().lines().nth(1).map(str::to_owned));
    assert!(fs::read_to_string(&fleet.stdout).unwrap().starts_with("AT "));
    assert_eq!(fleet.stop(), 143);
}

/// A program that is missing, while an installation is replaced, is waited for.
#[test]
fn a_missing_program_is_told_and_does_not_end_the_orchestrator() {
    let house = House::new(&Plan { issues: json!([]), ..Plan::default() });
    let folder = house.place("installed");
    fs::create_dir(&folder).unwrap();
    for name in ["cq-run", "cq-spawn", "cq-fetch", "cq-claim", "cq-pr", "cq-cleanup"] {
        fs::copy(binaries().join(name), folder.join(name)).unwrap();
    }
    let run = house.program(folder.join("cq-run").to_str().unwrap()).args(["--once"]);
    let ran = run.env("PATH", "/usr/bin:/bin").run().ends(78, "program 'cq-monitor' is not on PATH");
    assert_eq!(ran.records().len(), 4, "the others are run: {ran:#?}");
}
