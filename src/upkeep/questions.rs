//! The part of a tick that asks people on GitHub what an agent wants to know, and looks for their answers.
//!
//! A question becomes one comment on its issue. The answer is a later comment by somebody who may approve issues; what
//! anybody else writes changes nothing. The issue is then queued again, with the answer as feedback.

use crate::claims;
use crate::clock::stamp;
use crate::error::{Error, Kind, Result, Tally};
use crate::github::{Client, comments};
use crate::pipeline::vet;
use crate::record::{Extra, Feedback, FeedbackSource, IssueComment, Question, Record};
use crate::sanitize;
use crate::session::Session;
use crate::state::events::Event;
use crate::visible::visible;

/// Posts what is open and not posted, and gives every record that was answered, queued again. Trouble is complained
/// of, and counted.
pub(super) fn run(
    session: &Session,
    dry_run: bool,
    mut queued: impl FnMut(&Record) -> Result<()>,
) -> Result<Tally> {
    let open: Vec<Record> = session
        .state
        .in_flight(drop)?
        .into_iter()
        .filter(|record| record.open_question().is_some())
        .collect();
    if open.is_empty() || !session.loaded.config.github.mirror {
        return Ok(Tally::default());
    }
    if !session.has_token()? {
        session.detail("no GitHub token: questions of agents are not asked there");
        return Ok(Tally::default());
    }
    let client = session.github()?;
    session.for_each(open.into_iter().map(Ok), |record| {
        let Some(question) = record.open_question() else { return Ok(()) };
        match (&question.url, dry_run) {
            (None, true) => {
                session.note(&format!("would ask a question on issue #{}", record.number));
                Ok(())
            }
            (None, false) => ask(session, &client, &record, question),
            (Some(_), true) => Ok(()),
            (Some(url), false) => match answered(session, &client, &record, question, url)? {
                Some(record) => queued(&record),
                None => Ok(()),
            },
        }
    })
}

/// Asks, unless a tick that was killed has done so.
fn ask(session: &Session, client: &Client, record: &Record, question: &Question) -> Result<()> {
    let (number, claim) = (record.number, record.claimed()?);
    let marker = format!("<!-- cq:question:{number}:{} -->", stamp(question.at));
    let renew = || session.claims().renew(number, &claim.token).map(drop);
    let said = comments::once(client, (&record.repo, number), &marker, &words(session, question)?, renew)?;
    claims::update(&session.state, claim, number, |record| {
        if let Some(known) = record.question.as_mut().filter(|known| known.at == question.at) {
            known.url = Some(said.url.clone());
        }
        Ok(())
    })?;
    session.state.log(&Event::about(&session.state, "question", number).with("url", said.url.as_str()))?;
    session.note(&format!("issue #{number}: asked at {}", said.url));
    Ok(())
}

/// The comment. The agent's words stand in a block in which nothing is called, linked or hidden.
fn words(session: &Session, question: &Question) -> Result<String> {
    let text = sanitize::lines(&session.mask()?(&question.text)).replace("<!--", "<! --");
    let fence = "`".repeat(longest_run(&text).max(2) + 1);
    let minimum = session.loaded.config.policy().minimum;
    Ok(format!(
        "The agent that works on this issue asks for information:\n\n{fence}text\n{}\n{fence}\n\n\
         It goes on once somebody who has at least {minimum} permission here has answered in a comment.",
        text.trim()
    ))
}

/// The longest run of backticks.
fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or_default()
}

/// Looks for an answer; gives the record, queued again, if there is one.
fn answered(
    session: &Session,
    client: &Client,
    record: &Record,
    question: &Question,
    url: &str,
) -> Result<Option<Record>> {
    let number = record.number;
    let asked = comments::id_of(url).ok_or_else(|| {
        Error::new(Kind::Failed, format!("issue #{number}: '{url}' is not the address of a comment"))
            .hint(format!("cq-claim --retry {number} queues it again"))
    })?;
    if !comments::any_after(client, (&record.repo, number), asked, question.at)? {
        return Ok(None);
    }
    let answers = vet::answers(session, client, record, asked)?;
    let Some(last) = answers.last() else {
        session.detail(&format!("issue #{number}: nobody has answered whose word counts"));
        return Ok(None);
    };
    let Some(_lock) = session.state.try_hold(record.instance())? else { return Ok(None) };
    let now = session.clock.now();
    let by = sanitize::line(&last.author).into_owned();
    let terms = claims::terms(&session.loaded, &session.environment)?;
    let again = session.claims().again(number, &terms, &format!("answered by {by}"), &mut |now_there| {
        let open = now_there.open_question().is_some_and(|open| open.at == question.at);
        if !open || now_there.claim.as_ref().map(|claim| &claim.token) != Some(&record.claimed()?.token) {
            return Err(claims::lost(number));
        }
        if let Some(question) = &mut now_there.question {
            question.answered_at = Some(now);
        }
        now_there.feedback.extend(answers.iter().map(feedback));
        Ok(())
    })?;
    session.state.log(&Event::about(&session.state, "answered", number).with("answered_by", by.as_str()))?;
    session.note(&format!("issue #{number}: {by} has answered; it is queued again"));
    Ok(Some(again))
}

/// What the page shows of an answer.
fn feedback(answer: &IssueComment) -> Feedback {
    let text = format!("{} answers:\n{}", sanitize::line(&answer.author), visible(&answer.body).text);
    Feedback { from: FeedbackSource::Answer, text, at: answer.created_at, extra: Extra::new() }
}

#[cfg(test)]
mod tests {
    use super::longest_run;

    #[test]
    fn a_fence_is_longer_than_any_in_the_text() {
        for (text, expected) in [("", 0), ("a `b` c", 1), ("```\nx\n````", 4), ("`", 1)] {
            assert_eq!(longest_run(text), expected, "{text}");
        }
    }
}
