//! Check runs and commit statuses, and what a red one says of itself.

use serde_json::{Value, json};

use super::details::data;
use super::{Client, Refusal, document};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::record::checks::{CheckSeen, Checks, Light, Source};

/// The most of a job's log that is kept while it is read: its end.
const LOG_BYTES: usize = 256 << 10;
/// The end of what a red check says, in lines.
const LINES: usize = 50;
/// GitHub's own CI, whose check runs are jobs that have logs.
const ACTIONS: &str = "github-actions";

/// Why checks could not be read: the token may see the pull request and not them. None where they could.
pub(super) fn hidden(answer: &Value) -> Option<String> {
    let errors = answer["errors"].as_array().into_iter().flatten();
    let of_checks = |error: &&Value| {
        let path = error["path"].as_array().into_iter().flatten();
        path.filter_map(Value::as_str).any(|part| part == "statusCheckRollup")
    };
    let mut found = errors.filter(of_checks);
    found.next().map(|error| error["message"].as_str().unwrap_or("GitHub does not say why").to_owned())
}

/// What a commit's rollup holds: the newest of each name, as GitHub itself counts, for each of those who ran one.
pub(super) fn of(rollup: &Value, required: Vec<String>, hidden: Option<String>) -> Checks {
    let contexts = &rollup["contexts"];
    let mut seen: Vec<CheckSeen> = Vec::new();
    for check in contexts["nodes"].as_array().into_iter().flatten().filter_map(check) {
        match seen.iter_mut().find(|other| (&other.name, &other.source) == (&check.name, &check.source)) {
            Some(other) if other.at <= check.at => *other = check,
            Some(_) => {}
            None => seen.push(check),
        }
    }
    let more = (contexts["pageInfo"]["hasNextPage"] == true).then(|| "there are more than 100".to_owned());
    Checks { seen, required, unknown: hidden.or(more) }
}

fn check(node: &Value) -> Option<CheckSeen> {
    let moment = |value: &Value| value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    let required = node["isRequired"] == true;
    if node["__typename"] == "StatusContext" {
        let light = match node["state"].as_str()? {
            "SUCCESS" => Light::Green,
            "FAILURE" | "ERROR" => Light::Red,
            _ => Light::Amber,
        };
        return Some(CheckSeen {
            name: node["context"].as_str()?.to_owned(),
            source: Source::default(),
            light,
            required,
            at: moment(&node["createdAt"]),
            run: None,
            said: node["description"].as_str().unwrap_or_default().to_owned(),
        });
    }
    let light = match (node["status"].as_str()?, node["conclusion"].as_str()) {
        ("COMPLETED", Some("SUCCESS" | "NEUTRAL" | "SKIPPED")) => Light::Green,
        ("COMPLETED", Some("FAILURE" | "TIMED_OUT" | "STARTUP_FAILURE")) => Light::Red,
        _ => Light::Amber,
    };
    Some(CheckSeen {
        name: node["name"].as_str()?.to_owned(),
        source: source(&node["checkSuite"]),
        light,
        required,
        // One that runs again has begun, and not ended.
        at: moment(&node["completedAt"]).or_else(|| moment(&node["startedAt"])),
        run: node["id"].as_str().map(str::to_owned),
        said: String::new(),
    })
}

fn source(suite: &Value) -> Source {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let run = &suite["workflowRun"];
    Source {
        app: text(&suite["app"]["slug"]),
        workflow: text(&run["workflow"]["name"]),
        event: text(&run["event"]),
    }
}

