//! What an issue's body says that it waits for.

use std::collections::BTreeSet;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::record::Reference;

/// What announces blockers: two words, with space or a hyphen between them.
const PHRASES: [[&str; 2]; 2] = [["blocked", "by"], ["depends", "on"]];
/// Before a phrase these say the opposite.
const DENIALS: [&str; 5] = ["not", "never", "longer", "isn't", "isn’t"];
/// Stands in the text for the start of a list's item.
const ITEM: char = '\u{1}';
/// Stands in the text for what is not read, so that nothing is joined over it.
const GAP: char = '\u{2}';

/// The blockers that a body names, in its order and once each, less the issue itself (`number` of `home`, which is
/// `owner/name`): after `blocked by` or `depends on` (or with a hyphen), whatever the case, `#1`, `owner/name#2` or an
/// issue's or pull request's address on `host`, several of them with commas and `and`, or as the list that follows.
///
/// The body is read as Markdown: quotations, code, HTML and its comments say nothing.
pub fn mentioned(body: &str, home: &str, number: u64, host: &str) -> Vec<Reference> {
    let text = prose(body);
    let small = text.to_ascii_lowercase();
    let mut found = Vec::new();
    let mut seen = BTreeSet::from([Reference::Here(number)]);
    let mut at = 0;
    while let Some(after) = phrase_end(&small, at) {
        let mut scanner = Scanner { text: &text[after..], home, host };
        for reference in scanner.references() {
            if seen.insert(reference.clone()) {
                found.push(reference);
            }
        }
        at = text.len() - scanner.text.len();
    }
    found
}

/// The words of a Markdown text, paragraphs apart.
fn prose(body: &str) -> String {
    let mut text = String::with_capacity(body.len());
    let mut quoted = 0;
    let mut code = false;
    for event in Parser::new_ext(body, Options::ENABLE_TASKLISTS | Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::BlockQuote(_)) => quoted += 1,
            Event::End(TagEnd::BlockQuote(_)) => {
                quoted -= 1;
                text.push(GAP);
            }
            _ if quoted > 0 => {}
            Event::Start(Tag::CodeBlock(_)) => code = true,
            Event::End(TagEnd::CodeBlock) => {
                code = false;
                text.push(GAP);
            }
            Event::Text(_) if code => {}
            // What stands for something else would be mistaken for it.
            Event::Text(words) => text.extend(words.chars().map(|c| if c < ' ' { ' ' } else { c })),
            Event::SoftBreak | Event::HardBreak => text.push('\n'),
            Event::Start(Tag::Item) => text.push(ITEM),
            Event::End(
                TagEnd::Paragraph | TagEnd::Heading(_) | TagEnd::Item | TagEnd::TableCell | TagEnd::TableRow,
            ) => text.push_str("\n\n"),
            Event::Code(_) | Event::Html(_) | Event::InlineHtml(_) | Event::Rule => text.push(GAP),
            _ => {}
        }
    }
    text
}

