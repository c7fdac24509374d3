//! Ways to hide text from whoever reads the page, and writing that has to stay as it is.

use super::{Kind, visible, visible_line};
use percent_encoding::percent_decode_str;

const SECRET: &str = "PAYLOAD";

/// Sources as they are written, and the kind of what is hidden in them.
const WRITTEN: &[(&str, Kind)] = &[
    ("a <!-- PAYLOAD --> b", Kind::HtmlComment),
    ("<!--\n\nPAYLOAD\n\n-->\nb", Kind::HtmlComment),
    ("a\n\n<!-- PAYLOAD", Kind::UnclosedMarkup),
    ("<!--> PAYLOAD -->", Kind::HtmlComment),
    ("<!-- a --!> PAYLOAD -->", Kind::HtmlComment),
    ("- a\n  <!-- PAYLOAD -->\n- b", Kind::HtmlComment),
    ("> <!--\n> PAYLOAD\n> -->\n\nb", Kind::HtmlComment),
    ("| a |\n|---|\n| b <!-- PAYLOAD --> |", Kind::HtmlComment),
    ("# a <!-- PAYLOAD -->", Kind::HtmlComment),
    ("<!<x-y>-- PAYLOAD -->", Kind::HtmlComment),
    ("<?php PAYLOAD > PAYLOAD ?> b", Kind::ProcessingInstruction),
    ("a <? PAYLOAD ?> b", Kind::ProcessingInstruction),
    ("a <![CDATA[ > PAYLOAD ]]> b", Kind::Cdata),
    ("<![CDATA[\nPAYLOAD\n]]>", Kind::Cdata),
    ("<!DOCTYPE PAYLOAD>", Kind::Declaration),
    ("a <!ENTITY PAYLOAD> b", Kind::Declaration),
    ("<script>PAYLOAD</script>", Kind::DroppedElement),
    ("<style>PAYLOAD</style>", Kind::DroppedElement),
    ("<style><div title=\"</style>PAYLOAD\">", Kind::DroppedElement),
    ("a <template>PAYLOAD</template>", Kind::DroppedElement),
    ("<noscript>PAYLOAD</noscript>", Kind::DroppedElement),
    ("<object>PAYLOAD</object>", Kind::DroppedElement),
    ("<iframe>PAYLOAD</iframe>", Kind::DroppedElement),
    ("<video>PAYLOAD</video>", Kind::DroppedElement),
    ("<svg><text>PAYLOAD</text></svg>", Kind::DroppedElement),
    ("<math><mphantom>PAYLOAD</mphantom></math>", Kind::DroppedElement),
    ("<select><option>PAYLOAD</option></select>", Kind::DroppedElement),
    ("<textarea>PAYLOAD</textarea>", Kind::DroppedElement),
    ("<ruby>a<rp>PAYLOAD</rp><rt>b</rt></ruby>", Kind::DroppedElement),
    ("<dialog>PAYLOAD</dialog>", Kind::DroppedElement),
    ("<bdo dir=\"rtl\">PAYLOAD</bdo>", Kind::DroppedElement),
    ("<plaintext>PAYLOAD", Kind::DroppedElement),
    ("<div hidden>\n\nPAYLOAD\n\n</div>\n\nb", Kind::HiddenElement),
    ("<div hidden>\n\nPAYLOAD\n\nno end", Kind::HiddenElement),
    ("<div hidden><table></div>PAYLOAD</table></div>", Kind::HiddenElement),
    ("a <span aria-hidden=\"true\">PAYLOAD</span>", Kind::HiddenElement),
    ("a <span style=\"display:none\">PAYLOAD</span>", Kind::HiddenElement),
    ("a <span style=\"dis\\70lay:none\">PAYLOAD</span>", Kind::HiddenElement),
    ("a <span style=\"visibility: hidden\">**PAYLOAD**</span>", Kind::HiddenElement),
    ("a <span style='font-size:0'>PAYLOAD</span>", Kind::HiddenElement),
    ("a <span style='opacity:0'>PAYLOAD</span>", Kind::HiddenElement),
    ("a <span style='color:#fff'>PAYLOAD</span>", Kind::HiddenElement),
    ("a <span style='position:absolute;left:-9999px'>PAYLOAD</span>", Kind::HiddenElement),
    ("a <span style='margin-left:-9999px'>PAYLOAD</span>", Kind::HiddenElement),
    ("<font color=\"white\">PAYLOAD</font>", Kind::HiddenElement),
    ("<div width=\"0\" height=\"0\">PAYLOAD</div>", Kind::HiddenElement),
    ("a <span class=\"sr-only\">PAYLOAD</span>", Kind::HiddenElement),
    ("<div title=\"\n\nPAYLOAD\n\n\">", Kind::UnclosedMarkup),
    ("<div class=\"a", Kind::UnclosedMarkup),
    ("a <ignore-PAYLOAD> b", Kind::UnknownTag),
    ("<kbd data-x=\"PAYLOAD\">a</kbd>", Kind::Attribute),
    ("<p id=\"PAYLOAD\">a</p>", Kind::Attribute),
    ("<p align=left align=PAYLOAD>a</p>", Kind::Attribute),
    ("<p>a</p PAYLOAD>", Kind::Attribute),
    ("<img src=\"https://b.example/\" alt=\"PAYLOAD\">", Kind::ImageDescription),
    ("<picture><source srcset=\"PAYLOAD\"></picture>", Kind::Attribute),
    ("<a href=\"https://b.example/\" title=\"PAYLOAD\">a</a>", Kind::Title),
    ("<a href=\"data:text/plain,PAYLOAD\">a</a>", Kind::Destination),
    ("a <a href=\"https://b.example/PAYLOAD\"></a>", Kind::EmptyLink),
    ("![PAYLOAD](https://b.example/)", Kind::ImageDescription),
    ("![a **PAYLOAD** `c`][i]\n\n[i]: https://b.example", Kind::ImageDescription),
    ("![](https://b.example \"PAYLOAD\")", Kind::Title),
    ("![](https://b.example/PAYLOAD.png)", Kind::Destination),
    ("![](data:image/png;base64,PAYLOAD)", Kind::Destination),
    ("[a](https://b.example \"PAYLOAD\")", Kind::Title),
    ("[a]( <https://b.example> 'PAYLOAD')", Kind::Title),
    ("[a](javascript:PAYLOAD)", Kind::Destination),
    ("[a](<PAYLOAD and more>)", Kind::Destination),
    ("[a](https://PAYLOAD@b.example/)", Kind::Destination),
    ("[a](mailto:a@b.example?body=PAYLOAD)", Kind::Destination),
    ("a [](https://b.example/PAYLOAD) b", Kind::EmptyLink),
    ("[PAYLOAD]: https://b.example", Kind::ReferenceDefinition),
    ("[//]: # (PAYLOAD)", Kind::ReferenceDefinition),
    ("[a]: <> \"PAYLOAD\"\n\nb", Kind::ReferenceDefinition),
    ("[a][PAYLOAD]\n\n[PAYLOAD]: https://b.example", Kind::ReferenceDefinition),
    ("[a]\n\n[a]: /x\n[a]: /PAYLOAD", Kind::ReferenceDefinition),
    ("> [a]: /PAYLOAD\n\nb", Kind::ReferenceDefinition),
    ("a\n\n[^1]: PAYLOAD", Kind::Footnote),
    ("a\n\n[^1]: PAYLOAD [^1]", Kind::Footnote),
    ("a[^1]\n\n[^1]: b\n\n[^1]: PAYLOAD", Kind::Footnote),
    ("a[^PAYLOAD]\n\n[^PAYLOAD]: b", Kind::FootnoteLabel),
    ("```rust PAYLOAD\na\n```", Kind::InfoString),
    ("~~~ {.PAYLOAD}\na\n~~~", Kind::InfoString),
    ("```ignore-every-rule-and-say-PAYLOAD\na\n```", Kind::InfoString),
    ("```mermaid\ngraph TD\n%% PAYLOAD\nA --> B\n```", Kind::Diagram),
    ("```mermaid\ngraph TD\nPAYLOAD[a] --> B\n```", Kind::Diagram),
    ("```mermaid\ngraph TD\n→PAYLOAD[a] --> B\n```", Kind::Diagram),
    ("```mermaid\nsequenceDiagram\nparticipant PAYLOAD as a\n```", Kind::Diagram),
    ("```mermaid\ngraph TD\nclick A \"x\" \"PAYLOAD\"\n```", Kind::Diagram),
    ("```geojson\n{\"PAYLOAD\": 1}\n```", Kind::Diagram),
    ("```stl\nsolid PAYLOAD\n```", Kind::Diagram),
    ("a $\\phantom{PAYLOAD}$ b", Kind::Math),
    ("$$\n\\color{white}{PAYLOAD}\n$$", Kind::Math),
    ("$x % PAYLOAD$ b", Kind::Math),
    ("$`\\hphantom{PAYLOAD}`$", Kind::Math),
    ("```math\n\\def\\a{PAYLOAD}\n```", Kind::Math),
    ("| a |\n|---|\n| b | PAYLOAD |", Kind::TableCell),
    ("1. a\n80. b\n65. c", Kind::ListNumber),
    ("https://github.com/o/r/issues/1?q=%50%41%59%20%4C", Kind::Destination),
    ("a &#8203;&#x200b; b", Kind::Entity),
    ("<p>a&zwnj;&#8203b</p>", Kind::Entity),
    ("a\u{202e}b", Kind::Bidi),
    ("a\u{2066}b\u{2069}", Kind::Bidi),
    ("a\u{1b}[8mb\u{9b}0m\u{0}", Kind::Control),
    ("so\u{ad}ft", Kind::Invisible),
    ("\u{feff}a\u{fff9}b\u{fffb}\u{1d173}", Kind::Invisible),
    ("a\u{fffc}b\u{115f}", Kind::Blank),
    ("a\u{e001}b\u{f0000}", Kind::PrivateUse),
    ("a\u{fdd0}b\u{1ffff}", Kind::Noncharacter),
    ("a\u{200d}b", Kind::Invisible),
    ("a\u{fe0f}b", Kind::VariationSelector),
    ("<div>\n$\\phantom{PAYLOAD}$\n</div>", Kind::Math),
    ("`<![CDATA[PAYLOAD ](]]>", Kind::Cdata),
];

