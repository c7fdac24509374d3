//! The HTML in the Markdown: tokens by the HTML standard, and from them what is to be cut.
//!
//! All raw HTML of a document is one stream to a browser. A tag or comment that begins in one piece and would end in
//! another swallows the text between them; from its start on nothing is believed. An element that hides its content
//! must be closed in good order, at the depth it was opened; otherwise it hides everything after it.

use std::ops::Range;

use html5gum::{DefaultEmitter, Token, Tokenizer};

use super::cuts::Cut;
use super::elements::{self, Attributes};
use super::{characters, removed::Kind};

/// `sub` in `sub` in `small`: what is nested deeper is too small to read.
const SMALLEST: usize = 3;
/// `<br>` in a row.
const MOST_BREAKS: usize = 20;

/// A piece of raw HTML in the source.
pub(super) struct Raw {
    /// Where it stands.
    pub range: Range<usize>,
    /// Pieces with the same number follow upon each other.
    pub block: usize,
    /// How many Markdown containers it stands in.
    pub depth: usize,
}

/// An element whose content is hidden, and what was opened inside.
struct Hiding {
    kind: Kind,
    start: usize,
    depth: usize,
    open: Vec<String>,
}

struct Markup<'a> {
    source: &'a str,
    cuts: &'a mut Vec<Cut>,
    hiding: Option<Hiding>,
    small: usize,
    /// Where the last comment ends, by the furthest reading.
    covered: usize,
    breaks: usize,
    /// The cut or tag of the link that is open, and whether it has text yet.
    link: Option<(Range<usize>, bool)>,
}

/// Cuts for everything in the pieces that the page does not show.
pub(super) fn hidden(source: &str, pieces: &[Raw], cuts: &mut Vec<Cut>) {
    let mut stream = String::new();
    let mut starts: Vec<(usize, usize)> = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        if at > 0 && pieces[at - 1].block != piece.block {
            stream.push(' ');
        }
        starts.push((stream.len(), at));
        stream.push_str(&source[piece.range.clone()]);
    }
    // The piece a place in the stream belongs to, and the place in the source.
    let place = |at: usize| {
        let nearest = starts.partition_point(|(start, _)| *start <= at).checked_sub(1)?;
        let (start, index) = starts[nearest];
        let piece = &pieces[index];
        Some((index, (piece.range.start + (at - start)).min(piece.range.end)))
    };
    let mut markup = Markup { source, cuts, hiding: None, small: 0, covered: 0, breaks: 0, link: None };
    let emitter = DefaultEmitter::<usize>::new_with_span();
    let (mut seen, mut seen_source) = (0, 0);
    for token in Tokenizer::new_with_emitter(stream.as_str(), emitter) {
        let Ok(token) = token;
        let span = match &token {
            Token::StartTag(tag) => tag.span,
            Token::EndTag(tag) => tag.span,
            Token::Comment(comment) => comment.span,
            Token::Doctype(doctype) => doctype.span,
            Token::String(_) | Token::Error(_) => continue,
        };
        let slice = stream.get(span.start..span.end).unwrap_or_default();
        let (Some((first, start)), Some((last, end))) = (place(span.start), place(span.end.max(1) - 1))
        else {
            break;
        };
        let end = end + 1;
        let text = stream.get(seen..span.start).unwrap_or_default();
        if let Some(open) = unclosed(text) {
            return markup.give_up(place(seen + open).map_or(seen_source, |(_, at)| at));
        }
        markup.text(source.get(seen_source..start).unwrap_or_default());
        let (block, depth) = (pieces[first].block, pieces[first].depth);
        if !slice.starts_with('<') || !slice.ends_with('>') || block != pieces[last].block {
            return markup.give_up(start);
        }
        match token {
            Token::StartTag(tag) => {
                let attributes: Attributes =
                    tag.attributes.iter().map(|(name, value)| (lossy(name), lossy(&value.value))).collect();
                markup.start_tag(start..end, slice, &lossy(&tag.name), &attributes, depth);
            }
            Token::EndTag(tag) => {
                if !markup.end_tag(start..end, slice, &lossy(&tag.name), depth) {
                    return;
                }
            }
            _ => {
                let same = pieces[first..].iter().take_while(|piece| piece.block == block);
                let block_end = || same.last().map_or(end, |piece| piece.range.end);
                markup.comment(start..end, slice, block_end);
            }
        }
        (seen, seen_source) = (span.end, end);
    }
    let rest = stream.get(seen..).unwrap_or_default();
    if let Some(open) = unclosed(rest) {
        return markup.give_up(place(seen + open).map_or(seen_source, |(_, at)| at));
    }
    if let Some(hiding) = markup.hiding.take() {
        markup.cuts.push(Cut::away(hiding.start..source.len(), hiding.kind));
    }
    for piece in pieces {
        references(source, piece.range.clone(), markup.cuts);
    }
}

