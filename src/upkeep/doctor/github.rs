//! The part of the doctor that asks GitHub: is it there, who are we there, may we do what we must.

use super::token::{Of, TokenKind};
use super::{Finding, Tell, token as judge};
use super::{people, surroundings};
use crate::clock::Clock;
use crate::error::{Error, Kind, Result};
use crate::github::app::App;
use crate::github::client::segment;
use crate::github::credential::Credential;
use crate::github::labels::LABELS;
use crate::github::{Client, Probe, permissions};
use crate::session::Session;

/// Looks at GitHub, the token and the repository.
pub(super) fn look(session: &Session, tell: &mut Tell<'_>) -> Result<()> {
    let credential = match session.credential() {
        Ok(credential) => credential,
        Err(error) => return tell(Finding::failed("token", &error)),
    };
    let client = match session.github() {
        Ok(client) => client,
        Err(error) => return tell(Finding::failed("token", &error)),
    };
    let token = match credential.token() {
        Ok(token) => token,
        Err(error) => return tell(Finding::failed("token", &error)),
    };
    let Some(first) = reach(&client, tell)? else { return Ok(()) };
    if let (Some(token), Some(source)) = (&token, credential.source()) {
        tell(judge::token(source, TokenKind::of(token)))?;
    } else {
        let fix = "set GITHUB_TOKEN, or github.token or github.app in the configuration";
        tell(Finding::error("token", "there is none", fix))?;
    }
    each(judge::tokens(&session.tokens_set().unwrap_or_default()), tell)?;
    let expiry = first.header("github-authentication-token-expiration");
    each(judge::expiry(expiry, Clock::System.now()), tell)?;
    each(surroundings::rate(&first.body["resources"]["core"]), tell)?;

    let repo = match session.repo() {
        Ok(repo) => repo,
        Err(error) => return tell(Finding::failed("repository", &error)),
    };
    let Some(repository) = ask(&client, "repository", &format!("repos/{repo}"), tell)? else { return Ok(()) };
    let base = &session.loaded.config.git.base;
    let of_a_person = !matches!(credential.as_ref(), Credential::App(_)) && token.is_some();
    each(surroundings::repository(&repository.body, base, of_a_person), tell)?;
    let private = repository.body["private"].as_bool().unwrap_or(true);
    match credential.as_ref() {
        Credential::Anonymous => {}
        Credential::App(app) => of_app(app, tell)?,
        Credential::Token(held) => match first.header("x-oauth-scopes") {
            Some(scopes) => each(judge::scopes(scopes, private), tell)?,
            None if TokenKind::of(held.token()) != TokenKind::Installation => {
                of_person(&client, &repo, tell)?;
            }
            None => by_reading(&client, &repo, tell).map(drop)?,
        },
    }
    labels(&client, &repo, tell)?;
    people::look(&client, &repo, &repository.body["owner"], &session.loaded.config.pull_request, tell)
}

fn each(findings: impl IntoIterator<Item = Finding>, tell: &mut Tell<'_>) -> Result<()> {
    findings.into_iter().try_for_each(tell)
}

/// The first request: free of every limit, and it tells the most.
fn reach(client: &Client, tell: &mut Tell<'_>) -> Result<Option<Probe>> {
    let api = &client.endpoints().api;
    let check = "github";
    let probe = match client.probe(&client.address("rate_limit", &[])?) {
        Ok(probe) => probe,
        Err(error) => {
            let fix = "check the network, HTTPS_PROXY, SSL_CERT_FILE and GITHUB_API_URL";
            tell(Finding::error(check, format!("'{api}' cannot be reached: {error}"), fix))?;
            return Ok(None);
        }
    };
    tell(surroundings::clock(probe.skew))?;
    let Some(error) = &probe.error else {
        tell(Finding::ok(check, format!("'{api}' answers")))?;
        return Ok(Some(probe));
    };
    // GitHub Enterprise answers so where limits are switched off.
    if probe.status == 404 {
        tell(Finding::ok(check, format!("'{api}' answers; it has no limits, or is no GitHub")))?;
        return Ok(Some(probe));
    }
    let check = match (probe.status, error.kind) {
        (401, _) => "token",
        (_, Kind::Config) => "github.version",
        _ => check,
    };
    tell(Finding::failed(check, error))?;
    Ok(None)
}

