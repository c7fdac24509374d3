//! Keys that take more than a beginning and a length to tell.
//!
//! Each function gets a text and where its telling part stands in it, and gives where the secret stands.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::random::{distinct, looks_random, says_what_it_is};

/// The signature of the token that every introduction to JWT shows.
const SHOWN_EVERYWHERE: &[u8] = b"SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c";
/// An armoured key has more characters than this; the shortest there is, of Ed25519, has 64.
const SHORTEST_KEY: usize = 60;
/// The most of an armoured key that is looked at.
const LOOK: usize = 400;

fn length(text: &[u8], at: usize, is_in: impl Fn(u8) -> bool) -> usize {
    text[at..].iter().take_while(|byte| is_in(**byte)).count()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// The name of the variable, a sign or two, and forty characters of base64.
pub(super) fn aws_secret(text: &[u8], name: Range<usize>) -> Option<Range<usize>> {
    let between = text[name.end..].iter().take(12);
    let gap = between
        .take_while(|byte| matches!(byte, b' ' | b'\t' | b'"' | b'\'' | b'=' | b':' | b'>' | b'`'))
        .count();
    let start = name.end + gap;
    let count = length(text, start, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'+'));
    let key = start..start + count;
    (gap > 0 && count == 40 && looks_random(&text[key.clone()])).then_some(key)
}

/// Team, hook and secret.
pub(super) fn slack_webhook(text: &[u8], host: Range<usize>) -> Option<Range<usize>> {
    let count = length(text, host.end, |byte| byte.is_ascii_alphanumeric() || byte == b'/');
    let path = host.end..host.end + count;
    let mut parts = text[path.clone()].split(|byte| *byte == b'/');
    let (team, hook, secret) = (parts.next()?, parts.next()?, parts.next()?);
    let is_it =
        team.starts_with(b"T") && hook.starts_with(b"B") && secret.len() >= 20 && looks_random(secret);
    is_it.then_some(host.start..path.end)
}

/// `sk-`, twenty characters, `OpenAI` in base64, twenty more.
pub(super) fn openai_of_old(text: &[u8], middle: Range<usize>) -> Option<Range<usize>> {
    let start = middle.start.checked_sub(23)?;
    let after = middle.end..middle.end + length(text, middle.end, |byte| byte.is_ascii_alphanumeric());
    let (beginning, before) = (&text[start..start + 3], &text[start + 3..middle.start]);
    let is_it = beginning == b"sk-" && before.iter().all(u8::is_ascii_alphanumeric) && after.len() == 20;
    (is_it && looks_random(before) && looks_random(&text[after.clone()])).then_some(start..after.end)
}

/// Fourteen characters, the mark, and sixty or more.
pub(super) fn terraform(text: &[u8], mark: Range<usize>) -> Option<Range<usize>> {
    let start = mark.start.checked_sub(14)?;
    let before = &text[start..mark.start];
    let after = mark.end..mark.end + length(text, mark.end, is_word);
    let is_it = before.iter().all(u8::is_ascii_alphanumeric) && (60..=100).contains(&after.len());
    (is_it && looks_random(&text[after.clone()])).then_some(start..after.end)
}

/// An id of twenty-two characters, and a key of forty-three.
pub(super) fn sendgrid(text: &[u8], beginning: Range<usize>) -> Option<Range<usize>> {
    let id = beginning.end..beginning.end + length(text, beginning.end, is_word);
    if id.len() != 22 || text.get(id.end) != Some(&b'.') {
        return None;
    }
    let key = id.end + 1..id.end + 1 + length(text, id.end + 1, is_word);
    (key.len() == 43 && looks_random(&text[key.clone()])).then_some(beginning.start..key.end)
}

/// The armour of PEM, SSH or PGP, and a key in it: in a file, or as a string of a program or a document.
pub(super) fn private_key(text: &[u8], name: Range<usize>) -> Option<Range<usize>> {
    let head = &text[name.start.saturating_sub(32)..name.start];
    let at = head.windows(11).rposition(|part| part == b"-----BEGIN ")?;
    let kind = &head[at + 11..];
    let begins = kind.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b' ');
    let rest = &text[name.end..];
    let dashes = rest.strip_prefix(b" BLOCK").unwrap_or(rest).strip_prefix(b"-----")?;
    let start = text.len() - dashes.len();
    let looked_at = &dashes[..dashes.len().min(LOOK)];
    let end = looked_at.windows(5).position(|part| part == b"-----").unwrap_or(looked_at.len());
    let body = body(&looked_at[..end]);
    let is_key = begins && body.len() >= SHORTEST_KEY && distinct(&body) >= 20 && !says_what_it_is(&body);
    is_key.then_some(name.start - (head.len() - at)..start + end)
}

/// The base64 of an armoured key, without what a program or a document puts between its lines, and without headers.
fn body(armoured: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(armoured).replace("\\n", "\n").replace("\\r", "\n");
    let lines = text.lines().filter(|line| !line.contains(": "));
    let kept = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    lines.flat_map(|line| line.bytes().filter(kept).collect::<Vec<_>>()).collect()
}

/// Three parts, of which two are documents: a header that names how the third was made.
pub(super) fn web_token(text: &[u8], beginning: Range<usize>) -> Option<Range<usize>> {
    let start = beginning.start;
    if start > 0 && (is_word(text[start - 1]) || text[start - 1] == b'.') {
        return None;
    }
    let part = |at: usize| at..at + length(text, at, is_word);
    let header = part(start);
    let payload = part(header.end + usize::from(text.get(header.end) == Some(&b'.')));
    let signature = part(payload.end + usize::from(text.get(payload.end) == Some(&b'.')));
    let document = |range: &Range<usize>| -> Option<Value> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(&text[range.clone()]).ok()?).ok()
    };
    let signed = &text[signature.clone()];
    let is_it = document(&header)?["alg"].is_string()
        && document(&payload)?.is_object()
        && signed.len() >= 43
        && signed != SHOWN_EVERYWHERE
        && distinct(signed) >= 16
        && !says_what_it_is(signed);
    is_it.then_some(start..signature.end)
}

/// `scheme://user:password@host`, where the password looks drawn.
pub(super) fn password(text: &[u8], mark: Range<usize>) -> Option<Range<usize>> {
    let in_user = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'+' | b'%');
    if mark.start == 0 || !text[mark.start - 1].is_ascii_alphanumeric() {
        return None;
    }
    let user = mark.end + length(text, mark.end, in_user);
    if text.get(user) != Some(&b':') {
        return None;
    }
    let ends = |byte: u8| {
        byte.is_ascii_whitespace() || matches!(byte, b'@' | b'/' | b'"' | b'\'' | b'<' | b'$' | b'{')
    };
    let key = user + 1..user + 1 + text[user + 1..].iter().take(200).take_while(|byte| !ends(**byte)).count();
    let has_host =
        text.get(key.end) == Some(&b'@') && text.get(key.end + 1).is_some_and(u8::is_ascii_alphanumeric);
    // Escapes are drawn from digits too, and tell nothing.
    let plain = without_escapes(&text[key.clone()]);
    let is_it = has_host && plain.iter().any(u8::is_ascii_digit) && looks_random(&plain);
    is_it.then_some(key)
}

/// Without `%41` and its like.
fn without_escapes(text: &[u8]) -> Vec<u8> {
    let mut parts = text.split(|byte| *byte == b'%');
    let first = parts.next().unwrap_or_default();
    first.iter().copied().chain(parts.flat_map(|part| part.iter().copied().skip(2))).collect()
}
