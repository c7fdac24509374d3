//! Back-pressure: claimants at once, while pull requests are opened and dealt with.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cq::clock::Clock;
use cq::record::Status;
use cq::state::{State, Summary};
use serde_json::{Value, json};

use crate::place::{Place, wish};
use crate::{assert_different, dice};

const CLAIMANTS: usize = 32;
const ISSUES: u64 = 60;
const MOST: usize = 7;
/// A round is over when so many were claimed: far more than may be under way at once.
const ENOUGH: usize = 28;
const PATIENCE: Duration = Duration::from_secs(120);

/// What counts: pull requests that wait for people, and issues whose will.
fn counted(state: &State) -> usize {
    let locked = state.lock().unwrap();
    let counts =
        |summary: &&Summary| summary.waits_for_people || summary.status.is_some_and(Status::is_active);
    locked.in_flight().values().filter(counts).count()
}

/// Tells the others that it is over, also where a test fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Thirty-two claimants, each of which would take everything. Agents meanwhile open pull requests, and people deal with
/// them; whoever looks, and whenever, there are never more than people want, and in the end exactly as many.
#[test]
fn claimants_at_once_never_claim_more_than_people_can_review() {
    let mut dice = dice("pressure");
    for round in 0..2 {
        let place = Place::new(ISSUES);
        place.configure(json!({"queue": {"maxConcurrentIssues": ISSUES, "maxUnreviewed": MOST}}));
        let state = State::at(place.path(".cq"), Clock::System, "test");
        let (over, most) = (AtomicBool::new(false), AtomicUsize::new(0));
        let seed = dice.u64(..);
        let mut won = std::thread::scope(|scope| {
            let _end = Ends(&over);
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    // Whoever looks all the time keeps everybody waiting for the lock.
                    std::thread::sleep(Duration::from_millis(1));
                    most.fetch_max(counted(&state), Ordering::SeqCst);
                }
            });
            // Agents and people, who are quicker in the one round than in the other.
            scope.spawn(|| {
                let mut dice = fastrand::Rng::with_seed(seed);
                while !over.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(1 + 4 * round));
                    let mut records = state.in_flight(drop).unwrap();
                    records.retain(|record| !record.status.is_some_and(Status::is_final));
                    let Some(record) = dice.choice(&records) else { continue };
                    let next = match record.status {
                        Some(Status::Queued) => Status::PrReady,
                        Some(Status::PrReady) => Status::Completed,
                        _ => continue,
                    };
                    state
                        .update(record.number, |record| {
                            record.status = Some(next);
                            Ok(())
                        })
                        .unwrap();
                }
            });
            race(&place)
        });
        let most = most.into_inner().max(counted(&state));
        println!("round {round}: {} claimed, at most {most} at once", won.len());
        assert!(most <= MOST, "{most} were in work or under review at once");
        // Nobody holds a lock any more: what is free is claimed, and not one more.
        let free = MOST - counted(&state);
        won.extend(place.claim(1000..1000 + ISSUES));
        assert_eq!(counted(&state), MOST, "{free} were free");
        assert_different("issue", won.iter().map(|record| record["number"].as_u64()));
    }
}

/// All claimants at once, each again and again until so many issues were claimed; gives the records that they won.
fn race(place: &Place) -> Vec<Value> {
    let won = Mutex::new(Vec::new());
    let began = Instant::now();
    std::thread::scope(|scope| {
        for at in 0..CLAIMANTS as u64 {
            let won = &won;
            scope.spawn(move || {
                // Each begins elsewhere in the list, so that most claim and few are told that an issue is held.
                let input: String = (0..ISSUES).map(|n| wish(1 + (n + at * 2) % ISSUES)).collect();
                while won.lock().unwrap().len() < ENOUGH {
                    assert!(began.elapsed() < PATIENCE, "too few were claimed");
                    let records = place.good(&mut place.command("cq-claim"), input.as_bytes());
                    won.lock().unwrap().extend(records);
                }
            });
        }
    });
    won.into_inner().unwrap()
}
