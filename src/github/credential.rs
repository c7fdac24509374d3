//! Who asks: nobody, or whoever holds a token.

use crate::error::Result;

/// What requests are signed with.
#[derive(Debug)]
pub enum Credential {
    /// Nothing: only what is public can be read.
    Anonymous,
    /// A token that does not change.
    Token(String),
}

impl Credential {
    /// The token to send now.
    pub fn token(&self) -> Result<Option<String>> {
        Ok(match self {
            Self::Anonymous => None,
            Self::Token(token) => Some(token.clone()),
        })
    }

    /// Gets another token after GitHub refused this one; whether there is one.
    pub fn renew(&self) -> Result<bool> {
        match self {
            Self::Anonymous | Self::Token(_) => Ok(false),
        }
    }

    /// Names the holder of the limits, without telling the token: part of a file name.
    pub fn identity(&self) -> String {
        match self {
            Self::Anonymous => "anonymous".to_owned(),
            Self::Token(token) => format!("{:032x}", digest(token)),
        }
    }

    /// Names the token that answers are kept for: an ETag is good only for the token that got it.
    pub fn cache_key(&self) -> String {
        self.identity()
    }
}

/// The first half of a SHA-256: names, not secrets.
pub(super) fn digest(text: &str) -> u128 {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().take(16).fold(0, |number, byte| number << 8 | u128::from(*byte))
}
