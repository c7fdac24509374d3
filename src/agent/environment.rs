//! What an agent, or a check that runs what an agent wrote, sees of the environment: an allow-list.

use std::collections::BTreeMap;

use super::profile::Agent;
use crate::config::{Config, Parser};
use crate::environment::Environment;
use crate::error::Result;
use crate::record::Record;

/// What every program needs to find its way. No token is among them.
pub const ALWAYS: [&str; 18] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TERM",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
];

/// The marker by which every process of a claim is found again, whatever it did to its parents and groups.
pub const MARKER: &str = "CQ_CLAIM";

/// Where `claude.apiKey` goes, for agents that know it.
const API_KEY: &str = "ANTHROPIC_API_KEY";

type Variables = BTreeMap<String, String>;

/// What a check sees: no keys at all.
pub fn of_check(environment: &Environment, record: &Record) -> Result<Variables> {
    let claim = record.claimed()?;
    let mut variables = passed(environment, ALWAYS.iter().copied());
    variables.insert(MARKER.to_owned(), claim.token.clone());
    variables.insert("CQ_ISSUE".to_owned(), record.number.to_string());
    variables.insert("CI".to_owned(), "true".to_owned());
    Ok(variables)
}

/// What a program sees that prepares a workspace: no keys either, and the instance's `.env`.
pub fn of_setup(environment: &Environment, record: &Record, dot_env: &str) -> Result<Variables> {
    let mut variables = of_check(environment, record)?;
    variables.extend(parse_dot_env(dot_env));
    let claim = record.claimed()?;
    variables.insert("GIT_TERMINAL_PROMPT".to_owned(), "0".to_owned());
    variables.insert("CQ_INSTANCE".to_owned(), claim.instance.clone());
    variables.insert("CQ_BRANCH".to_owned(), claim.branch.clone());
    // The marker is not `.env`'s to set.
    variables.insert(MARKER.to_owned(), claim.token.clone());
    Ok(variables)
}

/// What an agent sees: the same, its own keys, what the profile sets, the instance's `.env`, and who commits are by.
pub fn of_agent(
    environment: &Environment,
    config: &Config,
    agent: &Agent,
    record: &Record,
    dot_env: &str,
) -> Result<Variables> {
    let claim = record.claimed()?;
    let names = ALWAYS.iter().copied().chain(agent.env_pass.iter().map(String::as_str));
    let mut variables = passed(environment, names);
    let takes_key = agent.parser == Parser::Claude || agent.env_pass.iter().any(|name| name == API_KEY);
    if let Some(key) = config.claude.api_key.as_ref().filter(|_| takes_key) {
        variables.insert(API_KEY.to_owned(), key.resolve("claude.apiKey", environment)?);
    }
    for (name, value) in &agent.env_set {
        let key = format!("agents.{}.envSet.{name}", agent.name);
        variables.insert(name.clone(), value.resolve(&key, environment)?);
    }
    variables.extend(parse_dot_env(dot_env));
    for role in ["AUTHOR", "COMMITTER"] {
        variables.insert(format!("GIT_{role}_NAME"), config.git.author_name.clone());
        variables.insert(format!("GIT_{role}_EMAIL"), config.git.author_email.clone());
    }
    // An agent must never hang on a question nobody can answer.
    variables.insert("GIT_TERMINAL_PROMPT".to_owned(), "0".to_owned());
    variables.insert("GIT_EDITOR".to_owned(), "true".to_owned());
    variables.insert(MARKER.to_owned(), claim.token.clone());
    variables.insert("CQ_ISSUE".to_owned(), record.number.to_string());
    variables.insert("CQ_ATTEMPT".to_owned(), claim.attempt.to_string());
    variables.insert("CQ_INSTANCE".to_owned(), claim.instance.clone());
    variables.insert("CQ_BRANCH".to_owned(), claim.branch.clone());
    Ok(variables)
}

fn passed<'n>(environment: &Environment, names: impl Iterator<Item = &'n str>) -> Variables {
    names.filter_map(|name| Some((name.to_owned(), environment.named(name)?.to_owned()))).collect()
}

/// `NAME=value` lines; empty lines and `#` comments are passed over, and so is what has no name.
fn parse_dot_env(text: &str) -> impl Iterator<Item = (String, String)> {
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.trim(), value.trim()))
        .filter(move |(name, _)| is_name(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::profile::BUILT_IN;
    use super::*;
    use crate::record::{Claim, Issue};

    fn environment() -> Environment {
        [
            ("PATH", "/bin"),
            ("HOME", "/home/me"),
            ("GITHUB_TOKEN", "secret"),
            ("GH_TOKEN", "secret"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("ANTHROPIC_API_KEY", "key"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into_iter()
        .collect()
    }

    fn record() -> Record {
        let mut record = Record::new("o/r", 7, Issue::default());
        let claim = r#"{"token":"t","host":"h","instance":"claude-instance-1","branch":"b","base":"main","attempt":2,
            "claimed_at":"2026-01-01T00:00:00Z","lease_expires_at":"2026-01-01T00:00:00Z"}"#;
        record.claim = Some(serde_json::from_str::<Claim>(claim).unwrap());
        record
    }

    #[test]
    fn no_token_but_the_agents_own_gets_through() {
        let config = Config::default();
        for name in BUILT_IN {
            let text = r#"{"agents":{"command":{"command":["make"]}}}"#;
            let agent = Agent::named(&Config::parse(text).unwrap(), name).unwrap();
            let dot_env = "# comment\nISSUE_ID=7\n bad name=1\n=x\nREPO_PATH=/a b\n";
            let seen = of_agent(&environment(), &config, &agent, &record(), dot_env).unwrap();
            assert!(!seen.values().any(|value| value == "secret"), "{name}: {seen:?}");
            let key = ["claude", "opencode"].contains(&name).then_some("key");
            assert_eq!(seen.get(API_KEY).map(String::as_str), key, "{name}");
            assert_eq!((seen["CQ_ATTEMPT"].as_str(), seen["GIT_EDITOR"].as_str()), ("2", "true"));
            assert_eq!((seen["ISSUE_ID"].as_str(), seen["REPO_PATH"].as_str()), ("7", "/a b"));
            assert!(!seen.contains_key("bad name"));
        }
        for seen in [
            of_check(&environment(), &record()).unwrap(),
            of_setup(&environment(), &record(), "CQ_CLAIM=mine\nX=1\n").unwrap(),
        ] {
            assert!(!seen.values().any(|value| value == "secret" || value == "key"), "{seen:?}");
            assert_eq!(seen[MARKER], "t");
        }
    }

    #[test]
    fn claudes_key_goes_to_who_knows_it() {
        let text = r#"{"claude":{"apiKey":"configured"},"agents":{"command":{"command":["make"]}}}"#;
        let config = Config::parse(text).unwrap();
        let given = [
            ("claude", Some("configured")),
            ("opencode", Some("configured")),
            ("codex", None),
            ("command", None),
        ];
        for (name, expected) in given {
            let agent = Agent::named(&config, name).unwrap();
            let seen = of_agent(&environment(), &config, &agent, &record(), "").unwrap();
            assert_eq!(seen.get(API_KEY).map(String::as_str), expected, "{name}");
        }
    }
}
