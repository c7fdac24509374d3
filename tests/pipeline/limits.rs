//! What an agent may use: memory, processes; and what must be free before one is started.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::skip::skip;
use crate::support::wait::until;
use crate::{House, Plan};

const MIB: u64 = 1 << 20;

fn hog(steps: &Value) -> House {
    let good = json!([{"write": {"path": "good.txt", "content": "good"}}, {"commit": "Good work"}, {"sleep_ms": 2000}]);
    let house =
        House::new(&Plan { script: json!({"default": good, "issues": {"1": steps}}), ..Plan::default() });
    house.configure(|config| config["limits"]["memoryMegabytes"] = json!(200));
    house
}

/// The mechanism that cq-doctor says is in force, if it is the kernel's; else the test is skipped.
fn kernel(house: &House, test: &str) -> bool {
    let found = finding(house, "limits");
    let what = found["what"].as_str().unwrap();
    let enforced = what.contains("enforced by the kernel");
    if !enforced {
        skip(test, &format!("no mechanism of the kernel works here: {what}"));
    }
    enforced
}

fn finding(house: &House, check: &str) -> Value {
    let findings = house.cq("doctor").run().records();
    findings.into_iter().find(|found| found["check"] == check).unwrap()
}

fn why(record: &Value) -> &str {
    record["history"].as_array().unwrap().last().unwrap()["why"].as_str().unwrap()
}

/// The groups of a run, those that are left.
fn groups(record: &Value) -> Vec<PathBuf> {
    let groups = record["run"]["limits"]["groups"].as_array().cloned().unwrap_or_default();
    groups.iter().map(|group| PathBuf::from(group.as_str().unwrap())).filter(|group| group.is_dir()).collect()
}

#[track_caller]
fn died_of_memory(house: &House) {
    let record = house.record(1);
    assert_eq!(
        (&record["status"], &record["outcome"]),
        (&json!("queued"), &json!("out-of-memory")),
        "{record:#}"
    );
    assert!(why(&record).starts_with("out of memory: it took "), "{record:#}");
    assert!(why(&record).contains("the limit is 200 MiB"), "{record:#}");
    let peak = record["run"]["memory_peak_bytes"].as_u64().unwrap();
    assert!(peak > 150 * MIB && peak <= 220 * MIB, "{peak}");
    assert_eq!(record["run"]["limits"]["memory_bytes"], 200 * MIB);
    assert!(groups(&record).is_empty(), "{record:#}");
    let marker = format!("CQ_CLAIM={}", record["claim"]["token"].as_str().unwrap());
    assert!(House::processes_with(&marker).is_empty());
}

/// A hog and somebody beside it, at the same time.
#[track_caller]
fn beside_a_hog(house: &House) {
    house.claim(1);
    house.claim(2);
    house.cq("spawn").args(["--wait", "1", "2"]).run().good();
    died_of_memory(house);
    let other = house.record(2);
    assert_eq!((&other["status"], &other["outcome"]), (&json!("testing"), &json!("success")), "{other:#}");
    assert!(groups(&other).is_empty(), "{other:#}");
}

#[test]
fn a_hog_dies_of_its_own_memory_and_nobody_else() {
    let house = hog(&json!([{"say": "Hungry."}, {"eat_memory": {"megabytes": 2000}}, {"hang": true}]));
    if kernel(&house, "a_hog_dies_of_its_own_memory_and_nobody_else") {
        beside_a_hog(&house);
    }
}

#[test]
fn children_that_eat_count_as_the_agents_own() {
    let house = hog(&json!([{"eat_memory": {"megabytes": 1000, "children": 4}}, {"commit": "Never"}]));
    if kernel(&house, "children_that_eat_count_as_the_agents_own") {
        house.work(1).good();
        died_of_memory(&house);
    }
}

