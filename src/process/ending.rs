//! Ending processes: asked first, then killed, whatever they do against it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rustix::process::{PidfdFlags, Signal, getpgid, kill_process_group, pidfd_open, pidfd_send_signal};

use super::table::Entry;
use super::tree::pid_of;

/// How long the kernel may take to clear away what was killed.
const CLEARING: Duration = Duration::from_secs(5);

/// What became of processes that were to end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ended {
    /// How many there were at first.
    pub found: usize,
    /// How many are still there: the kernel does not let go of them.
    pub left: usize,
    /// How long it took.
    pub took: Duration,
}

/// Ends every process that `find` names: SIGTERM, up to `grace`, then SIGKILL, until none is found twice or the
/// kernel had its time. `reap` is called between looks.
pub fn end_all(find: impl Fn() -> Vec<u32>, grace: Duration, reap: impl Fn()) -> Ended {
    let began = Instant::now();
    let first = find();
    let ended = |left: usize| Ended { found: first.len(), left, took: began.elapsed() };
    if first.is_empty() {
        return ended(0);
    }
    let mut asked = BTreeSet::new();
    let mut pause = Duration::from_millis(2);
    let mut left = first.clone();
    while began.elapsed() < grace {
        left.retain(|pid| asked.insert(*pid));
        signal_all(&left, Signal::TERM);
        // What is stopped hears nothing before it goes on.
        signal_all(&left, Signal::CONT);
        std::thread::sleep(pause.min(grace.saturating_sub(began.elapsed())));
        pause = (pause * 2).min(Duration::from_millis(50));
        reap();
        left = find();
        if left.is_empty() {
            return ended(0);
        }
    }
    let killing = Instant::now();
    let mut quiet = 0;
    loop {
        kill(&find);
        reap();
        left = find();
        quiet = if left.is_empty() { quiet + 1 } else { 0 };
        if quiet == 2 || killing.elapsed() > CLEARING {
            return ended(left.len());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Stops all before it kills one: what is stopped cannot fork, so a process that leaves its successor behind and
/// goes is caught as soon as one look finds nobody new.
fn kill(find: &impl Fn() -> Vec<u32>) {
    let mut stopped = BTreeSet::new();
    for _ in 0..20 {
        let mut new = find();
        new.retain(|pid| stopped.insert(*pid));
        if new.is_empty() {
            break;
        }
        signal_all(&new, Signal::STOP);
        // A group is killed in one stroke, the forks of this moment included. Only while a stopped member pins its
        // number: otherwise it could be somebody else's by now.
        let own = getpgid(None).ok();
        let entries = new.iter().filter_map(|pid| Entry::of(*pid)).filter(Entry::stopped);
        let groups: BTreeSet<u32> = entries.map(|entry| entry.group).filter(|group| *group > 1).collect();
        for group in groups.into_iter().filter_map(pid_of).filter(|group| Some(*group) != own) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
    let all: Vec<u32> = stopped.into_iter().collect();
    signal_all(&all, Signal::KILL);
}

/// Stops every process that `find` names, until none of them moves: one that was born meanwhile is found by the
/// next look. What still moves after some looks waits for a disk, and stops when it has what it waits for.
pub fn stop_all(find: impl Fn() -> Vec<u32>) {
    for _ in 0..50 {
        let moving: Vec<u32> = find().into_iter().filter(|pid| moves(*pid)).collect();
        if moving.is_empty() {
            return;
        }
        signal_all(&moving, Signal::STOP);
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether a process is neither stopped nor ended.
fn moves(pid: u32) -> bool {
    Entry::of(pid).is_some_and(|entry| !entry.stopped() && !entry.ended())
}

/// Signals through a pidfd, so that a number that was given to another process meanwhile is not hit.
pub fn signal_all(pids: &[u32], signal: Signal) {
    for pid in pids.iter().copied().filter_map(pid_of) {
        if let Ok(fd) = pidfd_open(pid, PidfdFlags::empty()) {
            let _ = pidfd_send_signal(fd, signal);
        }
    }
}

/// Signals the process with this number only if it is the one that was started then (clock ticks since boot). The
/// look comes after the pidfd, which stays with the process that it was opened for. Whether it was signalled.
pub fn signal_started(pid: u32, started: u64, signal: Signal) -> bool {
    let Some(fd) = pid_of(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else {
        return false;
    };
    super::table::started(pid) == Some(started) && pidfd_send_signal(fd, signal).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{Program, carrying, marked, started};

    fn marked_shell(script: &str, value: &str) {
        Program::new("/bin/sh", "/")
            .args(["-c", script])
            .env("CQ_TEST_MARK", value)
            .env("PATH", "/usr/bin:/bin")
            .run(Duration::from_secs(10))
            .unwrap();
    }

    #[test]
    fn a_marked_process_is_found_wherever_it_went_and_ended() {
        let scripts = [
            ("deaf", "setsid sh -c 'trap \"\" TERM; sleep 60' >/dev/null 2>&1 &"),
            ("stopped", "setsid sh -c 'kill -STOP $$; sleep 60' >/dev/null 2>&1 &"),
        ];
        for (name, script) in scripts {
            let value = format!("{name}-{}", std::process::id());
            marked_shell(script, &value);
            let find = || marked("CQ_TEST_MARK", &value);
            assert!(!find().is_empty());
            let ended = end_all(find, Duration::from_millis(50), || {});
            assert!(ended.found > 0 && ended.left == 0, "{name}: {ended:?}");
            assert!(find().is_empty(), "{name}");
        }
    }

    #[test]
    fn a_stopped_process_stands_still_and_still_ends_when_it_is_told_to() {
        let value = format!("stop-{}", std::process::id());
        Program::new("/bin/sh", "/")
            .args(["-c", "setsid sh -c 'while :; do sleep 0.01; done' >/dev/null 2>&1 &"])
            .env("CQ_TEST_MARK", &value)
            .env("CQ_TEST_TWO", "2")
            .env("PATH", "/usr/bin:/bin")
            .run(Duration::from_secs(10))
            .unwrap();
        let find = || marked("CQ_TEST_MARK", &value);
        stop_all(find);
        let stopped = find();
        // One that waits for its child to become a program cannot be stopped, and stands still with that child.
        std::thread::sleep(Duration::from_millis(200));
        assert!(!stopped.is_empty() && find() == stopped);
        let carrying = carrying(["CQ_TEST_MARK", "CQ_TEST_TWO", "CQ_TEST_NONE"]);
        let of_test = carrying.iter().find(|(pid, _)| *pid == stopped[0]).unwrap();
        assert_eq!(of_test.1, [Some(value.clone()), Some("2".to_owned()), None]);
        let began = Instant::now();
        end_all(find, Duration::from_secs(60), || {});
        assert!(find().is_empty() && began.elapsed() < Duration::from_secs(30), "SIGTERM was enough");
    }

    #[test]
    fn a_process_that_only_has_the_number_is_not_signalled() {
        let running = Program::new("/bin/sleep", "/").args(["60"]).start().unwrap();
        let pid = running.pid().unwrap();
        let start = started(pid).unwrap();
        assert!(!signal_started(pid, start - 1, Signal::KILL));
        assert!(!signal_started(pid, start + 1, Signal::KILL));
        assert_eq!(running.wait(Duration::from_millis(50)).unwrap().map(|ended| ended.exit), None);
        assert!(signal_started(pid, start, Signal::KILL));
        assert_eq!(running.wait(Duration::from_secs(10)).unwrap().map(|ended| ended.exit), Some(137));
        assert!(!signal_started(pid, start, Signal::KILL), "it has ended");
    }
}
