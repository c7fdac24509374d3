//! Supervisors that are killed at any moment: one cq-monitor later the state has converged, and the log is whole.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::skip::skip;
use crate::support::wait::{until, until_ended};
use crate::{House, long, marker, why};

const LATER: &str = "2199-01-01T00:00:00Z";

/// Every word of an agent that counts, and after each of some of them the supervisor is killed: by the agent, so that
/// the moment is near what it said.
fn steps(kill_after: u64) -> Value {
    // The shell's parent is the agent, and the agent's the supervisor.
    let kill = "up=$(cut -d' ' -f4 /proc/$PPID/stat); test \"$(cat /proc/$up/comm)\" = cq-supervise && kill -KILL $up";
    let mut steps = Vec::new();
    for number in 0..60 {
        steps.push(json!({"say": format!("word {number}.")}));
        if number == kill_after {
            steps.push(json!({"run": ["sh", "-c", kill]}));
        }
        if number % 7 == 3 {
            steps.push(json!({"sleep_ms": 40}));
        }
    }
    steps.extend([json!({"print_raw": "no line end follows"}), json!({"hang": true})]);
    Value::Array(steps)
}

/// How often each word is in the log.
fn words(log: &str) -> Vec<usize> {
    (0..60)
        .map(|number| log.lines().filter(|line| line.ends_with(&format!("  word {number}."))).count())
        .collect()
}

#[test]
fn no_word_is_lost_or_told_twice_when_the_supervisor_is_killed() {
    let times = if long() { 60 } else { 5 };
    for time in 0..times {
        let after = fastrand::u64(0..60);
        let house = House::with_steps(&steps(after));
        house.work_detached(1);
        let claim = marker(&house, 1);
        let pid = house.record(1)["run"]["supervisor"]["pid"].to_string();
        until_ended(&pid);
        let raw = fs::read_dir(house.clone().join("logs/claude-instance-1")).unwrap().flatten();
        let raw = raw
            .map(|entry| entry.path())
            .find(|path| path.to_string_lossy().ends_with(".stdout.jsonl"))
            .unwrap();
        until("the last word", || fs::read_to_string(&raw).unwrap().contains("no line end").then_some(()));
        if time % 2 == 1 {
            as_if_killed_within_an_entry(&house, &raw);
        }
        house.cq("monitor").run().ends(0, "issue #1 had lost its supervisor; it is queued now");
        assert_eq!(House::processes_with(&claim), Vec::<i32>::new());
        let log = house.log(1);
        assert_eq!(words(&log), vec![1; 60], "{time}: killed after {after}: {log}");
        assert_eq!(log.matches("no line end follows").count(), 1, "{log}");
        house.cq("monitor").run().quietly();
        assert_eq!(house.log(1), log, "what was buried is not told again");
    }
}

/// As it is when the supervisor dies after it has told something and before it has noted that, in the midst of an entry.
fn as_if_killed_within_an_entry(house: &House, raw: &Path) {
    let note =
        raw.with_file_name(raw.file_name().unwrap().to_str().unwrap().replace("stdout.jsonl", "told.txt"));
    let text = fs::read_to_string(&note).unwrap();
    let begins = text.split(' ').next().unwrap();
    fs::write(&note, format!("{begins} {:020} {begins}\n", 0)).unwrap();
    let torn = house.log(1) + "2026-01-31T09:30:00.000Z  word";
    fs::write(house.workspace(1).join("claude.log"), torn).unwrap();
}

/// An agent that notes each start where it cannot be forgotten, and whether another one is at work.
fn counted() -> House {
    // Two at once on one worktree would find each other's lock.
    let alone = "echo $CQ_ATTEMPT >>../../../starts; \
        flock -n -E 99 ../alone sleep 0.15; test $? != 99 || echo twice >>../../../twice";
    House::with_steps(&json!([
        {"say": "I begin."}, {"run": ["sh", "-c", alone]}, {"append": {"path": "new.txt", "content": "x\n"}},
        {"commit": "Add a file"},
    ]))
}

