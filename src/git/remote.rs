//! A remote by its address, and the credentials for it, which travel by environment only.

use std::sync::Arc;

use url::Url;

use crate::error::Result;
use crate::github::credential::Credential;
use crate::process::Program;
use crate::redact::basic;

/// Where the base comes from and branches go.
#[derive(Debug, Clone)]
pub struct Remote {
    /// The address; never holds a token.
    pub address: String,
    /// `scheme://host:port/` and whose token may be sent there.
    credentials: Option<(String, Arc<Credential>)>,
}

impl Remote {
    /// A remote that needs no token, or whose transport has its own (ssh).
    pub fn plain(address: impl Into<String>) -> Self {
        Self { address: address.into(), credentials: None }
    }

    /// A remote with a token, which is sent only to the server that it belongs to.
    pub fn signed(address: impl Into<String>, server: &Url, credential: Arc<Credential>) -> Self {
        let address = address.into();
        let belongs = Self::is_of(&address, server);
        let origin = format!("{}/", server.origin().ascii_serialization());
        Self { address, credentials: belongs.then_some((origin, credential)) }
    }

    /// Whether a server's token may be sent to an address.
    pub fn is_of(address: &str, server: &Url) -> bool {
        Url::parse(address)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.origin() == server.origin())
    }

    /// Whether a token goes along.
    pub fn has_token(&self) -> bool {
        self.credentials.as_ref().is_some_and(|(_, credential)| !credential.is_anonymous())
    }

    /// Adds the credentials to a git command. Asked for each time: an App's token lasts an hour.
    pub(super) fn authorize(&self, program: Program) -> Result<Program> {
        let Some((origin, credential)) = &self.credentials else { return Ok(program) };
        let Some(token) = credential.token()? else { return Ok(program) };
        Ok(program
            .env("GIT_CONFIG_COUNT", "2")
            .env("GIT_CONFIG_KEY_0", format!("http.{origin}.extraHeader"))
            .env("GIT_CONFIG_VALUE_0", format!("Authorization: Basic {}", basic(&token)))
            .env("GIT_CONFIG_KEY_1", "http.followRedirects")
            .env("GIT_CONFIG_VALUE_1", "initial"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::github::credential::{Held, Source};

    #[test]
    fn a_token_goes_only_to_its_own_server() {
        let server = Url::parse("https://github.com").unwrap();
        let cases = [
            ("https://github.com/o/r.git", true),
            ("https://github.com:443/o/r.git", true),
            ("http://github.com/o/r.git", false),
            ("https://github.com.evil.example/o/r.git", false),
            ("https://github.com:8443/o/r.git", false),
            ("git@github.com:o/r.git", false),
            ("/srv/r.git", false),
        ];
        let held = Held::new("t".to_owned(), Source::Configuration).unwrap();
        let credential = Arc::new(Credential::Token(held));
        for (address, expected) in cases {
            let remote = Remote::signed(address, &server, Arc::clone(&credential));
            assert_eq!(remote.has_token(), expected, "{address}");
        }
    }
}
