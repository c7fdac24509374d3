//! Footnotes: shown where something on the page refers to them, under a number, whatever their label says.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::cuts::Cut;
use super::removed::Kind;

struct Note {
    label: String,
    range: Range<usize>,
}

#[derive(Default)]
pub(super) struct Notes {
    definitions: Vec<Note>,
    open: Vec<usize>,
    /// A label, where it stands, and the definition it stands in.
    references: Vec<(String, Range<usize>, Option<usize>)>,
}

impl Notes {
    pub(super) fn begin(&mut self, label: &str, range: Range<usize>) {
        self.open.push(self.definitions.len());
        self.definitions.push(Note { label: label.to_lowercase(), range });
    }

    pub(super) fn end(&mut self) {
        self.open.pop();
    }

    pub(super) fn reference(&mut self, label: &str, range: Range<usize>) {
        self.references.push((label.to_lowercase(), range, self.open.last().copied()));
    }

    /// Cuts the definitions that nothing visible leads to, all but the first of a label, and labels that are words.
    pub(super) fn cut(&self, source: &str, cuts: &mut Vec<Cut>) {
        let mut first: BTreeMap<&str, usize> = BTreeMap::new();
        for (at, note) in self.definitions.iter().enumerate() {
            first.entry(&note.label).or_insert(at);
        }
        let mut leads: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
        for (label, _, from) in &self.references {
            if let Some(to) = first.get(label.as_str()) {
                leads.entry(*from).or_default().push(*to);
            }
        }
        let mut reached: BTreeSet<usize> = BTreeSet::new();
        let mut next = vec![None];
        while let Some(from) = next.pop() {
            for to in leads.get(&from).into_iter().flatten() {
                if reached.insert(*to) {
                    next.push(Some(*to));
                }
            }
        }
        let mut numbers = Numbers::of(self.definitions.iter().map(|note| note.label.as_str()));
        for (at, note) in self.definitions.iter().enumerate() {
            if !reached.contains(&at) {
                cuts.push(Cut::away(note.range.clone(), Kind::Footnote));
                continue;
            }
            let text = source.get(note.range.clone()).unwrap_or_default();
            if let (Some(number), Some(end)) = (numbers.instead_of(&note.label), text.find("]:")) {
                let range = note.range.start..note.range.start + end;
                cuts.push(Cut { range, with: format!("[^{number}"), kinds: vec![Kind::FootnoteLabel] });
            }
        }
        for (label, range, _) in &self.references {
            if let Some(number) = numbers.instead_of(label) {
                let with = format!("[^{number}]");
                cuts.push(Cut { range: range.clone(), with, kinds: Vec::new() });
            }
        }
    }
}

/// New labels for those that are not numbers.
struct Numbers<'a> {
    taken: BTreeSet<&'a str>,
    given: BTreeMap<String, usize>,
    last: usize,
}

impl<'a> Numbers<'a> {
    fn of(labels: impl Iterator<Item = &'a str>) -> Self {
        Self { taken: labels.collect(), given: BTreeMap::new(), last: 0 }
    }

    fn instead_of(&mut self, label: &str) -> Option<usize> {
        if label.len() <= 3 && label.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        if let Some(number) = self.given.get(label) {
            return Some(*number);
        }
        self.last += 1;
        while self.taken.contains(self.last.to_string().as_str()) {
            self.last += 1;
        }
        self.given.insert(label.to_owned(), self.last);
        Some(self.last)
    }
}
