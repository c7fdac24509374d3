//! What a running command has at hand: its name, the environment, the clock, the common options, and from
//! them the configuration, the state directory and the output.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::agent::environment::MARKER;
use crate::claims::{self, Claims};
use crate::clock::Clock;
use crate::config::{Loaded, STATE_DIR_NAME};
use crate::environment::{self, Environment};
use crate::error::{Error, Kind, OrFail, Result, Tally};
use crate::git::{Git, PrivateGit, Repository};
use crate::github::credential::Credential;
use crate::output::{self, Format, Output};
use crate::record::{Claim, Record, Status};
use crate::redact::{self, Redactor};
use crate::sanitize;
use crate::secrets::Scanner;
use crate::state::{State, not_in_flight};

mod github;

/// The options every command has.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// The state directory.
    pub state_dir: Option<PathBuf>,
    /// `owner/name`.
    pub repo: Option<String>,
    /// How stdout is written.
    pub format: Option<Format>,
    /// Only errors on stderr.
    pub quiet: bool,
    /// More on stderr.
    pub verbose: bool,
    /// The longest wait for a limit of GitHub's.
    pub max_wait: Option<Duration>,
    /// A configuration that cannot be read is told, and done without.
    pub without_configuration: bool,
}

/// A running command.
#[derive(Debug)]
pub struct Session {
    /// Its name.
    pub command: &'static str,
    /// The environment, read once.
    pub environment: Environment,
    /// Where the time comes from.
    pub clock: Clock,
    /// The common options.
    pub options: Options,
    folder: PathBuf,
    /// The configuration, read once.
    pub loaded: Loaded,
    /// The state directory.
    pub state: State,
    redactor: Redactor,
    credential: Mutex<Option<Arc<Credential>>>,
}

impl Session {
    /// Reads the environment and the configuration.
    pub fn open(command: &'static str, environment: Environment, options: Options) -> Result<Self> {
        let clock = clock(&environment)?;
        let folder = std::env::current_dir().or_fail(Kind::Config, || "cannot tell the current folder")?;
        let named = options.config.as_deref();
        let loaded = match Loaded::find(named, &folder) {
            Err(error) if options.without_configuration => {
                complain(command, &error, &Redactor::default());
                Loaded::unread(named, &folder)
            }
            loaded => loaded?,
        };
        let dir = match &options.state_dir {
            Some(dir) => folder.join(dir),
            None => loaded.root.join(STATE_DIR_NAME),
        };
        let state = State::at(dir, clock, command);
        let redactor = secrets(&loaded, &environment);
        let credential = Mutex::default();
        Ok(Self { command, environment, clock, options, folder, loaded, state, redactor, credential })
    }

    /// The folder the command was started in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The common options again, for a cq command that this one starts.
    pub fn options_for_children(&self) -> Vec<String> {
        let mut options = vec!["--state-dir".to_owned(), self.state.dir().display().to_string()];
        if let Some(file) = &self.loaded.file {
            options.extend(["--config".to_owned(), file.display().to_string()]);
        }
        if let Some(repo) = &self.options.repo {
            options.extend(["--repo".to_owned(), repo.clone()]);
        }
        if self.options.quiet {
            options.push("--quiet".to_owned());
        }
        if self.options.verbose {
            options.push("--verbose".to_owned());
        }
        if let Some(wait) = self.options.max_wait {
            options.extend(["--max-wait".to_owned(), wait.as_secs().to_string()]);
        }
        options
    }

    /// Claims, as the configuration wants them kept.
    pub fn claims(&self) -> Box<dyn Claims> {
        claims::of(&self.loaded, &self.state)
    }

    /// `owner/name`.
    pub fn repo(&self) -> Result<String> {
        self.loaded.repo(self.options.repo.as_deref(), &self.environment)
    }

    /// The record of an issue that must be in flight.
    pub fn in_flight(&self, number: u64) -> Result<Record> {
        self.state.get(number)?.ok_or_else(|| not_in_flight(number))
    }

    /// git, the owner's repository, and cq's own git directory.
    pub fn git(&self) -> Result<(Repository, PrivateGit)> {
        self.open_git(&Git::find(&self.environment)?)
    }