/// After a supervisor's death: one cq-monitor, and nothing runs that nobody knows of; then the queue goes on, to one
/// pull request. Each attempt had one agent at most, and what each said is in the log.
fn converges(house: &House, context: &str) {
    let claim = marker(house, 1);
    house.shell("cq-monitor >/dev/null").run();
    let record = house.record(1);
    let status = record["status"].as_str().unwrap();
    assert!(["queued", "testing", "pr-ready"].contains(&status), "{context}: {record}");
    if status == "queued" {
        assert_eq!(House::processes_with(&claim), Vec::<i32>::new(), "{context}");
    }
    house.shell("cq-monitor | cq-spawn --wait | cq-gate | cq-pr").at(LATER).run();
    let record = house.record(1);
    assert_eq!(record["status"], "pr-ready", "{context}: {record}");
    assert_eq!(house.lab.pulls().len(), 1, "{context}");
    assert!(!house.clone().join("twice").exists(), "{context}: two agents at once");
    let starts = fs::read_to_string(house.clone().join("starts")).unwrap();
    let starts: Vec<&str> = starts.lines().collect();
    let attempts: std::collections::BTreeSet<&&str> = starts.iter().collect();
    assert_eq!(starts.len(), attempts.len(), "{context}: an attempt had two agents: {starts:?}");
    let said = house.log(1).matches("I begin.").count();
    assert!(said >= starts.len(), "{context}: {said} of {starts:?} are in the log");
}

/// The moment is drawn from all that a run takes.
#[test]
fn a_supervisor_killed_at_any_moment_leaves_one_run_and_a_state_that_converges() {
    let times = if long() { 100 } else { 4 };
    let mut before = std::collections::BTreeMap::new();
    for time in 0..times {
        let house = counted();
        house.claim(1);
        let mut spawn = house.cq("spawn").args(["1"]).start();
        let moment = std::time::Duration::from_micros(fastrand::u64(0..1_200_000));
        std::thread::sleep(moment);
        // Or what makes the workspace for it.
        let victim = if time % 4 == 0 { "cq-prepare" } else { "cq-supervise" };
        let supervisors = house.named(&[victim]);
        for pid in &supervisors {
            let _ = kill_process(Pid::from_raw(*pid).unwrap(), Signal::KILL);
        }
        spawn.wait().unwrap();
        // What it had started besides the agent goes on to its end; so does a supervisor that was not there yet.
        let busy = ["cq-supervise", "cq-prepare", "cq-gate", "cq-pr"];
        until("the end of what goes on", || house.named(&busy).is_empty().then_some(()));
        *before.entry((!supervisors.is_empty(), house.status(1))).or_insert(0) += 1;
        converges(&house, &format!("{time}, {moment:?}"));
    }
    println!("whether one was there to be killed, and what the record was then: {before:?}");
}

/// What a supervisor does to files, processes and locks: at each of these it is killed.
const DEEDS: &str = "rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,fsync,fdatasync,ftruncate,\
    write,clone,clone3,vfork,kill,pidfd_send_signal,flock,exit_group";

/// Runs cq-supervise, killed at a deed: the so-manieth of its kind. Gives its deeds, and whether it died at the last.
fn supervised(house: &House, kill: Option<(&str, usize)>) -> (Vec<String>, bool) {
    let trace = house.text_of("trace");
    let traced = format!("trace={DEEDS}");
    let mut arguments =
        vec!["-q".to_owned(), "-y".to_owned(), "-o".to_owned(), trace.clone(), "-e".to_owned(), traced];
    if let Some((kind, which)) = kill {
        arguments.extend(["-e".to_owned(), format!("inject={kind}:signal=KILL:when={which}")]);
    }
    arguments.extend(["cq-supervise", "claude-instance-1"].map(str::to_owned));
    house.program("strace").args(arguments).run();
    let trace = fs::read_to_string(trace).unwrap();
    let deeds = trace.lines().filter(|line| !line.starts_with(['+', '-']));
    (deeds.map(str::to_owned).collect(), trace.contains("+++ killed by SIGKILL"))
}

fn kind(deed: &str) -> &str {
    deed.split('(').next().unwrap()
}

/// A deed without the house's name, and not longer than a line.
fn plainly(deed: &str) -> String {
    let inside =
        deed.split("/clone").map(|part| part.rsplit_once("/tmp/cq ").map_or(part, |(before, _)| before));
    inside.collect::<String>().chars().take(110).collect()
}

/// Whether a supervisor can be killed at a deed here.
fn may_trace(test: &str) -> bool {
    let probe = std::process::Command::new("strace").args(["-o", "/dev/null", "true"]).status();
    let may = probe.is_ok_and(|status| status.success());
    if !may {
        skip(test, "strace is not here, or may not trace");
    }
    may
}

/// Which deed of its kind this one is.
fn which(all: &[String], at: usize) -> (&str, usize) {
    let kind_of = kind(&all[at]);
    (kind_of, all[..=at].iter().filter(|deed| kind(deed) == kind_of).count())
}

