//! The formats in which vendors publish that their keys are drawn.

use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};

use super::random::{distinct, looks_random};
use super::views::View;
use super::{Hit, special};
use crate::digest;
use crate::error::{Kind, OrFail, Result};

/// Of what characters a key is made.
#[derive(Debug, Clone, Copy)]
enum Made {
    /// Letters and digits.
    Alphanumeric,
    /// The same with `_` and `-`.
    Word,
    /// The same with `.` too.
    Dotted,
    /// Hexadecimal digits.
    Hex,
    /// Base64, padding included.
    Base64,
    /// The letters and digits of base32, upper case.
    Base32,
}

impl Made {
    fn has(self, byte: u8) -> bool {
        match self {
            Self::Alphanumeric => byte.is_ascii_alphanumeric(),
            Self::Word => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
            Self::Dotted => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'),
            Self::Hex => byte.is_ascii_hexdigit(),
            Self::Base64 => byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='),
            Self::Base32 => byte.is_ascii_uppercase() || matches!(byte, b'2'..=b'7'),
        }
    }
}

/// What must be true of a key besides.
#[derive(Debug, Clone, Copy)]
enum Proof {
    /// It looks drawn.
    Random,
    /// What stands after its last dash looks drawn; before it there are numbers.
    Tail,
    /// Its last six characters are the checksum of the others, in base62; one that is not may be a newer form, and has
    /// to look drawn.
    Checksum,
    /// So many different characters: for alphabets in which words look drawn.
    Distinct(usize),
}

/// One format: a beginning, and how it goes on.
#[derive(Debug)]
struct Format(&'static str, &'static str, Rule);

/// How a key goes on after its beginning.
#[derive(Debug)]
enum Rule {
    /// Characters of a kind, so many at least and at most.
    Key(Made, usize, usize, Proof),
    /// Found by a function, which gets the text and where the beginning stands in it.
    By(fn(&[u8], Range<usize>) -> Option<Range<usize>>),
}

use Made::{Alphanumeric, Base32, Base64, Dotted, Hex, Word};
use Proof::{Checksum, Distinct, Random, Tail};
use Rule::{By, Key};

