//! Lines of text and code: what stands out of view on them, and addresses that are shown short.

use std::ops::Range;

use super::address;
use super::cuts::Cut;
use super::removed::Kind;

/// Blanks in a row that a line of code may have; what follows more is out of view.
const WIDEST_GAP: usize = 100;

/// Blanks that push the rest of a line out of the window, or would if it were code.
pub(super) fn wide_gaps(source: &str, range: &Range<usize>, code: bool, cuts: &mut Vec<Cut>) {
    let mut at = range.start;
    for line in source[range.clone()].split_inclusive('\n') {
        let wide = line.char_indices().scan((0, 0), |(start, run), (at, c)| {
            if c.is_whitespace() {
                *run += if c == '\t' { 8 } else { 1 };
            } else {
                (*start, *run) = (at + c.len_utf8(), 0);
            }
            Some((*start, *run))
        });
        let found = wide.into_iter().find(|(_, run)| *run > WIDEST_GAP).map(|(start, _)| start);
        let full = line.trim_end().len();
        if let Some(start) = found.filter(|start| *start < full) {
            let end =
                if code { full } else { start + line[start..].len() - line[start..].trim_start().len() };
            let with = if code { String::new() } else { " ".to_owned() };
            cuts.push(Cut { range: at + start..at + end, with, kinds: vec![Kind::Whitespace] });
        }
        at += line.len();
    }
}

/// Addresses that GitHub shows as `owner/name#1` or as the lines they point at.
pub(super) fn short_references(source: &str, range: &Range<usize>, cuts: &mut Vec<Cut>) {
    let mut read = range.start;
    for (at, _) in source[range.clone()].match_indices("github.com/") {
        let start = range.start + at;
        if start < read {
            continue;
        }
        let rest = &source[start..];
        let end = rest.find(|c: char| c.is_whitespace() || "<>)|\"`".contains(c)).unwrap_or(rest.len());
        read = start + end;
        if let Some(excess) = address::excess(&rest[..end]) {
            cuts.push(Cut::away(start + excess..start + end, Kind::Destination));
        }
    }
}