/// A compiler that was too greedy is not the end: the agent tried another way.
#[test]
fn an_agent_that_outlives_its_greedy_child_is_judged_by_its_work() {
    let greedy = ["sh", "-c", "head -c 1000M /dev/zero | tail | wc -c"];
    let house = hog(&json!([
        {"run": greedy}, {"write": {"path": "good.txt", "content": "good"}}, {"commit": "Another way"},
    ]));
    let test = "an_agent_that_outlives_its_greedy_child_is_judged_by_its_work";
    if !kernel(&house, test) {
        return;
    }
    house.work(1).good();
    let record = house.record(1);
    if record["run"]["limits"]["mechanism"] != "cgroup-v1" {
        // There the whole group dies at once.
        assert_eq!(record["outcome"], "out-of-memory", "{record:#}");
        return;
    }
    assert_eq!((&record["status"], &record["outcome"]), (&json!("testing"), &json!("success")), "{record:#}");
    assert!(
        why(&record).contains("1 commit; a process was killed for want of memory: it took 200 MiB"),
        "{record:#}"
    );
}

#[test]
fn where_no_kernel_does_a_watchdog_sees_to_memory() {
    // Slowly enough for somebody who looks four times a second, on a busy machine.
    let house = hog(&json!([{"eat_memory": {"megabytes": 2000, "pause_ms": 25}}, {"hang": true}]));
    house.configure(|config| config["limits"]["mechanism"] = json!("watchdog"));
    let found = finding(&house, "limits");
    assert!(
        found["what"].as_str().unwrap().contains("200 MiB of memory, watched by the supervisor"),
        "{found}"
    );
    beside_a_hog(&house);
    let limits = house.record(1)["run"]["limits"].clone();
    assert_eq!((&limits["mechanism"], &limits["processes"]), (&json!("watchdog"), &Value::Null));
    assert!(limits["lacking"].as_str().unwrap().contains("limits.processes is not in force"), "{limits}");
    assert!(
        house.log(1).contains("limits by watchdog; limits.processes is not in force"),
        "{}",
        house.log(1)
    );
}

#[test]
fn a_fork_bomb_gets_no_more_processes_than_it_may() {
    let bomb = "bomb() { bomb | bomb & }; bomb";
    let house = House::with_steps(
        &json!([{"ignore_sigterm": true}, {"run": ["setsid", "sh", "-c", bomb]}, {"hang": true}]),
    );
    house.configure(|config| config["limits"]["processes"] = json!(40));
    if !kernel(&house, "a_fork_bomb_gets_no_more_processes_than_it_may") {
        return;
    }
    house.work_detached(1);
    let record = house.record(1);
    assert_eq!(record["run"]["limits"]["processes"], 40, "{record:#}");
    let (_, refused) = until("a fork that is refused", || {
        let counted = |group: &PathBuf| {
            let read = |name| fs::read_to_string(group.join(name)).ok();
            Some((read("pids.current")?, read("pids.events")?))
        };
        groups(&record).iter().find_map(counted).filter(|(now, events)| {
            assert!(now.trim().parse::<u32>().unwrap() <= 40, "{now}");
            events.trim() != "max 0"
        })
    });
    assert!(refused.starts_with("max "), "{refused}");
    let explained = house.cq("status").args(["--explain", "1"]).run().quietly().stdout;
    assert!(explained.contains("40 processes, enforced by the kernel"), "{explained}");
    let table = house.cq("status").args(["--format", "table"]).run().good();
    assert!(table.stderr.contains("in flight; limits by "), "{}", table.stderr);
    house.cq("stop").args(["--abort"]).run().good();
    let marker = format!("CQ_CLAIM={}", record["claim"]["token"].as_str().unwrap());
    assert!(House::processes_with(&marker).is_empty());
    assert!(groups(&record).is_empty());
}

