use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::state::durable;

/// A git directory as it is before a run.
fn repository() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for path in [
        "hooks",
        "info",
        "objects/info",
        "worktrees/one",
        "worktrees/half",
        "modules/lib/hooks",
        "modules/a/b/objects",
    ] {
        fs::create_dir_all(root.join(path)).unwrap();
    }
    for (path, text) in [
        ("config", "[core]\n\tbare = false\n"),
        ("hooks/pre-push", "#!/bin/sh\n"),
        ("hooks/pre-push.sample", "#!/bin/sh\n"),
        ("info/attributes", "*.png binary\n"),
        ("info/exclude", "target\n"),
        ("worktrees/one/commondir", "../..\n"),
        ("worktrees/one/gitdir", "/w/one/.git\n"),
        ("modules/lib/HEAD", "ref: refs/heads/main\n"),
        ("modules/lib/config", ""),
        ("modules/a/b/HEAD", "ref: refs/heads/main\n"),
        ("modules/a/b/config", ""),
    ] {
        write(root.join(path), text);
    }
    folder
}

fn write(path: PathBuf, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// A configuration here is its lines.
fn settings(root: &Path, copy: &Path) -> impl FnMut(&Path, bool) -> Result<Settings> {
    move |path, after| {
        let text = fs::read_to_string(if after { root } else { copy }.join(path)).unwrap();
        let lines = text.lines().filter_map(|line| line.trim().split_once(" = "));
        let printed: Vec<String> = lines.map(|(key, value)| format!("core.{key}\n{value}\0")).collect();
        Ok(Settings::of_list(printed.concat().as_bytes()))
    }
}

type Deed = fn(&Path);

/// What is done, and the paths that are found; all of it is put back, except where nothing is said to be.
const DEEDS: [(&str, Deed, &[&str]); 29] = [
    ("nothing", |_| {}, &[]),
    ("a hook", |root| write(root.join("hooks/post-commit"), "x"), &["hooks/post-commit"]),
    ("another content", |root| write(root.join("hooks/pre-push"), "x"), &["hooks/pre-push"]),
    ("a hook in a folder", |root| write(root.join("hooks/pre-push.d/1"), "x"), &["hooks/pre-push.d/1"]),
    (
        "a mode",
        |root| {
            fs::set_permissions(root.join("hooks/pre-push"), fs::Permissions::from_mode(0o755)).unwrap();
        },
        &["hooks/pre-push"],
    ),
    ("a hook less", |root| fs::remove_file(root.join("hooks/pre-push")).unwrap(), &["hooks/pre-push"]),
    (
        "no hooks",
        |root| fs::remove_dir_all(root.join("hooks")).unwrap(),
        &["hooks", "hooks/pre-push", "hooks/pre-push.sample"],
    ),
    (
        "hooks elsewhere",
        |root| {
            fs::remove_dir_all(root.join("hooks")).unwrap();
            symlink("/tmp", root.join("hooks")).unwrap();
        },
        &["hooks", "hooks/pre-push", "hooks/pre-push.sample"],
    ),
    ("a link as hook", |root| symlink("/bin/true", root.join("hooks/update")).unwrap(), &["hooks/update"]),
    ("attributes", |root| write(root.join("info/attributes"), "* filter=evil"), &["info/attributes"]),
    ("no attributes", |root| fs::remove_file(root.join("info/attributes")).unwrap(), &["info/attributes"]),
    (
        "info elsewhere",
        |root| {
            durable::rename(&root.join("info"), &root.join("elsewhere")).unwrap();
            symlink("elsewhere", root.join("info")).unwrap();
        },
        &["info", "info/attributes"],
    ),
    ("grafts", |root| write(root.join("info/grafts"), "x"), &["info/grafts"]),
    ("alternates", |root| write(root.join("objects/info/alternates"), "/x"), &["objects/info/alternates"]),
    ("a setting", |root| write(root.join("config"), "[core]\n\tbare = false\n\tpager = x\n"), &["config"]),
    ("a comment", |root| write(root.join("config"), "# mine\n[core]\n\tbare = false\n"), &[]),
    (
        "a setting of its own",
        |root| write(root.join("config.worktree"), "[core]\n\tfsmonitor = x\n"),
        &["config.worktree"],
    ),
    ("an empty configuration", |root| write(root.join("config.worktree"), ""), &[]),
    (
        "another common folder",
        |root| write(root.join("worktrees/one/commondir"), "/x"),
        &["worktrees/one/commondir"],
    ),
    (
        "a worktree's setting",
        |root| write(root.join("worktrees/one/config.worktree"), "hooksPath = x"),
        &["worktrees/one/config.worktree"],
    ),
    (
        "a worktree that is being removed",
        |root| fs::remove_file(root.join("worktrees/one/commondir")).unwrap(),
        &[],
    ),
    (
        "a worktree that is a repository",
        |root| {
            fs::remove_file(root.join("worktrees/one/commondir")).unwrap();
            fs::create_dir(root.join("worktrees/one/objects")).unwrap();
            write(root.join("worktrees/one/config"), "hooksPath = x");
        },
        &["worktrees/one/config", "worktrees/one/objects"],
    ),
    ("a worktree that was half made", |root| write(root.join("worktrees/half/commondir"), "../.."), &[]),
    ("its setting", |root| write(root.join("worktrees/half/config.worktree"), "x = y"), &[]),
    ("a worktree more", |root| write(root.join("worktrees/two/commondir"), "../.."), &[]),
    ("a worktree less", |root| fs::remove_dir_all(root.join("worktrees/one")).unwrap(), &[]),
    (
        "a submodule's hook",
        |root| write(root.join("modules/lib/hooks/update"), "x"),
        &["modules/lib/hooks/update"],
    ),
    (
        "a nested submodule's setting",
        |root| write(root.join("modules/a/b/config"), "sshCommand = x"),
        &["modules/a/b/config"],
    ),
    (
        "a submodule more",
        |root| {
            write(root.join("modules/new/HEAD"), "x");
            write(root.join("modules/new/hooks/update"), "x");
            write(root.join("modules/new/modules/inner/config"), "x = y");
        },
        &[],
    ),
];

#[test]
fn every_change_is_found_and_put_back() {
    for (what, deed, expected) in DEEDS {
        let repository = repository();
        let root = repository.path();
        let aside = tempfile::tempdir().unwrap();
        let (copy, kept) = (aside.path().join("copy"), aside.path().join("kept"));
        let before = Snapshot::read(root).unwrap();
        keep(&before, root, &copy).unwrap();
        assert_eq!(Snapshot::read(&copy).unwrap(), before, "a copy is the same");
        deed(root);
        let after = Snapshot::read(root).unwrap();
        let found = changes(&before, &after, settings(root, &copy)).unwrap();
        let paths: Vec<String> = found.iter().map(|change| change.path.display().to_string()).collect();
        assert_eq!(paths, expected, "{what}");
        assert!(put_back(&found, root, &copy, &kept).unwrap(), "{what}");
        let restored = Snapshot::read(root).unwrap();
        let left = changes(&before, &restored, settings(root, &copy)).unwrap();
        assert_eq!(left, [], "{what}");
        let replaced = !expected.is_empty() && !what.starts_with("no ");
        assert_eq!(kept.exists(), replaced, "{what}: nothing planted is lost");
    }
}

/// A folder full of objects that was moved away cannot be made anew; it is said, and left as it is.
#[test]
fn what_cannot_be_put_back_is_said() {
    let repository = repository();
    let root = repository.path();
    let aside = tempfile::tempdir().unwrap();
    let before = Snapshot::read(root).unwrap();
    keep(&before, root, &aside.path().join("copy")).unwrap();
    durable::rename(&root.join("objects"), &root.join("moved")).unwrap();
    symlink("moved", root.join("objects")).unwrap();
    let found = changes(&before, &Snapshot::read(root).unwrap(), |_, _| Ok(Settings::default())).unwrap();
    assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), ["objects"]);
    assert!(!put_back(&found, root, &aside.path().join("copy"), &aside.path().join("kept")).unwrap());
    assert!(root.join("objects").is_symlink(), "its objects are still reached");
}
