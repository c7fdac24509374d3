//! `cq-init`: configuration, state directory, templates, and on request the labels. Run twice, it makes nothing.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use crate::agent::templates;
use crate::config::{FILE_NAME, Loaded};
use crate::error::{Kind, OrFail, Result, Tally};
use crate::git::{Git, Repository};
use crate::github::labels;
use crate::output::Output;
use crate::session::Session;
use crate::state::{State, durable};

mod detect;

/// What is asked for.
#[derive(Debug)]
pub struct Wish {
    /// The base branch; found out if none.
    pub base: Option<String>,
    /// Also the labels on GitHub.
    pub labels: bool,
    /// Only say it.
    pub dry_run: bool,
}

/// Something that was made, or was there.
#[derive(Debug, Serialize)]
struct Made {
    what: String,
    made: bool,
}

/// Where the JSON Schema of the configuration is put.
const SCHEMA: &str = "orchestrator-config.schema.json";

/// Makes what is missing.
pub fn run(session: &Session, wish: &Wish) -> Result<Tally> {
    let mut output = session.rows(&["WHAT", "MADE"]);
    let file = config_file(session);
    let root = file.parent().unwrap_or(session.folder()).to_owned();
    let repository = Repository::open(&Git::find(&session.environment)?, &root)?;
    let mut tell = |what: String, made: bool| tell(&mut output, what, made);

    let missing = !file.exists();
    let files = detect::Root::read(&checkout(session, &root)?);
    let found = detect::detect(&files);
    if let Some(why) = detect::unreadable(&files) {
        session.note(&why);
    }
    if missing && !wish.dry_run {
        let text = config_text(session, wish, &repository, &found)?;
        durable::replace(&file, text.as_bytes())?;
    }
    tell(file.display().to_string(), missing)?;
    if missing {
        for (found, gate) in each(&found) {
            tell(format!("check {} (found {})", words(gate), found.file), true)?;
        }
    } else {
        offer(session, &found);
    }

    let loaded = if wish.dry_run { session.loaded.clone() } else { Loaded::find(Some(&file), &root)? };
    let state_dir =
        session.options.state_dir.as_ref().map_or_else(|| root.join(".cq"), |dir| session.folder().join(dir));
    let state = State::at(state_dir, session.clock, session.command);
    let missing = !state.exists();
    if !wish.dry_run {
        state.create()?;
        durable::replace_cheaply(&state.dir().join(SCHEMA), crate::schema::config().as_bytes())?;
    }
    tell(state.dir().display().to_string(), missing)?;

    let workspaces = loaded.workspaces(&session.environment)?;
    for folder in [
        workspaces.clone(),
        workspaces.join("shared").join("scripts"),
        templates::folder(&workspaces),
        loaded.logs(),
    ] {
        let missing = !folder.is_dir();
        if missing && !wish.dry_run {
            make_folder(&folder)?;
        }
        tell(folder.display().to_string(), missing)?;
    }
    for template in templates::ALL {
        let path = templates::folder(&workspaces).join(template.name);
        let missing = !path.exists();
        if missing && !wish.dry_run {
            durable::write_new(&path, template.text.as_bytes())?;
        }
        tell(path.display().to_string(), missing)?;
    }
    if wish.labels {
        make_labels(session, &loaded, wish.dry_run, &mut tell)?;
    }
    output.finish()?;
    Ok(Tally::default())
}

/// The folder whose files tell which checks there are.
fn checkout(session: &Session, root: &Path) -> Result<PathBuf> {
    match &session.loaded.file {
        Some(_) => session.loaded.repository(&session.environment),
        None => Ok(root.to_owned()),
    }
}

fn each(found: &[detect::Found]) -> impl Iterator<Item = (&detect::Found, &Value)> {
    found.iter().flat_map(|found| found.gates.iter().map(move |gate| (found, gate)))
}

/// A check's command in a line.
fn words(gate: &Value) -> String {
    let words = gate["command"].as_array().into_iter().flatten().filter_map(Value::as_str);
    format!("'{}'", words.collect::<Vec<_>>().join(" "))
}

/// Names the checks that a configuration could have, and has not. It is the operator's: nothing in it is changed.
fn offer(session: &Session, found: &[detect::Found]) {
    let configured = &session.loaded.config.quality_gates;
    let is_there = |gate: &Value| configured.iter().any(|there| json!(there.command) == gate["command"]);
    for (found, gate) in each(found).filter(|(_, gate)| !is_there(gate)) {
        session.note(&format!("found {}: qualityGates could have {gate}", found.file));
    }
}

fn tell(output: &mut Output, what: String, made: bool) -> Result<()> {
    let row = Made { what, made };
    output.item(&row, || vec![row.what.clone(), if made { "made" } else { "was there" }.to_owned()])
}

