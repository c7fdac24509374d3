//! Agents that do what they should not, through cq-spawn, with real processes.
//!
//! After each end nothing of the run is left within the grace and two seconds, the outcome is the right one, and the
//! supervisor has not grown.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::house::{House, Plan};
use crate::{long, marker};

/// SIGTERM, and until SIGKILL; then what a sweep may take.
const GRACE: Duration = Duration::from_secs(10 + 2);

/// A deed, and how its run ends.
struct Case {
    name: &'static str,
    steps: Value,
    outcome: &'static str,
}

fn work() -> [Value; 2] {
    [json!({"write": {"path": "new.txt", "content": "x"}}), json!({"commit": "Add a file"})]
}

/// Steps, then some work.
fn before_work(steps: &[Value]) -> Value {
    Value::Array([steps, &work()].concat())
}

fn after_work(steps: &[Value]) -> Value {
    Value::Array([&work(), steps].concat())
}

fn cases() -> Vec<Case> {
    let shell = |script: &str| json!({"run": ["sh", "-c", script]});
    let case = |name, steps, outcome| Case { name, steps, outcome };
    // Each ends by itself, whatever becomes of the test.
    let deaf = "setsid sh -c 'trap \"\" TERM INT HUP; sleep 60; sleep 60' >/dev/null 2>&1 &";
    let bomb = "for i in $(seq 200); do setsid sleep 60 >/dev/null 2>&1 & done";
    let holder = "(setsid sleep 60 &) ; (trap '' TERM; sleep 60) >&2 & exec sleep 0.1";
    vec![
        case(
            "double fork",
            before_work(&[json!({"leave_child": {"setsid": true, "double_fork": true}})]),
            "success",
        ),
        case("SIGTERM ignored by a child", before_work(&[shell(deaf)]), "success"),
        case("SIGTERM ignored", json!([{"ignore_sigterm": true}, {"hang": true}]), "timed-out"),
        case("200 children", before_work(&[shell(bomb)]), "success"),
        case(
            "output held by a grandchild",
            after_work(&[shell(&format!("{{ {holder}; }} >/dev/null 2>&1"))]),
            "success",
        ),
        case("silence", json!([{"hang": true}]), "timed-out"),
        case("exit 0 without a commit", json!([{"say": "Done."}, {"exit": 0}]), "agent-error"),
        case("a result without a commit", json!([{"say": "Done."}]), "no-change"),
        case("a commit, then exit 1", after_work(&[json!({"exit": 1})]), "agent-error"),
        case(
            "a killed agent",
            after_work(&[json!({"leave_child": {"setsid": true}}), json!({"kill_self": "KILL"})]),
            "crashed",
        ),
    ]
}

/// Runs all of them, each as an issue of its own; several at once.
fn run_all(cases: &[Case]) {
    let numbers: Vec<u64> = (1..=cases.len() as u64).collect();
    let script = cases.iter().zip(&numbers).map(|(case, number)| (number.to_string(), case.steps.clone()));
    let issues = numbers.iter().map(|number| json!({"number": number, "title": format!("Issue {number}"), "body": "Do it.", "labels": ["claude-ready"]}));
    let plan = Plan { script: json!({"issues": Value::Object(script.collect())}), ..Plan::default() };
    let plan = Plan { issues: Value::Array(issues.collect()), ..plan };
    let house = House::new(&plan);
    house.configure(|config| {
        config["queue"]["maxConcurrentIssues"] = json!(100);
        config["claude"]["maxInstances"] = json!(100);
        config["queue"]["timeoutMinutes"] = json!(0.1);
    });
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, std::sync::atomic::Ordering::SeqCst)) {
                    let at = cases.iter().position(|other| std::ptr::eq(other, case)).unwrap();
                    one(&house, numbers[at], case);
                }
            });
        }
    });
}

fn one(house: &House, number: u64, case: &Case) {
    let began = Instant::now();
    house.claim(number);
    let claim = marker(house, number);
    house.cq("spawn").args(["--wait", &number.to_string()]).run().good();
    let record = house.record(number);
    assert_eq!(record["outcome"], case.outcome, "{}: {}", case.name, record["history"]);
    assert_eq!(House::processes_with(&claim), Vec::<i32>::new(), "{}", case.name);
    let ended = &record["run"]["ended_at"];
    println!("{}: {} after {:?}, ended at {ended}", case.name, case.outcome, began.elapsed());
    // The time that a run may take, its grace, and what a busy machine adds.
    assert!(began.elapsed() < Duration::from_secs(6 + 30) + GRACE, "{}", case.name);
}

#[test]
fn nothing_is_left_of_a_hostile_run() {
    let rounds = if long() { 50 } else { 1 };
    for round in 0..rounds {
        println!("round {}", round + 1);
        run_all(&cases());
    }
}

