//! Issues: from GitHub's REST API, or as a file in its shape or in that of `gh issue list --json`.

use serde_json::{Value, json};

use super::lists::is_pull_request;
use super::verdict::{LATER, is_missing};
use super::{Client, Repeat};
use crate::error::{Error, Kind, OrFail, Result};
use crate::record::{Issue, Record};

/// One issue as it is now.
pub fn get(client: &Client, repo: &str, number: u64) -> Result<Record> {
    received(&item(client, repo, number)?, repo)
}

/// Whether somebody has closed an issue by now.
pub fn is_closed(client: &Client, repo: &str, number: u64) -> Result<bool> {
    Ok(get(client, repo, number)?.issue.state == "closed")
}

/// Opens a closed issue again; an open one stays as it is.
pub fn reopen(client: &Client, repo: &str, number: u64) -> Result<()> {
    let url = client.address(&format!("repos/{repo}/issues/{number}"), &[])?;
    client.write("PATCH", &url, Some(&json!({ "state": "open" })), &Repeat::Harmless).map(drop)
}

/// An issue in an answer of GitHub's: one that is none is GitHub's trouble, not that of whoever reads it.
pub(super) fn received(item: &Value, repo: &str) -> Result<Record> {
    from_json(item, Some(repo)).map_err(|error| {
        Error::because(Kind::Unavailable, error, "GitHub's answer is not an issue").hint(LATER)
    })
}

/// One issue as it is now, as GitHub writes it.
pub(super) fn item(client: &Client, repo: &str, number: u64) -> Result<Value> {
    let url = client.address(&format!("repos/{repo}/issues/{number}"), &[])?;
    let issue = client.get(&url).map_err(|error| missing(client, repo, number, error))?.body;
    if issue["number"].as_u64().is_none() {
        return Err(Error::new(Kind::Unavailable, "GitHub's answer is not an issue").hint(LATER));
    }
    let refuse = |what: String| Err(Error::new(Kind::Failed, format!("#{number} of {repo} {what}")));
    if is_pull_request(&issue) {
        return refuse("is a pull request, not an issue".to_owned());
    }
    // The redirect of an issue that was transferred leads to another repository's, and to another number.
    let place = repo_of(issue["url"].as_str().unwrap_or_default());
    let is_here = place.as_deref().is_none_or(|place| place.eq_ignore_ascii_case(repo));
    if issue["number"].as_u64() != Some(number) || !(is_here || is_renamed(client, repo, place.as_deref())?) {
        return refuse(format!(
            "was transferred to {}",
            issue["html_url"].as_str().unwrap_or("another repository")
        ));
    }
    Ok(issue)
}

/// What it means that GitHub has no such issue: where the repository is to be seen, neither its name nor the token is
/// wrong.
fn missing(client: &Client, repo: &str, number: u64, error: Error) -> Error {
    let sees = |address| client.get(&address).is_ok();
    if !is_missing(&error) || !client.address(&format!("repos/{repo}"), &[]).is_ok_and(sees) {
        return error;
    }
    Error::new(error.kind, format!("#{number} of {repo} is not there, or not visible to this token"))
        .hint("check the number: the repository itself can be seen")
}

/// Whether `place` is what `repo` is called now.
fn is_renamed(client: &Client, repo: &str, place: Option<&str>) -> Result<bool> {
    let known = client.get(&client.address(&format!("repos/{repo}"), &[])?)?.body;
    let name = known["full_name"].as_str();
    Ok(name.zip(place).is_some_and(|(name, place)| name.eq_ignore_ascii_case(place)))
}

/// The issues of a file: an array, an object with `items` (search), one object, or one object a line. Each
/// comes with its place, for messages.
pub fn parse_file(text: &str) -> Result<Vec<(String, Value)>> {
    let whole = serde_json::from_str::<Value>(text);
    let items = match whole {
        Ok(Value::Array(items)) => items,
        Ok(Value::Object(mut object)) => match object.remove("items") {
            Some(Value::Array(items)) => items,
            _ => return Ok(vec![("issue 1".to_owned(), serde_json::from_str(text).unwrap_or_default())]),
        },
        Ok(_) => return Err(Error::new(Kind::BadInput, "neither an issue nor a list of issues")),
        // Not one document: one issue a line. A line that is not JSON is kept as text, to be refused by its number.
        Err(error) if text.trim().is_empty() || !text.contains('\n') => {
            return if text.trim().is_empty() {
                Ok(Vec::new())
            } else {
                Err(error).or_fail(Kind::BadInput, || "not JSON")
            };
        }
        Err(_) => {
            let line = |(number, line): (usize, &str)| {
                let value = serde_json::from_str(line).unwrap_or_else(|_| Value::String(line.to_owned()));
                (format!("line {}", number + 1), value)
            };
            return Ok(text
                .lines()
                .enumerate()
                .filter(|(_, line)| !line.trim().is_empty())
                .map(line)
                .collect());
        }
    };
    Ok(items.into_iter().enumerate().map(|(index, item)| (format!("issue {}", index + 1), item)).collect())
}

