//! One reading of a Markdown source: what a page shows of it stays as it is written, the rest is cut.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, CowStr, Event, LinkType, Options, Parser, Tag, TagEnd};

use super::cuts::{self, Cut};
use super::markup::{self, Raw};
use super::notes::Notes;
use super::removed::{Kind, Removed};
use super::{address, characters, drawn, lines};

/// Containers in containers that a page has the width for.
const DEEPEST: usize = 24;
/// `&nbsp;` and the like in a row.
const MOST_BLANK_REFERENCES: usize = 8;

/// A container, link or image that is open.
struct Open {
    range: Range<usize>,
    /// Where the last thing in it ends.
    end: usize,
    /// Whether something in it can be seen.
    text: bool,
    link: Option<LinkType>,
    address: String,
    titled: bool,
    number: Option<u64>,
}

struct Page<'a> {
    source: &'a str,
    cuts: Vec<Cut>,
    shown: Vec<Range<usize>>,
    tables: Vec<Range<usize>>,
    raw: Vec<Raw>,
    blocks: usize,
    open: Vec<Open>,
    /// How many images are open.
    images: usize,
    /// The language of the open code block, and its body.
    code: Option<(String, Option<Range<usize>>)>,
    /// Pieces of running text since the last block began or ended; code in it.
    flow: Option<Range<usize>>,
    flow_code: Vec<Range<usize>>,
    blank_references: usize,
    notes: Notes,
}

/// GitHub's dialect. Formulas and alerts are read from the text.
pub(super) fn options() -> Options {
    Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
}

/// The source without what this reading finds hidden.
pub(super) fn read(source: &str, removed: &mut Removed) -> String {
    let parser = Parser::new_ext(source, options());
    let mut page = Page {
        source,
        cuts: Vec::new(),
        shown: Vec::new(),
        tables: Vec::new(),
        raw: Vec::new(),
        blocks: 0,
        open: Vec::new(),
        images: 0,
        code: None,
        flow: None,
        flow_code: Vec::new(),
        blank_references: 0,
        notes: Notes::default(),
    };
    for (_, definition) in parser.reference_definitions().iter() {
        page.cuts.push(Cut::away(definition.span.clone(), Kind::ReferenceDefinition));
    }
    for (event, range) in parser.into_offset_iter() {
        page.event(event, range);
    }
    page.end_flow();
    let Page { mut cuts, shown, tables, raw, notes, .. } = page;
    markup::hidden(source, &raw, &mut cuts);
    notes.cut(source, &mut cuts);
    cuts::apply(source, cuts, shown, &tables, removed)
}

