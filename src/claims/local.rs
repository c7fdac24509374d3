//! Claims on one machine: whoever writes the record under the state's lock has won.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use uuid::Uuid;

use super::{Claimed, Claims, Terms, branch_name, count, lost};
use crate::error::{Error, Kind, Result};
use crate::record::files::Overlap;
use crate::record::trust::content_sha256;
use crate::record::{Claim, Extra, Record, Status};
use crate::state::events::Event;
use crate::state::{Change, Locked, State, Summary, instances, not_in_flight, owner};

/// The state directory's own claims.
#[derive(Debug)]
pub struct Local {
    state: State,
    lease: TimeDelta,
}

impl Local {
    /// Claims in a state directory, with leases of so many minutes.
    pub fn new(state: State, lease_minutes: u32) -> Self {
        Self { state, lease: TimeDelta::minutes(i64::from(lease_minutes)) }
    }

    /// The lowest instance that no record in flight, no folder and no living process uses.
    fn free_instance(locked: &Locked<'_>, terms: &Terms) -> Result<String> {
        let used: BTreeSet<u32> = locked
            .in_flight()
            .values()
            .filter(|summary| !summary.status.is_some_and(Status::is_final))
            .filter_map(|summary| summary.instance)
            .collect();
        for number in 1..=u32::MAX {
            let name = instances::name(number);
            let free = !used.contains(&number) && !terms.workspaces.join(&name).exists();
            if free && !locked.state().is_held(&name)? {
                return Ok(name);
            }
        }
        Err(Error::new(Kind::Internal, "no instance number is free"))
    }

    /// The issue in work that touches a file which the wish names, under the lock: of two claims at once that name the
    /// same file, the second sees the first.
    fn overlap(&self, locked: &Locked<'_>, wish: &Record, terms: &Terms) -> Option<Overlap> {
        if !terms.avoid_overlap || wish.named_files.is_empty() {
            return None;
        }
        let active = |summary: &Summary| summary.status.is_some_and(Status::is_active);
        locked.in_flight().iter().filter(|(_, summary)| active(summary)).find_map(|(number, _)| {
            // Of one that cannot be read no file is known; cq-status and cq-monitor tell of it.
            let other = self.state.get(*number).ok()??;
            Overlap::of(&wish.named_files, &other, terms.changed.get(number))
        })
    }

    fn new_claim(&self, number: u64, text: Option<String>, instance: String, terms: &Terms) -> Claim {
        let now = self.state.clock().now();
        Claim {
            token: Uuid::new_v4().to_string(),
            host: owner::host(),
            instance,
            branch: branch_name(number, now),
            base: terms.base.clone(),
            base_sha: None,
            content_sha256: text,
            attempt: 1,
            claimed_at: now,
            lease_expires_at: now + self.lease,
            not_before: None,
            extra: Extra::new(),
        }
    }
}

impl Claims for Local {
    fn held(&self, wish: &Record) -> Result<Option<Claimed>> {
        if !self.state.is_in_flight(wish.number) {
            return Ok(None);
        }
        let Some(record) = self.state.get(wish.number)? else {
            return Ok(Some(Claimed::Held("somebody who has just let it go".to_owned())));
        };
        let token = |record: &Record| record.claim.as_ref().map(|claim| claim.token.clone());
        if token(wish).is_some() && token(wish) == token(&record) {
            return Ok(Some(Claimed::Won(Box::new(record))));
        }
        let status = record.standing();
        Ok(Some(Claimed::Held(format!("{} ({status})", record.instance()))))
    }

