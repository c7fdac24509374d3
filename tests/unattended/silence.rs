//! Silence is no proof of death: only a run whose processes do nothing either is ended as stalled.

use std::fs;
use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::wait::until;
use crate::{House, marker, why};

/// Six seconds.
const STALL: f64 = 0.1;

fn house(steps: &Value) -> House {
    let house = House::with_steps(steps);
    house.configure(|config| config["queue"]["stallMinutes"] = json!(STALL));
    house
}

#[test]
fn a_run_that_does_nothing_is_uncertain_first_and_then_ended_as_stalled() {
    // A child that sleeps does nothing either.
    let house = house(&json!([{"say": "I wait."}, {"leave_child": {"seconds": 600}}, {"hang": true}]));
    let began = Instant::now();
    house.work_detached(1);
    let claim = marker(&house, 1);
    until("uncertainty", || (house.record(1)["run"]["liveness"] == "uncertain").then_some(()));
    assert!(house.record(1)["run"]["silent_since"].is_string());
    let shown = house.cq("status").args(["--format", "table"]).run().good().stdout;
    assert!(shown.contains("uncertain: no output and no work for "), "{shown}");
    let told = house.cq("status").args(["--explain", "1"]).run().good().stdout;
    assert!(told.contains("after 0.1 min it is ended as stalled"), "{told}");
    until("the end", || (house.status(1) == "queued").then_some(()));
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    let record = house.record(1);
    assert_eq!((&record["outcome"], &record["claim"]["attempt"]), (&json!("stalled"), &json!(2)));
    assert!(
        why(&record).contains("no output, and no work in any of its processes, for 6 s"),
        "{}",
        why(&record)
    );
    assert_eq!(House::processes_with(&claim), Vec::<i32>::new());
}

/// Each is silent for three times as long as a dead one may be, gives one sign of work and no other, and commits after
/// that.
#[test]
fn a_silent_run_that_works_is_left_alone() {
    let works = [
        ("a compiler: one process, at work", "timeout 18 sh -c 'while :; do :; done'"),
        ("children that come and go, and do nothing", "for i in $(seq 36); do sleep 0.5; done"),
        ("bytes that move, seldom and with little work", "mkfifo \"$0\"; timeout 18 cat \"$0\" >/dev/null"),
    ];
    std::thread::scope(|scope| {
        for (what, script) in works {
            scope.spawn(move || {
                let house = House::usual();
                let pipe = house.place("pipe");
                let steps = json!({"default": [
                    {"run": ["sh", "-c", format!("{script}; true"), pipe]},
                    {"write": {"path": "new.txt", "content": "x"}}, {"commit": "Add a file"},
                ]});
                fs::write(house.place("script.json"), steps.to_string()).unwrap();
                house.configure(|config| config["queue"]["stallMinutes"] = json!(STALL));
                if script.starts_with("mkfifo") {
                    std::thread::spawn(move || {
                        until("the pipe", || pipe.exists().then_some(()));
                        let bytes = vec![0; 32 << 10];
                        let mut pipe = fs::File::options().write(true).open(pipe).unwrap();
                        while pipe.write_all(&bytes).is_ok() {
                            std::thread::sleep(Duration::from_millis(500));
                        }
                    });
                }
                let began = Instant::now();
                house.work(1).good();
                let record = house.record(1);
                assert_eq!(record["outcome"], "success", "{what}: {}", why(&record));
                assert!(began.elapsed() > Duration::from_secs(17), "{what}");
            });
        }
    });
}

/// One that says something now and then is alive, also while it says a line that has no end yet.
#[test]
fn words_are_a_sign_of_life_and_zero_waits_for_ever() {
    let house = house(&json!([
        {"say": "one"}, {"sleep_ms": 4000}, {"say": "two"}, {"sleep_ms": 4000}, {"say": "three"}, {"sleep_ms": 4000},
        {"write": {"path": "new.txt", "content": "x"}}, {"commit": "Add a file"},
    ]));
    house.work(1).good();
    assert_eq!(house.record(1)["outcome"], "success");

    let patient = House::with_steps(&json!([{"sleep_ms": 9000}, {"exit": 1}]));
    patient.configure(|config| config["queue"]["stallMinutes"] = json!(0));
    patient.work(1).good();
    let record = patient.record(1);
    assert_eq!((&record["outcome"], &record["run"]["liveness"]), (&json!("agent-error"), &json!("working")));
}
