//! Who asks: nobody, whoever holds a token, or a GitHub App.

use std::fmt;

use super::app::App;
use crate::clock::Timestamp;
use crate::error::{Error, Kind, Result};

/// What requests are signed with.
#[derive(Debug)]
pub enum Credential {
    /// Nothing: only what is public can be read.
    Anonymous,
    /// A token that does not change.
    Token(Held),
    /// The installation of an App, whose tokens last an hour.
    App(Box<App>),
}

/// Where a token comes from, in the order in which they are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// `github.app`.
    App,
    /// `github.token`.
    Configuration,
    /// GITHUB_TOKEN.
    GitHubToken,
    /// GH_TOKEN.
    GhToken,
    /// `gh auth token`.
    Gh,
}

impl Source {
    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::App => "github.app",
            Self::Configuration => "github.token",
            Self::GitHubToken => "GITHUB_TOKEN",
            Self::GhToken => "GH_TOKEN",
            Self::Gh => "gh auth token",
        }
    }
}

/// A token that does not change, and where it comes from.
#[derive(Clone)]
pub struct Held {
    token: String,
    /// Where it comes from.
    pub source: Source,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a token from {}", self.source.name())
    }
}

impl Held {
    /// Refuses what no header can carry, which is a line end more often than not.
    pub fn new(token: String, source: Source) -> Result<Self> {
        if is_token(&token) {
            return Ok(Self { token, source });
        }
        let message =
            format!("the token of {} is none: it is empty, or holds a space or a line end", source.name());
        Err(Error::new(Kind::Config, message).hint("copy the token again, without anything around it"))
    }

    /// The token itself.
    pub fn token(&self) -> &str {
        &self.token
    }
}

/// Visible ASCII only, whatever the length: the long form of an installation's token has some 520 characters.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Credential {
    /// The token to send now.
    pub fn token(&self) -> Result<Option<String>> {
        match self {
            Self::Anonymous => Ok(None),
            Self::Token(held) => Ok(Some(held.token.clone())),
            Self::App(app) => app.token().map(|minted| Some(minted.token)),
        }
    }

    /// Gets another token after GitHub refused this one; whether there is one.
    pub fn renew(&self, refused: &str) -> Result<bool> {
        match self {
            Self::Anonymous | Self::Token(_) => Ok(false),
            Self::App(app) => app.renew(refused).map(|()| true),
        }
    }

    /// Whether there is none.
    pub fn is_anonymous(&self) -> bool {
        matches!(self, Self::Anonymous)
    }

    /// Where the token comes from.
    pub fn source(&self) -> Option<Source> {
        match self {
            Self::Anonymous => None,
            Self::Token(held) => Some(held.source),
            Self::App(_) => Some(Source::App),
        }
    }

    /// When the token ends, where that is known.
    pub fn expires_at(&self) -> Result<Option<Timestamp>> {
        match self {
            Self::Anonymous | Self::Token(_) => Ok(None),
            Self::App(app) => app.token().map(|minted| Some(minted.expires_at)),
        }
    }

    /// Names the holder of the limits, without telling the token: part of a file name.
    pub fn identity(&self) -> Result<String> {
        match self {
            Self::Anonymous => Ok("anonymous".to_owned()),
            Self::Token(held) => Ok(format!("{:032x}", digest(&held.token))),
            Self::App(app) => app.identity(),
        }
    }

    /// Names the token that answers are kept for: an ETag is good only for the token that got it.
    pub fn cache_key(&self) -> Result<String> {
        Ok(self.token()?.map_or_else(|| "anonymous".to_owned(), |token| format!("{:032x}", digest(&token))))
    }
}

/// The first half of a SHA-256: names, not secrets.
pub(super) fn digest(text: &str) -> u128 {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().take(16).fold(0, |number, byte| number << 8 | u128::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_header_can_carry_is_no_token() {
        let long = ["ghs_1_", &"aB3.-_".repeat(86)].concat();
        let cases =
            [("t", true), (&long, true), ("", false), ("a b", false), ("t\n", false), ("tökn", false)];
        for (text, expected) in cases {
            assert_eq!(Held::new(text.to_owned(), Source::GhToken).is_ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn no_debug_output_holds_a_token() {
        let credential = Credential::Token(Held::new("s3cret".into(), Source::Gh).unwrap());
        assert_eq!(format!("{credential:?}"), "Token(a token from gh auth token)");
    }
}
