//! Processes of a test, found by what their environment holds.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Every process whose environment holds `NAME=value`.
pub(crate) fn marked(name: &str, value: &str) -> Vec<u32> {
    let holds = |pid: &u32| {
        let Ok(environ) = fs::read(format!("/proc/{pid}/environ")) else { return false };
        let marker = format!("{name}={value}").into_bytes();
        environ.split(|byte| *byte == 0).any(|entry| entry == marker)
    };
    let pid = |entry: fs::DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
    let look = |_| fs::read_dir("/proc").unwrap().flatten().filter_map(pid).filter(holds);
    // Twice: a process that becomes another program has no environment for that moment.
    let found: BTreeSet<u32> = (0..2).flat_map(look).collect();
    found.into_iter().collect()
}

pub(crate) fn kill(pid: u32) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    // It may have ended by itself.
    let _ = kill_process(pid, Signal::KILL);
}

/// Waits until a condition holds.
pub(crate) fn wait_until(what: &str, patience: Duration, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < patience, "not within {} s: {what}", patience.as_secs());
        std::thread::sleep(Duration::from_millis(20));
    }
}
