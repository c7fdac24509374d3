//! Secrets in what a push would publish: files, names and messages of every commit, also of those whose content is gone
//! again at the end. What was pushed once stays readable on GitHub, whatever the branch says later.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::ops::Range;

use super::guards::shown;
use super::paths::{fits, folded};
use crate::error::Result;
use crate::git::PrivateGit;
use crate::git::outgoing::{Commit, Outgoing};
use crate::record::{Extra, Finding, FindingKind};
use crate::secrets::{Hit, Scanner};

/// So many bytes of files are held at once.
const CHUNK: u64 = 32 << 20;
/// The most secrets that are told: a person will look at the change by then.
const TOLD: usize = 50;

/// What a search works with.
pub struct Search<'a> {
    git: &'a PrivateGit,
    scanner: &'a Scanner,
    base: &'a str,
    allowed: &'a [String],
    /// Whether a piece of a known value stands in the base: git is asked once for each.
    public: RefCell<HashMap<Vec<u8>, bool>>,
}

impl fmt::Debug for Search<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Search")
    }
}

impl<'a> Search<'a> {
    /// A search in `git`'s objects. The tree of `base` is public already; `allowed` is `guards.allowSecrets`.
    pub fn new(git: &'a PrivateGit, scanner: &'a Scanner, base: &'a str, allowed: &'a [String]) -> Self {
        Self { git, scanner, base, allowed, public: RefCell::default() }
    }

    /// Every secret that is new, each at the place where it comes first. `sizes` are those of the new files.
    pub fn run(&self, outgoing: &Outgoing, sizes: &BTreeMap<String, u64>) -> Result<Vec<Finding>> {
        let mut findings = self.in_files(outgoing, sizes)?;
        for commit in &outgoing.commits {
            findings.extend(self.in_names(commit)?);
        }
        findings.extend(self.in_messages(&outgoing.commits)?);
        let mut told = HashSet::new();
        findings.retain(|one| told.insert((one.mark.clone(), one.path.clone())));
        findings.truncate(TOLD);
        Ok(findings)
    }

    fn in_files(&self, outgoing: &Outgoing, sizes: &BTreeMap<String, u64>) -> Result<Vec<Finding>> {
        let mut places: HashMap<&str, Vec<(&Commit, &[u8])>> = HashMap::new();
        let mut order: Vec<&str> = Vec::new();
        for commit in &outgoing.commits {
            for change in &commit.changes {
                let Some(new) = change.new.as_ref().filter(|new| new.is_blob()) else { continue };
                let of_this = places.entry(&new.oid).or_default();
                if of_this.is_empty() {
                    order.push(&new.oid);
                }
                of_this.push((commit, &change.path));
            }
        }
        let mut findings = Vec::new();
        for chunk in chunks(&order, sizes) {
            let contents = self.git.objects(chunk)?;
            for oid in chunk {
                let Some(content) = contents.get(*oid) else { continue };
                let hits = self.scanner.scan(content);
                if !hits.is_empty() {
                    let places = places.get(oid).map(Vec::as_slice).unwrap_or_default();
                    findings.extend(self.where_new(content, hits, places)?);
                }
            }
        }
        Ok(findings)
    }

