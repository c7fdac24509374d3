//! The process table, as `/proc` shows it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::time::Duration;

/// A line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) pid: u32,
    pub(super) parent: u32,
    pub(super) group: u32,
    pub(super) session: u32,
    state: u8,
    /// The kernel's `PF_` flags.
    flags: u64,
    threads: u64,
    /// Clock ticks since boot.
    pub(super) started: u64,
    /// Clock ticks of processor time: its own, and those of its children that it took leave of.
    own_ticks: u64,
    reaped_ticks: u64,
    /// Minor page faults of these children: no program runs without one.
    reaped_faults: u64,
    /// Where its environment is in its memory; 0 if it has no memory, or none that is ready.
    environ: (u64, u64),
}

/// Flags of proc_pid_stat(5), from the kernel's `sched.h`: it is ending; it is a part of the kernel.
const EXITING: u64 = 0x4;
const KERNEL: u64 = 0x0020_0000;

impl Entry {
    /// Reads `/proc/PID/stat`; none if there is no such process.
    pub(super) fn of(pid: u32) -> Option<Self> {
        parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// What lost only its first thread looks ended, and works on in the others.
    pub(super) fn ended(&self) -> bool {
        matches!(self.state, b'Z' | b'X') && !self.lost_first_thread()
    }

    fn lost_first_thread(&self) -> bool {
        self.state == b'Z' && self.threads > 1
    }

    /// How many looks an environment that is empty is worth: the process may become another program just now. Where
    /// it has begun and not ended, it is most likely empty indeed, and else filled in within microseconds.
    fn looks(&self) -> usize {
        let (start, end) = self.environ;
        match () {
            () if self.ended() || self.flags & (EXITING | KERNEL) != 0 => 0,
            () if start == end && end != 0 => 10,
            () => 500,
        }
    }

    /// Stopped by a signal, or by whoever traces it.
    pub(super) fn stopped(&self) -> bool {
        matches!(self.state, b'T' | b't')
    }
}

/// The fields of proc_pid_stat(5). The name in parentheses may hold anything, spaces and `)` included.
fn parse(stat: &str) -> Option<Entry> {
    let pid = stat.split_once(' ')?.0.parse().ok()?;
    let fields: Vec<&str> = stat[stat.rfind(')')? + 1..].split_ascii_whitespace().take(49).collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let small = |at: usize| fields.get(at)?.parse::<u32>().ok();
    Some(Entry {
        pid,
        state: *fields.first()?.as_bytes().first()?,
        parent: small(1)?,
        group: small(2)?,
        session: small(3)?,
        flags: number(6)?,
        threads: number(17)?,
        own_ticks: number(11)?.saturating_add(number(12)?),
        reaped_ticks: number(13)?.saturating_add(number(14)?),
        reaped_faults: number(8)?,
        started: number(19)?,
        environ: (number(47).unwrap_or(0), number(48).unwrap_or(0)),
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

/// The variables a process was started with, each ended by a 0 byte; none if it has ended or they are not shown to us.
/// Waits for one that becomes another program: for that moment it seems to have none.
pub(super) fn environ(pid: u32) -> Option<Vec<u8>> {
    let mut looks = 0;
    loop {
        let found = in_one_piece(&format!("/proc/{pid}/environ"))?;
        if !found.is_empty() {
            return Some(found);
        }
        let entry = Entry::of(pid)?;
        if entry.lost_first_thread() {
            let threads = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
            let path = |thread: std::fs::DirEntry| format!("{}/environ", thread.path().display());
            return threads.filter_map(|thread| in_one_piece(&path(thread))).max();
        }
        looks += 1;
        if looks > entry.looks() {
            return None;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// What a file of `/proc` holds, by one call: between two the program may be gone, and the rest with it.
fn in_one_piece(path: &str) -> Option<Vec<u8>> {
    let mut room = 16 << 10;
    loop {
        let mut found = vec![0; room];
        let read = File::open(path).ok()?.read(&mut found).ok()?;
        if read < room {
            found.truncate(read);
            return Some(found);
        }
        room *= 4;
    }
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
            flags: 4_194_304,
            threads: 1,
            environ: (0, 0),
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
    fn an_environment_is_missing_only_where_there_will_be_none() {
        let entry = |state: char, flags: u64, threads: u64, start: u64, end: u64| {
            let zeros = |n: usize| " 0".repeat(n);
            let line = format!("42 (a) {state} 1 1 1 0 -1 {flags}{} {threads}{}", zeros(10), zeros(29));
            parse(&format!("{line} {start} {end} 0")).unwrap()
        };
        // Ended; one that only lost its first thread; how many looks an empty environment is worth.
        let cases = [
            (entry('R', 0, 1, 0, 0), false, false, 500),
            (entry('R', 0, 1, 10, 20), false, false, 500),
            (entry('S', 0, 1, 10, 10), false, false, 10),
            (entry('S', KERNEL, 1, 0, 0), false, false, 0),
            (entry('R', EXITING, 1, 0, 0), false, false, 0),
            (entry('Z', EXITING, 1, 0, 0), true, false, 0),
            (entry('X', EXITING, 0, 0, 0), true, false, 0),
            (entry('Z', EXITING, 2, 0, 0), false, true, 0),
        ];
        for (entry, ended, lost_first_thread, looks) in cases {
            let found = (entry.ended(), entry.lost_first_thread(), entry.looks());
            assert_eq!(found, (ended, lost_first_thread, looks), "{entry:?}");
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