/// One issue, in either shape, or a record that cq wrote. Without `repo` it is read off the issue's address.
pub fn from_json(value: &Value, repo: Option<&str>) -> Result<Record> {
    let bad = |why: &str| Error::new(Kind::BadInput, why.to_owned());
    if value.get("cq").is_some() {
        return Record::from_json(&value.to_string());
    }
    let object = value.as_object().ok_or_else(|| bad("not a JSON object"))?;
    let number =
        value["number"].as_u64().filter(|number| *number > 0).ok_or_else(|| bad("no issue number"))?;
    let title = value["title"].as_str().ok_or_else(|| bad("no title"))?;
    let url = ["html_url", "url"].iter().find_map(|key| value[*key].as_str()).unwrap_or_default();
    let repo = repo.map(str::to_owned).or_else(|| repo_of(url)).ok_or_else(|| {
        Error::new(Kind::Config, "no repository is configured, and the issue's address names none")
            .hint("set github.owner and github.repo, CQ_REPO, or --repo owner/name")
    })?;
    let time = |rest: &str, gh: &str| {
        let text = object.get(rest).or_else(|| object.get(gh)).and_then(Value::as_str);
        text.map(|text| text.parse().or_fail(Kind::BadInput, || format!("'{rest}' is not a time")))
            .transpose()
    };
    let issue = Issue {
        title: title.to_owned(),
        body: value["body"].as_str().unwrap_or_default().to_owned(),
        labels: names(&value["labels"], "name"),
        author: ["user", "author"]
            .iter()
            .find_map(|key| value[*key]["login"].as_str())
            .unwrap_or_default()
            .to_owned(),
        author_association: value["author_association"].as_str().map(str::to_owned),
        url: url.to_owned(),
        state: value["state"].as_str().unwrap_or("open").to_ascii_lowercase(),
        assignees: names(&value["assignees"], "login"),
        created_at: time("created_at", "createdAt")?,
        updated_at: time("updated_at", "updatedAt")?,
        comments: Vec::new(),
        extra: serde_json::Map::new(),
    };
    Ok(Record::new(repo, number, issue))
}

/// Items may be strings or objects.
fn names(list: &Value, key: &str) -> Vec<String> {
    let name = |item: &Value| item.as_str().or_else(|| item[key].as_str()).map(str::to_owned);
    list.as_array().into_iter().flatten().filter_map(name).collect()
}

/// `owner/name` in `https://HOST/owner/name/issues/N` or `https://HOST/[api/v3/]repos/owner/name/issues/N`.
fn repo_of(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    let segments: Vec<&str> = url.path_segments()?.collect();
    let at = segments.iter().rposition(|segment| *segment == "issues")?;
    let (owner, name) = (segments.get(at.checked_sub(2)?)?, segments.get(at - 1)?);
    Some(format!("{owner}/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_shapes_give_the_same_record() {
        let rest = json!({"number": 7, "title": "T", "body": null, "labels": ["a", {"name": "b"}], "user": null,
            "author_association": "NONE", "html_url": "https://github.com/o/r/issues/7", "url": "https://api.github.com/repos/o/r/issues/7",
            "state": "open", "assignees": [{"login": "x"}], "created_at": "2026-01-01T00:00:00Z"});
        let gh = json!({"number": 7, "title": "T", "body": "", "labels": [{"name": "a"}, {"name": "b"}], "author": {"login": ""},
            "url": "https://github.com/o/r/issues/7", "state": "OPEN", "assignees": [{"login": "x"}], "createdAt": "2026-01-01T00:00:00Z"});
        let (mut rest, gh) = (from_json(&rest, None).unwrap(), from_json(&gh, None).unwrap());
        assert_eq!(rest.repo, "o/r");
        rest.issue.author_association = None;
        assert_eq!(rest, gh);
    }

    #[test]
    fn files_come_in_several_forms() {
        let cases = [
            ("[{\"number\":1},{\"number\":2}]", 2),
            ("{\"items\":[{\"number\":1}]}", 1),
            ("{\"number\":1,\"title\":\"t\"}", 1),
            ("{\"number\":1}\n\nnot json\n{\"number\":2}\n", 3),
            ("", 0),
        ];
        for (text, count) in cases {
            assert_eq!(parse_file(text).unwrap().len(), count, "{text}");
        }
        assert_eq!(parse_file("not json").unwrap_err().kind, Kind::BadInput);
        assert_eq!(parse_file("7").unwrap_err().kind, Kind::BadInput);
    }

    #[test]
    fn what_is_missing_is_named() {
        let cases = [
            (json!([]), "not a JSON object"),
            (json!({"title": "t"}), "no issue number"),
            (json!({"number": 1}), "no title"),
            (
                json!({"number": 1, "title": "t"}),
                "no repository is configured, and the issue's address names none",
            ),
            (
                json!({"number": 1, "title": "t", "url": "https://x/o/r/issues/1", "created_at": "soon"}),
                "'created_at' is not a time",
            ),
        ];
        for (value, expected) in cases {
            let error = from_json(&value, None).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
