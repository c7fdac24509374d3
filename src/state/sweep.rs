//! Temp files that killed processes left behind.

use std::time::Duration;

use super::{State, durable};
use crate::error::{Kind, OrFail, Result};

/// A temp file lives for the time of one fsync; one this old has lost its process.
const ABANDONED: Duration = Duration::from_secs(60);

impl State {
    /// Removes abandoned temp files; returns how many.
    pub fn sweep_temp_files(&self) -> Result<usize> {
        self.sweep_older_than(ABANDONED)
    }

    fn sweep_older_than(&self, age: Duration) -> Result<usize> {
        let mut swept = 0;
        for folder in [
            "",
            "records",
            "archive",
            "instances",
            "spending",
            "cache",
            "repo.git",
            "places",
            "leaving",
            "receipts",
        ] {
            let Ok(entries) = std::fs::read_dir(self.path(folder)) else { continue };
            for entry in entries.flatten() {
                let is_temp = entry.file_name().to_string_lossy().starts_with(durable::TEMP_PREFIX);
                let modified = entry.metadata().and_then(|about| about.modified());
                let is_old = modified.is_ok_and(|at| at.elapsed().is_ok_and(|elapsed| elapsed >= age));
                if is_temp && is_old {
                    if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                        let path = entry.path();
                        std::fs::remove_dir_all(&path)
                            .or_fail(Kind::CannotWrite, || format!("cannot remove '{}'", path.display()))?;
                    } else {
                        durable::remove(&entry.path())?;
                    }
                    swept += 1;
                }
            }
        }
        Ok(swept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn only_old_temp_files_are_swept() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::at(folder.path().join("cq"), Clock::System, "test");
        state.create().unwrap();
        let made = |name: &str| {
            let path = state.dir().join(name);
            std::fs::File::create(&path).unwrap();
            path
        };
        let (temp, record) = (made("records/.tmp-abc"), made("records/1.json"));
        assert_eq!(state.sweep_temp_files().unwrap(), 0, "a fresh one may belong to a living process");
        assert_eq!(state.sweep_older_than(Duration::ZERO).unwrap(), 1);
        assert!(!temp.exists() && record.exists());
    }
}
