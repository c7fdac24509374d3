//! The processes of a run: found by descent, or by the environment marker they inherited.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use rustix::process::{Pid, WaitOptions, waitpid};

use super::table::{Entry, environ, pids, started, table};

pub(super) fn pid_of(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// Every process whose environment holds `NAME=value`, this one excepted.
pub fn marked(name: &str, value: &str) -> Vec<u32> {
    let marker = format!("{name}={value}").into_bytes();
    let holds = |pid: &u32| {
        environ(*pid).is_some_and(|all| all.split(|byte| *byte == 0).any(|entry| entry == marker))
    };
    pids().into_iter().flatten().filter(|pid| *pid != std::process::id()).filter(holds).collect()
}

/// Finds the processes that carry a marker, and their families. Looks again at whom it found before: with its parent
/// gone, one without the marker would be nobody's.
pub fn marked_families(name: &str, value: &str) -> impl Fn() -> Vec<u32> {
    let seen: RefCell<BTreeSet<(u32, u64)>> = RefCell::default();
    move || {
        let mut seen = seen.borrow_mut();
        let mut known = marked(name, value);
        known.extend(seen.iter().filter(|(pid, start)| started(*pid) == Some(*start)).map(|(pid, _)| *pid));
        let found = family(known);
        *seen = found.iter().filter_map(|pid| Some((*pid, started(*pid)?))).collect();
        found
    }
}

/// These processes, their living descendants, and whoever is in a session that one of them leads: what took the
/// marker out of its environment is found by the company it keeps. Never this process.
fn family(of: Vec<u32>) -> Vec<u32> {
    let mut family: BTreeSet<u32> = of.into_iter().collect();
    let table: Vec<Entry> = if family.is_empty() { Vec::new() } else { table() };
    loop {
        let belongs = |entry: &&Entry| {
            !entry.ended()
                && !family.contains(&entry.pid)
                && (family.contains(&entry.parent) || family.contains(&entry.session))
        };
        let more: Vec<u32> = table.iter().filter(belongs).map(|entry| entry.pid).collect();
        if more.is_empty() {
            family.remove(&std::process::id());
            return family.into_iter().collect();
        }
        family.extend(more);
    }
}

/// The living descendants of this process.
pub fn descendants() -> Vec<u32> {
    let table = table();
    let parents: BTreeMap<u32, u32> = table.iter().map(|entry| (entry.pid, entry.parent)).collect();
    let me = std::process::id();
    // A bounded climb: the table may hold a loop if pids were used again while it was read.
    let below_me = |pid: u32| {
        let climb = std::iter::successors(parents.get(&pid), |parent| parents.get(parent));
        climb.take(4096).any(|parent| *parent == me)
    };
    table.iter().filter(|entry| !entry.ended() && below_me(entry.pid)).map(|entry| entry.pid).collect()
}

/// Takes leave of this process's children that have ended, except one that is waited for elsewhere.
pub fn reap_zombies(except: Option<u32>) {
    let me = std::process::id();
    let zombie = |entry: &Entry| entry.ended() && entry.parent == me && Some(entry.pid) != except;
    let zombies: Vec<Entry> = match children() {
        Some(pids) => pids.into_iter().filter_map(Entry::of).filter(zombie).collect(),
        None => table().into_iter().filter(zombie).collect(),
    };
    for entry in zombies {
        let _ = waitpid(pid_of(entry.pid), WaitOptions::NOHANG);
    }
}

/// The children of this process, by the kernel's own list; none where it keeps none (`CONFIG_PROC_CHILDREN`).
fn children() -> Option<Vec<u32>> {
    let mut pids = Vec::new();
    for thread in std::fs::read_dir("/proc/self/task").ok()?.flatten() {
        let listed = std::fs::read_to_string(thread.path().join("children")).ok()?;
        pids.extend(listed.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    Some(pids)
}

/// Every process, this one excepted, whose environment has the first of these variables: what it has of them.
pub fn carrying<const N: usize>(names: [&str; N]) -> Vec<(u32, [Option<String>; N])> {
    let variables = |pid: u32| {
        let all = environ(pid)?;
        let value = |name: &str| {
            let entry = all.split(|byte| *byte == 0).find_map(|entry| {
                entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=").map(<[u8]>::to_vec)
            });
            entry.and_then(|value| String::from_utf8(value).ok())
        };
        let found = names.map(value);
        found.first()?.is_some().then_some((pid, found))
    };
    let me = std::process::id();
    pids().into_iter().flatten().filter(|pid| *pid != me).filter_map(variables).collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::process::{Program, signal_all};

    #[test]
    fn a_process_that_becomes_another_program_again_and_again_is_never_missed() {
        let value = format!("test-{}", std::process::id());
        let running = Program::new("/bin/sh", "/")
            .args(["-c", "exec /bin/sh -c \"$0\" \"$0\"", "exec /bin/sh -c \"$0\" \"$0\""])
            .env("CQ_TEST_BECOMES", &value)
            .start()
            .unwrap();
        let pid = running.pid().unwrap();
        let missed = (0..2000).filter(|_| marked("CQ_TEST_BECOMES", &value) != [pid]).count();
        signal_all(&[pid], rustix::process::Signal::KILL);
        assert!(running.wait(Duration::from_secs(20)).unwrap().is_some());
        assert_eq!(missed, 0, "of 2000 looks");
    }

    #[test]
    fn the_family_is_found_where_the_marker_is_gone() {
        let value = format!("test-{}", std::process::id());
        let running = Program::new("/bin/sh", "/")
            .args(["-c", "env -i setsid sleep 61 & exec sleep 60"])
            .env("CQ_TEST_FAMILY", &value)
            .env("PATH", "/usr/bin:/bin")
            .start()
            .unwrap();
        let alone = || marked("CQ_TEST_FAMILY", &value);
        let began = Instant::now();
        // Until the shell and the child have become what they will be.
        while !(alone().len() == 1 && family(alone()).len() == 2) && began.elapsed() < Duration::from_secs(20)
        {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!((alone().len(), family(alone()).len(), family(Vec::new()).len()), (1, 2, 0));
        signal_all(&family(alone()), rustix::process::Signal::KILL);
        assert!(running.wait(Duration::from_secs(20)).unwrap().is_some());
    }
}
