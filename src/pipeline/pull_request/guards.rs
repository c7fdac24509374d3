//! What a change must not do without a person's word: decided from what it touches, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use super::paths::{folded, is_lock_file, protection};
use crate::config::{Guards, Protection};
use crate::git::outgoing::{Change, Entry, Outgoing};
use crate::record::{Extra, Finding, FindingKind};
use crate::sanitize;

/// The most findings about paths that are told; so many again change nothing.
const TOLD: usize = 50;
/// What the mark of a size begins with: `size:KEY:NUMBER`.
const SIZE: &str = "size:";

/// What is known of the objects that would be pushed.
#[derive(Debug, Default)]
pub(super) struct Objects {
    /// What all new files take together.
    pub bytes: u64,
    /// The targets of links, by object.
    pub targets: BTreeMap<String, Vec<u8>>,
}

/// Everything that the configuration wants flagged or refused.
pub(super) fn judge(config: &Guards, outgoing: &Outgoing, objects: &Objects) -> Vec<Finding> {
    let mut findings = sizes(config, outgoing, objects);
    let mut of_paths: Vec<Finding> = Vec::new();
    for change in &outgoing.net {
        of_paths.extend(path(config, change));
        of_paths.extend(link(config, change, &objects.targets));
        of_paths.extend(submodule(config, change));
    }
    of_paths.extend(in_between(config, outgoing));
    findings.extend(of_paths);
    findings
}

/// Whether a person has let a finding through: this path with this content, or at least this size.
pub(super) fn is_permitted(permitted: &[String], mark: &str) -> bool {
    let size = |mark: &str| {
        let (key, number) = mark.strip_prefix(SIZE)?.split_once(':')?;
        Some((key.to_owned(), number.parse::<u64>().ok()?))
    };
    match size(mark) {
        Some((key, is)) => {
            permitted.iter().filter_map(|one| size(one)).any(|(of, most)| of == key && is <= most)
        }
        None => permitted.iter().any(|one| one == mark),
    }
}

/// Of many findings so many that somebody reads them, and how many more there are. The refused come first.
pub(super) fn told(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_key(|finding| !finding.refused);
    if findings.len() > TOLD {
        let left = findings.split_off(TOLD);
        let refused = left.iter().filter(|finding| finding.refused).count();
        let says = format!("and {} more, {refused} of them refused", left.len());
        let how = if refused > 0 { Protection::Refuse } else { Protection::Flag };
        findings.push(finding(FindingKind::Protected, how, None, says, String::new()));
    }
    findings
}

/// A path as a person may see it.
pub(super) fn shown(path: &[u8]) -> String {
    sanitize::clip(&sanitize::line(&String::from_utf8_lossy(path)), 200).into_owned()
}

fn finding(
    kind: FindingKind,
    protection: Protection,
    path: Option<&[u8]>,
    says: String,
    mark: String,
) -> Finding {
    let refused = protection == Protection::Refuse;
    let path = path.map(shown);
    Finding { kind, refused, path, line: None, commit: None, says, mark, extra: Extra::new() }
}

/// Whether a change is larger than anybody would read.
fn sizes(config: &Guards, outgoing: &Outgoing, objects: &Objects) -> Vec<Finding> {
    let counted = outgoing.net.iter().filter(|change| !is_lock_file(&folded(&change.path)));
    let lines: u64 = counted.filter_map(|change| change.lines).sum();
    let megabytes = objects.bytes.div_ceil(1 << 20);
    let limits = [
        ("files", outgoing.net.len() as u64, config.max_files, "maxFiles"),
        ("changed lines", lines, config.max_lines, "maxLines"),
        ("megabytes of new files", megabytes, config.max_megabytes, "maxMegabytes"),
    ];
    let over = limits.into_iter().filter(|(_, is, most, _)| *most > 0 && is > most);
    let told = over.map(|(what, is, most, key)| {
        let says = format!("{is} {what}, and guards.{key} is {most}");
        finding(FindingKind::Size, Protection::Refuse, None, says, format!("{SIZE}{key}:{is}"))
    });
    told.collect()
}

fn replaces_folder(change: &Change) -> bool {
    change.new.as_ref().is_some_and(|new| [Entry::LINK, Entry::SUBMODULE].contains(&new.mode))
}

/// What a person lets through: this path with this content.
fn mark(change: &Change) -> String {
    let new = change.new.as_ref().map_or("gone", |new| &new.oid);
    format!("{}@{new}", shown(&change.path))
}

fn path(config: &Guards, change: &Change) -> Option<Finding> {
    let (protection, why) = protection(&config.protected, &folded(&change.path), replaces_folder(change));
    let how = match (&change.old, &change.new) {
        (None, _) => "added",
        (_, None) => "removed",
        (Some(old), Some(new)) if old.oid == new.oid => "given another mode",
        _ => "changed",
    };
    let says = format!("{how}: {why}");
    let found = || finding(FindingKind::Protected, protection, Some(&change.path), says, mark(change));
    (protection != Protection::Allow).then(found)
}

