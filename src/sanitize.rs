//! Untrusted text on its way to a terminal, a log line or a table: shown, never obeyed.
//!
//! Titles, labels and agent output may carry escape sequences, bidirectional overrides (CVE-2021-42574)
//! and characters of no width. Each is replaced by a visible escape; nothing is dropped.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Why a character cannot be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hidden {
    /// C0, C1 and DEL; line breaks and tabs are among them.
    Control,
    /// Turns the direction of writing.
    Bidi,
    /// Of no width: joiners, fillers, separators, annotation and shorthand controls.
    Invisible,
    /// U+E0000 and what follows: a second, unseen ASCII.
    Tag,
    /// Picks a glyph; a row of them spells bytes.
    VariationSelector,
    /// As wide as a letter, and empty.
    Blank,
    /// Has a glyph only where a font says so.
    PrivateUse,
    /// Will never be a character.
    Noncharacter,
}

/// The one table of what a person cannot see. Source: Unicode's default-ignorable code points and format controls,
/// and the blanks that pass for letters.
pub fn hidden(c: char) -> Option<Hidden> {
    Some(match c {
        c if c.is_control() => Hidden::Control,
        '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}' => {
            Hidden::Bidi
        }
        '\u{115f}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}' | '\u{fffc}' | '\u{13441}'
        | '\u{13442}' | '\u{16fe4}' | '\u{1d159}' => Hidden::Blank,
        '\u{180b}'..='\u{180d}' | '\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => {
            Hidden::VariationSelector
        }
        '\u{00ad}'
        | '\u{034f}'
        | '\u{070f}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200d}'
        | '\u{2028}'
        | '\u{2029}'
        | '\u{2060}'..='\u{2065}'
        | '\u{feff}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{13430}'..='\u{13440}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' => Hidden::Invisible,
        '\u{e0000}'..='\u{e0fff}' => Hidden::Tag,
        '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{ffffd}' | '\u{100000}'..='\u{10fffd}' => {
            Hidden::PrivateUse
        }
        '\u{fdd0}'..='\u{fdef}' => Hidden::Noncharacter,
        c if u32::from(c) & 0xfffe == 0xfffe => Hidden::Noncharacter,
        _ => return None,
    })
}

/// Whether a terminal could act on the character, or a person could not see it. The selectors of U+FE00 and on stay:
/// ordinary emoji carry them.
pub fn is_hidden(c: char) -> bool {
    !matches!(c, '\u{fe00}'..='\u{fe0f}') && hidden(c).is_some()
}

/// One line of text, safe to show: every hidden character, line breaks and tabs included, as an escape.
pub fn line(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// Several lines, safe to show: line breaks and tabs stay.
pub fn lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| matches!(c, '\n' | '\t'))
}

fn escape(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    let harmful = |c: char| is_hidden(c) && !stays(c);
    if !text.chars().any(harmful) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if !harmful(c) => shown.push(c),
            '\n' => shown.push_str("\\n"),
            '\t' => shown.push_str("\\t"),
            '\r' => shown.push_str("\\r"),
            '\u{1b}' => shown.push_str("\\e"),
            c => {
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
            }
        }
    }
    Cow::Owned(shown)
}

/// At most `width` characters, the last one an ellipsis where something was cut.
pub fn clip(text: &str, width: usize) -> Cow<'_, str> {
    if text.chars().count() <= width {
        return Cow::Borrowed(text);
    }
    let mut clipped: String = text.chars().take(width.saturating_sub(1)).collect();
    clipped.push('…');
    Cow::Owned(clipped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_become_visible() {
        let cases = [
            ("plain Ünïcode 漢字", "plain Ünïcode 漢字"),
            ("\u{1b}[31mred", "\\e[31mred"),
            ("a\u{202e}b\u{200b}c", "a\\u{202e}b\\u{200b}c"),
            ("bell\u{7} del\u{7f} c1\u{9b}", "bell\\u{7} del\\u{7f} c1\\u{9b}"),
            ("two\nlines\tand\r", "two\\nlines\\tand\\r"),
            ("tag\u{e0041}", "tag\\u{e0041}"),
        ];
        for (text, expected) in cases {
            assert_eq!(line(text), expected);
        }
        assert_eq!(lines("two\nlines\t\u{1b}[2J"), "two\nlines\t\\e[2J");
    }

    #[test]
    fn clipping_counts_characters_not_bytes() {
        assert_eq!(clip("äöü", 3), "äöü");
        assert_eq!(clip("äöüß", 3), "äö…");
    }
}
