//! What agents cost, by day (UTC): `spending/2026-01-31.json`. A run reserves what it may cost before it starts, and
//! what it did cost takes the place of that when it ends, so that many runs at once cannot spend a budget together.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::{Days, NaiveDate, NaiveTime};
use serde::{Deserialize, Serialize};

use super::lock::{self, Guard};
use super::{State, durable, make_private};
use crate::clock::{Timestamp, stamp};
use crate::error::{Error, Kind, OrFail, Result};

/// One day.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Day {
    /// US dollars of the runs that ended.
    pub spent_usd: f64,
    /// How many of them said what they cost.
    pub runs: u32,
    /// What those that still run may cost, by issue.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reserved: BTreeMap<u64, Reservation>,
}

/// What one run may cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reservation {
    /// US dollars.
    pub usd: f64,
    /// When it was made.
    pub at: Timestamp,
}

impl Day {
    /// What a run may cost that nothing bounds: what those before it did, on average.
    fn mean(&self) -> f64 {
        if self.runs == 0 { 0.0 } else { self.spent_usd / f64::from(self.runs) }
    }

    /// US dollars that the runs of now may cost together.
    pub fn reserved_usd(&self) -> f64 {
        // The sum of nothing is -0.
        self.reserved.values().map(|one| one.usd).sum::<f64>() + 0.0
    }

    /// Reserves for an issue's run, or says why the day has no room for it. An earlier reservation of the same issue is
    /// one that was left over.
    fn reserve(&mut self, issue: u64, cap: Option<f64>, budget: f64, at: Timestamp) -> Result<()> {
        self.reserved.remove(&issue);
        let usd = cap.unwrap_or_else(|| self.mean());
        let reserved = self.reserved_usd();
        let taken = self.spent_usd + reserved;
        if taken + usd > budget || taken >= budget {
            let message = format!(
                "the day's budget of ${budget:.2} has no room for another run before {}: ${:.2} spent, ${reserved:.2} \
                 reserved by runs, and this one may cost ${usd:.2}",
                stamp(next_day(at)),
                self.spent_usd
            );
            return Err(Error::new(Kind::TryAgain, message)
                .hint("raise budget.perDayUsd, or lower budget.perRunUsd: what a run may cost is reserved"));
        }
        self.reserved.insert(issue, Reservation { usd, at });
        Ok(())
    }

    fn book(&mut self, cost: Option<f64>) {
        if let Some(cost) = cost {
            self.spent_usd += cost.max(0.0);
            self.runs += 1;
        }
    }
}

/// Midnight, UTC.
fn next_day(at: Timestamp) -> Timestamp {
    let tomorrow = at.date_naive().checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX);
    tomorrow.and_time(NaiveTime::MIN).and_utc()
}

impl State {
    /// Reserves what an issue's run may cost, `cap` US dollars, of what a day may cost.
    pub fn reserve(&self, issue: u64, cap: Option<f64>, budget: f64) -> Result<()> {
        let now = self.clock.now();
        let _lock = self.spending_lock()?;
        let date = now.date_naive();
        let mut day = self.day(date)?;
        day.reserve(issue, cap, budget, now)?;
        self.write_day(date, &day)
    }

    /// Puts what a run did cost in the place of its reservation, on the day that it was made; none where nobody knows.
    pub fn book(&self, issue: u64, started: Timestamp, cost: Option<f64>) -> Result<()> {
        let date = started.date_naive();
        // Reserved before midnight, started after it.
        let before = date.checked_sub_days(Days::new(1)).unwrap_or(date);
        let holds = |date: &NaiveDate| self.day(*date).is_ok_and(|day| day.reserved.contains_key(&issue));
        if cost.is_none() && ![date, before].iter().any(holds) {
            return Ok(());
        }
        let _lock = self.spending_lock()?;
        let date = [date, before].into_iter().find(holds).unwrap_or(date);
        let mut day = self.day(date)?;
        day.reserved.remove(&issue);
        day.book(cost);
        self.write_day(date, &day)
    }

    /// The reservations of today and yesterday.
    pub fn reservations(&self) -> Result<Vec<(u64, Reservation)>> {
        let today = self.clock.now().date_naive();
        let mut found = Vec::new();
        for date in [Some(today), today.checked_sub_days(Days::new(1))].into_iter().flatten() {
            found.extend(self.day(date)?.reserved);
        }
        Ok(found)
    }

    /// What today has cost so far.
    pub fn today(&self) -> Result<Day> {
        self.day(self.clock.now().date_naive())
    }