fn link(config: &Guards, change: &Change, targets: &BTreeMap<String, Vec<u8>>) -> Option<Finding> {
    let new = change.new.as_ref().filter(|new| new.mode == Entry::LINK)?;
    let target = targets.get(&new.oid).map(Vec::as_slice).unwrap_or_default();
    let found = || {
        let says = format!("a link to '{}', which is not in the tree", shown(target));
        finding(FindingKind::OutsideLink, config.outside_links, Some(&change.path), says, mark(change))
    };
    (config.outside_links != Protection::Allow && leads_out(&change.path, target)).then(found)
}

/// Whether a link may lead out of the tree, or into the git directory. After a name `..` may go up from wherever that
/// name leads, so it counts too.
fn leads_out(path: &[u8], target: &[u8]) -> bool {
    let depth = path.split(|byte| *byte == b'/').count() - 1;
    let target = String::from_utf8_lossy(target).replace('\\', "/");
    let drive = target.as_bytes().get(1) == Some(&b':');
    let names: Vec<&str> = target.split('/').filter(|name| !name.is_empty() && *name != ".").collect();
    let ups = names.iter().take_while(|name| **name == "..").count();
    let later = &names[ups..];
    let into_git = ups == depth && later.first().is_some_and(|name| folded(name.as_bytes()) == ".git");
    target.is_empty() || target.starts_with('/') || drive || ups > depth || later.contains(&"..") || into_git
}

fn submodule(config: &Guards, change: &Change) -> Option<Finding> {
    let new = change.new.as_ref().filter(|new| new.mode == Entry::SUBMODULE)?;
    let says = format!("a submodule, at {}: another repository's files", new.oid);
    let found = || finding(FindingKind::Submodule, config.submodules, Some(&change.path), says, mark(change));
    (config.submodules != Protection::Allow).then(found)
}

