//! Where control groups are mounted, and in which of them this process is: texts of the kernel, understood. Pure.
//!
//! The formats are those of proc_pid_mountinfo(5) and cgroups(7).

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// The controllers of version 1 that cq uses.
pub(super) const CONTROLLERS: [&str; 5] = ["memory", "pids", "cpu", "cpuacct", "freezer"];

/// A place in the one hierarchy of version 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unified {
    /// Where it is mounted.
    pub point: PathBuf,
    /// This process's own group in it.
    pub own: PathBuf,
}

impl Unified {
    /// The own group and those above it, nearest first.
    pub(super) fn upwards(&self) -> impl Iterator<Item = &Path> {
        upwards(&self.own, &self.point)
    }
}

/// The groups that this process is in, as far as they can be reached through a mount.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Own {
    /// Of version 2; beside version 1 (hybrid) it usually has no controllers.
    pub v2: Option<Unified>,
    /// Of version 1: controller → mount point and own group.
    pub v1: BTreeMap<&'static str, (PathBuf, PathBuf)>,
}

/// A folder and those above it up to `top`, nearest first.
pub(super) fn upwards<'a>(from: &'a Path, top: &'a Path) -> impl Iterator<Item = &'a Path> {
    from.ancestors().take_while(move |folder| folder.starts_with(top))
}

/// Puts `/proc/self/mountinfo` and `/proc/self/cgroup` together. Mounts that are read-only do not count.
pub(super) fn own(mountinfo: &str, membership: &str) -> Own {
    let mut own = Own::default();
    for mount in mountinfo.lines().filter_map(Mount::read) {
        // `0::/path` is version 2, `4:memory:/path` version 1.
        for (controllers, path) in
            membership.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'))
        {
            let Some(place) = mount.place_of(path) else { continue };
            match mount.kind {
                "cgroup2" if controllers.is_empty() => {
                    own.v2.get_or_insert(Unified { point: mount.point.clone(), own: place });
                }
                "cgroup" => {
                    let both = |name: &&'static str| {
                        controllers.split(',').any(|one| one == *name)
                            && mount.options.split(',').any(|one| one == *name)
                    };
                    for name in CONTROLLERS.into_iter().filter(both) {
                        own.v1.entry(name).or_insert_with(|| (mount.point.clone(), place.clone()));
                    }
                }
                _ => {}
            }
        }
    }
    own
}

/// A mount of control groups that can be written.
struct Mount<'a> {
    /// Which group of the hierarchy the mount point shows.
    root: String,
    point: PathBuf,
    kind: &'a str,
    options: &'a str,
}

impl<'a> Mount<'a> {
    /// One line: `31 23 0:28 ROOT POINT OPTIONS [optional…] - KIND SOURCE SUPER-OPTIONS`.
    fn read(line: &'a str) -> Option<Self> {
        let (before, after) = line.split_once(" - ")?;
        let mut after = after.split(' ');
        let (kind, options) = (after.next()?, after.nth(1)?);
        let mut before = before.split(' ').skip(3);
        let (root, point, flags) = (before.next()?, before.next()?, before.next()?);
        let writable = !flags.split(',').any(|flag| flag == "ro");
        (writable && kind.starts_with("cgroup")).then(|| Self {
            root: plain(root),
            point: plain(point).into(),
            kind,
            options,
        })
    }

    /// Where a group is found beneath the mount point. None for one that the mount does not show.
    fn place_of(&self, group: &str) -> Option<PathBuf> {
        let beneath = Path::new(group).strip_prefix(&self.root).ok()?;
        // `/../other` is a group outside the namespace.
        let inside = beneath.components().all(|part| matches!(part, Component::Normal(_)));
        inside.then(|| if beneath == Path::new("") { self.point.clone() } else { self.point.join(beneath) })
    }
}

/// The kernel writes a space as `\040`, and a few more likewise.
fn plain(text: &str) -> String {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    escapes.iter().fold(text.to_owned(), |text, (code, meant)| text.replace(code, meant))
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
37 31 0:34 / /sys/fs/cgroup/freezer ro,relatime - cgroup cgroup rw,freezer
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd";
    const V2: &str = "35 24 0:30 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate";
    const OWN_V1: &str =
        "9:name=systemd:/user\n8:pids:/user\n4:memory:/box/a:b\n2:cpu,cpuacct:/\n6:freezer:/";

    #[test]
    fn the_own_groups_are_found_wherever_they_are_mounted() {
        let v2 = |point: &str, own: &str| Some(Unified { point: point.into(), own: own.into() });
        let hybrid = format!("{V1}\n41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw");
        let docker = "1 2 0:3 /docker/12 /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory";
        let odd = "35 24 0:30 / /a\\040b rw - cgroup2 cgroup2 rw";
        let read_only = V2.replace(" rw,nosuid", " ro,nosuid");
        let one = |point: &str, own: &str| vec![("memory", point.to_owned(), own.to_owned())];
        let all = || {
            let of = |name, own: &str, more: &str| {
                (name, format!("/sys/fs/cgroup/{own}"), format!("/sys/fs/cgroup/{own}{more}"))
            };
            vec![
                of("cpu", "cpu,cpuacct", ""),
                of("cpuacct", "cpu,cpuacct", ""),
                of("memory", "memory", "/box/a:b"),
                of("pids", "pids", "/user"),
            ]
        };
        let cases = [
            (V1, OWN_V1, None, all()),
            (V2, "0::/user.slice/x.scope", v2("/sys/fs/cgroup", "/sys/fs/cgroup/user.slice/x.scope"), vec![]),
            (
                &hybrid,
                &format!("{OWN_V1}\n0::/u"),
                v2("/sys/fs/cgroup/unified", "/sys/fs/cgroup/unified/u"),
                all(),
            ),
            // In a container: a group of its own as the root of what it sees, or of the mount alone.
            (V2, "0::/", v2("/sys/fs/cgroup", "/sys/fs/cgroup"), vec![]),
            (docker, "4:memory:/docker/12", None, one("/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory")),
            (
                docker,
                "4:memory:/docker/12/in",
                None,
                one("/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory/in"),
            ),
            (docker, "4:memory:/docker/123", None, vec![]),
            (V2, "0::/../other", None, vec![]),
            (&read_only, "0::/", None, vec![]),
            (odd, "0::/x", v2("/a b", "/a b/x"), vec![]),
            ("", "0::/", None, vec![]),
            ("nonsense\n - cgroup2", "nonsense", None, vec![]),
        ];
        for (mounts, membership, unified, controllers) in cases {
            let found = own(mounts, membership);
            assert_eq!(found.v2, unified, "{mounts} {membership}");
            let expected: BTreeMap<_, _> = controllers
                .into_iter()
                .map(|(name, point, own)| (name, (point.into(), own.into())))
                .collect();
            assert_eq!(found.v1, expected, "{mounts} {membership}");
        }
    }

    #[test]
    fn upwards_ends_at_the_mount() {
        let unified = Unified { point: "/m".into(), own: "/m/a/b".into() };
        let found: Vec<_> = unified.upwards().collect();
        assert_eq!(found, [Path::new("/m/a/b"), Path::new("/m/a"), Path::new("/m")]);
    }
}
