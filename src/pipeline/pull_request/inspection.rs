//! The look at a change before it is pushed: size, protected paths, links, submodules, secrets.

use std::collections::{BTreeMap, BTreeSet};

use super::guards::{self, Objects};
use super::leaks::{Search, new_files};
use crate::claims;
use crate::error::{Error, Kind, Result};
use crate::git::PrivateGit;
use crate::git::outgoing::{Entry, Outgoing};
use crate::record::{
    Extra, Feedback, FeedbackSource, Finding, FindingKind, Guarded, Outcome, Record, Status,
};
use crate::secrets::Scanner;
use crate::session::Session;
use crate::state::events::Event;

/// More than this is not searched for secrets while its size alone keeps it back: the search takes several times as much
/// memory.
const SEARCHED: u64 = 32 << 20;

/// Looks at everything that `head` would publish. `person`: somebody who may says that it is all right, secrets apart.
pub(super) fn look(
    session: &Session,
    record: &Record,
    private: &PrivateGit,
    head: &str,
    person: bool,
) -> Result<Guarded> {
    let claim = record.claimed()?;
    let base = claim.base_sha.as_deref().unwrap_or(&claim.base);
    let config = &session.loaded.config.guards;
    let outgoing = private.outgoing(base, head)?;
    let sizes = private.sizes(&new_files(&outgoing))?;
    let objects = Objects { bytes: sizes.values().sum(), targets: targets(private, &outgoing)? };
    let mut findings = guards::judge(config, &outgoing, &objects);
    let mut permitted = record.guards.as_ref().map(|known| known.permitted.clone()).unwrap_or_default();
    if person {
        let now = findings.iter().filter(|one| one.refused).map(|one| one.mark.clone());
        permitted.extend(now);
        permitted = permitted.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    }
    for finding in &mut findings {
        if finding.refused && guards::is_permitted(&permitted, &finding.mark) {
            finding.refused = false;
            finding.says = format!("{}; a person let it through", finding.says);
        }
    }
    // Of all of them, before any is left out of what is told.
    let mut findings = guards::told(findings);
    if objects.bytes <= SEARCHED || !findings.iter().any(|one| one.refused && one.kind == FindingKind::Size) {
        // Found out now, so that it is known: the token that will be used.
        session.credential()?;
        let scanner = Scanner::knowing(&session.redactor().known())?;
        let search = Search::new(private, &scanner, base, &config.allow_secrets);
        findings.extend(search.run(&outgoing, &sizes)?);
    }
    let redactor = session.redactor();
    for finding in &mut findings {
        finding.path = finding.path.take().map(|path| redactor.redact(&path).into_owned());
        finding.says = redactor.redact(&finding.says).into_owned();
    }
    let withheld = findings.iter().any(|one| one.refused);
    let (sha, at) = (head.to_owned(), session.clock.now());
    Ok(Guarded { sha, at, withheld, findings, permitted, extra: Extra::new() })
}

/// Where the links lead that a change adds.
fn targets(private: &PrivateGit, outgoing: &Outgoing) -> Result<BTreeMap<String, Vec<u8>>> {
    let new = outgoing.net.iter().filter_map(|change| change.new.as_ref());
    let links: BTreeSet<&str> =
        new.filter(|new| new.mode == Entry::LINK).map(|new| new.oid.as_str()).collect();
    if links.is_empty() {
        return Ok(BTreeMap::new());
    }
    private.objects(&links.into_iter().collect::<Vec<_>>())
}

/// One finding in a line.
pub(super) fn line(finding: &Finding) -> String {
    let place = match (&finding.path, finding.line) {
        (Some(path), Some(line)) => format!("'{path}', line {line}: "),
        (Some(path), None) => format!("'{path}': "),
        (None, _) => String::new(),
    };
    let commit = finding.commit.as_ref().map(|sha| format!(" (commit {})", &sha[..sha.len().min(12)]));
    let fingerprint =
        (finding.kind == FindingKind::Secret).then(|| format!(", fingerprint {}", finding.mark));
    format!("{place}{}{}{}", finding.says, commit.unwrap_or_default(), fingerprint.unwrap_or_default())
}

/// What was found goes into the record.
pub(super) fn note(session: &Session, record: &Record, guarded: Guarded) -> Result<Record> {
    claims::update(&session.state, record.claimed()?, record.number, |record| {
        record.guards = Some(guarded);
        Ok(())
    })
}

/// The record waits for a person from now on, and an agent that is sent back to it is told why.
pub(super) fn withhold(session: &Session, record: &Record, guarded: Guarded) -> Result<(Record, Error)> {
    let (number, now) = (record.number, session.clock.now());
    let refused: Vec<String> = guarded.findings.iter().filter(|one| one.refused).map(line).collect();
    let why = summary(&guarded);
    let error = complaint(number, &guarded, &refused);
    let text = feedback(&guarded, &refused, &record.claimed()?.base);
    let event = Event::about(&session.state, "withheld", number).with("why", why.as_str());
    let record = claims::update(&session.state, record.claimed()?, number, |record| {
        let told = |known: &Guarded| known.withheld && known.sha == guarded.sha;
        let is_news = !record.guards.as_ref().is_some_and(told);
        record.guards = Some(guarded);
        let before = record.outcome.replace(Outcome::Withheld);
        if is_news {
            let from = FeedbackSource::Guard;
            record.feedback.retain(|known| known.from != from);
            record.feedback.push(Feedback { from, text, at: now, extra: Extra::new() });
        }
        if record.status == Some(Status::Failed) {
            // Its checks had kept it back until now.
            if before != Some(Outcome::Withheld) {
                record.remark(session.command, why, now);
            }
            return Ok(());
        }
        record.transition(Status::Failed, session.command, why, now)
    })?;
    session.state.log(&event)?;
    Ok((record, error))
}

