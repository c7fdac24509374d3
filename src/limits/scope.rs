//! A scope of systemd: its manager makes the control group, `systemd-run` puts itself in and becomes the launcher.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::files::Tried;
use super::hierarchy;
use super::{Entry, Wishes};
use crate::environment::{self, Environment};
use crate::process::{self, Program};

/// How long a manager may take to make a scope, or to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// What systemd-run adds to the environment, or needs of it; not for the agent.
const VARIABLES: [&str; 3] = ["XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "INVOCATION_ID"];

/// A scope that is wanted, or was.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    /// Its name, with `.scope`.
    pub unit: String,
    manager: Option<Manager>,
}

/// Whom to ask for it.
#[derive(Debug, Clone)]
struct Manager {
    systemd_run: PathBuf,
    systemctl: PathBuf,
    of_user: bool,
    variables: Vec<(String, String)>,
}

impl Manager {
    /// The user's manager, or as root the system's. Without `asked_for`, not where there is none for sure.
    fn find(asked_for: bool, environment: &Environment) -> Tried<Self> {
        let of_user = !rustix::process::geteuid().is_root();
        let find = |name| process::find(name, Path::new("/"), environment).map_err(|error| error.to_string());
        let (systemd_run, systemctl) = (find("systemd-run")?, find("systemctl")?);
        let mut variables = Vec::new();
        let runs = if of_user {
            // cron and systemd's own timers do not set it.
            let usual = format!("/run/user/{}", rustix::process::geteuid().as_raw());
            let folder = environment.get(&environment::XDG_RUNTIME_DIR).unwrap_or(&usual).to_owned();
            let runs = Path::new(&folder).join("systemd/private").exists();
            variables.push((VARIABLES[0].to_owned(), folder));
            let bus = environment.get(&environment::DBUS_SESSION_BUS_ADDRESS);
            variables.extend(bus.map(|bus| (VARIABLES[1].to_owned(), bus.to_owned())));
            runs
        } else {
            // sd_booted(3)
            Path::new("/run/systemd/system").is_dir()
        };
        if !runs && !asked_for {
            let whose = if of_user { "of this user" } else { "of the system" };
            return Err(format!("no service manager {whose} runs"));
        }
        Ok(Self { systemd_run, systemctl, of_user, variables })
    }
}

impl Scope {
    pub(super) fn prepare(name: &str, asked_for: bool, environment: &Environment) -> Tried<Self> {
        let manager = Manager::find(asked_for, environment)?;
        Ok(Self { unit: format!("{name}.scope"), manager: Some(manager) })
    }

    /// A scope of the record.
    pub(super) fn known(unit: &str) -> Self {
        let manager = Manager::find(true, &Environment::of_process()).ok();
        Self { unit: unit.to_owned(), manager }
    }

    pub(super) fn entry(&self, wishes: &Wishes, arrived: &Path) -> Entry {
        let Some(manager) = &self.manager else { return Entry::default() };
        let mut through = vec![manager.systemd_run.display().to_string()];
        through.extend(manager.of_user.then(|| "--user".to_owned()));
        through.extend(["--scope".to_owned(), "--quiet".to_owned(), format!("--unit={}", self.unit)]);
        for property in properties(wishes) {
            through.extend(["--property".to_owned(), property]);
        }
        through.push("--".to_owned());
        Entry {
            through,
            variables: manager.variables.clone(),
            launcher: vec!["--arrived".to_owned(), arrived.display().to_string()],
            forget: VARIABLES.to_vec(),
        }
    }

    /// The control groups that the launcher says it is in.
    pub(super) fn await_arrival(
        &self,
        arrived: &Path,
        mut ended: impl FnMut() -> crate::error::Result<bool>,
    ) -> Tried<Vec<PathBuf>> {
        let begun = Instant::now();
        loop {
            // Asked first: what an agent that ended at once has written, is there.
            let over = ended().map_err(|error| error.to_string())? || begun.elapsed() > PATIENCE;
            let said = std::fs::read_to_string(arrived).unwrap_or_default();
            if said.ends_with('\n') {
                let _ = std::fs::remove_file(arrived);
                return Ok(self.groups(&said));
            }
            if over {
                return Err("systemd-run did not start the agent".to_owned());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Of those groups, the scope's own.
    fn groups(&self, membership: &str) -> Vec<PathBuf> {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let own = hierarchy::own(&mounts, membership);
        let all = own.v1.into_values().map(|(_, group)| group).chain(own.v2.map(|unified| unified.own));
        let mut groups: Vec<PathBuf> = all.filter(|group| group.ends_with(&self.unit)).collect();
        groups.dedup();
        groups
    }

    /// Whether systemd remembers that this scope ended for want of memory.
    pub(super) fn was_out_of_memory(&self) -> bool {
        self.systemctl(&["show", "--property=Result", "--value"]).is_some_and(|result| result == "oom-kill")
    }

    /// A scope that failed is remembered until somebody says that it was seen.
    pub(super) fn forget(&self) {
        let _ = self.systemctl(&["reset-failed"]);
    }

    fn systemctl(&self, arguments: &[&str]) -> Option<String> {
        let manager = self.manager.as_ref()?;
        let finished = Program::new(&manager.systemctl, "/")
            .args(manager.of_user.then_some("--user"))
            .args(arguments)
            .args([&self.unit])
            .envs(manager.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())))
            .run(PATIENCE)
            .ok()?;
        finished.success().then(|| finished.text())
    }
}

/// systemd.resource-control(5).
fn properties(wishes: &Wishes) -> Vec<String> {
    let mut properties = Vec::new();
    if let Some(bytes) = wishes.memory_bytes {
        properties.extend([format!("MemoryMax={bytes}"), "MemorySwapMax=0".to_owned()]);
    }
    properties.extend(wishes.processes.map(|most| format!("TasksMax={most}")));
    properties.extend(wishes.cpus.map(|cpus| format!("CPUQuota={:.0}%", (cpus * 100.0).max(1.0))));
    properties
}
