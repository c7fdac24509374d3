//! cq commands that are started as children: what they say when they fail.

use crate::error::{Error, Kind};

/// The error that a child ended with, from its exit status and what it wrote to stderr.
pub(super) fn complaint(name: &str, said: &str, exit: i32) -> Error {
    let hint = said.lines().rev().find_map(|line| line.strip_prefix("hint: "));
    let lines: Vec<&str> =
        said.lines().filter(|line| !line.starts_with("hint: ")).map(without_name).collect();
    let mut error = match lines.as_slice() {
        [] => Error::new(kind_of(exit), format!("{name} ended without a word")),
        lines => Error::new(kind_of(exit), lines.join("; ")),
    };
    error.hint = hint.map(str::to_owned);
    error
}

/// The kind whose exit status this is.
fn kind_of(exit: i32) -> Kind {
    let known = Kind::ALL.iter().map(|(kind, _)| *kind).find(|kind| i32::from(kind.status()) == exit);
    known.unwrap_or(Kind::Internal)
}

/// A line without the command's name before it.
fn without_name(line: &str) -> &str {
    match line.split_once(": ") {
        Some((name, said)) if name.starts_with("cq-") && !name.contains(' ') => said,
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_childs_complaint_is_told_as_ones_own() {
        let cases = [
            ("cq-prepare: no base\nhint: fetch it\n", 69, Kind::Unavailable, "no base", Some("fetch it")),
            ("cq-prepare: a note\ncq-prepare: cq-x: no\n", 78, Kind::Config, "a note; cq-x: no", None),
            ("error: it broke\n", 137, Kind::Internal, "error: it broke", None),
            ("", 137, Kind::Internal, "the child ended without a word", None),
        ];
        for (said, exit, kind, message, hint) in cases {
            let error = complaint("the child", said, exit);
            let told = (error.kind, error.to_string(), error.hint.as_deref());
            assert_eq!(told, (kind, message.to_owned(), hint), "{said}");
        }
    }
}
