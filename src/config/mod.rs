//! The configuration: `orchestrator-config.json`, its types, where it is found, how it is read.
//!
//! Keys are camelCase, as in the design document, whose two samples are accepted as they stand. An
//! unknown key is an error that names the nearest known one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::environment::Environment;
use crate::error::{Error, Kind, OrFail, Result};
use crate::record::eligibility::Rules;
use crate::record::trust::Policy;

mod agents;
mod cleanup;
mod feedback;
mod gates;
pub mod globs;
mod guards;
mod merge;
mod ranges;
mod sections;
mod text;
mod unknown;

pub use agents::{
    AgentName, Budget, Limits, MechanismChoice, Network, Parser, Profile, PromptBy, Sandbox, SandboxAccess,
    SessionBy,
};
pub use cleanup::Cleanup;
pub use feedback::Feedback;
pub use gates::{Gate, GateRuns};
pub use guards::{Guards, Protection};
pub use merge::{Merge, MergeMethod};
pub use sections::{
    App, AppId, Backend, Claims, Claude, CloneDepth, Git, GitHub, Isolation, Notifications, Orchestration,
    PullRequests, Queue, Trust, Webhook, Workspace,
};
pub use text::Text;

/// The file's name where none is given.
pub const FILE_NAME: &str = "orchestrator-config.json";
/// The state directory's name, beside the configuration file, where none is given.
pub const STATE_DIR_NAME: &str = ".cq";

/// The whole configuration.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// Where the JSON Schema of this file is.
    #[serde(rename = "$schema", skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// The repository on GitHub, and which of its issues are taken.
    pub github: GitHub,
    /// Whose word lets an issue's text reach an agent.
    pub trust: Trust,
    /// How many issues at once, how often, how long.
    pub queue: Queue,
    /// The agent's account and limits.
    pub claude: Claude,
    /// Where agents work.
    pub workspace: Workspace,
    /// What becomes of finished work.
    pub cleanup: Cleanup,
    /// Who is told.
    pub notifications: Notifications,
    /// The local repository, its remote and base branch.
    pub git: Git,
    /// How one winner per issue is decided.
    pub claims: Claims,
    /// The name of the agent profile to use: `claude`, or a key of `agents`.
    pub agent: AgentName,
    /// Agent profiles by name; `claude` is built in and may be changed here.
    pub agents: BTreeMap<String, Profile>,
    /// Label → agent profile, for issues that another agent than `agent` should work on.
    pub agent_labels: BTreeMap<String, String>,
    /// What one instance may use, and what must be free before one is started.
    pub limits: Limits,
    /// What agents may cost.
    pub budget: Budget,
    /// Whether agents run in a sandbox, where they see and write little more than their worktree.
    pub sandbox: Sandbox,
    /// What an agent in a sandbox can reach besides.
    pub sandbox_access: SandboxAccess,
    /// Checks that a change must pass before a pull request is opened.
    pub quality_gates: Vec<Gate>,
    /// What the clean checkout of the checks is given.
    pub gate: GateRuns,
    /// What pull requests look like.
    pub pull_request: PullRequests,
    /// What is looked at before anything is pushed.
    pub guards: Guards,
    /// What sends an agent back to its pull request, and how often.
    pub feedback: Feedback,
    /// Whether, and how, `cq-pr --merge` merges.
    pub merge: Merge,
    /// Where GitHub's webhooks arrive, and the secret that they are signed with.
    pub webhook: Webhook,
    /// The orchestrator, `cq-run`.
    pub run: Orchestration,
}

/// A configuration, and where it came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What it says.
    pub config: Config,
    /// The file; none where there is none and the defaults are in force.
    pub file: Option<PathBuf>,
    /// The folder that relative paths start from, absolute.
    pub root: PathBuf,
}

