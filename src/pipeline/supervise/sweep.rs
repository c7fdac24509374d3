//! The sweep after every end: no process of a run outlives it.

use crate::agent::environment::MARKER;
use crate::error::Result;
use crate::process;
use crate::record::Record;

/// Ends what is left of a run that has no supervisor.
pub(crate) fn end_processes(record: &Record) -> Result<()> {
    let token = &record.claimed()?.token;
    process::end_all(|| process::marked(MARKER, token), process::GRACE, || {});
    Ok(())
}

/// Ends every process of the run that is left: descendants (orphans come to us, the subreaper) and whatever else
/// carries the claim's marker.
pub(super) fn sweep(token: &str, agent: Option<u32>) {
    let mine = || {
        let mut pids = process::descendants();
        pids.extend(process::marked(MARKER, token));
        pids.sort_unstable();
        pids.dedup();
        pids
    };
    // Adopted children are taken leave of here; the agent itself is waited for elsewhere.
    process::end_all(mine, process::GRACE, || process::reap_zombies(agent));
}
