//! How a check can end, and that nothing of it is left.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::wait::until;
use crate::{House, Plan, check, checked_by, nap, sleepers};

/// Runs the one check of issue 1, which says nothing of the change, for this reason.
#[track_caller]
fn unevaluated(house: &House, why: &str) -> Value {
    house.work(1).good();
    let record =
        house.cq("gate").args(["1"]).run().ends(1, "checks could not be evaluated: the check").record();
    let said = check(&record, "the check");
    assert_eq!(said["verdict"], "unevaluated");
    assert!(said["why"].as_str().unwrap().contains(why), "{said}");
    assert_eq!((&house.record(1)["status"], house.record(1).get("feedback")), (&json!("testing"), None));
    record
}

fn limited(line: &str, change: impl FnOnce(&mut Value)) -> House {
    let house = checked_by(line);
    house.configure(change);
    house
}

#[test]
fn a_check_that_takes_too_long_is_ended_with_all_it_started() {
    let house = limited(&format!("trap '' TERM; setsid {0} & {0}", nap()), |config| {
        config["qualityGates"][0]["timeoutMinutes"] = json!(0.02);
    });
    let record = unevaluated(&house, "it took longer than 0.02 min");
    assert_eq!(check(&record, "the check").get("exit"), None);
    until("the end of all", || (sleepers() == 0).then_some(()));
}

/// A machine that is short of time has some by and by; one that never has holds no place for ever.
#[test]
fn a_check_that_never_comes_to_an_end_is_tried_a_few_times() {
    let house = limited("kill -KILL $$", |config| config["queue"]["retryAttempts"] = json!(2));
    house.work(1).good();
    let again = "cq-monitor offers it again when its lease is over";
    house.cq("gate").args(["1"]).at("2150-01-01T00:00:00Z").run().ends(1, again);
    assert_eq!((house.status(1).as_str(), &house.record(1)["gates"]["tries"]), ("testing", &json!(1)));
    let offered = |now| house.cq("monitor").at(now).run().good().numbers();
    assert_eq!(offered("2150-01-01T00:09:00Z"), [0; 0], "not before its lease is over");
    assert_eq!(offered("2150-01-01T00:11:00Z"), [1]);
    let way = "mend what the check lacks, then run 'cq-gate 1 | cq-pr'";
    house.cq("gate").args(["1"]).run().ends(1, way);
    let record = house.record(1);
    assert_eq!((&record["status"], &record["outcome"]), (&json!("failed"), &json!("unevaluated")));
    let why = "the check: it was ended by signal 9; tried 2 times; its checks cannot judge the change";
    assert_eq!(record["history"].as_array().unwrap().last().unwrap()["why"], why);
    assert_eq!(offered(crate::LATER), [0; 0]);
    // Whoever tries it again begins to count anew.
    let queued = house.cq("claim").args(["--retry", "1"]).run().quietly().record();
    assert_eq!((&queued["status"], queued["gates"].get("tries")), (&json!("queued"), None));
    house.cq("spawn").args(["--wait", "1"]).run().quietly();
    house.cq("gate").args(["1"]).run().ends(1, again);
    house.cq("gate").args(["1"]).run().ends(1, way);
    house.configure(|config| config["qualityGates"] = json!([crate::shell("the check", "true")]));
    let ran = house.cq("gate").args(["1"]).run().quietly().record();
    assert_eq!((&ran["status"], ran["gates"].get("tries")), (&json!("failed"), None));
    let told = house.cq("status").args(["--explain", "1"]).run().quietly().stdout;
    assert!(told.contains("its checks have passed since: cq-pr 1 opens its pull request"), "{told}");
    assert_eq!(house.cq("pr").args(["1"]).run().quietly().record()["status"], "pr-ready");
}

/// Also what took every mark off itself, left its session and its parent.
#[test]
fn what_a_check_leaves_behind_ends_with_it() {
    let house = checked_by(&format!("env -i setsid sh -c '{0} & {0} &'; (setsid {0} &); exit 0", nap()));
    house.work(1).good();
    let record = house.cq("gate").args(["1"]).run().quietly().record();
    assert_eq!(record["gates"]["verdict"], "passed");
    until("the end of all", || (sleepers() == 0).then_some(()));
}

