//! What an App asks GitHub for in its own name: its installation, a token, the end of a token.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};
use url::{Origin, Url};

use super::super::Endpoints;
use super::super::credential::is_token;
use super::super::permissions::{Permissions, missing};
use super::super::verdict::{Refusal, Verdict, date, judge};
use super::super::wire::{Reply, Sent, Wire};
use super::{CLOCK, Identity, Minted, github_time, issuer};
use crate::clock::Timestamp;
use crate::error::{Error, Kind, OrFail, Result};
use crate::output;
use crate::redact::Redactor;

/// How often a request is sent that meets trouble.
const TRIES: u32 = 3;
/// A clock that is off by less is not the reason for a refusal.
const OFF: i64 = 60;

/// The way to GitHub.
#[derive(Debug)]
pub struct Door {
    wire: Wire,
    pub(super) endpoints: Endpoints,
    version: String,
    /// Who tells people of a clock that is off; none for silence.
    told_by: Option<&'static str>,
}

/// An installation, as GitHub describes it.
#[derive(Debug, Clone)]
pub struct Installation {
    /// Its id.
    pub id: u64,
    /// All that it was granted; its tokens may do less.
    pub permissions: Permissions,
    /// Whether it is suspended.
    pub suspended: bool,
}

/// Who signs a request.
enum Signed<'a> {
    /// The App itself.
    App(&'a Identity),
    /// A token.
    Token(&'a str),
}

impl Door {
    /// `patience` is the time until an answer begins.
    pub fn new(
        endpoints: Endpoints,
        version: String,
        patience: Duration,
        told_by: Option<&'static str>,
    ) -> Self {
        Self { wire: Wire::new(patience), endpoints, version, told_by }
    }

    /// The installation that the repository has, or the one that is configured.
    pub(super) fn installation(&self, identity: &Identity, redactor: &Redactor) -> Result<Installation> {
        let path = match identity.installation {
            Some(id) => format!("app/installations/{id}"),
            None => format!("repos/{}/installation", identity.repo),
        };
        let (body, _) = self
            .ask(&Signed::App(identity), "GET", &path, None, redactor)
            .map_err(|error| explained(error, identity))
            .map_err(|error| error.context("cannot find the App's installation"))?;
        let id = body["id"].as_u64();
        let id =
            id.ok_or_else(|| Error::new(Kind::Unavailable, "GitHub describes an installation without id"))?;
        let suspended = !body["suspended_at"].is_null();
        Ok(Installation { id, permissions: permissions(&body["permissions"]), suspended })
    }

    /// A token for the App's repository.
    pub(super) fn mint(&self, identity: &Identity, redactor: &Redactor) -> Result<Minted> {
        let installation = match identity.installation {
            Some(installation) => installation,
            None => self.installation(identity, redactor)?.id,
        };
        let name = identity.repo.rsplit('/').next().unwrap_or_default();
        let body = json!({ "repositories": [name], "permissions": identity.permissions });
        let path = format!("app/installations/{installation}/access_tokens");
        let (answer, skew) = self
            .ask(&Signed::App(identity), "POST", &path, Some(&body), redactor)
            .map_err(|error| explained(error, identity))
            .and_then(|(answer, skew)| Ok((minted(&answer, installation, skew, identity)?, skew)))
            .map_err(|error| error.context("cannot get a token for the App"))?;
        if answer.lasts(CLOCK.now(), TimeDelta::zero()) {
            return Ok(answer);
        }
        let message = format!("GitHub gave a token that ended {}", answer.expires_at);
        Err(Error::new(Kind::Unavailable, message)
            .hint(format!("GitHub's clock is {} s ahead of this machine's", skew.num_seconds())))
    }

    /// Makes a token worthless; one that is worthless already is fine.
    pub(super) fn revoke(&self, token: &str, redactor: &Redactor) -> Result<()> {
        match self.ask(&Signed::Token(token), "DELETE", "installation/token", None, redactor) {
            Ok(_) => Ok(()),
            Err(error) if error.cause().is_some_and(|refusal: &Refusal| refusal.status == 401) => Ok(()),
            Err(error) => Err(error.context("cannot revoke the App's token")),
        }
    }

    /// The answer, and by how much GitHub's clock is ahead of this machine's.
    fn ask(
        &self,
        signed: &Signed<'_>,
        method: &str,
        path: &str,
        body: Option<&Value>,
        redactor: &Redactor,
    ) -> Result<(Value, TimeDelta)> {
        let url = format!("{}/{path}", self.endpoints.api.as_str().trim_end_matches('/'));
        let url = Url::parse(&url).or_fail(Kind::Internal, || format!("bad address '{url}'"))?;
        let body = body.map(Value::to_string);
        let servers: [Origin; 1] = [self.endpoints.api.origin()];
        let (mut tries, mut correction) = (0, None);
        loop {
            tries += 1;
            let bearer = match signed {
                Signed::App(identity) => {
                    let now = github_time(correction.unwrap_or_default());
                    identity.key.jwt(&issuer(&identity.id), now)?
                }
                Signed::Token(token) => (*token).to_owned(),
            };
            redactor.learn(&bearer);
            let sent = Sent {
                method,
                url: &url,
                body: body.as_deref(),
                known: None,
                version: &self.version,
                bearer: Some((&bearer, &servers)),
            };
            let began = CLOCK.now_exact();
            let error = match self.wire.send(&sent) {
                Err(error) => {
                    let last = error.will_stay() || tries >= TRIES;
                    let error = Error::because(Kind::Unavailable, error, "no answer");
                    if last {
                        return Err(error);
                    }
                    error
                }
                Ok(reply) => {
                    let reply = reply.masked(redactor);
                    let skew = skew(&reply, began);
                    let (verdict, _) = judge(&reply, true, CLOCK.now_exact());
                    match verdict {
                        Verdict::Good(body) => return Ok((body, skew)),
                        Verdict::NotSignedIn(error)
                            if correction.is_none() && is_about_time(&error, skew) =>
                        {
                            self.tell_of_clock(skew);
                            correction = Some(skew);
                            continue;
                        }
                        Verdict::NotSignedIn(error) | Verdict::Refused(error) | Verdict::Limited(error) => {
                            return Err(error);
                        }
                        Verdict::Unchanged => {
                            return Err(Error::new(Kind::Unavailable, "'not modified', unasked"));
                        }
                        Verdict::Trouble(error) => error,
                    }
                }
            };
            if tries >= TRIES {
                return Err(error);
            }
            std::thread::sleep(Duration::from_millis(500).mul_f64(0.5 + fastrand::f64()));
        }
    }

    fn tell_of_clock(&self, skew: TimeDelta) {
        let (seconds, where_to) =
            (skew.num_seconds().abs(), if skew > TimeDelta::zero() { "behind" } else { "ahead of" });
        if let Some(command) = self.told_by {
            output::say(&format!(
                "{command}: this machine's clock is {seconds} s {where_to} GitHub's, which refused the App for it; \
                 allowing for that"
            ));
        }
    }
}

/// By how much the server's clock is ahead.
fn skew(reply: &Reply, began: Timestamp) -> TimeDelta {
    date(&reply.headers).map_or(TimeDelta::zero(), |date| date - began)
}

/// Whether an App was refused for its clock: GitHub names the claim that it does not like.
fn is_about_time(error: &Error, skew: TimeDelta) -> bool {
    let named = error.cause().is_some_and(|refusal: &Refusal| {
        refusal.message.contains("('exp')") || refusal.message.contains("('iat')")
    });
    named && skew.num_seconds().abs() > OFF
}

/// What to do about a refusal.
fn explained(error: Error, identity: &Identity) -> Error {
    let Some(status) = error.cause().map(|refusal: &Refusal| refusal.status) else { return error };
    match status {
        401 => error.hint("check github.app.id, its private key, and this machine's clock"),
        403 => error
            .hint("the installation may be suspended: see 'Installed GitHub Apps' in the owner's settings"),
        404 => error.hint(format!("install the App on {}, or check github.app", identity.repo)),
        422 => {
            let wanted: Vec<String> =
                identity.permissions.iter().map(|(name, level)| format!("{name}: {level}")).collect();
            error.hint(format!(
                "the App needs {}, and {} among its repositories",
                wanted.join(", "),
                identity.repo
            ))
        }
        _ => error,
    }
}

/// Permissions, as GitHub lists them.
fn permissions(listed: &Value) -> Permissions {
    let listed = listed.as_object().into_iter().flatten();
    listed.filter_map(|(name, level)| Some((name.clone(), level.as_str()?.to_owned()))).collect()
}

/// Reads the answer to a request for a token.
fn minted(answer: &Value, installation: u64, skew: TimeDelta, identity: &Identity) -> Result<Minted> {
    let unusable =
        |what: &str| Error::new(Kind::Unavailable, format!("GitHub's answer has no usable {what}"));
    let token = answer["token"].as_str().filter(|token| is_token(token)).ok_or_else(|| unusable("token"))?;
    let expires_at: Timestamp = answer["expires_at"]
        .as_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| unusable("expires_at"))?;
    let granted = permissions(&answer["permissions"]);
    let lacking = missing(&granted, &identity.permissions);
    if !lacking.is_empty() {
        let message = format!("GitHub gave a token without {}", lacking.join(", "));
        return Err(Error::new(Kind::NotPermitted, message)
            .hint("grant it in the App's settings, and let the owner accept it"));
    }
    Ok(Minted {
        token: token.to_owned(),
        begins_at: github_time(skew),
        expires_at,
        permissions: granted,
        installation,
        skew: skew.num_seconds(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::permissions::needed;
    use super::super::Key;
    use super::*;

    fn identity() -> Identity {
        let key = Key::parse(include_str!("../../../tests/data/app/rsa-2048.pkcs8.pem")).unwrap();
        Identity { id: "7".into(), key, installation: None, repo: "o/r".into(), permissions: needed() }
    }

    #[test]
    fn an_answer_must_hold_a_token_its_end_and_what_was_asked_for() {
        let long = ["ghs_7_", &"eyJ.x-y_".repeat(64)].concat();
        let good = json!({"token": long, "expires_at": "2030-01-01T00:00:00Z", "permissions": needed()});
        let read = |answer: &Value| minted(answer, 9, TimeDelta::zero(), &identity());
        assert_eq!(read(&good).unwrap().token, long);
        let cases = [
            ("token", json!(null), Kind::Unavailable),
            ("token", json!("a b"), Kind::Unavailable),
            ("expires_at", json!("soon"), Kind::Unavailable),
            ("expires_at", json!(null), Kind::Unavailable),
            ("permissions", json!({"metadata": "read", "issues": "read"}), Kind::NotPermitted),
            ("permissions", json!(null), Kind::NotPermitted),
        ];
        for (key, value, kind) in cases {
            let mut answer = good.clone();
            answer[key] = value.clone();
            assert_eq!(read(&answer).unwrap_err().kind, kind, "{key} {value}");
        }
    }

    #[test]
    fn only_a_refusal_for_the_time_is_one_for_the_clock() {
        let cases = [
            ("'Expiration time' claim ('exp') is too far in the future", -90, true),
            (
                "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
                -90,
                true,
            ),
            ("'Expiration time' claim ('exp') must be a numeric value", 900, true),
            ("'Expiration time' claim ('exp') is too far in the future", 5, false),
            ("A JSON web token could not be decoded", -90, false),
        ];
        for (message, skew, expected) in cases {
            let refusal = Refusal { status: 401, message: message.to_owned() };
            let error = Error::because(Kind::NotPermitted, refusal, "not signed in");
            assert_eq!(is_about_time(&error, TimeDelta::seconds(skew)), expected, "{message} {skew}");
        }
    }
}
