//! A text as it is seen through an encoding, with the place of every byte in the original.

use std::borrow::Cow;
use std::ops::Range;

/// Eight bytes in base64, without padding: no piece of a secret that tells is shorter.
const SHORTEST_RUN: usize = 11;
/// As many bytes around an escape are unescaped together: a secret that has none for longer shows itself.
const AROUND: usize = 512;

/// A text, and where it comes from.
#[derive(Debug)]
pub(super) struct View<'a> {
    bytes: Cow<'a, [u8]>,
    /// None where nothing was moved.
    places: Option<Vec<u32>>,
    form: Vec<&'static str>,
    /// Whether others were made of it already: it is only there to be searched.
    closed: bool,
}

/// A view that is being written.
#[derive(Default)]
struct Writing {
    bytes: Vec<u8>,
    places: Vec<u32>,
}

impl Writing {
    fn put(&mut self, byte: u8, place: u32) {
        self.bytes.push(byte);
        self.places.push(place);
    }

    /// The first bytes of the three that four characters of base64 stand for.
    fn three(&mut self, four: &[(u8, u32); 4], count: usize) {
        let [(a, at_a), (b, at_b), (c, at_c), (d, _)] = *four;
        let three = [(a << 2 | b >> 4, at_a), (b << 4 | c >> 2, at_b), (c << 6 | d, at_c)];
        three.into_iter().take(count).for_each(|(byte, place)| self.put(byte, place));
    }

    /// What stood apart does not become one.
    fn part(&mut self, place: u32) {
        if self.bytes.last().is_some_and(|last| *last != b'\n') {
            self.put(b'\n', place);
        }
    }
}

impl<'a> View<'a> {
    /// The original.
    pub(super) fn plain(bytes: &'a [u8]) -> Self {
        Self { bytes: Cow::Borrowed(bytes), places: None, form: Vec::new(), closed: false }
    }

    fn of(&self, written: Writing, name: Option<&'static str>, closed: bool) -> View<'static> {
        let form = self.form.iter().copied().chain(name).collect();
        View { bytes: Cow::Owned(written.bytes), places: Some(written.places), form, closed }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether it was only made to be searched for what is known.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn form(&self) -> Vec<&'static str> {
        self.form.clone()
    }

    fn origin(&self, at: usize) -> u32 {
        match &self.places {
            Some(places) => places.get(at).copied().unwrap_or_default(),
            None => u32::try_from(at).unwrap_or(u32::MAX),
        }
    }

    /// Where a part of the view stands in the original.
    pub(super) fn place(&self, range: &Range<usize>) -> Range<usize> {
        let (one, other) = (self.origin(range.start), self.origin(range.end.saturating_sub(1)));
        one.min(other) as usize..one.max(other) as usize + 1
    }

    /// The text in it: stretches that a person could read, long enough to hide something.
    pub(super) fn readable(&self) -> Option<View<'static>> {
        if self.closed {
            return None;
        }
        let is_text = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t');
        let mut written = Writing::default();
        for range in self.stretches(is_text) {
            written.part(self.origin(range.start));
            self.copy(range, &mut written);
        }
        (!written.bytes.is_empty()).then(|| self.of(written, None, false))
    }

    /// What is encoded in it, view by view. `known` adds what vendors' keys do not need: the text without what may part
    /// the pieces of a secret, and base64 that is written backwards.
    pub(super) fn open(&self, known: bool, mut each: impl FnMut(&View<'static>)) {
        if self.closed {
            return;
        }
        let squeezed = self.squeezed();
        let stretches = squeezed.stretches(|byte| SIXTY_FOUR[usize::from(*byte)] != NONE);
        for offset in 0..4 {
            each(&squeezed.base64(&stretches, offset, false));
            if known {
                each(&squeezed.base64(&stretches, offset, true));
            }
        }
        if known {
            each(&squeezed);
        }
        let runs = self.hex_runs();
        for parity in (0..2).filter(|_| !runs.is_empty()) {
            each(&self.hex(&runs, parity));
        }
        self.unescaped().iter().for_each(&mut each);
        self.without_nuls().iter().for_each(&mut each);
    }

    /// Every long stretch of bytes of a kind.
    fn stretches(&self, is_in: impl Fn(&u8) -> bool) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let mut start = 0;
        for (at, byte) in self.bytes.iter().enumerate() {
            if !is_in(byte) {
                if at >= start + SHORTEST_RUN {
                    found.push(start..at);
                }
                start = at + 1;
            }
        }
        if self.bytes.len() >= start + SHORTEST_RUN {
            found.push(start..self.bytes.len());
        }
        found
    }

