//! Scripted faults: what a test wants to go wrong, and how often.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// One thing that goes wrong.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "a script says what goes wrong, one by one")]
pub(super) struct Fault {
    /// The request's method; absent or `*` means any.
    pub method: Option<String>,
    /// What the path begins with; `*` stands for one segment, a final `$` for the path's end.
    pub path: String,
    /// The answer's status. Absent means that the connection is dropped, or, where anything below alters an
    /// answer, that this is the usual one.
    pub status: Option<u16>,
    /// The answer's body: JSON, or a string that is sent as it is.
    #[serde(default)]
    pub body: Value,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// How many requests it lets pass first.
    #[serde(default)]
    pub skip: u64,
    /// How many requests it hits.
    #[serde(default = "once")]
    pub times: u64,
    /// Wait before anything else.
    #[serde(default)]
    pub delay_ms: u64,
    /// The request is carried out, but the connection is dropped instead of the answer (or, with a
    /// status, this answer is given instead).
    #[serde(default)]
    pub after_effect: bool,
    /// The usual answer, with these headers.
    #[serde(default)]
    pub pass: bool,
    /// There is never an answer.
    #[serde(default)]
    pub hang: bool,
    /// The connection is reset.
    #[serde(default)]
    pub reset: bool,
    /// The body comes byte by byte, with such a pause before each.
    #[serde(default)]
    pub drip_ms: u64,
    /// The body ends after so many bytes, with the whole length announced.
    pub truncate: Option<usize>,
    /// The body is compressed, asked for or not.
    #[serde(default)]
    pub gzip: bool,
    /// The body is some kilobytes that become 200 MB.
    #[serde(default)]
    pub gzip_bomb: bool,
    /// `Location`, with status 302 where there is none.
    pub redirect_to: Option<String>,
    /// `Date` is that much later.
    pub date_skew_s: Option<i64>,
}

const fn once() -> u64 {
    1
}

impl Fault {
    /// Whether it changes an answer instead of replacing it.
    pub(super) fn alters(&self) -> bool {
        let shape = self.gzip || self.gzip_bomb || self.truncate.is_some() || self.drip_ms > 0;
        shape || self.pass || self.date_skew_s.is_some()
    }

    fn hits(&self, method: &str, path: &str) -> bool {
        let any = |wanted: &str| wanted == "*" || wanted.eq_ignore_ascii_case(method);
        self.times > 0 && self.method.as_deref().is_none_or(any) && matches(&self.path, path)
    }
}

/// Takes the first fault that hits this request.
pub(super) fn take(faults: &mut Vec<Fault>, method: &str, path: &str) -> Option<Fault> {
    let position = faults.iter_mut().position(|fault| {
        let hits = fault.hits(method, path);
        let passes = hits && fault.skip > 0;
        fault.skip -= u64::from(passes);
        hits && !passes
    })?;
    let fault = faults[position].clone();
    faults[position].times -= 1;
    faults.retain(|fault| fault.times > 0);
    Some(fault)
}

fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, whole) = match pattern.strip_suffix('$') {
        Some(pattern) => (pattern, true),
        None => (pattern, false),
    };
    let mut rest = path;
    let mut pieces = pattern.split('*');
    match pieces.next().and_then(|first| rest.strip_prefix(first)) {
        Some(after) => rest = after,
        None => return false,
    }
    for piece in pieces {
        let segment = rest.find('/').unwrap_or(rest.len());
        if segment == 0 {
            return false;
        }
        match rest[segment..].strip_prefix(piece) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    !whole || rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::{Fault, matches, take};

    #[test]
    fn a_fault_lets_some_pass_hits_some_and_is_gone() {
        let fault = serde_json::json!({"path": "/a", "skip": 2, "times": 2});
        let mut faults: Vec<Fault> = vec![serde_json::from_value(fault).unwrap()];
        let hits: Vec<bool> = ["/a", "/b", "/a", "/a", "/b", "/a", "/a"]
            .iter()
            .map(|path| take(&mut faults, "GET", path).is_some())
            .collect();
        assert_eq!(hits, [false, false, false, true, false, true, false]);
        assert!(faults.is_empty());
    }

    #[test]
    fn patterns_are_prefixes_with_stars_for_segments() {
        let cases = [
            ("/repos", "/repos/o/r", true),
            ("/repos/*/*/pulls", "/repos/o/r/pulls", true),
            ("/repos/*/*/pulls", "/repos/o/r/pulls/7/merge", true),
            ("/repos/*/*/pulls$", "/repos/o/r/pulls/7/merge", false),
            ("/repos/*/*/pulls$", "/repos/o/r/pulls", true),
            ("/repos/*/*/issues/*$", "/repos/o/r/issues/7", true),
            ("/repos/*/*/issues/*$", "/repos/o/r/issues/7/comments", false),
            ("/repos/*/pulls", "/repos/o/r/pulls", false),
            ("/user", "/repos/o/r", false),
        ];
        for (pattern, path, expected) in cases {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }
}
