//! cq-run and what goes wrong around it: GitHub, the configuration, a stop, a pipeline that hangs.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::wait::until;
use crate::{House, Orchestrator, Plan};

/// How often these words were said.
fn times(fleet: &Orchestrator, words: &str) -> usize {
    fleet.said().matches(words).count()
}

#[test]
fn github_goes_away_and_comes_back() {
    let house = House::usual();
    let broken = json!([{"path": "/", "status": 503, "times": 100_000}]);
    house.lab.break_with(&broken);
    let mut fleet = Orchestrator::start(&house, "fleet", &["--interval", "0.3"]);
    until("some turns in vain", || {
        (fleet.exits("new").iter().filter(|exits| exits[0] == 69).count() >= 4).then_some(())
    });
    // The same trouble is not told turn after turn: GitHub answers 503, and then is left alone.
    assert!((1..=3).contains(&times(&fleet, "new: cq-fetch: ")), "{}", fleet.said());
    house.lab.mend();
    // How long GitHub is left alone is not what is tested here.
    until("a fetch that works", || {
        for entry in fs::read_dir(house.state_dir().join("cache")).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with("github-limits") {
                let _ = fs::remove_file(entry.path());
            }
        }
        fleet.exits("new").last().is_some_and(|exits| exits[0] == 0).then_some(())
    });
    until("the pull requests", || (house.lab.pulls().len() == 3).then_some(()));
    assert_eq!(fleet.stop(), 143);
}

#[test]
fn a_stop_is_said_once_and_only_what_starts_nothing_is_run() {
    let house = House::usual();
    house.cq("stop").args(["--drain", "--reason", "release day"]).run().good();
    let once =
        house.cq("run").args(["--once"]).run().ends(75, "release day; only what starts nothing is run");
    assert_eq!(once.records().len(), 2, "due and cleanup: {once:#?}");
    let mut fleet = Orchestrator::start(&house, "fleet", &["--interval", "0.3"]);
    until("some turns", || (fleet.exits("due").len() >= 4).then_some(()));
    for tick in fleet.ticks() {
        let commands: Vec<&Value> =
            tick["commands"].as_array().unwrap().iter().map(|c| &c["command"]).collect();
        assert!(commands == ["cq-monitor"] || commands == ["cq-cleanup"], "{tick}");
    }
    assert_eq!(times(&fleet, "release day"), 1, "{}", fleet.said());
    house.cq("stop").args(["--thaw"]).run().good();
    fleet.waits_for("nothing is in the way any more: work goes on");
    until("the pull requests", || (house.lab.pulls().len() == 3).then_some(()));

    // A rest, as after a usage limit, is waited for too.
    let rest = json!({"until": "2199-01-01T00:00:00Z", "reason": "usage limit"});
    fs::write(house.state_dir().join("limit.json"), rest.to_string()).unwrap();
    fleet.waits_for("no agent is started before 2199-01-01T00:00:00Z: usage limit");
    let seen = fleet.exits("new").len();
    let due = fleet.exits("due").len();
    until("more turns", || (fleet.exits("due").len() > due + 3).then_some(()));
    assert!(fleet.exits("new").len() <= seen + 1, "one may have been on its way");
    assert_eq!(times(&fleet, "no agent is started before"), 1);
    assert_eq!(fleet.stop(), 143);
}

#[test]
fn a_broken_configuration_slows_it_down_until_somebody_mends_it() {
    let house = House::new(&Plan { issues: json!([]), ..Plan::default() });
    let file = house.clone().join("orchestrator-config.json");
    let good = fs::read_to_string(&file).unwrap();
    let mut fleet = Orchestrator::start(&house, "fleet", &["--interval", "0.3"]);
    until("a turn that works", || (!fleet.exits("new").is_empty()).then_some(()));
    fs::write(&file, good.replacen('{', r#"{"githup": {},"#, 1)).unwrap();
    fleet.waits_for("'new' does not work now: it is tried less and less often");
    until("turns in vain", || {
        (fleet.exits("new").iter().filter(|exits| exits.contains(&78)).count() >= 2).then_some(())
    });
    assert_eq!(times(&fleet, "new: cq-fetch: in "), 1, "{}", fleet.said());
    fs::write(&file, good).unwrap();
    fleet.waits_for("'new' works again");
    assert_eq!(fleet.stop(), 143);
}

/// A GitHub that never answers: the pipeline is ended at its bound, and a second signal ends it at once.
#[test]
fn a_pipeline_that_hangs_is_ended_and_never_runs_twice_at_once() {
    let house = House::new(&Plan { issues: json!([]), ..Plan::default() });
    house.configure(|config| {
        config["github"]["timeoutSeconds"] = json!(600);
        config["run"] = json!({"timeoutMinutes": 0.05});
    });
    let hang = json!([{"path": "/", "hang": true, "times": 100_000}]);
    house.lab.break_with(&hang);
    let mut fleet = Orchestrator::start(&house, "fleet", &["--interval", "0.2"]);
    fleet.waits_for("'cq-fetch | cq-claim | cq-spawn' takes longer than 0.05 minutes and is ended");
    until("its end", || fleet.exits("new").first().cloned().filter(|exits| exits[0] == 143));
    assert!(fleet.exits("due").len() >= 2, "the others go on: {:?}", fleet.ticks());
    until("the next", || (fleet.exits("new").len() >= 2).then_some(()));
    assert_eq!(fleet.stop(), 143);

    house.configure(|config| config["run"] = json!({"timeoutMinutes": 60}));
    let mut fleet = Orchestrator::start(&house, "second", &["--interval", "0.2"]);
    // Those after it start later than the pipeline that hangs.
    until("the turn of a later one", || (!fleet.exits("sync").is_empty()).then_some(()));
    let asked = Instant::now();
    fleet.signal(Signal::TERM);
    fleet.waits_for("another signal ends them at once");
    fleet.signal(Signal::INT);
    assert_eq!(fleet.end(), 130);
    assert!(asked.elapsed() < Duration::from_secs(15), "it did not wait for the 30 s");
}