impl Page<'_> {
    fn event(&mut self, event: Event<'_>, range: Range<usize>) {
        let end = range.end;
        match event {
            Event::Start(tag) => return self.start(tag, range),
            Event::End(tag) => return self.end(tag),
            _ if self.images > 0 => {}
            Event::Text(text) => self.text(&text, range),
            Event::Code(_) => {
                self.seen();
                self.flow_code.push(range.clone());
                self.math_code(&range);
                self.flow_on(&range);
                self.shown.push(range);
            }
            Event::Html(_) | Event::InlineHtml(_) => {
                if matches!(event, Event::InlineHtml(_)) {
                    self.blocks += 1;
                    if self.source[range.clone()].to_ascii_lowercase().starts_with("<img") {
                        self.seen();
                    }
                }
                self.flow_on(&range);
                self.shown.push(range.clone());
                self.raw.push(Raw { range, block: self.blocks, depth: self.open.len() });
            }
            Event::FootnoteReference(label) => {
                self.seen();
                self.notes.reference(&label, range.clone());
                self.shown.push(range);
            }
            Event::TaskListMarker(_) => self.shown.push(range),
            _ => {}
        }
        self.reach(end);
    }

    fn reach(&mut self, end: usize) {
        if let Some(open) = self.open.last_mut() {
            open.end = open.end.max(end);
        }
    }

    fn seen(&mut self) {
        if let Some(open) = self.open.last_mut() {
            open.text = true;
        }
    }

    fn text(&mut self, text: &str, range: Range<usize>) {
        let written = &self.source[range.clone()];
        if let Some((_, body)) = &mut self.code {
            let start = body.as_ref().map_or(range.start, |body| body.start);
            *body = Some(start..range.end);
            lines::wide_gaps(self.source, &range, true, &mut self.cuts);
            self.shown.push(range);
            return;
        }
        self.flow_on(&range);
        let blank = text.trim().is_empty();
        if text != written {
            if characters::any_hidden(text) {
                self.cuts.push(Cut::away(range, Kind::Entity));
                return;
            }
            self.blank_references = if blank { self.blank_references + 1 } else { 0 };
            if self.blank_references > MOST_BLANK_REFERENCES {
                self.cuts.push(Cut::away(range, Kind::Whitespace));
                return;
            }
        } else if !blank {
            self.blank_references = 0;
        }
        if !blank {
            self.seen();
        }
        lines::wide_gaps(self.source, &range, false, &mut self.cuts);
        lines::short_references(self.source, &range, &mut self.cuts);
        self.shown.push(range);
    }

    fn flow_on(&mut self, range: &Range<usize>) {
        let start = self.flow.as_ref().map_or(range.start, |flow| flow.start);
        self.flow = Some(start..range.end);
    }

    fn end_flow(&mut self) {
        let codes = std::mem::take(&mut self.flow_code);
        self.blank_references = 0;
        let Some(range) = self.flow.take() else { return };
        if !self.source[range.clone()].contains(['$', '<']) {
            return;
        }
        let mut flow = String::with_capacity(range.len());
        let mut at = range.start;
        for code in codes {
            flow.push_str(self.source.get(at..code.start).unwrap_or_default());
            flow.push_str(&" ".repeat(code.len()));
            at = code.end;
        }
        flow.push_str(self.source.get(at..range.end).unwrap_or_default());
        markup::disputed(&flow, self.source, range.start, &mut self.cuts);
        drawn::formulas(&flow, range.start, &mut self.cuts);
    }

    /// GitHub's other way to write a formula: code between dollars.
    fn math_code(&mut self, range: &Range<usize>) {
        let dollars = self.source[..range.start].ends_with('$') && self.source[range.end..].starts_with('$');
        if dollars && drawn::formula_hides(&self.source[range.clone()]) {
            self.cuts.push(Cut::away(range.start - 1..range.end + 1, Kind::Math));
        }
    }

    fn start(&mut self, tag: Tag<'_>, range: Range<usize>) {
        let (mut link, mut address, mut titled, mut number) = (None, String::new(), false, None);
        let inline = matches!(
            tag,
            Tag::Emphasis | Tag::Strong | Tag::Strikethrough | Tag::Link { .. } | Tag::Image { .. }
        );
        if !inline {
            self.end_flow();
        }
        match tag {
            Tag::Link { link_type, dest_url, title, .. } => {
                (link, address, titled) = (Some(link_type), dest_url.into_string(), !title.is_empty());
            }
            Tag::Image { dest_url, title, .. } => {
                self.images += 1;
                (address, titled) = (dest_url.into_string(), !title.is_empty());
            }
            Tag::CodeBlock(kind) => self.code_block(&kind, &range),
            Tag::HtmlBlock => self.blocks += 1,
            Tag::Table(_) => self.tables.push(range.clone()),
            Tag::List(first) => number = first,
            Tag::Item => self.item(&range),
            Tag::FootnoteDefinition(label) => {
                let name = range.start..(range.start + label.len() + 4).min(self.source.len());
                if self.source.get(name.clone()).is_some() {
                    self.shown.push(name);
                }
                self.notes.begin(&label, range.clone());
            }
            _ => {}
        }
        if self.open.len() == DEEPEST {
            self.cuts.push(Cut::away(range.clone(), Kind::Nesting));
        }
        let end = range.start + 1;
        self.open.push(Open { range, end, text: false, link, address, titled, number });
    }

    fn code_block(&mut self, kind: &CodeBlockKind<'_>, range: &Range<usize>) {
        let mut language = String::new();
        if let CodeBlockKind::Fenced(info) = kind {
            let word = |c: char| c.is_ascii_alphanumeric() || "+#._-".contains(c);
            let end = info.find(|c| !word(c)).unwrap_or(info.len());
            info[..end].clone_into(&mut language);
            let line = self.source[range.clone()].lines().next().unwrap_or_default();
            let ticks = line.len() - line.trim_start_matches(['`', '~']).len();
            let after = &line[ticks..];
            let skip = after.len() - after.trim_start().len();
            let kept = if language.len() <= 20 && after.trim_start().starts_with(&language) {
                ticks + if language.is_empty() { 0 } else { skip + language.len() }
            } else {
                ticks
            };
            self.shown.push(range.start..range.start + kept);
            if !line[kept..].trim().is_empty() {
                self.cuts.push(Cut::away(range.start + kept..range.start + line.len(), Kind::InfoString));
            }
        }
        self.code = Some((language.to_ascii_lowercase(), None));
    }

    /// The number of an item stays if the page counts it so, or if it repeats the first.
    fn item(&mut self, range: &Range<usize>) {
        let Some(number) = self.open.last_mut().and_then(|list| list.number.as_mut()) else { return };
        let counted = *number;
        *number += 1;
        let item = &self.source[range.clone()];
        let start = item.len() - item.trim_start().len();
        let digits = item[start..].bytes().take_while(u8::is_ascii_digit).count();
        let place = range.start + start..range.start + start + digits;
        let written = self.source[place.clone()].parse::<u64>();
        if written.is_ok_and(|written| written == counted || written <= 1) {
            self.shown.push(place);
        } else {
            self.cuts.push(Cut { range: place, with: counted.to_string(), kinds: vec![Kind::ListNumber] });
        }
    }

    fn end(&mut self, tag: TagEnd) {
        let Some(open) = self.open.pop() else { return };
        let mut text = open.text;
        match tag {
            TagEnd::Image => {
                self.images -= 1;
                text = true;
                if self.images == 0 {
                    self.image(&open);
                }
            }
            TagEnd::Link if self.images == 0 => {
                if let Some(kind) = open.link {
                    self.link(&open, kind);
                }
            }
            TagEnd::CodeBlock => {
                if let Some((language, Some(body))) = self.code.take() {
                    drawn::diagram(self.source, &language, body, &mut self.cuts);
                }
            }
            TagEnd::FootnoteDefinition => self.notes.end(),
            _ => {}
        }
        if !matches!(
            tag,
            TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough | TagEnd::Link | TagEnd::Image
        ) {
            self.end_flow();
        }
        if text {
            self.seen();
        }
        self.reach(open.range.end);
    }

    fn image(&mut self, open: &Open) {
        let (range, source) = (open.range.clone(), self.source);
        let kept = address::image(&open.address).unwrap_or_default();
        let written = &source[range.clone()];
        let inner = written.strip_prefix("![](").and_then(|rest| rest.strip_suffix(')'));
        if kept == open.address && inner.is_some_and(plain) {
            self.shown.push(range);
            return;
        }
        let mut kinds = Vec::new();
        if !written.starts_with("![]") {
            kinds.push(Kind::ImageDescription);
        }
        if open.titled {
            kinds.push(Kind::Title);
        }
        if kept != open.address || kinds.is_empty() {
            kinds.push(Kind::Destination);
        }
        self.cuts.push(Cut { range, with: format!("![]({})", escaped(&kept)), kinds });
    }

    fn link(&mut self, open: &Open, kind: LinkType) {
        let range = open.range.clone();
        if matches!(kind, LinkType::Autolink | LinkType::Email) {
            return;
        }
        if !open.text {
            self.cuts.push(Cut::away(range, Kind::EmptyLink));
            return;
        }
        let tail = open.end.min(range.end)..range.end;
        let written = &self.source[tail.clone()];
        let kept = address::link(&open.address).unwrap_or_default();
        let inner = written.trim_start().strip_prefix("](").and_then(|rest| rest.strip_suffix(')'));
        if kept == open.address && inner.is_some_and(plain) {
            self.shown.push(tail);
            return;
        }
        let mut kinds = Vec::new();
        if open.titled {
            kinds.push(Kind::Title);
        }
        if kept != open.address || (kinds.is_empty() && kind == LinkType::Inline) {
            kinds.push(Kind::Destination);
        }
        self.cuts.push(Cut { range: tail, with: format!("]({})", escaped(&kept)), kinds });
    }
}

/// Whether an address stands in its brackets alone.
fn plain(written: &str) -> bool {
    !written.contains(|c: char| c.is_whitespace() || "\"'()<>\\".contains(c))
}

fn escaped(address: &str) -> CowStr<'static> {
    address.replace('&', "&amp;").replace('(', "%28").replace(')', "%29").into()
}
