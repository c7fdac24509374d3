//! The stream that `git fast-import` makes objects of.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};

use crate::clock::Timestamp;
use crate::git::keep::{BlobHash, Entry};

/// Bigger files are read twice rather than held in memory.
const LARGE: u64 = 4 << 20;

/// Who rescues are by.
const BY: &str = "cq rescue <cq-rescue@localhost>";

/// A commit to make.
#[derive(Debug)]
pub(super) struct Commit<'c> {
    pub(super) reference: &'c str,
    pub(super) message: &'c str,
    /// Part of its name: the same work kept twice is one commit.
    pub(super) at: Timestamp,
    pub(super) parents: &'c [String],
    /// Its files, all of them.
    pub(super) lines: &'c [Line],
}

/// A file of a commit.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) mode: &'static str,
    /// A mark of this stream, or an object's name.
    pub(super) content: String,
    /// The object's name, in any case.
    pub(super) name: String,
    pub(super) path: Vec<u8>,
}

impl Line {
    /// A file that the repository has.
    pub(super) fn of_known(mode: &'static str, known: &Entry) -> Self {
        Self { mode, content: known.oid.clone(), name: known.oid.clone(), path: known.path.clone() }
    }
}

/// The stream, in a file.
#[derive(Debug)]
pub(super) struct Stream {
    out: BufWriter<File>,
    marks: u64,
}

impl Stream {
    pub(super) fn into(file: File) -> Self {
        Self { out: BufWriter::with_capacity(1 << 18, file), marks: 0 }
    }

    fn mark(&mut self) -> io::Result<String> {
        self.marks += 1;
        writeln!(self.out, "mark :{}", self.marks)?;
        Ok(format!(":{}", self.marks))
    }

    /// Some bytes; gives their mark.
    pub(super) fn blob(&mut self, bytes: &[u8]) -> io::Result<String> {
        writeln!(self.out, "blob")?;
        let mark = self.mark()?;
        self.data(bytes)?;
        Ok(mark)
    }

    fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        writeln!(self.out, "data {}", bytes.len())?;
        self.out.write_all(bytes)?;
        writeln!(self.out)
    }

    /// Some bytes; gives their mark and their name. `like` is any object's name.
    pub(super) fn named(&mut self, bytes: &[u8], like: &str) -> io::Result<(String, String)> {
        let mut hash = BlobHash::new(like, bytes.len() as u64);
        hash.update(bytes);
        Ok((self.blob(bytes)?, hash.finish()))
    }

    /// A file's content, unless `is_known` has it already; gives its mark, or else its name twice.
    pub(super) fn file(
        &mut self,
        file: &mut File,
        like: &str,
        is_known: impl Fn(&str) -> bool,
    ) -> io::Result<(String, String)> {
        let size = file.metadata()?.len();
        let mut hash = BlobHash::new(like, size);
        if size <= LARGE {
            let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
            file.take(size).read_to_end(&mut bytes)?;
            complete(bytes.len() as u64, size)?;
            hash.update(&bytes);
            let name = hash.finish();
            return Ok((if is_known(&name) { name.clone() } else { self.blob(&bytes)? }, name));
        }
        let mut buffer = vec![0; 1 << 18];
        let mut read = 0;
        while read < size {
            let some = file.read(&mut buffer)?;
            if some == 0 {
                break;
            }
            hash.update(&buffer[..some]);
            read += some as u64;
        }
        complete(read, size)?;
        let name = hash.finish();
        if is_known(&name) {
            return Ok((name.clone(), name));
        }
        file.seek(SeekFrom::Start(0))?;
        writeln!(self.out, "blob")?;
        let mark = self.mark()?;
        writeln!(self.out, "data {size}")?;
        complete(io::copy(&mut file.take(size), &mut self.out)?, size)?;
        writeln!(self.out)?;
        Ok((mark, name))
    }

    /// A commit; gives its mark.
    pub(super) fn commit(&mut self, commit: &Commit<'_>) -> io::Result<String> {
        writeln!(self.out, "commit {}", commit.reference)?;
        let mark = self.mark()?;
        writeln!(self.out, "committer {BY} {} +0000", commit.at.timestamp())?;
        self.data(commit.message.as_bytes())?;
        for (number, parent) in commit.parents.iter().enumerate() {
            writeln!(self.out, "{} {parent}", if number == 0 { "from" } else { "merge" })?;
        }
        writeln!(self.out, "deleteall")?;
        for line in commit.lines {
            write!(self.out, "M {} {} ", line.mode, line.content)?;
            self.out.write_all(&quoted(&line.path))?;
            writeln!(self.out)?;
        }
        writeln!(self.out)?;
        Ok(mark)
    }

    /// The whole of it, to be read from the beginning.
    pub(super) fn end(mut self) -> io::Result<File> {
        writeln!(self.out, "done")?;
        let mut file = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    }
}

/// What shrinks while it is read is being written.
fn complete(read: u64, size: u64) -> io::Result<()> {
    if read == size { Ok(()) } else { Err(io::Error::other("it changes while it is read")) }
}

/// A path in C's quotes.
fn quoted(path: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'"'];
    for byte in path {
        match byte {
            b'"' | b'\\' => quoted.extend([b'\\', *byte]),
            0..0x20 | 0x7f => quoted.extend(format!("\\{byte:03o}").bytes()),
            _ => quoted.push(*byte),
        }
    }
    quoted.push(b'"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_as_git_reads_them() {
        assert_eq!(quoted(b"a\"b\\c\nd\xff"), b"\"a\\\"b\\\\c\\012d\xff\"");
    }
}
