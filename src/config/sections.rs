//! The parts of the configuration, one type a section.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Text;
use crate::record::trust::Role;

/// The repository on GitHub.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GitHub {
    /// The account that owns it.
    pub owner: Option<Text>,
    /// Its name, or `owner/name`.
    pub repo: Option<Text>,
    /// The token, best as `${GITHUB_TOKEN}`; where none is given, GITHUB_TOKEN, GH_TOKEN and then what
    /// `gh auth token` says are looked at.
    pub token: Option<Text>,
    /// The GitHub App to act as, instead of a token.
    pub app: Option<App>,
    /// An issue needs at least one of these labels; an empty list takes any issue.
    pub labels: Vec<String>,
    /// An issue with one of these labels is left alone.
    pub exclude_labels: Vec<String>,
    /// Label → priority (0 is the most urgent); replaces the built-in map.
    pub priority_labels: BTreeMap<String, u8>,
    /// The version of GitHub's REST API to ask for: 2022-11-28 or 2026-03-10.
    pub api_version: String,
    /// Seconds until an answer must have begun.
    pub timeout_seconds: u32,
    /// Seconds to wait at most for a rate limit; a command that would have to wait longer ends with 75.
    pub max_wait_seconds: u32,
    /// Milliseconds between two writes; GitHub asks for a second.
    pub write_pause_milliseconds: u32,
    /// Whether cq-monitor shows on the issue what is known of it: the labels claude-in-progress and claude-blocked,
    /// the assignee, and what an agent asks.
    pub mirror: bool,
    /// The login that issues in work are assigned to.
    pub assignee: Option<String>,
}

impl Default for GitHub {
    fn default() -> Self {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self {
            owner: None,
            repo: None,
            token: None,
            app: None,
            labels: names(&["claude-ready"]),
            exclude_labels: names(&["blocked", "in-progress", "claude-in-progress", "claude-blocked"]),
            priority_labels: BTreeMap::new(),
            api_version: "2022-11-28".to_owned(),
            timeout_seconds: 30,
            max_wait_seconds: 60,
            write_pause_milliseconds: 1000,
            mirror: true,
            assignee: None,
        }
    }
}

/// A GitHub App, as whose installation cq acts: its tokens last an hour and are good for one repository.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct App {
    /// Its id or its client id.
    pub id: AppId,
    /// The installation; by default the one that the repository has.
    pub installation_id: Option<u64>,
    /// The file of its private key (PEM), relative to this file; nobody else may be able to read it.
    pub private_key_file: Option<Text>,
    /// The key itself, best as `${NAME}`.
    pub private_key: Option<Text>,
    /// What its tokens may do, instead of `metadata: read` and `issues`, `pull_requests`, `contents: write`.
    pub permissions: Option<BTreeMap<String, String>>,
    /// `cq-stop --abort` also revokes the token.
    #[serde(default)]
    pub revoke: bool,
}

/// What an App is called by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum AppId {
    /// The id.
    Number(u64),
    /// The client id.
    Client(Text),
}

/// Whose word lets an issue's text reach an agent.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Trust {
    /// The least permission of a person whose label approves an issue; `read` is everybody on a public repository.
    pub minimum_permission: Role,
    /// Bots, with or without `[bot]`, whose labels and edits count like those of such a person; also the apps that
    /// people act through.
    pub trusted_bots: Vec<String>,
    /// A role of the organisation's own, as GitHub writes it → the role it is based on; others count as none.
    pub custom_roles: BTreeMap<String, Role>,
    /// Work on a repository whose AI_POLICY.md or CONTRIBUTING.md says that it does not want what machines write.
    pub allow_despite_policy: bool,
}

/// How many issues at once, how often, how long.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Queue {
    /// Issues that may be queued, in progress or in testing at the same time.
    pub max_concurrent_issues: u32,
    /// Attempts per issue; and how often checks that come to no verdict are tried before a person looks.
    pub retry_attempts: u32,
    /// Minutes an agent may take for one attempt; a fraction is allowed.
    pub timeout_minutes: f64,
    /// Minutes without any sign of life after which a run is ended as stalled: no output, no work in any of its
    /// processes. 0 never ends one for that.
    pub stall_minutes: f64,
    /// Pull requests that may wait for a person at the same time, those of failed rounds included. Issues in work count
    /// too, because theirs will: while there are so many together, cq-claim takes nothing new. By default any number
    /// may wait.
    pub max_unreviewed: Option<u32>,
    /// Whether an issue is held while another one in work names, or has changed, a file that it names: a path in its
    /// title or body that the base has.
    pub avoid_overlap: bool,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            max_concurrent_issues: 5,
            retry_attempts: 3,
            timeout_minutes: 120.0,
            stall_minutes: 20.0,
            max_unreviewed: None,
            avoid_overlap: false,
        }
    }
}

/// The agent's account and limits.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Claude {
    /// The key handed to the agent, best as `${ANTHROPIC_API_KEY}`.
    pub api_key: Option<Text>,
    /// Agents at the same time; the smaller of this and `queue.maxConcurrentIssues` counts.
    pub max_instances: Option<u32>,
    /// Minutes for one attempt; the smaller of this and `queue.timeoutMinutes` counts.
    pub timeout_minutes: Option<f64>,
}

