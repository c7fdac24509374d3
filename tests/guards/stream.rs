//! Commits as `git fast-import` reads them: any bytes in any place.

/// A stream that is being written.
#[derive(Default)]
pub(crate) struct Stream {
    bytes: Vec<u8>,
    marks: usize,
}

/// What a commit says beside its files.
pub(crate) struct Says<'a> {
    pub(crate) author: &'a [u8],
    pub(crate) message: &'a [u8],
}

impl Default for Says<'_> {
    fn default() -> Self {
        Self { author: b"agent", message: b"Do the first thing" }
    }
}

impl Stream {
    fn put(&mut self, parts: &[&[u8]]) {
        self.bytes.extend_from_slice(&parts.concat());
    }

    fn data(&mut self, content: &[u8]) {
        self.put(&[format!("data {}\n", content.len()).as_bytes(), content, b"\n"]);
    }

    /// Begins a commit on a branch; its parents are named, or are marks such as `:1`. Gives its own mark.
    pub(crate) fn commit(&mut self, branch: &str, says: &Says<'_>, parents: &[&str]) -> String {
        self.marks += 1;
        let mark = format!(":{}", self.marks);
        self.put(&[format!("commit refs/heads/{branch}\nmark {mark}\n").as_bytes()]);
        let now: &[u8] = b" <agent@localhost> 1760000000 +0000\n";
        self.put(&[b"author ", says.author, now, b"committer ", says.author, now]);
        self.data(says.message);
        for (at, parent) in parents.iter().enumerate() {
            let kind = if at == 0 { "from" } else { "merge" };
            self.put(&[format!("{kind} {parent}\n").as_bytes()]);
        }
        mark
    }

    /// A file of the commit that was begun last. The path may hold anything but NUL.
    pub(crate) fn file(&mut self, mode: &str, path: &[u8], content: &[u8]) {
        self.put(&[b"M ", mode.as_bytes(), b" inline ", &quoted(path), b"\n"]);
        self.data(content);
    }

    /// A submodule at a commit.
    pub(crate) fn submodule(&mut self, path: &[u8], commit: &str) {
        self.put(&[b"M 160000 ", commit.as_bytes(), b" ", &quoted(path), b"\n"]);
    }

    pub(crate) fn remove(&mut self, path: &[u8]) {
        self.put(&[b"D ", &quoted(path), b"\n"]);
    }

    pub(crate) fn remove_all(&mut self) {
        self.put(&[b"deleteall\n"]);
    }

    pub(crate) fn bytes(mut self) -> Vec<u8> {
        self.put(&[b"done\n"]);
        self.bytes
    }
}

/// A path in git's quotes.
fn quoted(path: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'"'];
    for byte in path {
        match byte {
            b'"' | b'\\' => quoted.extend([b'\\', *byte]),
            b'\n' => quoted.extend(b"\\n"),
            byte => quoted.push(*byte),
        }
    }
    quoted.push(b'"');
    quoted
}
