//! Objects that somebody else made, on their way into the repository.
//!
//! Nothing of their directory is believed: only plain files with an object's or a pack's name are copied, so that
//! no link and no list of alternates leads out of it; packs get a new index. git then makes a pack of what the new
//! commit needs and the repository lacks, and reads that into the repository with every check it has for a push.
//! Until the last step the repository is only read.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::shown::open_plain;
use super::{LOCAL_DEADLINE, PrivateGit, complaint};
use crate::error::{Error, Kind, OrFail, Result};
use crate::state::{durable, make_private};

/// A pack begins with 12 bytes, of which the last four count its objects (gitformat-pack(5)).
const HEADER: usize = 12;

impl PrivateGit {
    /// Takes over the commit `head` and what it needs beyond `base`, from an object directory that an agent wrote.
    /// `scratch` is an empty folder.
    pub(super) fn take_over(&self, objects: &Path, head: &str, base: &str, scratch: &Path) -> Result<()> {
        let staged = self.beside_shared(&scratch.join("staged"))?;
        self.stage(objects, &staged)?;

        let pack = scratch.join("new.pack");
        let made = self
            .program()
            .args(["-c", "pack.threads=1", "pack-objects", "--revs", "--stdout", "--quiet"])
            .env("GIT_OBJECT_DIRECTORY", staged.display().to_string())
            .stdin_bytes(format!("{head}\n^{base}\n"))
            .stdout_file(create(&pack)?)
            .run(LOCAL_DEADLINE)?;
        if !made.success() {
            return Err(complaint("read the agent's commits", &made));
        }
        let mut file = File::open(&pack).or_fail(Kind::Internal, || "cannot read a pack again")?;
        let mut header = [0; HEADER];
        file.read_exact(&mut header).or_fail(Kind::Internal, || "git made half a pack")?;
        if header[8..] != [0; 4] {
            // Where objects are missing on purpose, links cannot be followed.
            let check = if self.is_partial() { "--fsck-objects" } else { "--strict" };
            let what = "take over the agent's commits";
            // First beside the repository: git leaves half a pack where it finds something wrong.
            self.index(&self.beside_shared(&scratch.join("checked"))?, &pack, &[check], what)?;
            self.index(&self.shared_objects(), &pack, &[], what)?;
        }
        if self.resolve(head)?.as_deref() != Some(head) {
            return Err(Error::new(
                Kind::Failed,
                format!("the agent's branch ends in {head}, which is no commit"),
            ));
        }
        Ok(())
    }

    /// Makes an empty object directory that borrows from the repository, and from nobody else.
    pub(super) fn beside_shared(&self, folder: &Path) -> Result<PathBuf> {
        make_private(&folder.join("info"))?;
        let borrowed = format!("{}\n", self.shared_objects().display());
        durable::replace_cheaply(&folder.join("info/alternates"), borrowed.as_bytes())?;
        Ok(folder.to_owned())
    }

    /// Copies objects and packs.
    fn stage(&self, from: &Path, to: &Path) -> Result<()> {
        let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        for folder in names(from).into_iter().filter(|name| name.len() == 2 && is_hex(name)) {
            // A link to a folder is no folder.
            if !from.join(&folder).symlink_metadata().is_ok_and(|about| about.is_dir()) {
                continue;
            }
            for name in names(&from.join(&folder)).iter().filter(|name| is_hex(name)) {
                let Ok(Some(mut object)) = open_plain(&from.join(&folder).join(name)) else { continue };
                make_private(&to.join(&folder))?;
                let mut copy = create(&to.join(&folder).join(name))?;
                std::io::copy(&mut object, &mut copy)
                    .or_fail(Kind::CannotWrite, || "cannot copy an object")?;
            }
        }
        let packs = from.join("pack");
        if !packs.symlink_metadata().is_ok_and(|about| about.is_dir()) {
            return Ok(());
        }
        let is_pack = |name: &&String| {
            name.starts_with("pack-") && Path::new(name).extension().is_some_and(|end| end == "pack")
        };
        for name in names(&packs).iter().filter(is_pack) {
            // A pack that cannot be read holds nothing; what is needed of it will be missing.
            let _ = self.index(to, &packs.join(name), &[], "read the agent's packs");
        }
        Ok(())
    }

    /// Copies a pack into an object directory, each of its objects read.
    fn index(&self, objects: &Path, pack: &Path, checks: &[&str], what: &str) -> Result<()> {
        let Ok(Some(pack)) = open_plain(pack) else { return Ok(()) };
        let done = self
            .program()
            .args(["-c", "pack.threads=1", "index-pack", "--stdin"])
            .args(checks.iter().copied())
            .env("GIT_OBJECT_DIRECTORY", objects.display().to_string())
            .stdin_file(pack)
            .run(LOCAL_DEADLINE)?;
        if done.success() { Ok(()) } else { Err(complaint(what, &done)) }
    }

    /// Whether the repository's objects were fetched without all that they name.
    pub(super) fn is_partial(&self) -> bool {
        names(&self.shared_objects().join("pack")).iter().any(|name| name.ends_with(".promisor"))
    }
}

/// The names in a folder, those that are text.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

fn create(path: &Path) -> Result<File> {
    File::create_new(path).or_fail(Kind::CannotWrite, || format!("cannot write '{}'", path.display()))
}
