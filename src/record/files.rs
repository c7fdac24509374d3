//! Which files an issue names, and whom it would meet in them. Pure.
//!
//! Words of a text that could be paths are only candidates: whether a file of that name exists, the base says.

use std::collections::BTreeSet;
use std::fmt;

use super::{Issue, Record};
use crate::visible::{visible, visible_line};

/// More candidates than this are a listing and no list of what is to be changed.
const MOST: usize = 200;
/// No path that somebody writes down is longer, in bytes.
const LONGEST: usize = 400;
/// So many of the files are named in a reason.
const SHOWN: usize = 3;

/// What in an issue's title and body could be the path of a file: words with a `/` or a `.` in them, and whole code
/// spans, which may have spaces. Only what the rendered issue shows: templates name files in their comments.
pub fn candidates(issue: &Issue) -> BTreeSet<String> {
    let text = format!("{}\n{}", visible_line(&issue.title).text, visible(&issue.body).text);
    let mut found: BTreeSet<String> = code_spans(&text).filter_map(path).collect();
    // What may stand around a path and is seldom in one.
    let apart = |c: char| c.is_whitespace() || "`'\"()[]{}<>,;|*=!?“”‘’«»".contains(c);
    found.extend(text.split(apart).filter_map(path));
    found.into_iter().take(MOST).collect()
}

/// What stands between two single backticks on a line.
fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).map(str::trim)
}

/// A path as git writes it, of a word that may say more: `./src/a.rs`, `src/a.rs:12:5`, `a.rs#L10-L20`, or the address
/// of a file on GitHub.
fn path(word: &str) -> Option<String> {
    let word = match word.split_once("://") {
        // https://github.com/OWNER/NAME/blob/BRANCH/PATH
        Some((_, address)) => {
            let mut parts = address.splitn(6, '/');
            if parts.nth(3) != Some("blob") {
                return None;
            }
            parts.nth(1)?
        }
        None => word,
    };
    let word = word.split(['#', '?']).next()?;
    // `a.rs:12`, `a.rs:12:5`: numbers, and the sentence's own marks behind them.
    let word = word.trim_end_matches(|c: char| c.is_ascii_digit() || c == ':' || c == '-').to_owned()
        + word
            .rsplit_once(|c: char| !(c.is_ascii_digit() || c == ':' || c == '-'))
            .map(|(_, tail)| tail)
            .filter(|tail| !tail.contains(':'))
            .unwrap_or_default();
    let word = word.trim_end_matches(['.', ':']).trim_start_matches("./").trim_start_matches('/');
    let could_be = word.contains(['/', '.'])
        && word.len() <= LONGEST
        && !word.ends_with('/')
        && word.chars().any(char::is_alphanumeric)
        && !word.contains(char::is_control)
        // What git would not have in a tree.
        && !word.split('/').any(|part| matches!(part, "" | "." | ".." | ".git"));
    could_be.then(|| word.to_owned())
}

/// An issue in work that touches files which another issue names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlap {
    /// The issue in work.
    pub issue: u64,
    /// The instance that works on it.
    pub instance: String,
    /// The files, in order.
    pub files: Vec<String>,
}

impl Overlap {
    /// Whom an issue that names `named` would meet: `other`, by what that one names and what its branch has `changed`.
    pub fn of(named: &[String], other: &Record, changed: Option<&BTreeSet<String>>) -> Option<Self> {
        let touched = |file: &&String| {
            other.named_files.contains(file) || changed.is_some_and(|changed| changed.contains(*file))
        };
        let files: Vec<String> = named.iter().filter(touched).cloned().collect();
        (!files.is_empty()).then(|| Self {
            issue: other.number,
            instance: other.instance().to_owned(),
            files,
        })
    }
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it names {}", self.files[..self.files.len().min(SHOWN)].join(", "))?;
        if self.files.len() > SHOWN {
            write!(f, " and {} more", self.files.len() - SHOWN)?;
        }
        write!(f, ", as issue #{} ({}) does or has changed", self.issue, self.instance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(title: &str, body: &str) -> Vec<String> {
        let issue = Issue { title: title.into(), body: body.into(), ..Issue::default() };
        candidates(&issue).into_iter().collect()
    }

    #[test]
    fn paths_are_found_however_they_are_written() {
        let cases: [(&str, &[&str]); 16] = [
            ("Change src/a.rs.", &["src/a.rs"]),
            ("Change `src/a.rs`, and ./README.md!", &["README.md", "src/a.rs"]),
            ("at src/a.rs:12:5, src/b.rs:7: and (src/c.rs#L3-L9)", &["src/a.rs", "src/b.rs", "src/c.rs"]),
            ("`docs/how to.md` is wrong", &["docs/how", "docs/how to.md", "to.md"]),
            ("see [the code](src/a.rs) or \"src/b.rs\"", &["src/a.rs", "src/b.rs"]),
            ("https://github.com/o/r/blob/main/src/a.rs#L1", &["src/a.rs"]),
            ("https://github.com/o/r/issues/1 and https://example.com/a.html", &[]),
            ("**src/a_b__c.py** `pkg/__init__.py`", &["pkg/__init__.py", "src/a_b__c.py"]),
            ("```\n  File \"app/main.py\", line 3\n```", &["app/main.py"]),
            ("- [ ] src/a.rs\n- src/v2/b-2", &["src/a.rs", "src/v2/b-2"]),
            ("/etc/passwd ../../x .git/config a//b src/", &["etc/passwd"]),
            ("<!-- read CONTRIBUTING.md -->It is slow", &[]),
            ("version 1.2.3, e.g. and/or", &["1.2.3", "and/or", "e.g"]),
            ("plain words 12:30 ... / .", &[]),
            ("", &[]),
            ("Größe/Maß.txt", &["Größe/Maß.txt"]),
        ];
        for (body, expected) in cases {
            assert_eq!(found("", body), expected, "{body}");
        }
        assert_eq!(found("Mend `a.txt`", "and b.txt"), ["a.txt", "b.txt"]);
    }

    #[test]
    fn a_flood_of_words_is_cut() {
        let body: Vec<String> = (0..10_000).map(|n| format!("src/{n}.rs ")).collect();
        assert_eq!(found("", &body.concat()).len(), MOST);
        assert_eq!(found("", &"a/".repeat(1000)), Vec::<String>::new());
    }

    #[test]
    fn an_overlap_says_in_which_files() {
        let named = |files: &[&str]| -> Vec<String> { files.iter().map(|&file| file.to_owned()).collect() };
        let mut other = Record::new("o/r", 7, Issue::default());
        other.named_files = named(&["a", "b"]);
        let changed = BTreeSet::from(["c".to_owned(), "d".to_owned()]);
        let cases: [(&[&str], &[&str]); 4] = [
            (&[], &[]),
            (&["x"], &[]),
            (&["b", "x"], &["b"]),
            (&["a", "b", "c", "d"], &["a", "b", "c", "d"]),
        ];
        for (mine, expected) in cases {
            let files = Overlap::of(&named(mine), &other, Some(&changed)).map(|overlap| overlap.files);
            assert_eq!(files.unwrap_or_default(), expected, "{mine:?}");
        }
        let told = Overlap::of(&named(&["a", "b", "c", "d"]), &other, Some(&changed)).unwrap().to_string();
        assert_eq!(told, "it names a, b, c and 1 more, as issue #7 (-) does or has changed");
        assert_eq!(Overlap::of(&named(&["c"]), &other, None), None);
    }
}
