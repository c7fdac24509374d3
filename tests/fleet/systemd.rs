//! What systemd hears of cq-run.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use serde_json::json;

use crate::{House, Orchestrator, Plan};

#[test]
fn systemd_hears_that_it_is_ready_alive_and_ending() {
    let house = House::new(&Plan { issues: json!([]), ..Plan::default() });
    let path = house.place("notify");
    let ear = UnixDatagram::bind(&path).unwrap();
    ear.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let hear = || {
        let mut buffer = [0; 4096];
        let length = ear.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let variables = [("NOTIFY_SOCKET", path.display().to_string()), ("WATCHDOG_USEC", "400000".to_owned())];
    let mut fleet = Orchestrator::start_with(&house, "fleet", &["--interval", "60"], &variables);
    assert!(hear().starts_with("READY=1\n"), "first of all");
    let (mut alive, mut told) = (0, false);
    while alive < 5 || !told {
        match hear().as_str() {
            "WATCHDOG=1" => alive += 1,
            status => told |= status.starts_with("STATUS='due' ended, 0 records"),
        }
    }
    fleet.signal(rustix::process::Signal::TERM);
    while !hear().contains("STOPPING=1") {}
    assert_eq!(fleet.end(), 143);

    // One that cannot do its work does not say that it is ready.
    let mut first = Orchestrator::start(&house, "holder", &["--interval", "60"]);
    crate::until("its lock", || (!first.ticks().is_empty()).then_some(()));
    while ear.set_nonblocking(true).is_ok() && ear.recv(&mut [0; 64]).is_ok() {}
    let mut second = Orchestrator::start_with(&house, "second", &[], &variables);
    assert_eq!(second.end(), 75);
    assert!(ear.recv(&mut [0; 64]).is_err());
    assert_eq!(first.stop(), 143);
}
