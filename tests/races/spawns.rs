//! Spawns and supervisors that are killed: a tick later nothing is stuck, lost or done twice.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::place::{PLACE, in_minutes, parse};
use crate::processes::{kill, marked, wait_until};
use crate::repository::{self, Works};
use crate::{dice, skipped};

/// In the environment of cq-spawn and what it starts, but not of an agent: finds supervisors.
const MARK: &str = "CQ_TEST_SPAWN";

/// A cq-spawn of one record. What it says goes nowhere: nobody may wait for it.
fn spawn(works: &Works, record: &Value, mark: &str, more: &[&str]) -> Child {
    let mut command = works.place.command("cq-spawn");
    command.args(more).env(MARK, mark).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), format!("{record}\n").as_bytes());
    child
}

/// Nothing that was started works any more; agents excepted that lost their supervisor.
fn wait_for_supervisors(works: &Works) {
    let place = works.place.path("").display().to_string();
    let place = place.trim_end_matches('/');
    wait_until("the supervisors have ended", Duration::from_secs(60), || marked(PLACE, place).is_empty());
}

/// How long some issues take at once, from cq-spawn to the end of their agents, in microseconds.
fn usual(works: &Works, records: &[Value]) -> u64 {
    let began = Instant::now();
    let children: Vec<_> = records.iter().map(|record| spawn(works, record, "usual", &["--wait"])).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    println!("{} at once take {} ms", records.len(), began.elapsed().as_millis());
    u64::try_from(began.elapsed().as_micros()).unwrap()
}

/// One tick at this time, and what it finds due.
fn tick(works: &Works, now: &str) -> Vec<Value> {
    let due = works.place.good(works.place.command("cq-monitor").env("CQ_NOW", now), b"");
    for (number, record) in works.place.records() {
        assert_ne!(record["status"], "in-progress", "#{number} is stuck");
    }
    for record in works.place.records().values() {
        let token = record["claim"]["token"].as_str().unwrap();
        assert_eq!(marked("CQ_CLAIM", token), Vec::<u32>::new(), "#{} has processes left", record["number"]);
    }
    let lines: Vec<String> = due.iter().map(ToString::to_string).collect();
    let mut spawn = works.place.command("cq-spawn");
    works.place.good(spawn.arg("--wait").env("CQ_NOW", now), lines.join("\n").as_bytes())
}

/// After one tick every issue has an end or waits for its next attempt; after another it has its end.
fn assert_converges(works: &Works, issues: usize) {
    wait_for_supervisors(works);
    let now = in_minutes(180);
    let mut before = BTreeMap::new();
    for record in works.place.records().values() {
        *before.entry(record["status"].to_string()).or_insert(0) += 1;
    }
    println!("before the first tick: {before:?}");
    println!("{} were due at the first tick", tick(works, &now).len());
    for (number, record) in works.place.records() {
        let waits = record["claim"]["not_before"].as_str().is_some_and(|at| at > now.as_str());
        let status = record["status"].as_str().unwrap();
        let legitimate = status == "testing" || (status == "queued" && waits);
        assert!(legitimate, "#{number} is {status}: {}", record["history"]);
    }
    works.assert_worktrees_are_valid();
    tick(works, &in_minutes(360));
    let records = works.place.records();
    assert_eq!(records.len(), issues);
    for (number, record) in records {
        assert_eq!(record["status"], "testing", "#{number}: {}", record["history"]);
    }
    works.assert_worktrees_are_valid();
    works.place.assert_temp_files_are_swept();
    works.place.assert_nothing_else_in_the_state();
    let runs = works.assert_never_together();
    println!("{runs} runs of agents for {issues} issues");
}