impl Config {
    /// Reads the text of a configuration file.
    pub fn parse(text: &str) -> Result<Self> {
        // serde would take an array for the fields in their order.
        if !text.trim_start().starts_with('{') {
            return Err(Error::new(Kind::Config, "not a JSON object"));
        }
        let config = Self::deserialize_named(text)?;
        gates::refuse_odd(&config.quality_gates, &config.gate)?;
        config.guards.refuse_odd()?;
        config.refuse_odd_numbers()?;
        Ok(config)
    }

    /// Errors name the key.
    fn deserialize_named(text: &str) -> Result<Self> {
        serde_json::from_str(text).or_else(|error| {
            let value: serde_json::Value =
                serde_json::from_str(text).or_fail(Kind::Config, || "not valid JSON")?;
            // serde names an unknown key too, but not the nearest known one.
            unknown::check(&value)?;
            // The line and column of the first error, the key of the second.
            match serde_path_to_error::deserialize::<_, Self>(&value) {
                Err(at) => Err(Error::because(Kind::Config, error, format!("'{}'", at.path()))),
                Ok(_) => Err(Error::because(Kind::Config, error, "wrong value")),
            }
        })
    }

    /// How many issues may be in work at the same time on this machine.
    pub fn capacity(&self) -> usize {
        self.claude.max_instances.unwrap_or(u32::MAX).min(self.queue.max_concurrent_issues) as usize
    }

    /// Minutes for one attempt.
    pub fn timeout_minutes(&self) -> f64 {
        self.claude.timeout_minutes.unwrap_or(f64::MAX).min(self.queue.timeout_minutes)
    }

    /// Which issues are taken.
    pub fn rules(&self) -> Rules {
        Rules {
            labels: self.github.labels.clone(),
            exclude: self.github.exclude_labels.clone(),
            priorities: self.github.priority_labels.clone(),
        }
    }

    /// Who may approve an issue's text.
    pub fn policy(&self) -> Policy {
        Policy {
            minimum: self.trust.minimum_permission,
            labels: self.github.labels.clone(),
            trusted_bots: self.trust.trusted_bots.clone(),
            custom_roles: self.trust.custom_roles.clone(),
        }
    }
}

impl Loaded {
    /// The file that [`Loaded::find`] reads; none where there is none.
    pub fn locate(named: Option<&Path>, start: &Path) -> Result<Option<PathBuf>> {
        match named {
            Some(file) => {
                std::path::absolute(start.join(file)).or_fail(Kind::Config, || "bad path").map(Some)
            }
            None => Ok(start.ancestors().map(|folder| folder.join(FILE_NAME)).find(|file| file.is_file())),
        }
    }

    /// The place of a configuration that cannot be read, with the defaults: for commands that only need to know
    /// where the state is, such as the one that stops everything.
    pub fn unread(named: Option<&Path>, start: &Path) -> Self {
        let file = Self::locate(named, start).ok().flatten();
        let root = file.as_deref().and_then(Path::parent).unwrap_or(start).to_owned();
        Self { config: Config::default(), file: None, root }
    }

    /// Finds and reads the configuration: the file named, or [`FILE_NAME`] in `start` or a folder above it.
    /// Without one the defaults hold, from `start`.
    pub fn find(named: Option<&Path>, start: &Path) -> Result<Self> {
        let Some(file) = Self::locate(named, start)? else {
            return Ok(Self { config: Config::default(), file: None, root: start.to_owned() });
        };
        let text = std::fs::read_to_string(&file)
            .or_fail(Kind::Config, || format!("cannot read '{}'", file.display()))
            .map_err(|error| error.hint("cq-init writes a configuration to start from"))?;
        let config =
            Config::parse(&text).map_err(|error| error.context(format!("in '{}'", file.display())))?;
        let root = file.parent().unwrap_or(start).to_owned();
        Ok(Self { config, file: Some(file), root })
    }

    /// The folder of the workspaces, absolute.
    pub fn workspaces(&self, environment: &Environment) -> Result<PathBuf> {
        self.path(&self.config.workspace.base_dir, "workspace.baseDir", environment)
    }

