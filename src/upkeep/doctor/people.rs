//! Whether those whom a pull request is to ask for can be asked: GitHub passes over assignees, and refuses reviewers, only
//! once there is a pull request.

use serde_json::Value;

use super::{Finding, Tell};
use crate::config::PullRequests;
use crate::error::Result;
use crate::github::client::segment;
use crate::github::{Client, Probe};

const CHECK: &str = "pull-request.people";

/// What GitHub says of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Yes,
    No,
    /// It does not say, for this reason.
    Unknown(String),
}

/// Asks for each who is configured; `owner` is the repository's.
pub(super) fn look(
    client: &Client,
    repo: &str,
    owner: &Value,
    config: &PullRequests,
    tell: &mut Tell<'_>,
) -> Result<()> {
    let assignee = |login: &str| format!("repos/{repo}/assignees/{}", segment(login));
    let reviewer = |login: &str| format!("repos/{repo}/collaborators/{}", segment(login));
    let assignees = ask(client, &config.assignees, assignee)?;
    let reviewers = ask(client, &config.reviewers, reviewer)?;
    let mut findings = judge("assignees", repo, &assignees);
    findings.extend(judge("reviewers", repo, &reviewers));
    // An App is nobody's user, and does not answer this.
    let me =
        if config.reviewers.is_empty() { None } else { client.probe(&client.address("user", &[])?).ok() };
    findings.extend(author(me.as_ref().and_then(|me| me.body["login"].as_str()), &config.reviewers));
    findings.extend(teams(owner, &config.team_reviewers));
    let all: Vec<&str> = assignees.iter().chain(&reviewers).map(|(login, _)| login.as_str()).collect();
    if findings.is_empty() && !all.is_empty() {
        findings.push(Finding::ok(CHECK, format!("{} can be asked", all.join(", "))));
    }
    findings.into_iter().try_for_each(tell)
}

fn ask(client: &Client, logins: &[String], path: impl Fn(&str) -> String) -> Result<Vec<(String, Answer)>> {
    let one = |login: &String| Ok((login.clone(), answer(client.probe(&client.address(&path(login), &[])?))));
    logins.iter().map(one).collect()
}

fn answer(probe: Result<Probe>) -> Answer {
    match probe {
        Ok(Probe { error: None, .. }) => Answer::Yes,
        Ok(Probe { status: 404, .. }) => Answer::No,
        Ok(Probe { error: Some(error), .. }) | Err(error) => Answer::Unknown(error.to_string()),
    }
}

/// `key` is where in `pullRequest` they stand.
fn judge(key: &str, repo: &str, answers: &[(String, Answer)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let refused: Vec<&str> =
        answers.iter().filter(|(_, answer)| *answer == Answer::No).map(|(who, _)| who.as_str()).collect();
    if !refused.is_empty() {
        let asked = if key == "assignees" { "assigned" } else { "asked for a review" };
        let what = format!("{} cannot be {asked} in {repo}", refused.join(", "));
        let fix = format!("give them a role there, or take them out of pullRequest.{key}");
        findings.push(Finding::warning(CHECK, what, fix));
    }
    // The same for all of them.
    if let Some((who, Answer::Unknown(why))) =
        answers.iter().find(|(_, answer)| matches!(answer, Answer::Unknown(_)))
    {
        let what = format!("GitHub does not say whether {who} (pullRequest.{key}) can be asked: {why}");
        findings.push(Finding::warning(CHECK, what, "ask with a token of somebody who may push"));
    }
    findings
}

/// Who opens a pull request is not asked to review it.
fn author(me: Option<&str>, reviewers: &[String]) -> Option<Finding> {
    let me = me.filter(|me| reviewers.iter().any(|one| one.eq_ignore_ascii_case(me)))?;
    let what = format!("{me} cannot be asked for a review: the pull requests are opened in that name");
    Some(Finding::warning(CHECK, what, "take it out of pullRequest.reviewers, or use another token"))
}

/// Of an organization's teams only tokens with more than cq needs are told.
fn teams(owner: &Value, teams: &[String]) -> Option<Finding> {
    let (names, owner, kind) = (teams.join(", "), owner["login"].as_str()?, owner["type"].as_str()?);
    if teams.is_empty() {
        return None;
    }
    if kind == "Organization" {
        let what =
            format!("whether the teams {names} have access is not looked at; cq-pr says who was refused");
        return Some(Finding::ok(CHECK, what));
    }
    let what = format!("the teams {names} cannot be asked for a review: {owner} is no organization");
    Some(Finding::warning(CHECK, what, "take them out of pullRequest.teamReviewers"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Verdict;
    use super::*;

    #[test]
    fn who_cannot_be_asked_is_named() {
        let no = |who: &str| (who.to_owned(), Answer::No);
        let yes = ("mia".to_owned(), Answer::Yes);
        let unknown = ("noah".to_owned(), Answer::Unknown("403".into()));
        let cases: [(&str, Vec<_>, &[&str]); 5] = [
            ("reviewers", vec![], &[]),
            ("reviewers", vec![yes.clone()], &[]),
            ("reviewers", vec![no("a"), yes.clone(), no("b")], &["a, b cannot be asked for a review in o/r"]),
            ("assignees", vec![no("a")], &["a cannot be assigned in o/r"]),
            (
                "assignees",
                vec![no("a"), unknown],
                &[
                    "a cannot be assigned in o/r",
                    "GitHub does not say whether noah (pullRequest.assignees) can be asked: 403",
                ],
            ),
        ];
        for (key, answers, expected) in cases {
            let found: Vec<String> =
                judge(key, "o/r", &answers).into_iter().map(|finding| finding.what).collect();
            assert_eq!(found, expected, "{answers:?}");
        }
    }

    #[test]
    fn an_author_does_not_review_and_a_person_has_no_teams() {
        let reviewers = ["mia".to_owned(), "CQ-bot".to_owned()];
        for (me, expected) in [(None, false), (Some("noah"), false), (Some("cq-bot"), true)] {
            assert_eq!(author(me, &reviewers).is_some(), expected, "{me:?}");
        }
        let core = ["core".to_owned()];
        let owner = |kind: &str| json!({"login": "o", "type": kind});
        assert_eq!(teams(&owner("User"), &[]), None);
        assert_eq!(teams(&owner("User"), &core).map(|found| found.verdict), Some(Verdict::Warning));
        assert_eq!(teams(&owner("Organization"), &core).map(|found| found.verdict), Some(Verdict::Ok));
    }
}