/// What VmRSS and RssAnon of a process say, in KiB.
fn memory(pid: &Value) -> Option<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let figure = |name: &str| {
        status.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse().ok())
    };
    Some((figure("VmRSS:")?, figure("RssAnon:")?))
}

/// Runs these steps; gives the supervisor's memory at first and at most, and the house.
fn watched(steps: &Value) -> (House, (u64, u64), (u64, u64)) {
    let house = House::with_steps(steps);
    house.configure(|config| config["claude"]["timeoutMinutes"] = json!(9));
    house.work_detached(1);
    let pid = house.record(1)["run"]["supervisor"]["pid"].clone();
    let (mut first, mut most) = (None, (0, 0));
    let began = Instant::now();
    while house.status(1) == "in-progress" {
        if let Some((rss, anonymous)) = memory(&pid) {
            first.get_or_insert((rss, anonymous));
            most = (most.0.max(rss), most.1.max(anonymous));
        }
        assert!(began.elapsed() < Duration::from_secs(540), "it does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
    (house, first.unwrap(), most)
}

/// What a supervisor may grow by, of memory that is nobody else's, in KiB.
const GROWTH: u64 = 3 << 10;

#[test]
fn a_flood_is_followed_in_little_memory_and_little_log() {
    let bytes: u64 = if long() { 1 << 30 } else { 64 << 20 };
    let began = Instant::now();
    let (house, first, most) = watched(&json!([
        {"say": "Now it comes."}, {"flood": {"bytes": bytes, "line": 1000}},
        {"write": {"path": "new.txt", "content": "x"}}, {"commit": "Add a file"}, {"say": "That was it."},
    ]));
    println!(
        "{} MB in {:?}: (VmRSS, RssAnon) {first:?} kB at first, {most:?} kB at most",
        bytes >> 20,
        began.elapsed()
    );
    let record = house.record(1);
    assert_eq!(record["outcome"], "success", "{}", record["history"]);
    let log = house.log(1);
    assert!(log.len() < 12 << 20, "{}", log.len());
    assert!(log.contains("Now it comes.") && log.contains("are left out here"));
    assert!(log.contains("done: That was it."));
    assert!(most.1 < first.1 + GROWTH, "{first:?} {most:?}");
}

#[test]
fn a_result_in_a_line_of_ten_megabytes_is_understood() {
    let house = House::usual();
    // The shell says the line: a script with it would be as long.
    let say = "head -c 10485760 /dev/zero | tr '\\0' x >&3; printf '%s' \"$1\" >&3";
    let line = |before: &str, after: &str| {
        let script = format!(
            "exec 3>>\"$(ls -t \"$0\"/1.*.stdout.jsonl | head -1)\"; printf '%s' '{before}' >&3; {say}; echo >&3"
        );
        json!({"run": ["sh", "-c", script, house.clone().join("logs/claude-instance-1"), after]})
    };
    let script = json!({"default": [
        {"write": {"path": "new.txt", "content": "x"}}, {"commit": "Add a file"},
        line("", " and words"),
        {"print_raw": "half of \u{fffd} a line"},
        line(r#"{"type":"result","result":"I did it. "#, r#"","is_error":false,"subtype":"success","num_turns":41,"session_id":"s","total_cost_usd":0.5}"#),
        {"exit": 0},
    ]});
    fs::write(house.place("script.json"), script.to_string()).unwrap();
    house.work(1).good();
    let record = house.record(1);
    assert_eq!((&record["outcome"], &record["run"]["turns"]), (&json!("success"), &json!(41)), "{record}");
    assert!(record["run"]["summary"].as_str().unwrap().starts_with("I did it. xxx"));
    let log = house.log(1);
    assert!(log.contains("done: I did it. xxx") && log.len() < 100_000, "{}", log.len());
}

#[test]
fn a_result_that_nothing_follows_is_enough() {
    let (house, ..) = watched(&after_work(&[json!({"hang_after_result": true})]));
    let record = house.record(1);
    assert_eq!(record["outcome"], "success", "{}", record["history"]);
}

/// What a run may take is measured by a clock that nobody sets.
#[test]
fn a_clock_that_is_moved_by_days_ends_no_run_and_keeps_none_alive() {
    let house = House::with_steps(&json!([{"hang": true}]));
    house.work_detached(1);
    let claim = marker(&house, 1);
    for moved in ["2020-01-01T00:00:00Z", "2199-01-01T00:00:00Z"] {
        house.cq("monitor").at(moved).run();
        assert_eq!(house.status(1), "in-progress", "{moved}");
        assert!(!House::processes_with(&claim).is_empty());
    }
    house.configure(|config| config["queue"]["timeoutMinutes"] = json!(0.05));
    house.claim(2);
    house.cq("spawn").args(["--wait", "2"]).at("2020-01-01T00:00:00Z").run().good();
    assert_eq!(house.record(2)["outcome"], "timed-out", "{}", house.record(2)["history"]);
}
