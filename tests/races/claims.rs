//! Claims: many at once, and killed ones.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::place::{Place, in_minutes, parse, wish};
use crate::{assert_different, dice};

const CLAIMANTS: usize = 64;
const ISSUES: u64 = 200;

/// Index and records say the same, no issue and no instance is held twice.
fn assert_consistent(place: &Place) {
    let records = place.records();
    assert_different("instance", records.values().map(|record| record["claim"]["instance"].to_string()));
    assert_different("token", records.values().map(|record| record["claim"]["token"].to_string()));
    for (number, (status, instance)) in place.index() {
        let record = records.get(&number).unwrap_or_else(|| panic!("the index has #{number}, which is gone"));
        assert_eq!((&record["status"], &record["claim"]["instance"]), (&status, &instance), "#{number}");
    }
    assert_eq!(place.index().len(), records.len());
}

#[test]
fn of_many_claimants_each_issue_has_one_winner() {
    let mut dice = dice("winners");
    for round in 0..20 {
        let place = Place::new(ISSUES);
        let mut children = Vec::new();
        let began = Instant::now();
        for number in 0..CLAIMANTS {
            let out = place.path(&format!("out-{number}"));
            let mut command = place.command("cq-claim");
            command.stdin(Stdio::piped()).stdout(File::create(&out).unwrap());
            children.push((command.spawn().unwrap(), out));
        }
        // They all wait for their first line by now, or nearly. Half of them see the issues in the same order.
        let input = |claimant: usize, dice: &mut fastrand::Rng| -> String {
            let mut numbers: Vec<u64> = (1..=ISSUES).collect();
            if claimant % 2 == 1 {
                dice.shuffle(&mut numbers);
            }
            numbers.into_iter().map(wish).collect()
        };
        let inputs: Vec<String> = (0..CLAIMANTS).map(|claimant| input(claimant, &mut dice)).collect();
        for ((child, _), input) in children.iter_mut().zip(&inputs) {
            child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        }
        let mut won = Vec::new();
        for (child, out) in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            won.extend(parse(&fs::read(out).unwrap()));
        }
        println!("round {round}: {} ms", began.elapsed().as_millis());
        assert_eq!(assert_different("issue", won.iter().map(|record| record["number"].as_u64())), 200);
        assert_different("instance", won.iter().map(|record| record["claim"]["instance"].to_string()));
        let records = place.records();
        assert_eq!(records.len(), 200);
        for record in won {
            assert_eq!(records[&record["number"].as_u64().unwrap()], record);
        }
        assert_consistent(&place);
    }
}

/// What became of one claimant.
enum Fate {
    Killed,
    Ended(Vec<Value>),
}

/// Claims an issue; killed after `after` if that is given.
fn claimant(place: &Place, number: u64, after: Option<Duration>) -> Fate {
    let mut child = place.command("cq-claim").stdin(Stdio::piped()).spawn().unwrap();
    // A full record fits a pipe: this does not wait for the reader.
    let _ = child.stdin.take().unwrap().write_all(wish(number).as_bytes());
    if let Some(after) = after {
        std::thread::sleep(after);
        child.kill().unwrap();
    }
    let output = child.wait_with_output().unwrap();
    if output.status.signal() == Some(9) {
        return Fate::Killed;
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Fate::Ended(parse(&output.stdout))
}

#[test]
fn killed_claimants_leave_nothing_half_done() {
    const KILLS: u64 = 1_000;
    let place = Place::new(100_000);
    let dice = Mutex::new(dice("killed claimants"));
    let (next, killed, ended) = (AtomicU64::new(0), AtomicU64::new(0), Mutex::new(Vec::new()));
    // How long a claim takes here and now, in microseconds: learnt from those that live.
    let usual = AtomicU64::new(20_000);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while killed.load(Ordering::SeqCst) < KILLS {
                    // Two after the other want the same issue, and every fifth may live.
                    let turn = next.fetch_add(1, Ordering::SeqCst);
                    let number = 1 + turn / 2;
                    let moment = dice.lock().unwrap().u64(0..usual.load(Ordering::SeqCst) * 12 / 10);
                    let after = (turn % 5 != 0).then(|| Duration::from_micros(moment));
                    let began = Instant::now();
                    match claimant(&place, number, after) {
                        Fate::Killed => drop(killed.fetch_add(1, Ordering::SeqCst)),
                        Fate::Ended(records) => ended.lock().unwrap().extend(records),
                    }
                    if after.is_none() {
                        let took = u64::try_from(began.elapsed().as_micros()).unwrap();
                        usual.store((usual.load(Ordering::SeqCst) * 3 + took) / 4, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    let ended = ended.into_inner().unwrap();
    println!(
        "{} killed of {}; {} claims were told; one takes {} µs",
        killed.into_inner(),
        next.into_inner(),
        ended.len(),
        usual.into_inner()
    );
    // What was told is so, and the lock is not stuck.
    let began = Instant::now();
    assert_eq!(place.claim([1_000_000]).len(), 1);
    assert!(began.elapsed() < Duration::from_secs(5), "the lock is stuck");
    assert_consistent(&place);
    let records = place.records();
    for record in &ended {
        assert_eq!(&records[&record["number"].as_u64().unwrap()], record);
    }
    let untold = records.len() - ended.len() - 1;
    assert!(untold > 0, "no kill hit the moment between the record and its print");
    // The claimants of all of them are gone by now: each is offered again, once.
    let offered = place.good(place.command("cq-monitor").env("CQ_NOW", in_minutes(2)), b"");
    assert_different("issue", offered.iter().map(|record| record["number"].as_u64()));
    assert_eq!(offered.len(), records.len());
    println!("{untold} claims were made and not told; {} temp files", place.assert_temp_files_are_swept());
    place.assert_nothing_else_in_the_state();
    // All that it changes is until when each is offered.
    let others = |mut records: BTreeMap<u64, Value>| {
        for record in records.values_mut() {
            let claim = record["claim"].as_object_mut().unwrap();
            claim.retain(|key, _| key != "not_before" && key != "lease_expires_at");
        }
        records
    };
    assert_eq!(others(place.records()), others(records), "looking changes nothing else");
    assert_consistent(&place);
}
