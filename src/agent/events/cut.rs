//! A line of any length, held in little: of JSON, the long strings, numbers and lists are cut while it is read, so that
//! what stands beside them is still understood; of anything else, the beginning is kept.
//!
//! What is kept of an object is an object. Only its own members are sure of a place, each with so much of its content;
//! who writes hundreds of long ones loses the last.

/// A shorter line is kept as it is.
const SHORT: usize = 64 << 10;
/// So much is kept of a string: more than anybody is shown.
const STRING: usize = 8 << 10;
/// So much is kept of a number.
const NUMBER: usize = 64;
/// What a member of the outermost object may take, and what is left to each of them once much is kept.
const MEMBER: usize = 12 << 10;
const LATE_MEMBER: usize = 1 << 10;
/// From then on members are late, and from then on left out.
const MUCH: usize = 40 << 10;
const FULL: usize = 60 << 10;
/// What is nested deeper than this is not understood anyway.
const DEEPEST: usize = 120;

/// One line on its way in.
#[derive(Debug, Default)]
pub struct Line {
    kept: Vec<u8>,
    /// Once it has become too long.
    cutter: Option<Cutter>,
    length: u64,
}

impl Line {
    /// Takes a piece of it; without the line end.
    pub fn add(&mut self, piece: &[u8]) {
        self.length += piece.len() as u64;
        if let Some(cutter) = &mut self.cutter {
            cutter.add(piece);
        } else if self.kept.len() + piece.len() <= SHORT {
            self.kept.extend_from_slice(piece);
        } else {
            let mut cutter = Cutter::default();
            cutter.add(&std::mem::take(&mut self.kept));
            cutter.add(piece);
            self.cutter = Some(cutter);
        }
    }

    /// Whether there is nothing of it yet.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The line, as far as it is kept; the next one begins.
    pub fn take(&mut self) -> Vec<u8> {
        let line = std::mem::take(self);
        line.cutter.map_or(line.kept, |cutter| cutter.kept)
    }
}

/// What is open around a place, by what ends it.
const OBJECT: u8 = b'}';
const LIST: u8 = b']';

/// Where the next byte is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum At {
    /// Before the first byte that is no space.
    #[default]
    Start,
    /// Between strings.
    Between,
    /// In a string of which so much has been read.
    String { read: usize },
    /// In an escape in it: so many bytes of that, the backslash included.
    Escape { read: usize, bytes: [u8; 6], length: usize },
    /// In what is no object.
    Text,
    /// Behind the object, or behind what breaks it: nothing more is kept.
    Over,
}

#[derive(Debug, Default)]
struct Cutter {
    kept: Vec<u8>,
    at: At,
    open: Vec<u8>,
    /// How much was kept when everything that is open could last be ended.
    whole: usize,
    /// Where the member of the outermost object began, and how far it may reach.
    member: usize,
    until: usize,
    /// Whether the rest of this member is left out.
    skips: bool,
    /// The length of the number or word that is being read.
    word: usize,
    /// Whether what was kept last is the first half of a character, `\ud83d`: the other half must not be cut off.
    half: bool,
}

impl Cutter {
    fn add(&mut self, mut piece: &[u8]) {
        while let Some((&byte, rest)) = piece.split_first() {
            piece = match self.at {
                At::Over => return,
                At::Text => {
                    let room = STRING.saturating_sub(self.kept.len());
                    self.kept.extend_from_slice(&piece[..room.min(piece.len())]);
                    return;
                }
                // Nearly everything of a long line is here.
                At::String { read } if !matches!(byte, b'"' | b'\\') => {
                    let run =
                        piece.iter().position(|byte| matches!(byte, b'"' | b'\\')).unwrap_or(piece.len());
                    let (run, rest) = piece.split_at(run);
                    self.keep(&run[..run.len().min(self.longest().saturating_sub(read))]);
                    self.half = false;
                    self.at = At::String { read: read + run.len() };
                    rest
                }
                _ => {
                    self.byte(byte);
                    rest
                }
            };
        }
    }

    /// How much is kept of a string of this member.
    fn longest(&self) -> usize {
        STRING.min((self.until - self.member) / 2)
    }

