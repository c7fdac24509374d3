//! Who has a branch in hand: what `git branch -d` refuses to delete.

use std::path::{Path, PathBuf};

use super::{Repository, branch_ref};

/// What names the branch that a rebase or a bisection goes back to in the end.
const UNDER_WAY: [&str; 3] = ["rebase-merge/head-name", "rebase-apply/head-name", "BISECT_START"];

impl Repository {
    /// The checkout, the repository's own or a linked worktree, that is on a branch or goes back to it. `but` is the
    /// administrative folder of one that does not count.
    pub fn user_of(&self, branch: &str, but: Option<&Path>) -> Option<PathBuf> {
        find(self.common_dir(), branch, but)
    }
}

fn find(common: &Path, branch: &str, but: Option<&Path>) -> Option<PathBuf> {
    let own = common.parent().filter(|_| common.ends_with(".git")).unwrap_or(common);
    let linked = std::fs::read_dir(common.join("worktrees")).into_iter().flatten().flatten();
    let linked = linked.map(|entry| entry.path()).filter(|git_dir| Some(git_dir.as_path()) != but);
    // One whose folder is gone has nothing to lose.
    let linked = linked.filter_map(|git_dir| {
        let pointer = git_dir.join(line(&git_dir.join("gitdir"))?);
        let checkout = pointer.parent().filter(|_| pointer.exists())?.to_owned();
        Some((checkout, git_dir))
    });
    let mut all = std::iter::once((own.to_owned(), common.to_owned())).chain(linked);
    all.find(|(_, git_dir)| has_in_hand(git_dir, branch)).map(|(checkout, _)| checkout)
}

fn has_in_hand(git_dir: &Path, branch: &str) -> bool {
    let full = branch_ref(branch);
    let on = line(&git_dir.join("HEAD"));
    let goes_back = |named: String| named == full || named == branch;
    on.is_some_and(|head| head.strip_prefix("ref: ") == Some(&full))
        || UNDER_WAY.iter().any(|name| line(&git_dir.join(name)).is_some_and(goes_back))
}

/// The text of a small file of git's; an agent may have put anything in its place.
fn line(path: &Path) -> Option<String> {
    let text = path.is_file().then(|| std::fs::read_to_string(path).ok()).flatten()?;
    Some(text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::durable;

    #[test]
    fn a_branch_is_in_hand_where_somebody_is_on_it_or_goes_back_to_it() {
        let (ours, other) = ("ref: refs/heads/claude/x\n", "ref: refs/heads/claude/x2\n");
        let table = [
            (".git/HEAD", ours, None, Some("")),
            (".git/HEAD", other, None, None),
            (".git/rebase-merge/head-name", "refs/heads/claude/x\n", None, Some("")),
            (".git/rebase-apply/head-name", "detached HEAD\n", None, None),
            (".git/BISECT_START", "claude/x\n", None, Some("")),
            (".git/worktrees/review/HEAD", ours, None, Some("review")),
            (".git/worktrees/review/HEAD", ours, Some("review"), None),
            (".git/worktrees/review/HEAD", ours, Some("another"), Some("review")),
            (".git/worktrees/lost/HEAD", ours, None, None),
        ];
        for (file, text, but, expected) in table {
            let folder = tempfile::tempdir().unwrap();
            let write = |name: &str, text: &str| {
                let path = folder.path().join(name);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                durable::replace_cheaply(&path, text.as_bytes()).unwrap();
            };
            for name in ["review", "lost"] {
                let pointer = folder.path().join(name).join(".git");
                write(&format!(".git/worktrees/{name}/gitdir"), &format!("{}\n", pointer.display()));
            }
            write("review/.git", "");
            write(file, text);
            let common = folder.path().join(".git");
            let but = but.map(|name| common.join("worktrees").join(name));
            let found = find(&common, "claude/x", but.as_deref());
            let expected = expected.map(|name| folder.path().join(name));
            // A path's last slash counts for nothing.
            assert_eq!(
                found.map(|path| path.components().collect()),
                expected.map(|path| path.components().collect::<PathBuf>()),
                "{file} {text} {but:?}"
            );
        }
    }
}
