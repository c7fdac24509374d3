//! Waiting for what other processes do: looking again and again, with a deadline.

use std::time::{Duration, Instant};

/// No wait of a test is longer; a busy machine may need most of it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until a process has ended; its parent need not have taken leave of it.
pub(crate) fn until_ended(pid: &str) {
    let stat = format!("/proc/{pid}/stat");
    until(&format!("the end of process {pid}"), || {
        std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z ")).then_some(())
    });
}

/// Waits until `look` finds something. Panics with `what` when the time is up.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < DEADLINE, "waited for {what} in vain");
        std::thread::sleep(Duration::from_millis(20));
    }
}
