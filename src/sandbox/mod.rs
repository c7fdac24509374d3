//! The sandbox around an agent: what it sees of this machine, and the little of it that it can write.
//!
//! bubblewrap starts the agent in an empty root, in which the system's programs, the agent's own program, its
//! worktree and a private home are mounted, and nothing else: no other home, no socket, no state of cq's. What of
//! the repository is shown, and where commits go, is [`crate::git::Quarantine`]'s part.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::config::Network;
use crate::environment;
use crate::error::Result;
use crate::state::make_private;

mod layout;
mod points;
mod probe;
mod sign_in;
mod system;
mod tools;

pub use layout::{Layout, Mount};
pub use probe::{Tier, choose};

/// The home in a sandbox, where the account's own is none that can be put there.
const OTHER_HOME: &str = "/home/agent";
/// Where an agent finds what only says where certificates are.
const CERTIFICATES: [&str; 6] = [
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
];

/// What an agent's sandbox is made from.
#[derive(Debug)]
pub struct Wish {
    /// bubblewrap.
    pub bubblewrap: PathBuf,
    /// A folder of the instance's own: `home` in it lasts from run to run, `tmp` and `kept` are made.
    pub private: PathBuf,
    /// The worktree: the folder it starts in, and can write.
    pub worktree: PathBuf,
    /// What git needs of the repository around it.
    pub repository: Vec<Mount>,
    /// What must not be seen, even inside what is shown.
    pub hidden: Vec<PathBuf>,
    /// What the configuration shows besides.
    pub readable: Vec<PathBuf>,
    /// What the configuration lets it write besides.
    pub writable: Vec<PathBuf>,
    /// Whether it reaches the network.
    pub network: Network,
}

/// A program as it is started in its sandbox.
#[derive(Debug, Clone)]
pub struct Wrapped {
    /// bubblewrap.
    pub program: PathBuf,
    /// Its arguments, the agent's program and arguments at their end.
    pub arguments: Vec<String>,
    /// The agent's variables.
    pub variables: BTreeMap<String, String>,
}

impl Wish {
    /// Wraps a program: makes the private folders, and the places in them that something is mounted on.
    pub fn wrap(
        &self,
        program: &Path,
        arguments: &[String],
        mut variables: BTreeMap<String, String>,
    ) -> Result<Wrapped> {
        let layout = self.layout(program, arguments, &mut variables)?;
        for (folder, place, mount) in layout.points(&self.private) {
            points::make(folder, place, points::is_folder(mount))?;
        }
        let mut words = layout::arguments(&layout, self.network, &self.worktree);
        words.push(program.display().to_string());
        words.extend(arguments.iter().cloned());
        Ok(Wrapped { program: self.bubblewrap.clone(), arguments: words, variables })
    }

    fn layout(
        &self,
        program: &Path,
        arguments: &[String],
        variables: &mut BTreeMap<String, String>,
    ) -> Result<Layout> {
        let mut layout = system::layout();
        let home = variables.get("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        let inside = home.clone().filter(|home| can_be_replaced(home, &layout));
        let inside = inside.unwrap_or_else(|| PathBuf::from(OTHER_HOME));
        variables.insert("HOME".to_owned(), inside.display().to_string());
        self.own(&mut layout, "home", &inside)?;
        self.own(&mut layout, "tmp", Path::new("/tmp"))?;
        self.own(&mut layout, "tmp", Path::new("/var/tmp"))?;
        for path in &self.readable {
            layout.show(path, &real(path));
        }
        for path in &self.writable {
            let real = real(path);
            layout.put(Mount::Writable { from: real.clone(), at: real });
            if !layout.shows(path) {
                layout.put(Mount::Writable { from: path.clone(), at: path.clone() });
            }
        }
        self.hide(&mut layout);
        let name = program.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let needed = sign_in::needed(&name, home.as_deref(), variables);
        for (number, folder) in needed.folders.iter().enumerate() {
            self.own(&mut layout, &format!("kept/{number}"), folder)?;
        }
        let path = variables.get(environment::PATH.name).cloned().unwrap_or_default();
        let certificates = CERTIFICATES.iter().filter_map(|name| variables.get(*name)).map(PathBuf::from);
        let shown = tools::of_program(program, home.as_deref())
            .into_iter()
            .chain(tools::on_path(&path, home.as_deref()))
            .chain(tools::in_arguments(arguments))
            .chain(certificates)
            .chain(needed.files);
        for path in shown.filter(|path| path.is_absolute() && !path.starts_with(&self.worktree)) {
            if path.exists() {
                layout.show(&path, &real(&path));
            }
        }
        self.hide(&mut layout);
        self.repository.iter().cloned().for_each(|mount| layout.put(mount));
        layout.put(Mount::Writable { from: self.worktree.clone(), at: self.worktree.clone() });
        // The pointer says where its repository is, to the agent's git as to cq's. A clone's own is the agent's.
        let pointer = self.worktree.join(".git");
        // A clean checkout has none.
        if pointer.symlink_metadata().is_ok_and(|about| !about.is_dir()) {
            layout.put(Mount::shown(pointer));
        }
        Ok(layout)
    }

    /// A private folder in place of one of this machine.
    fn own(&self, layout: &mut Layout, name: &str, at: &Path) -> Result<()> {
        let from = self.private.join(name);
        make_private(&from)?;
        layout.put(Mount::Writable { from, at: at.to_owned() });
        Ok(())
    }

    fn hide(&self, layout: &mut Layout) {
        let mut hidden: Vec<PathBuf> =
            self.hidden.iter().flat_map(|path| [path.clone(), real(path)]).collect();
        hidden.sort();
        for path in hidden {
            layout.hide(&path, path.is_file());
        }
    }
}

/// Where links lead; the path itself where they lead nowhere.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// A service's home may be `/`, or a folder of the system.
fn can_be_replaced(home: &Path, system: &Layout) -> bool {
    let taken = ["/", "/proc", "/dev", "/sys", "/tmp", "/var/tmp"].map(Path::new);
    !taken.contains(&home) && !system.shows(home)
}