/// The configuration in force, or a new one in the current folder: never one in a folder above.
fn config_file(session: &Session) -> PathBuf {
    match (&session.options.config, &session.loaded.file) {
        (Some(file), _) => session.folder().join(file),
        (None, Some(file)) => file.clone(),
        (None, None) => session.folder().join(FILE_NAME),
    }
}

/// A folder whose content is kept out of the repository it lies in.
fn make_folder(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)
        .or_fail(Kind::CannotWrite, || format!("cannot make the folder '{}'", folder.display()))?;
    let inside = |name: &str| folder.components().any(|part| part.as_os_str() == name);
    if !inside("shared") {
        durable::write_new(&folder.join(".gitignore"), b"*\n")?;
    }
    Ok(())
}

/// The keys of the design document's samples, filled in as far as this repository tells.
fn config_text(
    session: &Session,
    wish: &Wish,
    repository: &Repository,
    found: &[detect::Found],
) -> Result<String> {
    let repo = match &session.options.repo {
        Some(_) => Some(session.repo()?),
        None => session.repo().ok().or_else(|| repo_of_origin(repository)),
    };
    let (owner, name) = match repo.as_deref().and_then(|repo| repo.split_once('/')) {
        Some((owner, name)) => (json!(owner), json!(name)),
        None => {
            session.note("no repository is known: add github.owner and github.repo, or use --repo");
            (Value::Null, Value::Null)
        }
    };
    let base = match &wish.base {
        Some(base) => base.clone(),
        None => base_of(repository)?,
    };
    let gates: Vec<&Value> = each(found).map(|(_, gate)| gate).collect();
    let caches: Vec<&String> = found.iter().flat_map(|found| &found.caches).collect();
    let mut config = json!({
        "$schema": format!(".cq/{SCHEMA}"),
        "github": {
            "owner": owner,
            "repo": name,
            "labels": ["claude-ready"],
            "excludeLabels": ["blocked", "in-progress", "claude-in-progress", "claude-blocked"],
        },
        "queue": { "maxConcurrentIssues": 5, "retryAttempts": 3, "timeoutMinutes": 120 },
        "workspace": { "baseDir": "./workspaces", "cleanupAfterHours": 24 },
        "git": { "base": base },
        "agent": "claude",
        "qualityGates": gates,
    });
    if !caches.is_empty() {
        config["gate"] = json!({ "caches": caches });
    }
    if let Some(github) = config["github"].as_object_mut() {
        github.retain(|_, value| !value.is_null());
    }
    let text =
        serde_json::to_string_pretty(&config).or_fail(Kind::Internal, || "cannot write the configuration")?;
    Ok(text + "\n")
}

/// `owner/name` of an origin on any server, by its last two segments.
fn repo_of_origin(repository: &Repository) -> Option<String> {
    let address = repository.origin().ok()??;
    let mut segments = address.trim_end_matches('/').trim_end_matches(".git").rsplit(['/', ':']);
    let (name, owner) = (segments.next()?, segments.next()?);
    // A path on this machine says nothing about GitHub.
    let is_remote = address.contains("://") && !address.starts_with("file:") || address.contains('@');
    is_remote.then(|| format!("{owner}/{name}"))
}

/// What origin/HEAD says, else `main`, else the branch that is there.
fn base_of(repository: &Repository) -> Result<String> {
    let known = repository.refs_below("refs/remotes/origin")?;
    let head = known.iter().find(|(name, _)| name == "refs/remotes/origin/HEAD");
    let target = head.and_then(|(_, sha)| {
        let prefer_main = |name: &str| name != "refs/remotes/origin/main";
        let mut same: Vec<&str> = known
            .iter()
            .filter(|(name, other)| other == sha && name != "refs/remotes/origin/HEAD")
            .map(|(name, _)| name.as_str())
            .collect();
        same.sort_by_key(|name| prefer_main(name));
        same.first().map(|name| name.trim_start_matches("refs/remotes/origin/").to_owned())
    });
    if let Some(target) = target {
        return Ok(target);
    }
    for name in ["main", "master"] {
        if repository.resolve(&format!("refs/heads/{name}"))?.is_some() {
            return Ok(name.to_owned());
        }
    }
    Ok("main".to_owned())
}

fn make_labels(
    session: &Session,
    loaded: &Loaded,
    dry_run: bool,
    tell: &mut impl FnMut(String, bool) -> Result<()>,
) -> Result<()> {
    let repo = loaded.repo(session.options.repo.as_deref(), &session.environment)?;
    session.needs_token("make labels")?;
    let client = session.github()?;
    for (name, colour, description) in labels::LABELS {
        let made = if dry_run {
            !labels::exists(&client, &repo, name)?
        } else {
            labels::make(&client, &repo, name, colour, description)?
        };
        tell(format!("label {name} of {repo}"), made)?;
    }
    Ok(())
}
