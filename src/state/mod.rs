//! The state directory: the only place for locks and durable writes.
//!
//! Everything in it is JSON that a person can read with `cat` and `jq`. A change takes the lock, reads,
//! decides, writes, appends the event and lets go; it never waits for a network, a git command or a child
//! while it holds the lock. A reader takes no lock and never sees half a file.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::clock::Clock;
use crate::error::{Error, Kind, OrFail, Result};

mod archive;
pub mod durable;
pub mod events;
pub mod folder;
pub mod fsck;
mod index;
pub mod instances;
pub mod limit;
pub mod lock;
mod orchestrator;
pub mod owner;
mod past;
pub mod places;
mod records;
pub mod removal;
pub mod spending;
pub mod stop;
mod sweep;
pub mod volume;

pub use index::Summary;
pub use past::Archived;
pub(crate) use records::not_in_flight;
pub use records::{Change, Locked};

/// The folders that are there from the beginning.
const FOLDERS: [&str; 5] = ["", "records", "archive", "instances", "cache"];

/// A state directory that exists, or that will be made by the first change.
#[derive(Debug, Clone)]
pub struct State {
    dir: PathBuf,
    clock: Clock,
    /// The command that works on it: named in locks, events and histories.
    command: &'static str,
}

impl State {
    /// The state in a folder; nothing is touched yet.
    pub fn at(dir: impl Into<PathBuf>, clock: Clock, command: &'static str) -> Self {
        Self { dir: dir.into(), clock, command }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The clock that its timestamps come from.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// The command that works on it.
    pub fn command(&self) -> &'static str {
        self.command
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Makes what is missing, readable by nobody else; refuses a network file system.
    pub fn create(&self) -> Result<()> {
        if self.path("lock").exists() {
            return Ok(());
        }
        for folder in FOLDERS {
            make_private(&self.path(folder))?;
        }
        refuse_network(&self.dir)?;
        // The ignore file keeps the state out of a repository it lives in, whatever that one ignores.
        durable::write_new(&self.path(".gitignore"), b"*\n")?;
        lock::open(&self.path("lock")).map(drop)
    }

    /// The folder of what can be had again, if it can be written.
    pub fn cache(&self) -> Option<PathBuf> {
        let folder = self.path("cache");
        let usable = self.exists() && make_private(&folder).is_ok();
        (usable && volume::refusal(&folder).is_none()).then_some(folder)
    }

    /// Why nothing can be changed here, or begun; none where it can.
    pub fn refusal(&self) -> Option<Error> {
        FOLDERS.iter().chain(&["lock"]).find_map(|name| volume::refusal(&self.path(name)))
    }

    /// Whether anything has ever been claimed here.
    pub fn exists(&self) -> bool {
        self.path("lock").exists() || self.path("records").exists()
    }
}

/// A folder only its owner can enter, whatever the umask; one that exists is left as it is.
pub fn make_private(folder: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.or_fail(Kind::CannotWrite, || format!("cannot make the folder '{}'", folder.display()))
}

fn refuse_network(dir: &Path) -> Result<()> {
    match volume::network(dir)? {
        None => Ok(()),
        Some(name) => {
            let message =
                format!("the state directory '{}' is on {name}, where a lock may hang", dir.display());
            Err(Error::new(Kind::Config, message)
                .hint("choose a local folder with --state-dir or CQ_STATE_DIR"))
        }
    }
}