/// Asks for something that must be there.
fn ask(client: &Client, check: &'static str, path: &str, tell: &mut Tell<'_>) -> Result<Option<Probe>> {
    let answered = client.probe(&client.address(path, &[])?);
    let error: Error = match answered {
        Ok(Probe { error: Some(error), .. }) | Err(error) => error.context(format!("cannot read '{path}'")),
        Ok(probe) => return Ok(Some(probe)),
    };
    tell(Finding::failed(check, &error))?;
    Ok(None)
}

fn of_app(app: &App, tell: &mut Tell<'_>) -> Result<()> {
    let minted = match app.token() {
        Ok(minted) => minted,
        Err(error) => return tell(Finding::failed("token", &error)),
    };
    each(judge::permissions(Of::Token, &minted.permissions, &permissions::needed()), tell)?;
    match app.installation() {
        Err(error) => tell(Finding::failed("app.permissions", &error)),
        Ok(installation) if installation.suspended => {
            let fix = "unsuspend it under 'Installed GitHub Apps' in the owner's settings";
            tell(Finding::error("app", format!("installation {} is suspended", installation.id), fix))
        }
        Ok(installation) => each(
            judge::permissions(Of::Installation, &installation.permissions, &permissions::needed()),
            tell,
        ),
    }
}

/// A fine-grained token does not say what it may do: harmless reads show it.
fn of_person(client: &Client, repo: &str, tell: &mut Tell<'_>) -> Result<()> {
    let mut all = by_reading(client, repo, tell)?;
    let user = client.probe(&client.address("user", &[])?).ok();
    if let Some(login) = user.as_ref().and_then(|user| user.body["login"].as_str()) {
        let path = format!("repos/{repo}/collaborators/{}/permission", segment(login));
        all &= read(client, "metadata", &path, tell)?;
    }
    if all {
        let what = "issues, pull requests and contents can be read; writing is not tried";
        tell(Finding::ok("token.permissions", what))?;
    }
    Ok(())
}

/// Whether all that cq needs can be read.
fn by_reading(client: &Client, repo: &str, tell: &mut Tell<'_>) -> Result<bool> {
    let mut all = true;
    for (what, path) in [("issues", "issues"), ("pull requests", "pulls"), ("contents", "contents")] {
        all &= read(client, what, &format!("repos/{repo}/{path}"), tell)?;
    }
    Ok(all)
}

fn read(client: &Client, what: &str, path: &str, tell: &mut Tell<'_>) -> Result<bool> {
    // Only lists have pages.
    let query: &[(&str, &str)] =
        if path.ends_with("/issues") || path.ends_with("/pulls") { &[("per_page", "1")] } else { &[] };
    match client.probe(&client.address(path, query)?) {
        Err(error) => tell(Finding::failed("token.permissions", &error)).map(|()| false),
        Ok(probe) => {
            let finding = judge::readable(what, probe.status, probe.header("x-accepted-github-permissions"));
            let good = finding.is_none();
            each(finding, tell).map(|()| good)
        }
    }
}

fn labels(client: &Client, repo: &str, tell: &mut Tell<'_>) -> Result<()> {
    let mut missing = Vec::new();
    for (name, ..) in LABELS {
        let there = client.probe(&client.address(&format!("repos/{repo}/labels/{}", segment(name)), &[])?);
        match there {
            Err(error) => return tell(Finding::failed("repository.labels", &error)),
            Ok(Probe { status: 404, .. }) => missing.push(name),
            Ok(Probe { error: Some(error), .. }) => {
                return tell(Finding::failed("repository.labels", &error));
            }
            Ok(_) => {}
        }
    }
    tell(surroundings::labels(&missing))
}