/// Where the next phrase from `from` on ends. The text is in small letters.
fn phrase_end(small: &str, mut from: usize) -> Option<usize> {
    loop {
        let next = |word: &'static str| Some((from + small[from..].find(word)?, word));
        let (at, word) = PHRASES.iter().filter_map(|[word, _]| next(word)).min()?;
        let (before, after) = (&small[..at], &small[at + word.len()..]);
        let rest = PHRASES.iter().filter(|[first, _]| *first == word).find_map(|[_, second]| {
            let joined = after.strip_prefix('-').or_else(|| {
                let spaced = after.trim_start_matches([' ', '\n']);
                (spaced.len() < after.len()).then_some(spaced)
            });
            joined?.strip_prefix(second).filter(|rest| !rest.starts_with(is_word))
        });
        from = at + word.len();
        let denied = || before.split_whitespace().next_back().is_some_and(|word| DENIALS.contains(&word));
        if let Some(rest) = rest
            && !before.ends_with(|c| is_word(c) || c == '-')
            && !denied()
        {
            return Some(small.len() - rest.len());
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Reads references off the front of a text.
struct Scanner<'t> {
    text: &'t str,
    home: &'t str,
    host: &'t str,
}

impl Scanner<'_> {
    /// The references that stand here, with what may stand before and between them.
    fn references(&mut self) -> Vec<Reference> {
        self.spaces();
        self.take(":");
        self.spaces();
        let listed = self.text.starts_with(ITEM);
        let mut found = Vec::new();
        loop {
            if listed {
                self.text = self.text.trim_start_matches(ITEM);
            }
            self.spaces();
            for word in ["issues", "issue", "pull request", "pr"] {
                if self.word(word) {
                    break;
                }
            }
            let Some(reference) = self.reference() else { return found };
            found.push(reference);
            if listed {
                // The rest of an item says what the reference is.
                let item = self.text.find(['\n', GAP]).map_or("", |end| &self.text[end..]);
                let next = item.trim_start_matches('\n');
                if next.starts_with(ITEM) && !self.text.trim_start().starts_with([',', '&']) {
                    self.text = next;
                    continue;
                }
            }
            self.spaces();
            let comma = self.take(",") || self.take(";");
            self.spaces();
            let and = self.word("and") || self.word("or") || self.take("&");
            if !comma && !and {
                return found;
            }
        }
    }

    fn spaces(&mut self) {
        self.text = self.text.trim_start_matches([' ', '\n', '\u{a0}']);
    }

    fn take(&mut self, what: &str) -> bool {
        let rest = self.text.strip_prefix(what);
        self.text = rest.unwrap_or(self.text);
        rest.is_some()
    }

    /// Takes a whole word and the spaces after it.
    fn word(&mut self, word: &str) -> bool {
        let Some((start, rest)) = self.text.split_at_checked(word.len()) else { return false };
        if !start.eq_ignore_ascii_case(word) || rest.starts_with(is_word) {
            return false;
        }
        self.text = rest;
        self.spaces();
        true
    }

    fn reference(&mut self) -> Option<Reference> {
        let starts =
            |with: &&str| self.text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
        let scheme = ["https://", "http://"].into_iter().find(starts);
        let (repo, rest) = match scheme {
            Some(scheme) => {
                let (host, path) = self.text[scheme.len()..].split_once('/')?;
                let (owner, path) = path.split_once('/')?;
                let (name, path) = path.split_once('/')?;
                let number = path.strip_prefix("issues/").or_else(|| path.strip_prefix("pull/"))?;
                if !host.eq_ignore_ascii_case(self.host) {
                    return None;
                }
                (format!("{owner}/{name}"), number)
            }
            None => {
                let (repo, number) =
                    self.text.split_at(self.text.find(|c: char| c == '#' || c.is_whitespace())?);
                let number = number.strip_prefix('#')?;
                (if repo.is_empty() { self.home.to_owned() } else { repo.to_owned() }, number)
            }
        };
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, mut rest) = rest.split_at(digits);
        if rest.starts_with(is_word) {
            return None;
        }
        if scheme.is_some() && rest.starts_with(['#', '?', '/']) {
            // A place on the page.
            rest =
                rest.trim_start_matches(|c: char| !c.is_whitespace() && ![',', ';', ')', GAP].contains(&c));
        }
        let reference = Reference::new(&repo, number.parse().ok()?, self.home)?;
        self.text = rest;
        Some(reference)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(body: &str) -> String {
        let found = mentioned(body, "me/mine", 7, "github.com");
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn blockers_are_read_however_they_are_written() {
        let cases = [
            ("Blocked by #1", "#1"),
            ("This is BLOCKED BY #1.", "#1"),
            ("**Blocked by** #1", "#1"),
            ("blocked by: #1", "#1"),
            ("Blocked\nby\n#1", "#1"),
            ("depends on #2 and more", "#2"),
            ("Depends on issue #2", "#2"),
            ("Text.\n\nBlocked-by: #5\nDepends-On: #6\n", "#5 #6"),
            ("(blocked by #1)", "#1"),
            ("blocked by #1, #2 and #3", "#1 #2 #3"),
            ("blocked by #1, #2, and #3; #4 & o/r#5 or #6", "#1 #2 #3 #4 o/r#5 #6"),
            ("blocked by #1 and by nothing else, depends on #2", "#1 #2"),
            ("blocked by #1, blocked by #2", "#1 #2"),
            ("Blocked by owner/name#4", "owner/name#4"),
            ("Blocked by owner/na.me-x#4.", "owner/na.me-x#4"),
            ("Blocked by Me/Mine#4", "#4"),
            ("blocked by https://github.com/owner/name/issues/8", "owner/name#8"),
            ("blocked by <https://GitHub.com/owner/name/pull/8>", "owner/name#8"),
            ("blocked by http://github.com/me/mine/issues/8#issuecomment-3, #9", "#8 #9"),
            ("blocked by [#1](https://x.example)", "#1"),
            ("## Blocked by\n\n- #1\n- [ ] #2 the parser\n- o/r#3\n", "#1 #2 o/r#3"),
            ("Blocked by:\n* #1, #2\n* #3\n\nThen #4.", "#1 #2 #3"),
            ("Blocked by:\n1. #1\n2. nothing\n3. #3", "#1"),
            ("| what | why |\n|---|---|\n| a | blocked by #1 |\n", "#1"),
            ("blocked by #1, #1 and Me/mine#1, o/R#2, O/r#2", "#1 o/R#2"),
            ("blocked by\u{2}#1\u{1}#2", "#1"),
            ("не blocked by #1 é, İ depends on #2", "#1 #2"),
        ];
        for (body, expected) in cases {
            assert_eq!(found(body), expected, "{body}");
        }
    }

    #[test]
    fn what_is_none_is_not_taken_for_one() {
        let bodies = [
            "",
            "#1",
            "blocks #1",
            "blocked by nothing, see #1",
            "unblocked by #1",
            "un-blocked by #1",
            "not blocked by #1",
            "no longer blocked by #1",
            "It isn't blocked by #1",
            "blocked by # 1",
            "blocked by #0",
            "blocked by #1st",
            "blocked by #1_2",
            "blocked by #99999999999999999999999",
            "blocked by 1",
            "blocked bypass #1",
            "blocked  #1 by",
            "blockedby #1",
            "requires #1",
            "depend on #1",
            "blocked by #7",
            "blocked by me/mine#7",
            "blocked by https://github.com/ME/mine/issues/7",
            "blocked by a/b/c#1",
            "blocked by ../..#1",
            "blocked by https://gitlab.com/o/r/issues/1",
            "blocked by https://github.com.evil.example/o/r/issues/1",
            "blocked by https://github.com@evil.example/o/r/issues/1",
            "blocked by https://github.com/o/r/commit/1",
            "blocked by https://github.com/o/r/issues/",
            "> blocked by #1",
            "> quoted\nblocked by #1",
            "> > blocked by #1\n\ntext",
            "blocked by\n> #1",
            "`blocked by #1`",
            "blocked by `#1`",
            "blocked by `x` #1",
            "```\nblocked by #1\n```",
            "~~~text\nblocked by #1\n~~~",
            "    blocked by #1",
            "```\nnever closed\n\nblocked by #1",
            "<!-- blocked by #1 -->",
            "<!--\nblocked by #1\n\nblocked by #2\n-->",
            "text <!-- blocked by #1 --> text",
            "blocked by <!-- x --> #1",
            "<details>\nblocked by #1\n</details>",
            "[text](https://github.com 'blocked by #1')",
        ];
        for body in bodies {
            assert_eq!(found(body), "", "{body}");
        }
    }
}