    /// Without line ends, blanks, quotes and commas: base64 is wrapped, strings are put together from pieces.
    fn squeezed(&self) -> View<'static> {
        let mut written = Writing::default();
        let mut at = 0;
        while at < self.bytes.len() {
            match self.bytes[at] {
                b' ' | b'\t' | b'\r' | b'\n' | 0 | b'"' | b'\'' | b'`' | b',' => {}
                b'\\' => at += usize::from(matches!(self.bytes.get(at + 1), Some(b'n' | b'r' | b't'))),
                byte => written.put(byte, self.origin(at)),
            }
            at += 1;
        }
        self.of(written, None, true)
    }

    /// What stands in base64 of either alphabet, if it begins so many characters after the first one of its kind, or
    /// before the last one and goes backwards.
    fn base64(&self, stretches: &[Range<usize>], offset: usize, backwards: bool) -> View<'static> {
        let mut written = Writing::default();
        let mut four = [(0, 0); 4];
        for range in stretches {
            written.part(self.origin(range.start));
            let length = range.len() - offset;
            let mut filled = 0;
            for step in 0..length {
                let at = if backwards { range.end - 1 - offset - step } else { range.start + offset + step };
                four[filled] = (SIXTY_FOUR[usize::from(self.bytes[at])], self.origin(at));
                filled += 1;
                if filled == 4 {
                    written.three(&four, 3);
                    filled = 0;
                }
            }
            if filled > 1 {
                four[filled..].fill((0, 0));
                written.three(&four, filled - 1);
            }
        }
        let name = if backwards { "base64 backwards" } else { "base64" };
        self.of(written, Some(name), false)
    }

    /// Where hex digits stand, whatever parts them: their values, and their places.
    fn hex_runs(&self) -> Vec<Vec<(u8, usize)>> {
        let mut runs = Vec::new();
        let mut run: Vec<(u8, usize)> = Vec::new();
        let mut at = 0;
        while at < self.bytes.len() {
            let byte = self.bytes[at];
            let next = self.bytes.get(at + 1);
            match digit(byte) {
                Some(0) if matches!(next, Some(b'x' | b'X')) => at += 1,
                Some(value) => run.push((value, at)),
                None if byte == b'\\' => at += usize::from(matches!(next, Some(b'x' | b'n' | b'r' | b't'))),
                None if parts_pairs(byte) => {}
                None if run.len() >= 2 * 8 => runs.push(std::mem::take(&mut run)),
                None => run.clear(),
            }
            at += 1;
        }
        if run.len() >= 2 * 8 {
            runs.push(run);
        }
        runs
    }

    /// What is written in hex digits, from the first or the second of them on.
    fn hex(&self, runs: &[Vec<(u8, usize)>], parity: usize) -> View<'static> {
        let mut written = Writing::default();
        for run in runs {
            written.part(self.origin(run[0].1));
            for pair in run[parity..].chunks_exact(2) {
                written.put(pair[0].0 << 4 | pair[1].0, self.origin(pair[0].1));
            }
        }
        self.of(written, Some("hex"), false)
    }

    /// With `%41`, `\x41`, `\u0041`, `&#65;`, `&#x41;` and `=41` as what they mean, and the text around them.
    fn unescaped(&self) -> Option<View<'static>> {
        let mut written = Writing::default();
        let mut last: Option<usize> = None;
        let mut at = 0;
        while at < self.bytes.len() {
            let Some((byte, length)) = escape(&self.bytes[at..]) else {
                at += 1;
                continue;
            };
            match last {
                None => self.copy(at.saturating_sub(AROUND)..at, &mut written),
                Some(last) if at <= last + 2 * AROUND => self.copy(last..at, &mut written),
                Some(last) => {
                    self.copy(last..last + AROUND, &mut written);
                    written.part(self.origin(last));
                    self.copy(at - AROUND..at, &mut written);
                }
            }
            if let Some(byte) = byte {
                written.put(byte, self.origin(at));
            }
            at += length;
            last = Some(at);
        }
        let last = last?;
        self.copy(last..(last + AROUND).min(self.bytes.len()), &mut written);
        Some(self.of(written, Some("URL-encoded"), false))
    }

    fn copy(&self, range: Range<usize>, written: &mut Writing) {
        range.for_each(|at| written.put(self.bytes[at], self.origin(at)));
    }

    /// UTF-16 of either order is ASCII with NULs.
    fn without_nuls(&self) -> Option<View<'static>> {
        if !self.bytes.contains(&0) {
            return None;
        }
        let mut written = Writing::default();
        for (at, byte) in self.bytes.iter().enumerate().filter(|(_, byte)| **byte != 0) {
            written.put(*byte, self.origin(at));
        }
        Some(self.of(written, Some("UTF-16"), false))
    }
}

