//! Secrets in text that people or other programs will see.
//!
//! Two nets: the values cq itself knows (the token, the API key), wherever they stand; and tokens by the
//! prefixes their vendors publish, whoever printed them.

use std::borrow::Cow;

/// What stands in place of a secret.
pub const MASK: &str = "[redacted]";

/// A known secret shorter than this is not searched for: it would blank ordinary words.
const SHORTEST: usize = 8;

/// A vendor's published token prefix, and the fewest characters that follow it.
struct Prefix {
    text: &'static str,
    at_least: usize,
}

/// Sources: GitHub's "token formats" (installation tokens of the 2026 form hold dots and dashes),
/// Anthropic's and OpenAI's key prefixes, Slack's token types, AWS access key ids, npm, PyPI, Google.
const PREFIXES: [Prefix; 19] = [
    Prefix { text: "github_pat_", at_least: 22 },
    Prefix { text: "ghp_", at_least: 20 },
    Prefix { text: "gho_", at_least: 20 },
    Prefix { text: "ghu_", at_least: 20 },
    Prefix { text: "ghs_", at_least: 20 },
    Prefix { text: "ghr_", at_least: 20 },
    Prefix { text: "glpat-", at_least: 20 },
    Prefix { text: "sk-ant-", at_least: 16 },
    Prefix { text: "sk-proj-", at_least: 20 },
    Prefix { text: "sk_live_", at_least: 16 },
    Prefix { text: "xoxa-", at_least: 10 },
    Prefix { text: "xoxb-", at_least: 10 },
    Prefix { text: "xoxp-", at_least: 10 },
    Prefix { text: "xoxs-", at_least: 10 },
    Prefix { text: "AKIA", at_least: 16 },
    Prefix { text: "ASIA", at_least: 16 },
    Prefix { text: "AIza", at_least: 35 },
    Prefix { text: "npm_", at_least: 36 },
    Prefix { text: "pypi-", at_least: 50 },
];

/// Masks secrets; made once per process or run.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    known: Vec<String>,
}

impl Redactor {
    /// Knows these values; the short and the empty are left out.
    pub fn knowing<S: Into<String>>(secrets: impl IntoIterator<Item = S>) -> Self {
        let mut known: Vec<String> =
            secrets.into_iter().map(Into::into).filter(|secret| secret.len() >= SHORTEST).collect();
        known.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        known.dedup();
        Self { known }
    }

    /// The text with every secret masked.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut masked = Cow::Borrowed(text);
        for secret in &self.known {
            if masked.contains(secret.as_str()) {
                masked = Cow::Owned(masked.replace(secret.as_str(), MASK));
            }
        }
        match mask_vendor_tokens(&masked) {
            Some(text) => Cow::Owned(text),
            None => masked,
        }
    }
}

fn belongs(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// The length of the vendor token that starts here, if one does.
fn token_at(rest: &str) -> Option<usize> {
    let prefix = PREFIXES.iter().find(|prefix| rest.starts_with(prefix.text))?;
    let tail = &rest.as_bytes()[prefix.text.len()..];
    let length = tail.iter().take_while(|byte| belongs(**byte)).count();
    (length >= prefix.at_least).then_some(prefix.text.len() + length)
}

fn mask_vendor_tokens(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut masked: Option<String> = None;
    let (mut copied, mut at) = (0, 0);
    while at < bytes.len() {
        let starts_word = at == 0 || !bytes[at - 1].is_ascii_alphanumeric();
        let candidate = starts_word && matches!(bytes[at], b'g' | b's' | b'x' | b'A' | b'n' | b'p');
        match if candidate { token_at(&text[at..]) } else { None } {
            Some(length) => {
                let out = masked.get_or_insert_with(String::new);
                out.push_str(&text[copied..at]);
                out.push_str(MASK);
                at += length;
                copied = at;
            }
            None => at += 1,
        }
    }
    masked.map(|mut out| {
        out.push_str(&text[copied..]);
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_and_vendor_tokens_are_masked() {
        let redactor = Redactor::knowing(["hunter2hunter2", "short", ""]);
        let cases = [
            ("nothing here", "nothing here"),
            ("pw=hunter2hunter2!", "pw=[redacted]!"),
            ("short stays", "short stays"),
            ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "[redacted]"),
            ("x ghs_12345_eyJhbGci.OiJSUzI1-NiIsInR5 y", "x [redacted] y"),
            ("mask-ant-abcdefghijklmnopqrstu", "mask-ant-abcdefghijklmnopqrstu"),
            ("npm_install is a word", "npm_install is a word"),
            ("é ghp_abcdefghijklmnopqrstuvwx é", "é [redacted] é"),
        ];
        for (text, expected) in cases {
            assert_eq!(redactor.redact(text), expected);
        }
        let anthropic = ["sk", "ant", "api03", "abcdefghijklmnop"].join("-");
        assert_eq!(redactor.redact(&anthropic), MASK);
    }

    #[test]
    fn the_longer_of_two_overlapping_secrets_is_masked_whole() {
        let redactor = Redactor::knowing(["abcdefgh", "abcdefghijkl"]);
        assert_eq!(redactor.redact("abcdefghijkl"), MASK);
    }
}