    /// The local repository, absolute.
    pub fn repository(&self, environment: &Environment) -> Result<PathBuf> {
        self.path(&self.config.git.repository, "git.repository", environment)
    }

    /// The folder of raw logs, absolute.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    fn path(&self, text: &Text, key: &str, environment: &Environment) -> Result<PathBuf> {
        let path = self.root.join(text.resolve(key, environment)?);
        std::path::absolute(&path)
            .map(|path| path.components().collect())
            .or_fail(Kind::Config, || format!("'{key}': bad path '{}'", path.display()))
    }

    /// `owner/name`: the one asked for, else the configuration's.
    pub fn repo(&self, asked: Option<&str>, environment: &Environment) -> Result<String> {
        let github = &self.config.github;
        let resolve = |text: &Option<Text>, key| -> Result<Option<String>> {
            text.as_ref().map(|text| text.resolve(key, environment)).transpose()
        };
        let (owner, name) = match asked {
            Some(asked) => (None, Some(asked.to_owned())),
            None => (resolve(&github.owner, "github.owner")?, resolve(&github.repo, "github.repo")?),
        };
        let full = match (owner, name) {
            (Some(owner), Some(name)) if !name.contains('/') => format!("{owner}/{name}"),
            (_, Some(name)) => name,
            (_, None) => String::new(),
        };
        if is_repository(&full) {
            return Ok(full);
        }
        let message = if full.is_empty() {
            "no repository is configured".to_owned()
        } else {
            format!("'{full}' is not a repository: expected owner/name")
        };
        Err(Error::new(Kind::Config, message)
            .hint("set github.owner and github.repo, CQ_REPO, or --repo owner/name"))
    }
}