/// What may stand between the pairs of digits.
fn parts_pairs(byte: u8) -> bool {
    matches!(byte, b'%' | b',' | b':' | b';' | b'-' | b'"' | b'\'' | b'=' | b'+' | b'&' | b'#')
        || byte.is_ascii_whitespace()
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// The escape that a text begins with: the byte it means (none for a soft line end), and its length.
fn escape(text: &[u8]) -> Option<(Option<u8>, usize)> {
    let pair = |at: usize| Some(digit(*text.get(at)?)? << 4 | digit(*text.get(at + 1)?)?);
    match text {
        [b'=', b'\n', ..] => Some((None, 2)),
        [b'=', b'\r', b'\n', ..] => Some((None, 3)),
        [b'%' | b'=', ..] => pair(1).map(|byte| (Some(byte), 3)),
        [b'\\', b'x', ..] => pair(2).map(|byte| (Some(byte), 4)),
        [b'\\', b'u', b'0', b'0', ..] => pair(4).map(|byte| (Some(byte), 6)),
        [b'&', b'#', b'x' | b'X', ..] => {
            numbered(&text[3..], 16).map(|(byte, length)| (Some(byte), length + 3))
        }
        [b'&', b'#', ..] => numbered(&text[2..], 10).map(|(byte, length)| (Some(byte), length + 2)),
        _ => None,
    }
}

/// A number below 256 and the semicolon after it.
fn numbered(text: &[u8], radix: u32) -> Option<(u8, usize)> {
    let end = text.iter().take(5).position(|byte| *byte == b';')?;
    let number = std::str::from_utf8(&text[..end]).ok()?;
    u8::from_str_radix(number, radix).ok().map(|byte| (byte, end + 1))
}

/// No character of base64.
const NONE: u8 = 255;

/// The value of each character in the standard alphabet and in the one for addresses.
const SIXTY_FOUR: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut values = [NONE; 256];
    let mut value: u8 = 0;
    while value < 64 {
        values[alphabet[value as usize] as usize] = value;
        value += 1;
    }
    values[b'-' as usize] = 62;
    values[b'_' as usize] = 63;
    values
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_what_they_mean() {
        let a = |length: usize| Some((Some(b'A'), length));
        let cases = [
            ("%41x", a(3)),
            ("\\x41", a(4)),
            ("\\u0041", a(6)),
            ("&#65;", a(5)),
            ("&#x41;", a(6)),
            ("=\r\nA", Some((None, 3))),
            ("%4", None),
            ("%zz", None),
            ("&#999;", None),
        ];
        for (text, expected) in cases {
            assert_eq!(escape(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn places_lead_back_to_the_original() {
        let text = b"key: 'aGVsbG8g\n  d29ybGQhIQ=='";
        let mut found = 0;
        View::plain(text).open(true, |view| {
            if let Some(at) = view.bytes().windows(5).position(|part| part == b"world") {
                let place = view.place(&(at..at + 5));
                assert!(text[place.clone()].starts_with(b"d29yb"), "{place:?}");
                found += 1;
            }
        });
        assert_eq!(found, 1);
    }

    #[test]
    fn far_from_an_escape_nothing_is_looked_at_twice() {
        let text =
            [&b"a".repeat(5000)[..], b"%41", &b"b".repeat(5000)[..], b"%42", &b"c".repeat(10)[..]].concat();
        let view = View::plain(&text).unescaped().unwrap();
        let expected = [
            &b"a".repeat(AROUND)[..],
            b"A",
            &b"b".repeat(AROUND)[..],
            b"\n",
            &b"b".repeat(AROUND)[..],
            b"B",
            &b"c".repeat(10)[..],
        ];
        assert_eq!(String::from_utf8_lossy(view.bytes()), String::from_utf8_lossy(&expected.concat()));
    }
}
