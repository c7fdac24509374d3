//! Which settings an owner may change while agents work: those that can run nothing and lead nowhere else. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// The settings of a configuration file: each key, section and name in lower case as git prints them, and its
/// values in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings(BTreeMap<String, Vec<String>>);

impl Settings {
    /// From what `git config --null --list` prints: `key LF value NUL`, or `key NUL` where there is no value.
    pub fn of_list(printed: &[u8]) -> Self {
        let mut settings = BTreeMap::<String, Vec<String>>::new();
        for entry in printed.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
            let entry = String::from_utf8_lossy(entry);
            let (key, value) = entry.split_once('\n').unwrap_or((&entry, "true"));
            settings.entry(key.to_owned()).or_default().push(value.to_owned());
        }
        Self(settings)
    }

    fn remotes(&self) -> BTreeSet<&str> {
        self.0.keys().filter_map(|key| parts(key)).filter(|key| key.0 == "remote").map(|key| key.1).collect()
    }
}

/// `section.sub.section.name` as section, subsection (empty if none) and name.
fn parts(key: &str) -> Option<(&str, &str, &str)> {
    let (section, rest) = key.split_once('.')?;
    Some(match rest.rsplit_once('.') {
        Some((subsection, name)) => (section, subsection, name),
        None => (section, "", rest),
    })
}

/// Settings that do nothing but tell git how to show, name or order things, whatever their value.
const HARMLESS: [(&str, &[&str]); 12] = [
    ("user", &["name", "email"]),
    ("pull", &["rebase", "ff"]),
    ("push", &["default", "autosetupremote", "followtags"]),
    ("fetch", &["prune", "prunetags"]),
    ("merge", &["ff", "conflictstyle"]),
    ("rebase", &["autosquash", "autostash", "updaterefs"]),
    ("rerere", &["enabled", "autoupdate"]),
    // What `git sparse-checkout` and a worktree's own configuration take.
    ("core", &["sparsecheckout", "sparsecheckoutcone", "repositoryformatversion"]),
    ("extensions", &["worktreeconfig"]),
    ("index", &["sparse"]),
    // What Git LFS notes by itself.
    ("lfs", &["repositoryformatversion", "access", "locksverify"]),
    ("init", &["defaultbranch"]),
];

/// Settings of a branch that lead nowhere; `remote` and `pushremote` have a rule of their own. `mergeoptions` is
/// missing on purpose: a merge strategy is a program.
const OF_BRANCH: [&str; 6] =
    ["merge", "description", "rebase", "vscode-merge-base", "gh-merge-base", "github-pr-owner-number"];

/// The keys that changed and could run something or lead elsewhere, sorted.
///
/// | what changes | may it? |
/// |---|---|
/// | comments, order of different keys, spelling | yes: they are no settings |
/// | [`HARMLESS`], `color.*`, `advice.*` | yes |
/// | `branch.*` as in [`OF_BRANCH`] | yes |
/// | `branch.*.{remote,pushremote}` | to a remote that was there before, or `.`, or if removed |
/// | `remote.NAME.{url,fetch,tagopt,prune}` | of a new remote with a plain address |
/// | `submodule.NAME.{active,url}` | new, with a plain address: what `git submodule init` writes |
/// | everything else, and every removal of something else | no |
pub fn harmful(before: &Settings, after: &Settings) -> Vec<String> {
    let known = before.remotes();
    let keys: BTreeSet<&String> = before.0.keys().chain(after.0.keys()).collect();
    let changed = keys.into_iter().filter(|key| before.0.get(*key) != after.0.get(*key));
    let is_harmful = |key: &&String| {
        let was = before.0.get(*key);
        let values = after.0.get(*key).map(Vec::as_slice).unwrap_or_default();
        !parts(key).is_some_and(|key| may_change(key, was.is_some(), values, &known))
    };
    changed.filter(is_harmful).cloned().collect()
}

fn may_change(key: (&str, &str, &str), was_there: bool, values: &[String], known: &BTreeSet<&str>) -> bool {
    let (section, subsection, name) = key;
    let plain = || values.iter().all(|value| is_plain_address(value));
    match (section, name) {
        ("color" | "advice", _) => true,
        ("branch", "remote" | "pushremote") => {
            values.iter().all(|value| value == "." || known.contains(value.as_str()))
        }
        ("branch", _) => OF_BRANCH.contains(&name),
        // What a remote had stays: a push of the owner's must not go elsewhere.
        ("remote", "url") => !known.contains(subsection) && plain(),
        ("remote", "fetch" | "tagopt" | "prune") => !known.contains(subsection),
        ("submodule", "active") => !was_there,
        ("submodule", "url") => !was_there && plain(),
        _ => HARMLESS.iter().any(|(of, names)| *of == section && names.contains(&name)),
    }
}

