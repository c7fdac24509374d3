//! Agents that do what they should not, through cq-spawn, with real processes.
//!
//! After each end nothing of the run is left within the grace and two seconds, the outcome is the right one, and the
//! supervisor has not grown.

use std::fs;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::house::{House, Plan};
use crate::support::skip::skip;
use crate::tree::Tree;
use crate::{long, marker};

/// SIGTERM, and until SIGKILL; then what a sweep may take.
const GRACE: Duration = Duration::from_secs(10 + 2);
/// What a machine that does other things may add.
const BUSY: Duration = Duration::from_secs(6);

/// A deed, and how its run ends.
struct Case {
    name: &'static str,
    /// For the shell that becomes the agent: what it starts before holds what the agent holds.
    before: &'static str,
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

/// Those that wait for something first: they take longest.
fn cases() -> Vec<Case> {
    let shell = |script: &str| json!({"run": ["sh", "-c", script]});
    let case = |name, steps, outcome| Case { name, before: ":", steps, outcome };
    let holder =
        |name, before| Case { name, before, steps: Value::Array(work().to_vec()), outcome: "success" };
    // Each ends by itself, whatever becomes of the test.
    let deaf = "setsid sh -c 'trap \"\" TERM INT HUP; sleep 60; sleep 60' >/dev/null 2>&1 &";
    let bomb = "for i in $(seq 200); do setsid sleep 60 >/dev/null 2>&1 & done; sleep 0.5";
    vec![
        case("SIGTERM ignored", json!([{"ignore_sigterm": true}, {"hang": true}]), "timed-out"),
        case("SIGTERM ignored by a child", before_work(&[shell(deaf)]), "success"),
        holder(
            "output held by a deaf grandchild",
            r#"(setsid sh -c 'held=$(readlink /proc/$$/fd/1); echo "$held" >"$0"; trap "" TERM INT HUP; sleep 60; sleep 60' "$HELD" &)"#,
        ),
        case("silence", json!([{"hang": true}]), "timed-out"),
        holder(
            "output held by a grandchild",
            r#"(setsid sh -c 'held=$(readlink /proc/$$/fd/1); echo "$held" >"$0"; exec sleep 60' "$HELD" &)"#,
        ),
        case(
            "double fork",
            before_work(&[json!({"leave_child": {"setsid": true, "double_fork": true}})]),
            "success",
        ),
        case(
            "a child without the marker",
            before_work(&[shell("env -i setsid sleep 60 >/dev/null 2>&1 &")]),
            "success",
        ),
        case("200 children", before_work(&[shell(bomb)]), "success"),
        case("a flood", before_work(&[json!({"flood": {"bytes": 8 << 20, "line": 1000}})]), "success"),
        case(
            "a line of 10 MB",
            before_work(&[json!({"flood": {"bytes": 10 << 20, "line": 10 << 20}})]),
            "success",
        ),
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

/// What was seen of all runs.
#[derive(Debug, Default)]
struct Figures {
    runs: usize,
    processes: usize,
    left: usize,
    wrong: Vec<String>,
    /// From the agent's end to that of the last process, and to that of the supervisor.
    longest_sweep: Duration,
    longest_end: Duration,
    /// The supervisors' VmRSS and RssAnon at most, and what one grew by, in KiB.
    resident: u64,
    anonymous: u64,
    growth: u64,
}

/// Runs all of them so often, each as an issue of its own; several at once.
fn run_all(cases: &[Case], rounds: usize, figures: &Mutex<Figures>) {
    let all: Vec<(u64, &Case)> = (1..).zip((0..rounds).flat_map(|_| cases)).collect();
    let script = all.iter().map(|(number, case)| (number.to_string(), case.steps.clone()));
    let issues = all.iter().map(|(number, _)| json!({"number": number, "title": format!("Issue {number}"), "body": "Do it.", "labels": ["claude-ready"]}));
    let plan = Plan { script: json!({"issues": Value::Object(script.collect())}), ..Plan::default() };
    let plan = Plan { issues: Value::Array(issues.collect()), ..plan };
    let house = House::new(&plan);
    let held = house.text_of("held");
    let arms = all.iter().map(|(number, case)| format!("{number}) {} ;;", case.before));
    let script = format!(
        "HELD=\"{held}.$CQ_ISSUE\"; case $CQ_ISSUE in {} esac; exec \"$@\"",
        arms.collect::<String>()
    );
    house.configure(|config| {
        config["queue"]["maxConcurrentIssues"] = json!(100);
        config["claude"]["maxInstances"] = json!(100);
        config["queue"]["timeoutMinutes"] = json!(0.1);
        let command = config["agents"]["claude"]["command"].as_array_mut().unwrap();
        command.splice(0..0, ["sh", "-c", script.as_str(), "agent"].map(Value::from));
    });
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..if rounds > 1 { 8 } else { 4 } {
            scope.spawn(|| {
                while let Some((number, case)) = all.get(next.fetch_add(1, Ordering::SeqCst)) {
                    one(&house, *number, case, figures);
                }
            });
        }
    });
}

fn one(house: &House, number: u64, case: &Case, figures: &Mutex<Figures>) {
    let name = case.name;
    house.claim(number);
    let claim = marker(house, number);
    let mut spawn = house.cq("spawn").args(["--wait", &number.to_string()]).start();
    let began = Instant::now();
    let (mut tree, mut first, mut most) = (Tree::default(), None, (0, 0));
    while spawn.try_wait().unwrap().is_none() {
        let run = house.record(number)["run"].clone();
        let pid = |value: &Value| value.as_i64().and_then(|pid| i32::try_from(pid).ok());
        if let (Some(supervisor), Some(agent)) = (pid(&run["supervisor"]["pid"]), pid(&run["pid"])) {
            tree.look(supervisor, agent, &claim);
            if let Some((rss, anonymous)) = memory(&run["supervisor"]["pid"]) {
                first.get_or_insert(anonymous);
                most = (most.0.max(rss), most.1.max(anonymous));
            }
        }
        assert!(began.elapsed() < Duration::from_secs(120), "{name}: it does not end");
        std::thread::sleep(Duration::from_millis(50));
    }
    let ended = Instant::now();
    let left = tree.left(&claim);
    let record = house.record(number);
    let agent_gone = tree.agent_gone.unwrap_or(ended);
    let swept = tree.all_gone.unwrap_or(ended) - agent_gone;
    let mut figures = figures.lock().unwrap();
    figures.runs += 1;
    figures.processes += tree.count();
    figures.left += left.len();
    if !left.is_empty() {
        figures.wrong.push(format!("{name}: {left:?} are left"));
    }
    if record["outcome"] != case.outcome {
        figures.wrong.push(format!("{name}: {}: {}", record["outcome"], record["history"]));
    }
    if swept > GRACE + BUSY {
        figures.wrong.push(format!("{name}: swept for {swept:?}"));
    }
    let growth = most.1.saturating_sub(first.unwrap_or(most.1));
    if growth > GROWTH {
        figures.wrong.push(format!("{name}: the supervisor grew by {growth} KiB"));
    }
    if name == "200 children" && tree.count() < 200 {
        figures.wrong.push(format!("{name}: only {} processes were seen", tree.count()));
    }
    if name.starts_with("output held") {
        let held = fs::read_to_string(house.place(&format!("held.{number}"))).unwrap_or_default();
        if !held.trim_end().ends_with(".stdout.jsonl") {
            figures.wrong.push(format!("{name}: it holds '{held}', not the run's output"));
        }
    }
    figures.longest_sweep = figures.longest_sweep.max(swept);
    figures.longest_end = figures.longest_end.max(ended - agent_gone);
    figures.resident = figures.resident.max(most.0);
    figures.anonymous = figures.anonymous.max(most.1);
    figures.growth = figures.growth.max(growth);
    println!("{name}: {}, {} processes, swept in {swept:?}", record["outcome"], tree.count());
}

#[test]
fn nothing_is_left_of_a_hostile_run() {
    let figures = Mutex::new(Figures::default());
    for batch in 0..if long() { 9 } else { 1 } {
        run_all(&cases(), if long() { 4 } else { 1 }, &figures);
        println!("after batch {}: {:?}", batch + 1, figures.lock().unwrap());
    }
    let figures = figures.into_inner().unwrap();
    assert!(figures.wrong.is_empty() && figures.left == 0, "{figures:#?}");
    // Who never saw a process cannot tell that none is left.
    assert!(figures.processes > figures.runs && figures.anonymous > 0, "{figures:#?}");
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

/// The table shows it as ended, and it has no environment there.
#[test]
fn a_child_whose_first_thread_has_ended_does_not_outlive_its_run() {
    let threads = Command::new("perl").args(["-Mthreads", "-e", "1"]).output();
    let exit = if cfg!(target_arch = "x86_64") { 60 } else { 93 };
    if !threads.is_ok_and(|output| output.status.success()) {
        return skip(
            "a_child_whose_first_thread_has_ended_does_not_outlive_its_run",
            "perl has no threads here",
        );
    }
    let perl = format!(
        "use threads; $SIG{{TERM}} = 'IGNORE'; open my $f, '>', 'pid'; print $f $$; close $f; \
         threads->create(sub {{ sleep 60 }}); syscall({exit}, 0)"
    );
    let shell = "setsid perl -e \"$0\" >/dev/null 2>&1 & \
                 until grep -qs '^State:.*Z' /proc/$(cat pid 2>/dev/null)/status; do sleep 0.1; done; mv pid \"$1\"";
    let house = House::usual();
    let pid = house.place("lost");
    let steps = before_work(&[json!({"run": ["sh", "-c", shell, perl, pid]})]);
    fs::write(house.place("script.json"), json!({"default": steps}).to_string()).unwrap();
    // By the looks of the supervisor alone.
    house.configure(|config| config["limits"]["mechanism"] = json!("watchdog"));
    house.work(1).good();
    assert_eq!(house.record(1)["outcome"], "success", "{}", house.record(1)["history"]);
    let pid = fs::read_to_string(pid).unwrap();
    let threads = fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    assert_eq!(threads, 0, "process {pid}");
}

#[test]
fn a_result_that_nothing_follows_is_enough() {
    let (house, ..) = watched(&after_work(&[json!({"hang_after_result": true})]));
    let record = house.record(1);
    assert_eq!(record["outcome"], "success", "{}", record["history"]);
}

/// A background task brings another turn: its minute of silence is none after the end.
#[test]
fn a_turn_after_a_result_is_not_cut_off() {
    let result = json!({
        "type": "result", "subtype": "success", "is_error": false, "result": "So far.", "session_id": "s", "num_turns": 1,
    });
    let (house, ..) = watched(&json!([
        {"print_raw": format!("{result}\n")}, {"say": "The build is done; I go on."}, {"sleep_ms": 63000},
        {"write": {"path": "new.txt", "content": "x"}}, {"commit": "Add a file"}, {"say": "Now it is done."},
    ]));
    let record = house.record(1);
    assert_eq!(
        (&record["outcome"], &record["run"]["exit"]),
        (&json!("success"), &json!(0)),
        "{}",
        record["history"]
    );
    assert!(house.log(1).contains("done: Now it is done."), "{}", house.log(1));
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
