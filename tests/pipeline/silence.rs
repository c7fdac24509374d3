//! Nobody who asked for something by name, or in the wrong folder, is answered with silence.

use std::fs;

use crate::House;

/// What only reads the state, and has nothing to say where that is empty.
const READERS: [&[&str]; 9] = [
    &["status"],
    &["status", "--conflicts"],
    &["monitor"],
    &["cleanup"],
    &["cleanup", "--all"],
    &["pr", "--sync"],
    &["report"],
    &["logs"],
    &["stop", "--status"],
];

fn cq(house: &House, words: &[&str]) -> crate::support::ran::Run {
    house.cq(words[0]).args(&words[1..])
}

/// Commands in a folder that knows nothing of cq ended with 0 and without a word.
#[test]
fn a_folder_that_was_never_set_up_is_told() {
    let house = House::usual();
    let elsewhere = house.place("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let explain: &[&str] = &["status", "--explain", "1"];
    for words in READERS.iter().chain([&explain]) {
        let line = format!("cd ../elsewhere && cq-{}", words.join(" "));
        let ran = house.shell(&line).run();
        let sentence =
            format!("cq-{}: there is no state directory '{}/.cq': ", words[0], elsewhere.display());
        let ran = ran.ends(78, &sentence);
        assert_eq!((ran.stdout.as_str(), ran.stderr.lines().count()), ("", 2), "{ran:#?}");
        assert!(ran.stderr.contains("\nhint: ") && ran.stderr.contains("cq-init"), "{}", ran.stderr);
    }
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    // Where the state is, is enough; so is a configuration.
    for line in ["cd ../elsewhere && cq-status --state-dir ../clone/.cq", "cq-status --state-dir ../none"] {
        house.shell(line).run().quietly();
    }
}

/// cron mails every word.
#[test]
fn where_nothing_is_in_flight_nothing_is_said() {
    let house = House::usual();
    for with_state in [true, false] {
        if !with_state {
            fs::remove_dir_all(house.state_dir()).unwrap();
        }
        for words in READERS.iter().filter(|words| words[0] != "stop" && !words.contains(&"--conflicts")) {
            assert_eq!(cq(&house, words).run().quietly().stdout, "", "{words:?}");
        }
    }
}
