//! How much is free: of the machine, and of the control group that cq itself is in.

use std::path::Path;

use super::admission::Readings;
use super::watchdog::kilobytes;
use super::{files, hierarchy, own};

/// Looks at the machine, with its disk where `workspaces` are or will be.
pub fn take(workspaces: &Path) -> Readings {
    let read = |path| std::fs::read_to_string(path).ok();
    let machine =
        read("/proc/meminfo").and_then(|text| kilobytes(&text, "MemAvailable:")).map(|free| free * 1024);
    let cpus = read("/sys/devices/system/cpu/online").and_then(|text| cpus(&text));
    Readings {
        memory_bytes: [machine, of_own_group()].into_iter().flatten().min(),
        disk_bytes: disk(workspaces),
        load_per_cpu: read("/proc/loadavg")
            .and_then(|text| load(&text))
            .zip(cpus)
            .map(|(load, cpus)| load / cpus),
    }
}

/// What is free in the folder, or in the nearest one above it that exists.
fn disk(folder: &Path) -> Option<u64> {
    let there = folder.ancestors().find(|folder| folder.exists())?;
    let about = rustix::fs::statvfs(there).ok()?;
    about.f_bavail.checked_mul(about.f_frsize)
}

/// The least that is left to the groups this process is in. None where none of them has a limit.
fn of_own_group() -> Option<u64> {
    let own = own();
    let v1 = own.v1.get("memory").into_iter().flat_map(|(point, own)| hierarchy::upwards(own, point));
    let v2 = own.v2.iter().flat_map(hierarchy::Unified::upwards);
    v1.chain(v2).filter_map(of_group).min()
}

fn of_group(group: &Path) -> Option<u64> {
    let read = |v2, v1| files::get(group, v2).or_else(|| files::get(group, v1));
    left(
        &read("memory.max", "memory.limit_in_bytes")?,
        &read("memory.current", "memory.usage_in_bytes")?,
        &files::get(group, "memory.stat").unwrap_or_default(),
    )
}

/// What is left in a group: files' pages that nobody has used of late can be had again. None without a limit, which
/// version 1 writes as an enormous number.
fn left(limit: &str, usage: &str, stat: &str) -> Option<u64> {
    let limit = limit.parse::<u64>().ok().filter(|limit| *limit < 1 << 60)?;
    let reclaimable =
        ["total_inactive_file", "inactive_file"].iter().find_map(|name| files::field(stat, name));
    let used = usage.parse::<u64>().ok()?.saturating_sub(reclaimable.unwrap_or_default());
    Some(limit.saturating_sub(used))
}

/// The first of `0.50 1.42 1.19 3/98 17716`: the average of a minute.
fn load(text: &str) -> Option<f64> {
    text.split(' ').next()?.parse().ok()
}

/// How many processors `0-3,8` are.
fn cpus(text: &str) -> Option<f64> {
    let count = |range: &str| match range.split_once('-') {
        Some((first, last)) => Some(last.parse::<u32>().ok()?.checked_sub(first.parse().ok()?)? + 1),
        None => range.parse::<u32>().ok().map(|_| 1),
    };
    text.trim().split(',').map(count).sum::<Option<u32>>().map(f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_in_a_group() {
        let v1 = "cache 9\ninactive_file 1\ntotal_inactive_file 300\n";
        let cases = [
            ("1000", "400", "", Some(600)),
            ("1000", "400", "anon 7\ninactive_file 100\n", Some(700)),
            ("1000", "400", v1, Some(900)),
            ("1000", "1200", "", Some(0)),
            ("max", "400", "", None),
            ("9223372036854771712", "400", "", None),
            ("1000", "", "", None),
            ("", "400", "", None),
        ];
        for (limit, usage, stat, expected) in cases {
            assert_eq!(left(limit, usage, stat), expected, "{limit} {usage} {stat}");
        }
    }

    #[test]
    fn processors_and_load() {
        let cases =
            [("0\n", Some(1.0)), ("0-3\n", Some(4.0)), ("0-3,8,10-11", Some(7.0)), ("", None), ("3-x", None)];
        for (text, expected) in cases {
            assert_eq!(cpus(text), expected, "{text}");
        }
        assert_eq!(load("0.50 1.42 1.19 3/98 17716\n"), Some(0.5));
        assert_eq!(load(""), None);
    }

    #[test]
    fn this_machine_can_be_read() {
        let readings = take(Path::new("/no/such/folder"));
        assert!(readings.unknown().is_empty(), "{readings:?}");
    }
}
