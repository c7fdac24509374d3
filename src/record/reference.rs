//! A reference to an issue or pull request.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// An issue or pull request: `12` in the record's own repository, `"owner/name#12"` in another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Reference {
    /// In the same repository.
    Here(u64),
    /// In another.
    Elsewhere(Remote),
}

/// A number in a named repository. Two names that differ only by case are one repository, as GitHub has it; the
/// spelling is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Remote {
    repo: String,
    number: u64,
}

impl Reference {
    /// The issue `number` of `repo`, as a record of the repository `home` refers to it.
    /// None where that cannot be an issue.
    pub fn new(repo: &str, number: u64, home: &str) -> Option<Self> {
        if repo.eq_ignore_ascii_case(home) {
            return (number > 0).then_some(Self::Here(number));
        }
        Remote::new(repo, number).map(Self::Elsewhere)
    }

    /// The number in its repository.
    pub fn number(&self) -> u64 {
        match self {
            Self::Here(number) => *number,
            Self::Elsewhere(remote) => remote.number,
        }
    }

    /// `owner/name` of another repository; none for the record's own.
    pub fn repo(&self) -> Option<&str> {
        match self {
            Self::Here(_) => None,
            Self::Elsewhere(remote) => Some(&remote.repo),
        }
    }
}

impl Remote {
    fn new(repo: &str, number: u64) -> Option<Self> {
        // GitHub's own rule for the halves of a repository's name.
        let half = |text: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            text.chars().all(plain) && text.chars().any(|c| c != '.')
        };
        let named = repo.split_once('/').is_some_and(|(owner, name)| half(owner) && half(name));
        (named && number > 0).then(|| Self { repo: repo.to_owned(), number })
    }

    fn key(&self) -> (String, u64) {
        (self.repo.to_ascii_lowercase(), self.number)
    }
}

impl PartialEq for Remote {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number && self.repo.eq_ignore_ascii_case(&other.repo)
    }
}

impl Eq for Remote {}

impl PartialOrd for Remote {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Remote {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl FromStr for Remote {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('#').and_then(|(repo, number)| Self::new(repo, number.parse().ok()?));
        parsed.ok_or_else(|| format!("expected owner/name#number, not '{text}'"))
    }
}

impl TryFrom<String> for Remote {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Remote> for String {
    fn from(remote: Remote) -> Self {
        remote.to_string()
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.repo, self.number)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(number) => write!(f, "#{number}"),
            Self::Elsewhere(remote) => remote.fmt(f),
        }
    }
}

impl JsonSchema for Remote {
    fn schema_name() -> Cow<'static, str> {
        "Remote".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An issue or pull request of another repository.",
            "type": "string",
            "pattern": "^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+#[1-9][0-9]*$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_and_written_as_they_are() {
        for (text, shown) in [("12", "#12"), (r#""Owner/na.me#5""#, "Owner/na.me#5")] {
            let reference: Reference = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&reference).unwrap(), text);
            assert_eq!(reference.to_string(), shown);
        }
        for text in
            [r#""12""#, r##""#12""##, r#""o/r#""#, r#""o/r#0""#, r#""o/../r#1""#, r#""o/..#1""#, "-1", "{}"]
        {
            assert!(serde_json::from_str::<Reference>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn one_repository_is_one_whatever_its_case() {
        let new = |repo, number| Reference::new(repo, number, "O/R");
        assert_eq!(new("o/r", 3), Some(Reference::Here(3)));
        assert_eq!(new("A/b", 3), new("a/B", 3));
        assert_ne!(new("a/b", 3), new("a/b", 4));
        assert_ne!(new("a/b", 3), new("o/r", 3));
        assert_eq!((new("o/r", 0), new("a", 1), new("a/b/c", 1)), (None, None, None));
    }
}