    /// [`Session::git`] for the work on a claim: its processes are found, and ended, with those of the claim.
    pub fn git_of_claim(&self, claim: &Claim) -> Result<(Repository, PrivateGit)> {
        self.open_git(&Git::find(&self.environment)?.marked(MARKER, &claim.token))
    }

    fn open_git(&self, git: &Git) -> Result<(Repository, PrivateGit)> {
        let repository = Repository::open(git, &self.loaded.repository(&self.environment)?)?;
        let private = PrivateGit::open(git, &self.state.dir().join("repo.git"), &repository)?;
        Ok((repository, private))
    }

    /// Whether cq's output may be coloured.
    pub fn colours(&self) -> bool {
        let forced = self.environment.get(&environment::CLICOLOR_FORCE).is_some_and(|value| value != "0");
        forced || (self.environment.get(&environment::NO_COLOR).is_none() && output::stdout_is_terminal())
    }

    /// Where records go.
    pub fn records(&self) -> Output {
        self.rows(RECORD_COLUMNS)
    }

    /// Where other rows go.
    pub fn rows(&self, header: &'static [&'static str]) -> Output {
        let format = self.options.format.unwrap_or_else(Format::suited_to_stdout);
        Output::new(format, self.colours(), header)
    }

    /// Masks the secrets that this process knows, and those that it will get: every clone learns of them.
    pub fn redactor(&self) -> Redactor {
        self.redactor.clone()
    }

    /// Refuses to go on by the defaults where a configuration should decide: one that is lost would let everything through.
    pub fn needs_configuration(&self) -> Result<()> {
        match &self.loaded.file {
            Some(_) => Ok(()),
            None => {
                Err(Error::new(Kind::Config, "there is no configuration here that says what must be checked")
                    .hint("cq-init writes one; if it is elsewhere, say so with --config or CQ_CONFIG"))
            }
        }
    }

    /// Refuses a folder where nothing was ever set up: an empty answer there would pass for a good one. With a
    /// configuration, the state beside it that is not there yet is only empty; another that was named is not.
    pub fn needs_setup(&self) -> Result<()> {
        let is_configured = Loaded::locate(self.options.config.as_deref(), &self.folder)?.is_some();
        if is_configured && !self.names_another_state() {
            return Ok(());
        }
        self.needs_state("nothing was set up there")
    }

    fn names_another_state(&self) -> bool {
        self.options.state_dir.is_some() && self.state.dir() != self.loaded.root.join(STATE_DIR_NAME)
    }

    /// Refuses to go on without a state directory; `so` is what follows for the person.
    pub fn needs_state(&self, so: &str) -> Result<()> {
        if self.state.exists() {
            return Ok(());
        }
        let message = format!("there is no state directory '{}': {so}", self.state.dir().display());
        Err(Error::new(Kind::Config, message).hint(if self.names_another_state() {
            "see what --state-dir or CQ_STATE_DIR names; the first claim makes a new one, and so does cq-init"
        } else {
            "run it beside the orchestrator's configuration, or name --state-dir; cq-init sets a folder up"
        }))
    }

    /// Clears a text that is about to be published of secrets in any dress: an agent's own words may hold one.
    pub fn mask(&self) -> Result<impl Fn(&str) -> String> {
        let redactor = self.redactor();
        let scanner = Scanner::knowing(&redactor.known())?;
        Ok(move |text: &str| scanner.mask(&redactor.redact(text)))
    }

    /// Runs `each` for every input; reports what fails and goes on with the next. Errors that no later record
    /// can escape end the command: a closed pipe, a state that cannot be written.
    pub fn for_each<T>(
        &self,
        inputs: impl Iterator<Item = Result<T>>,
        mut each: impl FnMut(T) -> Result<()>,
    ) -> Result<Tally> {
        let mut tally = Tally::default();
        for input in inputs {
            match input.and_then(&mut each) {
                Ok(()) => {}
                Err(error) if error.kind == Kind::ClosedPipe => break,
                Err(error) if matches!(error.kind, Kind::CannotWrite | Kind::Internal) => return Err(error),
                Err(error) => {
                    self.complain(&error);
                    tally.note(error.kind);
                }
            }
        }
        Ok(tally)
    }

    /// Tells the person something, unless they asked for quiet.
    pub fn note(&self, message: &str) {
        if !self.options.quiet {
            output::say(&format!("{}: {message}", self.command));
        }
    }

    /// Tells the person something they only want to know with `-v`.
    pub fn detail(&self, message: &str) {
        if self.options.verbose {
            output::say(&format!("{}: {message}", self.command));
        }
    }

    /// Tells why an issue is left as it is: whoever `named` it wants to know, others only with `-v`.
    pub fn answer(&self, named: bool, message: &str) {
        if named { self.note(message) } else { self.detail(message) }
    }

    /// Reports an error, secrets masked.
    pub fn complain(&self, error: &Error) {
        complain(self.command, error, &self.redactor());
    }
}