    fn claim(&self, wish: Record, terms: &Terms) -> Result<Claimed> {
        // Without the lock first: most wishes of a busy fleet end here.
        if let Some(held) = self.held(&wish)? {
            return Ok(held);
        }
        let mut locked = self.state.lock()?;
        // Under the lock nobody lets it go.
        if locked.in_flight().contains_key(&wish.number)
            && let Some(held) = self.held(&wish)?
        {
            return Ok(held);
        }
        // The index has the finished of no issue, so this costs what is in flight.
        let places = count(locked.in_flight().values().copied(), terms);
        if let Some(full) = places.full.first() {
            return Ok(Claimed::Full(*full));
        }
        if let Some(overlap) = self.overlap(&locked, &wish, terms) {
            return Ok(Claimed::Waits(overlap));
        }
        let instance = Self::free_instance(&locked, terms)?;
        // What an earlier life of the record carried is not this claim's.
        let claim = self.new_claim(wish.number, Some(content_sha256(&wish.issue)), instance, terms);
        let mut record = Record { claim: Some(claim), reasons: Vec::new(), ..wish.unclaimed() };
        record.transition(Status::Queued, self.state.command(), "claimed", self.state.clock().now())?;
        locked.put(&record, 0)?;
        locked.commit()?;
        Ok(Claimed::Won(Box::new(record)))
    }

    fn renew(&self, number: u64, token: &str) -> Result<Record> {
        let until = self.state.clock().now() + self.lease;
        self.state.change(number, |record| {
            let mut record = record.ok_or_else(|| lost(number))?;
            match &mut record.claim {
                Some(claim) if claim.token == token => claim.lease_expires_at = until,
                _ => return Err(lost(number)),
            }
            Ok((Change::Write(Box::new(record.clone())), record))
        })
    }

    fn again(
        &self,
        number: u64,
        terms: &Terms,
        why: &str,
        change: &mut dyn FnMut(&mut Record) -> Result<()>,
    ) -> Result<Record> {
        let mut locked = self.state.lock()?;
        let mut record = self.state.get(number)?.ok_or_else(|| not_in_flight(number))?;
        let known = record.history.len();
        let now = self.state.clock().now();
        if record.status != Some(Status::Failed) {
            let status = record.standing();
            return Err(Error::new(Kind::Failed, format!("issue #{number} is {status}, not failed")));
        }
        change(&mut record)?;
        record.transition(Status::Queued, self.state.command(), why, now)?;
        record.outcome = None;
        // The instance may belong to somebody else by now; a workspace of its own is still this issue's.
        let instance = record.instance().to_owned();
        let mine = record.run.as_ref().is_some_and(|run| std::path::Path::new(&run.workspace).is_dir());
        let unused = terms.workspaces.join(&instance).symlink_metadata().is_err();
        let taken = locked.in_flight().iter().any(|(other, summary)| {
            *other != number
                && !summary.status.is_some_and(Status::is_final)
                && summary.instance == instances::number(&instance)
        });
        let instance =
            if (mine || unused) && !taken { instance } else { Self::free_instance(&locked, terms)? };
        if let Some(claim) = &mut record.claim {
            if claim.instance != instance || unused {
                claim.base_sha = None;
                record.run = None;
            }
            claim.instance = instance;
            claim.not_before = None;
            claim.lease_expires_at = now + self.lease;
        }
        locked.put(&record, known)?;
        locked.commit()?;
        Ok(record)
    }

    fn anew(
        &self,
        number: u64,
        terms: &Terms,
        why: &str,
        change: &mut dyn FnMut(&mut Record) -> Result<()>,
    ) -> Result<Record> {
        let mut locked = self.state.lock()?;
        let mut record = self.state.get(number)?.ok_or_else(|| not_in_flight(number))?;
        let known = record.history.len();
        let now = self.state.clock().now();
        if record.status != Some(Status::Completed) {
            let status = record.standing();
            return Err(Error::new(Kind::Failed, format!("issue #{number} is {status}, not completed")));
        }
        change(&mut record)?;
        record.transition(Status::Queued, self.state.command(), why, now)?;
        let text = record.claim.take().and_then(|claim| claim.content_sha256);
        let instance = Self::free_instance(&locked, terms)?;
        record.claim = Some(Claim { not_before: Some(now), ..self.new_claim(number, text, instance, terms) });
        let record = record.without_work();
        locked.put(&record, known)?;
        locked.commit()?;
        Ok(record)
    }

