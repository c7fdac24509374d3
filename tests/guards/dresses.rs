//! Secrets as vendors draw them, and the dresses in which somebody may hide one.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use fastrand::Rng;

const BASE_62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const WORD: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-";
const SIXTY_FOUR: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+/";
const HEX: &[u8] = b"0123456789abcdef";
const BASE_32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn draw(random: &mut Rng, alphabet: &[u8], length: usize) -> String {
    (0..length).map(|_| char::from(alphabet[random.usize(..alphabet.len())])).collect()
}

/// A value of which nothing can be told: cq must know it.
pub(crate) fn value(random: &mut Rng) -> String {
    let length = random.usize(20..64);
    draw(random, WORD, length)
}

/// What GitHub and npm do: thirty characters and their CRC-32 in base62, bit by bit, as it was published.
fn with_checksum(random: &mut Rng) -> String {
    let key = draw(random, BASE_62, 30);
    let mut crc = u32::MAX;
    for byte in key.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    let (mut left, mut checksum) = (!crc, String::new());
    for _ in 0..6 {
        checksum.insert(0, char::from(BASE_62[left as usize % 62]));
        left /= 62;
    }
    format!("{key}{checksum}")
}

/// A JSON Web Token.
fn web_token(random: &mut Rng) -> String {
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(serde_json::json!({"alg": "HS256", "typ": "JWT"}));
    let payload = part(serde_json::json!({"sub": draw(random, BASE_62, 12), "iat": 1_760_000_000}));
    format!("{header}.{payload}.{}", draw(random, WORD, 43))
}

/// A key in the armour of PEM.
fn armoured(random: &mut Rng, kind: &str) -> String {
    let body: Vec<String> = (0..6).map(|_| draw(random, SIXTY_FOUR, 64)).collect();
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", body.join("\n"))
}

/// How many vendors there are.
pub(crate) const VENDORS: usize = 32;

/// The nth vendor's key: what it is called, and itself.
pub(crate) fn vendor(random: &mut Rng, number: usize) -> (&'static str, String) {
    let mut drawn = |alphabet: &[u8], length: usize| draw(random, alphabet, length);
    match number % VENDORS {
        0 => ("GitHub token", format!("ghp_{}", with_checksum(random))),
        1 => ("GitHub token", format!("gho_{}", with_checksum(random))),
        2 => ("GitHub token", format!("github_pat_{}_{}", drawn(BASE_62, 22), drawn(BASE_62, 59))),
        3 => (
            "GitHub token",
            format!("ghs_12345_{}.{}.{}", drawn(WORD, 60), drawn(WORD, 240), drawn(WORD, 205)),
        ),
        4 => ("GitLab token", format!("glpat-{}", drawn(WORD, 20))),
        5 => ("AWS access key", format!("AKIA{}", drawn(BASE_32, 16))),
        6 => ("AWS secret key", format!("aws_secret_access_key = {}", drawn(SIXTY_FOUR, 40))),
        7 => (
            "Slack token",
            format!("xoxb-{}-{}-{}", 901_234_567_890_u64, 891_234_567_890_u64, drawn(BASE_62, 24)),
        ),
        8 => (
            "Slack webhook",
            format!(
                "https://hooks.slack.com/services/T{}/B{}/{}",
                drawn(BASE_32, 10),
                drawn(BASE_32, 10),
                drawn(BASE_62, 24)
            ),
        ),
        9 => ("Stripe key", format!("sk_live_{}", drawn(BASE_62, 24))),
        10 => ("Google API key", format!("AIza{}", drawn(WORD, 35))),
        11 => ("Google client secret", format!("GOCSPX-{}", drawn(WORD, 28))),
        12 => ("npm token", format!("npm_{}", with_checksum(random))),
        13 => ("PyPI token", format!("pypi-AgEIcHlwaS5vcmc{}", drawn(WORD, 150))),
        14 => ("Anthropic key", format!("sk-ant-api03-{}AA", drawn(WORD, 93))),
        15 => ("OpenAI key", format!("sk-proj-{}", drawn(WORD, 148))),
        16 => ("OpenAI key", format!("sk-{}T3BlbkFJ{}", drawn(BASE_62, 20), drawn(BASE_62, 20))),
        17 => ("private key", armoured(random, "RSA PRIVATE KEY")),
        18 => ("private key", armoured(random, "OPENSSH PRIVATE KEY")),
        19 => ("JSON Web Token", web_token(random)),
        20 => ("SendGrid key", format!("SG.{}.{}", drawn(WORD, 22), drawn(WORD, 43))),
        21 => ("Hugging Face token", format!("hf_{}", drawn(&BASE_62[10..], 34))),
        22 => ("DigitalOcean token", format!("dop_v1_{}", drawn(HEX, 64))),
        23 => ("Shopify token", format!("shpat_{}", drawn(HEX, 32))),
        24 => ("Azure key", format!("AccountKey={}==", drawn(SIXTY_FOUR, 86))),
        25 => (
            "password in an address",
            format!("postgres://app:{}7x@db.internal:5432/main", drawn(BASE_62, 18)),
        ),
        26 => ("Vault token", format!("hvs.{}", drawn(WORD, 90))),
        27 => ("Docker token", format!("dckr_pat_{}", drawn(WORD, 27))),
        28 => ("Databricks token", format!("dapi{}", drawn(HEX, 32))),
        29 => ("Terraform token", format!("{}.atlasv1.{}", drawn(BASE_62, 14), drawn(WORD, 67))),
        30 => ("private key", armoured(random, "EC PRIVATE KEY").replace('\n', "\\n")),
        _ => ("Groq key", format!("gsk_{}", drawn(BASE_62, 52))),
    }
}

