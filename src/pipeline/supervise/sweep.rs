//! The sweep after every end: no process of a run outlives it.

use super::freeze;
use crate::agent::environment::MARKER;
use crate::error::Result;
use crate::process;
use crate::record::{Liveness, Record};

/// Ends what is left of a run that has no supervisor.
pub(crate) fn end_processes(record: &Record) -> Result<()> {
    let token = &record.claimed()?.token;
    if record.run.as_ref().is_some_and(|run| run.liveness == Some(Liveness::Frozen)) {
        freeze::set(record, false);
    }
    process::end_all(|| process::marked(MARKER, token), process::GRACE, || {});
    Ok(())
}

/// Ends every process of the run that is left: descendants (orphans come to us, the subreaper) and whatever else
/// carries the claim's marker.
pub(super) fn sweep(token: &str, agent: Option<u32>) {
    // Adopted children are taken leave of here; the agent itself is waited for elsewhere.
    process::end_all(|| processes(token), process::GRACE, || process::reap_zombies(agent));
}

/// Every process of the run that this supervisor can find, itself excepted.
pub(super) fn processes(token: &str) -> Vec<u32> {
    let mut pids = process::descendants();
    pids.extend(process::marked(MARKER, token));
    pids.sort_unstable();
    pids.dedup();
    pids
}
