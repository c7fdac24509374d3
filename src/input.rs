//! Records and issue numbers on their way in.
//!
//! Operands come first; without any, stdin is read, line by line. A bad line is named by its number, skipped,
//! and makes the exit status 65; the good ones are still done.

use std::io::{BufRead, BufReader, IsTerminal, Read};

use crate::error::{Error, Kind, OrFail, Result};
use crate::record::Record;

/// A longer line cannot be a record: GitHub's longest issue body is 65,536 characters.
pub const LONGEST_LINE: usize = 16 << 20;
/// Bytes of an issue's body: GitHub's 65,536 characters, at four bytes each.
pub const LONGEST_BODY: usize = 4 * 65_536;
/// Bytes of a title: GitHub's 256 characters, at four bytes each.
const LONGEST_TITLE: usize = 4 * 256;

/// An issue on a command line: `123` or `#123`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct IssueNumber(pub u64);

impl std::str::FromStr for IssueNumber {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix('#').unwrap_or(text).parse() {
            Ok(number) if number > 0 => Ok(Self(number)),
            _ => Err("expected an issue's number, such as 123 or #123".to_owned()),
        }
    }
}

/// Refuses a command that has neither operands nor a pipe to read.
pub fn stdin_or_usage() -> Result<impl Iterator<Item = Result<Record>>> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Err(Error::new(Kind::Usage, "nothing to do: no issue is named and stdin is a terminal")
            .hint("name issues, or pipe records in: cq-fetch | cq-claim"));
    }
    Ok(records(stdin.lock()))
}

/// The records of a stream. Empty lines are passed over.
pub fn records(reader: impl Read) -> impl Iterator<Item = Result<Record>> {
    let mut reader = BufReader::with_capacity(64 << 10, reader);
    let mut number = 0;
    let mut ended = false;
    std::iter::from_fn(move || {
        while !ended {
            number += 1;
            match line(&mut reader) {
                Ok(None) => return None,
                Ok(Some(text)) if text.iter().all(u8::is_ascii_whitespace) => {}
                Ok(Some(text)) => {
                    return Some(parse(&text).map_err(|error| error.context(format!("input line {number}"))));
                }
                Err(error) => {
                    ended = error.kind != Kind::BadInput;
                    return Some(Err(error.context(format!("input line {number}"))));
                }
            }
        }
        None
    })
}

/// One line without its end; a longer one than [`LONGEST_LINE`] is read to its end and refused.
fn line(reader: &mut impl BufRead) -> Result<Option<Vec<u8>>> {
    let failed = || "cannot read stdin";
    let mut text = Vec::new();
    let limit = LONGEST_LINE as u64 + 1;
    let read = reader.by_ref().take(limit).read_until(b'\n', &mut text).or_fail(Kind::Unavailable, failed)?;
    if read == 0 {
        return Ok(None);
    }
    if text.last() == Some(&b'\n') {
        text.pop();
    } else if text.len() > LONGEST_LINE {
        reader.skip_until(b'\n').or_fail(Kind::Unavailable, failed)?;
        return Err(Error::new(Kind::BadInput, format!("longer than {} MiB", LONGEST_LINE >> 20)));
    }
    Ok(Some(text))
}

fn parse(line: &[u8]) -> Result<Record> {
    let text = std::str::from_utf8(line).or_fail(Kind::BadInput, || "not UTF-8")?;
    let record = Record::from_json(text)?;
    check(&record)?;
    Ok(record)
}

/// What no issue on GitHub can be.
pub fn check(record: &Record) -> Result<()> {
    let refuse = |why: String| Err(Error::new(Kind::BadInput, format!("issue #{}: {why}", record.number)));
    if record.number == 0 {
        return refuse("issues are numbered from 1".to_owned());
    }
    let size = record.issue.body.len();
    if size > LONGEST_BODY {
        return refuse(format!(
            "its body has {size} bytes, more than GitHub's limit of 65,536 characters allows"
        ));
    }
    let size = record.issue.title.len();
    if size > LONGEST_TITLE {
        return refuse(format!(
            "its title has {size} bytes, more than GitHub's limit of 256 characters allows"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_lines_are_named_and_the_good_ones_still_come() {
        let good = |number| format!(r#"{{"cq":1,"repo":"o/r","number":{number},"issue":{{"title":"t"}}}}"#);
        let long = format!("\"{}\"", "x".repeat(LONGEST_LINE + 10));
        let body = "b".repeat(LONGEST_BODY + 1);
        let big = format!(r#"{{"cq":1,"repo":"o/r","number":4,"issue":{{"title":"t","body":"{body}"}}}}"#);
        let input = [&good(1), "{oops", "", &long, "\u{0}", &good(0), &big, &good(3)].join("\n");
        let seen: Vec<String> = records(input.as_bytes())
            .map(|result| match result {
                Ok(record) => record.number.to_string(),
                Err(error) => format!("{:?} {}", error.kind, &error.to_string()[..22]),
            })
            .collect();
        assert_eq!(
            seen,
            [
                "1",
                "BadInput input line 2: not JSON",
                "BadInput input line 4: longer t",
                "BadInput input line 5: not JSON",
                "BadInput input line 6: issue #0",
                "BadInput input line 7: issue #4",
                "3",
            ]
        );
    }

    #[test]
    fn issue_numbers_are_plain() {
        for (text, expected) in
            [("12", Some(12)), ("#12", Some(12)), ("0", None), ("-1", None), ("x", None), ("", None)]
        {
            assert_eq!(text.parse::<IssueNumber>().ok().map(|number| number.0), expected, "{text}");
        }
    }
}