fn hex(text: &[u8]) -> String {
    text.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn percent(text: &str, is_written: impl Fn(usize) -> bool) -> String {
    text.bytes().enumerate().fold(String::new(), |mut out, (at, byte)| {
        let _ = if is_written(at) { write!(out, "%{byte:02X}") } else { write!(out, "{}", char::from(byte)) };
        out
    })
}

fn reversed(text: &str) -> String {
    text.chars().rev().collect()
}

/// How many dresses there are for a value that cq knows.
pub(crate) const DRESSES: usize = 24;

/// A value that cq knows, in the nth dress.
pub(crate) fn dressed(random: &mut Rng, secret: &str, number: usize) -> Vec<u8> {
    let length = secret.len();
    let long = (length * 3).div_ceil(5).clamp(8, 16);
    let text = match number % DRESSES {
        0 => secret.to_owned(),
        1 => STANDARD.encode(secret),
        2 => STANDARD.encode(format!("a{secret}")),
        3 => STANDARD.encode(format!("ab{secret} and more")),
        4 => URL_SAFE.encode(format!("?>{secret}")),
        5 => URL_SAFE_NO_PAD.encode(format!("?{secret}")),
        6 => hex(secret.as_bytes()),
        7 => hex(secret.as_bytes()).to_uppercase(),
        8 => percent(secret, |_| true),
        9 => percent(secret, |at| at % 3 == 1),
        10 => percent(secret, |at| at == 7),
        11 => reversed(secret),
        12 => secret[..long].to_owned(),
        13 => secret[length - long..].to_owned(),
        14 => secret[(length - long) / 2..][..long].to_owned(),
        15 => reversed(&STANDARD.encode(secret)),
        16 => STANDARD.encode(reversed(secret)),
        17 => STANDARD.encode(STANDARD.encode(secret)),
        18 => hex(STANDARD.encode(secret).as_bytes()),
        19 => secret.bytes().fold(String::new(), |text, byte| format!("{text}\\x{byte:02x}")),
        20 => secret.bytes().fold(String::new(), |text, byte| format!("{text}0x{byte:02X}, ")),
        21 => {
            let encoded = STANDARD.encode(format!("user:{secret}@example.org, and some more words after it"));
            let lines: Vec<String> = encoded
                .as_bytes()
                .chunks(24)
                .map(|line| String::from_utf8_lossy(line).into_owned())
                .collect();
            lines.join("\n  ")
        }
        22 => format!("\"{}\" +\n    \"{}\"", &secret[..length / 2], &secret[length / 2..]),
        _ => return secret.encode_utf16().flat_map(u16::to_le_bytes).collect(),
    };
    let before = ["key = ", "export const k='", "", "# ", "<value>"][random.usize(..5)];
    format!("{before}{text}").into_bytes()
}
