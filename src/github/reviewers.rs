//! Whose review of a pull request is asked for.

use serde_json::{Value, json};

use super::{Client, Repeat};
use crate::error::{Error, Kind, Result};

/// People and teams.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// Logins.
    pub people: Vec<String>,
    /// Teams, by their short names.
    pub teams: Vec<String>,
}

impl Asked {
    /// As GitHub writes it in a pull request. Whoever has reviewed is not among them any more.
    pub(super) fn of(pull: &Value) -> Self {
        let names = |list: &str, name: &str| {
            let all = pull[list].as_array().into_iter().flatten();
            all.filter_map(|one| one[name].as_str()).map(str::to_owned).collect()
        };
        Self { people: names("requested_reviewers", "login"), teams: names("requested_teams", "slug") }
    }

    /// Whether it is nobody.
    pub fn is_empty(&self) -> bool {
        self.people.is_empty() && self.teams.is_empty()
    }

    /// One by one.
    pub fn each(&self) -> Vec<Self> {
        let people = self.people.iter().map(|one| Self { people: vec![one.clone()], teams: Vec::new() });
        let teams = self.teams.iter().map(|one| Self { people: Vec::new(), teams: vec![one.clone()] });
        people.chain(teams).collect()
    }
}

/// Those who have reviewed already: to ask them again would be a demand.
pub fn heard(client: &Client, repo: &str, number: u64) -> Result<Vec<String>> {
    let url = client.address(&format!("repos/{repo}/pulls/{number}/reviews"), &[("per_page", "100")])?;
    let answer = client.get_fresh(&url)?;
    let reviews = answer.body.as_array().into_iter().flatten();
    Ok(reviews.filter_map(|review| review["user"]["login"].as_str()).map(str::to_owned).collect())
}

/// Asks for reviews. GitHub refuses all where one of them may not review: somebody without a role, or the author.
pub fn ask(client: &Client, repo: &str, number: u64, wanted: &Asked) -> Result<()> {
    let url = client.address(&format!("repos/{repo}/pulls/{number}/requested_reviewers"), &[])?;
    let body = json!({ "reviewers": wanted.people, "team_reviewers": wanted.teams });
    let who = || wanted.people.iter().chain(&wanted.teams).cloned().collect::<Vec<_>>().join(", ");
    let answer = client.write("POST", &url, Some(&body), &Repeat::Harmless).map_err(|error| {
        error.context(format!("cannot ask {} for a review of pull request #{number}", who()))
    })?;
    let asked = Asked::of(&answer.body);
    let has = |list: &[String], name: &String| list.iter().any(|one| one.eq_ignore_ascii_case(name));
    let people = wanted.people.iter().filter(|name| !has(&asked.people, name));
    let teams = wanted.teams.iter().filter(|name| !has(&asked.teams, name));
    let missing: Vec<&str> = people.chain(teams).map(String::as_str).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("{} cannot be asked for a review of pull request #{number}", missing.join(", "));
    Err(Error::new(Kind::Failed, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_and_teams_are_told_apart() {
        let pull = json!({"requested_reviewers": [{"login": "mia"}], "requested_teams": [{"slug": "core"}]});
        let asked = Asked::of(&pull);
        assert_eq!((asked.people.clone(), asked.teams.clone()), (vec!["mia".into()], vec!["core".into()]));
        assert_eq!(asked.each().len(), 2);
        assert!(Asked::of(&json!({})).is_empty());
    }
}