/// Why, in a few words.
fn summary(guarded: &Guarded) -> String {
    let count = |kinds: &[FindingKind], one: &str, many: &str| {
        let of_it =
            guarded.findings.iter().filter(|found| found.refused && kinds.contains(&found.kind)).count();
        match of_it {
            0 => None,
            1 => Some(one.to_owned()),
            several => Some(format!("{several} {many}")),
        }
    };
    let what = [
        count(&[FindingKind::Secret], "a secret", "secrets"),
        count(&[FindingKind::Protected], "a protected path", "protected paths"),
        count(&[FindingKind::OutsideLink], "a link out of the tree", "links out of the tree"),
        count(&[FindingKind::Submodule], "a submodule", "submodules"),
        count(&[FindingKind::Size], "its size", "of its sizes"),
    ];
    format!("not pushed, for {}", what.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

fn has_secret(guarded: &Guarded) -> bool {
    guarded.findings.iter().any(|one| one.refused && one.kind == FindingKind::Secret)
}

fn complaint(number: u64, guarded: &Guarded, refused: &[String]) -> Error {
    let told = refused.join("\n  ");
    let message = format!("issue #{number}: {}:\n  {told}", summary(guarded));
    let hint = if has_secret(guarded) {
        format!(
            "replace a secret that an agent has seen; another commit would not help: take it out of the branch's \
             history and run cq-gate and cq-pr again, or cq-claim --release {number} to begin anew; of one that is \
             none put the fingerprint into guards.allowSecrets"
        )
    } else {
        format!(
            "cq-pr --allow-protected {number} pushes it in your name; cq-claim --retry {number} sends it back to an \
             agent; {} in the configuration is the rule",
            rules(guarded)
        )
    };
    Error::new(Kind::NotPermitted, message).hint(hint)
}

/// The keys that decide on what was refused.
fn rules(guarded: &Guarded) -> String {
    let mut keys: Vec<&str> = Vec::new();
    for found in guarded.findings.iter().filter(|one| one.refused) {
        let key = match found.kind {
            FindingKind::Protected => "guards.protected",
            FindingKind::OutsideLink => "guards.outsideLinks",
            FindingKind::Submodule => "guards.submodules",
            FindingKind::Secret => "guards.allowSecrets",
            FindingKind::Size => "guards.maxFiles, maxLines or maxMegabytes",
        };
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys.join(", ")
}

/// What an agent is told that is to mend it.
fn feedback(guarded: &Guarded, refused: &[String], base: &str) -> String {
    let what = if has_secret(guarded) {
        "It holds what looks like a secret. No commit of the branch may hold it, not even an earlier one"
    } else {
        "It touches what only people may change, or is too large"
    };
    format!(
        "The change was not pushed. {what}:\n- {}\nMake these as they are on {base}, unless the issue itself asks for them.",
        refused.join("\n- ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn finding(kind: FindingKind, refused: bool) -> Finding {
        Finding {
            kind,
            refused,
            path: Some("a".into()),
            line: Some(3),
            commit: Some("0123456789abcdef".into()),
            says: "GitHub token".into(),
            mark: "m".into(),
            extra: Extra::new(),
        }
    }

    fn guarded(findings: Vec<Finding>) -> Guarded {
        let at = Timestamp::UNIX_EPOCH;
        Guarded { sha: "s".into(), at, withheld: true, findings, permitted: Vec::new(), extra: Extra::new() }
    }

    #[test]
    fn a_finding_is_told_by_its_place() {
        assert_eq!(
            line(&finding(FindingKind::Secret, true)),
            "'a', line 3: GitHub token (commit 0123456789ab), fingerprint m"
        );
        let bare = Finding { path: None, line: None, commit: None, ..finding(FindingKind::Size, true) };
        assert_eq!(line(&bare), "GitHub token");
    }

    #[test]
    fn what_kept_it_back_is_said_in_a_few_words() {
        let all = guarded(vec![
            finding(FindingKind::Protected, true),
            finding(FindingKind::Protected, true),
            finding(FindingKind::Secret, true),
            finding(FindingKind::OutsideLink, false),
        ]);
        assert_eq!(summary(&all), "not pushed, for a secret, 2 protected paths");
        let error = complaint(7, &all, &["one".to_owned(), "two".to_owned()]);
        assert_eq!(error.to_string(), "issue #7: not pushed, for a secret, 2 protected paths:\n  one\n  two");
        assert!(error.hint.unwrap().contains("--release 7"));
        let paths = guarded(vec![finding(FindingKind::Protected, true)]);
        assert!(complaint(7, &paths, &[]).hint.unwrap().contains("--allow-protected 7"));
    }
}
