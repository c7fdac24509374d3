//! Notes on objects, for people: made in cq's own git directory, shown in the owner's repository.

use super::private::Identity;
use super::{LOCAL_DEADLINE, PrivateGit, Repository, complaint};
use crate::clock::Timestamp;
use crate::error::{Error, Kind, Result};
use crate::process::Finished;
use crate::state::lock;

impl PrivateGit {
    /// Puts a note on objects, in place of those that are there. The notes as they are in the owner's repository are what
    /// it goes on top of: others may write there too.
    pub fn note(
        &self,
        repository: &Repository,
        notes: &str,
        objects: &[&str],
        text: &str,
        by: &Identity,
        now: Timestamp,
    ) -> Result<()> {
        // `git notes` reads its ref and writes it without a look in between.
        let _lock = lock::take(&self.dir().join("notes.lock"), lock::PATIENCE, now)?;
        let before = repository.resolve(notes)?;
        let point = |sha: &Option<String>| match sha {
            Some(sha) => self.run("set a ref", &["update-ref", notes, sha]),
            None => self.run("delete a ref", &["update-ref", "-d", notes]),
        };
        point(&before)?;
        for (number, object) in objects.iter().enumerate() {
            let mut added = self.add_note(notes, object, text, by)?;
            if number == 0 && before.is_some() && !added.success() {
                // What somebody else put there may be no notes at all.
                point(&None)?;
                added = self.add_note(notes, object, text, by)?;
            }
            if !added.success() {
                return Err(complaint(&format!("put a note on '{object}'"), &added));
            }
        }
        let after = self.resolve(notes)?.ok_or_else(|| Error::new(Kind::Internal, "git made no note"))?;
        match before {
            Some(before) => repository.move_ref(notes, &before, &after),
            None => repository.set_ref(notes, &after),
        }
    }

    fn add_note(&self, notes: &str, object: &str, text: &str, by: &Identity) -> Result<Finished> {
        self.program()
            .args(["notes", "--ref", notes, "add", "--force", "--file", "-", object])
            .env("GIT_AUTHOR_NAME", &by.name)
            .env("GIT_AUTHOR_EMAIL", &by.email)
            .env("GIT_COMMITTER_NAME", &by.name)
            .env("GIT_COMMITTER_EMAIL", &by.email)
            .stdin_bytes(text)
            .run(LOCAL_DEADLINE)
    }
}