    fn day(&self, date: NaiveDate) -> Result<Day> {
        let file = self.day_file(date);
        let Some(text) = durable::read(&file)? else { return Ok(Day::default()) };
        serde_json::from_str(&text)
            .or_fail(Kind::Internal, || format!("cannot understand '{}'", file.display()))
            .map_err(|error| error.hint("mend it, or remove it: the day's spending then counts from nothing"))
    }

    fn write_day(&self, date: NaiveDate, day: &Day) -> Result<()> {
        let text = serde_json::to_vec_pretty(day).or_fail(Kind::Internal, || "cannot write the spending")?;
        durable::replace(&self.day_file(date), &text)
    }

    fn day_file(&self, date: NaiveDate) -> PathBuf {
        self.path("spending").join(format!("{date}.json"))
    }

    fn spending_lock(&self) -> Result<Guard> {
        make_private(&self.path("spending"))?;
        lock::take(&self.path("spending/lock"), lock::PATIENCE, self.clock.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    fn state(folder: &tempfile::TempDir, now: &str) -> State {
        State::at(folder.path(), Clock::Fixed(now.parse().unwrap()), "test")
    }

    const NOON: &str = "2026-01-31T12:00:00Z";
    const LATE: &str = "2026-01-31T23:59:59Z";
    const NEXT: &str = "2026-02-01T00:00:01Z";

    fn approx(day: &Day) -> (f64, u32, usize) {
        ((day.spent_usd * 100.0).round() / 100.0, day.runs, day.reserved.len())
    }

    #[test]
    fn what_runs_may_cost_counts_until_they_end() {
        let folder = tempfile::tempdir().unwrap();
        let state_at = |now| state(&folder, now);
        let noon = state_at(NOON);
        noon.reserve(1, Some(4.0), 10.0).unwrap();
        noon.reserve(2, Some(4.0), 10.0).unwrap();
        let refused = noon.reserve(3, Some(4.0), 10.0).unwrap_err();
        assert_eq!(refused.kind, Kind::TryAgain);
        assert_eq!(
            refused.to_string(),
            "the day's budget of $10.00 has no room for another run before 2026-02-01T00:00:00Z: $0.00 spent, $8.00 \
             reserved by runs, and this one may cost $4.00"
        );
        // The same issue again: what it had reserved was left over.
        noon.reserve(2, Some(5.0), 10.0).unwrap();
        noon.book(1, noon.clock().now(), Some(1.5)).unwrap();
        noon.reserve(3, Some(3.5), 10.0).unwrap();
        noon.book(2, noon.clock().now(), Some(5.0)).unwrap();
        noon.book(3, noon.clock().now(), None).unwrap();
        assert_eq!(approx(&noon.today().unwrap()), (6.5, 2, 0));
        // Nothing bounds it: the mean of 3.25 counts, and it fits once.
        noon.reserve(4, None, 10.0).unwrap();
        assert!(noon.reserve(5, None, 10.0).is_err());
        // A new day.
        state_at(NEXT).reserve(5, None, 10.0).unwrap();
    }

    #[test]
    fn a_day_that_is_spent_starts_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let noon = state(&folder, NOON);
        noon.book(1, noon.clock().now(), Some(10.0)).unwrap();
        assert!(noon.reserve(2, Some(0.0), 10.0).is_err());
        assert!(state(&tempfile::tempdir().unwrap(), NOON).reserve(2, None, 0.0).is_err());
    }

    #[test]
    fn a_run_over_midnight_is_of_the_day_it_was_reserved_on() {
        let folder = tempfile::tempdir().unwrap();
        let (late, next) = (state(&folder, LATE), state(&folder, NEXT));
        late.reserve(1, Some(4.0), 10.0).unwrap();
        assert_eq!(next.reservations().unwrap().len(), 1);
        next.book(1, next.clock().now(), Some(2.0)).unwrap();
        assert_eq!(approx(&late.today().unwrap()), (2.0, 1, 0));
        assert_eq!(approx(&next.today().unwrap()), (0.0, 0, 0));
    }

    #[test]
    fn nothing_is_lost_among_many() {
        let folder = tempfile::tempdir().unwrap();
        let state = state(&folder, NOON);
        let reserved: usize = std::thread::scope(|scope| {
            let one = |issue| {
                let state = &state;
                scope.spawn(move || usize::from(state.reserve(issue, Some(1.0), 5.0).is_ok()))
            };
            let threads: Vec<_> = (1..=20).map(one).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(reserved, 5);
        assert_eq!(state.reservations().unwrap().len(), 5);
    }
}
