//! What reviewers hear of it when their agent has been back: an answer in each thread, and the wish to look again.

use super::dressing::is_final;
use super::renew;
use crate::claims;
use crate::error::Result;
use crate::github::reviewers::{self, Asked};
use crate::github::{Client, reviews};
use crate::record::review::short;
use crate::record::{Heard, Record};
use crate::sanitize;
use crate::session::Session;

/// So much of the agent's own words goes into an answer, in characters.
const LONGEST: usize = 1_500;

/// Answers what the round that has just been delivered dealt with: each thread once, whoever is killed on the way.
/// What GitHub refuses is told and keeps nothing back.
pub(super) fn give(session: &Session, client: &Client, record: &Record, head: &str) -> Result<Record> {
    let record = record.clone();
    let Some(pull) = record.pull_request.clone() else { return Ok(record) };
    if !session.loaded.config.feedback.reply {
        return Ok(record);
    }
    let waiting: Vec<Heard> = record.rounds.iter().flat_map(|rounds| rounds.unanswered().cloned()).collect();
    if waiting.is_empty() {
        return Ok(record);
    }
    let mask = session.mask()?;
    let still_held = || renew(session, &record);
    let mut again: Vec<String> = Vec::new();
    for heard in &waiting {
        if let Some(thread) = heard.thread {
            let marker = format!("<!-- cq:reply:{thread}:{} -->", heard.round);
            let text = words(&record, heard, head, &mask);
            let place = (record.repo.as_str(), pull.number);
            tolerate(session, reviews::answer_once(client, place, thread, (&marker, &text), still_held))?;
        }
        let by = heard.by.iter().filter(|_| heard.look_again && heard.head != head);
        again.extend(by.filter(|by| !again.contains(by)).cloned().collect::<Vec<_>>());
    }
    if !again.is_empty() {
        still_held()?;
        let again = Asked { people: again, ..Asked::default() };
        tolerate(session, reviewers::ask(client, &record.repo, pull.number, &again))?;
    }
    let now = session.clock.now();
    claims::update(&session.state, record.claimed()?, record.number, |record| {
        let known = record.rounds.iter_mut().flat_map(|rounds| &mut rounds.heard);
        known.filter(|one| waiting.contains(one)).for_each(|one| one.answered_at = Some(now));
        Ok(())
    })
}

fn tolerate(session: &Session, result: Result<()>) -> Result<()> {
    match result {
        Err(error) if is_final(&error) => {
            session.complain(&error);
            Ok(())
        }
        result => result,
    }
}

/// Honest about what was done: that a commit came after the comment is all that cq knows.
fn words(record: &Record, one: &Heard, head: &str, mask: impl Fn(&str) -> String) -> String {
    if one.head != head {
        return format!("The agent has been back since: the branch ends with {} now.", short(head));
    }
    let said = record.run.as_ref().and_then(|run| run.summary.as_deref()).unwrap_or("nothing");
    let said = mask(&sanitize::lines(said)).replace('@', "@\u{2060}").replace("<!--", "<! --");
    let said = sanitize::clip(&said, LONGEST);
    let quoted: Vec<String> = said.lines().map(|line| format!("> {line}")).collect();
    format!("The agent has looked at this and changed nothing. It says:\n\n{}", quoted.join("\n"))
}
