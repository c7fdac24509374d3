//! How often a change is kept back for a secret that is none: counted over real histories.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use cq::environment::Environment;
use cq::git::{Git, PrivateGit, Repository};
use cq::pipeline::pull_request::leaks::{Search, new_files};
use cq::secrets::Scanner;
use fastrand::Rng;

use crate::dresses::value;
use crate::stream::{Says, Stream};
use crate::support::skip::skip;

/// What a search over a history gave.
#[derive(Debug)]
struct Counted {
    commits: usize,
    bytes: u64,
    /// The commits in which something was found, and what.
    alarms: BTreeSet<String>,
    told: Vec<String>,
}

/// Searches every commit after `base`, as cq-pr does, with a few values known.
fn count(repository: &Path, base: &str, head: &str, allowed: &[String]) -> Counted {
    let environment: Environment = std::env::vars().filter(|(name, _)| name == "PATH").collect();
    let git = Git::find(&environment).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let repository = Repository::open(&git, repository).unwrap();
    let private = PrivateGit::open(&git, &folder.path().join("repo.git"), &repository).unwrap();
    let mut random = Rng::with_seed(7);
    let mut known: Vec<String> = (0..8).map(|_| value(&mut random)).collect();
    known.push(format!("https://hooks.example.org/services/T0/B0/{}", value(&mut random)));
    let scanner = Scanner::knowing(&known).unwrap();
    let outgoing = private.outgoing(base, head).unwrap();
    let sizes = private.sizes(&new_files(&outgoing)).unwrap();
    let search = Search::new(&private, &scanner, base, allowed);
    let started = Instant::now();
    let found = search.run(&outgoing, &sizes).unwrap();
    let counted = Counted {
        commits: outgoing.commits.len(),
        bytes: sizes.values().sum(),
        alarms: found.iter().filter_map(|one| one.commit.clone()).collect(),
        told: found.iter().map(|one| format!("{:?}:{:?} {}", one.path, one.line, one.says)).collect(),
    };
    println!(
        "{} commits, {} bytes of files, {:?}: {} commits with an alarm",
        counted.commits,
        counted.bytes,
        started.elapsed(),
        counted.alarms.len()
    );
    counted.told.iter().for_each(|told| println!("{told}"));
    counted
}

fn git(folder: &Path, args: &[&str], stdin: &[u8]) -> Option<String> {
    let mut child = Command::new("git")
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), stdin).unwrap();
    let output = child.wait_with_output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

/// The first commit and the last.
fn ends(repository: &Path) -> Option<(String, String)> {
    let roots = git(repository, &["rev-list", "--max-parents=0", "HEAD"], b"")?;
    Some((roots.lines().last()?.to_owned(), git(repository, &["rev-parse", "HEAD"], b"")?))
}

/// This project's own, the newest forty steps of it: its tests hold keys, which their places tell.
#[test]
fn this_projects_own_history_holds_no_secret() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let newest = ["rev-list", "--first-parent", "--max-count=40", "HEAD"];
    let long = std::env::var_os("CQ_TEST_LONG").is_some();
    let newest = git(root, &newest, b"").filter(|_| !long);
    let newest = newest.map(|list| list.lines().last().unwrap_or_default().to_owned());
    let Some((base, head)) = ends(root).filter(|_| root.join(".git").exists()) else {
        skip("this_projects_own_history_holds_no_secret", "this is no clone of the project's repository");
        return;
    };
    let base = newest.unwrap_or(base);
    let counted = count(root, &base, &head, &["tests/data/**".to_owned()]);
    assert!(counted.alarms.is_empty(), "{:#?}", counted.told);
}

