//! A minted token, and how it is kept: sealed, because the state directory holds no secret.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::super::permissions::Permissions;
use super::Identity;
use crate::clock::Timestamp;
use crate::error::{Kind, OrFail, Result};

/// A token of an installation.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Minted {
    /// The token: about 40 or about 520 characters.
    pub token: String,
    /// Its beginning, in GitHub's time.
    pub begins_at: Timestamp,
    /// Its end, in GitHub's time.
    pub expires_at: Timestamp,
    /// What it may do.
    pub permissions: Permissions,
    /// Whose it is.
    pub installation: u64,
    /// Seconds by which GitHub's clock was ahead of this machine's.
    pub skew: i64,
}

impl fmt::Debug for Minted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a token of installation {} until {}", self.installation, self.expires_at)
    }
}

impl Minted {
    /// Whether it is good for some time yet, or for half of its life where that is less; `now` is this machine's
    /// time.
    pub fn lasts(&self, now: Timestamp, margin: TimeDelta) -> bool {
        let half = (self.expires_at - self.begins_at) / 2;
        self.expires_at > now + TimeDelta::seconds(self.skew) + margin.min(half)
    }
}

/// The file: what is sealed, and what one must know to open it.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    installation: u64,
    /// AES-256-GCM: nonce, text, tag; base64.
    sealed: String,
}

/// What a sealed token is about: it cannot be passed off as another's.
fn about(identity: &Identity, installation: u64) -> String {
    let Identity { id, repo, permissions, .. } = identity;
    format!("app {id}\ninstallation {installation}\nrepository {repo}\npermissions {permissions:?}")
}

/// The content of the file.
pub(super) fn seal(minted: &Minted, identity: &Identity) -> Result<Vec<u8>> {
    let failed = || "cannot write a token";
    let text = serde_json::to_vec(minted).or_fail(Kind::Internal, failed)?;
    let installation = minted.installation;
    let sealed = STANDARD.encode(identity.key.seal(&text, &about(identity, installation))?);
    serde_json::to_vec(&Kept { installation, sealed }).or_fail(Kind::Internal, failed)
}

/// What the file holds; none if it is not this App's, for this repository, with these permissions.
pub(super) fn open(text: &str, identity: &Identity) -> Option<Minted> {
    let kept: Kept = serde_json::from_str(text).ok()?;
    let sealed = STANDARD.decode(kept.sealed).ok()?;
    let opened = identity.key.open(&sealed, &about(identity, kept.installation))?;
    let minted: Minted = serde_json::from_slice(&opened).ok()?;
    let wanted = identity.installation.unwrap_or(kept.installation);
    (minted.installation == kept.installation && kept.installation == wanted).then_some(minted)
}

#[cfg(test)]
mod tests {
    use super::super::super::permissions::needed;
    use super::super::Key;
    use super::*;

    fn identity(repo: &str, installation: Option<u64>) -> Identity {
        let pem = include_str!("../../../tests/data/github-app.pem");
        let key = Key::parse(pem).unwrap();
        Identity { id: "7".into(), key, installation, repo: repo.into(), permissions: needed() }
    }

    fn minted() -> Minted {
        Minted {
            token: "t.o-k_en".repeat(65),
            begins_at: Timestamp::from_timestamp(6_400, 0).unwrap(),
            expires_at: Timestamp::from_timestamp(10_000, 0).unwrap(),
            permissions: needed(),
            installation: 9,
            skew: 0,
        }
    }

    #[test]
    fn a_token_is_kept_unreadable_and_found_by_its_own_app_only() {
        let kept = String::from_utf8(seal(&minted(), &identity("o/r", None)).unwrap()).unwrap();
        assert!(!kept.contains("t.o-k_en"));
        for (repo, installation, found) in
            [("o/r", None, true), ("o/r", Some(9), true), ("o/r", Some(8), false), ("o/other", None, false)]
        {
            let opened = open(&kept, &identity(repo, installation));
            assert_eq!(opened.is_some(), found, "{repo} {installation:?}");
        }
        assert_eq!(open(&kept, &identity("o/r", None)).unwrap(), minted());
        for broken in
            ["", "{}", &kept[..kept.len() / 2], &kept.replace("\"installation\":9", "\"installation\":8")]
        {
            assert!(open(broken, &identity("o/r", None)).is_none(), "{broken}");
        }
    }

    #[test]
    fn a_token_ends_in_the_servers_time() {
        let at = |seconds| Timestamp::from_timestamp(seconds, 0).unwrap();
        let margin = TimeDelta::minutes(5);
        // This machine's time, GitHub's lead.
        for (now, skew, expected) in
            [(9_699, 0, true), (9_700, 0, false), (9_000, 3600, false), (13_000, -3600, true)]
        {
            assert_eq!(Minted { skew, ..minted() }.lasts(at(now), margin), expected, "{now} {skew}");
        }
        let short = Minted { begins_at: at(9_800), ..minted() };
        assert!(short.lasts(at(9_899), margin) && !short.lasts(at(9_900), margin), "half of its life");
    }
}
