//! Whether the machine has room for one more agent. Pure; what cannot be read is unknown, neither nothing nor plenty.

use std::fmt;

use crate::config::Limits;

/// What an agent takes soon after its start and not yet at it: Claude Code was seen to take 240 to 300 MB.
const AGENT_BYTES: u64 = 300 << 20;
const MIB: u64 = 1 << 20;

/// What is free, as far as it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Readings {
    /// Bytes of memory that can be had, by the machine and by the control group that cq itself is in.
    pub memory_bytes: Option<u64>,
    /// Bytes of disk where the workspaces are.
    pub disk_bytes: Option<u64>,
    /// The load average of a minute, for each processor.
    pub load_per_cpu: Option<f64>,
}

impl Readings {
    /// What could not be read.
    pub fn unknown(&self) -> Vec<&'static str> {
        let all = [
            ("the free memory", self.memory_bytes.is_none()),
            ("the free disk", self.disk_bytes.is_none()),
            ("the load", self.load_per_cpu.is_none()),
        ];
        all.into_iter().filter(|(_, unknown)| *unknown).map(|(what, _)| what).collect()
    }
}

/// What there is too little of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Refusal {
    /// Bytes that are free, and that would have to be.
    Memory(u64, u64),
    /// The same.
    Disk(u64, u64),
    /// The load per processor, and the highest allowed.
    Load(f64, f64),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(free, needed) => {
                write!(f, "{} MiB of memory are free, {} are needed", free / MIB, needed / MIB)
            }
            Self::Disk(free, needed) => {
                write!(f, "{} MiB of disk are free for workspaces, {} are needed", free / MIB, needed / MIB)
            }
            Self::Load(load, most) => write!(f, "the load per processor is {load:.2}, more than {most}"),
        }
    }
}

impl Refusal {
    /// The key of the configuration that decides.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Memory(..) => "limits.freeMemoryMegabytes",
            Self::Disk(..) => "limits.freeDiskMegabytes",
            Self::Load(..) => "limits.maxLoadPerCpu",
        }
    }
}

/// Decides about one more agent; `starting` are under way already and have not taken yet what they will.
pub fn decide(readings: &Readings, limits: &Limits, starting: usize) -> Result<(), Refusal> {
    let starting = u64::try_from(starting).unwrap_or(u64::MAX);
    let memory = limits.free_memory_megabytes.saturating_mul(MIB);
    // Who asks for none to be free does not look.
    let reserved = if memory == 0 { 0 } else { starting.saturating_mul(AGENT_BYTES) };
    let memory = memory.saturating_add(reserved);
    let disk = limits.free_disk_megabytes.saturating_mul(MIB).saturating_mul(starting.saturating_add(1));
    match (readings.memory_bytes, readings.disk_bytes, readings.load_per_cpu, limits.max_load_per_cpu) {
        (Some(free), ..) if free < memory => Err(Refusal::Memory(free, memory)),
        (_, Some(free), ..) if free < disk => Err(Refusal::Disk(free, disk)),
        (_, _, Some(load), Some(most)) if load > most => Err(Refusal::Load(load, most)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_machine_gets_no_more_agents() {
        let limits = Limits { max_load_per_cpu: Some(1.5), ..Limits::default() };
        let easy = Limits {
            free_memory_megabytes: 0,
            free_disk_megabytes: 0,
            max_load_per_cpu: None,
            ..Limits::default()
        };
        let full = Readings { memory_bytes: Some(0), disk_bytes: Some(0), load_per_cpu: Some(99.0) };
        let roomy =
            Readings { memory_bytes: Some(1 << 40), disk_bytes: Some(1 << 50), load_per_cpu: Some(0.1) };
        let memory = |megabytes: u64| Readings { memory_bytes: Some(megabytes * MIB), ..roomy };
        let disk = |megabytes: u64| Readings { disk_bytes: Some(megabytes * MIB), ..roomy };
        let load = |load| Readings { load_per_cpu: Some(load), ..roomy };
        let unknown = Readings::default();
        let cases = [
            (roomy, &limits, 0, Ok(())),
            (memory(1024), &limits, 0, Ok(())),
            (memory(1023), &limits, 0, Err("1023 MiB of memory are free, 1024 are needed")),
            (memory(1624), &limits, 2, Ok(())),
            (memory(1623), &limits, 2, Err("1623 MiB of memory are free, 1624 are needed")),
            (disk(2048), &limits, 0, Ok(())),
            (disk(2047), &limits, 0, Err("2047 MiB of disk are free for workspaces, 2048 are needed")),
            // Each that is started takes its own.
            (disk(6143), &limits, 1, Ok(())),
            (disk(6143), &limits, 2, Err("6143 MiB of disk are free for workspaces, 6144 are needed")),
            (load(1.5), &limits, 0, Ok(())),
            (load(1.51), &limits, 0, Err("the load per processor is 1.51, more than 1.5")),
            (full, &limits, 0, Err("0 MiB of memory are free, 1024 are needed")),
            (full, &easy, 9, Ok(())),
            (unknown, &limits, 9, Ok(())),
            (
                Readings { disk_bytes: Some(0), ..unknown },
                &limits,
                0,
                Err("0 MiB of disk are free for workspaces, 2048 are needed"),
            ),
        ];
        for (readings, limits, starting, expected) in cases {
            let decided = decide(&readings, limits, starting).map_err(|refusal| refusal.to_string());
            assert_eq!(decided, expected.map_err(str::to_owned), "{readings:?} {starting}");
        }
        let enormous = Limits { free_disk_megabytes: u64::MAX, ..Limits::default() };
        assert_eq!(decide(&roomy, &enormous, 3).unwrap_err().key(), "limits.freeDiskMegabytes");
    }

    #[test]
    fn what_is_unknown_is_named() {
        assert_eq!(Readings::default().unknown(), ["the free memory", "the free disk", "the load"]);
        let known = Readings { memory_bytes: Some(1), disk_bytes: Some(1), load_per_cpu: Some(0.0) };
        assert!(known.unknown().is_empty());
    }
}