    fn release(&self, number: u64) -> Result<Record> {
        let Some(record) = self.state.get(number)? else {
            return Err(Error::new(Kind::Failed, format!("issue #{number} is not claimed")));
        };
        let instance = record.instance().to_owned();
        // Of one whose workspace has gone the name may be another issue's, whose work is nothing to this one.
        let has_moved_on = |other: &Record| {
            other.number != number
                && other.instance() == instance
                && !other.status.is_some_and(Status::is_final)
        };
        let is_anothers = self.state.in_flight(drop)?.iter().any(has_moved_on);
        let _guard = if is_anothers { None } else { Some(self.state.hold(&instance)?) };
        let released = self.state.change(number, |record| {
            let record = record.ok_or_else(|| lost(number))?;
            match record.status {
                Some(Status::Queued | Status::Failed | Status::Completed) => {
                    Ok((Change::Archive(Box::new(record.clone())), record))
                }
                status => {
                    let status = status.map_or("unclaimed", Status::name);
                    let message = format!("issue #{number} is {status} and cannot be released");
                    Err(Error::new(Kind::Failed, message)
                        .hint(format!("end it first: cq-cleanup --force {instance}")))
                }
            }
        })?;
        self.state
            .log(&Event::about(&self.state, "released", number).with("instance", released.instance()))?;
        Ok(released)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::Full;
    use super::*;
    use crate::clock::Clock;
    use crate::record::Issue;

    fn setup(capacity: usize) -> (tempfile::TempDir, Local, Terms) {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::Fixed("2026-01-01T00:00:00Z".parse().unwrap());
        let local = Local::new(State::at(folder.path().join(".cq"), clock, "cq-claim"), 10);
        let terms = Terms {
            capacity,
            workspaces: folder.path().join("w"),
            base: "main".to_owned(),
            lease_minutes: 10,
            ..Terms::default()
        };
        (folder, local, terms)
    }

    fn wish(number: u64) -> Record {
        Record::new("o/r", number, Issue::default())
    }

    fn won(claimed: Claimed) -> Record {
        match claimed {
            Claimed::Won(record) => *record,
            other => panic!("not won: {other:?}"),
        }
    }

    #[test]
    fn one_issue_has_one_winner_and_places_are_limited() {
        let (_folder, local, terms) = setup(2);
        let first = won(local.claim(wish(1), &terms).unwrap());
        assert_eq!(first.instance(), "claude-instance-1");
        assert!(matches!(local.claim(wish(1), &terms).unwrap(), Claimed::Held(_)));
        let again = won(local.claim(first.clone(), &terms).unwrap());
        assert_eq!(again, first, "the holder is confirmed");
        let second = won(local.claim(wish(2), &terms).unwrap());
        assert_eq!(second.instance(), "claude-instance-2");
        assert!(matches!(local.claim(wish(3), &terms).unwrap(), Claimed::Full(Full::Places(2))));
    }

    #[test]
    fn pull_requests_that_wait_for_people_take_places_and_free_them_when_they_are_dealt_with() {
        let (_folder, local, terms) = setup(9);
        let terms = Terms { max_unreviewed: Some(2), ..terms };
        let stands_at = |number, status| {
            local.state.update(number, |record| {
                record.status = Some(status);
                Ok(())
            })
        };
        won(local.claim(wish(1), &terms).unwrap());
        won(local.claim(wish(2), &terms).unwrap());
        stands_at(1, Status::PrReady).unwrap();
        let full = |claimed| match claimed {
            Claimed::Full(full) => full,
            other => panic!("not full: {other:?}"),
        };
        let one_each = Full::Unreviewed { waiting: 1, coming: 1, most: 2 };
        assert_eq!(full(local.claim(wish(3), &terms).unwrap()), one_each);
        stands_at(2, Status::PrReady).unwrap();
        let both = Full::Unreviewed { waiting: 2, coming: 0, most: 2 };
        assert_eq!(full(local.claim(wish(3), &terms).unwrap()), both);
        assert!(matches!(local.claim(wish(1), &terms).unwrap(), Claimed::Held(_)), "in flight comes first");
        stands_at(1, Status::Completed).unwrap();
        won(local.claim(wish(3), &terms).unwrap());
    }

    #[test]
    fn an_issue_waits_for_another_that_names_or_changed_its_files() {
        let (_folder, local, terms) = setup(9);
        let naming = |number, files: &[&str]| Record {
            named_files: files.iter().map(|&file| file.to_owned()).collect(),
            ..wish(number)
        };
        let changed = BTreeMap::from([(1, BTreeSet::from(["c.rs".to_owned()]))]);
        let avoiding = Terms { avoid_overlap: true, changed, ..terms.clone() };
        won(local.claim(naming(1, &["a.rs", "b.rs"]), &avoiding).unwrap());
        for (number, file) in [(2, "b.rs"), (3, "c.rs")] {
            match local.claim(naming(number, &["x.rs", file]), &avoiding).unwrap() {
                Claimed::Waits(overlap) => {
                    assert_eq!((overlap.issue, overlap.files), (1, vec![file.to_owned()]));
                }
                other => panic!("#{number} does not wait: {other:?}"),
            }
        }
        won(local.claim(naming(4, &["x.rs"]), &avoiding).unwrap());
        won(local.claim(naming(5, &[]), &avoiding).unwrap());
        won(local.claim(naming(6, &["a.rs"]), &terms).unwrap());
        local
            .state
            .update(1, |record| {
                record.status = Some(Status::PrReady);
                Ok(())
            })
            .unwrap();
        won(local.claim(naming(3, &["c.rs"]), &avoiding).unwrap());
    }

    #[test]
    fn an_instance_with_a_folder_or_a_living_process_is_not_given_away() {
        let (folder, local, terms) = setup(9);
        std::fs::create_dir_all(folder.path().join("w/claude-instance-1")).unwrap();
        let _held = local.state.hold("claude-instance-2").unwrap();
        assert_eq!(won(local.claim(wish(1), &terms).unwrap()).instance(), "claude-instance-3");
    }

    #[test]
    fn only_the_token_renews_and_release_frees_the_issue() {
        let (_folder, local, terms) = setup(1);
        let record = won(local.claim(wish(7), &terms).unwrap());
        assert_eq!(local.renew(7, "not the token").unwrap_err().kind, Kind::NotPermitted);
        assert!(local.renew(7, &record.claim.unwrap().token).is_ok());
        local.release(7).unwrap();
        assert!(local.state.dir().join("archive/7.1.json").exists());
        assert_eq!(won(local.claim(wish(7), &terms).unwrap()).instance(), "claude-instance-1");
    }

    #[test]
    fn a_deleted_or_damaged_index_is_made_again() {
        let (_folder, local, terms) = setup(9);
        won(local.claim(wish(1), &terms).unwrap());
        let index = local.state.dir().join("index.json");
        // The last as an older cq wrote it, whose claims had nothing to say of pull requests.
        let clean = std::fs::read_to_string(&index).unwrap();
        let older = clean.replace("[\"queued\",1,false]", "[\"queued\",1]");
        assert_ne!(older, clean);
        for damage in ["", "{\"clean\":false", "nonsense", &older] {
            std::fs::File::create(&index)
                .and_then(|mut file| std::io::Write::write_all(&mut file, damage.as_bytes()))
                .unwrap();
            assert!(matches!(local.claim(wish(1), &terms).unwrap(), Claimed::Held(_)));
        }
        std::fs::remove_file(&index).unwrap();
        assert_eq!(won(local.claim(wish(2), &terms).unwrap()).instance(), "claude-instance-2");
        let text = std::fs::read_to_string(&index).unwrap();
        assert!(text.starts_with("{\"clean\":true ,") && text.ends_with("]}}"), "{text}");
    }
}
