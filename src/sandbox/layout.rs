//! What a sandbox shows, as values; and bubblewrap's argument vector made from it. Pure.
//!
//! A sandbox begins with an empty root. What is not mounted is not there: other homes, sockets, state, tokens.

use std::path::{Path, PathBuf};

use crate::config::Network;

/// Something at a place in the sandbox. All paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mount {
    /// A folder or file of this machine, which cannot be written.
    ReadOnly {
        /// Here.
        from: PathBuf,
        /// In the sandbox.
        at: PathBuf,
    },
    /// A folder of this machine, which can be written.
    Writable {
        /// Here.
        from: PathBuf,
        /// In the sandbox.
        at: PathBuf,
    },
    /// An empty folder, in memory.
    Empty {
        /// In the sandbox.
        at: PathBuf,
    },
    /// A symbolic link.
    Link {
        /// What it says.
        to: PathBuf,
        /// In the sandbox.
        at: PathBuf,
    },
}

impl Mount {
    /// Something of this machine at its own place, to read.
    pub fn shown(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self::ReadOnly { from: path.clone(), at: path }
    }

    /// Where it is in the sandbox.
    pub fn at(&self) -> &Path {
        match self {
            Self::ReadOnly { at, .. }
            | Self::Writable { at, .. }
            | Self::Empty { at }
            | Self::Link { at, .. } => at,
        }
    }

    /// What is there is what this machine has there.
    fn is_own_place(&self) -> bool {
        match self {
            Self::ReadOnly { from, at } | Self::Writable { from, at } => from == at,
            Self::Link { .. } => true,
            Self::Empty { .. } => false,
        }
    }
}

/// What a sandbox shows.
///
/// What is deeper goes over what is above it; of two mounts at one place the later one counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    mounts: Vec<Mount>,
}

impl Layout {
    /// Adds a mount; one at the same place makes way.
    pub fn put(&mut self, mount: Mount) {
        self.mounts.retain(|other| other.at() != mount.at());
        self.mounts.push(mount);
    }

    /// What is mounted at a place, or at the nearest folder above it.
    fn over(&self, path: &Path) -> Option<&Mount> {
        let above = self.mounts.iter().filter(|mount| path.starts_with(mount.at()));
        above.max_by_key(|mount| depth(mount.at()))
    }

    /// Whether this machine's own file or folder can be seen there.
    pub fn shows(&self, path: &Path) -> bool {
        self.over(path).is_some_and(Mount::is_own_place)
    }

    /// Adds something of this machine to read, unless it can be seen already. `real` is where links lead.
    pub fn show(&mut self, path: &Path, real: &Path) {
        // The root itself would show everything.
        if real.parent().is_none() || path.parent().is_none() {
            return;
        }
        if !self.shows(real) {
            // A link in this folder that was shown by itself is seen as a link now: nothing can be mounted on one.
            self.mounts.retain(|other| {
                let is_link = matches!(other, Mount::ReadOnly { .. }) && !other.is_own_place();
                !is_link || other.at() == real || !other.at().starts_with(real)
            });
            self.put(Mount::shown(real));
        }
        if path != real && !self.shows(path) {
            self.put(Mount::ReadOnly { from: real.to_owned(), at: path.to_owned() });
        }
    }

    /// Hides a folder or file, unless something is mounted at that very place: there is an empty folder then, which
    /// cannot be written, so that who writes there is told that it has no effect.
    pub fn hide(&mut self, path: &Path, is_file: bool) {
        let hidden = matches!(self.over(path), Some(Mount::Empty { .. }));
        if hidden || path.parent().is_none() || self.mounts.iter().any(|mount| mount.at() == path) {
            return;
        }
        let at = path.to_owned();
        // A device cannot be opened through such a mount: the file is there, and says nothing.
        let file = |at| Mount::ReadOnly { from: PathBuf::from("/dev/null"), at };
        self.put(if is_file { file(at) } else { Mount::Empty { at } });
    }

    /// The mounts, each after what it goes over.
    pub fn in_order(&self) -> Vec<&Mount> {
        let mut mounts: Vec<&Mount> = self.mounts.iter().collect();
        mounts.sort_by_key(|mount| depth(mount.at()));
        mounts
    }

    /// The folder of this machine in which a mount needs a place to be put on, where that folder is one that the
    /// sandbox itself can write: its place there, relative to it.
    pub fn points<'m>(&'m self, private: &'m Path) -> impl Iterator<Item = (&'m Path, &'m Path, &'m Mount)> {
        self.mounts.iter().filter_map(move |mount| match self.over(mount.at().parent()?)? {
            Mount::Writable { from, at } if from.starts_with(private) => {
                Some((from.as_path(), mount.at().strip_prefix(at).ok()?, mount))
            }
            _ => None,
        })
    }
}

fn depth(path: &Path) -> usize {
    path.components().count()
}