/// The columns of a table of records.
const RECORD_COLUMNS: &[&str] = &["ISSUE", "PRI", "STATUS", "INSTANCE", "TITLE", "LAST"];

impl Output {
    /// One record, in the columns of [`RECORD_COLUMNS`].
    pub fn record(&mut self, record: &Record) -> Result<()> {
        self.item(record, || {
            let last = record.history.last().map(|last| last.why.clone()).unwrap_or_default();
            let last = if record.reasons.is_empty() { last } else { record.reasons.join("; ") };
            vec![
                format!("#{}", record.number),
                record.priority.to_string(),
                record.status.map_or("-", Status::name).to_owned(),
                record.instance().to_owned(),
                sanitize::clip(&record.issue.title, 60).into_owned(),
                last,
            ]
        })
    }
}

/// The secrets that the configuration and the environment hold. What is minted or asked for comes later.
fn secrets(loaded: &Loaded, environment: &Environment) -> Redactor {
    let config = &loaded.config;
    let texts = [
        (&config.claude.api_key, "claude.apiKey"),
        (&config.notifications.slack_webhook, "notifications.slackWebhook"),
        (&config.webhook.secret, "webhook.secret"),
        (&config.webhook.previous_secret, "webhook.previousSecret"),
        (&config.github.app.as_ref().and_then(|app| app.private_key.clone()), "github.app.privateKey"),
    ];
    let configured =
        texts.into_iter().filter_map(|(text, key)| text.as_ref()?.resolve(key, environment).ok());
    let keys = [&environment::ANTHROPIC_API_KEY, &environment::CQ_WEBHOOK_SECRET]
        .into_iter()
        .filter_map(|variable| environment.get(variable).map(str::to_owned));
    let named = environment.iter().filter(|(name, _)| redact::names_a_secret(name));
    let named = named.map(|(_, value)| value.to_owned());
    let set = config.agents.values().flat_map(|profile| &profile.env_set);
    let set = set.filter(|(name, _)| redact::names_a_secret(name));
    let set = set.filter_map(|(name, text)| text.resolve(name, environment).ok());
    let redactor = Redactor::knowing(configured.chain(keys).chain(named).chain(set));
    let token = config.github.token.as_ref().and_then(|text| text.resolve("github.token", environment).ok());
    let inherited = [&environment::GITHUB_TOKEN, &environment::GH_TOKEN]
        .into_iter()
        .filter_map(|variable| environment.get(variable).map(str::to_owned));
    for token in token.into_iter().chain(inherited) {
        redactor.learn(&token);
    }
    redactor
}

/// Writes an error to stderr: what failed, on what, why, and what to do next.
pub fn complain(command: &str, error: &Error, redactor: &Redactor) {
    if error.kind == Kind::ClosedPipe {
        return;
    }
    let hint = error.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    output::say(&redactor.redact(&format!("{command}: {error}{hint}")));
}

/// The machine's clock, or the one that `CQ_NOW` sets.
pub(crate) fn clock(environment: &Environment) -> Result<Clock> {
    match environment.get(&environment::CQ_NOW) {
        None => Ok(Clock::System),
        Some(text) => text
            .parse()
            .map(Clock::Fixed)
            .or_fail(Kind::Config, || format!("CQ_NOW: '{text}' is not a time such as 2026-01-31T09:30:00Z")),
    }
}
