//! A second reader: a port of GitHub's own. What the first takes for text, it must take for text as well.

use std::collections::BTreeMap;

use comrak::nodes::NodeValue;
use pulldown_cmark::{Event, Options, Parser, TagEnd};

/// How often each letter and digit is shown.
type Shown = BTreeMap<char, usize>;

/// Whether the second reader shows every letter that the first shows.
pub(super) fn agrees(text: &str, options: Options) -> bool {
    let second = by_comrak(text);
    by_pulldown(text, options).iter().all(|(c, count)| second.get(c).is_some_and(|shown| shown >= count))
}

fn by_pulldown(text: &str, options: Options) -> Shown {
    let (mut shown, mut html) = (Shown::new(), String::new());
    let mut images = 0_usize;
    for event in Parser::new_ext(text, options) {
        match event {
            Event::Start(pulldown_cmark::Tag::Image { .. }) => images += 1,
            Event::End(TagEnd::Image) => images = images.saturating_sub(1),
            _ if images > 0 => {}
            Event::Text(text) | Event::Code(text) => count(&text, &mut shown),
            Event::Html(part) => html.push_str(&part),
            Event::End(TagEnd::HtmlBlock) => count_html(&std::mem::take(&mut html), &mut shown),
            _ => {}
        }
    }
    shown
}

fn by_comrak(text: &str) -> Shown {
    let arena = comrak::Arena::new();
    let mut options = comrak::Options::default();
    options.extension.table = true;
    options.extension.footnotes = true;
    options.extension.strikethrough = true;
    options.extension.tasklist = true;
    options.extension.autolink = true;
    let mut shown = Shown::new();
    for node in comrak::parse_document(&arena, text, &options).descendants() {
        match &node.data.borrow().value {
            NodeValue::Text(text) => count(text, &mut shown),
            NodeValue::Code(code) => count(&code.literal, &mut shown),
            NodeValue::CodeBlock(code) => count(&code.literal, &mut shown),
            NodeValue::HtmlBlock(html) => count_html(&html.literal, &mut shown),
            _ => {}
        }
    }
    shown
}

fn count(text: &str, shown: &mut Shown) {
    for c in text.chars().filter(|c| c.is_alphanumeric()) {
        *shown.entry(c).or_default() += 1;
    }
}

fn count_html(html: &str, shown: &mut Shown) {
    for Ok(token) in html5gum::Tokenizer::new(html) {
        if let html5gum::Token::String(text) = token {
            count(&String::from_utf8_lossy(&text), shown);
        }
    }
}
