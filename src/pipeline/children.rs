//! cq commands that are started as children: what they say when they fail.

use crate::error::{Error, Kind};

/// The error that a child ended with, from its exit status and what it wrote to stderr; none where it wrote nothing.
pub(super) fn complaint(said: &str, exit: i32) -> Option<Error> {
    let hint = said.lines().rev().find_map(|line| line.strip_prefix("hint: "));
    let lines: Vec<&str> =
        said.lines().filter(|line| !line.starts_with("hint: ")).map(without_name).collect();
    if lines.is_empty() {
        return None;
    }
    let error = Error::new(kind_of(exit), lines.join("; "));
    Some(match hint {
        Some(hint) => error.hint(hint),
        None => error,
    })
}

/// The kind whose exit status this is.
pub(super) fn kind_of(exit: i32) -> Kind {
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
        ];
        for (said, exit, kind, message, hint) in cases {
            let error = complaint(said, exit).unwrap();
            let told = (error.kind, error.to_string(), error.hint.as_deref());
            assert_eq!(told, (kind, message.to_owned(), hint), "{said}");
        }
        assert!(complaint("", 70).is_none());
    }
}
