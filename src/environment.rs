//! The only place that reads environment variables.
//!
//! Each variable cq looks at is declared once below, with what the man pages say of it.

use std::collections::BTreeMap;

/// A variable cq reads.
#[derive(Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it does, for the ENVIRONMENT section of the man pages.
    pub about: &'static str,
    /// Which commands look at it.
    pub used_by: UsedBy,
}

/// Which commands a variable matters to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsedBy {
    /// All of them.
    Everything,
    /// Those that speak to GitHub or its git remote.
    GitHub,
    /// Those that start agents.
    Agents,
    /// The one that receives webhooks.
    Webhook,
    /// The one that runs for ever.
    Orchestrator,
}

macro_rules! variables {
    ($($name:ident, $used_by:ident, $about:literal;)*) => {
        $(#[doc = $about] pub const $name: Variable =
            Variable { name: stringify!($name), about: $about, used_by: UsedBy::$used_by };)*
        /// Every variable cq reads, in the order of the man pages.
        pub const ALL: &[&Variable] = &[$(&$name),*];
    };
}

variables! {
    CQ_CONFIG, Everything, "the configuration file; see --config";
    CQ_STATE_DIR, Everything, "the state directory; see --state-dir";
    CQ_REPO, Everything, "the repository, owner/name; see --repo";
    CQ_MAX_WAIT, GitHub, "the longest wait for GitHub's limits, in seconds; see --max-wait";
    CQ_NOW, Everything, "a fixed time (RFC 3339) used instead of the clock, for tests and rehearsals";
    NO_COLOR, Everything, "when set and not empty, no colours";
    CLICOLOR_FORCE, Everything, "when set and not 0, colours even where stdout is not a terminal";
    PATH, Everything, "where git, the agent and the checks are looked up";
    HOME, Agents, "handed to the agent";
    XDG_RUNTIME_DIR, Agents, "where the user's service manager is reached, which can limit an agent's memory (/run/user/UID)";
    DBUS_SESSION_BUS_ADDRESS, Agents, "the same; neither is handed to the agent";
    TZ, Agents, "handed to the agent; the time zone of what it says about the end of a usage limit";
    GITHUB_TOKEN, GitHub, "the token for GitHub where the configuration names none; never handed to an agent or a check";
    GH_TOKEN, GitHub, "the same, looked at when GITHUB_TOKEN is not set; without either, what `gh auth token` says";
    GITHUB_API_URL, GitHub, "the REST API's address (https://api.github.com)";
    GITHUB_GRAPHQL_URL, GitHub, "the GraphQL API's address (https://api.github.com/graphql)";
    GITHUB_SERVER_URL, GitHub, "the address of the web pages and of git (https://github.com)";
    HTTPS_PROXY, GitHub, "the proxy for https (also https_proxy; http_proxy and no_proxy likewise)";
    SSL_CERT_FILE, GitHub, "certificate authorities to trust, for GitHub and for git";
    CQ_WEBHOOK_SECRET, Webhook, "the secret of GitHub's webhook where the configuration names none; never handed to an agent or a check";
    NOTIFY_SOCKET, Orchestrator, "where systemd is told how it goes (sd_notify); not handed on";
    WATCHDOG_USEC, Orchestrator, "how often systemd wants a sign of life, in microseconds; not handed on";
    WATCHDOG_PID, Orchestrator, "the process that WATCHDOG_USEC is meant for; not handed on";
    ANTHROPIC_API_KEY, Agents, "handed to the agent where the configuration names no key";
}

/// A snapshot of the environment, taken once.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl Environment {
    /// The process's own. Names and values that are not UTF-8 are left out.
    pub fn of_process() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the one place")]
        let variables = std::env::vars_os();
        variables
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// A declared variable; an empty one counts as not set.
    pub fn get(&self, variable: &Variable) -> Option<&str> {
        self.named(variable.name)
    }

    /// Any variable by name, as `${NAME}` in the configuration or an allow-list asks for it.
    pub fn named(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self { variables: variables.into_iter().collect() }
    }
}