/// Sources: what each vendor says of its own tokens, in its documentation or where it announced their form; the
/// lengths that its own examples have. Formats with the same beginning stand together.
const FORMATS: &[Format] = &[
    Format("GitHub token", "ghp_", Key(Alphanumeric, 36, 255, Checksum)),
    Format("GitHub token", "gho_", Key(Alphanumeric, 36, 255, Checksum)),
    Format("GitHub token", "ghu_", Key(Alphanumeric, 36, 255, Checksum)),
    Format("GitHub token", "ghr_", Key(Alphanumeric, 36, 255, Checksum)),
    // Since 2026 an installation's token is the App's id and a JWT, 520 characters and more.
    Format("GitHub token", "ghs_", Key(Dotted, 36, 1500, Checksum)),
    Format("GitHub token", "github_pat_", Key(Word, 50, 255, Random)),
    Format("GitLab token", "glpat-", Key(Dotted, 20, 300, Random)),
    Format("GitLab token", "gldt-", Key(Dotted, 20, 300, Random)),
    Format("GitLab token", "glrt-", Key(Dotted, 20, 300, Random)),
    Format("GitLab token", "glptt-", Key(Dotted, 20, 300, Random)),
    Format("GitLab token", "glcbt-", Key(Dotted, 20, 300, Random)),
    Format("GitLab token", "gloas-", Key(Dotted, 20, 300, Random)),
    Format("AWS access key", "AKIA", Key(Base32, 16, 16, Distinct(8))),
    Format("AWS access key", "ASIA", Key(Base32, 16, 16, Distinct(8))),
    Format("AWS access key", "ABIA", Key(Base32, 16, 16, Distinct(8))),
    Format("AWS secret key", "aws_secret_access_key", By(special::aws_secret)),
    Format("AWS secret key", "AWS_SECRET_ACCESS_KEY", By(special::aws_secret)),
    Format("AWS secret key", "secretAccessKey", By(special::aws_secret)),
    Format("AWS secret key", "SecretAccessKey", By(special::aws_secret)),
    Format("Azure key", "AccountKey=", Key(Base64, 88, 88, Random)),
    Format("Azure key", "SharedAccessKey=", Key(Base64, 44, 44, Random)),
    Format("Google API key", "AIza", Key(Word, 35, 35, Random)),
    Format("Google client secret", "GOCSPX-", Key(Word, 28, 28, Random)),
    Format("Google access token", "ya29.", Key(Dotted, 60, 2000, Random)),
    Format("Slack token", "xoxb-", Key(Word, 24, 250, Tail)),
    Format("Slack token", "xoxp-", Key(Word, 24, 250, Tail)),
    Format("Slack token", "xoxa-", Key(Word, 24, 250, Tail)),
    Format("Slack token", "xoxr-", Key(Word, 24, 250, Tail)),
    Format("Slack token", "xoxs-", Key(Word, 24, 250, Tail)),
    Format("Slack token", "xoxe-", Key(Word, 24, 250, Tail)),
    Format("Slack token", "xapp-", Key(Word, 24, 250, Tail)),
    Format("Slack webhook", "hooks.slack.com/services/", By(special::slack_webhook)),
    Format("Stripe key", "sk_live_", Key(Alphanumeric, 24, 250, Random)),
    Format("Stripe key", "rk_live_", Key(Alphanumeric, 24, 250, Random)),
    Format("Stripe key", "sk_test_", Key(Alphanumeric, 24, 250, Random)),
    Format("Stripe key", "rk_test_", Key(Alphanumeric, 24, 250, Random)),
    Format("Stripe webhook secret", "whsec_", Key(Base64, 32, 250, Random)),
    Format("npm token", "npm_", Key(Alphanumeric, 36, 36, Checksum)),
    // The macaroon says whose it is: `pypi.org`, `test.pypi.org`.
    Format("PyPI token", "pypi-AgEIcHlwaS5vcmc", Key(Word, 50, 1000, Random)),
    Format("PyPI token", "pypi-AgENdGVzdC5weXBpLm9yZw", Key(Word, 50, 1000, Random)),
    Format("RubyGems key", "rubygems_", Key(Hex, 48, 48, Random)),
    Format("Docker token", "dckr_pat_", Key(Word, 27, 80, Random)),
    Format("Anthropic key", "sk-ant-", Key(Word, 36, 250, Random)),
    Format("OpenAI key", "sk-proj-", Key(Word, 40, 250, Random)),
    Format("OpenAI key", "sk-svcacct-", Key(Word, 40, 250, Random)),
    Format("OpenAI key", "sk-admin-", Key(Word, 40, 250, Random)),
    Format("OpenAI key", "T3BlbkFJ", By(special::openai_of_old)),
    Format("OpenRouter key", "sk-or-v1-", Key(Hex, 64, 64, Random)),
    Format("Hugging Face token", "hf_", Key(Alphanumeric, 34, 40, Random)),
    Format("Groq key", "gsk_", Key(Alphanumeric, 52, 52, Random)),
    Format("xAI key", "xai-", Key(Alphanumeric, 80, 80, Random)),
    Format("Replicate token", "r8_", Key(Alphanumeric, 37, 37, Random)),
    Format("DigitalOcean token", "dop_v1_", Key(Hex, 64, 64, Random)),
    Format("DigitalOcean token", "doo_v1_", Key(Hex, 64, 64, Random)),
    Format("Shopify token", "shpat_", Key(Hex, 32, 32, Random)),
    Format("Shopify token", "shpss_", Key(Hex, 32, 32, Random)),
    Format("Databricks token", "dapi", Key(Hex, 32, 32, Random)),
    Format("Grafana token", "glsa_", Key(Word, 41, 41, Random)),
    Format("Vault token", "hvs.", Key(Word, 24, 300, Random)),
    Format("Vault token", "hvb.", Key(Word, 24, 300, Random)),
    Format("Terraform token", ".atlasv1.", By(special::terraform)),
    Format("Atlassian token", "ATATT3", Key(Base64, 80, 250, Random)),
    Format("SendGrid key", "SG.", By(special::sendgrid)),
    Format("Linear key", "lin_api_", Key(Alphanumeric, 40, 40, Random)),
    Format("Pulumi token", "pul-", Key(Hex, 40, 40, Random)),
    Format("Postman key", "PMAK-", Key(Word, 59, 59, Random)),
    Format("Tailscale key", "tskey-", Key(Word, 20, 120, Random)),
    Format("age key", "AGE-SECRET-KEY-1", Key(Alphanumeric, 58, 58, Distinct(16))),
    Format("private key", "PRIVATE KEY", By(special::private_key)),
    Format("JSON Web Token", "eyJ", By(special::web_token)),
    Format("password in an address", "://", By(special::password)),
];