/// Protected paths that a commit touched, and that are again as they were: nothing will come of it, but whoever looks
/// through the commits should know.
fn in_between(config: &Guards, outgoing: &Outgoing) -> Vec<Finding> {
    let net: BTreeSet<&[u8]> = outgoing.net.iter().map(|change| change.path.as_slice()).collect();
    let mut told = BTreeSet::new();
    let mut findings = Vec::new();
    for commit in &outgoing.commits {
        for change in &commit.changes {
            let is_folder =
                [&change.old, &change.new].into_iter().flatten().any(|entry| entry.mode == Entry::FOLDER);
            if is_folder || net.contains(change.path.as_slice()) || !told.insert(change.path.as_slice()) {
                continue;
            }
            if let Some(mut finding) = path(config, change) {
                finding.refused = false;
                finding.says = format!("changed, and as it was again at the end: {}", finding.says);
                finding.commit = Some(commit.sha.clone());
                findings.push(finding);
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::outgoing::Commit;

    const FILE: u32 = 0o100_644;

    fn change(path: &str, old: Option<(u32, &str)>, new: Option<(u32, &str)>, lines: u64) -> Change {
        let entry = |entry: Option<(u32, &str)>| entry.map(|(mode, oid)| Entry { mode, oid: oid.to_owned() });
        Change { path: path.into(), old: entry(old), new: entry(new), lines: Some(lines) }
    }

    fn told(config: &Guards, net: Vec<Change>, objects: &Objects) -> Vec<(bool, String)> {
        let outgoing = Outgoing { commits: Vec::new(), net };
        judge(config, &outgoing, objects).into_iter().map(|one| (one.refused, one.says)).collect()
    }

    #[test]
    fn sizes_have_limits_and_lock_files_are_not_counted_by_line() {
        let small = Guards { max_files: 2, max_lines: 10, max_megabytes: 1, ..Guards::default() };
        let file = |name: &str, lines| change(name, None, Some((FILE, "a")), lines);
        let objects = Objects { bytes: 1 << 20, ..Objects::default() };
        assert!(told(&small, vec![file("a", 5), file("b", 5)], &objects).is_empty());
        let objects = Objects { bytes: (1 << 20) + 1, ..Objects::default() };
        let found = told(&small, vec![file("a", 5), file("b", 6), file("c", 0)], &objects);
        let says: Vec<&str> = found.iter().map(|(_, says)| says.as_str()).collect();
        assert_eq!(
            says,
            [
                "3 files, and guards.maxFiles is 2",
                "11 changed lines, and guards.maxLines is 10",
                "2 megabytes of new files, and guards.maxMegabytes is 1"
            ]
        );
        assert!(found.iter().all(|(refused, _)| *refused));
        let lock = vec![file("Cargo.lock", 5000)];
        assert_eq!(told(&small, lock, &Objects::default()).len(), 1, "only flagged");
        let none = Guards { max_files: 0, max_lines: 0, max_megabytes: 0, ..Guards::default() };
        assert!(told(&none, vec![file("a", 1 << 40)], &objects).is_empty());
    }

    #[test]
    fn what_a_person_let_through_is_this_content_and_at_most_this_size() {
        let permitted = ["a@1", "size:maxFiles:310", "size:maxFiles:305"].map(str::to_owned);
        let cases = [
            ("a@1", true),
            ("a@2", false),
            ("size:maxFiles:310", true),
            ("size:maxFiles:301", true),
            ("size:maxFiles:311", false),
            ("size:maxLines:1", false),
            ("size:maxFiles", false),
        ];
        for (mark, expected) in cases {
            assert_eq!(is_permitted(&permitted, mark), expected, "{mark}");
        }
    }

    #[test]
    fn what_is_not_told_of_many_is_counted_and_keeps_back_as_well() {
        let path = |refused: bool| Finding {
            refused,
            ..finding(FindingKind::Protected, Protection::Flag, None, "x".into(), "m".into())
        };
        let findings = |refused: usize, flagged: usize| {
            let all = std::iter::repeat_n(false, flagged).chain(std::iter::repeat_n(true, refused));
            super::told(all.map(path).collect())
        };
        assert_eq!(findings(20, 30).len(), TOLD);
        let many = findings(51, 9);
        let last = many.last().unwrap();
        assert_eq!(
            (many.len(), last.says.as_str(), last.refused),
            (TOLD + 1, "and 10 more, 1 of them refused", true)
        );
        let many = findings(50, 9);
        assert!(many[..TOLD].iter().all(|one| one.refused));
        assert_eq!(many[TOLD].says, "and 9 more, 0 of them refused");
        assert!(!many[TOLD].refused);
    }

    #[test]
    fn every_way_to_touch_a_protected_path_is_seen() {
        let path = ".github/workflows/ci.yml";
        let cases = [
            (None, Some((FILE, "b")), "added"),
            (Some((FILE, "a")), Some((FILE, "b")), "changed"),
            (Some((FILE, "a")), Some((0o100_755, "a")), "given another mode"),
            (Some((FILE, "a")), None, "removed"),
        ];
        for (old, new, how) in cases {
            let found = told(&Guards::default(), vec![change(path, old, new, 1)], &Objects::default());
            assert_eq!(found, [(true, format!("{how}: it decides what runs in CI"))]);
        }
    }

    #[test]
    fn links_stay_in_the_tree() {
        let cases = [
            ("a", "b", false),
            ("a", "./b", false),
            ("a/b/c", "../../d", false),
            ("a/b/c", "../x/y", false),
            ("a", "../b", true),
            ("a/b", "../../c", true),
            ("a/b/c", "x/../../../../d", true),
            ("a/b/c", "x/..", true),
            ("a", "/etc/passwd", true),
            ("a", "C:\\windows", true),
            ("a", "..\\b", true),
            ("a", ".git/config", true),
            ("a/b", "../.GIT/hooks", true),
            ("a/b", ".git/config", false),
            ("a", "", true),
        ];
        for (path, target, expected) in cases {
            assert_eq!(leads_out(path.as_bytes(), target.as_bytes()), expected, "{path} -> {target}");
        }
        let objects = Objects { targets: [("t".to_owned(), b"/etc".to_vec())].into(), ..Objects::default() };
        let made = change("etc", Some((FILE, "a")), Some((Entry::LINK, "t")), 1);
        assert_eq!(
            told(&Guards::default(), vec![made], &objects),
            [(true, "a link to '/etc', which is not in the tree".to_owned())]
        );
    }

    #[test]
    fn submodules_are_refused_unless_allowed() {
        let added = || vec![change("lib", None, Some((Entry::SUBMODULE, "c0ffee")), 1)];
        assert!(told(&Guards::default(), added(), &Objects::default())[0].0);
        let config = Guards { submodules: Protection::Flag, ..Guards::default() };
        assert!(!told(&config, added(), &Objects::default())[0].0);
        let config = Guards { submodules: Protection::Allow, ..Guards::default() };
        assert!(told(&config, added(), &Objects::default()).is_empty());
    }

    #[test]
    fn what_was_put_back_is_told_and_not_refused() {
        let there = change(".mcp.json", None, Some((FILE, "a")), 1);
        let gone = change(".mcp.json", Some((FILE, "a")), None, 1);
        let commit = |sha: &str, changes| Commit { sha: sha.to_owned(), changes, before: Vec::new() };
        let commits = vec![commit("c1", vec![there]), commit("c2", vec![gone])];
        let found = judge(&Guards::default(), &Outgoing { commits, net: Vec::new() }, &Objects::default());
        assert_eq!((found.len(), found[0].refused, found[0].commit.as_deref()), (1, false, Some("c1")));
    }
}
