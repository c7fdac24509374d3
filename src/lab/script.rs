//! The scripted agent's script.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::error::{Error, Kind, OrFail, Result};

/// One thing the agent does: an object with one key.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Step {
    /// Says a text.
    Say(String),
    /// Writes a file, beneath the worktree or anywhere: a rehearsed agent may misbehave.
    Write(FileContent),
    /// The same, at the file's end.
    Append(FileContent),
    /// Commits everything.
    Commit(String),
    /// Runs a program and waits for it.
    Run(Vec<String>),
    SleepMs(u64),
    /// A line of stdout as it is.
    PrintRaw(String),
    PrintStderr(String),
    /// Says the value of this environment variable, or the text itself where there is none.
    PrintSecret(String),
    /// Says a great deal.
    Flood(Flood),
    /// The API fails; ends the run.
    Error(ApiError),
    /// A result of one's own; ends the run.
    Result(serde_json::Map<String, Value>),
    /// Ends at once, without a result.
    Exit(u8),
    /// Does nothing for ever.
    Hang(bool),
    IgnoreSigterm(bool),
    /// Leaves a process behind.
    LeaveChild(LeaveChild),
    /// Takes memory and keeps it; gives up with an error where a child that should take it does not live.
    EatMemory(EatMemory),
    /// Sends itself a signal: KILL, TERM, INT, SEGV, STOP…
    KillSelf(String),
    /// Says that it is done and stays.
    HangAfterResult(bool),
    /// Fails unless these are set.
    RequireEnv(Vec<String>),
    /// Writes its environment into a file, `NAME=value` by line.
    DumpEnv(String),
    /// Writes the prompt into a file.
    DumpPrompt(String),
    /// Writes its arguments into a file, one by line.
    DumpArguments(String),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileContent {
    pub path: String,
    pub content: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Flood {
    /// How much text in all.
    pub bytes: usize,
    /// How much of it in one event.
    #[serde(default = "default_line")]
    pub line: usize,
}

const fn default_line() -> usize {
    1000
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApiError {
    pub status: u16,
    #[serde(default)]
    pub text: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LeaveChild {
    #[serde(default = "default_seconds")]
    pub seconds: u64,
    /// In a session of its own.
    #[serde(default)]
    pub setsid: bool,
    /// Not even our child any more.
    #[serde(default)]
    pub double_fork: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EatMemory {
    /// In all, a MiB at a time.
    pub megabytes: usize,
    /// By this many children, each its part; by the agent itself without any.
    #[serde(default)]
    pub children: usize,
    /// Milliseconds to wait after each MiB.
    #[serde(default)]
    pub pause_ms: u64,
}

const fn default_seconds() -> u64 {
    600
}

/// What an agent without a script does.
fn usual() -> Vec<Step> {
    let file = FileContent {
        path: "cq-lab/issue-{issue}.md".to_owned(),
        content: "Attempt {attempt} at issue {issue}.\n".to_owned(),
    };
    vec![
        Step::Say("I will write a line about issue #{issue}.".to_owned()),
        Step::Append(file),
        Step::Commit("Rehearse issue #{issue}".to_owned()),
        Step::Say("Done: issue #{issue} is rehearsed and committed.".to_owned()),
    ]
}

/// What a script says of an attempt at an issue, and where: the issue's own part, else the default; none where it has
/// neither. Where the script tells attempts apart, the last one that it knows of holds for all that follow.
pub(super) fn chosen(text: &str, issue: &str, attempt: u32) -> Result<Option<(String, Value)>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Script {
        default: Option<Value>,
        #[serde(default)]
        issues: BTreeMap<String, Value>,
    }
    let mut script: Script = serde_json::from_str(text).or_fail(Kind::Config, || "cannot read the script")?;
    let (place, value) = match (script.issues.remove(issue), script.default) {
        (Some(value), _) => (format!("issues.{issue}"), value),
        (None, Some(value)) => ("default".to_owned(), value),
        (None, None) => return Ok(None),
    };
    let wrong = |what: &str| Error::new(Kind::Config, format!("the script's '{place}' {what}"));
    let list = match value {
        Value::Array(_) => value,
        Value::Object(attempts) => {
            let numbered =
                attempts.into_iter().filter_map(|(number, steps)| Some((number.parse::<u32>().ok()?, steps)));
            let due = numbered.filter(|(number, _)| *number <= attempt).max_by_key(|(number, _)| *number);
            match due {
                Some((_, list @ Value::Array(_))) => list,
                Some(_) => return Err(wrong("has an attempt that is no list of steps")),
                None => return Err(wrong(&format!("has no steps for attempt {attempt}"))),
            }
        }
        _ => return Err(wrong("is neither a list of steps nor lists by attempt")),
    };
    Ok(Some((place, list)))
}

/// The steps for an attempt at an issue.
pub(super) fn steps(text: Option<&str>, issue: &str, attempt: u32) -> Result<Vec<Step>> {
    let found = text.map(|text| chosen(text, issue, attempt)).transpose()?.flatten();
    let Some((place, Value::Array(list))) = found else { return Ok(usual()) };
    let step = |(index, value)| {
        serde_json::from_value(value)
            .or_fail(Kind::Config, || format!("cannot read the script's '{place}[{index}]'"))
    };
    list.into_iter().enumerate().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_particular_steps_hold() {
        let text = r#"{"default":[{"say":"d"}],"issues":{"12":{"1":[{"say":"one"}],"3":[{"say":"three"}]},"7":[{"exit":3}]}}"#;
        let cases = [
            ("12", 1, "Say(\"one\")"),
            ("12", 2, "Say(\"one\")"),
            ("12", 3, "Say(\"three\")"),
            ("12", 9, "Say(\"three\")"),
            ("7", 1, "Exit(3)"),
            ("8", 1, "Say(\"d\")"),
        ];
        for (issue, attempt, expected) in cases {
            let steps = steps(Some(text), issue, attempt).unwrap();
            assert_eq!(format!("{:?}", steps[0]), expected, "{issue} {attempt}");
        }
        assert_eq!(steps(None, "1", 1).unwrap().len(), 4);
    }

    #[test]
    fn a_wrong_step_is_named() {
        let cases = [
            (r#"{"issues":{"1":[{"say":"a"},{"sing":"b"}]}}"#, "issues.1[1]"),
            (r#"{"issues":{"1":[{"write":{"path":"a","contents":"b"}}]}}"#, "contents"),
            (r#"{"issues":{"1":{"2":[]}}}"#, "no steps for attempt 1"),
            (r#"{"issues":{"1":7}}"#, "'issues.1' is neither"),
            (r#"{"isues":{}}"#, "isues"),
        ];
        for (text, expected) in cases {
            let error = steps(Some(text), "1", 1).unwrap_err();
            assert!(error.to_string().contains(expected), "{text}: {error}");
        }
    }
}
