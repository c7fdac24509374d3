//! Secrets in what is about to be published: wherever they stand, and in whatever dress.
//!
//! Two nets, as in [`crate::redact`], but finer, because what was pushed once is out for good: the values that cq
//! itself knows, whole or a long piece of them; and what vendors' published formats tell, by checksum where there is
//! one, else by how random it looks. Each byte sequence is looked at as it is and through [`views`]: base64, hex,
//! escapes, reversed, one in the other.

use std::fmt;
use std::ops::Range;

use crate::digest;
use crate::error::Result;
use crate::redact::MASK;

mod known;
mod random;
mod special;
mod vendors;
mod views;

use known::Known;
use vendors::Vendors;
use views::View;

/// How many encodings may lie around a secret, one in the other.
const DEEPEST: usize = 3;

/// So many times what is looked at may be opened within it: somebody may write what can be read at every offset.
const MOST_WITHIN: usize = 8;

/// What was seen so far.
struct Seen {
    hits: Vec<Hit>,
    /// So many bytes may be opened yet within others.
    left: usize,
}

/// Finds secrets; made once per process.
#[derive(Debug)]
pub struct Scanner {
    known: Option<Known>,
    vendors: Vendors,
}

/// A secret that was found. Shows everything but its value.
#[derive(Clone, PartialEq, Eq)]
pub struct Hit {
    /// What it is: `GitHub token`.
    pub kind: &'static str,
    /// The encodings around it, outermost first; empty where it stands there plainly.
    pub form: Vec<&'static str>,
    /// Where it stands in what was looked at.
    pub range: Range<usize>,
    /// Of a value that cq knows, the piece that was found.
    piece: Option<Vec<u8>>,
    /// What a vendor's secret is known by again.
    digest: Option<String>,
}

impl fmt::Debug for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:?}", self.title(), self.range)
    }
}

impl Hit {
    /// What it is, and in which dress.
    pub fn title(&self) -> String {
        if self.form.is_empty() {
            return self.kind.to_owned();
        }
        format!("{} ({})", self.kind, self.form.join(", "))
    }

    /// The piece of a value that cq knows: never to be shown.
    pub fn known_piece(&self) -> Option<&[u8]> {
        self.piece.as_deref()
    }

    /// What it is allowed by: the same wherever the secret stands. Of a value that cq knows it depends on the place
    /// alone, because a short password could be guessed from a digest.
    pub fn fingerprint(&self, place: &str) -> String {
        match &self.digest {
            Some(digest) => digest.clone(),
            None => digest::short(&[self.title().as_bytes(), b"\0", place.as_bytes()].concat()),
        }
    }
}

impl Scanner {
    /// A scanner that knows these values beside the vendors' formats.
    pub fn knowing(secrets: &[String]) -> Result<Self> {
        Ok(Self { known: Known::new(secrets)?, vendors: Vendors::new()? })
    }

    /// The secrets in a byte sequence, in the order of their places; each once.
    pub fn scan(&self, bytes: &[u8]) -> Vec<Hit> {
        let mut seen = Seen { hits: Vec::new(), left: MOST_WITHIN * bytes.len() + (1 << 20) };
        self.look(&View::plain(bytes), 0, &mut seen);
        plainest(seen.hits)
    }

    /// A text with every secret masked, whatever its dress.
    pub fn mask(&self, text: &str) -> String {
        let mut masked = Vec::new();
        let mut copied = 0;
        for hit in self.scan(text.as_bytes()) {
            if hit.range.start >= copied {
                masked.extend_from_slice(&text.as_bytes()[copied..hit.range.start]);
                masked.extend_from_slice(MASK.as_bytes());
            }
            copied = copied.max(hit.range.end);
        }
        masked.extend_from_slice(&text.as_bytes()[copied..]);
        // A hit may begin or end within a character.
        String::from_utf8_lossy(&masked).into_owned()
    }

    /// Looks at a view, and at what is encoded in it. Of what came out of an encoding only what can be read can be
    /// encoded once more: most of it is noise.
    fn look(&self, view: &View<'_>, depth: usize, seen: &mut Seen) {
        // Words that were pushed together look like keys.
        if !view.is_closed() {
            self.vendors.find(view, &mut seen.hits);
        }
        self.look_for_known(view, &mut seen.hits);
        if depth == 0 {
            view.open(self.known.is_some(), |opened| self.look(opened, depth + 1, seen));
        } else if depth < DEEPEST
            && let Some(text) = view.readable()
            && text.bytes().len() <= seen.left
        {
            seen.left -= text.bytes().len();
            text.open(self.known.is_some(), |opened| self.look(opened, depth + 1, seen));
        }
    }

    fn look_for_known(&self, view: &View<'_>, hits: &mut Vec<Hit>) {
        if let Some(known) = &self.known {
            known.find(view, hits);
        }
    }
}

/// Hits that overlap stand near each other, in their order.
const NEAR: usize = 32;

/// Of sights of the same place the plainest is the one to tell.
fn plainest(mut hits: Vec<Hit>) -> Vec<Hit> {
    hits.sort_by_key(|hit| (hit.range.start, hit.form.len()));
    let mut told: Vec<Hit> = Vec::new();
    for hit in hits {
        let same = |other: &&mut Hit| {
            let overlaps = other.range.start < hit.range.end && hit.range.start < other.range.end;
            overlaps && other.piece.is_some() == hit.piece.is_some()
        };
        match told.iter_mut().rev().take(NEAR).find(same) {
            Some(other) if other.form.len() > hit.form.len() => *other = hit,
            Some(_) => {}
            None => told.push(hit),
        }
    }
    told
}

#[cfg(test)]
mod tests;
