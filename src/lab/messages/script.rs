//! The script of a rehearsed model: what it answers, turn by turn.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::conversation::Conversation;
use super::failure::{Failure, usual_message};
use crate::error::{Error, Kind, OrFail, Result};
use crate::lab::script::chosen;

/// One thing in an answer: an object with one key. Texts may say `{issue}`, `{attempt}` and `{directory}`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Step {
    /// A text.
    Say(String),
    /// The use of a tool of the client's.
    Tool(Tool),
    /// A pause within the stream, in milliseconds.
    WaitMs(u64),
    /// Nothing more comes, but the stream stays open.
    Hang(bool),
    /// A refusal: the whole answer where it stands first, else an error within the stream.
    Status(Refusal),
    /// Why the answer ends, where it is neither its end nor a tool: `max_tokens`, `refusal`…
    End(String),
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tool {
    pub name: String,
    pub input: Value,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Refusal {
    pub code: u16,
    /// What the API usually says with this status, where absent.
    pub message: Option<String>,
    /// Such as `retry-after`, in seconds.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

impl Refusal {
    pub(super) fn failure(&self) -> Failure {
        let message = self.message.clone().unwrap_or_else(|| usual_message(self.code).to_owned());
        Failure { status: self.code, message, headers: self.headers.clone() }
    }
}

/// What a model without a script does: a file, a commit, a last word.
fn usual() -> Value {
    let file = "{directory}/cq-lab/issue-{issue}.md";
    json!([
        [
            {"say": "I will write a line about issue #{issue}."},
            {"tool": {"name": "Write", "input": {"file_path": file, "content": "Attempt {attempt} at issue {issue}.\n"}}},
        ],
        [
            {"say": "Committing it."},
            {"tool": {"name": "Bash", "input": {
                "command": "git add -A && git commit -m 'Rehearse issue #{issue}'", "description": "Commit the file",
            }}},
        ],
        [{"say": "Done: issue #{issue} is rehearsed and committed."}],
    ])
}

/// What is answered now: the turn's own steps, and a last word where the script has none left.
pub(super) fn answer(text: Option<&str>, at: &Conversation) -> Result<Vec<Step>> {
    let found = text.map(|text| chosen(text, &at.issue, at.attempt)).transpose()?.flatten();
    let (place, turns) = found.unwrap_or_else(|| ("usual".to_owned(), usual()));
    let Value::Array(turns) = turns else {
        return Err(Error::new(Kind::Config, format!("the script's '{place}' is not a list of turns")));
    };
    let Some(turn) = turns.into_iter().nth(at.turn) else {
        return Ok(vec![Step::Say("That was all.".to_owned())]);
    };
    let steps = match turn {
        Value::Array(steps) => steps,
        step => vec![step],
    };
    let read = |(index, value)| {
        let attempt = || format!("cannot read the script's '{place}[{}][{index}]'", at.turn);
        serde_json::from_value(filled(value, at)).or_fail(Kind::Config, attempt)
    };
    steps.into_iter().enumerate().map(read).collect()
}

/// The value with its placeholders replaced, in all of its texts.
fn filled(value: Value, at: &Conversation) -> Value {
    match value {
        Value::String(text) => {
            let text = text.replace("{issue}", &at.issue).replace("{attempt}", &at.attempt.to_string());
            Value::String(text.replace("{directory}", &at.directory))
        }
        Value::Array(list) => list.into_iter().map(|one| filled(one, at)).collect(),
        Value::Object(map) => map.into_iter().map(|(name, one)| (name, filled(one, at))).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(issue: &str, attempt: u32, turn: usize) -> Conversation {
        Conversation {
            model: "m".to_owned(),
            stream: true,
            issue: issue.to_owned(),
            attempt,
            turn,
            directory: "/w".to_owned(),
            length: 4,
            known: 0,
        }
    }

    #[test]
    fn the_manual_names_every_step_and_its_example_is_taken() {
        const MANUAL: &str = include_str!("../../cli/lab/messages.txt");
        let example = MANUAL.split("\n\n").find(|block| block.starts_with("  {")).unwrap();
        for (place, count) in [(at("1", 1, 0), 1), (at("1", 1, 1), 1), (at("7", 1, 0), 1), (at("7", 2, 0), 3)]
        {
            assert_eq!(answer(Some(example), &place).unwrap().len(), count, "{place:?}");
        }
        let refusal =
            answer(Some(r#"{"default": [[{"sing": 1}]]}"#), &at("1", 1, 0)).unwrap_err().to_string();
        let (_, known) = refusal.split_once(", expected one of ").unwrap();
        let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
        let missing: Vec<&&str> =
            known.iter().filter(|name| !MANUAL.contains(&format!("\n  {name} "))).collect();
        assert!(known.len() == 6 && missing.is_empty(), "{missing:?} of {known:?}");
    }

    #[test]
    fn issue_attempt_and_turn_choose_the_steps() {
        let text = r#"{"default": [[{"say": "d{issue}"}, {"hang": true}], {"say": "second"}],
            "issues": {"7": {"1": [{"status": {"code": 429, "headers": {"retry-after": "600"}}}], "2": [{"end": "refusal"}]}}}"#;
        let cases = [
            (at("1", 1, 0), vec![Step::Say("d1".to_owned()), Step::Hang(true)]),
            (at("1", 4, 1), vec![Step::Say("second".to_owned())]),
            (at("1", 1, 2), vec![Step::Say("That was all.".to_owned())]),
            (at("7", 3, 0), vec![Step::End("refusal".to_owned())]),
        ];
        for (place, expected) in cases {
            assert_eq!(answer(Some(text), &place).unwrap(), expected, "{place:?}");
        }
        let [Step::Status(refusal)] = &answer(Some(text), &at("7", 1, 0)).unwrap()[..] else {
            panic!("no refusal")
        };
        assert_eq!(refusal.failure().headers["retry-after"], "600");
        assert_eq!(refusal.failure().message, usual_message(429));
    }

    #[test]
    fn without_a_script_a_file_is_written_and_committed() {
        let [Step::Say(_), Step::Tool(write)] = &answer(None, &at("7", 2, 0)).unwrap()[..] else {
            panic!("no tool")
        };
        assert_eq!(write.input["file_path"], "/w/cq-lab/issue-7.md");
        assert_eq!(write.input["content"], "Attempt 2 at issue 7.\n");
        assert!(
            matches!(&answer(None, &at("7", 2, 1)).unwrap()[..], [_, Step::Tool(tool)] if tool.name == "Bash")
        );
        assert!(matches!(&answer(None, &at("7", 2, 2)).unwrap()[..], [Step::Say(_)]));
    }

    #[test]
    fn a_wrong_step_is_named() {
        let cases = [
            (r#"{"default": [[{"say": "x"}, {"sing": "y"}]]}"#, "default[0][1]"),
            (r#"{"default": [{"tool": {"name": "x"}}]}"#, "input"),
            (r#"{"isues": {}}"#, "isues"),
        ];
        for (text, expected) in cases {
            let error = answer(Some(text), &at("1", 1, 0)).unwrap_err();
            assert!(error.to_string().contains(expected), "{text}: {error}");
        }
    }
}
