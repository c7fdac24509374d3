//! A remote by its address, and the credentials for it, which travel by environment only.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use crate::process::Program;

/// Where the base comes from and branches go.
#[derive(Debug, Clone)]
pub struct Remote {
    /// The address; never holds a token.
    pub address: String,
    /// `scheme://host:port/` and the token that may be sent there.
    credentials: Option<(String, String)>,
}

impl Remote {
    /// A remote that needs no token, or whose transport has its own (ssh).
    pub fn plain(address: impl Into<String>) -> Self {
        Self { address: address.into(), credentials: None }
    }

    /// A remote with a token, which is sent only to the server that it belongs to.
    pub fn with_token(address: impl Into<String>, server: &Url, token: &str) -> Self {
        let address = address.into();
        let belongs = Url::parse(&address)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.origin() == server.origin());
        let origin = format!("{}/", server.origin().ascii_serialization());
        Self { address, credentials: belongs.then(|| (origin, token.to_owned())) }
    }

    /// Whether a token goes along.
    pub fn has_token(&self) -> bool {
        self.credentials.is_some()
    }

    /// Adds the credentials to a git command.
    pub(super) fn authorize(&self, program: Program) -> Program {
        let Some((origin, token)) = &self.credentials else { return program };
        let basic = STANDARD.encode(format!("x-access-token:{token}"));
        program
            .env("GIT_CONFIG_COUNT", "2")
            .env("GIT_CONFIG_KEY_0", format!("http.{origin}.extraHeader"))
            .env("GIT_CONFIG_VALUE_0", format!("Authorization: Basic {basic}"))
            .env("GIT_CONFIG_KEY_1", "http.followRedirects")
            .env("GIT_CONFIG_VALUE_1", "initial")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for (address, expected) in cases {
            assert_eq!(Remote::with_token(address, &server, "t").has_token(), expected, "{address}");
        }
    }
}
