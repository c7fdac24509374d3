//! How git asks a program for a password: the credential-helper protocol (git-credential(1)) and the question of
//! `GIT_ASKPASS`. Pure.

use chrono::DateTime;
use url::Url;

use crate::clock::Timestamp;

/// The user's name that goes with a token; GitHub does not look at it.
pub const USER: &str = "x-access-token";

/// What git says to a helper. Keys that it does not need, `capability[]` among them, are passed over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    protocol: String,
    host: String,
    /// The password that git was refused with, when it says `erase`.
    pub password: Option<String>,
}

impl Asked {
    /// Reads `key=value` lines up to an empty one.
    pub fn read(text: &str) -> Self {
        let mut asked = Self::default();
        for line in text.lines().take_while(|line| !line.is_empty()) {
            let Some((key, value)) = line.split_once('=') else { continue };
            match key {
                "protocol" => value.clone_into(&mut asked.protocol),
                "host" => value.clone_into(&mut asked.host),
                "password" => asked.password = Some(value.to_owned()),
                _ => {}
            }
        }
        asked
    }

    /// Whether this is about exactly that server: scheme, host and port.
    pub fn is_about(&self, server: &Url) -> bool {
        let plain = !self.host.contains(['/', '@', '?', '#', '\\']);
        plain && is_same(&format!("{}://{}/", self.protocol, self.host), server)
    }
}

/// The answer to `get`.
pub fn answer(token: &str, expires_at: Option<Timestamp>) -> String {
    let expiry = expires_at.as_ref().map(DateTime::timestamp);
    let expiry = expiry.map(|at| format!("password_expiry_utc={at}\n")).unwrap_or_default();
    format!("username={USER}\npassword={token}\n{expiry}")
}

/// What `GIT_ASKPASS` is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// `Username for 'https://host': `
    User,
    /// `Password for 'https://user@host': `
    Password,
}

/// Reads a question of git's, and the address that it is about.
pub fn question(text: &str) -> Option<(Question, &str)> {
    let (question, rest) = match (text.strip_prefix("Username for "), text.strip_prefix("Password for ")) {
        (Some(rest), _) => (Question::User, rest),
        (_, Some(rest)) => (Question::Password, rest),
        _ => return None,
    };
    let address = rest.trim_end().trim_end_matches(':').strip_prefix('\'')?.strip_suffix('\'')?;
    Some((question, address))
}

/// Whether an address leads to exactly that server: scheme, host and port.
pub fn is_same(address: &str, server: &Url) -> bool {
    Url::parse(address)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.origin() == server.origin())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn only_the_configured_server_is_answered() {
        let cases = [
            ("protocol=https\nhost=github.com\n", "https://github.com", true),
            ("protocol=https\nhost=github.com:443\npath=o/r.git\n", "https://github.com", true),
            (
                "capability[]=authtype\ncapability[]=state\nprotocol=https\nhost=github.com\n\n",
                "https://github.com",
                true,
            ),
            ("protocol=https\nhost=GitHub.com\n", "https://github.com", true),
            ("protocol=http\nhost=github.com\n", "https://github.com", false),
            ("protocol=https\nhost=github.com:8443\n", "https://github.com", false),
            ("protocol=https\nhost=github.com.evil.example\n", "https://github.com", false),
            ("protocol=https\nhost=evil.example/github.com\n", "https://github.com", false),
            ("protocol=https\nhost=evil.example\\@github.com\n", "https://github.com", false),
            ("protocol=https\nhost=evil.example#@github.com\n", "https://github.com", false),
            ("protocol=https\nhost=user@github.com\n", "https://github.com", false),
            ("protocol=ssh\nhost=github.com\n", "https://github.com", false),
            ("host=github.com\n", "https://github.com", false),
            ("\nprotocol=https\nhost=github.com\n", "https://github.com", false),
            ("protocol=http\nhost=127.0.0.1:8080\n", "http://127.0.0.1:8080/", true),
            ("protocol=http\nhost=127.0.0.1:8081\n", "http://127.0.0.1:8080/", false),
            ("protocol=http\nhost=localhost:8080\n", "http://127.0.0.1:8080/", false),
            ("", "https://github.com", false),
        ];
        for (text, of, expected) in cases {
            assert_eq!(Asked::read(text).is_about(&server(of)), expected, "{text:?}");
        }
        assert_eq!(Asked::read("password=a=b\n").password.as_deref(), Some("a=b"));
    }

    #[test]
    fn git_is_told_when_a_password_ends() {
        assert_eq!(answer("t", None), "username=x-access-token\npassword=t\n");
        let at = Timestamp::from_timestamp(1_800_000_000, 0);
        assert!(answer("t", at).ends_with("\npassword_expiry_utc=1800000000\n"));
    }

    #[test]
    fn questions_name_their_server() {
        let cases = [
            ("Username for 'https://github.com': ", Some((Question::User, "https://github.com"))),
            (
                "Password for 'https://x-access-token@github.com': ",
                Some((Question::Password, "https://x-access-token@github.com")),
            ),
            ("Enter passphrase for key '/home/me/.ssh/id': ", None),
            ("Username for https://github.com", None),
        ];
        for (text, expected) in cases {
            assert_eq!(question(text), expected, "{text}");
        }
        let github = server("https://github.com");
        assert!(is_same("https://x-access-token@github.com", &github));
        assert!(!is_same("https://github.com@evil.example", &github));
        assert!(!is_same("http://github.com", &github));
    }
}
