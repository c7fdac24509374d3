//! What an instance may use: memory, processor time, processes; and what must be free before one is started.
//!
//! The first mechanism that works here is used (DESIGN §6): a scope of systemd, a delegated control group of version
//! 2, control groups of version 1 as root, a watchdog. Never an address-space limit: Claude Code maps gigabytes
//! that it does not use.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::{self, MechanismChoice};
use crate::environment::Environment;
use crate::error::{Error, Kind, OrFail, Result};
use crate::process::{self, Program};
use crate::record::{Extra, RunLimits};

pub mod admission;
mod files;
mod group;
mod hierarchy;
pub mod memory;
mod readings;
mod scope;
mod v1;
mod v2;
pub mod watchdog;

pub use group::{Entry, Group};
pub use readings::take as take_readings;

use hierarchy::Own;

/// Who sees to the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// A scope of systemd: the user's, or as root the system's.
    SystemdScope,
    /// A control group of version 2 that was delegated to this user.
    CgroupV2,
    /// Control groups of version 1, as root.
    CgroupV1,
    /// The supervisor looks at resident memory, and ends the run.
    Watchdog,
    /// Nobody.
    None,
}

impl Mechanism {
    /// All of them, best first.
    pub const ALL: [Self; 5] =
        [Self::SystemdScope, Self::CgroupV2, Self::CgroupV1, Self::Watchdog, Self::None];

    /// As the record has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SystemdScope => "systemd-scope",
            Self::CgroupV2 => "cgroup-v2",
            Self::CgroupV1 => "cgroup-v1",
            Self::Watchdog => "watchdog",
            Self::None => "none",
        }
    }

    /// In words, for people.
    const fn words(self) -> &'static str {
        match self {
            Self::SystemdScope => "enforced by the kernel, in a scope of systemd (systemd-scope)",
            Self::CgroupV2 => "enforced by the kernel, in a control group (cgroup-v2)",
            Self::CgroupV1 => "enforced by the kernel, in control groups (cgroup-v1)",
            Self::Watchdog => "watched by the supervisor, which ends the run (watchdog)",
            Self::None => "enforced by nobody (none)",
        }
    }

    /// The mechanism of this name; nobody for a name that is not known.
    pub fn named(name: &str) -> Self {
        Self::ALL.into_iter().find(|mechanism| mechanism.name() == name).unwrap_or(Self::None)
    }

    /// Whether the kernel enforces the limits.
    pub const fn is_kernels(self) -> bool {
        matches!(self, Self::SystemdScope | Self::CgroupV2 | Self::CgroupV1)
    }
}

/// What to try, in this order. Where the chosen one does not work, those after it are next.
fn order(choice: MechanismChoice) -> &'static [Mechanism] {
    let first = match choice {
        MechanismChoice::Auto | MechanismChoice::SystemdScope => 0,
        MechanismChoice::CgroupV2 => 1,
        MechanismChoice::CgroupV1 => 2,
        MechanismChoice::Watchdog => 3,
        MechanismChoice::None => return &Mechanism::ALL[4..],
    };
    &Mechanism::ALL[first..4]
}

/// The limits of one instance.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Wishes {
    /// Bytes of memory.
    pub memory_bytes: Option<u64>,
    /// Processors' worth of time.
    pub cpus: Option<f64>,
    /// Processes and threads.
    pub processes: Option<u64>,
}

impl Wishes {
    /// As configured.
    pub fn of(limits: &config::Limits) -> Self {
        Self {
            memory_bytes: limits.memory_megabytes.map(|megabytes| megabytes.saturating_mul(1 << 20)),
            cpus: limits.cpus,
            processes: limits.processes,
        }
    }
}

/// Groups that were made, and what they do not limit.
#[derive(Debug, Default)]
struct Made {
    groups: Vec<PathBuf>,
    /// The wish's name, and why.
    lacks: Vec<(&'static str, String)>,
}

impl Made {
    fn add(&mut self, group: PathBuf) {
        if !self.groups.contains(&group) {
            self.groups.push(group);
        }
    }

    fn lack(&mut self, wish: &'static str, reason: String) {
        self.lacks.push((wish, reason));
    }

    fn lacks(&self, wish: &str) -> bool {
        self.lacks.iter().any(|(lacking, _)| *lacking == wish)
    }

