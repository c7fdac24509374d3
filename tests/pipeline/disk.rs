//! A disk that is full, and one that cannot be written: the command says so, and the old state stays.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use serde_json::json;

use crate::support::ran::Run;
use crate::support::skip::skip;
use crate::{House, Plan};

/// A small disk of the house's own, taken away at the end.
struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// None where this process may not mount.
    fn mount(house: &House, test: &str) -> Option<Self> {
        let folder = house.place("disk");
        fs::create_dir(&folder).unwrap();
        let place = folder.display().to_string();
        let ran = house.program("mount").args(["-t", "tmpfs", "-o", "size=512k", "tmpfs", &place]).run();
        if ran.status != 0 {
            skip(test, &format!("cannot mount a tmpfs: {}", ran.stderr.trim()));
            return None;
        }
        Some(Self { folder })
    }

    fn fill(&self) {
        let mut file = fs::File::create(self.folder.join("ballast")).unwrap();
        while file.write_all(&[0; 512]).is_ok() {}
    }

    fn relieve(&self) {
        fs::remove_file(self.folder.join("ballast")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.folder).status();
    }
}

#[test]
fn a_full_disk_keeps_the_old_state() {
    let house = House::usual();
    let Some(disk) = Disk::mount(&house, "a_full_disk_keeps_the_old_state") else { return };
    let state = disk.folder.join("cq");
    let cq = |name: &str, args: &[&str]| -> Run { house.cq(name).args(args).env("CQ_STATE_DIR", &state) };
    let first = cq("claim", &["1"]).run().quietly().stdout;
    disk.fill();

    let ran = cq("claim", &["2"]).run().ends(73, "No space left on device");
    assert_eq!(
        (ran.stdout.as_str(), ran.stderr.lines().count()),
        ("", 1),
        "one clear message: {}",
        ran.stderr
    );
    let ran = cq("spawn", &["--wait", "1"]).run();
    assert!(ran.status == 73 && ran.stderr.contains("No space left on device"), "{ran:#?}");
    cq("stop", &["--drain"]).run().ends(73, "No space left on device");

    // Readers go on, and read what was there.
    assert_eq!(cq("status", &[]).run().quietly().stdout, first);
    assert_eq!(fs::read_dir(state.join("records")).unwrap().count(), 1, "and no half a record");

    disk.relieve();
    assert_eq!(cq("claim", &["2"]).run().quietly().record()["claim"]["instance"], "claude-instance-2");
    assert_eq!(cq("spawn", &["--wait", "1"]).run().good().record()["claim"]["attempt"], 1);
}

/// The workspaces' disk is another one: nothing of the attempt counts.
#[test]
fn a_workspace_that_does_not_fit_uses_up_no_attempt() {
    let house = House::new(&Plan::default());
    let Some(disk) = Disk::mount(&house, "a_workspace_that_does_not_fit_uses_up_no_attempt") else { return };
    house.configure(|config| config["workspace"]["baseDir"] = disk.folder.to_str().unwrap().into());
    house.claim(1);
    disk.fill();
    let ran = house.cq("spawn").args(["--wait", "1"]).run();
    assert!(ran.status == 73 && ran.stderr.contains("No space left on device"), "{ran:#?}");
    let record = house.record(1);
    assert_eq!((record["status"].as_str(), record["claim"]["attempt"].as_u64()), (Some("queued"), Some(1)));
    disk.relieve();
    house.shell("cq-spawn --wait 1 | cq-gate | cq-pr").run().quietly();
    assert_eq!(house.lab.pulls().len(), 1);
}

