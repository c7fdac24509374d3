//! `cq-fetch`: which issues may be worked on, best first.
//!
//! Get the issues (GitHub, a file, stdin), say of each what speaks against it, order them, write them.

use std::collections::BTreeMap;
use std::io::Read as _;

use super::overlap;
use super::vet::{self, Judge};
use crate::error::{Error, Kind, OrFail, Result, Tally};
use crate::github::issues;
use crate::github::sync::{self, Wanted};
use crate::input;
use crate::record::eligibility::{self, Rules};
use crate::record::trust::{Policy, content_sha256};
use crate::record::{Extra, Record, Source, Trust, Verdict};
use crate::session::Session;
use crate::state::State;

/// What is asked for.
#[derive(Debug, Default)]
pub struct Wish {
    /// Only these; all if empty.
    pub issues: Vec<u64>,
    /// A file, or `-`, instead of GitHub.
    pub from: Option<String>,
    /// Instead of the configuration's labels.
    pub labels: Option<Vec<String>>,
    /// Instead of the configuration's excluded labels.
    pub exclude: Option<Vec<String>>,
    /// The ineligible too.
    pub all: bool,
    /// At most so many.
    pub limit: Option<usize>,
}

/// Does it.
pub fn run(session: &Session, wish: &Wish) -> Result<Tally> {
    let mut tally = Tally::default();
    let rules = rules(session, wish);
    let mut records = match &wish.from {
        Some(from) => from_file(session, &rules, from, &mut tally)?,
        None if !wish.issues.is_empty() => named(session, &rules, &wish.issues, &mut tally)?,
        None => from_github(session, &rules, wish.all)?,
    };
    if !wish.issues.is_empty() {
        records.retain(|number, _| wish.issues.contains(number));
    }
    let mut records: Vec<Record> = records.into_values().collect();
    for record in &mut records {
        record.reasons.extend(held(&session.state, record.number));
    }
    // Only those that nothing else keeps back: the others need no further reason.
    let eligible = records.iter_mut().filter(|record| record.reasons.is_empty());
    overlap::hold(session, eligible)?;
    records.sort_by(eligibility::order);
    let mut output = session.records();
    let shown = records.iter().filter(|record| wish.all || record.reasons.is_empty());
    for record in shown.take(wish.limit.unwrap_or(usize::MAX)) {
        output.record(record)?;
    }
    for record in records.iter().filter(|record| !record.reasons.is_empty()) {
        let message = format!("issue #{} is left alone: {}", record.number, record.reasons.join("; "));
        session.answer(!wish.issues.is_empty() && !wish.all, &message);
    }
    output.finish()?;
    Ok(tally)
}

/// Issues named on a command line, as they are now: naming them stands for the label. An ineligible one is an
/// error.
pub fn by_number(session: &Session, numbers: Vec<u64>) -> Result<Vec<Result<Record>>> {
    let client = session.github()?;
    let repo = session.repo()?;
    let rules = Rules { labels: Vec::new(), ..session.loaded.config.rules() };
    let one = |number| {
        let record = vouch(session, &rules, issues::get(&client, &repo, number)?);
        if record.reasons.is_empty() {
            return Ok(record);
        }
        let reasons = record.reasons.join("; ");
        let error = Error::new(Kind::NotPermitted, format!("issue #{number} is not eligible: {reasons}"));
        Err(vet::explain(session, &record, error))
    };
    Ok(numbers.into_iter().map(one).collect())
}

/// Why an issue that this state directory holds already is not offered again.
pub(super) fn held(state: &State, number: u64) -> Option<String> {
    match state.get(number) {
        Ok(None) => None,
        Ok(Some(record)) => {
            let status = record.standing();
            Some(format!("held by {} ({status})", record.instance()))
        }
        Err(_) => Some("held by a record that cannot be read".to_owned()),
    }
}

fn rules(session: &Session, wish: &Wish) -> Rules {
    let configured = session.loaded.config.rules();
    Rules {
        // What a file holds was selected already.
        labels: match (&wish.labels, &wish.from) {
            (Some(labels), _) => labels.clone(),
            (None, Some(_)) => Vec::new(),
            (None, None) => configured.labels,
        },
        exclude: wish.exclude.clone().unwrap_or(configured.exclude),
        priorities: configured.priorities,
    }
}