    /// Removes what was made before something failed.
    fn undo(&self) {
        for group in &self.groups {
            let _ = files::remove(group);
        }
    }
}

/// A group's name: no two state directories, instances, claims or attempts share one. `token` is the claim's.
pub fn name(state_dir: &Path, instance: &str, token: &str, attempt: u32) -> String {
    let token: String = token.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    format!("{}{instance}-{token}-{attempt}", prefix(state_dir))
}

/// What the names of a state directory's groups begin with.
fn prefix(state_dir: &Path) -> String {
    let state_dir = state_dir.canonicalize().unwrap_or_else(|_| state_dir.to_owned());
    let digest = ring::digest::digest(&ring::digest::SHA256, state_dir.as_os_str().as_encoded_bytes());
    let digest = digest.as_ref().iter().take(4).fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    format!("cq-{digest:08x}-")
}

/// Makes the group that an instance will run in, by the first mechanism that works. With `limits.required`, fails
/// where the kernel cannot enforce what is configured.
pub fn create(name: &str, limits: &config::Limits, environment: &Environment) -> Result<Group> {
    create_by(order(limits.mechanism), name, limits, environment, Vec::new())
}

/// The same with the mechanisms after the one of `group`, which turned out not to work.
pub fn create_next(
    group: &Group,
    reason: String,
    name: &str,
    limits: &config::Limits,
    environment: &Environment,
) -> Result<Group> {
    let order = order(limits.mechanism);
    let tried = order.iter().position(|mechanism| *mechanism == group.mechanism).map_or(0, |at| at + 1);
    let failed = [(group.mechanism, reason)];
    create_by(&order[tried..], name, limits, environment, failed.into())
}

fn create_by(
    order: &[Mechanism],
    name: &str,
    limits: &config::Limits,
    environment: &Environment,
    mut failed: Vec<(Mechanism, String)>,
) -> Result<Group> {
    let wishes = Wishes::of(limits);
    let own = own();
    for mechanism in order.iter().copied().filter(|mechanism| mechanism.is_kernels() || !limits.required) {
        let made = match mechanism {
            Mechanism::SystemdScope => {
                let asked_for = limits.mechanism == MechanismChoice::SystemdScope;
                scope::Scope::prepare(name, asked_for, environment)
                    .map(|scope| Group::new(mechanism, Made::default(), &wishes).within(scope))
            }
            Mechanism::CgroupV2 => {
                v2::create(&own, name, &wishes).map(|made| Group::new(mechanism, made, &wishes))
            }
            Mechanism::CgroupV1 => {
                v1::create(&own, name, &wishes).map(|made| Group::new(mechanism, made, &wishes))
            }
            Mechanism::Watchdog => {
                let only_memory = Wishes { memory_bytes: wishes.memory_bytes, ..Wishes::default() };
                Ok(Group::new(mechanism, Made::default(), &only_memory).beside(&wishes))
            }
            Mechanism::None => Ok(Group::new(mechanism, Made::default(), &Wishes::default())),
        };
        match made {
            Ok(group) if limits.required && !group.lacks.is_empty() => {
                failed.push((mechanism, group.lacking().unwrap_or_default()));
                group.remove();
            }
            Ok(group) => return Ok(group.after(&failed, limits.mechanism)),
            Err(reason) => failed.push((mechanism, reason)),
        }
    }
    let reasons = reasons(&failed);
    let reasons = if reasons.is_empty() { "limits.mechanism rules it out".to_owned() } else { reasons };
    if !limits.required {
        let message = format!("nobody can see to the limits here: {reasons}");
        return Err(Error::new(Kind::Config, message)
            .hint("mend that, or take out what limits.mechanism and the limits themselves ask for"));
    }
    let message = format!("limits.required is set, and the kernel cannot enforce the limits here: {reasons}");
    Err(Error::new(Kind::Config, message)
        .hint("cq-doctor says what is missing; without limits.required, agents start with a watchdog"))
}

fn reasons(failed: &[(Mechanism, String)]) -> String {
    let each: Vec<String> =
        failed.iter().map(|(mechanism, reason)| format!("{}: {reason}", mechanism.name())).collect();
    each.join("; ")
}

/// The groups that this process is in.
fn own() -> Own {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    hierarchy::own(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"))
}

/// Puts this process into a group: the launcher's part.
pub fn enter(group: &Path) -> Result<()> {
    files::put(group, "cgroup.procs", "0").map_err(|reason| Error::new(Kind::Config, reason))
}

/// Says in a file in which groups this process is: the launcher's part in a scope, which others made for it.
pub fn say_where(file: &Path) -> Result<()> {
    let attempt = || format!("cannot write '{}'", file.display());
    let here = std::fs::read("/proc/self/cgroup").or_fail(Kind::Internal, attempt)?;
    let mut file = std::fs::File::create(file).or_fail(Kind::CannotWrite, attempt)?;
    std::io::Write::write_all(&mut file, &here).or_fail(Kind::CannotWrite, attempt)
}

/// Removes the empty groups of a state directory whose instances nobody works on, such as those of a supervisor
/// that was killed. Returns how many.
pub fn sweep(state_dir: &Path, is_held: impl Fn(&str) -> bool) -> usize {
    let (own, prefix) = (own(), prefix(state_dir));
    let mut parents: Vec<&Path> = own.v1.values().map(|(_, own)| own.as_path()).collect();
    parents.extend(own.v2.iter().flat_map(hierarchy::Unified::upwards));
    let stale = |group: &PathBuf| {
        let name = group.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // The instance stands between the prefix, and the token and the attempt.
        let instance = name.strip_prefix(&prefix).and_then(|rest| rest.rsplitn(3, '-').nth(2));
        instance.is_some_and(|instance| !is_held(instance))
    };
    let groups = parents.into_iter().flat_map(files::below).filter(stale);
    groups.filter(|group| files::remove(group).is_ok()).count()
}

impl Group {
    /// What the record says of it.
    pub fn in_record(&self) -> RunLimits {
        let unit = self.scope.iter().map(|scope| scope.unit.clone());
        RunLimits {
            mechanism: self.mechanism.name().to_owned(),
            groups: unit.chain(self.groups.iter().map(|group| group.display().to_string())).collect(),
            memory_bytes: self.wishes.memory_bytes,
            cpus: self.wishes.cpus,
            processes: self.wishes.processes,
            lacking: self.lacking(),
            extra: Extra::new(),
        }
    }
}

/// The limits of a run, for people.
pub fn told(limits: &RunLimits) -> String {
    let mechanism = Mechanism::named(&limits.mechanism);
    let who = mechanism.words();
    let wishes = Wishes { memory_bytes: limits.memory_bytes, cpus: limits.cpus, processes: limits.processes };
    let lacking = limits.lacking.iter().map(|lacking| format!("; {lacking}"));
    format!("{wishes}, {who}{}", lacking.collect::<String>())
}

/// What would be in force here.
#[derive(Debug)]
pub struct Examined {
    /// In words.
    pub told: String,
    /// Whether the kernel enforces it.
    pub is_kernels: bool,
    /// Whether the configuration wants it without the kernel.
    pub chosen: bool,
    /// What of the configured limits is not in force.
    pub lacking: Option<String>,
}

/// Does what a supervisor would do, with a program that ends at once, and takes it back.
pub fn examine(state_dir: &Path, limits: &config::Limits, environment: &Environment) -> Result<Examined> {
    let name = name(state_dir, "doctor", &std::process::id().to_string(), 1);
    let folder = tempfile::tempdir().or_fail(Kind::CannotWrite, || "cannot make a temporary folder")?;
    let arrived = folder.path().join("arrived");
    let mut group = create(&name, limits, environment)?;
    while let Err(reason) = try_out(&mut group, &arrived, environment) {
        group.remove();
        group = create_next(&group, reason.to_string(), &name, limits, environment)?;
    }
    let noted = group.in_record();
    group.remove();
    Ok(Examined {
        told: told(&noted),
        is_kernels: group.mechanism.is_kernels(),
        chosen: matches!(limits.mechanism, MechanismChoice::Watchdog | MechanismChoice::None),
        lacking: noted.lacking,
    })
}

fn try_out(group: &mut Group, arrived: &Path, environment: &Environment) -> Result<()> {
    let entry = group.entry(arrived);
    let mut words = entry.through;
    words.push(process::sibling("cq-supervise", environment)?.display().to_string());
    words.extend(entry.launcher);
    let probe = process::find("true", Path::new("/"), environment)?.display().to_string();
    words.extend(["--launch".to_owned(), probe]);
    let first = words.remove(0);
    let finished = Program::new(first, "/").args(words).envs(entry.variables).run(Duration::from_secs(10))?;
    group.await_arrival(arrived, || Ok(true))?;
    if finished.success() { Ok(()) } else { Err(Error::new(Kind::Config, finished.complaint())) }
}

impl fmt::Display for Wishes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = self.memory_bytes.map(|bytes| format!("{} of memory", memory::mebibytes(bytes)));
        let cpus = self.cpus.map(|cpus| format!("{cpus} processors"));
        let processes = self.processes.map(|most| format!("{most} processes"));
        let all: Vec<String> = [memory, cpus, processes].into_iter().flatten().collect();
        f.write_str(if all.is_empty() { "none" } else { "" })?;
        f.write_str(&all.join(", "))
    }
}

#[cfg(test)]
mod tests;
