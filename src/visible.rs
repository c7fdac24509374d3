//! What a person sees of an issue that GitHub has rendered: only that may reach an agent.
//!
//! Whoever approves an issue approves the page. Text that stands in the source and not on the page (comments, image
//! descriptions, unused definitions, characters of no width) is taken out, and counted.
//!
//! The source is read as GitHub Flavored Markdown, the HTML in it by the HTML standard's tokens. What the page shows
//! stays as it is written; of the rest only punctuation may stay. The reading is repeated until nothing more is found;
//! a text that does not come to rest, or of which a second reader shows less, is withheld as a whole.
//!
//! Where this reader and GitHub's (cmark-gfm, a browser, MathJax, Mermaid) differ, the stricter reading counts:
//!
//! - Comments, CDATA, processing instructions: Markdown, old HTML parsers and browsers disagree on where some end;
//!   the furthest end counts, and a malformed comment without any hides the rest.
//! - Comments and the like that this reader takes for text (a stray backtick before a CDATA section) go all the same.
//! - A tag or comment that would swallow Markdown between two pieces of HTML hides the rest.
//! - `tagfilter` prints `<script>`, `<title>` and the like as text; here they go, with their content.
//! - GitHub strips `style`, `class` and `hidden`, and shows the content; here it goes.
//! - Hidden elements not closed in good order, at their own depth, hide the rest.
//! - Whatever else cmark-gfm would hide and this reader shows (code spans, bare addresses, tables, definitions): a port
//!   of cmark-gfm reads the result, and must show every letter of it; otherwise the text is withheld.
//! - Footnotes: a definition that only itself refers to is shown by GitHub; here it goes. Labels become numbers.
//! - Formulas: any dollar may open one; commands that are not known to print what they are given go with the formula.
//! - Mermaid: lines that draw nothing, and names hidden behind labels, go; of maps and solids the source goes.
//! - Front matter is not special in an issue: it is on the page, and stays.

mod address;
mod characters;
mod cuts;
mod drawn;
mod elements;
mod lines;
mod markup;
mod notes;
mod page;
mod removed;
mod second;

#[cfg(test)]
mod channels;
#[cfg(test)]
mod properties;

pub use removed::{Kind, Removed};

/// Readings until a text that still changes is withheld. Honest text needs two.
const MOST_READINGS: usize = 12;

/// What can be seen, and what was taken out to that end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The visible text; line ends are `\n`.
    pub text: String,
    /// What was removed.
    pub removed: Removed,
}

/// The part of an issue's body, or of a comment, that its rendered page shows.
pub fn visible(markdown: &str) -> Seen {
    let mut removed = Removed::default();
    let mut text = markdown.to_owned();
    for _ in 0..MOST_READINGS {
        let mut found = Removed::default();
        let clean = characters::clean(&text, &mut found);
        let next = page::read(&clean, &mut found);
        let rests = next == text || (found.is_empty() && next == clean);
        removed.join(&found);
        text = next;
        if rests && !second::agrees(&text, page::options()) {
            break;
        }
        if rests {
            return Seen { text, removed };
        }
    }
    removed.add(Kind::Everything);
    Seen { text: String::new(), removed }
}

/// The visible part of a title: characters only, no Markdown; on one line.
pub fn visible_line(text: &str) -> Seen {
    let mut removed = Removed::default();
    let clean = characters::clean(text, &mut removed);
    Seen { text: clean.replace(['\n', '\t'], " "), removed }
}