#[test]
fn a_check_has_the_memory_of_a_run() {
    // A shell passes over what became of the first parts of a pipe.
    let line = "set -o pipefail; (head -c 200m /dev/zero; sleep 5) | tail -c 200m | wc -c";
    for mechanism in ["auto", "watchdog"] {
        let house = limited("", |config| {
            config["limits"]["memoryMegabytes"] = json!(80);
            config["limits"]["mechanism"] = json!(mechanism);
            config["qualityGates"][0]["command"] = json!(["bash", "-c", line]);
        });
        unevaluated(&house, "memory");
    }
}

/// What the manual says of neighbours: the kernel gives each the memory of a run, a watchdog gives it to all together.
#[test]
fn neighbours_have_the_memory_of_a_run_each_where_the_kernel_sees_to_it() {
    let eat = |mine: &str, other: &str| {
        let meet = format!("touch {mine}; for i in $(seq 100); do test -e {other} && break; sleep 0.1; done");
        let line = format!("set -o pipefail; (head -c 50m /dev/zero; {meet}; sleep 1) | tail -c 50m | wc -c");
        json!({"name": mine, "command": ["bash", "-c", line], "parallel": true})
    };
    for mechanism in ["auto", "watchdog"] {
        let house = House::new(&Plan { gates: json!([eat("a", "b"), eat("b", "a")]), ..Plan::default() });
        house.configure(|config| {
            config["limits"]["memoryMegabytes"] = json!(80);
            config["limits"]["mechanism"] = json!(mechanism);
        });
        house.work(1).good();
        let watched = house.record(1)["run"]["limits"]["mechanism"] == "watchdog";
        let verdict = if watched { "unevaluated" } else { "passed" };
        let record = house.cq("gate").args(["1"]).run().record();
        assert_eq!(record["gates"]["verdict"], verdict, "{mechanism}: {:#}", record["gates"]);
    }
}

#[test]
fn a_check_that_is_told_to_end_ends_and_the_issue_waits() {
    let house = checked_by(&nap());
    house.work(1).good();
    let gate = house.cq("gate").args(["1"]).start_into(Stdio::null(), Stdio::null());
    until("the check", || (sleepers() == 1).then_some(()));
    house.program("kill").args(["-TERM", &gate.id().to_string()]).run().quietly();
    let ended = gate.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(143));
    assert_eq!(sleepers(), 0);
    let record = house.record(1);
    assert_eq!((&record["status"], record.get("gates")), (&json!("testing"), None));
    // Killed, it ends nothing; the next one does.
    let mut gate = house.cq("gate").args(["1"]).start();
    until("the check", || (sleepers() == 1).then_some(()));
    gate.kill().unwrap();
    gate.wait().unwrap();
    house.configure(|config| config["qualityGates"] = json!([crate::shell("quick", "true")]));
    house.cq("gate").args(["1"]).run().quietly();
    assert_eq!(sleepers(), 0);
}

#[test]
fn an_abort_ends_checks_too() {
    let house = checked_by(&nap());
    house.work(1).good();
    let mut gate = house.cq("gate").args(["1"]).start();
    until("the check", || (sleepers() == 1).then_some(()));
    house.cq("stop").args(["--abort"]).run();
    assert_eq!(gate.wait().unwrap().code(), Some(75));
    assert_eq!(sleepers(), 0);
}

/// Secrets do not stay in a log, and the end of a long one does.
#[test]
fn a_log_is_cleared_of_secrets() {
    let token = ["ghp", "abcdefghijklmnopqrstuvwxyz0123456789"].join("_");
    let gates = json!([crate::shell("the check", &format!("echo {token}"))]);
    let house = House::new(&Plan { gates, ..Plan::default() });
    house.work(1).good();
    let record = house.cq("gate").args(["1"]).run().quietly().record();
    assert_eq!(crate::log_of(check(&record, "the check")), "[redacted]\n");
}