#[test]
fn a_supervisor_killed_at_each_of_its_deeds_leaves_a_state_that_converges() {
    if !may_trace("killed::at_each_of_its_deeds") {
        return;
    }
    let house = counted();
    house.claim(1);
    let (all, _) = supervised(&house, None);
    converges(&house, "not killed");
    assert!(all.len() > 100, "{} deeds were seen", all.len());
    // Each in turn, or some from all over the run.
    let times = if long() { all.len() } else { 8 };
    let within = |part: usize| (part * all.len() + fastrand::usize(0..all.len())) / times;
    let chosen: Vec<usize> = (0..times).map(within).collect();
    let mut killed = 0;
    for at in &chosen {
        let house = counted();
        house.claim(1);
        let (deeds, died) = supervised(&house, Some(which(&all, *at)));
        killed += usize::from(died);
        let last = plainly(deeds.last().unwrap());
        until("the end of its child", || house.named(&["cq-prepare"]).is_empty().then_some(()));
        println!("{at}: {} at {last}", if died { "killed" } else { "went on" });
        converges(&house, &format!("killed at {at} of {}: {last}", all.len()));
    }
    println!("{killed} of {} were killed, of {} deeds", chosen.len(), all.len());
    // What depends on time is not always as often.
    assert!(killed * 10 >= chosen.len() * 8, "{killed} of {chosen:?} were killed");
}

/// From the moment at which it is found: whoever ends the run comes to the same verdict, and all is put back.
#[test]
fn a_supervisor_killed_while_it_puts_back_leaves_the_verdict() {
    if !may_trace("killed::while_it_puts_back") {
        return;
    }
    let plant = "echo '#!/bin/sh' >\"$0\"; chmod +x \"$0\"";
    let planted = || {
        let house = House::usual();
        let hook = house.clone().join(".git/hooks/post-commit").display().to_string();
        let script = json!({"default": [{"run": ["sh", "-c", plant, hook]}, {"say": "Done."}]});
        fs::write(house.place("script.json"), script.to_string()).unwrap();
        house.claim(1);
        house
    };
    let (all, _) = supervised(&planted(), None);
    let noted = all.iter().position(|deed| deed.starts_with("rename") && deed.contains("found.json"));
    let last: Vec<usize> = (noted.unwrap()..all.len()).collect();
    assert!(last.len() > 10, "{last:?} of {all:#?}");
    for at in last.iter().copied().filter(|_| long() || fastrand::usize(0..last.len()) < 8) {
        let house = planted();
        let (deeds, died) = supervised(&house, Some(which(&all, at)));
        house.cq("monitor").run();
        let context = format!("{at} of {}: {died} {}", all.len(), plainly(deeds.last().unwrap()));
        println!("killed at {context}");
        let record = house.record(1);
        let verdict = (&record["status"], &record["outcome"]);
        assert_eq!(verdict, (&json!("failed"), &json!("tampered")), "{context}: {record}");
        assert!(why(&record).contains("hooks/post-commit"), "{context}: {}", why(&record));
        assert!(!house.clone().join(".git/hooks/post-commit").exists(), "{context}");
        // Whoever begins next is not blamed for it.
        fs::write(house.place("script.json"), json!({"default": [{"say": "No."}]}).to_string()).unwrap();
        house.cq("claim").args(["--retry", "1"]).run().good();
        house.cq("spawn").args(["--wait", "1"]).run();
        assert_eq!(house.record(1)["outcome"], "no-change", "{context}: {}", house.record(1));
    }
}

/// Numbers of processes are used again: one that only has the number is not touched, neither as a supervisor nor as an
/// agent.
#[test]
fn a_process_that_only_has_the_number_is_left_alone() {
    let house = House::with_steps(&json!([{"hang": true}]));
    house.work_detached(1);
    let mut stranger = house.program("sleep").args(["60"]).start();
    let supervisor = house.record(1)["run"]["supervisor"]["pid"].as_i64().unwrap();
    let file = house.state_dir().join("records/1.json");
    let mut record = house.record(1);
    record["run"]["supervisor"]["pid"] = json!(stranger.id());
    record["run"]["pid"] = json!(stranger.id());
    record["run"]["deadline_since_boot_ms"] = json!(1);
    fs::write(&file, record.to_string()).unwrap();
    // It seems to hang: the one that is noted is to be killed.
    house.cq("monitor").run().good();
    assert!(stranger.try_wait().unwrap().is_none() && house.status(1) == "in-progress");
    kill_process(Pid::from_raw(i32::try_from(supervisor).unwrap()).unwrap(), Signal::KILL).unwrap();
    until("its burial", || {
        house.cq("monitor").run();
        (house.status(1) == "queued").then_some(())
    });
    assert!(stranger.try_wait().unwrap().is_none());
    let _ = stranger.kill();
    stranger.wait().unwrap();
}
