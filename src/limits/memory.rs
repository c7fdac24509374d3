//! What a run's memory says about its end.

use super::{Group, Mechanism};
use crate::record::{Outcome, Run};

/// What is known of a run's memory when it is over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// What it might take, in bytes; none without a limit in force.
    pub limit: Option<u64>,
    /// The most it took.
    pub peak: Option<u64>,
    /// How many of its processes the kernel ended for want of memory.
    pub oom_kills: u64,
}

impl Memory {
    /// Of a run whose group is still there, or whose peak was noted.
    pub fn of(run: &Run) -> Self {
        let group = run.limits.as_ref().map(Group::reopen);
        let kernel = group.as_ref().filter(|group| group.mechanism() != Mechanism::None);
        Self {
            limit: group.as_ref().and_then(|group| group.wishes().memory_bytes),
            peak: kernel.and_then(Group::memory_peak).max(run.memory_peak_bytes),
            oom_kills: kernel.map_or(0, Group::oom_kills),
        }
    }

    /// Corrects a verdict. The kernel may have ended a child of the agent, a compiler perhaps, and the agent went on:
    /// then what the agent made of it counts, and it is only mentioned. A run that broke down has died of it.
    pub fn judged(&self, outcome: Outcome, why: String) -> (Outcome, String) {
        let died = outcome == Outcome::OutOfMemory
            || self.oom_kills > 0 && matches!(outcome, Outcome::Crashed | Outcome::AgentError);
        match (died, self.oom_kills) {
            (true, _) => (Outcome::OutOfMemory, format!("out of memory: {}", self.told())),
            (false, 0) => (outcome, why),
            (false, 1) => {
                (outcome, format!("{why}; a process was killed for want of memory: {}", self.told()))
            }
            (false, more) => {
                (outcome, format!("{why}; {more} processes were killed for want of memory: {}", self.told()))
            }
        }
    }

    fn told(&self) -> String {
        let peak = self.peak.map(|bytes| format!("it took {}", mebibytes(bytes)));
        let limit = self.limit.map(|bytes| format!("the limit is {}", mebibytes(bytes)));
        let told: Vec<String> = peak.into_iter().chain(limit).collect();
        if told.is_empty() { "how much it took is not known".to_owned() } else { told.join(", ") }
    }
}

/// Bytes for people.
pub fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_run_that_broke_down_died_of_it() {
        const MIB: u64 = 1 << 20;
        let memory = |oom_kills| Memory { limit: Some(200 * MIB), peak: Some(200 * MIB - 1), oom_kills };
        let told = "it took 200 MiB, the limit is 200 MiB";
        let cases = [
            (Outcome::Crashed, 1, Outcome::OutOfMemory, format!("out of memory: {told}")),
            (Outcome::AgentError, 3, Outcome::OutOfMemory, format!("out of memory: {told}")),
            // A watchdog's verdict.
            (Outcome::OutOfMemory, 0, Outcome::OutOfMemory, format!("out of memory: {told}")),
            (Outcome::Crashed, 0, Outcome::Crashed, "why".to_owned()),
            (Outcome::Success, 0, Outcome::Success, "why".to_owned()),
            (
                Outcome::Success,
                1,
                Outcome::Success,
                format!("why; a process was killed for want of memory: {told}"),
            ),
            (
                Outcome::TimedOut,
                2,
                Outcome::TimedOut,
                format!("why; 2 processes were killed for want of memory: {told}"),
            ),
        ];
        for (outcome, oom_kills, expected, why) in cases {
            assert_eq!(
                memory(oom_kills).judged(outcome, "why".to_owned()),
                (expected, why),
                "{outcome:?} {oom_kills}"
            );
        }
        let unknown = Memory { oom_kills: 1, ..Memory::default() };
        assert_eq!(
            unknown.judged(Outcome::Crashed, String::new()).1,
            "out of memory: how much it took is not known"
        );
    }
}