/// bubblewrap's arguments, up to the program. The processes are in a pid namespace whose first process is
/// bubblewrap's own: when that ends, the kernel ends them all. It does not end with its parent: a run outlives its
/// supervisor, and cq-monitor decides.
pub(super) fn arguments(layout: &Layout, network: Network, folder: &Path) -> Vec<String> {
    let mut words: Vec<String> =
        ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--cap-drop", "ALL"].map(str::to_owned).into();
    if network == Network::None {
        words.push("--unshare-net".to_owned());
    }
    let mut say = |option: &str, paths: &[&Path]| {
        words.push(option.to_owned());
        words.extend(paths.iter().map(|path| path.display().to_string()));
    };
    for mount in layout.in_order() {
        match mount {
            Mount::ReadOnly { from, at } => say("--ro-bind", &[from, at]),
            Mount::Writable { from, at } => say("--bind", &[from, at]),
            Mount::Empty { at } => say("--tmpfs", &[at]),
            Mount::Link { to, at } => say("--symlink", &[to, at]),
        }
    }
    say("--proc", &[Path::new("/proc")]);
    say("--dev", &[Path::new("/dev")]);
    // bubblewrap takes care of what root could write of /proc, but for this: of core_pattern alone comes a program
    // that the kernel starts outside of every sandbox.
    say("--ro-bind", &[Path::new("/proc/sys"), Path::new("/proc/sys")]);
    // Empty folders and the root are in memory; now that everything has its place in them, they stay as they are.
    let empty = |mount: &&Mount| matches!(mount, Mount::Empty { .. });
    for mount in layout.in_order().into_iter().filter(empty) {
        say("--remount-ro", &[mount.at()]);
    }
    say("--remount-ro", &[Path::new("/")]);
    say("--chdir", &[folder]);
    words.push("--".to_owned());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(mounts: &[Mount]) -> Layout {
        let mut layout = Layout::default();
        mounts.iter().cloned().for_each(|mount| layout.put(mount));
        layout
    }

    fn writable(from: &str, at: &str) -> Mount {
        Mount::Writable { from: from.into(), at: at.into() }
    }

    #[test]
    fn the_arguments_follow_from_the_layout() {
        let layout = layout(&[
            writable("/home/me/w/one/repo", "/home/me/w/one/repo"),
            Mount::ReadOnly { from: "/p/git".into(), at: "/home/me/repo/.git".into() },
            writable("/p/objects", "/home/me/repo/.git/objects"),
            writable("/p/home", "/home/me"),
            Mount::shown("/usr"),
            Mount::Link { to: "usr/bin".into(), at: "/bin".into() },
            Mount::Empty { at: "/srv".into() },
        ]);
        let words = arguments(&layout, Network::None, Path::new("/home/me/w/one/repo")).join(" ");
        let expected = "--unshare-pid --unshare-ipc --unshare-uts --cap-drop ALL --unshare-net \
            --ro-bind /usr /usr --symlink usr/bin /bin --tmpfs /srv --bind /p/home /home/me \
            --ro-bind /p/git /home/me/repo/.git --bind /home/me/w/one/repo /home/me/w/one/repo \
            --bind /p/objects /home/me/repo/.git/objects \
            --proc /proc --dev /dev --ro-bind /proc/sys /proc/sys --remount-ro /srv --remount-ro / --chdir /home/me/w/one/repo --";
        assert_eq!(words, expected);
        assert!(!arguments(&layout, Network::Open, Path::new("/")).contains(&"--unshare-net".to_owned()));
    }

    #[test]
    fn what_is_visible_already_is_not_mounted_again_and_what_is_hidden_is() {
        let start = layout(&[Mount::shown("/usr"), writable("/p/home", "/home/me")]);
        // What is asked for, where its links lead, and what is mounted in addition.
        let cases: [(&str, &str, &[&str]); 6] = [
            ("/usr/bin/node", "/usr/bin/node", &[]),
            ("/home/me/bin/x", "/home/me/bin/x", &["/home/me/bin/x"]),
            ("/usr/bin/x", "/srv/x", &["/srv/x"]),
            ("/home/me/bin", "/usr/lib/x", &["/home/me/bin"]),
            ("/", "/", &[]),
            ("/home/me/all", "/", &[]),
        ];
        for (path, real, expected) in cases {
            let mut layout = start.clone();
            layout.show(Path::new(path), Path::new(real));
            let more: Vec<&str> =
                layout.mounts[2..].iter().map(|mount| mount.at().to_str().unwrap()).collect();
            assert_eq!(more, expected, "{path}");
        }
        let mut layout = start;
        layout.put(Mount::shown("/home/me/src"));
        for (path, is_file) in [
            ("/home/me/src/repo", false),
            ("/home/me/src/repo/.cq", false),
            ("/home/me", false),
            ("/", false),
        ] {
            layout.hide(Path::new(path), is_file);
        }
        layout.hide(Path::new("/home/me/src/file"), true);
        let more: Vec<&str> = layout.mounts[3..].iter().map(|mount| mount.at().to_str().unwrap()).collect();
        assert_eq!(more, ["/home/me/src/repo", "/home/me/src/file"]);
        assert!(
            !layout.shows(Path::new("/home/me/src/repo/.cq"))
                && layout.shows(Path::new("/home/me/src/other"))
        );
    }

    /// As with `~/.local/bin/claude`, a link to `~/.local/share/claude/versions/2`, whose folder is on PATH.
    #[test]
    fn a_link_in_a_folder_that_is_shown_later_stays_a_link() {
        let mut layout = layout(&[writable("/p/home", "/home/me")]);
        for (path, real) in [
            ("/home/me/bin/agent", "/home/me/share/agent/2"),
            ("/home/me/other/agent", "/home/me/share/agent/2"),
            ("/home/me/bin", "/home/me/bin"),
        ] {
            layout.show(Path::new(path), Path::new(real));
        }
        let more: Vec<&str> = layout.mounts[1..].iter().map(|mount| mount.at().to_str().unwrap()).collect();
        assert_eq!(more, ["/home/me/share/agent/2", "/home/me/other/agent", "/home/me/bin"]);
    }

    #[test]
    fn places_in_private_folders_are_named() {
        let layout = layout(&[
            writable("/p/home", "/home/me"),
            writable("/srv/data", "/srv/data"),
            Mount::shown("/home/me/bin"),
            Mount::shown("/srv/data/in"),
            Mount::shown("/usr"),
        ]);
        let points: Vec<_> =
            layout.points(Path::new("/p")).map(|(folder, place, _)| (folder, place)).collect();
        assert_eq!(points, [(Path::new("/p/home"), Path::new("bin"))]);
    }
}