#[test]
fn what_a_killed_supervisor_leaves_is_ended_and_removed() {
    let house =
        House::with_steps(&json!([{"leave_child": {"setsid": true, "double_fork": true}}, {"hang": true}]));
    if !kernel(&house, "what_a_killed_supervisor_leaves_is_ended_and_removed") {
        return;
    }
    house.work_detached(1);
    let record = house.record(1);
    let left = groups(&record);
    assert!(!left.is_empty());
    // The supervisor is outside: its pid is in none of them.
    let supervisor = record["run"]["supervisor"]["pid"].as_u64().unwrap().to_string();
    let members = |group: &Path| fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    assert!(left.iter().all(|group| !members(group).lines().any(|pid| pid == supervisor)));
    let agent = record["run"]["pid"].as_u64().unwrap().to_string();
    until("the agent in all of its groups", || {
        left.iter().all(|group| members(group).lines().any(|pid| pid == agent)).then_some(())
    });
    // One of an attempt that never came into the record.
    let name = left[0].file_name().unwrap().to_str().unwrap();
    let other = left[0].with_file_name(name.replace("claude-instance-1", "claude-instance-9"));
    fs::create_dir(&other).unwrap();
    let pid = rustix::process::Pid::from_raw(supervisor.parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    until("the lock's release", || {
        house.cq("monitor").run().good();
        (house.status(1) != "in-progress").then_some(())
    });
    assert!(groups(&record).is_empty() && !other.exists());
    assert!(
        House::processes_with(&format!("CQ_CLAIM={}", record["claim"]["token"].as_str().unwrap())).is_empty()
    );
}

#[test]
fn required_starts_nobody_without_the_kernel() {
    let house = House::usual();
    house.configure(|config| config["limits"] = json!({"required": true, "mechanism": "watchdog"}));
    house.claim(1);
    let ran = house.cq("spawn").args(["--wait", "1"]).run();
    let ran =
        ran.ends(78, "issue #1: limits.required is set, and the kernel cannot enforce the limits here: ");
    assert!(ran.stderr.contains("hint: cq-doctor says what is missing"), "{}", ran.stderr);
    let record = house.record(1);
    assert_eq!((&record["status"], &record["claim"]["attempt"]), (&json!("queued"), &json!(1)), "{record:#}");
    assert!(record["run"].is_null());
    assert_eq!(finding(&house, "limits")["verdict"], "error");
}

/// systemd-run that makes a control group of its own, as systemd would, or fails.
#[test]
fn a_scope_that_cannot_be_made_is_replaced_by_the_next_mechanism() {
    let house = House::usual();
    let programs = house.place("programs");
    fs::create_dir(&programs).unwrap();
    let program = |name: &str, text: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        let file = programs.join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    };
    program("systemctl", "#!/bin/sh\nexit 0\n");
    program("systemd-run", "#!/bin/sh\necho 'Failed to connect to bus' >&2\nexit 1\n");
    house.configure(|config| config["limits"]["mechanism"] = json!("systemd-scope"));
    let bin = crate::support::house::binaries();
    let path = format!("{}:{}:/usr/local/bin:/usr/bin:/bin", programs.display(), bin.display());
    house.claim(1);
    house.cq("spawn").args(["--wait", "1"]).env("PATH", &path).run().good();
    let record = house.record(1);
    assert_eq!(record["outcome"], "success", "{record:#}");
    let limits = &record["run"]["limits"];
    assert_ne!(limits["mechanism"], "systemd-scope");
    assert!(
        limits["lacking"].as_str().unwrap().starts_with("systemd-scope: systemd-run did not start"),
        "{limits}"
    );
    assert!(house.log(1).contains("systemd-run did not start the agent"), "{}", house.log(1));

    let arguments = house.text_of("arguments");
    let run = "#!/bin/sh\nprintf '%s\\n' \"$@\" > \"$0.arguments\"\nwhile [ \"$1\" != -- ]; do shift; done; shift\nINVOCATION_ID=1 exec \"$@\"\n";
    program("systemd-run", run);
    fs::write(
        house.place("script.json"),
        json!({"default": [{"dump_env": arguments}, {"exit": 1}]}).to_string(),
    )
    .unwrap();
    house.claim(2);
    house.cq("spawn").args(["--wait", "2"]).env("PATH", &path).run().good();
    let record = house.record(2);
    assert_eq!(record["outcome"], "agent-error", "{record:#}");
    let limits = &record["run"]["limits"];
    assert_eq!((&limits["mechanism"], &limits["lacking"]), (&json!("systemd-scope"), &Value::Null));
    let unit = limits["groups"][0].as_str().unwrap();
    assert!(unit.starts_with("cq-") && unit.ends_with("-1.scope"), "{unit}");
    let seen = fs::read_to_string(arguments).unwrap();
    assert!(!seen.contains("INVOCATION_ID") && !seen.contains("XDG_RUNTIME_DIR"), "{seen}");
    let said = fs::read_to_string(programs.join("systemd-run.arguments")).unwrap();
    for argument in
        ["--scope", "MemoryMax=4294967296", "MemorySwapMax=0", "TasksMax=1024", &format!("--unit={unit}")]
    {
        assert!(said.lines().any(|line| line == argument), "{argument} in {said}");
    }
}

