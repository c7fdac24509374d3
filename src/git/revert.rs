//! A commit that takes a merged change back, made without a worktree.

use super::private::Identity;
use super::{LOCAL_DEADLINE, PrivateGit, complaint};
use crate::error::Result;

impl PrivateGit {
    /// A commit on `onto` that takes back what the base's commit `merged` brought in, with the `commits` before it where
    /// they were put there one by one. None where later changes stand on it. `head` is the end of the branch that was
    /// merged, by whose subject such a row of commits is known.
    pub fn taken_back(
        &self,
        onto: &str,
        merged: &str,
        (head, commits): (&str, u64),
        message: &str,
        by: &Identity,
    ) -> Result<Option<String>> {
        let parents =
            self.run("find parents", &["rev-list", "--parents", "-n", "1", "--end-of-options", merged])?;
        let is_merge = parents.text().split_whitespace().count() > 2;
        let subject = |of: &str| {
            let said = self.run("read a commit", &["log", "-1", "--format=%s", "--end-of-options", of]);
            said.map(|said| said.text()).ok()
        };
        let was_rebased =
            !is_merge && commits > 1 && subject(merged).is_some_and(|one| Some(one) == subject(head));
        let before = if was_rebased { format!("{merged}~{commits}") } else { format!("{merged}^1") };
        let Some(before) = self.resolve(&before)? else { return Ok(None) };
        // As if somebody had taken it back at once: merged with what came since, that is the change.
        let at_once = self.commit_tree(&self.tree_of(&before)?, merged, message, by)?;
        let both = ["merge-tree", "--write-tree", "--no-messages", onto, &at_once];
        let done = self.program().args(both).run(LOCAL_DEADLINE)?;
        match done.exit {
            0 => {}
            // Conflicts; anything beyond is trouble.
            1 => return Ok(None),
            _ => return Err(complaint("take a change back", &done)),
        }
        let tree = done.text();
        if tree == self.tree_of(onto)? {
            return Ok(None);
        }
        self.commit_tree(&tree, onto, message, by).map(Some)
    }
}
