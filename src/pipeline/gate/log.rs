//! What a check said: kept without secrets, with its digest, and its end told to the next attempt.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use crate::digest::sha256;
use crate::redact::Redactor;
use crate::sanitize;

/// The most of a check's output that is kept, in bytes: its end.
const LONGEST: u64 = 16 << 20;
/// Lines of a red check's output that the next attempt gets to see.
const FEEDBACK_LINES: usize = 50;
/// The most that is read for it, in bytes.
const FEEDBACK_BYTES: u64 = 64 << 10;

/// Writes a line into a log.
pub(super) fn write(log: &mut File, line: &str) -> std::io::Result<()> {
    writeln!(log, "{line}")
}

/// Whether this is the very first that was said.
pub(super) fn begins_with(log: &Path, words: &[u8]) -> bool {
    let mut first = vec![0; words.len()];
    File::open(log).and_then(|mut file| file.read_exact(&mut first)).is_ok() && first == words
}

/// The first line of a short log that says something.
pub(super) fn first_line(log: &Path) -> Option<String> {
    let mut text = Vec::new();
    File::open(log).ok()?.take(FEEDBACK_BYTES).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}

/// A check runs what an agent wrote; a secret that it printed does not stay. Gives the digest of what does.
pub(super) fn finish(log: &mut File, redactor: &Redactor) -> std::io::Result<String> {
    finish_within(log, redactor, LONGEST)
}

fn finish_within(log: &mut File, redactor: &Redactor, longest: u64) -> std::io::Result<String> {
    let length = log.metadata()?.len();
    let left_out = length.saturating_sub(longest);
    log.seek(SeekFrom::Start(left_out))?;
    let mut bytes = Vec::new();
    log.take(longest).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut kept = redactor.redact(&text).into_owned();
    if left_out > 0 {
        kept.insert_str(0, &format!("({left_out} bytes before this were left out)\n"));
    }
    log.set_len(0)?;
    log.seek(SeekFrom::Start(0))?;
    log.write_all(kept.as_bytes())?;
    Ok(sha256(kept.as_bytes()))
}

/// The last lines of a log, safe to show.
pub(super) fn tail(log: &Path) -> String {
    let mut text = Vec::new();
    let read = File::open(log).and_then(|mut file| {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(FEEDBACK_BYTES)))?;
        file.read_to_end(&mut text)
    });
    if read.is_err() {
        return "(its output cannot be read)".to_owned();
    }
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    sanitize::lines(&lines[lines.len().saturating_sub(FEEDBACK_LINES)..].join("\n")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn the_end_is_kept_without_secrets_and_digested() {
        let mut small = log("pw=hunter2hunter2\n");
        let digest = finish(small.as_file_mut(), &Redactor::knowing(["hunter2hunter2"])).unwrap();
        assert_eq!(std::fs::read_to_string(small.path()).unwrap(), "pw=[redacted]\n");
        assert_eq!(digest, sha256(b"pw=[redacted]\n"));
        assert_eq!(sha256(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");

        let mut large = log(&format!("first\n{}the end\n", "x\n".repeat(100)));
        finish_within(large.as_file_mut(), &Redactor::default(), 100).unwrap();
        let kept = std::fs::read_to_string(large.path()).unwrap();
        assert_eq!(kept, format!("(114 bytes before this were left out)\n{}the end\n", "x\n".repeat(46)));
    }

    #[test]
    fn the_last_fifty_lines_are_told() {
        let lines: Vec<String> = (1..=120).map(|number| format!("line {number}\n")).collect();
        let told = tail(log(&format!("{}\u{1b}[31mred", lines.concat())).path());
        assert!(told.starts_with("line 72\n") && told.ends_with("line 120\n\\e[31mred"), "{told}");
        assert_eq!(tail(Path::new("/nonexistent")), "(its output cannot be read)");
        assert!(
            begins_with(log("bwrap: no").path(), b"bwrap: ") && !begins_with(log("bw").path(), b"bwrap: ")
        );
    }
}
