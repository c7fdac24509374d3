use std::fs;

use super::*;
use crate::config::Limits;

/// Files of a control group, as the kernel would show them.
fn group(folder: &Path, files: &[(&str, &str)]) {
    fs::create_dir_all(folder).unwrap();
    for (name, text) in files {
        std::io::Write::write_all(&mut fs::File::create(folder.join(name)).unwrap(), text.as_bytes())
            .unwrap();
    }
}

#[test]
fn the_chosen_mechanism_comes_first_and_those_after_it_next() {
    use Mechanism::{CgroupV1, CgroupV2, None, SystemdScope, Watchdog};
    let cases: [(MechanismChoice, &[Mechanism]); 6] = [
        (MechanismChoice::Auto, &[SystemdScope, CgroupV2, CgroupV1, Watchdog]),
        (MechanismChoice::SystemdScope, &[SystemdScope, CgroupV2, CgroupV1, Watchdog]),
        (MechanismChoice::CgroupV2, &[CgroupV2, CgroupV1, Watchdog]),
        (MechanismChoice::CgroupV1, &[CgroupV1, Watchdog]),
        (MechanismChoice::Watchdog, &[Watchdog]),
        (MechanismChoice::None, &[None]),
    ];
    for (choice, expected) in cases {
        assert_eq!(order(choice), expected);
    }
    for mechanism in Mechanism::ALL {
        assert_eq!(Mechanism::named(mechanism.name()), mechanism);
    }
    assert_eq!(Mechanism::named("jail"), None);
}

#[test]
fn required_refuses_what_the_kernel_does_not_enforce() {
    for mechanism in [MechanismChoice::Watchdog, MechanismChoice::None] {
        let limits = Limits { mechanism, required: true, ..Limits::default() };
        let error = create("cq-test", &limits, &Environment::default()).unwrap_err();
        assert_eq!(error.kind, Kind::Config);
        assert!(error.to_string().starts_with("limits.required is set, and the kernel cannot"), "{error}");
        assert!(error.hint.is_some());
        let limits = Limits { required: false, ..limits };
        let group = create("cq-test", &limits, &Environment::default()).unwrap();
        assert!(!group.mechanism().is_kernels() && group.pids().is_empty());
        assert!(!group.freeze(true).unwrap() && group.kill() && group.remove());
    }
}

#[test]
fn a_watchdog_says_what_it_leaves_out() {
    let limits = Limits { mechanism: MechanismChoice::Watchdog, cpus: Some(1.5), ..Limits::default() };
    let noted = create("cq-test", &limits, &Environment::default()).unwrap().in_record();
    assert_eq!((noted.mechanism.as_str(), noted.memory_bytes), ("watchdog", Some(4096 << 20)));
    assert_eq!((noted.cpus, noted.processes), (None, None));
    let lacking = noted.lacking.unwrap();
    assert!(
        lacking.contains("limits.cpus is not") && lacking.contains("limits.processes is not"),
        "{lacking}"
    );
}

#[test]
fn names_tell_state_directories_and_claims_apart() {
    let token = "fc158199-1111-2222-3333-444455556666";
    let here = name(Path::new("/no/such/a/.cq"), "claude-instance-7", token, 2);
    assert!(here.starts_with("cq-") && here.ends_with("-claude-instance-7-fc158199-2"), "{here}");
    assert_ne!(here, name(Path::new("/no/such/b/.cq"), "claude-instance-7", token, 2));
    assert_ne!(here, name(Path::new("/no/such/a/.cq"), "claude-instance-7", "0c158199", 2));
}

const WISHES: Wishes = Wishes { memory_bytes: Some(200 << 20), cpus: Some(1.5), processes: Some(64) };

/// Where the kernel is, there are files; a folder made here has none. What the kernel would have been asked is seen
/// by what fails first.
#[test]
fn version_two_climbs_to_the_first_group_that_hands_on_memory() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let own = |own: &str| Own {
        v2: Some(hierarchy::Unified { point: place(""), own: place(own) }),
        ..Own::default()
    };
    let delegated = [
        ("cgroup.procs", ""),
        ("cgroup.controllers", "cpu memory pids"),
        ("cgroup.subtree_control", "memory pids"),
        ("memory.max", "max"),
    ];
    group(&place(""), &[("cgroup.procs", ""), ("cgroup.controllers", "")]);
    group(&place("service"), &delegated);
    group(&place("service/main"), &[("cgroup.procs", ""), ("cgroup.controllers", "")]);
    // Made beside `main`, and removed again because a plain folder has no memory.max.
    let error = v2::create(&own("service/main"), "cq-x", &WISHES).unwrap_err();
    assert!(error.ends_with("does not have the controller 'memory'"), "the nearest says why: {error}");
    assert_eq!(fs::read_to_string(place("service/cgroup.subtree_control")).unwrap(), "+cpury pids");
    assert!(!place("service/cq-x").exists() && !place("service/main/cq-x").exists());
    // A group with a limit of its own is not left.
    group(&place("service"), &[("cgroup.subtree_control", "")]);
    group(&place("service/main"), &[("memory.max", "1000000")]);
    v2::create(&own("service/main"), "cq-x", &WISHES).unwrap_err();
    assert_eq!(fs::read_to_string(place("service/cgroup.subtree_control")).unwrap(), "");
    assert_eq!(
        v2::create(&Own::default(), "cq-x", &WISHES).unwrap_err(),
        "no hierarchy of version 2 is mounted writable"
    );
}

