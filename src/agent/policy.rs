//! Whether a repository says that it does not want what cq does. Pure.
//!
//! Conservative on purpose: only a sentence that names machines as authors, names contributions, and forbids them.
//! One that asks for something (disclosure, a person's review) does not forbid.

/// Where projects write it, beneath the repository's root.
pub const FILES: [&str; 6] = [
    "AI_POLICY.md",
    ".github/AI_POLICY.md",
    "docs/AI_POLICY.md",
    "CONTRIBUTING.md",
    ".github/CONTRIBUTING.md",
    "docs/CONTRIBUTING.md",
];

/// Who is meant: words, compared whole.
const MACHINES: [&str; 13] = [
    "ai",
    "ais",
    "llm",
    "llms",
    "chatgpt",
    "copilot",
    "claude",
    "agent",
    "agents",
    "agentic",
    "genai",
    "bots",
    "machine-generated",
];

/// What is meant.
const CONTRIBUTIONS: [&str; 14] = [
    "contribution",
    "contributions",
    "contribute",
    "pull",
    "pr",
    "prs",
    "patch",
    "patches",
    "code",
    "commits",
    "changes",
    "submissions",
    "content",
    "issues",
];

/// How it is forbidden.
const FORBIDDEN: [&str; 19] = [
    "not accept",
    "not allow",
    "not permit",
    "not welcome",
    "not merge",
    "not submit",
    "not use",
    "not contribute",
    "n't accept",
    "n't allow",
    "n't submit",
    "n't use",
    "forbid",
    "prohibit",
    "banned",
    "be rejected",
    "be closed",
    "refuse",
    "no ai",
];

/// What makes a rule of it, not a refusal.
const CONDITIONS: [&str; 9] = [
    "unless",
    "without",
    "disclos",
    "except",
    "must be reviewed",
    "undisclosed",
    "unreviewed",
    "solely",
    "if you",
];

/// The first sentence of a text that forbids contributions by machines.
pub fn forbids(text: &str) -> Option<String> {
    let paragraphs = text.replace("\r\n", "\n");
    let plain = |c: char| match c {
        '*' | '`' => None,
        '_' | '#' | '>' => Some(' '),
        c => Some(c),
    };
    paragraphs
        .split("\n\n")
        .flat_map(|paragraph| paragraph.split_inclusive(['.', '!', ';']))
        .flat_map(|sentence| sentence.split("\n- "))
        .map(|sentence| sentence.chars().filter_map(plain).collect::<String>())
        .map(|sentence| sentence.split_whitespace().collect::<Vec<_>>().join(" "))
        .find(|sentence| is_refusal(&sentence.to_lowercase().replace('\u{2019}', "'")))
}

fn is_refusal(sentence: &str) -> bool {
    let has_word =
        |words: &[&str]| sentence.split(|c: char| !c.is_alphanumeric()).any(|word| words.contains(&word));
    let has = |parts: &[&str]| parts.iter().any(|part| sentence.contains(part));
    let machines =
        has_word(&MACHINES) || has(&["language model", "machine-generated", "artificial intelligence"]);
    machines && has_word(&CONTRIBUTIONS) && has(&FORBIDDEN) && !has(&CONDITIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_refusal_counts() {
        let cases = [
            ("We do not accept AI-generated contributions.", true),
            ("# Rules\n\nThanks!\n\n**AI-generated code is forbidden** in this project.", true),
            ("Contributions written by LLMs will be closed.", true),
            ("Please don't submit pull requests made by autonomous agents.", true),
            ("Code from large language models is prohibited.", true),
            ("- Be kind\n- Pull requests by AI agents are not allowed", true),
            ("No AI contributions.", true),
            ("We don\u{2019}t accept patches by ChatGPT.", true),
            ("AI-generated contributions without human review are not accepted.", false),
            ("You must disclose AI assistance; undisclosed AI code is not allowed.", false),
            ("AI-assisted pull requests are welcome.", false),
            ("Do not submit code under another licence.", false),
            ("User agents: the parser does not accept empty strings.", false),
            ("Contributions are welcome. We use AI for triage. Spam is not allowed.", false),
            ("Do not use AI unless a maintainer asked for the pull request.", false),
            ("", false),
        ];
        for (text, expected) in cases {
            assert_eq!(forbids(text).is_some(), expected, "{text}");
        }
        assert_eq!(
            forbids("Hi.\n\nAI generated  code\nis **banned**. Bye.").as_deref(),
            Some("AI generated code is banned.")
        );
    }
}