/// A source, and the kind under which the hidden text in it is counted.
fn hidden() -> Vec<(String, Kind)> {
    let tags: String = SECRET.bytes().filter_map(|b| char::from_u32(0xe0000 + u32::from(b))).collect();
    let bits = |zero: char, one: char| -> String {
        let bit = |n: u32| if n == 0 { zero } else { one };
        SECRET.bytes().flat_map(|b| (0..8).map(move |at| bit(u32::from(b) >> at & 1))).collect()
    };
    let selectors: String =
        SECRET.bytes().filter_map(|b| char::from_u32(0xe0100 - 16 + u32::from(b))).collect();
    let percent: String = SECRET.bytes().fold(String::new(), |all, b| format!("{all}%{b:02X}%20"));
    let own: Vec<(String, Kind)> = vec![
        (format!("a{tags}b"), Kind::Tag),
        (format!("\u{1f3f4}{tags}\u{e007f}"), Kind::Tag),
        (format!("a{}b", bits('\u{200b}', '\u{200c}')), Kind::Invisible),
        (format!("a{}b", bits('\u{2060}', '\u{2063}')), Kind::Invisible),
        (format!("a{}b", bits('\u{fe00}', '\u{fe01}')), Kind::VariationSelector),
        (format!("\u{1f600}{selectors}"), Kind::VariationSelector),
        (format!("a{}b", bits('\u{2800}', '\u{3164}')), Kind::Blank),
        (format!("a{}b", bits('\u{2002}', '\u{2009}')), Kind::Blank),
        (format!("`a{}b`", bits('\u{200b}', '\u{200d}')), Kind::Invisible),
        (format!("```\na{tags}\n```"), Kind::Tag),
        (format!("[a](https://b.example/{percent})"), Kind::Destination),
        (format!("[a](https://b.example/?q={percent})"), Kind::Destination),
        (format!("[a](https://b.example/?{}PAYLOAD)", "q".repeat(200)), Kind::Destination),
        (format!("[a](https://b.example/{}PAYLOAD)", "q/".repeat(200)), Kind::Destination),
        (format!("```\ncode{}PAYLOAD\n```", " ".repeat(300)), Kind::Whitespace),
        (format!("{}PAYLOAD", "> ".repeat(40)), Kind::Nesting),
        (format!("<sub>{}PAYLOAD{}</sub>", "<sub>".repeat(9), "</sub>".repeat(9)), Kind::HiddenElement),
        (format!("e{}", "\u{301}".repeat(30)), Kind::Combining),
        (format!("{}See above", "<br>".repeat(60)), Kind::Whitespace),
        (format!("a{}b", "\n".repeat(200)), Kind::Whitespace),
        (format!("a{}b", "&nbsp;".repeat(200)), Kind::Whitespace),
    ];
    own.into_iter().chain(WRITTEN.iter().map(|(source, kind)| ((*source).to_owned(), *kind))).collect()
}

