//! The values that cq knows, whole or a long piece of them.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Hit;
use super::random::{distinct, looks_random};
use super::views::View;
use crate::error::{Kind, OrFail, Result};

/// No piece that is shorter tells anything.
const SHORTEST: usize = 8;
/// A piece of this length tells, however long the whole is.
const LONG: usize = 16;
/// What a person may have chosen for a machine of their own, and what is a word: letters alone, and few of them.
const WORD: usize = 12;

/// What finds them.
pub(super) struct Known {
    pieces: AhoCorasick,
    /// Which of them are written backwards.
    backwards: Vec<bool>,
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Known")
    }
}

impl Known {
    /// None where there is nothing to look for.
    pub(super) fn new(secrets: &[String]) -> Result<Option<Self>> {
        let cores = secrets.iter().flat_map(|secret| cores(secret));
        let pieces: BTreeMap<Vec<u8>, bool> = cores.flat_map(|core| windows(&core)).collect();
        if pieces.is_empty() {
            return Ok(None);
        }
        let search = AhoCorasick::new(pieces.keys());
        let search = search.or_fail(Kind::Internal, || "cannot prepare the search for secrets")?;
        Ok(Some(Self { pieces: search, backwards: pieces.into_values().collect() }))
    }

    /// Adds what a view shows of them: pieces that overlap are one, so that each is as long as it can be.
    pub(super) fn find(&self, view: &View<'_>, hits: &mut Vec<Hit>) {
        let bytes = view.bytes();
        let mut before: Option<(Range<usize>, bool)> = None;
        let mut put = |(range, backwards): (Range<usize>, bool)| {
            hits.push(Hit {
                kind: "a secret that cq knows",
                form: view.form().into_iter().chain(backwards.then_some("reversed")).collect(),
                range: view.place(&range),
                piece: Some(bytes[range].to_vec()),
                digest: None,
            });
        };
        for found in self.pieces.find_overlapping_iter(bytes) {
            let range = found.range();
            let backwards = self.backwards.get(found.pattern().as_usize()).copied().unwrap_or_default();
            match &mut before {
                Some((before, _)) if before.end >= range.start => before.end = range.end,
                _ => {
                    if let Some(done) = before.replace((range, backwards)) {
                        put(done);
                    }
                }
            }
        }
        before.into_iter().for_each(put);
    }
}

/// The shortest piece that tells: three fifths of the whole, but never less than eight characters nor more than
/// sixteen.
fn shortest_piece(length: usize) -> usize {
    (length * 3).div_ceil(5).clamp(SHORTEST, LONG)
}

/// Every shortest piece, forwards and backwards. Rows of a character or two stand everywhere.
fn windows(core: &[u8]) -> Vec<(Vec<u8>, bool)> {
    let length = shortest_piece(core.len());
    let telling = core.windows(length).filter(|piece| distinct(piece) >= length / 3);
    telling
        .flat_map(|piece| [(piece.to_vec(), false), (piece.iter().rev().copied().collect(), true)])
        .collect()
}

/// What of a value is secret: not the armour around a key, not the host of an address, not the names in a document.
fn cores(secret: &str) -> Vec<Vec<u8>> {
    if is_basic(secret) || is_path(secret) {
        return Vec::new();
    }
    let lines = secret.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
    let parts: Vec<&str> = if secret.trim_start().starts_with('{') {
        // Of a document, such as a service account's, those strings that were drawn.
        let drawn =
            |text: &&str| looks_random(text.as_bytes()) && text.bytes().any(|byte| byte.is_ascii_digit());
        secret.split('"').flat_map(|text| text.split("\\n")).filter(drawn).collect()
    } else {
        lines.flat_map(of_address).collect()
    };
    let worth = |part: &&str| part.len() >= SHORTEST && !is_word(part);
    parts.into_iter().filter(worth).map(|part| part.as_bytes().to_vec()).collect()
}

/// Of an address the password, and what comes after the host.
fn of_address(line: &str) -> Vec<&str> {
    let Some((_, rest)) = line.split_once("://") else { return vec![line] };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    vec![user.split_once(':').map_or(user, |(_, password)| password), path.trim_start_matches('/')]
}

/// The form in which git sends a token, which is in itself the token in base64.
fn is_basic(secret: &str) -> bool {
    STANDARD.decode(secret).is_ok_and(|plain| plain.starts_with(b"x-access-token:"))
}

/// A variable that is called a key or a token may say where the key is. Base64 may begin with a slash too.
fn is_path(secret: &str) -> bool {
    const ROOTS: [&str; 12] =
        ["bin", "etc", "home", "media", "mnt", "opt", "private", "root", "run", "srv", "tmp", "usr"];
    let below = secret.strip_prefix('/').and_then(|path| path.split_once('/'));
    secret.starts_with("~/")
        || secret.starts_with("./")
        || below.is_some_and(|(first, _)| ROOTS.contains(&first) || first == "var" || first == "Users")
}

/// A word, such as the name of a database that is its password too: it would be found everywhere.
fn is_word(part: &str) -> bool {
    part.len() <= WORD && part.bytes().all(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_piece_is_three_fifths_within_bounds() {
        let cases = [(8, 8), (12, 8), (14, 9), (20, 12), (26, 16), (27, 16), (520, 16)];
        for (length, expected) in cases {
            assert_eq!(shortest_piece(length), expected, "{length}");
        }
    }

    #[test]
    fn what_is_no_secret_of_a_value_is_not_looked_for() {
        let cases: [(&str, &[&str]); 11] = [
            ("hunter2hunter2", &["hunter2hunter2"]),
            ("development", &[]),
            ("abcdefghijklmnop", &["abcdefghijklmnop"]),
            ("/home/me/.ssh/id_ed25519", &[]),
            ("/kX92mQvB7rT4nLp0Zs+", &["/kX92mQvB7rT4nLp0Zs+"]),
            ("https://hooks.example.org/services/T01AB2/B03CD4/x", &["services/T01AB2/B03CD4/x"]),
            ("postgres://app:all-the-same-1@db.example.org/main", &["all-the-same-1"]),
            ("https://example.org", &[]),
            (
                "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2Vw\n-----END PRIVATE KEY-----\n",
                &["MC4CAQAwBQYDK2Vw"],
            ),
            (
                r#"{"type":"service_account","private_key_id":"9f86d081884c7d659a2f"}"#,
                &["9f86d081884c7d659a2f"],
            ),
            ("eC1hY2Nlc3MtdG9rZW46dDB0MHQwdDA=", &[]),
        ];
        for (secret, expected) in cases {
            let found: Vec<String> =
                cores(secret).into_iter().map(|core| String::from_utf8(core).unwrap()).collect();
            assert_eq!(found, expected, "{secret}");
        }
    }
}
