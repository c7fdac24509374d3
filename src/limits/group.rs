//! The group that an instance runs in: entered, looked at, frozen, ended, removed.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::files;
use super::scope::Scope;
use super::{Made, Mechanism, Wishes, reasons};
use crate::config::MechanismChoice;
use crate::error::{Error, Kind, Result};
use crate::process;
use crate::record::RunLimits;

/// How long the kernel may take to end or freeze what is in a group.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where an instance's processes run. Under a watchdog, or without limits, it has no control groups: then it knows of
/// no processes and does nothing.
#[derive(Debug)]
pub struct Group {
    pub(super) mechanism: Mechanism,
    pub(super) scope: Option<Scope>,
    pub(super) groups: Vec<PathBuf>,
    /// What is in force.
    pub(super) wishes: Wishes,
    /// What was wished for and is not, each with the reason.
    pub(super) lacks: Vec<(&'static str, String)>,
    /// Mechanisms that somebody would have expected here, and why they are not used.
    failed: String,
}

/// How the launcher is started so that it comes to be in a group.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// A program and its arguments that start the launcher; empty where it is started as it is.
    pub through: Vec<String>,
    /// Variables that this program needs.
    pub variables: Vec<(String, String)>,
    /// The launcher's own arguments.
    pub launcher: Vec<String>,
    /// Variables that this program needs or sets: an agent gets them only where it has them of its own.
    pub forget: Vec<&'static str>,
}

impl Group {
    pub(super) fn new(mechanism: Mechanism, made: Made, wishes: &Wishes) -> Self {
        let mut wishes = *wishes;
        if made.lacks("cpus") {
            wishes.cpus = None;
        }
        if made.lacks("processes") {
            wishes.processes = None;
        }
        Self { mechanism, scope: None, groups: made.groups, wishes, lacks: made.lacks, failed: String::new() }
    }

    pub(super) fn within(mut self, scope: Scope) -> Self {
        self.scope = Some(scope);
        self
    }

    /// Notes what a watchdog leaves out of these.
    pub(super) fn beside(mut self, wishes: &Wishes) -> Self {
        let out = [("cpus", wishes.cpus.is_some()), ("processes", wishes.processes.is_some())];
        let out = out.into_iter().filter(|(_, wished)| *wished).map(|(wish, _)| wish);
        self.lacks.extend(out.map(|wish| (wish, "a watchdog sees to memory only".to_owned())));
        self
    }

    /// Notes what was tried before. What `auto` passed over for another of the kernel's is nobody's concern.
    pub(super) fn after(mut self, failed: &[(Mechanism, String)], choice: MechanismChoice) -> Self {
        if choice != MechanismChoice::Auto || !self.mechanism.is_kernels() {
            self.failed = reasons(failed);
        }
        self
    }

    /// The group of a run, from its record. What is not there any more is passed over.
    pub fn reopen(limits: &RunLimits) -> Self {
        let mechanism = Mechanism::named(&limits.mechanism);
        let (units, groups): (Vec<_>, Vec<_>) =
            limits.groups.iter().partition(|group| !Path::new(group).is_absolute());
        let wishes =
            Wishes { memory_bytes: limits.memory_bytes, cpus: limits.cpus, processes: limits.processes };
        Self {
            mechanism,
            scope: units.first().map(|unit| Scope::known(unit)),
            groups: groups.into_iter().map(PathBuf::from).collect(),
            wishes,
            lacks: Vec::new(),
            failed: String::new(),
        }
    }

    /// Who sees to the limits.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// What is in force.
    pub fn wishes(&self) -> &Wishes {
        &self.wishes
    }