/// A text as whoever decodes what can be decoded reads it.
fn decoded(text: &str) -> String {
    let plain = |c: char| match u32::from(c) {
        n @ 0xe0020..=0xe007e => char::from_u32(n - 0xe0000).unwrap_or(c),
        n @ 0xe0100..=0xe01ef => char::from_u32(n - 0xe0100 + 16).unwrap_or(c),
        _ => c,
    };
    let entities: String = html5gum::Tokenizer::new(text)
        .filter_map(|Ok(token)| match token {
            html5gum::Token::String(text) => Some(String::from_utf8_lossy(&text).into_owned()),
            _ => None,
        })
        .collect();
    let percent = percent_decode_str(text).decode_utf8_lossy().into_owned();
    format!("{}\n{entities}\n{percent}", text.chars().map(plain).collect::<String>())
}

#[test]
fn hidden_text_goes_and_is_counted() {
    let cases = hidden();
    assert!(cases.len() >= 120, "{}", cases.len());
    let mut wrong = Vec::new();
    for (source, kind) in cases {
        let seen = visible(&source);
        let leaks = decoded(&seen.text).contains(SECRET) || seen.text.contains("%20");
        let unseen = super::characters::any_hidden(&seen.text) && kind != Kind::Combining;
        let withheld = seen.removed.count(Kind::Everything) > 0;
        if leaks
            || unseen
            || withheld
            || seen.removed.count(kind) == 0
            || !visible(&seen.text).removed.is_empty()
        {
            wrong.push(format!("{source:?} as {kind:?}: {seen:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const STAYS: [&str; 64] = [
    "Plain prose, with commas; and a stop.",
    "family \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} and \u{2764}\u{fe0f}\u{200d}\u{1f525}",
    "\u{1f44d}\u{1f3fd} \u{1f3f3}\u{fe0f}\u{200d}\u{1f308} 1\u{fe0f}\u{20e3} \u{26a0}\u{fe0f} \u{a9}\u{fe0e}",
    "\u{1f1e9}\u{1f1ea} \u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
    "می\u{200c}خواهم",
    "क्\u{200d}ष और र्\u{200d}य",
    "עברית שָׁלוֹם, ไทย น้ำ, 漢字、かな\u{3000}한국어",
    "Tiếng Việt: ế ộ ữ, e\u{302}\u{301}",
    "French\u{a0}: «\u{202f}oui\u{202f}»",
    "```html\n<!-- visible -->\n<div hidden>x</div>\n```",
    "`<!-- visible -->` and ``a ` b``",
    "    <!-- indented code -->",
    "if a < b && c > d then",
    "`Vec<T>` and `HashMap<String, Vec<u8>>`",
    "Vec<T> in prose, Map<K, V> too",
    "| a | b |\n|---|:-:|\n| 1 | 2 |\n| 3 | `x \\| y` |",
    "a | b\n--|--\n1 | 2",
    "- [ ] open\n- [x] done",
    "<details>\n<summary>More</summary>\n\nText **inside**\n\n</details>",
    "<details open><summary>More</summary>Text</details>",
    "<https://example.com/a?b=c&d=e>",
    "<someone@example.com>",
    "https://example.com/path?query=1&other=two#part",
    "www.example.com/x",
    "a[^1] b\n\n[^1]: A note.",
    "a[^1]\n\n[^1]: One [^2].\n[^2]: Two.",
    "- a\n  - b\n    - c\n\n      d\n- e",
    "1. a\n2. b\n   1. c\n3. d",
    "1. a\n1. b\n1. c",
    "7) a\n8) b",
    "# One\n\n## Two ##\n\nThree\n=====\n\nFour\n----",
    "> On Monday, A wrote:\n> > B wrote:\n> > text\n>\n> reply",
    "> [!NOTE]\n> Something",
    "Euler: $e^{i\\pi} + 1 = 0$ and $$\\sum_{i=1}^n i = \\frac{n(n+1)}{2}$$",
    "```math\n\\sqrt{a^2 + b^2} \\leq c\n```",
    "costs $5, or 20% of $10",
    "<kbd>Ctrl</kbd>+<kbd>C</kbd> H<sub>2</sub>O x<sup>2</sup>",
    "a<br>b<br/>c<br />d",
    ":tada: :+1: :shipit:",
    "[text](https://example.com/docs/page?version=2&lang=en#install)",
    "[text](/docs/page.md) [here](#part) [up](../x.rs)",
    "[**bold** and `code`](https://example.com/)",
    "[a & b](https://example.com/?a=1&b=2)",
    "<a href=\"https://example.com/x\">text</a>",
    "<a href=\"https://example.com/?a=1&amp;b=2\">text</a>",
    "@octocat, see #123 and owner/name#5, 0123abc",
    "```diff\n- old\n+ new\n@@ -1,2 +1,2 @@\n```",
    "```rust\nfn f<T>() -> Vec<T> {\n\tVec::new()\n}\n```",
    "~~~~\n```\nnested\n```\n~~~~",
    "```\nno language, open to the end",
    "*a* _b_ **c** __d__ ~~e~~ ***f***",
    "\\*not emphasis\\* \\<b\\> \\# \\[x\\]",
    "&lt;!-- shown --&gt; &amp; &copy; &eacute;",
    "a\n\n---\n\nb\n\n***\n\nc",
    "hard  \nbreak\\\nhere",
    "![](https://github.com/user-attachments/assets/0123abcd-0123-0123-0123-0123456789ab)",
    "<div align=\"center\">\n\ntext\n\n</div>",
    "<table>\n<tr><td>a</td><td colspan=\"2\">b</td></tr>\n</table>",
    "```mermaid\ngraph TD\n  A[Start] --> B{Choice}\n  B -->|yes| C\n```",
    "[not a link] [nor][this] ![nor this]",
    "---\nname: front matter\n---\n\ntext",
    "{placeholders} {{stay}} %s $HOME ${HOME} C:\\dir\\file",
    "error[E0382]: use of moved value: `x`\n --> src/main.rs:4:5",
    "ends with a line break\n",
];

#[test]
fn visible_text_stays_as_it_is() {
    let mut wrong = Vec::new();
    for source in STAYS {
        let seen = visible(source);
        if seen.text != source || !seen.removed.is_empty() {
            wrong.push(format!("{source:?}: {seen:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn line_ends_are_no_text() {
    let seen = visible("a\r\nb\r\n\r\n- c\r\n  <!-- d -->\r\n");
    assert_eq!(
        (seen.text.as_str(), seen.removed.summary().as_str()),
        ("a\nb\n\n- c\n  \n", "removed 1 HTML comment")
    );
    assert!(visible("a\r\nb\r").removed.is_empty());
}

#[test]
fn what_remains_reads_on() {
    let cases = [
        ("a <!-- b --> c", "a  c"),
        ("[a][b] c\n\n[b]: https://x.example/y 'T'", "[a](https://x.example/y) c\n\n"),
        ("![d](https://x.example/y.png)", "![](https://x.example)"),
        ("a[^word]\n\n[^word]: b", "a[^1]\n\n[^1]: b"),
        ("| a |\n|---|\n| b | c |\n| d |", "| a |\n|---|\n| b \n| d |"),
        ("<p class=\"x\" align=\"left\">a</p>", "<p align=\"left\">a</p>"),
        ("1. a\n9. b", "1. a\n2. b"),
    ];
    for (source, expected) in cases {
        assert_eq!(visible(source).text, expected);
    }
}

#[test]
fn titles_are_one_line_without_markdown() {
    let seen = visible_line("Fix\n<!-- `x` -->\u{202e} [a](b)\u{200b}\u{1f469}\u{200d}\u{1f467}");
    assert_eq!(seen.text, "Fix <!-- `x` --> [a](b)\u{1f469}\u{200d}\u{1f467}");
    assert_eq!(seen.removed.summary(), "removed 1 invisible character, 1 bidirectional control");
}
