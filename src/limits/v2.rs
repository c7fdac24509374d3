//! A delegated control group of version 2.
//!
//! A group that has processes cannot hand controllers to groups below it (except the root), so ours usually stands
//! beside this process's own, below the first group above that lets us.

use std::path::Path;

use rustix::fs::{Access, access};

use super::files::{self, Tried};
use super::hierarchy::Own;
use super::v1::{PERIOD, quota};
use super::{Made, Wishes};

/// Makes the group, as near to this process's own as can be.
pub(super) fn create(own: &Own, name: &str, wishes: &Wishes) -> Tried<Made> {
    let Some(unified) = &own.v2 else {
        return Err("no hierarchy of version 2 is mounted writable".to_owned());
    };
    let mut first = None;
    for parent in unified.upwards() {
        match create_in(parent, name, wishes) {
            Ok(made) => return Ok(made),
            Err(reason) => first.get_or_insert(reason),
        };
        // What stands above a group with a limit is not bound by that limit: cq does not leave it.
        if files::number(parent, "memory.max").is_some() {
            break;
        }
    }
    Err(first.unwrap_or_else(|| "no group can be made".to_owned()))
}

fn create_in(parent: &Path, name: &str, wishes: &Wishes) -> Tried<Made> {
    let procs = parent.join("cgroup.procs");
    // Whoever moves a process must be able to write this of the group above both places.
    access(&procs, Access::WRITE_OK)
        .map_err(|_| format!("'{}' is not delegated to this user", parent.display()))?;
    let mut made = Made::default();
    let wanted = [
        ("memory", "memory", wishes.memory_bytes.is_some()),
        ("pids", "processes", wishes.processes.is_some()),
        ("cpu", "cpus", wishes.cpus.is_some()),
    ];
    for (controller, key, _) in wanted.iter().filter(|(_, _, wished)| *wished) {
        match enable(parent, controller) {
            Err(reason) if *controller == "memory" => return Err(reason),
            Err(reason) => made.lack(key, reason),
            Ok(()) => {}
        }
    }
    let group = files::make(parent, name)?;
    made.add(group.clone());
    limit(&group, wishes, &mut made).inspect_err(|_| made.undo())?;
    Ok(made)
}

fn enable(parent: &Path, controller: &str) -> Tried {
    let has =
        |file| files::get(parent, file).is_some_and(|text| text.split(' ').any(|one| one == controller));
    if has("cgroup.subtree_control") {
        return Ok(());
    }
    if !has("cgroup.controllers") {
        return Err(format!("'{}' does not have the controller '{controller}'", parent.display()));
    }
    files::put(parent, "cgroup.subtree_control", &format!("+{controller}"))
}

fn limit(group: &Path, wishes: &Wishes, made: &mut Made) -> Tried {
    if let Some(bytes) = wishes.memory_bytes {
        files::put(group, "memory.max", &bytes.to_string())?;
        // Only where there is swap.
        let _ = files::put(group, "memory.swap.max", "0");
        // All of an instance's processes or none: half of them is of no use to an agent.
        let _ = files::put(group, "memory.oom.group", "1");
    }
    if let Some(most) = wishes.processes.filter(|_| !made.lacks("processes")) {
        files::put(group, "pids.max", &most.to_string())?;
    }
    if let Some(cpus) = wishes.cpus.filter(|_| !made.lacks("cpus")) {
        files::put(group, "cpu.max", &format!("{} {PERIOD}", quota(cpus)))?;
    }
    Ok(())
}
