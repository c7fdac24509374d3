//! Many commands at once on one state directory are one client: GitHub sees its limits kept.

use std::fs;
use std::thread;

use serde_json::{Value, json};

use crate::support::ran::Ran;
use crate::table::house;
use crate::{House, Plan};

const READERS: usize = 10;
/// Between two writes, in milliseconds. Long against how late a process of many may be on a busy machine: a write that
/// took another's turn would shorten the whole by all of it.
const PAUSE: i64 = 500;

fn place(limits: &Value) -> House {
    let house = house(&Plan { seed: json!({ "limits": limits }), ..Plan::default() });
    for number in [1, 2, 3] {
        house.work(number).good();
    }
    house.cq("gate").args(["1", "2", "3"]).run().good();
    house.configure(|config| {
        config["github"]["timeoutSeconds"] = json!(10);
        config["github"]["maxWaitSeconds"] = json!(20);
        config["github"]["writePauseMilliseconds"] = json!(PAUSE);
    });
    house.lab.call("DELETE", "/_lab/requests", &Value::Null);
    house
}

/// All at once: readers, and writers of pull requests and labels.
fn rush(house: &House) -> Vec<Ran> {
    thread::scope(|scope| {
        let reader = |_| scope.spawn(|| house.cq("fetch").args(["--all"]).run());
        let mut all: Vec<_> = (0..READERS).map(reader).collect();
        for number in ["1", "2", "3"] {
            all.push(scope.spawn(move || house.cq("pr").args([number]).run()));
        }
        for _ in 0..2 {
            all.push(scope.spawn(|| house.cq("init").args(["--labels"]).run()));
        }
        all.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

fn assert_kept(house: &House, all: &[Ran]) {
    for ran in all {
        assert!(!ran.stderr.contains("panicked"), "{ran:#?}");
        let until = ran.stderr.contains(" until 20");
        assert!(ran.status == 0 || (ran.status == 75 && until), "{ran:#?}");
    }
    let state = house.lab.state();
    assert_eq!(state["violations"], json!([]));
    let writes: Vec<i64> = state["requests"].as_array().unwrap().iter().filter_map(written_at).collect();
    let mut sorted = writes.clone();
    sorted.sort_unstable();
    // One that is late is followed closely by the next: only all of them together, and the usual distance, say something.
    if let (Some(first), Some(last)) = (sorted.first(), sorted.last()) {
        let pauses = i64::try_from(sorted.len()).unwrap() - 1;
        // Of all of them only the first can have come late enough to matter.
        assert!(last - first > (pauses - 1) * PAUSE + PAUSE / 10, "{sorted:?}");
    }
    let mut distances: Vec<i64> = sorted.windows(2).map(|pair| pair[1] - pair[0]).collect();
    distances.sort_unstable();
    if let Some(usual) = distances.get(distances.len() / 2) {
        assert!(*usual >= PAUSE * 8 / 10, "{sorted:?}");
    }
}

/// When a write of the API came; git's and the test's own are none.
fn written_at(request: &Value) -> Option<i64> {
    let target = request["target"].as_str()?;
    let is_write = request["method"] != "GET" && target.starts_with("/repos/");
    is_write.then(|| request["at_ms"].as_i64()).flatten()
}

#[test]
fn many_at_once_space_their_writes_and_all_end_well() {
    let house = place(&json!({"core": 5000, "graphql": 5000, "secondary_writes_per_minute": 80}));
    let all = rush(&house);
    assert_kept(&house, &all);
    assert!(all.iter().all(|ran| ran.status == 0), "{all:#?}");
    let requests = house.lab.state()["requests"].clone();
    let writes = requests.as_array().unwrap().iter().filter_map(written_at).count();
    // Three pull requests, their labels and comments, two labels of the repository; both who make those may see them
    // missing.
    assert!((11..=13).contains(&writes), "{writes}");
    assert_eq!(house.lab.pulls().len(), 3);
}

#[test]
fn many_at_once_meet_a_limit_as_one() {
    let house = place(&json!({"core": 5000, "graphql": 5000}));
    // The first to come is refused; all others wait with it.
    fs::remove_dir_all(house.state_dir().join("cache")).unwrap();
    house.lab.break_with(&json!([{
        "method": "POST", "path": "/repos/*/*/pulls$", "status": 403,
        "body": {"message": "You have exceeded a secondary rate limit."}, "headers": {"retry-after": "60"},
    }]));
    let all = rush(&house);
    assert_kept(&house, &all);
    assert!(all.iter().any(|ran| ran.status == 75), "{all:#?}");
    // Nobody asks for anything in the minute that GitHub named.
    // git is another server's affair.
    let of_api = |request: &&Value| !request["target"].as_str().unwrap().contains(".git/");
    let asked = || house.lab.state()["requests"].as_array().unwrap().iter().filter(of_api).count();
    let before = asked();
    let again = rush(&house);
    assert!(again.iter().all(|ran| ran.status == 75), "{again:#?}");
    assert_eq!(asked(), before);
}

#[test]
fn many_at_once_stop_at_the_end_of_the_primary_limit() {
    let house = place(&json!({"core": 30, "graphql": 5000}));
    let all: Vec<Ran> = (0..3).flat_map(|_| rush(&house)).collect();
    assert_kept(&house, &all);
    assert!(all.iter().any(|ran| ran.status == 75), "the limit was met");
    assert!(house.lab.repository()["pulls"].as_array().unwrap().len() <= 3);
}