#[test]
fn a_group_is_read_by_the_files_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    group(
        &place("memory"),
        &[
            ("cgroup.procs", "11\n12\n"),
            ("memory.max_usage_in_bytes", "4096\n"),
            ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"),
        ],
    );
    group(&place("cpuacct"), &[("cgroup.procs", "12\n13\n"), ("cpuacct.usage", "1500000000\n")]);
    group(
        &place("one"),
        &[
            ("cgroup.procs", "21\n"),
            ("memory.peak", "8192\n"),
            ("memory.events", "low 0\noom 7\noom_kill 5\noom_group_kill 1\n"),
            ("cpu.stat", "usage_usec 2500000\nuser_usec 1\n"),
        ],
    );
    group(&place("one/below"), &[("cgroup.procs", "22\n")]);
    let open = |mechanism: Mechanism, names: &[&str]| {
        Group::reopen(&RunLimits {
            mechanism: mechanism.name().to_owned(),
            groups: names.iter().map(|name| place(name).display().to_string()).collect(),
            ..RunLimits::default()
        })
    };
    let seconds = |seconds| Some(std::time::Duration::from_secs_f64(seconds));
    let v1 = open(Mechanism::CgroupV1, &["memory", "cpuacct"]);
    assert_eq!((v1.pids(), v1.memory_peak(), v1.oom_kills()), (vec![11, 12, 13], Some(4096), 3));
    assert_eq!(v1.cpu_time(), seconds(1.5));
    let v2 = open(Mechanism::CgroupV2, &["one"]);
    assert_eq!((v2.pids(), v2.memory_peak(), v2.oom_kills()), (vec![21, 22], Some(8192), 5));
    assert_eq!(v2.cpu_time(), seconds(2.5));
    let gone = open(Mechanism::CgroupV2, &["gone"]);
    assert_eq!((gone.pids(), gone.memory_peak(), gone.oom_kills(), gone.cpu_time()), (vec![], None, 0, None));
    assert!(gone.remove() && gone.kill());
}

#[test]
fn a_quota_is_a_part_of_each_period() {
    for (cpus, expected) in [(1.0, 100_000), (1.5, 150_000), (64.0, 6_400_000), (0.000_1, 1_000)] {
        assert_eq!(v1::quota(cpus), expected, "{cpus}");
    }
}

/// The real thing, where this machine has it: written, read back, emptied, removed.
#[test]
fn a_group_of_version_one_holds_what_was_wished() {
    let limits = Limits {
        memory_megabytes: Some(200),
        cpus: Some(0.5),
        processes: Some(64),
        mechanism: MechanismChoice::CgroupV1,
        ..Limits::default()
    };
    let name = name(Path::new("/no/such/place"), "claude-instance-1", &std::process::id().to_string(), 1);
    let group = create(&name, &limits, &Environment::default()).unwrap();
    if group.mechanism() != Mechanism::CgroupV1 {
        println!("SKIPPED: a_group_of_version_one_holds_what_was_wished: {}", group.lacking().unwrap());
        return;
    }
    let read = |file: &str| group.groups.iter().find_map(|group| files::get(group, file));
    assert_eq!(read("memory.limit_in_bytes").as_deref(), Some("209715200"));
    for (file, value, wish) in [("cpu.cfs_quota_us", "50000", "cpus"), ("pids.max", "64", "processes")] {
        let lacking = group.lacking().is_some_and(|lacking| lacking.contains(wish));
        assert_eq!(read(file).as_deref() != Some(value), lacking, "{file} {:?}", group.lacking());
    }
    // It enters as the launcher does; what it starts afterwards is in the groups by birth.
    let script =
        "for group; do echo 0 > \"$group/cgroup.procs\" || exit 1; done; sleep 600 & while :; do :; done";
    let busy = crate::process::Program::new("/bin/sh", "/")
        .args(["-c", script, "sh"])
        .args(&group.groups)
        .env("PATH", "/usr/bin:/bin")
        .start()
        .unwrap();
    let until = |what: &str, is: &dyn Fn() -> bool| {
        let begun = std::time::Instant::now();
        while !is() {
            assert!(begun.elapsed() < Duration::from_secs(30), "waited for {what} in vain");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    until("both processes", &|| group.pids().len() == 2);
    assert!(!group.remove(), "there is somebody in it");
    if group.freeze(true).unwrap() {
        let used = group.cpu_time();
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(group.cpu_time(), used, "what is frozen uses no time");
        assert!(group.freeze(false).unwrap());
        until("work after the thaw", &|| group.cpu_time() > used);
        group.freeze(true).unwrap();
    }
    assert!(group.kill() && group.pids().is_empty(), "what is frozen is ended too");
    assert!(busy.wait(Duration::from_secs(10)).unwrap().is_some());
    until("the last of them", &|| group.remove());
    assert!(group.groups.iter().all(|group| !group.exists()));
    assert!(sweep(Path::new("/no/such/place"), |_| false) == 0);
}
