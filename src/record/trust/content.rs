//! The digest of the text that was approved.

use ring::digest::{Context, SHA256};

use crate::clock::Timestamp;
use crate::digest::hex;
use crate::record::{Issue, IssueComment, Source, Trust, Verdict};

/// SHA-256, hexadecimal, of all of an issue that reaches a prompt as somebody's words: title, body and the carried
/// comments with their authors and times.
///
/// It is taken over the line `cq content 1`, then every field as its length in bytes, a colon and itself, the number
/// of comments before them: no text can be read as a different one.
pub fn content_sha256(issue: &Issue) -> String {
    digest(&issue.title, &issue.body, &issue.comments)
}

pub(super) fn digest(title: &str, body: &str, comments: &[IssueComment]) -> String {
    let mut hash = Context::new(&SHA256);
    let mut field = |text: &str| {
        hash.update(format!("{}:", text.len()).as_bytes());
        hash.update(text.as_bytes());
    };
    field("cq content 1");
    field(title);
    field(body);
    field(&comments.len().to_string());
    for comment in comments {
        field(&comment.author);
        field(&moment(comment.created_at));
        field(&comment.body);
    }
    hex(hash.finish().as_ref())
}

/// To the nanosecond, so that two moments never look the same.
fn moment(at: Timestamp) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Nanos, true)
}

impl Trust {
    /// Whether it lets this very text reach an agent. What GitHub's people approved has to be there to the letter;
    /// what the operator handed in may have no digest.
    pub fn covers(&self, issue: &Issue) -> bool {
        self.verdict == Verdict::Trusted
            && match &self.content_sha256 {
                Some(approved) => *approved == content_sha256(issue),
                None => self.source == Source::Operator,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Extra;

    fn comment(author: &str, body: &str, second: i64) -> IssueComment {
        let created_at = Timestamp::UNIX_EPOCH + chrono::TimeDelta::seconds(second);
        IssueComment { author: author.into(), body: body.into(), created_at, extra: Extra::new() }
    }

    fn issue(title: &str, body: &str, comments: &[IssueComment]) -> Issue {
        Issue { title: title.into(), body: body.into(), comments: comments.to_vec(), ..Issue::default() }
    }

    #[test]
    fn the_digest_stays_what_it_is() {
        // Of "12:cq content 11:t1:b1:13:mia30:1970-01-01T00:00:07.000000000Z2:hi".
        let known = content_sha256(&issue("t", "b", &[comment("mia", "hi", 7)]));
        assert_eq!(known, "c9f5432441c62a316ebbcb8598a60c4b153a608924f03d280763b24fe57d2043");
    }

    #[test]
    fn different_texts_have_different_digests() {
        let (a, b) = (comment("mia", "one", 1), comment("ben", "two", 2));
        let issues = [
            issue("", "", &[]),
            issue("t", "b", &[]),
            issue("b", "t", &[]),
            issue("tb", "", &[]),
            issue("", "tb", &[]),
            issue("t", "b\n", &[]),
            issue("t", "b\r\n", &[]),
            issue("t", "b0:", &[]),
            issue("t", "1:b1:1", &[]),
            issue("t", "b", std::slice::from_ref(&a)),
            issue("t", "b", &[a.clone(), b.clone()]),
            issue("t", "b", &[b.clone(), a.clone()]),
            issue("t", "b", &[comment("ben", "one", 1)]),
            issue("t", "b", &[comment("mia", "one", 3)]),
            issue("t", "b", &[comment("mia", "one\u{200b}", 1)]),
            issue("t", "b", &[comment("miao", "ne", 1)]),
        ];
        let digests: std::collections::BTreeSet<String> = issues.iter().map(content_sha256).collect();
        assert_eq!(digests.len(), issues.len());
        assert!(digests.iter().all(|digest| digest.len() == 64));
    }

    #[test]
    fn what_is_not_said_as_words_does_not_matter() {
        let text = issue("t", "b", &[comment("mia", "one", 1)]);
        let mut other = Issue { labels: vec!["x".into()], author: "eve".into(), ..text.clone() };
        other.comments[0].extra.insert("x".into(), 1.into());
        assert_eq!(content_sha256(&text), content_sha256(&other));
    }

    #[test]
    fn only_the_approved_text_is_covered() {
        let text = issue("t", "b", &[]);
        let github = |sha: Option<String>| Trust {
            verdict: Verdict::Trusted,
            source: Source::GitHub,
            approved_by: Some("operator".into()),
            approved_at: None,
            content_sha256: sha,
            labels: Vec::new(),
            reasons: Vec::new(),
            hidden: None,
            extra: Extra::new(),
        };
        let operator = |sha| Trust { source: Source::Operator, ..github(sha) };
        let right = || Some(content_sha256(&text));
        let wrong = || Some(content_sha256(&issue("t", "c", &[])));
        let untrusted = Trust { verdict: Verdict::Untrusted, ..operator(right()) };
        let cases = [
            (github(right()), true),
            (github(wrong()), false),
            (github(None), false),
            (operator(right()), true),
            (operator(wrong()), false),
            (operator(None), true),
            (untrusted, false),
        ];
        for (trust, expected) in cases {
            assert_eq!(trust.covers(&text), expected, "{trust:?}");
        }
    }
}
