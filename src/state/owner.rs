//! Which process is meant: host, boot, pid and start time together, because a pid alone is used again.

use rustix::process::Signal;

use crate::process::{self, started};
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

/// Signals a noted process, if it is still that very one: this machine, this boot, that start. Whether it was
/// signalled.
pub fn signal(noted: &Owner, signal: Signal) -> bool {
    let here = noted.host == host() && noted.boot_id == boot_id();
    here && process::signal_started(noted.pid, noted.started, signal)
}

/// Whether a noted process is known to have ended. Of another machine or another boot nothing is known.
pub fn is_gone(noted: &Owner) -> bool {
    let here = noted.host == host() && noted.boot_id == boot_id();
    here && started(noted.pid) != Some(noted.started)
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

    #[test]
    fn only_the_very_process_is_signalled() {
        let running = process::Program::new("/bin/sleep", "/").args(["60"]).start().unwrap();
        let pid = running.pid().unwrap();
        let owner = Owner { pid, started: started(pid).unwrap(), ..of_this_process() };
        let others = [
            Owner { host: "elsewhere".into(), ..owner.clone() },
            Owner { boot_id: "another boot".into(), ..owner.clone() },
            Owner { started: owner.started + 1, ..owner.clone() },
        ];
        for other in &others {
            assert!(!signal(other, Signal::KILL), "{other:?}");
        }
        assert_eq!(others.each_ref().map(is_gone), [false, false, true]);
        assert!(!is_gone(&owner) && running.wait(std::time::Duration::from_millis(50)).unwrap().is_none());
        assert!(signal(&owner, Signal::KILL));
        // What nobody has taken leave of yet has ended all the same.
        while !is_gone(&owner) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        assert!(running.wait(std::time::Duration::from_secs(10)).unwrap().is_some());
    }
}
