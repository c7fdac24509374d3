//! The processes of a run: found by descent, or by the environment marker they inherited, and ended.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, pidfd_send_signal, waitpid};

pub(super) fn pid_of(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// Every process whose environment holds `NAME=value`, this one excepted.
pub fn marked(name: &str, value: &str) -> Vec<u32> {
    let marker = format!("{name}={value}").into_bytes();
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pid = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
    let holds = |pid: &u32| {
        std::fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|entry| entry == marker))
    };
    entries.flatten().filter_map(pid).filter(|pid| *pid != std::process::id()).filter(holds).collect()
}

/// A line of the process table.
struct Entry {
    pid: u32,
    parent: u32,
    ended: bool,
}

/// The process table as it is now; what disappears while it is read is left out.
fn table() -> Vec<Entry> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let entry = |entry: std::fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // The name in parentheses may hold anything, spaces and `)` included.
        let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace();
        let ended = matches!(fields.next()?, "Z" | "X");
        Some(Entry { pid, parent: fields.next()?.parse().ok()?, ended })
    };
    entries.flatten().filter_map(entry).collect()
}

/// The living descendants of this process.
pub fn descendants() -> Vec<u32> {
    let table = table();
    let parents: BTreeMap<u32, u32> = table.iter().map(|entry| (entry.pid, entry.parent)).collect();
    let me = std::process::id();
    // A bounded climb: the table may hold a loop if pids were used again while it was read.
    let below_me = |pid: u32| {
        let climb = std::iter::successors(parents.get(&pid), |parent| parents.get(parent));
        climb.take(256).any(|parent| *parent == me)
    };
    table.iter().filter(|entry| !entry.ended && below_me(entry.pid)).map(|entry| entry.pid).collect()
}

/// Takes leave of this process's children that have ended, except one that is waited for elsewhere.
pub fn reap_zombies(except: Option<u32>) {
    let me = std::process::id();
    for entry in table().iter().filter(|entry| entry.ended && entry.parent == me && Some(entry.pid) != except)
    {
        let _ = waitpid(pid_of(entry.pid), WaitOptions::NOHANG);
    }
}

/// Ends every process that `find` names: SIGTERM, up to `grace`, then SIGKILL, until none is left or a second
/// has passed since. `reap` is called between looks. Returns how many were found.
pub fn end_all(find: impl Fn() -> Vec<u32>, grace: Duration, reap: impl Fn()) -> usize {
    let first = find();
    if first.is_empty() {
        return 0;
    }
    signal_all(&first, Signal::TERM);
    // One that was stopped hears nothing before it goes on.
    signal_all(&first, Signal::CONT);
    let asked = Instant::now();
    let mut killed: Option<Instant> = None;
    loop {
        reap();
        let left = find();
        if left.is_empty() || killed.is_some_and(|at| at.elapsed() > Duration::from_secs(1)) {
            return first.len();
        }
        if asked.elapsed() >= grace {
            killed.get_or_insert_with(Instant::now);
            signal_all(&left, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Stops every process that `find` names, until none of them moves: one that was born meanwhile is found by the
/// next look. What still moves after some looks waits for a disk, and stops when it has what it waits for.
pub fn stop_all(find: impl Fn() -> Vec<u32>) {
    for _ in 0..10 {
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
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    let state = stat.rfind(')').and_then(|end| stat[end + 1..].split_ascii_whitespace().next());
    !matches!(state, Some("T" | "t" | "Z" | "X"))
}

/// Every process, this one excepted, whose environment has the first of these variables: what it has of them.
pub fn carrying<const N: usize>(names: [&str; N]) -> Vec<(u32, [Option<String>; N])> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pid = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
    let variables = |pid: u32| {
        let environ = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
        let value = |name: &str| {
            let entry = environ.split(|byte| *byte == 0).find_map(|entry| {
                entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=").map(<[u8]>::to_vec)
            });
            entry.and_then(|value| String::from_utf8(value).ok())
        };
        let found = names.map(value);
        found.first()?.is_some().then_some((pid, found))
    };
    let me = std::process::id();
    entries.flatten().filter_map(pid).filter(|pid| *pid != me).filter_map(variables).collect()
}

/// Signals through a pidfd, so that a number that was given to another process meanwhile is not hit.
pub fn signal_all(pids: &[u32], signal: Signal) {
    for pid in pids.iter().copied().filter_map(pid_of) {
        if let Ok(fd) = pidfd_open(pid, PidfdFlags::empty()) {
            let _ = pidfd_send_signal(fd, signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Program;

    #[test]
    fn a_marked_process_is_found_wherever_it_went_and_ended() {
        let value = format!("test-{}", std::process::id());
        Program::new("/bin/sh", "/")
            .args(["-c", "setsid sh -c 'trap \"\" TERM; sleep 60' >/dev/null 2>&1 &"])
            .env("CQ_TEST_MARK", &value)
            .env("PATH", "/usr/bin:/bin")
            .run(Duration::from_secs(10))
            .unwrap();
        let find = || marked("CQ_TEST_MARK", &value);
        assert!(!find().is_empty());
        end_all(find, Duration::from_millis(50), || {});
        assert!(find().is_empty());
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
        assert!(!stopped.is_empty() && !stopped.iter().any(|pid| moves(*pid)));
        let carrying = carrying(["CQ_TEST_MARK", "CQ_TEST_TWO", "CQ_TEST_NONE"]);
        let of_test = carrying.iter().find(|(pid, _)| *pid == stopped[0]).unwrap();
        assert_eq!(of_test.1, [Some(value.clone()), Some("2".to_owned()), None]);
        let began = Instant::now();
        end_all(find, Duration::from_secs(60), || {});
        assert!(find().is_empty() && began.elapsed() < Duration::from_secs(30), "SIGTERM was enough");
    }
}