/// Comments, sections and declarations in running text, code blanked out, that another reader of Markdown would not
/// take for text; they may end in what this one takes for code. `offset` is where the text stands in the source.
pub(super) fn disputed(flow: &str, source: &str, offset: usize, cuts: &mut Vec<Cut>) {
    let kinds = [
        ("<!--", "-->", Kind::HtmlComment),
        ("<?", "?>", Kind::ProcessingInstruction),
        ("<![CDATA[", "]]>", Kind::Cdata),
        ("<!", ">", Kind::Declaration),
    ];
    for (open, close, kind) in kinds {
        let mut at = 0;
        while let Some(start) = flow.get(at..).and_then(|rest| rest.find(open)).map(|found| at + found) {
            let inner = start + open.len();
            at = inner;
            let escapes = flow[..start].len() - flow[..start].trim_end_matches('\\').len();
            let declares = open != "<!" || flow[inner..].starts_with(|c: char| c.is_ascii_alphabetic());
            if escapes % 2 == 1 || !declares {
                continue;
            }
            let written = source.get(offset + inner..offset + flow.len()).unwrap_or_default();
            let Some(end) = written.find(close) else { break };
            at = (inner + end + close.len()).min(flow.len());
            cuts.push(Cut::away(offset + start..offset + at, kind));
        }
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Where text would open a tag or comment: it is no text then, but something that does not end.
fn unclosed(text: &str) -> Option<usize> {
    text.match_indices('<').map(|(at, _)| at).find(|at| {
        text[at + 1..].starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?'))
    })
}

/// Character references to hidden characters in raw HTML.
fn references(source: &str, range: Range<usize>, cuts: &mut Vec<Cut>) {
    let text = &source[range.clone()];
    for (at, _) in text.match_indices('&') {
        let name = |c: char| c.is_ascii_alphanumeric() || c == '#';
        let tail = &text[at + 1..];
        let mut end = at + 1 + tail.find(|c| !name(c)).unwrap_or(tail.len()).min(32);
        if text[end..].starts_with(';') {
            end += 1;
        }
        let decoded = Tokenizer::new(&text[at..end]).find_map(|Ok(token)| match token {
            Token::String(text) => Some(lossy(&text)),
            _ => None,
        });
        if decoded.is_some_and(|decoded| characters::any_hidden(&decoded)) {
            cuts.push(Cut::away(range.start + at..range.start + end, Kind::Entity));
        }
    }
}

impl Markup<'_> {
    /// Hides everything from here on.
    fn give_up(self, from: usize) {
        let (start, kind) = match self.hiding {
            Some(hiding) => (hiding.start, hiding.kind),
            None => (from, Kind::UnclosedMarkup),
        };
        self.cuts.push(Cut::away(start..self.source.len(), kind));
    }

    fn text(&mut self, between: &str) {
        let shown = between.contains(|c: char| c.is_alphanumeric() || (!c.is_ascii() && !c.is_whitespace()));
        if shown || between.contains("![") {
            self.breaks = 0;
            if let Some((_, text)) = &mut self.link {
                *text = true;
            }
        }
    }

    fn start_tag(
        &mut self,
        range: Range<usize>,
        slice: &str,
        name: &str,
        attributes: &Attributes,
        depth: usize,
    ) {
        let void = elements::is_void(name);
        if let Some(hiding) = &mut self.hiding {
            if !void {
                hiding.open.push(name.to_owned());
            }
            return;
        }
        let tiny = matches!(name, "sub" | "sup" | "small");
        self.small += usize::from(tiny);
        let kind = elements::hides(name, attributes)
            .or((tiny && self.small > SMALLEST).then_some(Kind::HiddenElement));
        if let Some(kind) = kind {
            if void {
                self.cuts.push(Cut::away(range, kind));
            } else {
                self.hiding = Some(Hiding { kind, start: range.start, depth, open: vec![name.to_owned()] });
            }
            return;
        }
        if name == "br" {
            self.breaks += 1;
            if self.breaks > MOST_BREAKS {
                self.cuts.push(Cut::away(range, Kind::Whitespace));
                return;
            }
        }
        if !elements::is_known(name) {
            self.cuts.push(Cut::away(range, Kind::UnknownTag));
            return;
        }
        match (name, &mut self.link) {
            ("a", _) => self.link = Some((range.clone(), false)),
            ("img", Some((_, text))) => *text = true,
            _ => {}
        }
        self.write(range, slice, name, attributes);
    }

    /// The tag with the attributes that may stay, unless it is that already.
    fn write(&mut self, range: Range<usize>, slice: &str, name: &str, attributes: &Attributes) {
        let mut tag = format!("<{name}");
        let mut kinds = Vec::new();
        for (key, value) in attributes {
            match elements::attribute(name, key, value) {
                Ok(stays) => {
                    if stays != *value {
                        kinds.push(Kind::Destination);
                    }
                    tag = if stays.is_empty() {
                        format!("{tag} {key}")
                    } else {
                        format!("{tag} {key}=\"{}\"", stays.replace('&', "&amp;"))
                    };
                }
                Err(kind) => kinds.push(kind),
            }
        }
        tag.push('>');
        // Twice the same attribute, or a reference in place of a letter, shows here as well.
        let bare = |tag: &str| {
            let mut bare: Vec<u8> = tag.replace("&amp;", "&").to_ascii_lowercase().into_bytes();
            bare.retain(|b| !b"\"'/ ".contains(b));
            bare.sort_unstable();
            bare
        };
        if bare(slice) != bare(&tag) || slice.contains('\n') {
            if kinds.is_empty() {
                kinds.push(Kind::Attribute);
            }
            self.cuts.push(Cut { range, with: tag, kinds });
        }
    }

    /// Whether anything after the tag can be believed.
    fn end_tag(&mut self, range: Range<usize>, slice: &str, name: &str, depth: usize) -> bool {
        let Some(hiding) = &mut self.hiding else {
            if matches!(name, "sub" | "sup" | "small") {
                self.small = self.small.saturating_sub(1);
            }
            if name == "a"
                && let Some((tag, false)) = self.link.take()
            {
                self.cuts.push(Cut::away(tag.start..range.end, Kind::EmptyLink));
                return true;
            }
            if !elements::is_known(name) {
                self.cuts.push(Cut::away(range, Kind::UnknownTag));
            } else if !slice[2..].trim_end_matches('>').trim_end().eq_ignore_ascii_case(name) {
                let with = format!("</{name}>");
                self.cuts.push(Cut { range, with, kinds: vec![Kind::Attribute] });
            }
            return true;
        };
        if hiding.open.last().is_none_or(|open| open != name)
            || (hiding.open.len() == 1 && hiding.depth != depth)
        {
            self.cuts.push(Cut::away(hiding.start..self.source.len(), hiding.kind));
            self.hiding = None;
            return false;
        }
        hiding.open.pop();
        if hiding.open.is_empty() {
            self.cuts.push(Cut::away(hiding.start..range.end, hiding.kind));
            self.hiding = None;
        }
        true
    }

    /// A comment or what a browser takes for one. The Markdown reader, old parsers and browsers disagree about where
    /// some end: the furthest end counts.
    fn comment(&mut self, range: Range<usize>, slice: &str, block_end: impl FnOnce() -> usize) {
        if self.hiding.is_some() || range.start < self.covered {
            return;
        }
        let further = |mark: &str| {
            let until = block_end();
            let after = self.source.get(range.start + 2..until).unwrap_or_default();
            after.find(mark).map_or(until, |at| range.start + 2 + at + mark.len()).max(range.end)
        };
        let all = self.source.len();
        let (end, kind) = if slice.starts_with("<!--") {
            let whole = slice.len() >= 7 && slice.ends_with("-->");
            let end = if whole {
                range.end
            } else {
                let after = self.source.get(range.end..).unwrap_or_default();
                after.find("-->").map_or(all, |at| range.end + at + 3)
            };
            (end, Kind::HtmlComment)
        } else if slice.starts_with("<?") {
            (further("?>"), Kind::ProcessingInstruction)
        } else if slice.starts_with("<![CDATA[") {
            (further("]]>"), Kind::Cdata)
        } else {
            (range.end, Kind::Declaration)
        };
        self.covered = end;
        self.cuts.push(Cut::away(range.start..end, kind));
    }
}