/// Where agents work.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Workspace {
    /// The folder of the workspaces, relative to this file.
    pub base_dir: Text,
    /// Hours after its end that a finished workspace is kept.
    pub cleanup_after_hours: u32,
    /// Whether an agent works in a worktree of the repository or in a clone of its own.
    pub isolation: Isolation,
    /// How much of the base is fetched from the remote: never less than the repository has of its history already, so
    /// `blobless` counts in a partial clone, `shallow` in a shallow or an empty one.
    pub clone: CloneDepth,
    /// Worktrees that cq-monitor keeps ready at the base; an agent then starts at once on a large repository.
    pub warm_spares: u32,
    /// Programs that prepare a new workspace, each an argument vector, run in it before its first agent, within that
    /// one's limits and sandbox. Never through a shell, never a file of the worktree's own, without keys.
    pub setup: Vec<Vec<String>>,
    /// Minutes that each of them may take.
    pub setup_timeout_minutes: f64,
}

/// What an agent works in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// A linked worktree: made in milliseconds, shares the repository's objects, configuration and refs.
    #[default]
    Worktree,
    /// A clone: what the agent does to its `.git` cannot reach the repository.
    Clone,
}

/// How much of the base is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CloneDepth {
    /// All history and files.
    #[default]
    Full,
    /// All history; files of old commits only when they are needed.
    Blobless,
    /// The newest commit alone.
    Shallow,
}

impl Default for Workspace {
    fn default() -> Self {
        Self {
            base_dir: Text::from("./workspaces"),
            cleanup_after_hours: 24,
            isolation: Isolation::Worktree,
            clone: CloneDepth::Full,
            warm_spares: 0,
            setup: Vec::new(),
            setup_timeout_minutes: 10.0,
        }
    }
}

/// Who is told.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Notifications {
    /// A Slack incoming webhook, best as `${SLACK_WEBHOOK_URL}`.
    pub slack_webhook: Option<Text>,
    /// Addresses.
    pub email_recipients: Vec<String>,
}

/// The local repository, its remote and base branch.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Git {
    /// The clone that worktrees are made from, relative to this file.
    pub repository: Text,
    /// Where the base is fetched from and branches are pushed to; by default the repository's address on GitHub.
    pub remote: Option<Text>,
    /// The branch that work starts from and goes back to.
    pub base: String,
    /// Who the agents' commits are by.
    pub author_name: String,
    /// Their address.
    pub author_email: String,
}

impl Default for Git {
    fn default() -> Self {
        Self {
            repository: Text::from("."),
            remote: None,
            base: "main".to_owned(),
            author_name: "cq agent".to_owned(),
            author_email: "cq-agent@localhost".to_owned(),
        }
    }
}

/// How one winner per issue is decided.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Claims {
    /// Where claims are kept.
    pub backend: Backend,
    /// Minutes after which a claim that nobody renewed may be doubted.
    pub lease_minutes: u32,
}

impl Default for Claims {
    fn default() -> Self {
        Self { backend: Backend::Local, lease_minutes: 10 }
    }
}

/// Where claims are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// One machine: the state directory's lock.
    Local,
}

/// What pull requests look like.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PullRequests {
    /// Open them as drafts where the repository allows it.
    pub draft: bool,
    /// Labels to put on them.
    pub labels: Vec<String>,
    /// Logins to assign them to.
    pub assignees: Vec<String>,
    /// Logins whose review is asked for.
    pub reviewers: Vec<String>,
    /// Teams of the owner, by their short names, whose review is asked for.
    pub team_reviewers: Vec<String>,
    /// Whether the issue gets a comment with the pull request's address.
    pub comment: bool,
}

impl Default for PullRequests {
    fn default() -> Self {
        Self {
            draft: false,
            labels: Vec::new(),
            assignees: Vec::new(),
            reviewers: Vec::new(),
            team_reviewers: Vec::new(),
            comment: true,
        }
    }
}

/// Where GitHub's webhooks arrive, and the secret that they are signed with.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Webhook {
    /// The hook's secret, best as `${CQ_WEBHOOK_SECRET}`, which is looked at where none is given.
    pub secret: Option<Text>,
    /// The secret before this one, accepted too while a rotation is under way.
    pub previous_secret: Option<Text>,
    /// The address and port to listen on.
    pub listen: Text,
    /// The only path that is answered.
    pub path: Text,
}

impl Default for Webhook {
    fn default() -> Self {
        Self {
            secret: None,
            previous_secret: None,
            listen: Text::from("127.0.0.1:8477"),
            path: Text::from("/webhook"),
        }
    }
}

/// The orchestrator, `cq-run`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Orchestration {
    /// Seconds between two looks at what is due and what is new; the other pipelines take their multiples.
    pub interval_seconds: f64,
    /// Minutes after which a pipeline that has not ended is ended; running agents are no part of it.
    pub timeout_minutes: f64,
}

impl Default for Orchestration {
    fn default() -> Self {
        Self { interval_seconds: 60.0, timeout_minutes: 15.0 }
    }
}
