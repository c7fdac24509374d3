//! Where the kernel does not limit memory, the supervisor looks at it and ends the run.
//!
//! It looks a few times a second: an agent that takes gigabytes in less is only ended after the fact.

use std::path::PathBuf;

use crate::process;

/// What a watchdog has seen.
#[derive(Debug)]
pub struct Watchdog {
    most: u64,
    peak: u64,
}

impl Watchdog {
    /// For so many bytes.
    pub const fn new(most: u64) -> Self {
        Self { most, peak: 0 }
    }

    /// Looks at this process's descendants. Whether they take more than they may.
    pub fn look(&mut self) -> bool {
        let pids = process::descendants();
        let resident = sum(&pids, "status", "VmRSS:");
        // Pages that several processes share are counted in each; counting them once takes the kernel longer.
        let taken = if resident > self.most { sum(&pids, "smaps_rollup", "Pss:") } else { resident };
        self.peak = self.peak.max(taken);
        taken > self.most
    }

    /// The most it has seen, in bytes.
    pub const fn peak(&self) -> u64 {
        self.peak
    }
}

/// The sum of a figure over processes, in bytes. Those that have ended take nothing.
fn sum(pids: &[u32], file: &str, name: &str) -> u64 {
    let text = |pid| std::fs::read_to_string(PathBuf::from(format!("/proc/{pid}/{file}"))).ok();
    pids.iter().filter_map(|pid| kilobytes(&text(pid)?, name)).map(|kilobytes| kilobytes * 1024).sum()
}

/// `VmRSS:     1234 kB`
pub(super) fn kilobytes(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix("kB")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_found_by_its_name() {
        let status = "Name:\tVmRSS: 7 kB\nVmPeak:\t    9000 kB\nVmRSS:\t    1234 kB\nThreads:\t3\n";
        let cases = [("VmRSS:", Some(1234)), ("VmPeak:", Some(9000)), ("Threads:", None), ("VmSwap:", None)];
        for (name, expected) in cases {
            assert_eq!(kilobytes(status, name), expected, "{name}");
        }
        assert!(sum(&[std::process::id()], "status", "VmRSS:") > 1 << 20);
        assert_eq!(sum(&[u32::MAX], "status", "VmRSS:"), 0);
    }
}