type Found = BTreeMap<u64, Record>;

/// The open issues of the labels, as GitHub's own `labels=a,b` means both; those that nothing else speaks against
/// are looked at closely.
fn from_github(session: &Session, rules: &Rules, all: bool) -> Result<Found> {
    let client = session.github()?;
    let repo = session.repo()?;
    let policy = Policy { labels: rules.labels.clone(), ..session.loaded.config.policy() };
    let mut lists: Vec<Option<String>> = rules.labels.iter().cloned().map(Some).collect();
    if all || lists.is_empty() {
        lists.push(None);
    }
    let wanted = Wanted { repo: &repo, lists, policy: &policy };
    let deserves =
        |record: &Record| rules.reasons(record).is_empty() && held(&session.state, record.number).is_none();
    let folder = session.state.cache();
    let snapshot = sync::refresh(&client, folder.as_deref(), &wanted, session.clock.now(), &deserves)?;
    let server = client.endpoints().host();
    let judge = Judge::of(rules, &policy, &snapshot, server);
    let mut found = Found::new();
    for (number, known) in &snapshot.issues {
        let mut record = known.record.clone();
        match &known.details {
            Some(details) if deserves(&record) => {
                judge.decide(&mut record, details);
                vet::without_comments(&mut record);
            }
            _ if deserves(&record) => record.reasons.push("its history could not be read".to_owned()),
            _ => record.reasons = rules.reasons(&record),
        }
        found.insert(*number, record);
    }
    Ok(found)
}

/// Issues by their numbers, each as it is now, and decided upon like any other.
fn named(session: &Session, rules: &Rules, numbers: &[u64], tally: &mut Tally) -> Result<Found> {
    let repo = session.repo()?;
    let mut found = Found::new();
    for number in numbers {
        match vet::look(session, &repo, *number, rules) {
            Ok(mut record) => {
                vet::without_comments(&mut record);
                found.insert(record.number, record);
            }
            Err(error) => {
                session.complain(&error.context(format!("issue #{number}")));
                tally.note(Kind::Failed);
            }
        }
    }
    Ok(found)
}

fn from_file(session: &Session, rules: &Rules, from: &str, tally: &mut Tally) -> Result<Found> {
    let text = if from == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).or_fail(Kind::BadInput, || "cannot read stdin")?;
        text
    } else {
        let path = session.folder().join(from);
        std::fs::read_to_string(&path).or_fail(Kind::BadInput, || format!("cannot read '{from}'"))?
    };
    let repo = session.repo().ok();
    let mut found = Found::new();
    for (place, value) in issues::parse_file(&text).map_err(|error| error.context(format!("'{from}'")))? {
        let record = issues::from_json(&value, repo.as_deref()).and_then(|record| {
            input::check(&record)?;
            Ok(record)
        });
        match record {
            Ok(record) => {
                found.insert(record.number, vouch(session, rules, record));
            }
            // Without a repository nothing in the file can be used.
            Err(error) if error.kind == Kind::Config => return Err(error),
            Err(error) => {
                session.complain(&error.context(format!("'{from}', {place}")));
                tally.note(Kind::BadInput);
            }
        }
    }
    Ok(found)
}

/// Whoever runs the command has chosen the issue, and with it its text.
fn vouch(session: &Session, rules: &Rules, mut record: Record) -> Record {
    record.trust = Some(Trust {
        verdict: Verdict::Trusted,
        source: Source::Operator,
        approved_by: Some("operator".to_owned()),
        approved_at: Some(session.clock.now()),
        content_sha256: Some(content_sha256(&record.issue)),
        labels: Vec::new(),
        reasons: vec!["selected by whoever ran the command".to_owned()],
        hidden: None,
        extra: Extra::new(),
    });
    record.priority = rules.priority(&record.issue.labels);
    record.reasons = rules.reasons(&record);
    record
}
