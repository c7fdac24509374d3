//! What the words of a refused request mean: a login that was not accepted, or a limit that is reached.
//!
//! Clients say both in words that change with their versions and with the account; the API's status, where there is
//! one, outranks them.

/// Why the API serves nobody of this account for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Not logged in, a key that is not valid, an account without money: an operator's to mend.
    Auth,
    /// So much and no more until some moment.
    UsageLimit,
}

/// Words about the account.
const AUTH: [&str; 15] = [
    "/login",
    "not logged in",
    "log in again",
    "invalid api key",
    "invalid x-api-key",
    "incorrect api key",
    "api key not valid",
    "authentication_error",
    "authentication_failed",
    "oauth token",
    "credit balance",
    "billing",
    "account on hold",
    "account_on_hold",
    "organization has been disabled",
];

/// Words about a limit; the second has to follow the first.
const LIMIT: [(&str, &str); 10] = [
    ("usage limit", ""),
    ("limit reached", ""),
    ("rate limit", ""),
    ("rate_limit", ""),
    ("hit your", "limit"),
    ("reached your", "limit"),
    ("exceeded your", "quota"),
    ("quota exceeded", ""),
    ("resource_exhausted", ""),
    ("too many requests", ""),
];

/// Limits of a conversation, not of the account.
const OWN_LIMITS: [&str; 3] = ["context limit", "turn limit", "output limit"];

/// How clients begin where they give a limit out as an answer.
const BEGINNINGS: [&str; 12] = [
    "claude ai usage limit reached",
    "claude usage limit reached",
    "usage limit reached",
    "you've hit your",
    "you\u{2019}ve hit your",
    "you have hit your",
    "you've reached your",
    "5-hour limit reached",
    "weekly limit reached",
    "opus weekly limit reached",
    "session limit reached",
    "limit reached",
];
/// An answer that is longer is about limits, and not one.
const LONGEST_NOTICE: usize = 200;

/// What an error of the API is, by its status and its text.
pub fn of(status: Option<u16>, text: &str) -> Option<Refusal> {
    let text = text.to_lowercase();
    match status {
        Some(401..=403) => return Some(Refusal::Auth),
        Some(429) => return Some(Refusal::UsageLimit),
        // Trouble of the server, or of the way there: tried again like any other error.
        Some(408 | 500..) => return None,
        _ => {}
    }
    if AUTH.iter().any(|words| text.contains(words)) {
        return Some(Refusal::Auth);
    }
    let is_own = OWN_LIMITS.iter().any(|words| text.contains(words));
    let says =
        |(first, then): &(&str, &str)| text.split_once(first).is_some_and(|(_, rest)| rest.contains(then));
    (!is_own && LIMIT.iter().any(says)).then_some(Refusal::UsageLimit)
}

/// Whether an answer that is not called an error is the client's notice of a limit, and nothing else. An agent may
/// well speak of limits: only one short line counts that begins as the clients begin.
pub fn is_limit(answer: &str) -> bool {
    let answer = answer.trim().to_lowercase();
    answer.len() <= LONGEST_NOTICE
        && !answer.contains('\n')
        && BEGINNINGS.iter().any(|words| answer.starts_with(words))
        && of(None, &answer) == Some(Refusal::UsageLimit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_outranks_words() {
        use Refusal::{Auth, UsageLimit};
        let cases = [
            (Some(401), "boom", Some(Auth)),
            (Some(402), "", Some(Auth)),
            (Some(403), "usage limit", Some(Auth)),
            (Some(429), "API Error: Request rejected (429) · rate limited", Some(UsageLimit)),
            (Some(400), "Credit balance is too low", Some(Auth)),
            (Some(400), "prompt is too long: 210000 tokens > 200000 maximum", None),
            (Some(404), "There's an issue with the selected model", None),
            (Some(500), "Internal server error", None),
            (Some(529), "API Error: 529 Overloaded. rate limit", None),
            (None, "Not logged in · Please run /login", Some(Auth)),
            (None, "Invalid API key · Fix external API key", Some(Auth)),
            (None, "OAuth token has expired", Some(Auth)),
            (None, "Your account does not have access: billing issue", Some(Auth)),
            (None, "Claude AI usage limit reached|1764000000", Some(UsageLimit)),
            (None, "You've hit your limit · resets 3pm (Europe/Berlin)", Some(UsageLimit)),
            (None, "5-hour limit reached ∙ resets 3pm", Some(UsageLimit)),
            (None, "You've hit your usage limit. Try again in 4 days 20 hours 9 minutes.", Some(UsageLimit)),
            (None, "You exceeded your current quota", Some(UsageLimit)),
            (None, "Context limit reached · /compact or /clear to continue", None),
            (None, "connect ECONNREFUSED 127.0.0.1:443", None),
            (None, "limit", None),
        ];
        for (status, text, expected) in cases {
            assert_eq!(of(status, text), expected, "{status:?} {text}");
        }
    }

    #[test]
    fn an_answer_about_limits_is_not_a_limit() {
        let long = format!("Usage limit reached {}", "x".repeat(200));
        let cases = [
            ("Claude AI usage limit reached|1764000000", true),
            ("  You've hit your session limit · resets 2:30am (UTC)\n", true),
            ("You’ve hit your weekly limit", true),
            ("5-hour limit reached ∙ resets 3pm", true),
            ("Weekly limit reached ∙ resets Nov 25, 3am", true),
            ("I fixed the message \"usage limit reached\" in limits.rs.", false),
            ("You've hit your head", false),
            ("Usage limit reached\nis now shown in red.", false),
            (long.as_str(), false),
            ("", false),
        ];
        for (answer, expected) in cases {
            assert_eq!(is_limit(answer), expected, "{answer}");
        }
    }
}
