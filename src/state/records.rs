//! Records on disk: `records/<number>.json`, one file per issue in flight, the truth.

use std::path::PathBuf;

use super::events::Event;
use super::index::{Entries, Index, Summary};
use super::{State, durable, lock};
use crate::error::{Error, Kind, OrFail, Result};
use crate::record::Record;

/// What a change decided to do with a record.
#[derive(Debug)]
pub enum Change {
    /// Write it.
    Write(Box<Record>),
    /// Leave it as it is.
    Keep,
    /// Move it to the archive: it is no longer in flight.
    Archive(Box<Record>),
}

/// The state while its lock is held.
#[derive(Debug)]
pub struct Locked<'s> {
    state: &'s State,
    index: Index,
    /// Whether a record was put in place that a power cut could still take back.
    unsynced: bool,
    // Last, so that it is let go after everything else.
    _guard: lock::Guard,
}

impl State {
    fn records(&self) -> PathBuf {
        self.path("records")
    }

    fn record_path(&self, number: u64) -> PathBuf {
        self.records().join(format!("{number}.json"))
    }

    /// Takes the lock under which records change, waiting at most [`lock::PATIENCE`].
    pub fn lock(&self) -> Result<Locked<'_>> {
        self.create()?;
        let now = self.clock.now();
        let holder = lock::Holder::here(self.command, now);
        let guard = lock::take(&self.path("lock"), lock::PATIENCE, now)?;
        guard.sign(&holder);
        let index = Index::open(&self.path("index.json"), &self.records(), holder.owner.boot_id, || {
            self.summaries()
        })?;
        Ok(Locked { state: self, index, unsynced: false, _guard: guard })
    }

    /// Reads one record. Takes no lock.
    pub fn get(&self, number: u64) -> Result<Option<Record>> {
        let path = self.record_path(number);
        let Some(text) = durable::read(&path)? else { return Ok(None) };
        let unreadable = |why: String| {
            Error::new(Kind::Failed, format!("unreadable record '{}': {why}", path.display()))
                .hint("mend the file or move it away; until then the issue stays held")
        };
        match Record::from_json(&text) {
            Ok(record) if record.number == number => Ok(Some(record)),
            Ok(record) => Err(unreadable(format!("it says that it is of issue #{}", record.number))),
            Err(error) => Err(unreadable(error.to_string())),
        }
    }

    /// Whether an issue is in flight. Takes no lock and does not open the record.
    pub fn is_in_flight(&self, number: u64) -> bool {
        self.record_path(number).exists()
    }

    /// Every record in flight, by number. Takes no lock. One that cannot be read is reported through
    /// `unreadable` and left where it is: nothing is dropped, and the issue stays held.
    pub fn in_flight(&self, mut unreadable: impl FnMut(Error)) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        for number in self.numbers()? {
            match self.get(number) {
                Ok(record) => records.extend(record),
                Err(error) => unreadable(error),
            }
        }
        Ok(records)
    }

    /// The numbers in flight, ascending.
    fn numbers(&self) -> Result<Vec<u64>> {
        let folder = self.records();
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            result => result.or_fail(Kind::CannotWrite, || format!("cannot read '{}'", folder.display()))?,
        };
        let number = |name: std::ffi::OsString| name.to_str()?.strip_suffix(".json")?.parse().ok();
        let mut numbers: Vec<u64> = entries.flatten().filter_map(|entry| number(entry.file_name())).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn summaries(&self) -> Result<Entries> {
        let mut entries = Entries::new();
        for number in self.numbers()? {
            // An unreadable record still holds its issue; which instance it has is not known.
            let summary = match self.get(number) {
                Ok(Some(record)) => Summary::from(&record),
                Ok(None) | Err(_) => Summary::default(),
            };
            entries.insert(number, summary);
        }
        Ok(entries)
    }

    /// One change of one record: lock, read, decide, write, append the event, let go. `decide` gets the
    /// record as it stands and returns what to do, with a value for the caller.
    pub fn change<T>(
        &self,
        number: u64,
        decide: impl FnOnce(Option<Record>) -> Result<(Change, T)>,
    ) -> Result<T> {
        let mut locked = self.lock()?;
        let before = self.get(number)?;
        let transitions = before.as_ref().map_or(0, |record| record.history.len());
        let (change, value) = decide(before)?;
        match change {
            Change::Keep => {}
            Change::Write(record) => locked.put(&record, transitions)?,
            Change::Archive(record) => locked.archive(&record, transitions)?,
        }
        locked.commit()?;
        Ok(value)
    }

    /// [`State::change`] for a record that must be there, changed in place and written.
    pub fn update(&self, number: u64, change: impl FnOnce(&mut Record) -> Result<()>) -> Result<Record> {
        self.change(number, |record| {
            let mut record = record.ok_or_else(|| not_in_flight(number))?;
            change(&mut record)?;
            Ok((Change::Write(Box::new(record.clone())), record))
        })
    }
}

/// The error for an issue that has no record.
pub(crate) fn not_in_flight(number: u64) -> Error {
    Error::new(Kind::Failed, format!("issue #{number} is not in flight"))
        .hint("cq-status shows what is; cq-claim takes an issue")
}