    fn byte(&mut self, byte: u8) {
        match self.at {
            At::Start if byte.is_ascii_whitespace() => {}
            At::Start if byte == b'{' => {
                self.kept.push(byte);
                self.open.push(OBJECT);
                (self.whole, self.member, self.until) = (1, 1, 1 + MEMBER);
                self.at = At::Between;
            }
            At::Start => {
                self.kept.push(byte);
                self.at = At::Text;
            }
            At::Between => self.between(byte),
            At::String { read } if byte == b'\\' => {
                self.at = At::Escape { read, bytes: [byte; 6], length: 1 };
            }
            At::String { .. } => {
                self.keep(b"\"");
                self.half = false;
                self.at = At::Between;
            }
            At::Escape { read, mut bytes, length } => {
                bytes[length] = byte;
                let (length, of) = (length + 1, if bytes[1] == b'u' { 6 } else { 2 });
                if length < of {
                    self.at = At::Escape { read, bytes, length };
                } else {
                    self.escape(read, &bytes[..of]);
                }
            }
            At::Text | At::Over => {}
        }
    }

    /// A whole escape.
    fn escape(&mut self, read: usize, escape: &[u8]) {
        if read < self.longest() || self.half {
            self.keep(escape);
            let first_half =
                matches!(escape, [_, b'u', b'd' | b'D', b'8' | b'9' | b'a' | b'b' | b'A' | b'B', ..]);
            self.half = first_half && !self.half;
        }
        self.at = At::String { read: read + escape.len() };
    }

    fn between(&mut self, byte: u8) {
        match byte {
            b' ' | b'\t' | b'\r' => return,
            b'"' => {
                self.keep(b"\"");
                self.at = At::String { read: 0 };
            }
            b'{' | b'[' if self.open.len() == DEEPEST => self.at = At::Over,
            b'{' | b'[' => {
                self.keep(&[byte]);
                self.open.push(if byte == b'{' { OBJECT } else { LIST });
                self.could_end_here();
            }
            b'}' | b']' if self.open.last() != Some(&byte) => self.at = At::Over,
            b'}' | b']' => {
                if self.open.len() == 1 {
                    self.kept.push(byte);
                    self.at = At::Over;
                } else {
                    self.keep(&[byte]);
                    self.open.pop();
                    self.could_end_here();
                }
            }
            b',' if self.open.len() == 1 => self.next_member(),
            b',' => {
                self.could_end_here();
                self.keep(b",");
            }
            b':' => self.keep(b":"),
            _ => {
                self.word += 1;
                if self.word <= NUMBER {
                    self.keep(&[byte]);
                }
                return;
            }
        }
        self.word = 0;
    }

    fn next_member(&mut self) {
        let kept = self.kept.len();
        (self.whole, self.member) = (kept, kept);
        self.until = kept + if kept < MUCH { MEMBER } else { LATE_MEMBER };
        self.skips = kept >= FULL;
        // Nothing may stand before the first.
        if kept > 1 {
            self.keep(b",");
        }
    }

