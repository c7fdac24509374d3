//! What is found, in which dress; what is not; how long it takes.

use std::fmt::Write as _;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};

use super::*;

const SECRET: &str = "kX92mQvB7rT4nLp0Zs-wEcUyH31dGa";

fn scanner() -> Scanner {
    Scanner::knowing(&[SECRET.to_owned()]).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn percent(text: &str, every: usize) -> String {
    text.bytes().enumerate().fold(String::new(), |mut out, (at, byte)| {
        let _ = if at % every == 0 { write!(out, "%{byte:02X}") } else { write!(out, "{}", byte as char) };
        out
    })
}

fn forms(bytes: &[u8]) -> Vec<String> {
    scanner().scan(bytes).iter().map(|hit| hit.form.join(" ")).collect()
}

#[test]
fn a_known_value_is_found_in_every_dress() {
    let backwards: String = SECRET.chars().rev().collect();
    let wide: Vec<u8> = SECRET.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let wrapped =
        STANDARD.encode(format!("some words before it, {SECRET}, and some after it, and more of them"));
    let wrapped = wrapped.as_bytes().chunks(20).map(|line| String::from_utf8_lossy(line).into_owned());
    let mut cases: Vec<(Vec<u8>, &str)> = vec![
        (SECRET.into(), ""),
        (backwards.clone().into(), "reversed"),
        (hex(SECRET.as_bytes()).into(), "hex"),
        (hex(SECRET.as_bytes()).to_uppercase().into(), "hex"),
        (hex(backwards.as_bytes()).into(), "hex reversed"),
        (SECRET.bytes().fold(String::new(), |text, byte| format!("{text}0x{byte:02x}, ")).into(), "hex"),
        (
            SECRET.bytes().fold(String::new(), |text, byte| format!("{text}\\x{byte:02x}")).into(),
            "URL-encoded",
        ),
        (percent(SECRET, 1).into(), "URL-encoded"),
        (percent(SECRET, 2).into(), "URL-encoded"),
        (percent(SECRET, 7).into(), "URL-encoded"),
        (SECRET[..16].into(), ""),
        (SECRET[9..27].into(), ""),
        (format!("\"{}\" + \"{}\"", &SECRET[..17], &SECRET[17..]).into(), ""),
        (format!("\"{}\"\n  \"{}\"", &SECRET[..9], &SECRET[9..]).into(), ""),
        (wide, ""),
        (wrapped.collect::<Vec<_>>().join("\n").into(), "base64"),
        (STANDARD.encode(STANDARD.encode(SECRET)).into(), "base64 base64"),
        (STANDARD.encode(hex(SECRET.as_bytes())).into(), "base64 hex"),
        (hex(STANDARD.encode(SECRET).as_bytes()).into(), "hex base64"),
        (STANDARD.encode(SECRET).chars().rev().collect::<String>().into(), "base64 backwards"),
    ];
    for before in ["", "a", "ab", "abc"] {
        for text in
            [STANDARD.encode(format!("{before}{SECRET}")), URL_SAFE.encode(format!("{before}{SECRET}?>"))]
        {
            cases.push((text.clone().into(), "base64"));
            cases.push((format!("path/{text}").into(), "base64"));
            cases.push((format!("x{text}").into(), "base64"));
        }
    }
    for (text, form) in cases {
        let dressed = [b"key = ".as_slice(), &text, b" # of mine\n"].concat();
        let found = forms(&dressed);
        assert!(
            found.iter().any(|found| found == form),
            "{form}: {found:?} in {}",
            String::from_utf8_lossy(&text)
        );
        let hit = &scanner().scan(&dressed)[0];
        assert!(
            hit.range.end <= dressed.len() && hit.range.start >= 3,
            "{:?} {}",
            hit.range,
            String::from_utf8_lossy(&text)
        );
    }
}

#[test]
fn what_is_less_than_a_long_piece_is_nothing() {
    for text in [&SECRET[..15], &SECRET[12..27], "kX92mQvB and 7rT4nLp0Zs", ""] {
        assert_eq!(forms(text.as_bytes()), [""; 0], "{text}");
    }
    // Three fifths of a short one.
    let scanner = Scanner::knowing(&["hunter2hunter2".to_owned()]).unwrap();
    assert_eq!(scanner.scan(b"hunter2hu").len(), 1);
    assert_eq!(scanner.scan(b"hunter2h").len(), 0);
}

#[test]
fn vendors_keys_are_found_plainly_and_encoded() {
    let keys = [
        ("GitHub token", ["ghp", "zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17"].join("_")),
        ("GitHub token", format!("ghs_1234567_{}", "eyJ0eXAi.OiJKV1Qi-LCJh9_xQ2".repeat(19))),
        (
            "Slack webhook",
            ["https://hooks.slack.com/services", "T01AB2CD3", "B03CD4EF5", "x7Kq2mZp9LwTn4VbR8sYcD1e"]
                .join("/"),
        ),
        ("password in an address", ["postgres://app", ":Xk29dkQpL0aa", "@db.internal/main"].concat()),
        ("AWS secret key", ["aws_secret_access_key", " = q7Kx2mZp9LwTn4VbR8sYcD1eF3gH5jU0iO6aS/+W"].concat()),
    ];
    let scanner = Scanner::knowing(&[]).unwrap();
    for (kind, key) in keys {
        for text in
            [format!("a = '{key}'\n"), format!("{key}. And so on"), STANDARD.encode(format!("x {key}"))]
        {
            let hits = scanner.scan(text.as_bytes());
            assert!(hits.iter().any(|hit| hit.kind == kind), "{hits:?} in {text}");
        }
    }
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signature = "q7Kx2mZp9LwTn4VbR8sYcD1eF3gH5jU0iO6aSQw_x-Z";
    let (header, payload) =
        (part(serde_json::json!({"alg": "HS256"})), part(serde_json::json!({"sub": "1"})));
    let token = format!("Bearer {header}.{payload}.{signature}");
    assert_eq!(scanner.scan(token.as_bytes())[0].kind, "JSON Web Token");
    let not_one = format!("Bearer {header}.{header}x.{signature}");
    assert!(scanner.scan(not_one.as_bytes()).is_empty());
}

#[test]
fn a_private_key_is_found_in_a_file_and_in_a_string() {
    let key = include_str!("../../tests/data/github-app.pem");
    let scanner = Scanner::knowing(&[]).unwrap();
    let in_json = serde_json::json!({ "private_key": key }).to_string();
    let in_code = key.lines().map(|line| format!("    \"{line}\\n\"")).collect::<Vec<_>>().join(" +\n");
    for text in [key.to_owned(), in_json, in_code, key.replace('\n', "\r\n")] {
        let hits = scanner.scan(text.as_bytes());
        assert_eq!(hits.iter().map(|hit| hit.kind).collect::<Vec<_>>(), ["private key"], "{text}");
    }
    for text in [
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
        "-----BEGIN PUBLIC KEY-----",
        "PRIVATE KEY",
    ] {
        assert!(scanner.scan(text.as_bytes()).is_empty(), "{text}");
    }
}

#[test]
fn examples_are_no_secrets() {
    let scanner = Scanner::knowing(&[]).unwrap();
    for text in [
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "AKIAIOSFODNN7EXAMPLE",
        "sk-ant-api03-your-key-goes-in-here-and-nowhere-else",
        "npm_config_registry npm_lifecycle_event",
        "https://user:password123@example.com/",
        "http://user:p%3Ass:tail@localhost:3128 http://foo:%F0%9F%92%A9@example.com/bar",
        "https://$USER:${TOKEN_1}@github.com/",
        "glpat-<your token of twenty characters>",
        "the task-antagonist, and a-very-long-sk-proj-ect-name-that-goes-on-and-on-for-ever",
    ] {
        assert!(scanner.scan(text.as_bytes()).is_empty(), "{:?} in {text}", scanner.scan(text.as_bytes()));
    }
}

#[test]
fn a_hit_never_shows_the_value() {
    let key = ["ghp", "zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17"].join("_");
    let text = format!("{SECRET} {key}");
    let hits = scanner().scan(text.as_bytes());
    assert_eq!(hits.len(), 2);
    for hit in &hits {
        let told = format!("{hit:?} {} {}", hit.title(), hit.fingerprint("a"));
        assert!(!told.contains(SECRET) && !told.contains(&key), "{told}");
    }
    let told = format!("{:?}", scanner());
    assert!(!told.contains(&SECRET[..16]), "{told}");
    // A vendor's key is known again wherever it stands; of a value that may be guessed only the place is told.
    assert_ne!(hits[0].fingerprint("a"), hits[0].fingerprint("b"));
    assert_eq!(hits[1].fingerprint("a"), hits[1].fingerprint("b"));
}

#[test]
fn a_text_is_masked_whatever_the_dress() {
    let encoded = STANDARD.encode(format!("ab{SECRET}"));
    let text = format!("é: {SECRET}, or ({encoded}) é.");
    let masked = scanner().mask(&text);
    assert!(masked.starts_with("é: [redacted], or (") && masked.ends_with(") é."), "{masked}");
    assert!(scanner().scan(masked.as_bytes()).is_empty(), "{masked}");
    assert_eq!(scanner().mask("nothing here"), "nothing here");
}

/// What can be read at every offset, and what comes out of it again, is not opened without end.
#[test]
fn what_opens_everywhere_is_not_opened_for_ever() {
    // Each four of these characters, wherever one begins, give text.
    let text = b"b21t".repeat(30_000);
    let started = Instant::now();
    assert!(scanner().scan(&text).is_empty());
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

/// A megabyte of this library's own source, with a long token known.
#[test]
fn a_megabyte_is_read_in_well_under_a_second() {
    let mut text = Vec::new();
    while text.len() < 1 << 20 {
        for source in [include_str!("mod.rs"), include_str!("vendors.rs"), include_str!("views.rs")] {
            text.extend_from_slice(source.as_bytes());
        }
    }
    let token = (0..65).map(|at| format!("a{at}Zq{}", at * 7919)).collect::<Vec<_>>().join("x");
    let scanner = Scanner::knowing(&[SECRET.to_owned(), token]).unwrap();
    let started = Instant::now();
    let hits = scanner.scan(&text);
    println!("{} bytes in {:?}, {hits:?}", text.len(), started.elapsed());
    // Not optimised, and on a busy machine; `scripts/bench` has the figure that counts.
    assert!(started.elapsed().as_secs() < 20);
}