#[test]
fn a_read_only_state_can_still_be_read() {
    let house = House::usual();
    let Some(disk) = Disk::mount(&house, "a_read_only_state_can_still_be_read") else { return };
    let state = disk.folder.join("cq");
    let cq = |name: &str, args: &[&str]| -> Run { house.cq(name).args(args).env("CQ_STATE_DIR", &state) };
    let first = cq("claim", &["1"]).run().quietly().stdout;
    let folder = disk.folder.display().to_string();
    house.program("mount").args(["-o", "remount,ro", &folder]).run().good();

    for (name, args) in [
        ("claim", &["2"][..]),
        ("spawn", &["--wait", "1"]),
        ("gate", &["1"]),
        ("pr", &["1"]),
        ("stop", &["--abort"]),
    ] {
        let ran = cq(name, args).run();
        assert!(ran.status == 73 && ran.stderr.contains("Read-only file system"), "{ran:#?}");
        assert_eq!(ran.stdout, "");
    }
    assert_eq!(cq("status", &[]).run().quietly().stdout, first);
    cq("fetch", &[]).run().quietly();
    assert!(cq("status", &["--explain", "1"]).run().good().stdout.contains("it is queued"));
    house.program("mount").args(["-o", "remount,rw", &folder]).run().good();
    cq("claim", &["2"]).run().quietly();
}

/// The log cannot be written then; the run goes on, and its work counts.
#[test]
fn a_disk_that_fills_while_an_agent_works_ends_no_run() {
    let fill = "cat /dev/zero >ballast 2>/dev/null; true";
    let long = json!({"say": "On a full disk. ".repeat(100)});
    let house = House::with_steps(&json!([
        {"run": ["sh", "-c", fill]}, long, long, long, long, {"sleep_ms": 1500}, long,
        {"run": ["sh", "-c", "rm ballast; echo x >new.txt"]}, {"commit": "Add a file"}, {"say": "Done."},
    ]));
    let Some(disk) = Disk::mount(&house, "a_disk_that_fills_while_an_agent_works_ends_no_run") else {
        return;
    };
    house.configure(|config| {
        config["workspace"]["baseDir"] = json!(disk.folder);
        config["limits"]["freeDiskMegabytes"] = json!(0);
    });
    house.work(1).good();
    let record = house.record(1);
    assert_eq!(record["outcome"], "success", "{}", record["history"]);
    let said =
        fs::read_to_string(house.clone().join("logs/claude-instance-1/supervise.log")).unwrap_or_default();
    assert_eq!(said.matches("No space left").count(), 1, "complained of once: {said}");
}

/// cq-doctor called such a state whole, or ended before it had said anything.
#[test]
fn what_cannot_be_written_is_found_with_all_the_rest() {
    let house = House::usual();
    let Some(disk) = Disk::mount(&house, "what_cannot_be_written_is_found_with_all_the_rest") else { return };
    let (state, workspaces) = (disk.folder.join("cq"), disk.folder.join("workspaces"));
    let cq = |name: &str, args: &[&str]| -> Run { house.cq(name).args(args).env("CQ_STATE_DIR", &state) };
    fs::create_dir(&workspaces).unwrap();
    house.configure(|config| config["workspace"]["baseDir"] = json!(workspaces.display().to_string()));
    cq("claim", &["1"]).run().quietly();
    cq("spawn", &["--wait", "1"]).run().quietly();
    // Looking whether somebody works on an instance opens its lock.
    let lock = state.join("instances/claude-instance-1.lock");
    assert!(lock.exists());
    let remount = ["-o", "remount,ro", disk.folder.to_str().unwrap()];
    house.program("mount").args(remount).run().good();
    let ran = cq("doctor", &[]).run().ends(1, "");
    let found = ran.records();
    let verdict = |check: &str| {
        let one = found.iter().find(|found| found["check"] == check);
        one.map(|found| (found["verdict"].clone(), found["what"].as_str().unwrap().to_owned()))
    };
    for check in ["state.writable", "workspaces.writable"] {
        let (verdict, what) = verdict(check).unwrap_or_else(|| panic!("no {check}: {ran:#?}"));
        assert_eq!(verdict, "error");
        assert!(what.contains("cannot be written: Read-only file system"), "{what}");
    }
    assert!(verdict("state").is_none(), "it is not whole: {ran:#?}");
    assert!(verdict("workspace").is_some() && verdict("repository").is_some(), "the others: {ran:#?}");
}
