//! `cq-token`: the token that cq works with, for other programs: on stdout, or as git asks for passwords.

use std::io::Read as _;

use serde::Serialize;

use crate::clock::Timestamp;
use crate::error::{Error, Kind, OrFail, Result, Tally};
use crate::github::credential::Credential;
use crate::github::helper::{self, Asked, Question};
use crate::github::permissions::Permissions;
use crate::output::{self, Format};
use crate::session::Session;

/// git's questions are short.
const LONGEST_QUESTION: u64 = 64 << 10;

/// What is asked for.
#[derive(Debug)]
pub enum Wish {
    /// The token and what is known of it; `plain` is the token alone.
    Print {
        /// Only the token.
        plain: bool,
    },
    /// `get`: answer git's question on stdin.
    Get,
    /// `store`: git keeps what it got from here; nothing to do.
    Store,
    /// `erase`: the server refused the password.
    Erase,
    /// A question as `GIT_ASKPASS` gets it.
    Answer(String),
    /// Make an App's token worthless.
    Revoke,
}

/// The token, for programs.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    token: &'a str,
    /// None where cq does not know it.
    expires_at: Option<Timestamp>,
    permissions: Option<&'a Permissions>,
    source: &'static str,
}

/// Does it.
pub fn run(session: &Session, wish: &Wish) -> Result<Tally> {
    match wish {
        Wish::Print { plain } => print(session, *plain)?,
        Wish::Get => {
            if read_question()?.is_about(&session.endpoints()?.server) {
                answer(session)?;
            }
        }
        Wish::Store => drop(read_question()?),
        Wish::Erase => {
            let asked = read_question()?;
            if asked.is_about(&session.endpoints()?.server)
                && let Credential::App(app) = session.credential()?.as_ref()
            {
                app.forget(asked.password.as_deref())?;
            }
        }
        Wish::Answer(question) => answer_question(session, question)?,
        Wish::Revoke => match session.credential()?.as_ref() {
            Credential::App(_) if revoke(session)? => session.note("the App's token is revoked"),
            Credential::App(_) => session.note("no token of the App is kept; nothing is revoked"),
            _ => {
                return Err(Error::new(
                    Kind::Config,
                    "only the token of a GitHub App can be revoked from here",
                )
                .hint("revoke it where it was made, under Developer settings on GitHub"));
            }
        },
    }
    Ok(Tally::default())
}

/// Makes the App's token that is kept worthless. Returns whether there was one.
pub fn revoke(session: &Session) -> Result<bool> {
    match session.credential()?.as_ref() {
        Credential::App(app) => app.revoke(),
        Credential::Anonymous | Credential::Token(_) => Ok(false),
    }
}

fn print(session: &Session, plain: bool) -> Result<()> {
    let plain = plain || session.options.format == Some(Format::Table);
    if !plain && output::stdout_is_terminal() {
        return Err(Error::new(Kind::Usage, "stdout is a terminal, where a token does not belong")
            .hint("pipe it, or ask for it with --plain"));
    }
    session.needs_token("print a token")?;
    let credential = session.credential()?;
    let (token, expires_at, permissions) = match credential.as_ref() {
        Credential::Anonymous => return Ok(()),
        Credential::Token(held) => (held.token().to_owned(), None, None),
        Credential::App(app) => {
            let minted = app.token()?;
            (minted.token, Some(minted.expires_at), Some(minted.permissions))
        }
    };
    if plain {
        return output::print(&format!("{token}\n"));
    }
    let mut output = session.rows(&["TOKEN"]);
    let source = credential.source().map_or("", |source| source.name());
    let shown = Shown { token: &token, expires_at, permissions: permissions.as_ref(), source };
    output.item(&shown, || vec![token.clone()])?;
    output.finish()
}

fn read_question() -> Result<Asked> {
    let mut text = String::new();
    let read = std::io::stdin().take(LONGEST_QUESTION).read_to_string(&mut text);
    read.or_fail(Kind::BadInput, || "cannot read git's question")?;
    Ok(Asked::read(&text))
}

/// Without a token nothing is said, and git asks whoever is next.
fn answer(session: &Session) -> Result<()> {
    let credential = session.credential()?;
    match credential.token()? {
        Some(token) => output::print(&helper::answer(&token, credential.expires_at()?)),
        None => Ok(()),
    }
}

fn answer_question(session: &Session, question: &str) -> Result<()> {
    let refuse = |message: String| Err(Error::new(Kind::NotPermitted, message));
    let Some((wanted, address)) = helper::question(question) else {
        return refuse(format!("'{question}' is not a question for a token"));
    };
    if !helper::is_same(address, &session.endpoints()?.server) {
        return refuse(format!("no token for '{address}': it is not the configured server"));
    }
    match wanted {
        Question::User => output::print(&format!("{}\n", helper::USER)),
        Question::Password => {
            session.needs_token("sign git in")?;
            output::print(&format!("{}\n", session.credential()?.token()?.unwrap_or_default()))
        }
    }
}
