//! The process table, as `/proc` shows it.

use std::collections::BTreeMap;
use std::time::Duration;

/// A line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) pid: u32,
    pub(super) parent: u32,
    pub(super) group: u32,
    pub(super) session: u32,
    state: u8,
    /// Clock ticks since boot.
    pub(super) started: u64,
    /// Clock ticks of processor time: its own, and those of its children that it took leave of.
    own_ticks: u64,
    reaped_ticks: u64,
    /// Minor page faults of these children: no program runs without one.
    reaped_faults: u64,
}

impl Entry {
    /// Reads `/proc/PID/stat`; none if there is no such process.
    pub(super) fn of(pid: u32) -> Option<Self> {
        parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    pub(super) fn ended(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }

    /// Stopped by a signal, or by whoever traces it.
    pub(super) fn stopped(&self) -> bool {
        matches!(self.state, b'T' | b't')
    }
}

/// The fields of proc_pid_stat(5). The name in parentheses may hold anything, spaces and `)` included.
fn parse(stat: &str) -> Option<Entry> {
    let pid = stat.split_once(' ')?.0.parse().ok()?;
    let fields: Vec<&str> = stat[stat.rfind(')')? + 1..].split_ascii_whitespace().take(20).collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let small = |at: usize| fields.get(at)?.parse::<u32>().ok();
    Some(Entry {
        pid,
        state: *fields.first()?.as_bytes().first()?,
        parent: small(1)?,
        group: small(2)?,
        session: small(3)?,
        own_ticks: number(11)?.saturating_add(number(12)?),
        reaped_ticks: number(13)?.saturating_add(number(14)?),
        reaped_faults: number(8)?,
        started: number(19)?,
    })
}

/// The numbers of all processes; none if the table cannot be read.
pub(super) fn pids() -> Option<impl Iterator<Item = u32>> {
    let entries = std::fs::read_dir("/proc").ok()?;
    Some(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()))
}

/// The table as it is now; what disappears while it is read is left out. Empty if it cannot be read.
pub(super) fn table() -> Vec<Entry> {
    pids().into_iter().flatten().filter_map(Entry::of).collect()
}

/// When a process was started, in clock ticks since boot; none if there is no such process, or it has ended.
pub fn started(pid: u32) -> Option<u64> {
    Entry::of(pid).filter(|entry| !entry.ended()).map(|entry| entry.started)
}

/// What a process has used since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time of its own.
    pub own: Duration,
    /// Processor time of its children that have ended.
    pub reaped: Duration,
    /// Their minor page faults: more of them mean that one more has ended.
    pub reaped_faults: u64,
    /// Bytes it has read and written, its ended children's included; 0 where that is not shown.
    pub bytes: u64,
    /// Whether it is stopped.
    pub stopped: bool,
}

/// What these processes have used, by number and start. What has ended is left out.
pub fn usage(pids: &[u32]) -> BTreeMap<(u32, u64), Usage> {
    let ticks_per_second = rustix::param::clock_ticks_per_second().max(1);
    let time = |ticks: u64| Duration::from_millis(ticks.saturating_mul(1000) / ticks_per_second);
    let of = |pid: &u32| {
        let entry = Entry::of(*pid).filter(|entry| !entry.ended())?;
        let usage = Usage {
            own: time(entry.own_ticks),
            reaped: time(entry.reaped_ticks),
            reaped_faults: entry.reaped_faults,
            bytes: std::fs::read_to_string(format!("/proc/{pid}/io")).map_or(0, |text| moved(&text)),
            stopped: entry.stopped(),
        };
        Some(((entry.pid, entry.started), usage))
    };
    pids.iter().filter_map(of).collect()
}

/// The sum of `/proc/PID/io`: what went through calls, and what went to and from the disk (pages of mapped files do
/// only that).
fn moved(io: &str) -> u64 {
    let counted = ["rchar", "wchar", "read_bytes", "write_bytes"];
    let pairs = io.lines().filter_map(|line| line.split_once(": "));
    pairs.filter(|(name, _)| counted.contains(name)).filter_map(|(_, n)| n.trim().parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_table_is_read_whatever_the_program_is_called() {
        let stat = "42 (a) R (b) S 7 40 39 0 -1 4194304 95 8 0 0 11 2 300 4 20 0 1 0 12345 2498560 219 1 1 0";
        let entry = Entry {
            pid: 42,
            parent: 7,
            group: 40,
            session: 39,
            state: b'S',
            started: 12345,
            own_ticks: 13,
            reaped_ticks: 304,
            reaped_faults: 8,
        };
        assert_eq!(parse(stat), Some(entry));
        for broken in ["", "42", "42 (x", "42 (x) S", "42 (x) S 1 2 3 0 -1 0 0"] {
            assert_eq!(parse(broken), None, "{broken}");
        }
    }

    #[test]
    fn what_a_process_moved_is_all_of_it() {
        let io = "rchar: 10\nwchar: 20\nsyscr: 400\nsyscw: 400\nread_bytes: 3\nwrite_bytes: 4\ncancelled_write_bytes: 400\n";
        assert_eq!(moved(io), 37);
        assert_eq!(moved(""), 0);
    }

    #[test]
    fn this_process_uses_something() {
        let me = std::process::id();
        let used = usage(&[me, u32::MAX]);
        let (key, usage) = used.first_key_value().unwrap();
        assert_eq!((used.len(), key.0, Some(key.1)), (1, me, started(me)));
        assert!(usage.bytes > 0 && !usage.stopped, "{usage:?}");
    }
}
