//! What the answers of GitHub say about the token. Pure.

use chrono::{DateTime, NaiveDateTime, TimeDelta};

use super::Finding;
use crate::clock::{Timestamp, stamp};
use crate::github::credential::Source;
use crate::github::permissions::{Permissions, excessive, missing};

/// A token that ends sooner is worth a word.
const SOON: TimeDelta = TimeDelta::days(7);

/// The kinds of token, by GitHub's prefixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    Classic,
    FineGrained,
    Installation,
    UserToServer,
    OAuth,
    Unknown,
}

impl TokenKind {
    pub(super) fn of(token: &str) -> Self {
        let prefixes = [
            ("ghp_", Self::Classic),
            ("github_pat_", Self::FineGrained),
            ("ghs_", Self::Installation),
            ("ghu_", Self::UserToServer),
            ("gho_", Self::OAuth),
        ];
        let found = prefixes.iter().find(|(prefix, _)| token.starts_with(prefix));
        found.map_or(Self::Unknown, |(_, kind)| *kind)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Classic => "a classic personal access token",
            Self::FineGrained => "a fine-grained personal access token",
            Self::Installation => "the token of an App's installation",
            Self::UserToServer => "the token of a user of an App",
            Self::OAuth => "the token of an OAuth App, such as gh",
            Self::Unknown => "a token of a form that is not known",
        }
    }
}

pub(super) fn token(source: Source, kind: TokenKind) -> Finding {
    Finding::ok("token", format!("{}, from {}", kind.name(), source.name()))
}

/// More than one token is set: the first counts, which may not be what somebody meant.
pub(super) fn tokens(set: &[(Source, String)]) -> Option<Finding> {
    let ((first, token), rest) = set.split_first()?;
    let others: Vec<&str> =
        rest.iter().filter(|(_, other)| other != token).map(|(source, _)| source.name()).collect();
    (!others.is_empty()).then(|| {
        let what = format!("{} and {} differ; {} counts", first.name(), others.join(" and "), first.name());
        Finding::warning("token.others", what, "unset what is not meant")
    })
}

/// The header `github-authentication-token-expiration`, which has two forms.
pub(super) fn expiry(text: Option<&str>, now: Timestamp) -> Option<Finding> {
    let text = text?;
    let ends = NaiveDateTime::parse_from_str(text.trim_end_matches(" UTC"), "%Y-%m-%d %H:%M:%S")
        .map(|ends| ends.and_utc())
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S %z").map(|ends| ends.to_utc()));
    let (check, fix) = ("token.expiry", "make a new token in good time");
    Some(match ends {
        Err(_) => Finding::warning(check, format!("it ends '{text}', whenever that is"), fix),
        Ok(ends) if ends <= now => {
            Finding::error(check, format!("it ended {}", stamp(ends)), "make a new token")
        }
        Ok(ends) if ends < now + SOON => Finding::warning(check, format!("it ends {}", stamp(ends)), fix),
        Ok(ends) => Finding::ok(check, format!("it ends {}", stamp(ends))),
    })
}

/// The header `x-oauth-scopes`: what a classic token may do.
pub(super) fn scopes(text: &str, private: bool) -> Vec<Finding> {
    let has: Vec<&str> = text.split(',').map(str::trim).filter(|scope| !scope.is_empty()).collect();
    let check = "token.scopes";
    let enough = has.contains(&"repo") || (!private && has.contains(&"public_repo"));
    let mut findings = vec![if enough {
        Finding::ok(check, format!("scopes: {}", has.join(", ")))
    } else {
        let needed = if private { "repo" } else { "public_repo" };
        let fix = format!("give the token the scope {needed}, or use a GitHub App");
        Finding::error(check, format!("the scope {needed} is missing; it has: {}", has.join(", ")), fix)
    }];
    let harmless = |scope: &str| {
        matches!(scope, "repo" | "public_repo" | "user:email")
            || scope.contains("read:")
            || scope.starts_with("repo")
    };
    let too_much: Vec<&str> = has.iter().copied().filter(|scope| !harmless(scope)).collect();
    if !too_much.is_empty() {
        let what = format!("more than cq needs: {}", too_much.join(", "));
        findings.push(Finding::warning(check, what, "take these scopes away, or use a GitHub App"));
    }
    findings
}

/// Whose permissions are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// A token's.
    Token,
    /// An App's installation, from which its tokens take theirs.
    Installation,
}

pub(super) fn permissions(of: Of, granted: &Permissions, wanted: &Permissions) -> Vec<Finding> {
    let (check, whose) = match of {
        Of::Token => ("token.permissions", "the token"),
        Of::Installation => ("app.permissions", "the App's installation"),
    };
    let (lacks, exceeds) = (missing(granted, wanted), excessive(granted, wanted));
    let mut findings = vec![if lacks.is_empty() {
        Finding::ok(check, format!("{whose} has what cq needs"))
    } else {
        let fix = "grant it in the App's settings, and let the owner accept it";
        Finding::error(check, format!("{whose} lacks {}", lacks.join(", ")), fix)
    }];
    if !exceeds.is_empty() {
        let fix = "take these permissions away in the App's settings";
        findings.push(Finding::warning(
            check,
            format!("{whose} has more than cq needs: {}", exceeds.join(", ")),
            fix,
        ));
    }
    findings
}

