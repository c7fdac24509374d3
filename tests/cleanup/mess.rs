//! What an agent can leave in a worktree, and everything that is there, to be compared.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use crate::House;

/// A file, a link or a folder, with its mode and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Thing {
    File(u32, Vec<u8>),
    Link(PathBuf),
    Folder(u32),
}

pub(crate) type Things = BTreeMap<PathBuf, Thing>;

/// Everything below a folder; its own git pointer left out.
pub(crate) fn things(root: &Path) -> Things {
    let mut found = Things::new();
    let mut left = vec![PathBuf::new()];
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(root.join(&folder)).unwrap() {
            let name = entry.unwrap().file_name();
            let path = folder.join(name);
            if path == Path::new(".git") {
                continue;
            }
            let about = root.join(&path).symlink_metadata().unwrap();
            let mode = about.mode() & 0o7777;
            let thing = if about.is_dir() {
                left.push(path.clone());
                Thing::Folder(mode)
            } else if about.is_symlink() {
                Thing::Link(fs::read_link(root.join(&path)).unwrap())
            } else {
                Thing::File(mode, fs::read(root.join(&path)).unwrap())
            };
            found.insert(path, thing);
        }
    }
    found
}

/// The first differences, for people.
pub(crate) fn assert_same(expected: &Things, found: &Things) {
    let shown = |thing: Option<&Thing>| match thing {
        Some(Thing::File(mode, bytes)) => format!("file {mode:o}, {} bytes", bytes.len()),
        other => format!("{other:?}"),
    };
    let paths = expected.keys().chain(found.keys());
    let different: Vec<String> = paths
        .filter(|path| expected.get(*path) != found.get(*path))
        .map(|path| format!("{}: {} / {}", path.display(), shown(expected.get(path)), shown(found.get(path))))
        .collect();
    assert!(different.is_empty(), "{different:#?}");
}

fn random_bytes(dice: &mut fastrand::Rng, most: usize) -> Vec<u8> {
    let length = dice.usize(..most);
    std::iter::repeat_with(|| dice.u8(..)).take(length).collect()
}

/// A name as odd as the file system allows.
fn odd_name(dice: &mut fastrand::Rng) -> OsString {
    let names: [&[u8]; 14] = [
        b"new\nline",
        b" leading and trailing ",
        b"-rf",
        b"quote\"d",
        b"back\\slash",
        b"tab\there",
        b"\xff\xfe not utf-8",
        "ümläut 名前".as_bytes(),
        b"*",
        b"$(touch evil)",
        b":(top)magic",
        b"git~1",
        b".GIT",
        b"%41",
    ];
    OsString::from_vec(names[dice.usize(..names.len())].to_vec())
}

/// Does a dozen random things to a worktree.
pub(crate) fn make(house: &House, worktree: &Path, dice: &mut fastrand::Rng) {
    for _ in 0..12 {
        one(house, worktree, dice);
    }
    // Always something, whatever the dice say.
    fs::write(worktree.join("always.bin"), b"\0\xff\r\n").unwrap();
}

fn one(house: &House, worktree: &Path, dice: &mut fastrand::Rng) {
    let at = |name: &str| worktree.join(name);
    let mode = |path: &Path, mode: u32| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    match dice.u32(..16) {
        0 => fs::write(at("binary"), random_bytes(dice, 20_000)).unwrap(),
        1 => fs::write(at("empty"), b"").unwrap(),
        2 => {
            fs::write(at("run"), "#!/bin/sh\n").unwrap();
            mode(&at("run"), [0o755, 0o700, 0o711][dice.usize(..3)]);
        }
        3 => {
            let _ = symlink(["/etc/passwd", "nowhere", "src", "../.."][dice.usize(..4)], at("link"));
        }
        4 => {
            let name = odd_name(dice);
            let _ = fs::write(worktree.join(&name), random_bytes(dice, 100));
            let folder = worktree.join("odd").join(&name);
            let _ = fs::create_dir_all(&folder);
            let _ = fs::write(folder.join(odd_name(dice)), random_bytes(dice, 100));
        }
        5 => {
            let _ = fs::remove_file(at("README.md"));
        }
        6 => {
            fs::write(at("staged.txt"), random_bytes(dice, 300)).unwrap();
            house.git_in(worktree, &["add", "staged.txt"]);
        }
        7 => {
            fs::write(at("twice.txt"), "staged\n").unwrap();
            house.git_in(worktree, &["add", "twice.txt"]);
            fs::write(at("twice.txt"), random_bytes(dice, 300)).unwrap();
        }
        8 => {
            let deep = at("untracked").join("a/b/c/d").join(dice.u8(..).to_string());
            fs::create_dir_all(&deep).unwrap();
            fs::write(deep.join("file"), random_bytes(dice, 3000)).unwrap();
        }
        9 => {
            let _ = fs::create_dir_all(at("empty-folder/within"));
        }
        10 => {
            // A folder becomes a file, or the other way about.
            if at("src").is_dir() {
                fs::remove_dir_all(at("src")).unwrap();
                fs::write(at("src"), "a file now").unwrap();
            }
        }
        11 => {
            let nested = at("nested");
            if !nested.exists() {
                fs::create_dir(&nested).unwrap();
                house.git_in(&nested, &["init", "--quiet"]);
                fs::write(nested.join("inner.txt"), random_bytes(dice, 500)).unwrap();
                if dice.bool() {
                    house.git_in(&nested, &["add", "."]);
                    house.git_in(&nested, &["commit", "--quiet", "-m", "Inner"]);
                }
            }
        }
        12 => {
            fs::write(at("debug.log"), random_bytes(dice, 900)).unwrap();
            fs::create_dir_all(at("out")).unwrap();
            fs::write(at("out/result"), random_bytes(dice, 900)).unwrap();
        }
        13 => {
            fs::write(
                at(".gitattributes"),
                "* text=auto eol=crlf\n*.txt ident\nlatin.dat working-tree-encoding=ISO-8859-1\n",
            )
            .unwrap();
            fs::write(at("latin.dat"), b"caf\xe9\n").unwrap();
            fs::write(at("mixed.txt"), "one\r\ntwo\n$Id$\n").unwrap();
        }
        14 => {
            fs::write(at("tool.sh"), "changed\n").unwrap();
            mode(&at("tool.sh"), [0o600, 0o644, 0o755, 0o4755][dice.usize(..4)]);
        }
        _ => {
            fs::write(at("hidden"), random_bytes(dice, 100)).unwrap();
            house.git_in(worktree, &["add", "hidden"]);
            house.git_in(worktree, &["update-index", "--assume-unchanged", "hidden"]);
            fs::write(at("hidden"), random_bytes(dice, 100)).unwrap();
        }
    }
}
