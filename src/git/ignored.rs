//! Which ignored files of a checkout a list in gitignore's own syntax names.

use std::collections::BTreeSet;
use std::path::Path;

use super::{LOCAL_DEADLINE, PrivateGit, complaint};
use crate::error::Result;
use crate::state::durable;

impl PrivateGit {
    /// The files in `checkout` that git ignores, and that `patterns` (the text of a gitignore file) matches too: paths
    /// relative to it, sorted. What is in the commit is never among them, nor what is in another repository.
    pub fn ignored_and_named(&self, checkout: &Path, sha: &str, patterns: &str) -> Result<Vec<String>> {
        let scratch = self.scratch()?;
        let (index, file) = (scratch.path().join("index"), scratch.path().join("patterns"));
        self.refresh_index(&index, sha)?;
        durable::replace_cheaply(&file, patterns.as_bytes())?;
        let list = |by: String| -> Result<BTreeSet<String>> {
            let done = self
                .program()
                // Where it is started inside the checkout, as below `.cq`, git lists that folder alone.
                .args(["-C".to_owned(), checkout.display().to_string()])
                .args([
                    "-c",
                    "core.bare=false",
                    "-c",
                    "core.fsmonitor=false",
                    "-c",
                    "core.untrackedCache=false",
                ])
                .args(["ls-files", "--others", "--ignored", "-z", &by])
                .env("GIT_WORK_TREE", checkout.display().to_string())
                .env("GIT_INDEX_FILE", index.display().to_string())
                .run(LOCAL_DEADLINE)?;
            if !done.success() {
                return Err(complaint(&format!("list ignored files of '{}'", checkout.display()), &done));
            }
            let names = done.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
            // A name that is no text is nobody's configuration file.
            let names = names.filter_map(|name| String::from_utf8(name.to_vec()).ok());
            Ok(names.filter(|name| !name.ends_with('/')).collect())
        };
        let named = list(format!("--exclude-from={}", file.display()))?;
        if named.is_empty() {
            return Ok(Vec::new());
        }
        let ignored = list("--exclude-standard".to_owned())?;
        Ok(named.intersection(&ignored).cloned().collect())
    }
}
