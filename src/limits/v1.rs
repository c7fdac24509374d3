//! Control groups of version 1, which only root can make: a folder in each controller's hierarchy.

use std::path::Path;

use super::files::{self, Tried};
use super::hierarchy::{CONTROLLERS, Own};
use super::{Made, Wishes};

/// A quota of processor time is for so many microseconds.
pub(super) const PERIOD: u64 = 100_000;

/// Microseconds of each [`PERIOD`]; the kernel takes no less than 1,000.
pub(super) fn quota(cpus: f64) -> u64 {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be in (0, 1e9]"
    )]
    let quota = (cpus * PERIOD as f64) as u64;
    quota.max(1_000)
}

/// Makes the groups beneath those that this process is in, so that their limits hold too.
pub(super) fn create(own: &Own, name: &str, wishes: &Wishes) -> Tried<Made> {
    if own.v1.is_empty() {
        return Err("no hierarchy of version 1 is mounted writable".to_owned());
    }
    let mut made = Made::default();
    let created = fill(&mut made, own, name, wishes);
    created.inspect_err(|_| made.undo())?;
    Ok(made)
}

fn fill(made: &mut Made, own: &Own, name: &str, wishes: &Wishes) -> Tried {
    // A hierarchy of version 2 beside the others limits nothing, but counts, ends and freezes at one stroke.
    let unified = own.v2.as_ref().and_then(|unified| files::make(&unified.own, name).ok());
    let has = |file| unified.as_ref().is_some_and(|group| group.join(file).exists());
    let counts_and_freezes = has("cpu.stat") && has("cgroup.freeze");
    if let Some(unified) = unified {
        made.add(unified);
    }
    // Each group that is entered takes the kernel milliseconds.
    let needless = |controller: &&str| match *controller {
        "pids" => wishes.processes.is_none(),
        "cpu" => wishes.cpus.is_none(),
        "cpuacct" | "freezer" => counts_and_freezes,
        _ => false,
    };
    for controller in CONTROLLERS.into_iter().filter(|controller| !needless(controller)) {
        let place =
            own.v1.get(controller).ok_or_else(|| format!("the controller '{controller}' is not mounted"));
        let group = place.and_then(|(_, own)| {
            // cpu and cpuacct are often one hierarchy.
            match made.groups.iter().find(|group| group.parent() == Some(own)) {
                Some(group) => Ok(group.clone()),
                None => files::make(own, name),
            }
        });
        match group.and_then(|group| limit(&group, controller, wishes).map(|()| group)) {
            Ok(group) => made.add(group),
            Err(reason) if controller == "memory" && wishes.memory_bytes.is_some() => return Err(reason),
            Err(reason) => match controller {
                "pids" if wishes.processes.is_some() => made.lack("processes", reason),
                "cpu" if wishes.cpus.is_some() => made.lack("cpus", reason),
                _ => {}
            },
        }
    }
    if made.groups.is_empty() { Err("no group can be made".to_owned()) } else { Ok(()) }
}

fn limit(group: &Path, controller: &str, wishes: &Wishes) -> Tried {
    match controller {
        "memory" => {
            let Some(bytes) = wishes.memory_bytes.map(|bytes| bytes.to_string()) else { return Ok(()) };
            files::put(group, "memory.limit_in_bytes", &bytes)?;
            // Only where swap is accounted for.
            let _ = files::put(group, "memory.memsw.limit_in_bytes", &bytes);
            // Inherited; without it processes over the limit would wait for ever.
            let _ = files::put(group, "memory.oom_control", "0");
            Ok(())
        }
        "pids" => wishes.processes.map_or(Ok(()), |most| files::put(group, "pids.max", &most.to_string())),
        "cpu" => wishes.cpus.map_or(Ok(()), |cpus| {
            files::put(group, "cpu.cfs_period_us", &PERIOD.to_string())?;
            files::put(group, "cpu.cfs_quota_us", &quota(cpus).to_string())
        }),
        _ => Ok(()),
    }
}
