//! Who asks: a person with a token, an App's installation, an App itself with its JWT, or nobody.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::Value;

use super::answer::Failure;
use super::git_http;
use super::server::Lab;
use super::store::Store;
use crate::clock::Timestamp;

tokio::task_local! {
    /// Who asks for what is being answered; outside of a request the main token's user.
    static ASKER: Asker;
}

/// Whoever does what a request asks for.
#[derive(Debug, Clone, Default)]
pub(super) struct Asker {
    pub login: String,
    /// The slug of the App that acts.
    pub app: Option<String>,
    /// The scopes of a classic token.
    pub scopes: Option<Vec<String>>,
    /// What the token of an installation may do.
    pub grant: Option<Grant>,
}

impl Asker {
    pub(super) fn person(login: &str) -> Self {
        Self { login: login.to_owned(), ..Self::default() }
    }

    /// Answers in this one's name.
    pub(super) async fn during<F: Future>(self, work: F) -> F::Output {
        ASKER.scope(self, work).await
    }

    /// Acts in this one's name.
    pub(super) fn act<T>(self, work: impl FnOnce() -> T) -> T {
        ASKER.sync_scope(self, work)
    }
}

/// Who asks.
pub(super) fn asker(store: &Store) -> Asker {
    ASKER.try_with(Asker::clone).unwrap_or_else(|_| Asker::person(&store.viewer))
}

/// A token and whom it speaks for.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub value: String,
    pub user: String,
    pub scopes: Option<Vec<String>>,
    pub expires_at: Option<Timestamp>,
    pub app: Option<String>,
    pub grant: Option<Grant>,
}

/// What an installation's token may do.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    pub installation: u64,
    /// `issues` to `write`, and so on.
    pub permissions: BTreeMap<String, String>,
    /// `owner/name`; none means all of the account's.
    pub repositories: Option<Vec<String>>,
}

/// A GitHub App.
#[derive(Debug, Clone)]
pub(super) struct App {
    pub id: u64,
    pub slug: String,
    pub owner: String,
    /// RSA public key, PKCS#1 DER.
    pub key: Vec<u8>,
    pub installations: Vec<Installation>,
    /// Tokens are of the long form.
    pub long_tokens: bool,
    /// How long a token lives, in seconds.
    pub token_seconds: i64,
}

/// Where an App is installed.
#[derive(Debug, Clone)]
pub(super) struct Installation {
    pub id: u64,
    pub account: String,
    pub repositories: Option<Vec<String>>,
    pub permissions: BTreeMap<String, String>,
}

impl App {
    /// The login of what the App does.
    pub(super) fn bot(&self) -> String {
        format!("{}[bot]", self.slug)
    }
}

/// What `Authorization` says.
pub(super) enum Credentials {
    None,
    Wrong,
    Right(Asker),
    /// An App, by its id.
    App(u64),
    /// A JWT, and what is wrong with it.
    BadJwt(Failure),
}

/// Looks at `Authorization`: `Bearer`, `token`, or Basic with the token as password.
pub(super) fn credentials(lab: &Lab, headers: &HeaderMap) -> Credentials {
    let Some(value) = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) else {
        return Credentials::None;
    };
    let (scheme, value) = value.split_once(' ').unwrap_or((value, ""));
    let basic;
    let token = match scheme.to_ascii_lowercase().as_str() {
        "bearer" if value.starts_with("eyJ") => {
            return match application(&lab.store(), value.trim(), lab.now().timestamp()) {
                Ok(id) => Credentials::App(id),
                Err(failure) => Credentials::BadJwt(failure),
            };
        }
        "bearer" | "token" => value.trim(),
        "basic" => {
            basic = git_http::password(value.trim()).unwrap_or_default();
            &basic
        }
        _ => return Credentials::Wrong,
    };
    let store = lab.store();
    if token == lab.token {
        return Credentials::Right(Asker { scopes: store.scopes.clone(), ..Asker::person(&store.viewer) });
    }
    let known = store.tokens.iter().find(|known| known.value == token);
    let Some(known) = known.filter(|known| known.expires_at.is_none_or(|end| end > lab.now())) else {
        return Credentials::Wrong;
    };
    let Token { user, scopes, app, grant, .. } = known.clone();
    Credentials::Right(Asker { login: user, app, scopes, grant })
}

/// The App a JWT speaks for, as GitHub checks it: RS256, `exp` at most ten minutes ahead, `iat` past.
fn application(store: &Store, jwt: &str, now: i64) -> Result<u64, Failure> {
    let refuse = |message: &str| Failure::message(StatusCode::UNAUTHORIZED, message);
    let undecodable = || refuse("A JSON web token could not be decoded");
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| undecodable());
    let json = |part: &str| serde_json::from_slice::<Value>(&decode(part)?).map_err(|_| undecodable());
    let (signed, signature) = jwt.rsplit_once('.').ok_or_else(undecodable)?;
    let (head, claims) = signed.split_once('.').ok_or_else(undecodable)?;
    let (head, claims) = (json(head)?, json(claims)?);
    if head["alg"] != "RS256" {
        return Err(undecodable());
    }
    let issuer = match &claims["iss"] {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return Err(refuse("'Issuer' claim ('iss') must be an Integer")),
    };
    let app = store.apps.iter().find(|app| app.id.to_string() == issuer);
    let app = app.ok_or_else(|| Failure::message(StatusCode::NOT_FOUND, "Integration not found"))?;
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &app.key);
    key.verify(signed.as_bytes(), &decode(signature)?).map_err(|_| undecodable())?;
    let Some(begun) = claims["iat"].as_i64().filter(|begun| *begun <= now + 60) else {
        return Err(refuse(
            "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
        ));
    };
    let Some(expires) = claims["exp"].as_i64().filter(|expires| *expires > now && *expires > begun) else {
        return Err(refuse(
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at \
             which the assertion expires",
        ));
    };
    if expires > now + 600 {
        return Err(refuse("'Expiration time' claim ('exp') is too far in the future"));
    }
    Ok(app.id)
}

/// The key of `-----BEGIN PUBLIC KEY-----` (SPKI) or `-----BEGIN RSA PUBLIC KEY-----` (PKCS#1), as PKCS#1 DER.
pub(super) fn public_key(pem: &str) -> Option<Vec<u8>> {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    let der = base64::engine::general_purpose::STANDARD.decode(body).ok()?;
    if pem.contains("RSA PUBLIC KEY") {
        return Some(der);
    }
    // SEQUENCE { SEQUENCE { algorithm }, BIT STRING { no unused bits, key } }
    let (_, outer, _) = element(&der)?;
    let (_, _, rest) = element(outer)?;
    let (tag, bits, _) = element(rest)?;
    (tag == 3 && bits.first() == Some(&0)).then(|| bits[1..].to_vec())
}

/// The first element of some DER: its tag, what is in it, what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first & 0x80 != 0 {
        let count = usize::from(first & 0x7f);
        let (digits, after) = rest.split_at_checked(count).filter(|_| count <= 4)?;
        length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
        rest = after;
    }
    let (inside, after) = rest.split_at_checked(length)?;
    Some((tag, inside, after))
}
