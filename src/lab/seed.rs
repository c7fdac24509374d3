//! What the rehearsal's GitHub holds at the start.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use super::identity;
use super::limits::Limits;
use super::store::Kind;
use crate::clock::Timestamp;
use crate::error::{Kind as ErrorKind, OrFail, Result};

/// The seed file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Seed {
    pub repositories: Vec<SeedRepository>,
    #[serde(default)]
    pub(super) users: Vec<SeedUser>,
    /// Who the token speaks for.
    #[serde(default = "default_viewer")]
    pub(super) viewer: String,
    /// The scopes of the main token, which is then a classic one.
    pub(super) scopes: Option<Vec<String>>,
    /// Tokens beside the main one.
    #[serde(default)]
    pub(super) tokens: Vec<SeedToken>,
    #[serde(default)]
    pub(super) apps: Vec<SeedApp>,
    #[serde(default)]
    pub(super) limits: Limits,
    /// Ids begin above it: beyond 2^32, they show who reads them into 32 bits.
    #[serde(default = "default_first_id")]
    pub(super) first_id: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeedToken {
    pub token: String,
    pub user: String,
    pub scopes: Option<Vec<String>>,
    pub expires_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeedApp {
    pub id: u64,
    #[serde(default = "default_slug")]
    pub slug: String,
    /// Where absent, the first repository's.
    pub owner: Option<String>,
    pub public_key_pem: String,
    #[serde(default)]
    pub long_tokens: bool,
    /// How long a token lives.
    #[serde(default = "default_token_seconds")]
    pub token_seconds: i64,
    #[serde(default)]
    pub installations: Vec<SeedInstallation>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeedInstallation {
    pub id: u64,
    pub account: Option<String>,
    /// `owner/name`; all of them where absent.
    pub repositories: Option<Vec<String>>,
    #[serde(default)]
    pub permissions: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeedRepository {
    pub owner: String,
    pub name: String,
    #[serde(default = "default_branch")]
    pub default_branch: String,
    /// A repository to clone, relative to the seed file.
    pub git: Option<PathBuf>,
    /// Or: the files of its only commit.
    pub files: Option<BTreeMap<String, String>>,
    /// Names it had before, with or without the owner.
    #[serde(default)]
    pub(super) former_names: Vec<String>,
    #[serde(default)]
    pub(super) private: bool,
    #[serde(default = "yes")]
    pub(super) has_issues: bool,
    #[serde(default)]
    pub(super) cursor_pagination: bool,
    /// How long lists that are filtered by label lag behind.
    #[serde(default)]
    pub(super) list_lag_ms: u64,
    #[serde(default)]
    pub(super) labels: Vec<SeedLabel>,
    /// Teams that may review, by their short names.
    #[serde(default)]
    pub(super) teams: Vec<String>,
    #[serde(default)]
    pub(super) issues: Vec<SeedIssue>,
    pub(super) generate: Option<Generate>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeedUser {
    pub(super) login: String,
    #[serde(default = "default_permission")]
    pub(super) permission: String,
    pub(super) role_name: Option<String>,
    pub(super) kind: Option<Kind>,
    #[serde(default)]
    pub(super) deleted: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeedLabel {
    pub(super) name: String,
    #[serde(default = "default_color")]
    pub(super) color: String,
    pub(super) description: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "a file says what holds, one by one")]
pub(super) struct SeedIssue {
    pub(super) number: Option<u64>,
    pub(super) title: Option<String>,
    pub(super) body: Option<String>,
    #[serde(default)]
    pub(super) labels: Vec<String>,
    /// Who put the labels there; the owner where absent.
    pub(super) labeled_by: Option<String>,
    pub(super) user: Option<String>,
    pub(super) author_association: Option<String>,
    pub(super) state: Option<SeedState>,
    #[serde(default)]
    pub(super) assignees: Vec<String>,
    pub(super) created_at: Option<Timestamp>,
    pub(super) updated_at: Option<Timestamp>,
    #[serde(default)]
    pub(super) pull_request: bool,
    #[serde(default)]
    pub(super) draft: bool,
    pub(super) state_reason: Option<String>,
    #[serde(default)]
    pub(super) comments: Vec<SeedComment>,
    /// What happened, beside the labels, which are told by themselves.
    #[serde(default)]
    pub(super) events: Vec<SeedEvent>,
    #[serde(default)]
    pub(super) edits: Vec<SeedEdit>,
    #[serde(default)]
    pub(super) locked: bool,
    pub(super) lock_reason: Option<String>,
    /// Numbers, or `owner/name#7`.
    #[serde(default)]
    pub(super) blocked_by: Vec<Value>,
    #[serde(default)]
    pub(super) sub_issues: Vec<Value>,
    /// It is not here any more: `owner/name#7`.
    pub(super) transferred_to: Option<String>,
    /// It is nowhere any more.
    #[serde(default)]
    pub(super) deleted: bool,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum SeedState {
    Open,
    Closed,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeedComment {
    pub(super) user: Option<String>,
    pub(super) body: String,
    pub(super) at: Option<Timestamp>,
    pub(super) author_association: Option<String>,
    #[serde(default)]
    pub(super) minimized: bool,
    #[serde(default)]
    pub(super) edits: Vec<SeedEdit>,
}

/// Somebody changed a body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeedEdit {
    pub(super) editor: String,
    pub(super) at: Timestamp,
}

/// Something happened: `labeled`, `renamed`, `transferred`…
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeedEvent {
    pub(super) event: String,
    pub(super) actor: Option<String>,
    pub(super) at: Option<Timestamp>,
    /// The App that did it for the actor, by its slug.
    pub(super) app: Option<String>,
    pub(super) label: Option<String>,
    pub(super) assignee: Option<String>,
    pub(super) reason: Option<String>,
    /// The old title; the repository it came from.
    pub(super) from: Option<String>,
    /// The new title.
    pub(super) to: Option<String>,
}

/// Many issues at a stroke, for lists that are long.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Generate {
    #[serde(default)]
    pub(super) issues: u64,
    #[serde(default = "default_label")]
    pub(super) label: String,
    #[serde(default)]
    pub(super) pull_requests: u64,
}

const fn yes() -> bool {
    true
}
const fn default_first_id() -> u64 {
    1000
}
const fn default_token_seconds() -> i64 {
    3600
}
fn default_slug() -> String {
    "cq".to_owned()
}
fn default_viewer() -> String {
    "cq-bot".to_owned()
}
fn default_branch() -> String {
    "main".to_owned()
}
fn default_permission() -> String {
    "read".to_owned()
}
fn default_color() -> String {
    "ededed".to_owned()
}
fn default_label() -> String {
    "claude-ready".to_owned()
}

/// 1 January 2025: the rehearsal's past is the same in every run.
pub(super) fn epoch() -> Timestamp {
    chrono::DateTime::from_timestamp(1_735_689_600, 0).unwrap_or_default()
}

impl Seed {
    /// Reads a seed; a field it does not know is an error that names it.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let seed: Self = serde_json::from_str(text).or_fail(ErrorKind::Config, || "cannot read the seed")?;
        for repository in &seed.repositories {
            repository.check()?;
        }
        for app in &seed.apps {
            if identity::public_key(&app.public_key_pem).is_none() {
                let why = format!("the seed's App {} has no public key in 'public_key_pem'", app.id);
                return Err(crate::error::Error::new(ErrorKind::Config, why));
            }
        }
        Ok(seed)
    }
}

impl SeedRepository {
    fn check(&self) -> Result<()> {
        let fine = |name: &str| {
            !name.is_empty()
                && !name.starts_with('.')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        let refuse = |why: String| Err(crate::error::Error::new(ErrorKind::Config, why));
        if !fine(&self.owner) || !fine(&self.name) {
            return refuse(format!(
                "the seed's repository '{}/{}' has no name of GitHub's",
                self.owner, self.name
            ));
        }
        if self.git.is_some() && self.files.is_some() {
            let name = &self.name;
            return refuse(format!(
                "the seed's repository '{name}' has both 'git' and 'files': leave one out"
            ));
        }
        let mut seen = std::collections::BTreeSet::new();
        match self.issues.iter().filter_map(|issue| issue.number).find(|number| !seen.insert(*number)) {
            Some(number) => refuse(format!("the seed has two issues #{number} in '{}'", self.name)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_filled_in() {
        let text = r#"{"repositories":[{"owner":"acme","name":"widgets","issues":[
            {"title":"One","labels":["bug"]},{"number":9,"user":"eve","pull_request":true}],
            "generate":{"issues":2,"pull_requests":1}}]}"#;
        let store = Seed::parse(text).unwrap().store();
        let repository = store.find("ACME", "Widgets").unwrap();
        assert_eq!(repository.issues.keys().copied().collect::<Vec<_>>(), [1, 9, 10, 11, 12]);
        let first = &repository.issues[&1];
        assert_eq!((first.user.as_str(), first.author_association.as_str()), ("acme", "OWNER"));
        assert_eq!(first.events[0].actor, "acme");
        assert_eq!(repository.issues[&9].author_association, "NONE");
        assert!(repository.issues[&12].pull.is_some() && repository.issues[&11].pull.is_none());
        assert!(repository.labels.iter().any(|label| label.name == "claude-ready"));
        assert_eq!(store.user("acme").permission, "admin");
        assert_eq!(store.user("eve").permission, "read");
    }

    #[test]
    fn what_is_unknown_or_doubled_is_named() {
        let cases = [
            (r#"{"repositories":[],"repos":[]}"#, "unknown field `repos`"),
            (r#"{"repositories":[{"owner":"a","name":"b","brnch":1}]}"#, "unknown field `brnch`"),
            (
                r#"{"repositories":[{"owner":"a","name":"b","issues":[{"nummer":1}]}]}"#,
                "unknown field `nummer`",
            ),
            (r#"{"repositories":[{"owner":"a"}]}"#, "missing field `name`"),
            (r#"{"repositories":[{"owner":"a","name":"../b"}]}"#, "'a/../b'"),
            (r#"{"repositories":[{"owner":"a","name":"b","git":"x","files":{}}]}"#, "both 'git' and 'files'"),
            (r#"{"repositories":[{"owner":"a","name":"b","issues":[{"number":1},{"number":1}]}]}"#, "#1"),
            ("nothing", "line 1"),
        ];
        for (text, expected) in cases {
            let error = Seed::parse(text).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Config);
            assert!(error.to_string().contains(expected), "{text}: {error}");
        }
    }
}
