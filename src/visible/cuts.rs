//! What to take out of a source, and the taking.

use std::ops::Range;

use super::removed::{Kind, Removed};

/// A place in the source, what stands there afterwards, and why.
#[derive(Debug)]
pub(super) struct Cut {
    pub range: Range<usize>,
    pub with: String,
    pub kinds: Vec<Kind>,
}

impl Cut {
    pub(super) fn away(range: Range<usize>, kind: Kind) -> Self {
        Self { range, with: String::new(), kinds: vec![kind] }
    }
}

/// The source after all cuts. Outside of what is `shown`, and of cuts, only markup may stand: letters and digits there
/// are text that no reader of the page gets to see.
pub(super) fn apply(
    source: &str,
    mut cuts: Vec<Cut>,
    mut shown: Vec<Range<usize>>,
    tables: &[Range<usize>],
    removed: &mut Removed,
) -> String {
    cuts.retain(|cut| cut.range.start < cut.range.end);
    cuts.sort_by_key(|cut| (cut.range.start, std::cmp::Reverse(cut.range.end)));
    shown.sort_by_key(|range| range.start);
    let mut rest =
        Rest { source, shown, next: 0, tables, removed, text: String::with_capacity(source.len()) };
    let mut at = 0;
    for cut in cuts {
        if cut.range.end <= at {
            continue;
        }
        if cut.range.start >= at {
            rest.copy(at..cut.range.start);
            rest.text.push_str(&cut.with);
        }
        let gone = source.get(cut.range.clone()).unwrap_or_default();
        if cut.with.is_empty() && gone.trim_end_matches('\n').contains('\n') && !rest.text.ends_with('\n') {
            rest.text.push('\n');
        }
        cut.kinds.iter().for_each(|kind| rest.removed.add(*kind));
        at = cut.range.end;
    }
    rest.copy(at..source.len());
    rest.text
}

struct Rest<'a> {
    source: &'a str,
    shown: Vec<Range<usize>>,
    next: usize,
    tables: &'a [Range<usize>],
    removed: &'a mut Removed,
    text: String,
}

impl Rest<'_> {
    fn copy(&mut self, range: Range<usize>) {
        let mut at = range.start;
        while at < range.end {
            let Some(shown) = self.shown.get(self.next).cloned() else { break };
            if shown.end <= at {
                self.next += 1;
                continue;
            }
            if shown.start >= range.end {
                break;
            }
            if shown.start > at {
                self.markup(at..shown.start);
                at = shown.start;
            }
            let end = shown.end.min(range.end);
            self.text.push_str(self.source.get(at..end).unwrap_or_default());
            at = end;
        }
        if at < range.end {
            self.markup(at..range.end);
        }
    }

    fn markup(&mut self, range: Range<usize>) {
        let between = self.source.get(range.clone()).unwrap_or_default();
        let text = |c: char| c.is_alphanumeric() || (!c.is_ascii() && !c.is_whitespace());
        if !between.contains(text) {
            self.text.push_str(between);
            return;
        }
        let table = self.tables.iter().any(|table| table.contains(&range.start));
        // The second definition of a label counts for nothing.
        self.removed.add(match (table, between.contains("]:")) {
            (true, _) => Kind::TableCell,
            (_, true) => Kind::ReferenceDefinition,
            _ => Kind::Unrendered,
        });
        for line in between.split_inclusive('\n') {
            if line.contains(text) {
                let start = line.find(|c: char| !c.is_whitespace() && c != '>').unwrap_or(line.len());
                self.text.push_str(&line[..start]);
                if line.ends_with('\n') {
                    self.text.push('\n');
                }
            } else {
                self.text.push_str(line);
            }
        }
    }
}
