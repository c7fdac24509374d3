//! The part of the doctor that looks at programs: git, and the agents that the configuration may start.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use super::{Finding, Tell};
use crate::agent::environment;
use crate::agent::profile::Agent;
use crate::config::Config;
use crate::environment::Environment;
use crate::error::Result;
use crate::git::Git;
use crate::process::{self, Program};
use crate::session::Session;

/// The oldest git that has what cq asks of it.
const OLDEST_GIT: (u32, u32) = (2, 39);
/// Those that are known to say their version and do nothing else.
const CLIENTS: [&str; 4] = ["claude", "codex", "gemini", "opencode"];
/// A client that takes longer to say its version hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Looks at git.
pub(super) fn git(session: &Session, tell: &mut Tell<'_>) -> Result<()> {
    let check = "git";
    let version = match Git::find(&session.environment).and_then(|git| git.version()) {
        Ok(version) => version,
        Err(error) => return tell(Finding::failed(check, &error)),
    };
    let fix = "install git 2.39 or newer";
    tell(match numbers(&version) {
        Some(found) if found >= OLDEST_GIT => Finding::ok(check, version),
        Some(_) => Finding::error(check, format!("{version} is too old"), fix),
        None => Finding::warning(check, format!("'{version}' is no version cq knows"), fix),
    })
}

/// `git version 2.47.3` and `git version 2.39.5 (Apple Git-154)`.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split_whitespace().nth(2)?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Looks at every agent that the configuration may start.
pub(super) fn agents(session: &Session, tell: &mut Tell<'_>) -> Result<()> {
    let config = &session.loaded.config;
    let mut names = BTreeSet::from([config.agent.0.as_str()]);
    names.extend(config.agent_labels.values().map(String::as_str));
    for name in names {
        agent(session, name, tell)?;
    }
    Ok(())
}

fn agent(session: &Session, name: &str, tell: &mut Tell<'_>) -> Result<()> {
    let check = "agent";
    let environment = &session.environment;
    let agent = match Agent::named(&session.loaded.config, name) {
        Ok(agent) => agent,
        Err(error) => return tell(Finding::failed(check, &error)),
    };
    let program = match process::find(agent.program(), session.folder(), environment) {
        Ok(program) => program,
        Err(error) => {
            let fix = format!("install it, or set agents.{name}.command");
            return tell(Finding::error(check, format!("{name}: {error}"), fix));
        }
    };
    // Whatever else it is may take anything for an order to begin.
    let is_known =
        program.file_name().and_then(|file| file.to_str()).is_some_and(|file| CLIENTS.contains(&file));
    if !is_known {
        return tell(Finding::ok(
            check,
            format!("{name}: '{}' is there; it was not started", program.display()),
        ));
    }
    tell(match version(&program, environment) {
        Some(version) => Finding::ok(check, format!("{name}: '{}' is {version}", program.display())),
        None => Finding::warning(
            check,
            format!("{name}: '{}' does not say its version", program.display()),
            "see whether it starts by hand: PROGRAM --version",
        ),
    })?;
    if name == "claude" && agent.program().ends_with("claude") {
        tell(sign_in(&session.loaded.config, environment, credentials_file(environment).as_deref()))?;
    }
    Ok(())
}

/// Looks at the programs of the checks. One of the repository's own is looked for in the checkout.
pub(super) fn checks(session: &Session, tell: &mut Tell<'_>) -> Result<()> {
    let check = "checks";
    let gates = &session.loaded.config.quality_gates;
    if gates.is_empty() {
        let what = "none are configured: pull requests are opened unchecked";
        return tell(Finding::warning(
            check,
            what,
            "cq-init names those that it finds; add them to qualityGates",
        ));
    }
    let checkout = session.loaded.repository(&session.environment)?;
    let mut missing = 0;
    for gate in gates {
        let program = gate.command.first().map(String::as_str).unwrap_or_default();
        if let Err(error) = process::find(program, &checkout, &session.environment) {
            missing += 1;
            let fix = "install it, or change qualityGates: until then that check says nothing";
            tell(Finding::warning(check, format!("{}: {error}", gate.name), fix))?;
        }
    }
    if missing == 0 {
        tell(Finding::ok(check, format!("the programs of all {} are there", gates.len())))
    } else {
        Ok(())
    }
}

