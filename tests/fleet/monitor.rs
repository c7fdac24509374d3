//! cq-monitor: what one tick finds and mends.

use std::fs;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::support::wait::until;
use crate::{House, kill_supervisor, marker, tamper};

/// So long after an issue was claimed.
fn after_claim(house: &House, minutes: i64) -> String {
    let at: DateTime<Utc> = house.record(1)["claim"]["claimed_at"].as_str().unwrap().parse().unwrap();
    (at + TimeDelta::minutes(minutes)).to_rfc3339()
}

/// The machine was started again: its records are of another boot, and what they say in its time means nothing.
#[test]
fn after_a_reboot_what_ran_is_buried_and_tried_again() {
    let house = House::with_steps(&json!([{"hang": true}]));
    house.work_detached(1);
    kill_supervisor(&house, 1);
    tamper(&house, 1, |record| {
        record["run"]["supervisor"]["boot_id"] = json!("00000000-0000-0000-0000-000000000000");
        record["run"]["deadline_since_boot_ms"] = json!(1);
        // A number that is used again by now: by somebody who must not be hit.
        record["run"]["supervisor"]["pid"] = json!(std::process::id());
    });
    house.cq("monitor").run().ends(0, "issue #1 had lost its supervisor; it is queued now");
    let record = house.record(1);
    assert_eq!((&record["status"], &record["outcome"]), (&json!("queued"), &json!("crashed")));
    assert_eq!(record["claim"]["attempt"], 2);
    house.cq("monitor").run().quietly();
}

/// Somebody works on the instance of a run of another boot: that is not touched, and its deadline kills nobody.
#[test]
fn a_deadline_of_another_boot_kills_nobody() {
    let house = House::with_steps(&json!([{"hang": true}]));
    house.work_detached(1);
    let claim = marker(&house, 1);
    tamper(&house, 1, |record| {
        record["run"]["supervisor"]["boot_id"] = json!("00000000-0000-0000-0000-000000000000");
        record["run"]["deadline_since_boot_ms"] = json!(1);
    });
    house.cq("monitor").run().quietly();
    assert_eq!(house.status(1), "in-progress");
    assert!(!House::processes_with(&claim).is_empty());
}

/// As after a sleep of the machine: its time is up since long, and it only needs a moment to end.
#[test]
fn a_supervisor_that_is_late_may_end_its_run_and_one_that_hangs_is_killed() {
    let overdue =
        |house: &House| tamper(house, 1, |record| record["run"]["deadline_since_boot_ms"] = json!(1));
    let late = House::with_steps(&json!([
        {"sleep_ms": 4000}, {"write": {"path": "new.txt", "content": "x"}}, {"commit": "Add a file"},
    ]));
    let hung = House::with_steps(&json!([{"hang": true}]));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            late.work_detached(1);
            overdue(&late);
            late.cq("monitor").run().quietly();
            assert_eq!(late.record(1)["outcome"], "success", "{}", late.record(1)["history"]);
        });
        hung.work_detached(1);
        overdue(&hung);
        let said = "hung and was killed";
        let ran = hung.cq("monitor").run();
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
        assert_eq!(hung.record(1)["outcome"], "crashed");
        assert_eq!(House::processes_with(&marker(&hung, 1)), Vec::<i32>::new());
    });
}

#[test]
fn what_a_released_claim_left_running_is_ended_and_nothing_else() {
    let house = House::usual();
    house.claim(1);
    let released = marker(&house, 1);
    house.cq("claim").args(["--release", "1"]).run().good();
    let idle = {
        house.claim(2);
        marker(&house, 2)
    };
    // Another state directory's, which this one knows nothing of; of the same issue, too.
    let stranger = "CQ_CLAIM=2b3d4a52-0000-4000-8000-6f5902ac2370".to_owned();
    let sleeper = |claim: &str, issue: &str| {
        let (name, value) = claim.split_once('=').unwrap();
        house.program("sleep").args(["600"]).env(name, value).env("CQ_ISSUE", issue).start()
    };
    let mut left =
        [sleeper(&released, "1"), sleeper(&idle, "2"), sleeper(&stranger, "1"), sleeper(&stranger, "2")];
    until("the sleepers", || (House::processes_with(&stranger).len() == 2).then_some(()));
    let ran = house.cq("monitor").run();
    let ran = ran.ends(0, "ended a process left over from issue #1, whose claim is released");
    assert!(
        ran.stderr.contains("ended a process left over from issue #2, which nobody works on"),
        "{ran:#?}"
    );
    assert!(House::processes_with(&released).is_empty() && House::processes_with(&idle).is_empty());
    assert_eq!(House::processes_with(&stranger).len(), 2);
    for child in &mut left {
        let _ = child.kill();
        child.wait().unwrap();
    }
    house.cq("monitor").run().quietly();
}