/// Whether git reaches an address by its own means: no `helper::address`, no option in disguise.
fn is_plain_address(address: &str) -> bool {
    let schemes = ["https", "http", "ssh", "git", "file"];
    if address.starts_with('-') || address.contains("::") {
        return false;
    }
    match address.split_once("://") {
        Some((scheme, rest)) => schemes.contains(&scheme) && !rest.starts_with('-'),
        None => !address.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(lines: &[&str]) -> Settings {
        let printed: Vec<String> = lines.iter().map(|line| line.replacen('=', "\n", 1)).collect();
        Settings::of_list(printed.join("\0").as_bytes())
    }

    #[test]
    fn an_owner_may_change_what_runs_nothing_and_leads_nowhere() {
        let before = [
            "core.bare=false",
            "user.name=Ann",
            "remote.origin.url=https://host/r.git",
            "remote.origin.fetch=+a:b",
            "branch.main.remote=origin",
        ];
        let cases: [(&[&str], &[&str], &[&str]); 32] = [
            // (added or with another value, removed, harmful)
            (&[], &[], &[]),
            (&["user.email=a@b"], &["user.name=Ann"], &[]),
            (&["branch.new.remote=origin", "branch.new.merge=refs/heads/new"], &[], &[]),
            (&["branch.new.remote=.", "branch.new.description=x", "branch.a.b.rebase=true"], &[], &[]),
            (&[], &["branch.main.remote=origin"], &[]),
            (&["branch.main.remote=evil"], &["branch.main.remote=origin"], &["branch.main.remote"]),
            (&["branch.main.remote=ext::sh -c x"], &[], &["branch.main.remote"]),
            (&["branch.main.mergeoptions=-s evil"], &[], &["branch.main.mergeoptions"]),
            (&["remote.fork.url=git@github.com:a/b.git", "remote.fork.fetch=+x:y"], &[], &[]),
            (&["remote.fork.url=/srv/r.git"], &[], &[]),
            (&["remote.fork.url=ext::sh -c x"], &[], &["remote.fork.url"]),
            (&["remote.fork.url=-oProxyCommand=x"], &[], &["remote.fork.url"]),
            (&["remote.fork.uploadpack=x"], &[], &["remote.fork.uploadpack"]),
            (&["remote.fork.vcs=x"], &[], &["remote.fork.vcs"]),
            (&["remote.fork.proxy=x"], &[], &["remote.fork.proxy"]),
            (
                &["remote.origin.url=https://evil/r.git"],
                &["remote.origin.url=https://host/r.git"],
                &["remote.origin.url"],
            ),
            (&["remote.origin.pushurl=https://evil/r.git"], &[], &["remote.origin.pushurl"]),
            (&["remote.origin.url=https://evil/r.git"], &[], &["remote.origin.url"]),
            (&[], &["remote.origin.url=https://host/r.git"], &["remote.origin.url"]),
            (&["core.hookspath=x"], &[], &["core.hookspath"]),
            (&["core.fsmonitor=x", "core.pager=x"], &[], &["core.fsmonitor", "core.pager"]),
            (&["core.sparsecheckout=true", "extensions.worktreeconfig=true"], &[], &[]),
            (&["core.bare=true"], &["core.bare=false"], &["core.bare"]),
            (&["filter.lfs.clean=git-lfs clean"], &[], &["filter.lfs.clean"]),
            (&["diff.x.textconv=x", "merge.x.driver=x"], &[], &["diff.x.textconv", "merge.x.driver"]),
            (&["url.ext::sh.insteadof=http"], &[], &["url.ext::sh.insteadof"]),
            (&["include.path=x"], &[], &["include.path"]),
            (&["includeif.gitdir:/.path=x"], &[], &["includeif.gitdir:/.path"]),
            (&["alias.st=!x"], &[], &["alias.st"]),
            (&["submodule.lib.active=true", "submodule.lib.url=https://host/lib.git"], &[], &[]),
            (&["submodule.lib.update=!x"], &[], &["submodule.lib.update"]),
            (&["color.ui=always", "advice.detachedhead"], &[], &[]),
        ];
        for (added, removed, expected) in cases {
            let mut after: Vec<&str> =
                before.iter().copied().filter(|line| !removed.contains(line)).collect();
            after.extend(added);
            assert_eq!(harmful(&settings(&before), &settings(&after)), expected, "+{added:?} -{removed:?}");
        }
    }

    #[test]
    fn a_remote_that_was_removed_and_made_anew_is_another() {
        let before = settings(&["remote.origin.url=https://host/r.git"]);
        assert_eq!(harmful(&before, &settings(&[])), ["remote.origin.url"], "or it could come back changed");
    }
}