/// Keys that their vendors print in their own documentation.
const PUBLISHED: [&[u8]; 3] = [
    b"sk_test_4eC39HqLyjWDarjtT1zdp7dc",
    b"AKIAIOSFODNN7EXAMPLE",
    b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
];

/// What finds them.
#[derive(Debug)]
pub(super) struct Vendors {
    beginnings: AhoCorasick,
}

impl Vendors {
    pub(super) fn new() -> Result<Self> {
        let texts = FORMATS.iter().map(|format| format.1);
        let beginnings = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(texts)
            .or_fail(Kind::Internal, || "cannot prepare the search for secrets")?;
        Ok(Self { beginnings })
    }

    /// Adds what a view shows of them.
    pub(super) fn find(&self, view: &View<'_>, hits: &mut Vec<Hit>) {
        let text = view.bytes();
        for beginning in self.beginnings.find_iter(text) {
            let Some(Format(kind, _, rule)) = FORMATS.get(beginning.pattern().as_usize()) else { continue };
            let Some(range) = rule.key(text, beginning.range()) else { continue };
            let value = &text[range.clone()];
            if !PUBLISHED.contains(&value) {
                let (form, place) = (view.form(), view.place(&range));
                hits.push(Hit { kind, form, range: place, piece: None, digest: Some(digest::short(value)) });
            }
        }
    }
}

impl Rule {
    fn key(&self, text: &[u8], beginning: Range<usize>) -> Option<Range<usize>> {
        match self {
            Self::By(find) => find(text, beginning),
            Self::Key(made, least, most, proof) => {
                let starts_word = beginning.start == 0 || !text[beginning.start - 1].is_ascii_alphanumeric();
                let mut length =
                    text[beginning.end..].iter().take(most + 1).take_while(|byte| made.has(**byte)).count();
                // A full stop after a token ends the sentence.
                while length > 0 && text[beginning.end + length - 1] == b'.' {
                    length -= 1;
                }
                let key = beginning.end..beginning.end + length;
                let is_it =
                    starts_word && (*least..=*most).contains(&length) && proof.holds(&text[key.clone()]);
                is_it.then_some(beginning.start..key.end)
            }
        }
    }
}

impl Proof {
    fn holds(self, key: &[u8]) -> bool {
        match self {
            Self::Random => looks_random(key),
            Self::Tail => {
                let tail = key.rsplit(|byte| *byte == b'-').next().unwrap_or_default();
                tail.len() >= 16 && looks_random(tail)
            }
            // So long a one cannot be a word, and a number in it may be a row.
            Self::Checksum if key.len() > 100 => distinct(key) >= 16,
            Self::Checksum => has_checksum(key) || looks_random(key),
            Self::Distinct(least) => distinct(key) >= least && !key.ends_with(b"EXAMPLE"),
        }
    }
}

/// Whether a key ends with the CRC-32 of the rest in base62, as GitHub's and npm's do.
pub(super) fn has_checksum(key: &[u8]) -> bool {
    let Some((rest, checksum)) = key.split_last_chunk::<6>() else { return false };
    let mut left = crc32fast::hash(rest);
    let mut wanted = [b'0'; 6];
    for digit in wanted.iter_mut().rev() {
        *digit = BASE_62[(left % 62) as usize];
        left /= 62;
    }
    wanted == *checksum
}

const BASE_62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn githubs_own_example_has_its_checksum() {
        assert!(has_checksum(b"zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17"));
        assert!(!has_checksum(b"zQWBuTSOoRi4A9spHcVY5ncnsDkxkK0mLq17"));
        assert!(!has_checksum(b"short"));
    }

    #[test]
    fn no_beginning_stands_twice() {
        let mut beginnings: Vec<&str> = FORMATS.iter().map(|format| format.1).collect();
        beginnings.sort_unstable();
        assert!(beginnings.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