    /// The hits of a file that are new, each with the first commit in which it is.
    fn where_new(
        &self,
        content: &[u8],
        mut hits: Vec<Hit>,
        places: &[(&Commit, &[u8])],
    ) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for (commit, path) in places {
            if hits.is_empty() {
                break;
            }
            let oids: Vec<&str> = commit.before.iter().map(String::as_str).collect();
            let before = self.git.objects(&oids)?;
            let old: HashSet<&[u8]> = before.values().flat_map(|old| lines(old)).collect();
            let (new, rest): (Vec<Hit>, Vec<Hit>) = hits.into_iter().partition(|hit| {
                let secret = &content[hit.range.clone()];
                let is_in = |old: &Vec<u8>| old.windows(secret.len()).any(|part| part == secret);
                // A long line may be new for something else.
                touched(content, &hit.range).any(|line| !old.contains(line)) && !before.values().any(is_in)
            });
            for hit in new {
                let line = lines(&content[..hit.range.start]).count() as u64;
                findings.extend(self.finding(&hit, Place { commit, path: Some(path), line: Some(line) })?);
            }
            hits = rest;
        }
        Ok(findings)
    }

    fn in_names(&self, commit: &Commit) -> Result<Vec<Finding>> {
        let new =
            commit.changes.iter().filter(|change| change.old.is_none()).map(|change| change.path.as_slice());
        let names = new.collect::<Vec<_>>().join(&b'\n');
        let mut findings = Vec::new();
        for hit in self.scanner.scan(&names) {
            let place = Place { commit, path: None, line: None };
            findings.extend(self.finding(&hit, place)?.map(|mut found| {
                let name = touched(&names, &hit.range).next().unwrap_or_default();
                let start =
                    names[..hit.range.start].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                let secret = hit.range.start - start..(hit.range.end - start).min(name.len());
                let masked = [&name[..secret.start], b"[secret]", &name[secret.end..]].concat();
                found.says = format!("{}, in the name of a file", found.says);
                found.path = Some(shown(&masked));
                found
            }));
        }
        Ok(findings)
    }

    /// Messages, names and addresses, and whatever else stands in a commit.
    fn in_messages(&self, commits: &[Commit]) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for some in commits.chunks(1000) {
            let oids: Vec<&str> = some.iter().map(|commit| commit.sha.as_str()).collect();
            let texts = self.git.objects(&oids)?;
            for commit in some {
                let Some(text) = texts.get(&commit.sha) else { continue };
                for hit in self.scanner.scan(text) {
                    let place = Place { commit, path: None, line: None };
                    findings.extend(self.finding(&hit, place)?.map(|mut found| {
                        found.says = format!("{}, in the commit itself: its message or a name", found.says);
                        found
                    }));
                }
            }
        }
        Ok(findings)
    }

    /// What stands in the base cannot be kept from anybody: the name of a database, say, that is its password.
    fn is_public(&self, piece: &[u8]) -> Result<bool> {
        if let Some(known) = self.public.borrow().get(piece) {
            return Ok(*known);
        }
        let backwards = piece.iter().rev().copied().collect();
        let is_there = self.git.has_text(self.base, &[piece.to_vec(), backwards])?;
        self.public.borrow_mut().insert(piece.to_vec(), is_there);
        Ok(is_there)
    }

    /// A finding of a hit; none if it is allowed, or public already.
    fn finding(&self, hit: &Hit, place: Place<'_>) -> Result<Option<Finding>> {
        let path = place.path.map(shown);
        let mark = hit.fingerprint(path.as_deref().unwrap_or("a commit"));
        let folded = place.path.map(folded);
        let allowed = |entry: &String| {
            let is_place = || folded.as_deref().is_some_and(|path| fits(entry, path));
            *entry == mark || hit.known_piece().is_none() && is_place()
        };
        if self.allowed.iter().any(allowed) {
            return Ok(None);
        }
        if let Some(piece) = hit.known_piece()
            && self.is_public(piece)?
        {
            return Ok(None);
        }
        Ok(Some(Finding {
            kind: FindingKind::Secret,
            refused: true,
            path,
            line: place.line,
            commit: Some(place.commit.sha.clone()),
            says: hit.title(),
            mark,
            extra: Extra::new(),
        }))
    }
}

/// Where something was found.
#[derive(Clone, Copy)]
struct Place<'a> {
    commit: &'a Commit,
    path: Option<&'a [u8]>,
    line: Option<u64>,
}

/// The new files of a push.
pub fn new_files(outgoing: &Outgoing) -> BTreeSet<&str> {
    let changes = outgoing.commits.iter().flat_map(|commit| &commit.changes);
    let new = changes.filter_map(|change| change.new.as_ref()).filter(|new| new.is_blob());
    new.map(|new| new.oid.as_str()).collect()
}

/// Objects in their order, so many at once as may be held.
fn chunks<'a>(order: &'a [&'a str], sizes: &BTreeMap<String, u64>) -> Vec<&'a [&'a str]> {
    let mut chunks = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (at, oid) in order.iter().enumerate() {
        let size = sizes.get(*oid).copied().unwrap_or_default();
        if bytes + size > CHUNK && at > start {
            chunks.push(&order[start..at]);
            (start, bytes) = (at, 0);
        }
        bytes += size;
    }
    chunks.push(&order[start..]);
    chunks
}

/// The lines of a file, whatever it holds.
fn lines(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    content.split(|byte| *byte == b'\n')
}

/// The lines of which a stretch has a part.
fn touched<'c>(content: &'c [u8], range: &Range<usize>) -> impl Iterator<Item = &'c [u8]> {
    let start = content[..range.start].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let after = content[range.end..].iter().position(|byte| *byte == b'\n');
    lines(&content[start..after.map_or(content.len(), |at| range.end + at)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_in_chunks_that_memory_holds() {
        let sizes: BTreeMap<String, u64> =
            [("a", CHUNK), ("b", 1), ("c", CHUNK - 1), ("d", 1), ("e", 3 * CHUNK)]
                .map(|(oid, size)| (oid.to_owned(), size))
                .into();
        let order = ["a", "b", "c", "d", "e", "unknown"];
        let expected: [&[&str]; 4] = [&["a"], &["b", "c"], &["d"], &["e", "unknown"]];
        let found = chunks(&order, &sizes);
        assert_eq!(found[..3], expected[..3]);
        assert_eq!(found.concat(), order);
    }

    #[test]
    fn the_lines_of_a_stretch_are_those_it_has_a_part_of() {
        let content = b"one\ntwo\nthree\n";
        let cases: [(Range<usize>, &[&[u8]]); 4] =
            [(0..2, &[b"one"]), (2..5, &[b"one", b"two"]), (4..7, &[b"two"]), (8..13, &[b"three"])];
        for (range, expected) in cases {
            assert_eq!(touched(content, &range).collect::<Vec<_>>(), expected, "{range:?}");
        }
    }
}