#[test]
fn killed_spawns_converge() {
    const KILLS: u64 = 300;
    if let Some(reason) = repository::lacks() {
        return skipped("killed_spawns_converge", reason);
    }
    let works = Works::new(3_000);
    let dice = Mutex::new(dice("killed spawns"));
    let mut records = works.place.claim(1..=3);
    let usual = usual(&works, &records);
    // Each issue is spawned twice, whatever became of the first time.
    let others = works.place.claim(4..=220);
    let (next, killed) = (AtomicU64::new(0), AtomicU64::new(0));
    // The latest moment of a kill, by whether it waits for the agent: sooner after each that came too late, so
    // that four of five hit, however busy the machine is.
    let latest = [AtomicU64::new(usual / 2), AtomicU64::new(usual)];
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while killed.load(Ordering::SeqCst) < KILLS {
                    let turn = next.fetch_add(1, Ordering::SeqCst);
                    let record = &others[usize::try_from(turn).unwrap() / 2 % others.len()];
                    // A detached one leaves as soon as the agent runs.
                    let more: &[&str] = if turn.is_multiple_of(2) { &["--wait"] } else { &[] };
                    let latest = &latest[more.len()];
                    let moment = dice.lock().unwrap().u64(0..latest.load(Ordering::SeqCst));
                    let mark = turn.to_string();
                    let mut child = spawn(&works, record, &mark, more);
                    std::thread::sleep(Duration::from_micros(moment));
                    child.kill().unwrap();
                    if turn.is_multiple_of(3) {
                        marked(MARK, &mark).into_iter().for_each(kill);
                    }
                    let is_hit = child.wait().unwrap().signal() == Some(9);
                    killed.fetch_add(u64::from(is_hit), Ordering::SeqCst);
                    let percent = if is_hit { 102 } else { 92 };
                    let now = latest.load(Ordering::SeqCst) * percent / 100;
                    latest.store(now.max(1_000), Ordering::SeqCst);
                }
            });
        }
    });
    println!("{} killed of {}", killed.into_inner(), next.into_inner());
    records.extend(others);
    assert_converges(&works, records.len());
}

#[test]
fn killed_supervisors_converge() {
    const KILLS: u64 = 60;
    if let Some(reason) = repository::lacks() {
        return skipped("killed_supervisors_converge", reason);
    }
    let works = Works::new(5_000);
    let dice = Mutex::new(dice("killed supervisors"));
    let records = works.place.claim(1..=KILLS + 3);
    let (first, others) = records.split_at(3);
    let usual = usual(&works, first);
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(record) =
                    others.get(usize::try_from(next.fetch_add(1, Ordering::SeqCst)).unwrap())
                {
                    let mark = format!("issue-{}", record["number"]);
                    let moment = Duration::from_micros(dice.lock().unwrap().u64(0..usual));
                    let mut child = spawn(&works, record, &mark, &["--wait"]);
                    let began = Instant::now();
                    let supervisors = || -> Vec<u32> {
                        marked(MARK, &mark).into_iter().filter(|pid| *pid != child.id()).collect()
                    };
                    wait_until("it has a supervisor", Duration::from_secs(20), || !supervisors().is_empty());
                    // Every fourth agent takes long: its supervisor is killed while it is at work.
                    let number = record["number"].as_u64().unwrap();
                    if number.is_multiple_of(4) {
                        wait_until("its agent is at work", Duration::from_secs(60), || works.has_run(number));
                        std::thread::sleep(moment.min(Duration::from_secs(2)));
                    } else {
                        std::thread::sleep(moment.saturating_sub(began.elapsed()));
                    }
                    let supervisors = supervisors();
                    assert!(!number.is_multiple_of(4) || !supervisors.is_empty(), "#{number}'s has ended");
                    supervisors.into_iter().for_each(kill);
                    // It notices, and says so.
                    let _ = child.wait().unwrap();
                }
            });
        }
    });
    assert_converges(&works, records.len());
}

#[test]
fn a_detached_supervisor_goes_on_when_nobody_listens() {
    if let Some(reason) = repository::lacks() {
        return skipped("a_detached_supervisor_goes_on_when_nobody_listens", reason);
    }
    let works = Works::new(0);
    let records = works.place.claim([1]);
    let mut command = works.place.command("cq-spawn");
    let started = works.place.run(&mut command, format!("{}\n", records[0]).as_bytes());
    assert_eq!(parse(&started.stdout)[0]["status"], "in-progress", "{started:?}");
    wait_for_supervisors(&works);
    let record = &works.place.records()[&1];
    assert_eq!(record["status"], "testing");
    let log = works.place.path("logs/claude-instance-1/supervise.log");
    let log = std::fs::read_to_string(log).unwrap();
    assert_eq!(record["gates"]["verdict"], "passed", "cq-gate was not run: {log}");
    assert!(log.contains("cq-pr: "), "cq-pr was not run: {log}");
}