#[test]
fn a_claim_that_nobody_starts_is_offered_and_then_given_back() {
    let house = House::usual();
    house.claim(1);
    let monitor = |minutes: i64| house.cq("monitor").at(&after_claim(&house, minutes)).run();
    assert_eq!(monitor(0).quietly().stdout, "", "its claimant may live");
    // However late it is found: it is offered first, for a whole lease.
    assert_eq!(monitor(50).quietly().numbers(), [1]);
    assert_eq!(monitor(55).quietly().numbers(), [1]);
    // While nothing may be started it keeps its time.
    house.cq("stop").args(["--drain"]).run().good();
    assert_eq!(monitor(61).quietly().stdout, "");
    house.cq("stop").args(["--thaw"]).run().good();
    assert_eq!(monitor(62).quietly().numbers(), [1]);
    let ran = monitor(300).ends(0, "issue #1 was claimed, and nobody started it: its claim is released");
    assert_eq!((ran.stdout.as_str(), house.status(1).as_str()), ("", ""));
    assert!(house.state_dir().join("archive/1.1.json").exists());
    house.claim(1);
}

/// A resting fleet emits nothing, and buries its dead.
#[test]
fn while_the_fleet_rests_nothing_is_due() {
    let house = House::usual();
    house.claim(1);
    let rest = json!({"until": after_claim(&house, 30), "reason": "usage limit"});
    fs::write(house.state_dir().join("limit.json"), rest.to_string()).unwrap();
    for (minutes, expected) in [(5, &[][..]), (29, &[]), (31, &[1_u64])] {
        let ran = house.cq("monitor").at(&after_claim(&house, minutes)).run().quietly();
        assert_eq!(ran.numbers(), expected, "{minutes}");
    }
}

/// As when what was killed had a child that was not its program yet: the tick does not pass by.
#[test]
fn a_lock_that_outlives_its_holder_for_a_moment_is_waited_for() {
    let house = House::with_steps(&json!([{"hang": true}]));
    house.work_detached(1);
    kill_supervisor(&house, 1);
    let lock = house.state_dir().join("instances/claude-instance-1.lock");
    let lock = fs::File::options().write(true).open(lock).unwrap();
    fs2::FileExt::lock_exclusive(&lock).unwrap();
    std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(600));
        drop(lock);
    });
    house.cq("monitor").run().ends(0, "issue #1 had lost its supervisor; it is queued now");
}

/// Killed at any moment: the next tick does what is left, once.
#[test]
fn a_tick_that_is_killed_is_done_by_the_next() {
    for milliseconds in [0, 5, 20, 60, 400] {
        // The last is killed while it waits for an agent that does not listen.
        let stubborn = milliseconds == 400;
        let house = House::with_steps(&json!([{"ignore_sigterm": stubborn}, {"hang": true}]));
        house.work_detached(1);
        let claim = marker(&house, 1);
        kill_supervisor(&house, 1);
        let mut tick = house.cq("monitor").start();
        std::thread::sleep(std::time::Duration::from_millis(milliseconds));
        let _ = tick.kill();
        tick.wait().unwrap();
        house.cq("monitor").run().good();
        assert!(House::processes_with(&claim).is_empty(), "{milliseconds}");
        let record: Value = house.record(1);
        assert_eq!(
            (&record["status"], &record["claim"]["attempt"]),
            (&json!("queued"), &json!(2)),
            "{milliseconds}"
        );
        assert_eq!(record["history"].as_array().unwrap().len(), 3, "{milliseconds}: buried once");
    }
}
