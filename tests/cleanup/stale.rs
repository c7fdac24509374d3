//! What piles up besides workspaces: receipts of checked trees, and the caches of checks.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};

use crate::{House, LATER, Plan, names};

fn receipt(house: &House, issue: u64) -> PathBuf {
    let tree = house.record(issue)["gates"]["tree"].as_str().unwrap().to_owned();
    house.state_dir().join(format!("receipts/{tree}.json"))
}

#[test]
fn receipts_that_nobody_needs_go_after_thirty_days() {
    let house = House::usual();
    for issue in [1, 2] {
        house.work(issue).good();
        house.cq("gate").args([issue.to_string()]).run().quietly();
    }
    let (first, second) = (receipt(&house, 1), receipt(&house, 2));
    // One that leads elsewhere: only the link goes.
    let outside = house.place("outside.json");
    let text = fs::read_to_string(&first).unwrap();
    let tree = "0123456789012345678901234567890123456789";
    fs::write(&outside, text.replace(first.file_stem().unwrap().to_str().unwrap(), tree)).unwrap();
    let link = first.with_file_name(format!("{tree}.json"));
    symlink(&outside, &link).unwrap();
    let foreign = first.with_file_name("mine.json");
    fs::write(&foreign, text).unwrap();
    house.cq("pr").args(["1"]).run().quietly();
    house.lab.merge(house.lab.pulls()[0]["number"].as_u64().unwrap());
    house.cq("pr").args(["--sync"]).run().quietly();
    house.cq("cleanup").args(["--all"]).run().quietly();
    assert!(first.exists() && second.exists() && house.status(1).is_empty(), "young, and archived");

    let dry = house.cq("cleanup").args(["--dry-run"]).at(LATER).run();
    dry.ends(0, "would remove 2 receipts older than 30 days");
    // Somebody who checks that very tree comes first.
    let slot = first.file_name().unwrap().to_str().unwrap()[..2].to_owned();
    let lock = File::create(first.with_file_name(format!("{slot}.lock"))).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    house.cq("cleanup").at(LATER).run().ends(0, "removed 1 receipt older than 30 days");
    assert!(first.exists() && link.symlink_metadata().is_err() && outside.exists());
    drop(lock);
    let ran = house.cq("cleanup").at(LATER).run().ends(0, "removed 1 receipt older than 30 days");
    assert!(ran.stderr.contains(" are free again in all"), "{}", ran.stderr);
    assert!(!first.exists() && second.exists() && foreign.exists(), "the issue in flight needs its own");
    house.cq("cleanup").at(LATER).run().quietly();
}

/// A house whose checks have kept a cache, and where that is.
fn cached(caches: &Value) -> (House, PathBuf) {
    let build = "mkdir -p build web/modules; head -c 1m /dev/urandom > build/made; test \"$CQ_ISSUE\" = 1";
    let gates = json!([{"name": "build", "command": ["sh", "-c", build]}]);
    let house = House::new(&Plan { gates, ..Plan::default() });
    house.configure(|config| config["gate"] = json!({"caches": caches}));
    house.work(1).good();
    house.cq("gate").args(["1"]).run().quietly();
    let kept = house.clone().join("workspaces/.caches/acme%2Fwidgets");
    (house, kept)
}

/// Makes it look unused for so many days.
fn age(folder: &Path, days: u64) {
    let at = SystemTime::now() - Duration::from_secs(days * 24 * 3600);
    File::open(folder).unwrap().set_modified(at).unwrap();
}

#[test]
fn caches_that_nobody_uses_go_after_thirty_days_and_unnamed_ones_at_once() {
    let (house, kept) = cached(&json!(["build", "web/modules"]));
    let all = |house: &House| house.cq("cleanup").run();
    assert_eq!(names(&kept).len(), 2);
    age(&kept.join("build"), 29);
    all(&house).quietly();
    age(&kept.join("build"), 31);
    // A red run keeps nothing, and uses what is kept.
    house.work(2).good();
    house.cq("gate").args(["2"]).run().ends(1, "checks could not be evaluated");
    all(&house).quietly();
    assert_eq!(names(&kept).len(), 2);
    age(&kept.join("build"), 31);
    house
        .cq("cleanup")
        .args(["--dry-run"])
        .run()
        .ends(0, "would remove caches of checks that are of no use: build");
    let lock = File::create(house.state_dir().join("caches.lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    all(&house).quietly();
    drop(lock);
    let ran = all(&house).ends(0, "removed caches of checks that are of no use: build");
    assert!(ran.stderr.contains("2 MB are free again in all"), "{}", ran.stderr);
    assert_eq!(names(&kept), ["web%2Fmodules".to_owned()].into());
    house.configure(|config| config["gate"]["caches"] = json!(["build"]));
    all(&house).ends(0, "removed caches of checks that are of no use: web/modules");
    assert_eq!(names(&kept).len(), 0);
}

#[test]
fn where_everything_goes_the_caches_go_too_and_no_link_is_followed() {
    let (house, kept) = cached(&json!(["build"]));
    let outside = house.place("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("precious"), "precious").unwrap();
    symlink(&outside, kept.join("way")).unwrap();
    symlink(&outside, kept.with_file_name("another")).unwrap();
    house.cq("cleanup").run().quietly();
    let ran = house.cq("cleanup").args(["--all", "--force"]).run().ends(0, "removed the caches of checks");
    assert!(ran.stderr.contains(" are free again in all"), "{}", ran.stderr);
    let top = house.clone().join("workspaces/.caches");
    assert!(top.symlink_metadata().is_err() && outside.join("precious").exists());
    assert!(names(&house.clone().join("workspaces/.trash")).is_empty());
    // A folder that leads elsewhere is not looked through.
    symlink(&outside, &top).unwrap();
    house.cq("cleanup").run().ends(77, "is no folder that cq made");
    house.cq("cleanup").args(["--all", "--force"]).run().good();
    assert!(top.symlink_metadata().is_err() && outside.join("precious").exists());
}
