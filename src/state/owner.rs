//! Which process is meant: host, boot, pid and start time together, because a pid alone is used again.

use std::path::Path;

use crate::record::{Extra, Owner};

/// This machine's name.
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The kernel's boot id; empty where it has none.
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

/// This process.
pub fn of_this_process() -> Owner {
    let pid = std::process::id();
    Owner {
        host: host(),
        boot_id: boot_id(),
        pid,
        started: started(pid).unwrap_or_default(),
        extra: Extra::new(),
    }
}

/// When a process was started, in clock ticks since boot; none if there is no such process.
pub fn started(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    // The second field is the program's name in parentheses and may hold anything, spaces and `)` included.
    let fields = &stat[stat.rfind(')')? + 1..];
    fields.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_known_and_has_a_start() {
        let owner = of_this_process();
        assert_eq!(owner.pid, std::process::id());
        assert!(owner.started > 0);
        assert!(!owner.host.is_empty());
        assert_eq!(started(owner.pid), Some(owner.started));
        assert_eq!(started(u32::MAX), None);
    }
}