/// GitHub's own rule for the two halves: letters, digits, `-`, `_` and `.`, not only dots.
fn is_repository(full: &str) -> bool {
    let half = |text: &str| {
        !text.is_empty()
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
            && text.chars().any(|c| c != '.')
            && !text.starts_with('-')
    };
    full.split_once('/').is_some_and(|(owner, name)| half(owner) && half(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::trust::Role;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// The two samples of the design document, verbatim.
    const QUEUE_SAMPLE: &str = r#"{
      "github": {
        "repo": "nodots-backgammon",
        "labels": ["claude-ready", "good-first-issue"],
        "excludeLabels": ["blocked", "in-progress"]
      },
      "queue": {
        "maxConcurrentIssues": 5,
        "retryAttempts": 3,
        "timeoutMinutes": 120
      }
    }"#;
    const ORCHESTRATOR_SAMPLE: &str = r#"{
      "github": {
        "owner": "your-org",
        "repo": "nodots-backgammon",
        "token": "${GITHUB_TOKEN}"
      },
      "claude": {
        "apiKey": "${ANTHROPIC_API_KEY}",
        "maxInstances": 5,
        "timeoutMinutes": 120
      },
      "workspace": {
        "baseDir": "./workspaces",
        "cleanupAfterHours": 24
      },
      "notifications": {
        "slackWebhook": "${SLACK_WEBHOOK_URL}",
        "emailRecipients": ["dev-team@company.com"]
      }
    }"#;

    #[test]
    fn the_samples_of_the_design_document_are_accepted_as_they_stand() {
        let config = Config::parse(QUEUE_SAMPLE).unwrap();
        assert_eq!(config.github.exclude_labels, ["blocked", "in-progress"]);
        assert_eq!((config.capacity(), config.queue.retry_attempts), (5, 3));
        assert!((config.timeout_minutes() - 120.0).abs() < f64::EPSILON);

        let config = Config::parse(ORCHESTRATOR_SAMPLE).unwrap();
        let set = environment(&[("GITHUB_TOKEN", "t0ken")]);
        assert_eq!(config.github.token.unwrap().resolve("github.token", &set).unwrap(), "t0ken");
        let error = config.claude.api_key.unwrap().resolve("claude.apiKey", &set).unwrap_err();
        assert_eq!(error.kind, Kind::Config);
        assert_eq!(error.to_string(), "'claude.apiKey' names ANTHROPIC_API_KEY, which is not set");
        assert_eq!(config.notifications.email_recipients, ["dev-team@company.com"]);
    }

    #[test]
    fn the_smaller_limit_counts() {
        let text = r#"{"queue":{"maxConcurrentIssues":9,"timeoutMinutes":30},"claude":{"maxInstances":2,"timeoutMinutes":60}}"#;
        let config = Config::parse(text).unwrap();
        assert_eq!(config.capacity(), 2);
        assert!((config.timeout_minutes() - 30.0).abs() < f64::EPSILON);
    }

    #[test]
    fn nothing_is_no_time_and_no_money() {
        for (text, key) in [
            (r#"{"queue":{"timeoutMinutes":0}}"#, "queue.timeoutMinutes"),
            (r#"{"claude":{"timeoutMinutes":-1}}"#, "claude.timeoutMinutes"),
            (r#"{"queue":{"stallMinutes":-0.5}}"#, "queue.stallMinutes"),
            (r#"{"budget":{"perDayUsd":0}}"#, "budget.perDayUsd"),
            (r#"{"limits":{"cpus":0}}"#, "limits.cpus"),
            (r#"{"limits":{"memoryMegabytes":0}}"#, "limits.memoryMegabytes"),
            (r#"{"queue":{"maxUnreviewed":0}}"#, "queue.maxUnreviewed"),
        ] {
            assert!(Config::parse(text).unwrap_err().to_string().contains(key), "{text}");
        }
        assert!(Config::parse(r#"{"queue":{"stallMinutes":0,"timeoutMinutes":0.05}}"#).is_ok());
    }

    #[test]
    fn the_policy_asks_for_write_unless_told_otherwise() {
        let policy = |text: &str| Config::parse(text).map(|config| config.policy());
        let plain = Policy { labels: vec!["claude-ready".into()], ..Policy::default() };
        assert_eq!(policy("{}").unwrap(), plain);
        assert_eq!(plain.minimum, Role::Write);
        let text = r#"{"trust":{"minimumPermission":"triage","trustedBots":["x[bot]"],"customRoles":{"Lead":"maintain"}}}"#;
        let told = policy(text).unwrap();
        assert_eq!((told.minimum, told.role("Lead")), (Role::Triage, Role::Maintain));
        assert_eq!(told.trusted_bots, ["x[bot]"]);
        for text in [
            r#"{"trust":{"minimumPermission":"none"}}"#,
            r#"{"trust":{"minimumPermission":"push"}}"#,
            r#"{"trust":{"customRoles":{"Lead":"none"}}}"#,
        ] {
            assert!(policy(text).unwrap_err().to_string().starts_with("'trust."), "{text}");
        }
    }

    #[test]
    fn the_repository_is_found_or_asked_for() {
        let loaded = |text: &str| Loaded {
            config: Config::parse(text).unwrap(),
            file: None,
            root: PathBuf::from("/x"),
        };
        let none = environment(&[]);
        let cases = [
            (r#"{"github":{"owner":"o","repo":"r"}}"#, None, Some("o/r")),
            (r#"{"github":{"repo":"o/r"}}"#, None, Some("o/r")),
            (r#"{"github":{"owner":"o","repo":"r"}}"#, Some("a/b"), Some("a/b")),
            (r#"{"github":{"repo":"r"}}"#, None, None),
            ("{}", None, None),
            ("{}", Some("a/b/c"), None),
            ("{}", Some("../.."), None),
            ("{}", Some("-o/r"), None),
            ("{}", Some("o/r?x"), None),
        ];
        for (text, asked, expected) in cases {
            let repo = loaded(text).repo(asked, &none);
            assert_eq!(repo.as_deref().ok(), expected, "{text} {asked:?}");
            assert!(repo.is_ok() || repo.unwrap_err().kind == Kind::Config);
        }
    }
}
