//! What systemd is told (sd_notify(3)): ready, how it goes, still alive, ending. Without NOTIFY_SOCKET nobody is.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::environment::{self, Environment, Variable};

/// Variables of systemd's that are not for the programs that are started: they would speak in this one's name.
const OURS: [&Variable; 3] =
    [&environment::NOTIFY_SOCKET, &environment::WATCHDOG_USEC, &environment::WATCHDOG_PID];

/// Whether a variable is handed on.
pub(super) fn is_handed_on(name: &str) -> bool {
    !OURS.iter().any(|ours| ours.name == name)
}

/// The line to systemd.
#[derive(Debug)]
pub(super) struct Systemd {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// How often a sign of life is sent: half of what is asked for.
    every: Option<Duration>,
    /// When the last one was sent, since the machine was started.
    last: Duration,
}

impl Systemd {
    /// As the environment says. What cannot be reached is not told.
    pub(super) fn find(environment: &Environment) -> Self {
        let address = environment.get(&environment::NOTIFY_SOCKET).and_then(address);
        let socket = address.and_then(|address| Some((UnixDatagram::unbound().ok()?, address)));
        if let Some((socket, _)) = &socket {
            // A line that is full must not hold up the work.
            let _ = socket.set_nonblocking(true);
        }
        let mine = environment
            .get(&environment::WATCHDOG_PID)
            .is_none_or(|pid| pid.parse() == Ok(std::process::id()));
        let asked = environment.get(&environment::WATCHDOG_USEC).and_then(|text| text.parse::<u64>().ok());
        let asked = asked.filter(|microseconds| mine && *microseconds > 0);
        let every = asked.filter(|_| socket.is_some()).map(|asked| Duration::from_micros(asked) / 2);
        Self { socket, every, last: Duration::ZERO }
    }

    /// Tells it something, such as `READY=1`.
    pub(super) fn tell(&self, what: &str) {
        if let Some((socket, address)) = &self.socket {
            let _ = socket.send_to_addr(what.as_bytes(), address);
        }
    }

    /// The sign of life, when it is due; gives when it will be due again.
    pub(super) fn live(&mut self, now: Duration) -> Option<Duration> {
        let every = self.every?;
        if now.saturating_sub(self.last) >= every {
            self.tell("WATCHDOG=1");
            self.last = now;
        }
        Some(every.saturating_sub(now.saturating_sub(self.last)))
    }
}

/// A path, or a name that is in no folder (`@name`).
fn address(text: &str) -> Option<SocketAddr> {
    match text.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name).ok(),
        None if text.starts_with('/') => SocketAddr::from_pathname(text).ok(),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn systemd_hears_what_it_is_told_and_signs_of_life_as_often_as_it_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let abstract_name = format!("cq-test-{}", std::process::id());
        let in_no_folder = SocketAddr::from_abstract_name(&abstract_name).unwrap();
        let ears = [
            (path.display().to_string(), UnixDatagram::bind(&path).unwrap()),
            (format!("@{abstract_name}"), UnixDatagram::bind_addr(&in_no_folder).unwrap()),
        ];
        for (name, ear) in ears {
            ear.set_nonblocking(true).unwrap();
            let heard = || {
                let mut buffer = [0; 100];
                ear.recv(&mut buffer)
                    .ok()
                    .map(|length| String::from_utf8_lossy(&buffer[..length]).into_owned())
            };
            let mut systemd =
                Systemd::find(&environment(&[("NOTIFY_SOCKET", &name), ("WATCHDOG_USEC", "4000000")]));
            systemd.tell("READY=1");
            assert_eq!(heard().as_deref(), Some("READY=1"), "{name}");
            let second = Duration::from_secs(1);
            assert_eq!(systemd.live(second * 10), Some(second * 2));
            assert_eq!(heard().as_deref(), Some("WATCHDOG=1"));
            assert_eq!((systemd.live(second * 11), heard()), (Some(second), None));
            systemd.live(second * 12);
            assert_eq!(heard().as_deref(), Some("WATCHDOG=1"));
        }
    }

    #[test]
    fn a_watchdog_for_another_process_or_without_a_socket_is_not_ours() {
        for variables in [
            &[("WATCHDOG_USEC", "4000000")][..],
            &[("NOTIFY_SOCKET", "/nowhere"), ("WATCHDOG_USEC", "4000000"), ("WATCHDOG_PID", "1")],
            &[("NOTIFY_SOCKET", "relative"), ("WATCHDOG_USEC", "4000000")],
        ] {
            let mut systemd = Systemd::find(&environment(variables));
            systemd.tell("READY=1");
            assert_eq!(systemd.live(Duration::from_secs(10)), None, "{variables:?}");
        }
        assert!(!is_handed_on("NOTIFY_SOCKET") && is_handed_on("PATH"));
    }
}
