//! The sweep after every end: no process of a run outlives it.

use super::freeze;
use super::limits::group_of;
use crate::agent::environment::MARKER;
use crate::error::Result;
use crate::limits::Group;
use crate::process;
use crate::record::{Liveness, Record};

/// Ends what is left of a run that has no supervisor.
pub(crate) fn end_processes(record: &Record) -> Result<()> {
    let token = &record.claimed()?.token;
    if record.run.as_ref().is_some_and(|run| run.liveness == Some(Liveness::Frozen)) {
        freeze::set(record, false);
    }
    end(group_of(record).as_ref(), process::marked_families(MARKER, token), || {});
    Ok(())
}

/// Ends every process of the run that is left: descendants (orphans come to us, the subreaper) and whatever else
/// carries the claim's marker.
pub(super) fn sweep(token: &str, agent: Option<u32>, group: &Group) {
    // Adopted children are taken leave of here; the agent itself is waited for elsewhere.
    end(Some(group), || processes(token), || process::reap_zombies(agent));
}

/// Every process of the run that this supervisor can find, itself excepted.
pub(super) fn processes(token: &str) -> Vec<u32> {
    let mut pids = process::descendants();
    pids.extend(process::marked(MARKER, token));
    pids.sort_unstable();
    pids.dedup();
    pids
}

/// Ends what is in the group and what else is found: asks, waits, kills.
pub(crate) fn end(group: Option<&Group>, find: impl Fn() -> Vec<u32>, reap: impl Fn()) {
    if let Some(group) = group {
        // What is frozen does not hear.
        let _ = group.freeze(false);
    }
    let all = || {
        let mut pids = group.map(Group::pids).unwrap_or_default();
        pids.extend(find());
        pids.sort_unstable();
        pids.dedup();
        pids
    };
    process::end_all(all, process::GRACE, &reap);
    // Who starts others faster than they are found is ended at one stroke.
    if group.is_some_and(|group| !group.kill()) {
        reap();
    }
}
