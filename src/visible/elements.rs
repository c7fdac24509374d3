//! Which HTML elements and attributes leave text on the page. What is on no list is taken for hidden.

use std::collections::BTreeMap;

use super::address;
use super::removed::Kind;

/// What GitHub lets through: its published sanitisation filter, and the elements its pages were seen to keep.
const KNOWN: &[&str] = &[
    "a",
    "abbr",
    "b",
    "blockquote",
    "br",
    "caption",
    "cite",
    "code",
    "dd",
    "del",
    "details",
    "dfn",
    "div",
    "dl",
    "dt",
    "em",
    "figcaption",
    "figure",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "ins",
    "kbd",
    "li",
    "mark",
    "ol",
    "p",
    "picture",
    "pre",
    "q",
    "ruby",
    "rt",
    "s",
    "samp",
    "small",
    "source",
    "span",
    "strike",
    "strong",
    "sub",
    "summary",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "time",
    "tr",
    "tt",
    "ul",
    "var",
    "wbr",
];

/// Content that a browser or GitHub does not show, or shows only to programs and old browsers; `bdo` shows it backwards.
const DROPPED: &[&str] = &[
    "applet",
    "audio",
    "bdo",
    "canvas",
    "datalist",
    "dialog",
    "frameset",
    "head",
    "iframe",
    "map",
    "math",
    "meter",
    "noembed",
    "noframes",
    "noscript",
    "object",
    "optgroup",
    "option",
    "plaintext",
    "progress",
    "rp",
    "script",
    "select",
    "style",
    "svg",
    "template",
    "textarea",
    "title",
    "video",
    "xmp",
];

const VOID: &[&str] = &[
    "area", "base", "br", "col", "embed", "frame", "hr", "img", "input", "link", "meta", "param", "source",
    "track", "wbr",
];

const HIDING_CLASSES: &[&str] =
    &["sr-only", "visually-hidden", "hidden", "d-none", "invisible", "show-on-focus"];

/// Properties that move nothing out of sight, whatever their value.
const PLAIN_PROPERTIES: &[&str] = &[
    "text-align",
    "vertical-align",
    "font-weight",
    "font-style",
    "text-decoration",
    "float",
    "list-style-type",
];

/// Colours one can read on a white page and on a dark one.
const READABLE: &[&str] = &["red", "green", "blue", "orange", "purple", "gray", "grey", "teal", "crimson"];

/// An attribute's name and decoded value.
pub(super) type Attributes = BTreeMap<String, String>;

pub(super) fn is_void(name: &str) -> bool {
    VOID.contains(&name)
}

/// Known to GitHub; or one letter, which is a type parameter somebody forgot to quote and too short for a message.
pub(super) fn is_known(name: &str) -> bool {
    KNOWN.contains(&name) || name.len() == 1
}

/// Why the content of an element is not on the page.
pub(super) fn hides(name: &str, attributes: &Attributes) -> Option<Kind> {
    if DROPPED.contains(&name) {
        return Some(Kind::DroppedElement);
    }
    let value = |key: &str| attributes.get(key).map(|value| value.trim().to_ascii_lowercase());
    let zero = |key: &str| {
        let digits = value(key).map(|v| v.trim_end_matches(['p', 'x', '%', 'e', 'm']).trim().to_owned());
        digits.is_some_and(|v| v.parse::<f64>().is_ok_and(|size| size < 2.0))
    };
    let class = value("class").unwrap_or_default();
    let hidden = attributes.contains_key("hidden")
        || value("aria-hidden").is_some_and(|v| v != "false")
        || zero("width")
        || zero("height")
        || zero("size")
        || class.split_whitespace().any(|class| HIDING_CLASSES.contains(&class))
        || value("color").is_some_and(|colour| !READABLE.contains(&colour.as_str()))
        || attributes.contains_key("bgcolor")
        || value("style").is_some_and(|style| !style.split(';').all(is_plain));
    hidden.then_some(Kind::HiddenElement)
}

/// Whether a declaration of style cannot hide text.
fn is_plain(declaration: &str) -> bool {
    let Some((property, value)) = declaration.split_once(':') else { return declaration.trim().is_empty() };
    let (property, value) = (property.trim(), value.trim());
    let word = value.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let size = value.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == '%').parse::<f64>();
    match property {
        "color" => READABLE.contains(&value),
        "width" | "max-width" | "height" | "max-height" => {
            size.is_ok_and(|size| size >= 10.0) || value == "auto"
        }
        "margin" | "padding" | "margin-top" | "margin-bottom" | "margin-left" | "margin-right" => {
            size.is_ok_and(|size| (0.0..=64.0).contains(&size)) || value == "auto"
        }
        _ => PLAIN_PROPERTIES.contains(&property) && word,
    }
}

/// The attribute as it may stay, or the kind of text it is.
pub(super) fn attribute(element: &str, name: &str, value: &str) -> Result<String, Kind> {
    let digits = |value: &str| {
        let size = value.trim_end_matches("px").trim_end_matches('%');
        (1..=4).contains(&size.len()) && size.bytes().all(|b| b.is_ascii_digit())
    };
    let one_of = |words: &[&str]| words.contains(&value.to_ascii_lowercase().as_str());
    let kept = |stays: bool| if stays { Ok(value.to_owned()) } else { Err(Kind::Attribute) };
    match (element, name) {
        ("a", "href") => address::link(value).ok_or(Kind::Destination),
        ("img", "src") => address::image(value).ok_or(Kind::Destination),
        (_, "align" | "valign") => {
            kept(one_of(&["left", "right", "center", "justify", "top", "middle", "bottom", "baseline"]))
        }
        (_, "width" | "height" | "colspan" | "rowspan" | "start") => kept(digits(value)),
        ("details", "open") => kept(value.is_empty()),
        (_, "alt") => Err(Kind::ImageDescription),
        (_, "title") => Err(Kind::Title),
        _ => Err(Kind::Attribute),
    }
}