/// A systemd that answers late would start a second agent beside the one that another mechanism has started.
#[test]
fn a_scope_that_is_made_too_late_starts_no_second_agent() {
    let house = House::usual();
    let programs = house.place("programs");
    fs::create_dir(&programs).unwrap();
    for (name, text) in [
        ("systemctl", "#!/bin/sh\nexit 0\n"),
        ("systemd-run", "#!/bin/sh\nsleep 11\nwhile [ \"$1\" != -- ]; do shift; done; shift\nexec \"$@\"\n"),
    ] {
        use std::os::unix::fs::PermissionsExt as _;
        fs::write(programs.join(name), text).unwrap();
        fs::set_permissions(programs.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let starts = house.text_of("starts");
    let steps = json!([
        {"run": ["sh", "-c", "echo started >>\"$0\"; sleep 2", starts]},
        {"append": {"path": "new.txt", "content": "x\n"}}, {"commit": "Add a file"},
    ]);
    fs::write(house.place("script.json"), json!({ "default": steps }).to_string()).unwrap();
    house.configure(|config| config["limits"]["mechanism"] = json!("systemd-scope"));
    let path = format!(
        "{}:{}:/usr/local/bin:/usr/bin:/bin",
        programs.display(),
        crate::support::house::binaries().display()
    );
    house.claim(1);
    house.cq("spawn").args(["--wait", "1"]).env("PATH", &path).run().good();
    assert_eq!(house.record(1)["outcome"], "success", "{}", house.record(1)["history"]);
    assert_eq!(fs::read_to_string(starts).unwrap(), "started\n");
}

/// Orphans come to the supervisor when they end; left to lie, they would count among the processes of the run.
#[test]
fn orphans_that_have_ended_count_no_more() {
    let test = "orphans_that_have_ended_count_no_more";
    let batches = "for i in $(seq 8); do for j in $(seq 30); do (true &) || exit 1; done; sleep 0.6; done";
    let house = House::with_steps(&json!([
        {"run": ["sh", "-c", batches]}, {"write": {"path": "new.txt", "content": "x"}}, {"commit": "Add a file"},
    ]));
    if !kernel(&house, test) {
        return;
    }
    house.configure(|config| config["limits"]["processes"] = json!(80));
    house.work(1).good();
    assert_eq!(house.record(1)["outcome"], "success", "{}", house.log(1));
}

#[test]
fn a_full_machine_starts_no_more_agents() {
    let house = House::usual();
    house.configure(|config| config["limits"]["freeDiskMegabytes"] = json!(1_000_000_000_000_u64));
    house.claim(1);
    house.claim(2);
    let before = house.record(1);
    let ran = house.cq("spawn").args(["1", "2"]).run().ends(75, "cq-spawn: issue #1 has to wait: ");
    assert!(
        ran.stderr.contains("MiB of disk are free for workspaces, 1000000000000 are needed"),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains("issue #2 has to wait")
            && ran.stderr.contains("limits.freeDiskMegabytes decides")
    );
    assert_eq!(house.record(1), before, "it stays queued, and due");
    assert_eq!(finding(&house, "limits.room")["verdict"], "warning");
    // Nothing of it is in the way later.
    house.configure(|config| config["limits"]["freeDiskMegabytes"] = json!(0));
    house.cq("spawn").args(["--wait", "1"]).run().good();
    house.configure(|config| config["limits"]["freeMemoryMegabytes"] = json!(1_000_000_000_000_u64));
    house.cq("spawn").args(["2"]).run().ends(75, "MiB of memory are free, 1000000000000 are needed");
    house.cq("spawn").args(["2", "--dry-run"]).run().ends(75, "issue #2 has to wait");
    house.configure(|config| {
        config["limits"] =
            json!({"maxLoadPerCpu": 0.000_001, "freeMemoryMegabytes": 0, "freeDiskMegabytes": 0});
    });
    if fs::read_to_string("/proc/loadavg").is_ok_and(|text| !text.starts_with("0.00 ")) {
        house.cq("spawn").args(["2"]).run().ends(75, "the load per processor is ");
    } else {
        skip("a_full_machine_starts_no_more_agents", "this machine has nothing to do, or does not say");
    }
}