/// What a red check says: the end of its job's log, else its own summary and annotations. Untrusted text: it is what
/// the change made its tests print.
pub fn failure(client: &Client, repo: &str, check: &CheckSeen) -> Result<String> {
    let Some(id) = &check.run else { return Ok(check.said.clone()) };
    let node = data(client.query(document::FAILURE, &json!({ "id": id }))?)?["node"].take();
    if node["checkSuite"]["app"]["slug"] == ACTIONS
        && let Some(job) = job(&node)
    {
        let url = client.address(&format!("repos/{repo}/actions/jobs/{job}/logs"), &[])?;
        match client.text(&url, LOG_BYTES) {
            Ok(log) => return Ok(end_of_log(&log)),
            // Logs are deleted after a while, and a token may not be allowed to read them.
            Err(error) if error.cause::<Refusal>().is_some() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(told(&node))
}

/// The job of a check run: its address ends with it. The id beside it has 32 bits, and jobs have more.
fn job(node: &Value) -> Option<u64> {
    let details = node["detailsUrl"].as_str().unwrap_or_default();
    let (_, after) = details.rsplit_once("/job/").unwrap_or_default();
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().or_else(|| node["databaseId"].as_u64())
}

/// The lines up to the last error: after it a job only cleans up. Without GitHub's time stamps.
fn end_of_log(log: &str) -> String {
    let lines: Vec<&str> = log.lines().map(without_stamp).collect();
    let last = lines.iter().rposition(|line| line.contains("##[error]")).map_or(lines.len(), |at| at + 1);
    lines[last.saturating_sub(LINES)..last].join("\n")
}

/// `2026-01-31T09:30:00.1234567Z text`.
fn without_stamp(line: &str) -> &str {
    let line = line.trim_start_matches('\u{feff}');
    match line.split_once(' ') {
        Some((first, rest)) if first.ends_with('Z') && first.parse::<Timestamp>().is_ok() => rest,
        _ => line,
    }
}

fn told(node: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().trim().to_owned();
    let mut parts = vec![text(&node["title"]), text(&node["summary"]), text(&node["text"])];
    for one in node["annotations"]["nodes"].as_array().into_iter().flatten() {
        let line = one["location"]["start"]["line"].as_u64().unwrap_or_default();
        parts.push(format!("{}:{line}: {}", text(&one["path"]), text(&one["message"])));
    }
    parts.retain(|part| !part.is_empty());
    let all = parts.join("\n");
    let lines: Vec<&str> = all.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::checks::Verdict;

    #[test]
    fn the_newest_of_a_name_counts() {
        let run = |name: &str, status: &str, conclusion: Value, at: &str| {
            json!({"__typename": "CheckRun", "id": "C", "name": name, "status": status, "conclusion": conclusion,
                "startedAt": at, "completedAt": null, "isRequired": false})
        };
        let status = json!({"__typename": "StatusContext", "id": "S", "context": "d", "state": "ERROR",
            "description": "boom", "createdAt": "2026-01-01T00:00:00Z", "isRequired": true});
        let (early, late) = ("2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z");
        let nodes = json!([
            run("a", "COMPLETED", json!("FAILURE"), early),
            run("a", "IN_PROGRESS", Value::Null, late),
            run("b", "COMPLETED", json!("SKIPPED"), late),
            run("b", "COMPLETED", json!("FAILURE"), early),
            run("c", "COMPLETED", json!("CANCELLED"), early),
            status,
        ]);
        let checks = of(&json!({"contexts": {"nodes": nodes}}), vec![], None);
        let lights: Vec<_> = checks.seen.iter().map(|check| (check.name.as_str(), check.light)).collect();
        let expected = [("a", Light::Amber), ("b", Light::Green), ("c", Light::Amber), ("d", Light::Red)];
        assert_eq!(lights, expected);
        assert!(checks.seen[3].required && checks.seen[3].said == "boom");
        assert_eq!(of(&Value::Null, vec![], None), Checks::default());
    }

    /// Jobs of several workflows, events and apps share names: a green one hides no red one.
    #[test]
    fn a_namesake_hides_nothing() {
        let run = |app: &str, workflow: Option<(&str, &str)>, conclusion: &str, hour: u32| {
            let ran = workflow.map(|(name, event)| json!({"event": event, "workflow": {"name": name}}));
            json!({"__typename": "CheckRun", "id": "C", "name": "test", "status": "COMPLETED",
                "conclusion": conclusion, "startedAt": null, "completedAt": format!("2026-01-01T0{hour}:00:00Z"),
                "isRequired": false, "checkSuite": {"app": {"slug": app}, "workflowRun": ran}})
        };
        let ci = |event, conclusion, hour| run(ACTIONS, Some(("ci", event)), conclusion, hour);
        let red = ci("pull_request", "FAILURE", 1);
        let cases = [
            (ci("pull_request", "SUCCESS", 2), 1, Verdict::Passed),
            (ci("pull_request", "SUCCESS", 0), 1, Verdict::Failed),
            (ci("push", "SUCCESS", 2), 2, Verdict::Failed),
            (run(ACTIONS, Some(("docs", "pull_request")), "SUCCESS", 2), 2, Verdict::Failed),
            (run("other-ci", None, "SUCCESS", 2), 2, Verdict::Failed),
        ];
        for (other, count, verdict) in cases {
            let nodes = json!({"contexts": {"nodes": [red, other]}});
            for required in [vec![], vec!["test".to_owned()]] {
                let checks = of(&nodes, required, None);
                assert_eq!((checks.seen.len(), checks.verdict()), (count, verdict), "{nodes}");
            }
        }
    }

    #[test]
    fn a_log_ends_with_its_last_error() {
        let mut log: String = (0..80)
            .map(|line| format!("2026-01-31T09:30:00.1234567Z line {line}\n"))
            .collect::<Vec<_>>()
            .concat();
        log.push_str("2026-01-31T09:30:01.0000000Z ##[error]Process completed with exit code 1.\n");
        log.push_str("2026-01-31T09:30:01.0000000Z Post job cleanup.\nplain\n");
        let end = end_of_log(&log);
        assert!(
            end.starts_with("line 31\n")
                && end.ends_with("line 79\n##[error]Process completed with exit code 1."),
            "{end}"
        );
        assert_eq!(end_of_log("a\nb"), "a\nb");
    }

    #[test]
    fn a_job_is_found_in_its_address() {
        let node = |url: Value| json!({"detailsUrl": url, "databaseId": 7});
        assert_eq!(
            job(&node(json!("https://github.com/o/r/actions/runs/1/job/62000000001?pr=3"))),
            Some(62_000_000_001)
        );
        assert_eq!(job(&node(json!("https://ci.example/1"))), Some(7));
        assert_eq!(job(&json!({})), None);
    }

    #[test]
    fn checks_that_a_token_may_not_see_are_not_taken_for_none() {
        let forbidden = json!({"errors": [{"type": "FORBIDDEN", "message": "Resource not accessible",
            "path": ["repository", "pullRequest", "statusCheckRollup"]}]});
        assert_eq!(hidden(&forbidden).as_deref(), Some("Resource not accessible"));
        assert_eq!(hidden(&json!({"errors": [{"message": "x", "path": ["repository"]}]})), None);
        assert_eq!(hidden(&json!({"data": {}})), None);
    }
}
