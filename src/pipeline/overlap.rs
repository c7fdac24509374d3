//! `queue.avoidOverlap`: which files issues name, and what of them issues in work touch.
//!
//! What an issue in work touches is what its text names and what the commits on its branch have changed. What its agent
//! has not committed yet is not known: no git of cq's looks into a worktree in which somebody works.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Kind, Result};
use crate::git::{PrivateGit, Repository, branch_ref};
use crate::record::files::{self, Overlap};
use crate::record::{Record, Status};
use crate::session::Session;

/// The issues in work, and the base in whose files they may meet.
pub(crate) struct Grounds {
    repository: Repository,
    private: PrivateGit,
    base: String,
    in_work: Vec<Record>,
}

impl Grounds {
    /// Looks at what is in work; none where the configuration does not care.
    pub(crate) fn find(session: &Session) -> Result<Option<Self>> {
        if !session.loaded.config.queue.avoid_overlap {
            return Ok(None);
        }
        let (repository, private) = session.git()?;
        let branch = &session.loaded.config.git.base;
        let base = private.known_base(branch)?.ok_or_else(|| {
            Error::new(Kind::Config, format!("queue.avoidOverlap: the base '{branch}' is not known here yet"))
                .hint("fetch it, or set git.base in the configuration")
        })?;
        let mut in_work = session.state.in_flight(drop)?;
        in_work.retain(|record| record.status.is_some_and(Status::is_active));
        Ok(Some(Self { repository, private, base, in_work }))
    }

    /// Notes in each record the files of the base that its issue names.
    pub(crate) fn name<'r>(&self, records: impl IntoIterator<Item = &'r mut Record>) -> Result<()> {
        let mut records: Vec<_> = records
            .into_iter()
            .map(|record| {
                let candidates = files::candidates(&record.issue);
                (record, candidates)
            })
            .collect();
        let asked: Vec<&str> =
            records.iter().flat_map(|(_, candidates)| candidates).map(String::as_str).collect();
        let mut exist = self.private.files_at(&self.base, &asked)?.into_iter();
        for (record, candidates) in &mut records {
            let named = candidates.iter().filter(|_| exist.next().unwrap_or_default());
            record.named_files = named.cloned().collect();
        }
        Ok(())
    }

    /// What the branches of issues in work have changed.
    pub(crate) fn changed(&self, session: &Session) -> Result<BTreeMap<u64, BTreeSet<String>>> {
        let mut changed = BTreeMap::new();
        for record in &self.in_work {
            let Some(claim) = &record.claim else { continue };
            let head = self.repository.resolve(&branch_ref(&claim.branch))?;
            // Without a base nothing was begun, and where the head is the base there is no commit yet.
            if let (Some(head), Some(base)) = (head, &claim.base_sha)
                && head != *base
            {
                match self.private.changed_since(base, &head) {
                    Ok(paths) => drop(changed.insert(record.number, paths)),
                    // A branch without a common history, say: one agent's oddity must not hold up all the others.
                    Err(error) => session.complain(&error.context(format!("issue #{}", record.number))),
                }
            }
        }
        Ok(changed)
    }

    /// Whom an issue would meet.
    pub(crate) fn overlap(
        &self,
        record: &Record,
        changed: &BTreeMap<u64, BTreeSet<String>>,
    ) -> Option<Overlap> {
        let mut others = self.in_work.iter().filter(|other| other.number != record.number);
        others.find_map(|other| Overlap::of(&record.named_files, other, changed.get(&other.number)))
    }
}

/// Adds to each record of nobody's the reason why it is held, where it would meet an issue in work.
pub(crate) fn hold<'r>(session: &Session, records: impl IntoIterator<Item = &'r mut Record>) -> Result<()> {
    let Some(grounds) = Grounds::find(session)?.filter(|grounds| !grounds.in_work.is_empty()) else {
        return Ok(());
    };
    let mut records: Vec<&mut Record> = records.into_iter().collect();
    grounds.name(records.iter_mut().map(|record| &mut **record))?;
    let changed = grounds.changed(session)?;
    for record in records {
        let overlap = grounds.overlap(record, &changed);
        record.reasons.extend(overlap.map(|overlap| overlap.to_string()));
    }
    Ok(())
}
