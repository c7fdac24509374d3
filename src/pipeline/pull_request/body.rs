//! The body of a pull request, kept true: after another round it names the tree that is there now, unless somebody has
//! written in it meanwhile.

use super::renew;
use crate::digest;
use crate::error::Result;
use crate::github::pulls::Proposal;
use crate::github::{Client, pulls};
use crate::record::{Record, Rounds};
use crate::sanitize;
use crate::session::Session;

/// GitHub's limit for a body, in characters, less what the seal takes.
const LONGEST: usize = 65_536 - 64;
/// What nobody sees at its end: by it a body is known as cq wrote it.
const SEAL: &str = "<!-- cq:body:";

/// With the seal.
pub(super) fn sealed(proposal: Proposal) -> Proposal {
    let body = sanitize::clip(&proposal.body, LONGEST).trim_end().to_owned();
    let seal = digest::short(body.as_bytes());
    Proposal { body: format!("{body}\n\n{SEAL}{seal} -->"), ..proposal }
}

/// Whether it reads as cq wrote it. Line ends are the site's affair.
fn is_untouched(body: &str) -> bool {
    let body = body.replace('\r', "");
    body.rsplit_once(SEAL).is_some_and(|(text, seal)| {
        seal.trim() == format!("{} -->", digest::short(text.trim_end().as_bytes()))
    })
}

/// Writes it anew after a round; a first delivery has just written it.
pub(super) fn refresh(session: &Session, client: &Client, record: &Record, body: &str) -> Result<()> {
    let Some(pull) = &record.pull_request else { return Ok(()) };
    if record.rounds.as_ref().is_none_or(|rounds| Rounds::all(rounds) == 0) {
        return Ok(());
    }
    let there = pulls::body(client, &record.repo, pull.number)?;
    if there == body {
        return Ok(());
    }
    if !is_untouched(&there) {
        session.note(&format!(
            "pull request #{}: somebody has written in its text, which stays as it is: what it says was checked may not \
             be the newest commit",
            pull.number
        ));
        return Ok(());
    }
    renew(session, record)?;
    pulls::rewrite(client, &record.repo, pull.number, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposal(body: &str) -> Proposal {
        Proposal { title: "t".into(), body: body.into(), head: "h".into(), base: "b".into(), draft: false }
    }

    #[test]
    fn a_body_tells_whether_somebody_wrote_in_it() {
        let body = sealed(proposal("What\n\nwas done.\n")).body;
        assert!(body.starts_with("What\n\nwas done.\n\n<!-- cq:body:") && body.ends_with(" -->"), "{body}");
        let cases = [
            (body.clone(), true),
            (body.replace('\n', "\r\n"), true),
            (format!("{body}\n"), true),
            (format!("{body}\nAnd this."), false),
            (body.replace("was", "is"), false),
            ("What\n\nwas done.\n".to_owned(), false),
            (String::new(), false),
        ];
        for (body, expected) in cases {
            assert_eq!(is_untouched(&body), expected, "{body:?}");
        }
        let long = sealed(proposal(&"é".repeat(70_000))).body;
        assert!(long.chars().count() <= 65_536 && is_untouched(&long));
    }
}
