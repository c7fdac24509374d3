//! Secrets in text that people or other programs will see.
//!
//! Two nets: the values cq itself knows (the token, the API key), wherever they stand; and tokens by the
//! prefixes their vendors publish, whoever printed them.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

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

/// Whether a variable holds a secret, by the words of its name: `OPENAI_API_KEY`, `CLAUDE_CODE_OAUTH_TOKEN`.
pub fn names_a_secret(name: &str) -> bool {
    const WORDS: [&str; 9] =
        ["KEY", "APIKEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL", "CREDENTIALS"];
    name.split('_').any(|word| WORDS.iter().any(|known| word.eq_ignore_ascii_case(known)))
}

/// Masks secrets; made once per process. Its clones share what they know: what one learns, all mask.
#[derive(Clone, Default)]
pub struct Redactor {
    known: Arc<RwLock<Vec<String>>>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}

impl Redactor {
    /// Knows these values; the short and the empty are left out.
    pub fn knowing<S: Into<String>>(secrets: impl IntoIterator<Item = S>) -> Self {
        let redactor = Self::default();
        redactor.add(secrets.into_iter().map(Into::into));
        redactor
    }

    /// Knows a token from now on, also in the form in which git sends it: `Basic`, user `x-access-token`.
    pub fn learn(&self, token: &str) {
        self.add([token.to_owned(), basic(token)].into_iter());
    }

    fn add(&self, secrets: impl Iterator<Item = String>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.extend(secrets.filter(|secret| secret.len() >= SHORTEST));
        known.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        known.dedup();
    }

    /// The values that it knows.
    pub fn known(&self) -> Vec<String> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The text with every secret masked.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut masked = Cow::Borrowed(text);
        for secret in self.known.read().unwrap_or_else(PoisonError::into_inner).iter() {
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

/// The value of a `Basic` header that signs git in with a token (RFC 7617); GitHub does not mind the user's name.
pub fn basic(token: &str) -> String {
    STANDARD.encode(format!("x-access-token:{token}"))
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
    fn variables_with_secrets_are_known_by_their_names() {
        for name in
            ["OPENAI_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN", "DB_PASSWORD", "my_secret", "AWS_SECRET_ACCESS_KEY"]
        {
            assert!(names_a_secret(name), "{name}");
        }
        for name in ["PATH", "HOME", "GIT_AUTHOR_NAME", "KEYBOARD", "TOKENIZERS_PARALLELISM", "MONKEYS"] {
            assert!(!names_a_secret(name), "{name}");
        }
    }

    #[test]
    fn a_token_of_the_long_form_is_masked_to_its_end() {
        let token = ["ghs_", "1234567_", &"eyJ0eXAi.OiJKV1Qi-LCJh_".repeat(22)].concat();
        assert_eq!(Redactor::default().redact(&format!("a {token}, b")), "a [redacted], b");
    }

    #[test]
    fn what_one_learns_its_clones_mask_too() {
        let redactor = Redactor::default();
        let clone = redactor.clone();
        redactor.learn("no-prefix-tells");
        let said = format!("no-prefix-tells, Basic {}", basic("no-prefix-tells"));
        assert_eq!(clone.redact(&said), "[redacted], Basic [redacted]");
    }

    #[test]
    fn the_longer_of_two_overlapping_secrets_is_masked_whole() {
        let redactor = Redactor::knowing(["abcdefgh", "abcdefghijkl"]);
        assert_eq!(redactor.redact("abcdefghijkl"), MASK);
    }
}
