//! The house keeps its order: which room may use which, what stands in one place only, how long a file may be.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms as the head of `src/lib.rs` lists them: one uses what stands on a later line, or on its own line as
/// long as that does not go round in a circle.
const FLOORS: [&[&str]; 7] = [
    &["cli"],
    &["pipeline", "upkeep", "view", "lab"],
    &["session", "input"],
    &["agent", "github", "claims", "git", "limits", "sandbox"],
    &["state", "config", "schema"],
    &["record"],
    &[
        "process",
        "output",
        "environment",
        "clock",
        "digest",
        "redact",
        "secrets",
        "sanitize",
        "visible",
        "error",
    ],
];

/// Who reaches up all the same, and why.
const REACH_UP: [(&str, &str, &str); 0] = [];

/// The only places that may call what `clippy.toml` forbids.
const ONLY_PLACES: [&str; 7] = [
    "src/clock.rs",
    "src/environment.rs",
    "src/lab/actor.rs",
    "src/lab/git.rs",
    "src/output.rs",
    "src/process.rs",
    "src/state/durable.rs",
];

const LONGEST_FILE: usize = 400;
const LONGEST_BINARY: usize = 30;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below some folders: its path from the root, and its text.
fn sources(folders: &[&str]) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut left: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.insert(path.strip_prefix(root()).unwrap().to_owned(), text);
            }
        }
    }
    found
}

/// The lines that are code, with their numbers.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(at, line)| (at + 1, line))
        .filter(|(_, line)| !line.trim().starts_with("//"))
}

/// The room a file belongs to; none for `lib.rs` and the binaries.
fn room(path: &Path) -> Option<String> {
    let first = path.strip_prefix("src").ok()?.components().next()?;
    let name = first.as_os_str().to_str()?.trim_end_matches(".rs");
    (!["lib", "bin"].contains(&name)).then(|| name.to_owned())
}

/// The rooms that a line names: `crate::room`, or each of `crate::{room, other::thing}`.
fn rooms_named(line: &str) -> Vec<String> {
    let word =
        |text: &str| -> String { text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
    let after = |(at, _): (usize, &str)| &line[at + "crate::".len()..];
    let mut rooms = Vec::new();
    for named in line.match_indices("crate::").map(after) {
        match named.strip_prefix('{') {
            None => rooms.push(word(named)),
            Some(group) => rooms.extend(group.split(", ").map(word)),
        }
    }
    rooms
}

/// Who uses whom, with one line that shows it.
fn uses() -> BTreeMap<(String, String), String> {
    let mut uses = BTreeMap::new();
    for (path, text) in sources(&["src"]) {
        let Some(from) = room(&path) else { continue };
        for (number, line) in code(&text) {
            for to in rooms_named(line).into_iter().filter(|to| *to != from) {
                uses.entry((from.clone(), to)).or_insert(format!("{}:{number}: {line}", path.display()));
            }
        }
    }
    uses
}

fn floor(room: &str) -> usize {
    FLOORS.iter().position(|rooms| rooms.contains(&room)).unwrap_or_else(|| panic!("'{room}' has no floor"))
}

#[test]
fn a_room_uses_only_what_stands_below_it() {
    let uses = uses();
    let excused = |from: &str, to: &str| REACH_UP.iter().any(|(a, b, _)| (*a, *b) == (from, to));
    for ((from, to), shown) in &uses {
        assert!(
            floor(from) <= floor(to) || excused(from, to),
            "{from} uses {to}, which stands above it\n{shown}"
        );
    }
    for (from, to, _) in REACH_UP {
        assert!(
            uses.contains_key(&(from.to_owned(), to.to_owned())),
            "{from} does not reach up to {to} any more"
        );
    }
    // On one line: take away whoever uses nobody that is left, until nobody is.
    for rooms in FLOORS {
        let mut left: BTreeSet<&str> = rooms.iter().copied().collect();
        while !left.is_empty() {
            let uses_one = |room: &&str| uses.keys().any(|(a, b)| a == room && left.contains(b.as_str()));
            let ends: Vec<&str> = left.iter().copied().filter(|room| !uses_one(room)).collect();
            assert!(!ends.is_empty(), "these use each other in a circle: {left:?}");
            left.retain(|room| !ends.contains(room));
        }
    }
}

#[test]
fn the_map_shows_every_room_on_its_floor() {
    let map = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let declared: BTreeSet<&str> =
        map.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert_eq!(declared, FLOORS.concat().into_iter().collect());
    let head: Vec<&str> = map.lines().map_while(|line| line.strip_prefix("//!")).collect();
    let list = head.join("\n");
    for (number, rooms) in (1..).zip(FLOORS) {
        let (_, after) = list.split_once(&format!("\n {number}. ")).unwrap();
        let item = after.split_once(&format!("\n {}. ", number + 1)).map_or(after, |(item, _)| item);
        for room in rooms {
            assert!(item.contains(&format!("[`{room}`]")), "{room} is not named on line {number} of the map");
        }
    }
}

#[test]
fn no_file_is_too_long() {
    for (path, text) in sources(&["src", "tests"]) {
        let lines = text.lines().count();
        assert!(lines <= LONGEST_FILE, "{} has {lines} lines", path.display());
    }
}

#[test]
fn nothing_panics_on_purpose() {
    let words = [".unwrap()", ".expect(", "panic!(", "todo!(", "unimplemented!(", "unreachable!("];
    for (path, text) in sources(&["src"]).iter().filter(|(path, _)| !path.ends_with("properties.rs")) {
        // Unit tests stand at the end of a file, or in one called properties.rs, and may.
        let end = if path.ends_with("tests.rs") { 0 } else { text.len() };
        let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(end);
        for (number, line) in code(&text[..end]) {
            let found = words.iter().find(|word| line.contains(*word));
            assert!(found.is_none(), "{}:{number}: {}", path.display(), line.trim());
        }
    }
}

#[test]
fn forbidden_calls_stand_in_their_only_places() {
    let mut places = BTreeSet::new();
    for (path, text) in sources(&["src"]) {
        for (number, line) in code(&text).filter(|(_, line)| line.contains("clippy::disallowed_methods")) {
            assert!(
                line.contains("#[expect(") && line.contains("reason = "),
                "{}:{number}: expect it, with the reason",
                path.display()
            );
            places.insert(path.display().to_string());
        }
    }
    assert_eq!(places, ONLY_PLACES.map(str::to_owned).into());
}

#[test]
fn binaries_only_parse_call_and_end() {
    for (path, text) in sources(&["src/bin"]) {
        assert!(text.starts_with("//! "), "{}: the contract comes first", path.display());
        assert!(text.lines().count() <= LONGEST_BINARY, "{} does too much", path.display());
    }
}
