//! An App's private key: it signs in as the App, and seals what is kept of its tokens.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::error::{Error, Kind, OrFail, Result};

/// No key of an App is longer, by far.
const LONGEST_FILE: u64 = 64 << 10;
/// Fewer bits can be broken; GitHub makes keys of 2048.
const FEWEST_BITS: usize = 2048;
/// Before now, so that a clock that is a little ahead does no harm; GitHub's own advice.
const ISSUED_BEFORE: TimeDelta = TimeDelta::seconds(60);
/// GitHub takes at most ten minutes.
const VALID_FOR: TimeDelta = TimeDelta::minutes(9);

/// A private key.
pub struct Key {
    pair: RsaKeyPair,
    seal: LessSafeKey,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// From a file that nobody but its owner can read.
    pub fn read(path: &Path) -> Result<Self> {
        let failed = || format!("cannot read the App's key '{}'", path.display());
        let file = File::open(path).or_fail(Kind::Config, failed)?;
        let mode = file.metadata().or_fail(Kind::Config, failed)?.mode() & 0o777;
        if mode & 0o077 != 0 {
            let message =
                format!("the App's key '{}' can be read by others (mode {mode:04o})", path.display());
            return Err(Error::new(Kind::Config, message).hint(format!("chmod 600 '{}'", path.display())));
        }
        let mut text = String::new();
        file.take(LONGEST_FILE).read_to_string(&mut text).or_fail(Kind::Config, failed)?;
        Self::parse(&text).map_err(|error| error.context(format!("in '{}'", path.display())))
    }

    /// From PEM: `RSA PRIVATE KEY` (PKCS#1, what GitHub gives) or `PRIVATE KEY` (PKCS#8).
    pub fn parse(pem: &str) -> Result<Self> {
        let refuse = |why: &str| {
            Error::new(Kind::Config, format!("the App's key {why}"))
                .hint("take the .pem file that GitHub gives under 'Private keys' of the App's settings")
        };
        // Neither parser's own words are shown: they were made for keys, and may quote one.
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| refuse("is not PEM with an unencrypted private key"))?;
        let pair = match &der {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            _ => return Err(refuse("is not an RSA key")),
        };
        let pair = pair.map_err(|rejected| match rejected.to_string().as_str() {
            "TooSmall" => refuse("is too short: it needs 2048 bits"),
            "TooLarge" => refuse("is too long: 4096 bits are the most"),
            "WrongAlgorithm" => refuse("is not an RSA key"),
            _ => refuse("is damaged"),
        })?;
        if pair.public().modulus_len() * 8 < FEWEST_BITS {
            return Err(refuse("is too short: it needs 2048 bits"));
        }
        let seal = sealing_key(der.secret_der())
            .map_err(|_| Error::new(Kind::Internal, "cannot derive a key from the App's"))?;
        Ok(Self { pair, seal })
    }

    /// The token by which the App itself signs in: JWT, RS256. `now` is GitHub's time, as far as it is known.
    pub fn jwt(&self, issuer: &Value, now: Timestamp) -> Result<String> {
        let (begins, ends) = ((now - ISSUED_BEFORE).timestamp(), (now + VALID_FOR).timestamp());
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let head = part(json!({ "alg": "RS256", "typ": "JWT" }));
        let signed = format!("{head}.{}", part(json!({ "iat": begins, "exp": ends, "iss": issuer })));
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| Error::new(Kind::Internal, "cannot sign with the App's key"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Seals a text that only the holder of this key can open, and only as being `about` the same.
    pub fn seal(&self, text: &[u8], about: &str) -> Result<Vec<u8>> {
        let failed = |_| Error::new(Kind::Internal, "cannot seal a token");
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(failed)?;
        let mut sealed = text.to_vec();
        self.seal
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(about.as_bytes()),
                &mut sealed,
            )
            .map_err(failed)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what [`Key::seal`] has sealed; none for anything else.
    pub fn open(&self, sealed: &[u8], about: &str) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = sealed.to_vec();
        let opened = self.seal.open_in_place(nonce, Aad::from(about.as_bytes()), &mut text).ok()?;
        Some(opened.to_vec())
    }
}

/// HKDF-SHA-256 (RFC 5869) over the private key, for one purpose.
fn sealing_key(secret: &[u8]) -> Result<LessSafeKey, ring::error::Unspecified> {
    let derived = Salt::new(HKDF_SHA256, b"cq").extract(secret);
    let key = derived.expand(&[b"installation token, AES-256-GCM, 1"], &AES_256_GCM)?;
    Ok(LessSafeKey::new(UnboundKey::from(key)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    const PKCS1: &str = include_str!("../../../tests/data/github-app.pem");
    const PKCS8: &str = include_str!("../../../tests/data/app/rsa-2048.pkcs8.pem");
    const SHORT: &str = include_str!("../../../tests/data/app/rsa-1024.pkcs1.pem");
    const PUBLIC: &str = include_str!("../../../tests/data/github-app.pub.pem");

    #[test]
    fn both_forms_of_a_key_sign_the_same_and_nothing_else_is_a_key() {
        let now = Timestamp::from_timestamp(1_800_000_000, 0).unwrap();
        let jwt = Key::parse(PKCS1).unwrap().jwt(&json!(7), now).unwrap();
        assert_eq!(Key::parse(PKCS8).unwrap().jwt(&json!(7), now).unwrap(), jwt);

        let (signed, signature) = jwt.rsplit_once('.').unwrap();
        let public = Key::parse(PKCS1).unwrap().pair.public().as_ref().to_vec();
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
        key.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
        let claims = URL_SAFE_NO_PAD.decode(signed.split_once('.').unwrap().1).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims, json!({"iss": 7, "iat": 1_799_999_940, "exp": 1_800_000_540}));
        assert!(!jwt.contains('='));

        let damaged = PKCS1.replacen("MII", "MIIA", 1);
        for (pem, why) in [
            (SHORT, "too short"),
            (PUBLIC, "not PEM with an unencrypted private key"),
            (&damaged, "the App's key is"),
            ("", "not PEM"),
        ] {
            let error = Key::parse(pem).unwrap_err();
            assert_eq!(error.kind, Kind::Config);
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.pem");
        crate::state::durable::replace(&file, PKCS1.as_bytes()).unwrap();
        for (mode, accepted) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o620, false)]
        {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            let read = Key::read(&file);
            assert_eq!(read.is_ok(), accepted, "{mode:o}");
            if let Err(error) = read {
                assert!(error.to_string().contains(&format!("can be read by others (mode {mode:04o})")));
            }
        }
    }

    #[test]
    fn what_is_sealed_opens_only_with_the_same_key_for_the_same_purpose() {
        let key = Key::parse(PKCS1).unwrap();
        let sealed = key.seal(b"token", "app 1").unwrap();
        assert!(!sealed.windows(5).any(|part| part == b"token"));
        assert_eq!(key.open(&sealed, "app 1").unwrap(), b"token");
        assert_ne!(key.seal(b"token", "app 1").unwrap(), sealed, "a nonce is used once");
        assert_eq!(key.open(&sealed, "app 2"), None);
        assert_eq!(key.open(&sealed[..20], "app 1"), None);
        assert_eq!(key.open(b"", "app 1"), None);
        let mut bent = sealed.clone();
        *bent.last_mut().unwrap() ^= 1;
        assert_eq!(key.open(&bent, "app 1"), None);
    }
}