/// What `--version` says, with the environment of an agent and no key.
fn version(program: &Path, environment: &Environment) -> Option<String> {
    let passed = environment::ALWAYS.iter().filter_map(|&name| Some((name, environment.named(name)?)));
    let said = Program::new(program, "/").args(["--version"]).envs(passed).run(PATIENCE).ok()?;
    let line = said.text().lines().next().unwrap_or_default().trim().to_owned();
    (said.success() && !line.is_empty()).then_some(line)
}

/// Where Claude Code keeps a login made by hand.
fn credentials_file(environment: &Environment) -> Option<std::path::PathBuf> {
    let folder = match environment.named("CLAUDE_CONFIG_DIR") {
        Some(folder) => Path::new(folder).to_owned(),
        None => Path::new(environment.named("HOME")?).join(".claude"),
    };
    Some(folder.join(".credentials.json"))
}

/// A key or a long-lived token serves any number of runs. A login by hand has a refresh token that is good for one
/// use: of runs side by side, one renews it, and the others are signed out.
fn sign_in(config: &Config, environment: &Environment, login: Option<&Path>) -> Finding {
    let check = "agent.sign-in";
    let set = |name: &str| environment.named(name).is_some_and(|value| !value.is_empty());
    let keyed = ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"];
    if let Some(key) = &config.claude.api_key {
        return match key.resolve("claude.apiKey", environment) {
            Ok(key) if !key.is_empty() => Finding::ok(check, "claude.apiKey in the configuration"),
            Ok(_) => Finding::error(check, "claude.apiKey is empty", "fill it in, or take it out"),
            Err(error) => {
                let fix = error.hint.clone().unwrap_or_default();
                Finding::error(check, error.to_string(), fix)
            }
        };
    }
    let profile = config.agents.get("claude");
    if let Some(name) =
        keyed.into_iter().find(|name| profile.is_some_and(|own| own.env_set.contains_key(*name)))
    {
        return Finding::ok(check, format!("{name} in agents.claude.envSet"));
    }
    if let Some(name) = keyed.into_iter().find(|name| set(name)) {
        return Finding::ok(check, format!("{name}, which serves any number of runs"));
    }
    let fix = "set ANTHROPIC_API_KEY, or CLAUDE_CODE_OAUTH_TOKEN from `claude setup-token`";
    if login.is_some_and(Path::is_file) {
        let what = "only a login made by hand: runs side by side may sign each other out";
        return Finding::warning(check, what, fix);
    }
    Finding::warning(check, "no key and no login was found", fix)
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn versions_of_git() {
        let cases = [
            ("git version 2.47.3", Some((2, 47))),
            ("git version 2.39.5 (Apple Git-154)", Some((2, 39))),
            ("git version 3.0.rc1", Some((3, 0))),
            ("nonsense", None),
        ];
        for (text, expected) in cases {
            assert_eq!(numbers(text), expected, "{text}");
        }
    }

    #[test]
    fn only_a_login_by_hand_is_warned_of() {
        let environment =
            |name: &str| -> Environment { [(name.to_owned(), "x".to_owned())].into_iter().collect() };
        let login = tempfile::NamedTempFile::new().unwrap();
        let configured = Config::parse(r#"{"claude":{"apiKey":"${KEY}"}}"#).unwrap();
        let in_profile =
            Config::parse(r#"{"agents":{"claude":{"envSet":{"ANTHROPIC_API_KEY":"k"}}}}"#).unwrap();
        let cases = [
            (Config::default(), "ANTHROPIC_API_KEY", Verdict::Ok),
            (Config::default(), "CLAUDE_CODE_OAUTH_TOKEN", Verdict::Ok),
            (Config::default(), "OTHER", Verdict::Warning),
            (configured.clone(), "KEY", Verdict::Ok),
            (configured, "OTHER", Verdict::Error),
            (in_profile, "OTHER", Verdict::Ok),
        ];
        for (config, name, expected) in cases {
            assert_eq!(sign_in(&config, &environment(name), Some(login.path())).verdict, expected, "{name}");
        }
        let nothing = sign_in(&Config::default(), &environment("OTHER"), None);
        assert!(nothing.what.contains("no key"), "{nothing:?}");
    }
}
