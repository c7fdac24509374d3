//! Characters that cannot be seen, and the few places where writing needs them.

use unicode_properties::{EmojiStatus, GeneralCategoryGroup, UnicodeEmoji, UnicodeGeneralCategory};

use super::removed::{Kind, Removed};
use crate::sanitize::{self, Hidden};

/// Marks upon one letter; Vietnamese, Hebrew, Tibetan and phonetic writing need up to four.
const MOST_MARKS: usize = 4;
/// Empty lines in a row that a person still takes for a pause.
const MOST_EMPTY_LINES: usize = 20;
/// What remains of more.
const EMPTY_LINES_LEFT: usize = 2;

/// The flags spelled with tag characters: England, Scotland, Wales.
const TAG_FLAGS: [&str; 3] = ["gbeng", "gbsct", "gbwls"];

/// The text without what cannot be seen, line ends as `\n`.
pub(super) fn clean(text: &str, removed: &mut Removed) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let all: Vec<char> = text.chars().collect();
    let mut kept = String::with_capacity(text.len());
    let (mut at, mut marks) = (0, 0);
    while let Some(&c) = all.get(at) {
        let flag = if c == '\u{1f3f4}' { tag_flag(&all[at + 1..]) } else { 0 };
        if flag > 0 {
            kept.extend(&all[at..=at + flag]);
            at += flag + 1;
            marks = 0;
            continue;
        }
        let before = kept.chars().next_back();
        match c {
            '\u{2000}'..='\u{200a}' | '\u{205f}' | '\u{1680}' => {
                removed.add(Kind::Blank);
                kept.push(' ');
            }
            '\n' | '\t' => kept.push(c),
            _ => match sanitize::hidden(c) {
                Some(hidden) if !needed(c, &kept, all.get(at + 1).copied()) => removed.add(kind(hidden)),
                Some(_) => kept.push(c),
                None => {
                    let mark = c.general_category_group() == GeneralCategoryGroup::Mark;
                    marks = if mark { marks + 1 } else { 0 };
                    if marks > MOST_MARKS || (mark && before.is_none_or(char::is_whitespace)) {
                        removed.add(Kind::Combining);
                    } else {
                        kept.push(c);
                    }
                }
            },
        }
        at += 1;
    }
    fewer_empty_lines(&kept, removed)
}

/// Whether hidden characters stand in `text`, as a character reference spells it: none is needed there.
pub(super) fn any_hidden(text: &str) -> bool {
    text.chars().any(|c| !matches!(c, '\n' | '\t') && sanitize::hidden(c).is_some())
        || text.chars().any(|c| c.general_category_group() == GeneralCategoryGroup::Mark)
        || text.contains(|c| matches!(c, '\u{2000}'..='\u{200a}' | '\u{205f}' | '\u{1680}'))
}

fn kind(hidden: Hidden) -> Kind {
    match hidden {
        Hidden::Control => Kind::Control,
        Hidden::Bidi => Kind::Bidi,
        Hidden::Invisible => Kind::Invisible,
        Hidden::Tag => Kind::Tag,
        Hidden::VariationSelector => Kind::VariationSelector,
        Hidden::Blank => Kind::Blank,
        Hidden::PrivateUse => Kind::PrivateUse,
        Hidden::Noncharacter => Kind::Noncharacter,
    }
}

/// How many of these characters complete a black flag.
fn tag_flag(after: &[char]) -> usize {
    let tag = |c: &char| char::from_u32(u32::from(*c).wrapping_sub(0xe0000)).unwrap_or(' ');
    let spelled: String = after.iter().take(6).map(tag).collect();
    if TAG_FLAGS.iter().any(|flag| spelled.strip_suffix('\u{7f}') == Some(flag)) { 6 } else { 0 }
}

fn needed(c: char, kept: &str, next: Option<char>) -> bool {
    let mut before = kept.chars().rev();
    let previous = before.next();
    match c {
        '\u{fe0e}' | '\u{fe0f}' => previous.is_some_and(|p| is_emoji(p) || "0123456789#*".contains(p)),
        '\u{200c}' | '\u{200d}' => {
            let selected = matches!(previous, Some('\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}'));
            let base = if selected { before.next() } else { previous };
            let emoji = c == '\u{200d}' && base.is_some_and(is_emoji) && next.is_some_and(is_emoji);
            emoji || (previous.is_some_and(joins) && next.is_some_and(joins))
        }
        _ => false,
    }
}

fn is_emoji(c: char) -> bool {
    let status = c.emoji_status();
    !c.is_ascii() && !matches!(status, EmojiStatus::NonEmoji | EmojiStatus::NonEmojiButEmojiComponent)
}

/// Letters and marks of scripts whose spelling uses joiners: Arabic, Syriac, N'Ko, the Indic ones, Myanmar, Khmer,
/// Mongolian.
fn joins(c: char) -> bool {
    let script = matches!(c, '\u{0600}'..='\u{07ff}' | '\u{0860}'..='\u{0dff}' | '\u{1000}'..='\u{109f}'
        | '\u{1780}'..='\u{18af}' | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}');
    let group = c.general_category_group();
    script && matches!(group, GeneralCategoryGroup::Letter | GeneralCategoryGroup::Mark)
}

fn fewer_empty_lines(text: &str, removed: &mut Removed) -> String {
    let mut fewer = String::with_capacity(text.len());
    let mut empty: Vec<&str> = Vec::new();
    let mut end = |fewer: &mut String, empty: &mut Vec<&str>| {
        if empty.len() > MOST_EMPTY_LINES {
            removed.add(Kind::Whitespace);
            fewer.push_str(&"\n".repeat(EMPTY_LINES_LEFT));
        } else {
            fewer.extend(empty.iter().copied());
        }
        empty.clear();
    };
    for line in text.split_inclusive('\n') {
        // Quoted emptiness is as empty.
        if line.trim_matches(|c: char| c.is_whitespace() || c == '>').is_empty() {
            empty.push(line);
        } else {
            end(&mut fewer, &mut empty);
            fewer.push_str(line);
        }
    }
    end(&mut fewer, &mut empty);
    fewer
}