    fn could_end_here(&mut self) {
        if !self.skips {
            self.whole = self.kept.len();
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.skips {
            return;
        }
        if self.kept.len() + bytes.len() <= self.until {
            self.kept.extend_from_slice(bytes);
            return;
        }
        // The member is ended where it could be, or left out.
        self.skips = true;
        self.kept.truncate(self.whole);
        if self.whole > self.member {
            self.kept.extend(self.open[1..].iter().rev());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use serde_json::{Value, json};

    use super::*;

    /// What is kept of a line that comes in pieces of this size.
    fn cut(line: &[u8], size: usize) -> Vec<u8> {
        let mut cut = Line::default();
        line.chunks(size).for_each(|piece| cut.add(piece));
        let kept = cut.take();
        assert!(kept.len() <= SHORT, "{}", kept.len());
        assert!(cut.is_empty());
        kept
    }

    fn understood(line: &str) -> Value {
        let kept = cut(line.as_bytes(), 60_000);
        assert_eq!(kept, cut(line.as_bytes(), 4_096), "however it comes in");
        let kept = String::from_utf8_lossy(&kept);
        serde_json::from_str(&kept).unwrap_or_else(|error| panic!("{error}: {kept}"))
    }

    #[test]
    fn a_short_line_is_kept_to_the_letter() {
        for line in [r#" { "a" : [1, 2 ] } "#, "no JSON", "", "{\"broken\": "] {
            assert_eq!(cut(line.as_bytes(), 3), line.as_bytes());
        }
    }

    #[test]
    fn what_stands_beside_the_long_is_understood() {
        let long = "x\u{1F600}\"\\\n".repeat(1 << 17);
        let event = json!({
            "type": "result", "result": long, "errors": vec![long[..40_000].to_owned(); 40], "is_error": true,
            "many": (0..100_000).collect::<Vec<u32>>(), "deep": {"a": {"b": [[long[..9000].to_owned(), 1], {"c": 2}]}},
            "usage": {"input_tokens": 7, "output_tokens": 8}, "total_cost_usd": 1.25,
        });
        let kept = understood(&event.to_string());
        for name in ["type", "is_error", "usage", "total_cost_usd"] {
            assert_eq!(kept[name], event[name], "{name}");
        }
        let text = kept["result"].as_str().unwrap();
        assert!(long.starts_with(text.trim_end_matches('\u{fffd}')) && text.len() > 200, "{}", text.len());
        assert!(
            !kept["many"].as_array().unwrap().is_empty() && !kept["errors"].as_array().unwrap().is_empty()
        );
        assert_eq!(kept["deep"]["a"]["b"][1]["c"], 2);
    }

    #[test]
    fn no_half_of_a_character_is_left_by_a_cut() {
        for before in 0..14 {
            let faces = r"\ud83d\ude00".repeat(20_000);
            let line = format!(r#"{{"text":"{}{faces}","type":"t"}}"#, "x".repeat(before));
            assert_eq!(understood(&line)["type"], "t");
        }
    }

    #[test]
    fn too_many_members_are_bounded_and_what_came_first_is_kept() {
        let mut line = r#"{"type":"result","is_error":false"#.to_owned();
        for number in 0..20_000 {
            let _ = write!(line, r#","m{number}":[{{"x":[{number}]}}]"#);
        }
        let kept = understood(&(line + "}"));
        assert_eq!(
            (&kept["type"], &kept["is_error"], &kept["m7"]),
            (&json!("result"), &json!(false), &json!([{"x": [7]}]))
        );
        // The first member is left out whole: nothing can be kept of its number's list but the number.
        let kept = understood(&format!(
            r#"{{"{}":{},"type":"t"}}"#,
            "k".repeat(100_000),
            "[".repeat(100) + &"]".repeat(100)
        ));
        assert_eq!(kept["type"], "t");
        assert_eq!(understood(&format!(r#"{{"n":{}, "type":"t"}}"#, "1".repeat(100_000)))["type"], "t");
    }

    #[test]
    fn what_is_no_object_is_cut_short() {
        let text = "plain words ".repeat(10_000);
        assert_eq!(cut(text.as_bytes(), 999), &text.as_bytes()[..STRING]);
        for broken in ["{\"a\":[}", "{]", "{\"a\":\"", "[[[[", "{\"a\":{\"b\":"] {
            let line = format!("{broken}{}", "x, ".repeat(40_000));
            assert!(serde_json::from_slice::<Value>(&cut(line.as_bytes(), 777)).is_err(), "{broken}");
        }
        let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(40_000), "]".repeat(40_000));
        assert!(serde_json::from_slice::<Value>(&cut(deep.as_bytes(), 777)).is_err());
        cut(&vec![0xff; 100_000], 777);
        cut(&[&b"{\"a\":\""[..], &vec![0xff; 100_000][..], b"\"}"].concat(), 777);
    }

    proptest::proptest! {
        /// Whatever an object holds: what is kept of it is an object.
        #[test]
        fn what_is_kept_is_valid(parts in proptest::collection::vec((0..6u8, 0..30_000usize), 1..30)) {
            let value = |(kind, size): &(u8, usize)| match kind {
                0 => json!("s".repeat(*size)),
                1 => json!(vec!["é\\"; *size / 8]),
                2 => json!({"a": {"b": vec![1; *size / 8]}, "c": "d".repeat(*size)}),
                3 => json!(size),
                4 => json!([[["\u{1F600}\n".repeat(*size / 8)]], {}, []]),
                _ => json!(null),
            };
            let members = parts.iter().enumerate().map(|(at, part)| (format!("m{at}"), value(part)));
            let line = Value::Object(members.collect()).to_string();
            let kept = cut(line.as_bytes(), 65_000);
            let kept: Value = serde_json::from_str(&String::from_utf8_lossy(&kept)).unwrap();
            proptest::prop_assert!(kept.is_object());
        }
    }
}