impl Locked<'_> {
    /// The state that is locked.
    pub fn state(&self) -> &State {
        self.state
    }

    /// Every issue in flight, in brief, by number.
    pub fn in_flight(&self) -> &std::collections::BTreeMap<u64, Summary> {
        &self.index.entries
    }

    /// Lets go, and returns once what was put will outlive a power cut. Others need not wait for that: until
    /// then nobody has been told of the change.
    pub fn commit(mut self) -> Result<()> {
        let state = self.state;
        let unsynced = std::mem::take(&mut self.unsynced);
        drop(self);
        if unsynced { durable::sync_folder(&state.records()) } else { Ok(()) }
    }

    /// Writes a record and the events of its new transitions; `known` is how many it had before.
    /// [`Locked::commit`] makes it last.
    pub fn put(&mut self, record: &Record, known: usize) -> Result<()> {
        let path = self.state.record_path(record.number);
        self.index.mark_dirty()?;
        durable::put(&path, &to_json(record)?)?;
        self.unsynced = true;
        self.index.entries.insert(record.number, Summary::from(record));
        self.tell(record, known)
    }

    /// Moves a record to `archive/<number>.<attempt>.json`, or the next free name of that form.
    pub fn archive(&mut self, record: &Record, known: usize) -> Result<()> {
        let attempt = record.claim.as_ref().map_or(1, |claim| claim.attempt);
        let archive = self.state.path("archive");
        let free = (attempt..=u32::MAX)
            .map(|attempt| archive.join(format!("{}.{attempt}.json", record.number)))
            .find(|path| !path.exists());
        let path = self.state.record_path(record.number);
        self.index.mark_dirty()?;
        durable::replace(&path, &to_json(record)?)?;
        if let Some(free) = free {
            durable::rename(&path, &free)?;
        }
        self.index.entries.remove(&record.number);
        self.tell(record, known)
    }

    fn tell(&self, record: &Record, known: usize) -> Result<()> {
        if record.history.len() > known
            && let Some(event) = Event::of_transition(self.state, record)
        {
            self.append(&event)?;
        }
        Ok(())
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let records = self.state.records();
        self.index.write_back(&records);
        if self.unsynced {
            // Not committed: an error is on its way, which matters more than this one.
            let _ = durable::sync_folder(&records);
        }
    }
}

fn to_json(record: &Record) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(record)
        .or_fail(Kind::Internal, || format!("cannot write issue #{} as JSON", record.number))?;
    text.push(b'\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;
    use std::sync::atomic::{AtomicBool, Ordering};

    use proptest::prelude::*;

    use super::*;
    use crate::clock::{Clock, Timestamp};
    use crate::record::{Issue, Status};

    fn state(folder: &tempfile::TempDir) -> State {
        State::at(folder.path().join("cq"), Clock::Fixed(Timestamp::UNIX_EPOCH), "test")
    }

    fn record(number: u64, status: Status) -> Record {
        let mut record = Record::new("o/r", number, Issue::default());
        record.status = Some(status);
        record
    }

    /// What is done under one lock, and what happens to the index between two of them.
    #[derive(Debug, Clone)]
    enum Step {
        Put(u64, Status),
        Archive(u64),
        LetGo,
        LoseIndex,
        DieDirty,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (1..6_u64, 0..Status::ALL.len()).prop_map(|(n, status)| Step::Put(n, Status::ALL[status])),
            3 => (1..6_u64).prop_map(Step::Archive),
            3 => Just(Step::LetGo),
            1 => Just(Step::LoseIndex),
            1 => Just(Step::DieDirty),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn the_index_says_what_a_rebuild_would(steps in prop::collection::vec(step(), 1..20)) {
            let folder = tempfile::tempdir().unwrap();
            let state = state(&folder);
            let mut locked = state.lock().unwrap();
            for step in steps {
                match step {
                    Step::Put(number, status) => locked.put(&record(number, status), 0).unwrap(),
                    Step::Archive(number) => {
                        if let Some(record) = state.get(number).unwrap() {
                            locked.archive(&record, 0).unwrap();
                        }
                    }
                    Step::LetGo => {}
                    Step::LoseIndex => {
                        drop(locked);
                        let _ = std::fs::remove_file(state.path("index.json"));
                        locked = state.lock().unwrap();
                        continue;
                    }
                    Step::DieDirty => {
                        // As if killed between a record and the index.
                        drop(locked);
                        let mut index = File::options().write(true).create(true).truncate(false).open(state.path("index.json")).unwrap();
                        index.write_all(br#"{"clean":false,"#).unwrap();
                        let orphan = to_json(&record(9, Status::Queued)).unwrap();
                        durable::replace(&state.record_path(9), &orphan).unwrap();
                        locked = state.lock().unwrap();
                    }
                }
                prop_assert_eq!(locked.in_flight(), &state.summaries().unwrap());
                if matches!(step, Step::LetGo) {
                    drop(locked);
                    locked = state.lock().unwrap();
                    prop_assert_eq!(locked.in_flight(), &state.summaries().unwrap());
                }
            }
        }
    }

    #[test]
    fn a_reader_never_sees_half_a_record() {
        let folder = tempfile::tempdir().unwrap();
        let state = state(&folder);
        state.lock().unwrap().put(&record(1, Status::Queued), 0).unwrap();
        let done = AtomicBool::new(false);
        let read = std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut read = 0;
                while !done.load(Ordering::SeqCst) {
                    let record = state.get(1).unwrap().unwrap();
                    assert!(record.issue.body.bytes().all(|byte| byte == b'x'));
                    read += 1;
                }
                read
            });
            for turn in 0..100 {
                let mut long = record(1, Status::Queued);
                long.issue.body = "x".repeat(if turn % 2 == 0 { 200_000 } else { 10 });
                state.lock().unwrap().put(&long, 0).unwrap();
            }
            done.store(true, Ordering::SeqCst);
            reader.join().unwrap()
        });
        assert!(read > 0);
    }
}
