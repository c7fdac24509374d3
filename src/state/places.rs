//! Which folder an instance's workspace is, by device and inode, as noted when it was made: `places/INSTANCE.json`.
//!
//! Only what is noted here is ever removed; whatever has taken its place meanwhile is somebody else's.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::folder::Identity;
use super::{State, durable, instances, make_private, owner};
use crate::error::{Kind, OrFail, Result};

/// Which folders belong to a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The claim's token.
    pub token: String,
    /// Devices are numbered anew when the machine starts.
    boot_id: String,
    /// The workspace.
    workspace: Identity,
    /// The worktree's administrative folder in the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    git_dir: Option<(PathBuf, Identity)>,
}

impl Place {
    /// That of a claim.
    pub fn of(token: &str, workspace: Identity) -> Self {
        Self { token: token.to_owned(), boot_id: owner::boot_id(), workspace, git_dir: None }
    }

    /// With the administrative folder.
    #[must_use]
    pub fn with_git_dir(mut self, path: PathBuf, identity: Identity) -> Self {
        self.git_dir = Some((path, identity));
        self
    }

    /// Whether this folder is the workspace.
    pub fn is_workspace(&self, found: Identity) -> bool {
        self.is_same(self.workspace, found)
    }

    /// Whether this folder is the administrative folder; none where that was not noted.
    pub fn is_git_dir(&self, path: &std::path::Path, found: Identity) -> Option<bool> {
        let (noted, identity) = self.git_dir.as_ref()?;
        Some(noted == path && self.is_same(*identity, found))
    }

    fn is_same(&self, noted: Identity, found: Identity) -> bool {
        found.is_noted(&noted, self.boot_id == owner::boot_id())
    }
}

impl State {
    /// Notes which folders belong to an instance.
    pub fn note_place(&self, instance: &str, place: &Place) -> Result<()> {
        let path = self.place_path(instance);
        make_private(&self.path("places"))?;
        let text = serde_json::to_vec(place).or_fail(Kind::Internal, || "cannot write a place as JSON")?;
        durable::replace_cheaply(&path, &text)
    }

    /// Which folders belong to an instance's claim; none where that was not noted, as before cq noted it.
    pub fn place(&self, instance: &str, token: &str) -> Result<Option<Place>> {
        if instances::number(instance).is_none() {
            return Ok(None);
        }
        let text = durable::read(&self.place_path(instance))?;
        let place: Option<Place> = text.and_then(|text| serde_json::from_str(&text).ok());
        Ok(place.filter(|place| place.token == token))
    }

    fn place_path(&self, instance: &str) -> PathBuf {
        self.path("places").join(format!("{instance}.json"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn a_place_is_of_one_claim_and_knows_its_folders() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::at(folder.path().join("cq"), Clock::System, "test");
        let here = Identity { device: 1, inode: 2, born: Some(3) };
        let there = Identity { device: 9, ..here };
        let place = Place::of("t", here).with_git_dir("/r/worktrees/w".into(), here);
        state.note_place("claude-instance-1", &place).unwrap();
        assert_eq!(state.place("claude-instance-1", "t").unwrap(), Some(place.clone()));
        assert_eq!(state.place("claude-instance-1", "another claim").unwrap(), None);
        assert_eq!(state.place("../x", "t").unwrap(), None);
        assert!(place.is_workspace(here) && !place.is_workspace(there));
        assert!(!place.is_workspace(Identity { inode: 3, ..here }));
        assert!(!place.is_workspace(Identity { born: Some(4), ..here }), "the number was given again");
        assert!(place.is_workspace(Identity { born: None, ..here }));
        assert_eq!(place.is_git_dir("/r/worktrees/w".as_ref(), here), Some(true));
        assert_eq!(place.is_git_dir("/r/worktrees/x".as_ref(), here), Some(false));
        assert_eq!(Place::of("t", here).is_git_dir("/r/worktrees/w".as_ref(), here), None);
        let before = Place { boot_id: "another start".to_owned(), ..place };
        assert!(before.is_workspace(there), "the disk got another number");
        assert!(!before.is_workspace(Identity { inode: 3, ..there }));
    }
}