/// What one harmless read said of a permission; `accepted` is `x-accepted-github-permissions`.
pub(super) fn readable(what: &str, status: u16, accepted: Option<&str>) -> Option<Finding> {
    (status == 403).then(|| {
        let needed = accepted.map_or_else(String::new, |accepted| format!(" (accepted here: {accepted})"));
        let fix = format!("give the token '{what}'{needed}");
        Finding::error("token.permissions", format!("the token may not read {what}"), fix)
    })
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;
    use crate::github::permissions::needed;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// The verdicts, and the first thing that was said.
    fn short(findings: impl IntoIterator<Item = Finding>) -> Vec<(Verdict, String)> {
        findings.into_iter().map(|finding| (finding.verdict, finding.what)).collect()
    }

    #[test]
    fn the_kind_of_a_token_is_in_its_prefix() {
        let cases = [
            ("ghp_", TokenKind::Classic),
            ("github_pat_", TokenKind::FineGrained),
            ("ghs_", TokenKind::Installation),
            ("ghu_", TokenKind::UserToServer),
            ("gho_", TokenKind::OAuth),
            ("0123", TokenKind::Unknown),
        ];
        for (prefix, kind) in cases {
            assert_eq!(TokenKind::of(&format!("{prefix}x")), kind);
        }
        let finding = token(Source::GhToken, TokenKind::Classic);
        assert_eq!(finding.what, "a classic personal access token, from GH_TOKEN");
    }

    #[test]
    fn tokens_that_differ_are_told() {
        let set = |tokens: &[(Source, &str)]| -> Vec<(Source, String)> {
            tokens.iter().map(|&(source, token)| (source, token.to_owned())).collect()
        };
        let (a, b, c) = (Source::Configuration, Source::GitHubToken, Source::GhToken);
        assert_eq!(tokens(&[]), None);
        assert_eq!(tokens(&set(&[(a, "1")])), None);
        assert_eq!(tokens(&set(&[(a, "1"), (b, "1"), (c, "1")])), None);
        let found = tokens(&set(&[(b, "1"), (c, "2")])).unwrap();
        assert_eq!(
            (found.verdict, found.what.as_str()),
            (Verdict::Warning, "GITHUB_TOKEN and GH_TOKEN differ; GITHUB_TOKEN counts")
        );
    }

    #[test]
    fn an_end_that_is_near_is_told_and_one_that_is_past_is_an_error() {
        let now = at("2026-11-22T12:00:00Z");
        assert_eq!(expiry(None, now), None);
        let cases = [
            ("2027-11-22 12:00:00 UTC", Verdict::Ok, "2027-11-22T12:00:00Z"),
            ("2026-11-23 14:00:00 +0200", Verdict::Warning, "2026-11-23T12:00:00Z"),
            ("2026-11-22 11:59:59 UTC", Verdict::Error, "2026-11-22T11:59:59Z"),
            ("soon", Verdict::Warning, "'soon'"),
        ];
        for (text, verdict, what) in cases {
            let found = expiry(Some(text), now).unwrap();
            assert_eq!(found.verdict, verdict, "{text}");
            assert!(found.what.contains(what), "{found:?}");
        }
    }

    #[test]
    fn scopes_may_be_too_few_and_too_many() {
        use Verdict::{Error, Ok, Warning};
        let cases: [(&str, bool, &[Verdict], &str); 7] = [
            ("repo", true, &[Ok], "scopes: repo"),
            ("public_repo, read:org, user:email", false, &[Ok], "scopes"),
            ("public_repo", true, &[Error], "the scope repo is missing"),
            ("", false, &[Error], "the scope public_repo is missing"),
            ("gist, repo", false, &[Ok, Warning], "gist"),
            (
                "admin:org, delete_repo, repo, user, workflow, write:packages",
                true,
                &[Ok, Warning],
                "admin:org, delete_repo, user, workflow, write:packages",
            ),
            ("workflow", true, &[Error, Warning], "workflow"),
        ];
        for (text, private, verdicts, said) in cases {
            let found = scopes(text, private);
            assert_eq!(found.iter().map(|one| one.verdict).collect::<Vec<_>>(), verdicts, "{text}");
            assert!(found.iter().any(|one| one.what.contains(said)), "{found:?}");
        }
    }

    #[test]
    fn permissions_may_be_too_few_and_too_many() {
        let mut granted = needed();
        assert_eq!(short(permissions(Of::Token, &granted, &needed()))[0].0, Verdict::Ok);
        granted.insert("administration".into(), "write".into());
        granted.insert("issues".into(), "read".into());
        assert_eq!(
            short(permissions(Of::Installation, &granted, &needed())),
            [
                (Verdict::Error, "the App's installation lacks issues: write".to_owned()),
                (
                    Verdict::Warning,
                    "the App's installation has more than cq needs: administration: write".to_owned()
                ),
            ]
        );
        assert_eq!(readable("issues", 200, None), None);
        assert_eq!(readable("contents", 404, None), None, "an empty repository");
        let found = readable("issues", 403, Some("issues=read")).unwrap();
        assert_eq!(found.verdict, Verdict::Error);
        assert_eq!(found.fix.unwrap(), "give the token 'issues' (accepted here: issues=read)");
    }
}
