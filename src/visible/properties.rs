//! What holds for every text.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::{Kind, visible, visible_line};
use crate::sanitize::{self, Hidden};

/// Pieces that open, close and collide.
const PIECES: [&str; 54] = [
    "word ",
    "\n",
    "\n\n",
    "> ",
    "- ",
    "1. ",
    "7. ",
    "# ",
    "    ",
    "```",
    "~~~",
    "`",
    "*",
    "**",
    "_",
    "~~",
    "[",
    "]",
    "](",
    ")",
    "![",
    "[a]: /b ",
    "[^1]",
    "[^1]: ",
    "<",
    ">",
    "<!--",
    "-->",
    "<!-->",
    "--!>",
    "<?",
    "?>",
    "<![CDATA[",
    "]]>",
    "<div>",
    "</div>",
    "<div hidden>",
    "<span",
    " title=\"",
    "\"",
    "</span>",
    "<script>",
    "</script>",
    "| a | b |\n|---|\n",
    "|",
    "&#8203;",
    "&",
    "$",
    "\\phantom{x}",
    "%",
    "\u{200b}",
    "\u{1f600}",
    "\u{301}",
    "https://github.com/a/b?",
];

fn markup() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(PIECES.as_slice());
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn holds(text: &str) -> Result<(), TestCaseError> {
    let seen = visible(text);
    let again = visible(&seen.text);
    prop_assert!(again.removed.is_empty(), "{text:?} became {seen:?} became {again:?}");
    prop_assert_eq!(&again.text, &seen.text);
    for line in [&seen.text, &visible_line(text).text] {
        for c in line.chars().filter(|c| !matches!(c, '\n' | '\t')) {
            let stays = match sanitize::hidden(c) {
                None => true,
                Some(Hidden::Invisible) => matches!(c, '\u{200c}' | '\u{200d}'),
                Some(Hidden::VariationSelector) => matches!(c, '\u{fe0e}' | '\u{fe0f}'),
                Some(Hidden::Tag) => line.contains('\u{1f3f4}'),
                Some(_) => false,
            };
            prop_assert!(stays, "{c:?} in {line:?}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_comes_to_rest(text in "\\PC{0,200}|(?s-u:[\\x00-\\x7f]){0,200}") {
        holds(&text)?;
    }

    #[test]
    fn any_markup_comes_to_rest(text in markup()) {
        holds(&text)?;
    }

    #[test]
    fn plain_prose_is_returned_unchanged(text in "[A-Za-z]{1,9}( [A-Za-z0-9]{1,9}[,.;:!?]?){0,40}") {
        let seen = visible(&text);
        prop_assert_eq!(&seen.text, &text);
        prop_assert!(seen.removed.is_empty());
    }
}

/// What this thread has used so far.
fn processor_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(now).unwrap()
}

#[test]
fn hostile_length_takes_no_time() {
    let size = 65_536;
    let units = [
        ">",
        "> ",
        "[",
        "![",
        "*",
        "_",
        "<",
        "<a>",
        "<div>",
        "<div ",
        "<!--",
        "<!-->",
        "<!-- -->",
        "<?",
        "<?a>",
        "<![CDATA[",
        "<sub>",
        "<a></a>",
        "`",
        "``` a\n",
        "~",
        "- ",
        "1. ",
        "  - a\n",
        "|",
        "| a | b |\n|---|\n",
        "[a]: b\n",
        "[^1]: a\n",
        "[^1]",
        "$",
        "$x$ ",
        "\\a",
        "$\\a$ ",
        "&#8203;",
        "&nbsp;",
        "&",
        "\u{200b}",
        "\u{301}",
        " ",
        "\n",
        "<b>*",
        "[a](",
        "](b)",
        "github.com/",
        "<br>",
        "<x-y>",
        "<!<",
        "<div hidden>\n\n",
        "\"",
        "a\n",
        "%",
        "<p>\n\n",
    ];
    for unit in units {
        let text: String = unit.chars().cycle().take(size).collect();
        // The processor's time, not the wall's: others may be at work too.
        let start = processor_time();
        let _ = visible(&text);
        let took = processor_time().saturating_sub(start);
        assert!(took < Duration::from_secs(1), "{unit:?} took {took:?}");
    }
}

#[test]
fn what_does_not_come_to_rest_is_withheld() {
    // Each reading takes the innermost tag, and makes the next one.
    let nested = |layers: usize| format!("a {}<x-y>{} b", "<x-".repeat(layers), "y>".repeat(layers));
    let seen = visible(&nested(5));
    assert_eq!((seen.text.as_str(), seen.removed.count(Kind::UnknownTag)), ("a  b", 6));
    let seen = visible(&nested(50));
    assert_eq!((seen.text.as_str(), seen.removed.count(Kind::Everything)), ("", 1));
}

/// The numbered words in text, in code and between tags.
fn words(pieces: Vec<(bool, String)>) -> BTreeSet<String> {
    let mut all = String::new();
    for (html, piece) in pieces {
        all.push(' ');
        if !html {
            all.push_str(&piece);
            continue;
        }
        for Ok(token) in html5gum::Tokenizer::new(&piece) {
            if let html5gum::Token::String(text) = token {
                all.push_str(&String::from_utf8_lossy(&text));
            }
        }
    }
    let word = |word: &&str| word.starts_with("word");
    all.split(|c: char| !c.is_alphanumeric()).filter(word).map(str::to_owned).collect()
}

fn words_by_cmark_gfm(text: &str) -> BTreeSet<String> {
    use comrak::nodes::NodeValue;
    let arena = comrak::Arena::new();
    let mut options = comrak::Options::default();
    options.extension.table = true;
    options.extension.footnotes = true;
    options.extension.strikethrough = true;
    options.extension.tasklist = true;
    options.extension.autolink = true;
    let pieces = comrak::parse_document(&arena, text, &options)
        .descendants()
        .filter_map(|node| match &node.data.borrow().value {
            NodeValue::Text(text) => Some((false, text.to_string())),
            NodeValue::Code(code) => Some((false, code.literal.clone())),
            NodeValue::CodeBlock(code) => Some((false, format!("{} {}", code.info, code.literal))),
            NodeValue::Link(link) => Some((false, link.url.clone())),
            NodeValue::HtmlInline(html) => Some((true, html.clone())),
            NodeValue::HtmlBlock(html) => Some((true, html.literal.clone())),
            _ => None,
        })
        .collect();
    words(pieces)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    /// A second reader, a port of GitHub's own, sees every word that is left.
    #[test]
    fn what_is_left_is_text_to_cmark_gfm_too(pieces in prop::collection::vec(prop::sample::select(PIECES.as_slice()), 0..40)) {
        let numbered = pieces.iter().enumerate().map(|(at, piece)| piece.replace("word", &format!("word{at}")));
        let text = visible(&numbered.collect::<String>()).text;
        prop_assert_eq!(words(vec![(false, text.clone())]), words_by_cmark_gfm(&text), "{:?}", text);
    }
}
