//! What a pull request is dressed with: labels, assignees, reviewers, and the comment on the issue. What is there already is
//! left as it is.

use super::renew;
use crate::error::{Error, Kind, Result};
use crate::github::pulls::{self, Found};
use crate::github::reviewers::{self, Asked};
use crate::github::{Client, Refusal, assignees, comments, labels};
use crate::record::Record;
use crate::record::eligibility::same;
use crate::session::Session;

/// What a pull request is dressed with.
pub(super) struct Dressing<'a> {
    pub session: &'a Session,
    pub client: &'a Client,
}

/// Asks once more for assignees and reviewers who are missing on a pull request that is open: GitHub may have refused them, or
/// the configuration did not name them. Only for a person who named the issue: who was taken off it looks just the same, and
/// no pipe may undo that. Nothing else is added. Gives the first refusal.
pub(super) fn ask_again(session: &Session, record: &Record) -> Result<Option<Error>> {
    let config = &session.loaded.config.pull_request;
    let nobody =
        config.assignees.is_empty() && config.reviewers.is_empty() && config.team_reviewers.is_empty();
    let Some(known) = record.pull_request.as_ref().filter(|pull| pull.state == "open" && !nobody) else {
        return Ok(None);
    };
    session.needs_token("ask for reviews")?;
    let client = session.github()?;
    let found = pulls::look(&client, &record.repo, known.number)?;
    if found.pull_request.state != "open" {
        return Ok(None);
    }
    let mut refusals = Refusals { session, first: None };
    Dressing { session, client: &client }.ask_people(record, &found, &mut refusals)?;
    Ok(refusals.first)
}

/// What GitHub refused on the way: the first is given, the others are complained of.
struct Refusals<'a> {
    session: &'a Session,
    first: Option<Error>,
}

impl Refusals<'_> {
    fn note(&mut self, result: Result<()>) -> Result<()> {
        match result {
            Err(error) if is_final(&error) => {
                match self.first {
                    None => self.first = Some(error),
                    Some(_) => self.session.complain(&error),
                }
                Ok(())
            }
            result => result,
        }
    }
}

/// Those that are wanted and not there. Logins and short names of teams have no case.
fn lacks(wanted: &[String], has: &[String]) -> Vec<String> {
    let is_there = |name: &&String| !has.iter().any(|one| one.eq_ignore_ascii_case(name));
    wanted.iter().filter(is_there).cloned().collect()
}

impl Dressing<'_> {
    /// Labels, assignees, reviewers, and the comment on the issue. What GitHub refuses is told and keeps nothing back: the pull
    /// request is there. Gives the first refusal.
    pub(super) fn dress(&self, record: &Record, found: &Found) -> Result<Option<Error>> {
        let (config, number) = (&self.session.loaded.config.pull_request, found.pull_request.number);
        let mut refusals = Refusals { session: self.session, first: None };
        let labels: Vec<String> = config
            .labels
            .iter()
            .filter(|name| !found.labels.iter().any(|label| same(label, name)))
            .cloned()
            .collect();
        if !labels.is_empty() {
            renew(self.session, record)?;
            refusals.note(labels::add(self.client, &record.repo, number, &labels))?;
        }
        self.ask_people(record, found, &mut refusals)?;
        if config.comment {
            let issue = (record.repo.as_str(), record.number);
            let marker = format!("<!-- cq:pull-request:{number} -->");
            let text = format!("The pull request for this issue: {}", found.pull_request.url);
            let said = comments::once(self.client, issue, &marker, &text, || renew(self.session, record));
            refusals.note(said.map(drop))?;
        }
        Ok(refusals.first)
    }

    /// Assignees, and reviewers who are neither asked already nor have said something.
    fn ask_people(&self, record: &Record, found: &Found, refusals: &mut Refusals<'_>) -> Result<()> {
        let config = &self.session.loaded.config.pull_request;
        let (repo, number) = (&record.repo, found.pull_request.number);
        let assignees = lacks(&config.assignees, &found.assignees);
        if !assignees.is_empty() {
            renew(self.session, record)?;
            let added = assignees::add(self.client, repo, number, &assignees);
            refusals.note(added.map(|strangers| {
                if !strangers.is_empty() {
                    let who = strangers.join(", ");
                    self.session.note(&format!("pull request #{number}: {who} cannot be assigned"));
                }
            }))?;
        }
        let mut wanted = Asked {
            people: lacks(&config.reviewers, &found.asked.people),
            teams: lacks(&config.team_reviewers, &found.asked.teams),
        };
        if !wanted.people.is_empty() {
            let heard = reviewers::heard(self.client, repo, number);
            wanted.people = lacks(&wanted.people, &heard?);
        }
        if wanted.is_empty() {
            return Ok(());
        }
        renew(self.session, record)?;
        match reviewers::ask(self.client, repo, number, &wanted) {
            // One that GitHub does not want spoils the request for all.
            Err(error) if is_final(&error) && wanted.each().len() > 1 => {
                for one in wanted.each() {
                    renew(self.session, record)?;
                    refusals.note(reviewers::ask(self.client, repo, number, &one))?;
                }
                Ok(())
            }
            asked => refusals.note(asked),
        }
    }
}

/// Whether GitHub said no, and would say so again; a token that has run out is renewed some day.
pub(super) fn is_final(error: &Error) -> bool {
    error.cause::<Refusal>().is_some_and(|refusal| refusal.status != 401)
        && matches!(error.kind, Kind::NotPermitted | Kind::Failed)
}