    /// What of the configured limits is not in force, and why, in one sentence.
    pub fn lacking(&self) -> Option<String> {
        let each = self.lacks.iter().map(|(wish, reason)| format!("limits.{wish} is not in force: {reason}"));
        let all: Vec<String> =
            Some(self.failed.clone()).filter(|failed| !failed.is_empty()).into_iter().chain(each).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// How the launcher gets into the group. `arrived` is a file by which a scope's launcher says where it is.
    pub fn entry(&self, arrived: &Path) -> Entry {
        match &self.scope {
            Some(scope) => scope.entry(&self.wishes, arrived),
            None => Entry {
                launcher: self
                    .groups
                    .iter()
                    .flat_map(|group| ["--enter".to_owned(), group.display().to_string()])
                    .collect(),
                ..Entry::default()
            },
        }
    }

    /// Waits until the launcher is in the group. An error if it never came there: the mechanism does not work after
    /// all. `ended` tells whether the launcher has ended.
    pub fn await_arrival(&mut self, arrived: &Path, ended: impl FnMut() -> Result<bool>) -> Result<()> {
        if let Some(scope) = &self.scope {
            let groups =
                scope.await_arrival(arrived, ended).map_err(|reason| Error::new(Kind::Config, reason))?;
            for group in groups.iter().filter(|group| group.join("memory.oom.group").exists()) {
                let _ = files::put(group, "memory.oom.group", "1");
            }
            self.groups = groups;
        }
        Ok(())
    }

    /// The processes in it.
    pub fn pids(&self) -> Vec<u32> {
        let mut pids: Vec<u32> = self.groups.iter().flat_map(|group| files::members(group)).collect();
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// Ends every process in it, at once and without asking; a process that is just being started does not escape.
    /// Whether none is left.
    pub fn kill(&self) -> bool {
        let begun = Instant::now();
        loop {
            let pids = self.pids();
            if pids.is_empty() {
                return true;
            }
            if begun.elapsed() > PATIENCE {
                return false;
            }
            if !self.groups.iter().any(|group| files::put(group, "cgroup.kill", "1").is_ok()) {
                // What is frozen starts nobody else; what is frozen does not end either.
                let _ = self.freeze(true);
                process::signal_all(&self.pids(), Signal::KILL);
            }
            let _ = self.freeze(false);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Freezes its processes, or lets them go on; returns when they have come to rest. False: this mechanism cannot.
    pub fn freeze(&self, frozen: bool) -> Result<bool> {
        let has = |name: &str| self.groups.iter().find(|group| group.join(name).exists());
        let (group, name, value) = match (has("cgroup.freeze"), has("freezer.state")) {
            (Some(group), _) => (group, "cgroup.freeze", if frozen { "1" } else { "0" }),
            (None, Some(group)) => (group, "freezer.state", if frozen { "FROZEN" } else { "THAWED" }),
            (None, None) => return Ok(false),
        };
        files::put(group, name, value).map_err(|reason| Error::new(Kind::Failed, reason))?;
        let begun = Instant::now();
        while frozen && !is_frozen(group) && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(true)
    }

    /// Processor time that its processes have used, those that have ended included.
    pub fn cpu_time(&self) -> Option<Duration> {
        self.groups.iter().find_map(|group| {
            let nanoseconds = || files::number(group, "cpuacct.usage").map(Duration::from_nanos);
            let stat = files::get(group, "cpu.stat").unwrap_or_default();
            nanoseconds().or_else(|| files::field(&stat, "usage_usec").map(Duration::from_micros))
        })
    }

    /// The most memory that its processes took together, in bytes.
    pub fn memory_peak(&self) -> Option<u64> {
        // memory.peak came with Linux 5.19.
        let names = ["memory.peak", "memory.max_usage_in_bytes", "memory.current"];
        self.groups.iter().find_map(|group| names.iter().find_map(|name| files::number(group, name)))
    }

    /// How many of its processes the kernel ended because there was no more memory for the group.
    pub fn oom_kills(&self) -> u64 {
        let of = |group: &PathBuf| {
            ["memory.events", "memory.oom_control"]
                .iter()
                .find_map(|name| files::field(&files::get(group, name)?, "oom_kill"))
        };
        let counted = self.groups.iter().find_map(of);
        // systemd removes an empty scope before anybody can look, but remembers what became of it.
        counted.unwrap_or_else(|| self.scope.as_ref().map_or(0, |scope| u64::from(scope.was_out_of_memory())))
    }

    /// Removes it. Whether it is gone: one that still has processes stays, for [`super::sweep`].
    pub fn remove(&self) -> bool {
        if let Some(scope) = &self.scope {
            scope.forget();
            return true;
        }
        self.groups.iter().filter(|group| files::remove(group).is_err()).count() == 0
    }
}

fn is_frozen(group: &Path) -> bool {
    match files::get(group, "freezer.state") {
        Some(state) => state == "FROZEN",
        None => {
            files::get(group, "cgroup.events").is_none_or(|events| files::field(&events, "frozen") != Some(0))
        }
    }
}