#[test]
fn hardly_any_commit_of_a_public_history_is_kept_back() {
    let name = "hardly_any_commit_of_a_public_history_is_kept_back";
    let (long, history) = (std::env::var_os("CQ_TEST_LONG"), std::env::var_os("CQ_TEST_HISTORY"));
    let (Some(_), Some(history)) = (long, history) else {
        skip(
            name,
            "CQ_TEST_LONG=1 and CQ_TEST_HISTORY, a git repository or a folder of patches, are not set",
        );
        return;
    };
    let history = PathBuf::from(history);
    let made = tempfile::tempdir().unwrap();
    let (counted, commits) = match ends(&history).filter(|_| is_repository(&history)) {
        Some((base, head)) => {
            let counted = count(&history, &base, &head, &[]);
            let commits = counted.commits;
            (counted, commits)
        }
        None => {
            let patches = from_patches(&history, made.path());
            let (base, head) = ends(made.path()).unwrap();
            // Two commits each: what was there, and what the patch made of it.
            (count(made.path(), &base, &head, &[]), patches)
        }
    };
    println!("{} false alarms in {commits} commits", counted.alarms.len());
    assert!(commits >= 1000, "{commits} commits are not enough to tell");
    assert!(counted.alarms.len() * 1000 <= commits, "{:#?}", counted.told);
}

fn is_repository(folder: &Path) -> bool {
    folder.join(".git").exists() || folder.join("HEAD").exists()
}

/// A repository in which every patch of a folder is two commits: the lines it takes away and those around them, and the
/// lines it puts in their place. Gives how many there were.
fn from_patches(folder: &Path, into: &Path) -> usize {
    git(into, &["init", "--quiet"], b"").unwrap();
    let (mut stream, mut patches, mut left) = (Stream::default(), 0, vec![folder.to_owned()]);
    stream.commit("history", &Says::default(), &[]);
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_dir() {
                left.push(entry.path());
            } else if let Some(patch) = Patch::read(&fs::read(entry.path()).unwrap_or_default()) {
                patches += 1;
                for (side, message) in [(0, &b"Before"[..]), (1, &patch.head)] {
                    stream.commit("history", &Says { message, ..Says::default() }, &[]);
                    stream.remove_all();
                    for (path, sides) in &patch.files {
                        stream.file("100644", path, &sides[side]);
                    }
                }
            }
        }
    }
    git(into, &["fast-import", "--quiet", "--done"], &stream.bytes()).unwrap();
    git(into, &["symbolic-ref", "HEAD", "refs/heads/history"], b"").unwrap();
    patches
}

/// What a patch says: its words, and of each file the lines before and after.
struct Patch {
    head: Vec<u8>,
    files: Vec<(Vec<u8>, [Vec<u8>; 2])>,
}

impl Patch {
    fn read(text: &[u8]) -> Option<Self> {
        let mut patch = Self { head: Vec::new(), files: Vec::new() };
        let mut in_hunk = false;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            match (line.strip_prefix(b"+++ "), patch.files.last_mut()) {
                (Some(name), _) => {
                    let name = name.split(|byte| *byte == b'\t' || *byte == b'\n').next()?;
                    let name = String::from_utf8_lossy(name).replace(['"', '\\', '\r'], "");
                    let parts = name.split('/').filter(|part| !matches!(*part, "" | "." | ".." | ".git"));
                    let number = patch.files.len();
                    let place = format!("{number}/{}", parts.collect::<Vec<_>>().join("/"));
                    patch.files.push((place.into_bytes(), [Vec::new(), Vec::new()]));
                    in_hunk = false;
                }
                (None, None) => patch.head.extend_from_slice(line),
                (None, Some((_, [before, after]))) => match line.first() {
                    Some(b'@') => in_hunk = true,
                    Some(b'+') if in_hunk => after.extend_from_slice(&line[1..]),
                    Some(b'-') if in_hunk && !line.starts_with(b"--- ") => {
                        before.extend_from_slice(&line[1..]);
                    }
                    Some(b' ') if in_hunk => {
                        before.extend_from_slice(&line[1..]);
                        after.extend_from_slice(&line[1..]);
                    }
                    _ => {}
                },
            }
        }
        patch.head.retain(|byte| *byte != 0);
        (!patch.files.is_empty()).then_some(patch)
    }
}
