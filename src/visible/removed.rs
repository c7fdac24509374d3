//! What was taken out, by kind and number.

use std::collections::BTreeMap;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $one:literal, $many:literal;)*) => {
        /// A channel by which text reaches a reader of the source and no reader of the page.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind { $($(#[$doc])* $kind,)* }

        impl Kind {
            /// For people: "1 HTML comment", "14 invisible characters".
            pub fn words(self, count: usize) -> String {
                let (one, many) = match self { $(Self::$kind => ($one, $many),)* };
                format!("{count} {}", if count == 1 { one } else { many })
            }
        }
    };
}

kinds! {
    /// Everything: the text did not come to rest, so nothing of it is believed.
    Everything = "whole text that could not be resolved", "whole texts that could not be resolved";
    /// `<!-- … -->`.
    HtmlComment = "HTML comment", "HTML comments";
    /// `<? … ?>`.
    ProcessingInstruction = "HTML processing instruction", "HTML processing instructions";
    /// `<![CDATA[ … ]]>`.
    Cdata = "CDATA section", "CDATA sections";
    /// `<! … >`.
    Declaration = "HTML declaration", "HTML declarations";
    /// An element that hides itself, and what is in it.
    HiddenElement = "hidden HTML element", "hidden HTML elements";
    /// An element whose content no page shows: scripts, styles, templates, fallbacks.
    DroppedElement = "dropped HTML element", "dropped HTML elements";
    /// A tag or comment that never ends, and everything after it.
    UnclosedMarkup = "unclosed piece of HTML", "unclosed pieces of HTML";
    /// A tag GitHub does not know.
    UnknownTag = "unknown HTML tag", "unknown HTML tags";
    /// An attribute that is neither shown nor needed.
    Attribute = "HTML attribute", "HTML attributes";
    /// The description of an image, in Markdown or HTML.
    ImageDescription = "image description", "image descriptions";
    /// The title of a link or an image.
    Title = "link title", "link titles";
    /// An address, or the part of it that is longer or stranger than an address has to be.
    Destination = "link destination", "link destinations";
    /// A link without text.
    EmptyLink = "link without text", "links without text";
    /// `[label]: address "title"`.
    ReferenceDefinition = "link definition", "link definitions";
    /// A footnote nothing refers to.
    Footnote = "unused footnote", "unused footnotes";
    /// The name of a footnote, of which the page shows a number.
    FootnoteLabel = "footnote label", "footnote labels";
    /// What follows the language of a code block.
    InfoString = "code block attribute", "code block attributes";
    /// The source of a drawing, as far as it is not drawn.
    Diagram = "piece of diagram source", "pieces of diagram source";
    /// A formula that can hide text.
    Math = "formula with hidden text", "formulas with hidden text";
    /// A cell beyond the columns of its table.
    TableCell = "table cell", "table cells";
    /// Other source text the renderer drops.
    Unrendered = "piece of unrendered source", "pieces of unrendered source";
    /// The number of a list item that the page counts otherwise.
    ListNumber = "list number", "list numbers";
    /// Markup nested deeper than a page can show.
    Nesting = "too deeply nested block", "too deeply nested blocks";
    /// Blanks or empty lines that push text out of view.
    Whitespace = "run of white space", "runs of white space";
    /// A character reference that stands for a hidden character.
    Entity = "reference to an invisible character", "references to invisible characters";
    /// Zero-width characters, soft hyphens, joiners out of place.
    Invisible = "invisible character", "invisible characters";
    /// Direction marks, embeddings, overrides, isolates.
    Bidi = "bidirectional control", "bidirectional controls";
    /// U+E0000 and on.
    Tag = "tag character", "tag characters";
    /// Selectors other than one behind an emoji.
    VariationSelector = "variation selector", "variation selectors";
    /// C0 and C1.
    Control = "control character", "control characters";
    /// Empty characters that pass for letters, spaces of unusual width.
    Blank = "blank look-alike", "blank look-alikes";
    /// Private use.
    PrivateUse = "private-use character", "private-use characters";
    /// Noncharacters.
    Noncharacter = "noncharacter", "noncharacters";
    /// Marks stacked upon one letter.
    Combining = "stacked combining mark", "stacked combining marks";
}

/// How many pieces of each kind were removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed(BTreeMap<Kind, usize>);

impl Removed {
    pub(super) fn add(&mut self, kind: Kind) {
        *self.0.entry(kind).or_default() += 1;
    }

    /// Adds what another text lost.
    pub fn join(&mut self, other: &Self) {
        for (kind, count) in &other.0 {
            *self.0.entry(*kind).or_default() += count;
        }
    }

    /// Whether the text is as it was.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Pieces of one kind.
    pub fn count(&self, kind: Kind) -> usize {
        self.0.get(&kind).copied().unwrap_or(0)
    }

    /// Pieces of all kinds.
    pub fn total(&self) -> usize {
        self.0.values().sum()
    }

    /// One line for people: "removed 2 HTML comments, 1 image description"; empty where nothing was.
    pub fn summary(&self) -> String {
        if self.is_empty() { String::new() } else { format!("removed {}", self.list()) }
    }

    /// The counts alone: "2 HTML comments, 1 image description".
    pub fn list(&self) -> String {
        let words: Vec<String> = self.0.iter().map(|(kind, count)| kind.words(*count)).collect();
        words.join(", ")
    }
}
