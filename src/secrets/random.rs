//! Whether a key looks like one: drawn at random, and not written by somebody as an example.

/// Words that stand in examples and never, but for chances of one in thousands, in a key.
const PLACEHOLDERS: [&[u8]; 16] = [
    b"example",
    b"sample",
    b"dummy",
    b"placeholder",
    b"redacted",
    b"changeme",
    b"change_me",
    b"password",
    b"secret",
    b"foobar",
    b"insert",
    b"replace",
    b"xxxx",
    b"your",
    b"fake",
    b"test",
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Upper,
    Lower,
    Digit,
    Other,
}

fn class(byte: u8) -> Class {
    match byte {
        b'A'..=b'Z' => Class::Upper,
        b'a'..=b'z' => Class::Lower,
        b'0'..=b'9' => Class::Digit,
        _ => Class::Other,
    }
}

/// How many different bytes there are.
pub(super) fn distinct(bytes: &[u8]) -> usize {
    let mut seen = [false; 256];
    for byte in bytes {
        seen[usize::from(*byte)] = true;
    }
    seen.iter().filter(|seen| **seen).count()
}

/// Whether a key of at least eight characters looks drawn. Words have long stretches of one kind of letter, examples
/// have rows (`abcdef`, `123456`, `xxxxxx`) and say what they are; of keys that are drawn from letters and digits, or
/// are hexadecimal, less than one in two hundred is taken for one of these.
pub(super) fn looks_random(key: &[u8]) -> bool {
    let length = key.len();
    // Words are put together with signs, so a change to or from one says nothing.
    let changes_kind = |pair: &&[u8]| {
        let (one, other) = (class(pair[0]), class(pair[1]));
        one != other && one != Class::Other && other != Class::Other
    };
    let changes = key.windows(2).filter(changes_kind).count();
    length >= 8
        && changes >= (length / 6).max(2)
        && distinct(key) * 10 >= length.min(40) * 3
        && !has_row(key)
        && !says_what_it_is(key)
}

/// Six that follow one upon the other, or six of the same.
fn has_row(key: &[u8]) -> bool {
    let steps = |step: i16| {
        let is_step = |pair: &[u8]| i16::from(pair[1]) - i16::from(pair[0]) == step;
        longest(key.windows(2).map(is_step)) >= 5
    };
    steps(0) || steps(1) || steps(-1)
}

fn longest(flags: impl Iterator<Item = bool>) -> usize {
    let (mut longest, mut now) = (0, 0);
    for flag in flags {
        now = if flag { now + 1 } else { 0 };
        longest = longest.max(now);
    }
    longest
}

/// Whether it has a word of an example in it.
pub(super) fn says_what_it_is(key: &[u8]) -> bool {
    let lower = key.to_ascii_lowercase();
    PLACEHOLDERS.iter().any(|word| lower.windows(word.len()).any(|part| part == *word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_from_words_and_examples() {
        let keys: [&[u8]; 5] = [
            b"zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ",
            b"9f86d081884c7d659a2feaa0c55ad015",
            b"kX9-2mQ_vB7rT4nLp0Zs",
            b"Xk29dkQpL0aa",
            b"JHDKE72KQZ5SWP4M",
        ];
        for key in keys {
            assert!(looks_random(key), "{}", String::from_utf8_lossy(key));
        }
        let others: [&[u8]; 8] = [
            b"abcdefghijklmnopqrstuvwxyz0123456789",
            b"xxxxxxxxxxxxxxxxxxxxxxxx",
            b"this-is-a-long-name-of-a-thing",
            b"THIS_IS_A_CONSTANT_OF_SOMEBODY",
            b"00000000000000000000000000000000",
            b"kX92mQvEXAMPLE7rT4nLp0Zs",
            b"src/pipeline/pull_request/delivery",
            b"short",
        ];
        for other in others {
            assert!(!looks_random(other), "{}", String::from_utf8_lossy(other));
        }
    }

    /// The share of real keys that would be missed, in the alphabets that vendors draw from.
    #[test]
    fn hardly_any_drawn_key_is_taken_for_a_word() {
        let mut random = fastrand::Rng::with_seed(11);
        let alphabets: [(&[u8], usize); 4] = [
            (b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", 20),
            (b"0123456789abcdef", 32),
            (b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", 34),
            (b"abcdefghijklmnopqrstuvwxyz0123456789", 36),
        ];
        for (alphabet, length) in alphabets {
            let mut draw =
                || -> Vec<u8> { (0..length).map(|_| alphabet[random.usize(..alphabet.len())]).collect() };
            let missed = (0..20_000).filter(|_| !looks_random(&draw())).count();
            assert!(missed < 100, "{missed} of 20,000 of length {length}");
        }
    }
}
